/* SPDX-License-Identifier: Apache-2.0 */
/* Every truncation and every flip of one bit of every message in the test vectors: what is accepted
 * is written back as the same octets, what is refused says at which octet and by which clause. The
 * folder of the vectors is the argument. */
#include "../fuzz/property.h"
#include "hex.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MESSAGE_MAX 8192

static json_t *messages; /* set of hex strings: many messages stand in several vectors */

static void
add(const json_t *holder)
{
    const json_t *hex = json_object_get(holder, "hex");
    if (json_is_string(hex) && json_string_length(hex) / 2 <= MESSAGE_MAX)
        assert_int_equal(json_object_set_new(messages, json_string_value(hex), json_true()), 0);
}

/* Positive vectors hold `messages`, invalid ones the `stages` they were made from. */
static void
add_file(const char *path)
{
    json_t *v = json_load_file(path, 0, NULL), *m;
    const char *name;
    size_t i;

    json_array_foreach(json_object_get(v, "messages"), i, m) add(m);
    json_object_foreach(json_object_get(v, "stages"), name, m) add(m);
    json_decref(v);
}

static void
add_folder(const char *folder)
{
    char path[4096];
    DIR *d = opendir(folder);

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name);
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (n > 5 && strcmp(e->d_name + n - 5, ".json") == 0)
            add_file(path);
    }
    closedir(d);
}

static void
walk(uint8_t *octets, size_t n)
{
    for (size_t cut = 0; cut <= n; cut++) {
        uint8_t *copy = malloc(cut + 1); /* of its own: a sanitizer sees one octet too many */
        assert_non_null(copy);
        memcpy(copy + 1, octets, cut);
        const char *broken = mkt_prop_wire(copy + 1, cut);
        free(copy);
        assert_null(broken);
    }
    for (size_t bit = 0; bit < 8 * n; bit++) {
        octets[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_null(mkt_prop_wire(octets, n));
        octets[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void
every_small_damage_to_every_message_is_refused_with_a_reason_or_written_back(void **state)
{
    static uint8_t octets[MESSAGE_MAX];
    size_t damaged = 0;
    const char *hex;
    json_t *unused;

    (void)state;
    assert_true(json_object_size(messages) > 300);
    json_object_foreach(messages, hex, unused)
    {
        size_t n = hex_octets(hex, octets, sizeof octets);
        walk(octets, n);
        damaged += 9 * n;
    }
    print_message("# %zu messages, %zu ways to damage them\n", json_object_size(messages), damaged);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            every_small_damage_to_every_message_is_refused_with_a_reason_or_written_back),
    };
    char negative[4096];

    if (argc != 2)
        return 2;
    messages = json_object();
    snprintf(negative, sizeof negative, "%s/negative", argv[1]);
    add_folder(argv[1]);
    add_folder(negative);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed = cmocka_run_group_tests_name("every vector", tests, NULL, NULL);
    json_decref(messages);
    return failed;
}
