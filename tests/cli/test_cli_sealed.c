/* SPDX-License-Identifier: Apache-2.0 */
/* The octets of a sealed object: the published example in both directions, every octet changed and
 * every cut, and what only one who knows the key could do. */
#include "../../fuzz/sealed_object.h"
#include "encode.h"
#include "files.h"
#include "flat_yaml.h"
#include "sealed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <mikeyticket/env.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECT_MAX 400000

static const char *example_path;

/* Octets in memory, behind a stream. */
struct memory {
    struct mkt_span in;
    uint8_t out[OBJECT_MAX];
    size_t out_len;
    uint64_t moved;
};

static ssize_t
read_memory(void *ctx, uint8_t *to, size_t n, struct cli_error *err)
{
    struct memory *m = ctx;
    size_t got = m->in.n < n ? m->in.n : n;

    (void)err;
    if (got > 0)
        memcpy(to, m->in.p, got);
    m->in = mkt_span(m->in.p + got, m->in.n - got);
    return (ssize_t)got;
}

static bool
write_memory(void *ctx, struct mkt_span octets, struct cli_error *err)
{
    struct memory *m = ctx;

    if (octets.n > sizeof m->out - m->out_len)
        return cli_fail(err, CLI_EXIT_FAILURE, "no room");
    if (octets.n > 0)
        memcpy(m->out + m->out_len, octets.p, octets.n);
    m->out_len += octets.n;
    return true;
}

static void
count_memory(void *ctx, uint64_t octets)
{
    struct memory *m = ctx;
    m->moved = octets;
}

static struct memory memory;
static const struct cli_stream stream = {
    .read = read_memory, .write = write_memory, .moved = count_memory, .ctx = &memory
};

static void
feed(struct mkt_span in)
{
    memory.in = in;
    memory.out_len = 0;
    memory.moved = 0;
}

/* --- an object of our own -----------------------------------------------------------------------
 */

static uint8_t content[OBJECT_MAX / 2], object[OBJECT_MAX];
static size_t object_len;
static struct cli_sealed_keys keys;
static struct cli_sealed_info info;
static uint8_t digest[CLI_DIGEST];
static const char message[] = "stands for a TRANSFER_INIT";

static void
seal_into(uint8_t *out, size_t *out_len, const struct cli_sealed_info *what, size_t n,
          const uint8_t vouched[CLI_DIGEST])
{
    CLI_SCOPED_BLOB head = { 0 };
    struct cli_error err = { 0 };

    assert_true(cli_sealed_head_write(&head, mkt_span(message, sizeof message), &err));
    feed(mkt_span(content, n));
    if (!cli_sealed_write(&stream, cli_blob_span(&head), &keys, what, vouched, &err))
        fail_msg("%s", err.text);
    memcpy(out, memory.out, memory.out_len);
    *out_len = memory.out_len;
}

static void
seal(size_t n)
{
    struct cli_error err = { 0 };

    info = (struct cli_sealed_info){ .size = n, .name = "a name" };
    memset(info.random, 7, sizeof info.random);
    keys.key.n = 32;
    keys.salt.n = CLI_AEAD_NONCE;
    memset(keys.key.b, 1, 32);
    memset(keys.salt.b, 2, 12);
    for (size_t i = 0; i < n; i++)
        content[i] = (uint8_t)(i % 251);
    feed(mkt_span(content, n));
    assert_true(cli_sealed_digest(digest, &info, &stream, &err));
    seal_into(object, &object_len, &info, n, digest);
}

static enum cli_exit
open_octets(struct mkt_span octets, struct cli_error *err)
{
    CLI_SCOPED_BLOB head = { 0 };
    struct mkt_span found = { NULL, 0 };
    struct cli_sealed_info said = { .size = 0 };

    *err = (struct cli_error){ .code = CLI_EXIT_OK };
    feed(octets);
    bool done = cli_sealed_head_read(&head, &found, &stream, err) &&
                cli_sealed_read(&stream, cli_blob_span(&head), &keys, &said, digest, err);
    assert_int_equal(done, err->code == CLI_EXIT_OK);
    return err->code;
}

static void
opens_what_was_sealed_at_every_border(void **state)
{
    const size_t front = 41 + strlen("a name");
    const size_t sizes[] = { 0,
                             1,
                             CLI_SEALED_CHUNK - front - 1,
                             CLI_SEALED_CHUNK - front,
                             CLI_SEALED_CHUNK - front + 1,
                             2 * CLI_SEALED_CHUNK - front,
                             2 * CLI_SEALED_CHUNK - front + 1 };
    struct cli_error err;

    (void)state;
    for (size_t i = 0; i < CLI_COUNT(sizes); i++) {
        seal(sizes[i]);
        size_t parts = (front + sizes[i] + CLI_SEALED_CHUNK - 1) / CLI_SEALED_CHUNK;
        assert_int_equal(object_len, CLI_SEALED_FIXED + sizeof message + front + sizes[i] +
                                         parts * CLI_AEAD_TAG);
        assert_int_equal(open_octets(mkt_span(object, object_len), &err), CLI_EXIT_OK);
        assert_int_equal(memory.out_len, sizes[i]);
        assert_int_equal(memory.moved, sizes[i]);
        assert_memory_equal(memory.out, content, sizes[i]);
    }
}

static void
refuses_each_octet_that_was_changed(void **state)
{
    struct cli_error err;

    (void)state;
    seal(100);
    for (size_t i = 0; i < object_len; i++)
        for (unsigned bit = 1; bit < 256; bit <<= 3) {
            object[i] ^= (uint8_t)bit;
            enum cli_exit code = open_octets(mkt_span(object, object_len), &err);
            object[i] ^= (uint8_t)bit;
            if (code != CLI_EXIT_PEER && code != CLI_EXIT_MALFORMED)
                fail_msg("octet %zu: %d %s", i, code, err.text);
            assert_int_equal(memory.out_len, 0);
        }
}

static void
refuses_each_cut_and_each_octet_that_was_added(void **state)
{
    struct cli_error err;

    (void)state;
    seal(100);
    for (size_t n = 0; n < object_len; n++) {
        enum cli_exit code = open_octets(mkt_span(object, n), &err);
        size_t head = CLI_SEALED_FIXED + sizeof message;
        assert_int_equal(code, n < head ? CLI_EXIT_MALFORMED : CLI_EXIT_PEER);
    }
    object[object_len] = 0;
    assert_int_equal(open_octets(mkt_span(object, object_len + 1), &err), CLI_EXIT_PEER);
}

static void
refuses_a_message_of_no_octets_and_of_too_many(void **state)
{
    struct cli_error err;

    (void)state;
    seal(1);
    memset(object + 20, 0, 4);
    assert_int_equal(open_octets(mkt_span(object, object_len), &err), CLI_EXIT_MALFORMED);
    assert_non_null(strstr(err.text, "length of its message"));
    memset(object + 20, 0xFF, 4);
    assert_int_equal(open_octets(mkt_span(object, object_len), &err), CLI_EXIT_MALFORMED);
    assert_non_null(strstr(err.text, "length of its message"));
}

/* The parts of an object are where its head ends, each 16 octets longer than what is in it. */
static void
move_parts(uint8_t *out, size_t *n, const unsigned *order, size_t parts)
{
    const size_t head = CLI_SEALED_FIXED + sizeof message, part = CLI_SEALED_CHUNK + CLI_AEAD_TAG;

    memcpy(out, object, head);
    *n = head;
    for (size_t i = 0; i < parts; i++) {
        size_t at = head + order[i] * part;
        size_t len = object_len - at < part ? object_len - at : part;
        memcpy(out + *n, object + at, len);
        *n += len;
    }
}

static void
refuses_parts_that_were_moved_left_out_or_doubled(void **state)
{
    static const struct {
        size_t n;
        unsigned order[4];
    } rows[] = { { 3, { 1, 0, 2 } },    { 2, { 0, 2 } },       { 2, { 0, 1 } },    { 2, { 1, 2 } },
                 { 4, { 0, 1, 1, 2 } }, { 4, { 0, 1, 2, 2 } }, { 3, { 2, 1, 0 } }, { 1, { 2 } } };
    static uint8_t moved[OBJECT_MAX];
    struct cli_error err;
    size_t n;

    (void)state;
    seal(2 * CLI_SEALED_CHUNK + 5);
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        move_parts(moved, &n, rows[i].order, rows[i].n);
        assert_int_equal(open_octets(mkt_span(moved, n), &err), CLI_EXIT_PEER);
        assert_non_null(strstr(err.text, "does not verify"));
    }
}

/* --- by one who knows the key -------------------------------------------------------------------
 */

static void
refuses_another_content_under_the_same_message(void **state)
{
    static uint8_t other[OBJECT_MAX];
    uint8_t found[CLI_DIGEST];
    struct cli_error err = { 0 };
    size_t n;

    (void)state;
    seal(50);
    content[3] ^= 1;
    feed(mkt_span(content, 50));
    assert_true(cli_sealed_digest(found, &info, &stream, &err));
    seal_into(other, &n, &info, 50, found);
    assert_int_equal(open_octets(mkt_span(other, n), &err), CLI_EXIT_PEER);
    assert_non_null(strstr(err.text, "not what its sealer has vouched for"));
}

/* Seals whatever stands in `front` before the content, and opens it. */
static void
refused_front(struct mkt_span front, const char *what)
{
    CLI_SCOPED_BLOB head = { 0 };
    struct cli_error err = { 0 };
    uint8_t sealed[512], nonce[CLI_AEAD_NONCE], name[CLI_DIGEST];
    struct cli_digest *d = cli_digest_new();
    struct cli_aead *a = cli_aead_new(mkt_secret_span(&keys.key));

    assert_true(d != NULL && a != NULL);
    assert_true(cli_sealed_head_write(&head, mkt_span(message, sizeof message), &err));
    assert_true(cli_digest_add(d, cli_blob_span(&head)) && cli_digest_end(d, name));
    assert_true(cli_digest_add(d, front) && cli_digest_end(d, digest));
    memset(nonce, 2, sizeof nonce);
    nonce[11] ^= 1;
    memcpy(sealed, head.p, head.n);
    assert_true(cli_aead_seal(a, nonce, mkt_span(name, sizeof name), front, sealed + head.n));
    if (what == NULL)
        assert_int_equal(open_octets(mkt_span(sealed, head.n + front.n + CLI_AEAD_TAG), &err), 0);
    else {
        assert_int_equal(open_octets(mkt_span(sealed, head.n + front.n + CLI_AEAD_TAG), &err),
                         CLI_EXIT_PEER);
        if (strstr(err.text, what) == NULL)
            fail_msg("%s", err.text);
    }
    cli_digest_free(d);
    cli_aead_free(a);
}

static void
refuses_a_front_that_is_none(void **state)
{
    uint8_t front[64] = { 0 };

    (void)state;
    seal(1);
    refused_front(mkt_span(front, 0), "too short");
    refused_front(mkt_span(front, 40), "too short");
    refused_front(mkt_span(front, 41), NULL);
    refused_front(mkt_span(front, 42), "more than it says");
    front[39] = 1;
    refused_front(mkt_span(front, 41), "less than it says");
    front[39] = 0;
    front[40] = 3;
    memcpy(front + 41, "a/b", 3);
    refused_front(mkt_span(front, 43), "too short");
    refused_front(mkt_span(front, 44), "file name");
    memcpy(front + 41, "a\0b", 3);
    refused_front(mkt_span(front, 44), "file name");
    memcpy(front + 41, "a\nb", 3);
    refused_front(mkt_span(front, 44), "file name");
    memcpy(front + 41, "a b", 3);
    refused_front(mkt_span(front, 44), NULL);
}

static void
notices_a_file_that_changes_while_it_is_sealed(void **state)
{
    CLI_SCOPED_BLOB head = { 0 };
    struct cli_error err = { 0 };

    (void)state;
    seal(50);
    assert_true(cli_sealed_head_write(&head, mkt_span(message, sizeof message), &err));
    content[49] ^= 1;
    feed(mkt_span(content, 50));
    assert_false(cli_sealed_write(&stream, cli_blob_span(&head), &keys, &info, digest, &err));
    assert_non_null(strstr(err.text, "changed while it was read"));
    err = (struct cli_error){ .code = CLI_EXIT_OK };
    feed(mkt_span(content, 51));
    assert_false(cli_sealed_digest(digest, &info, &stream, &err));
    assert_non_null(strstr(err.text, "changed while it was read"));
}

/* The property that fuzz_sealed looks at, for lengths beside the borders of parts. */
static void
holds_for_inputs_of_every_kind(void **state)
{
    static const uint32_t lengths[] = { 0, 1, 65488, 65489, 65490, 131024, 131025, 131026, 131600 };
    uint8_t input[64];

    (void)state;
    for (size_t i = 0; i < CLI_COUNT(lengths); i++)
        for (size_t n = 0; n <= sizeof input; n++) {
            for (size_t k = 0; k < n; k++)
                input[k] = (uint8_t)(k < 3 ? lengths[i] >> (16 - 8 * k) : 37 * i + n * k);
            const char *broken = mkt_sealed_holds(mkt_span(input, n));
            if (broken != NULL)
                fail_msg("%zu octets for %u: %s", n, lengths[i], broken);
        }
}

static void
takes_keys_of_both_suites_and_no_others(void **state)
{
    uint8_t key[33] = { 0 };

    (void)state;
    for (size_t n = 0; n <= sizeof key; n++) {
        struct cli_aead *a = cli_aead_new(mkt_span(key, n));
        assert_int_equal(a != NULL, n == 16 || n == 32);
        cli_aead_free(a);
    }
}

/* --- docs/formats/sealed-object.yaml ------------------------------------------------------------
 */

static const struct cli_yaml_key fields[] = {
    { "format", false, true }, { "name", true, true },    { "size", true, true },
    { "gtgk", true, true },    { "rand-i", true, true },  { "transfer-init", true, true },
    { "key", true, true },     { "salt", true, true },    { "random", true, true },
    { "digest", true, true },  { "object", true, false }, { "object-sha256", true, true },
};
static const struct cli_yaml_form form = { "example", fields, CLI_COUNT(fields), "objects" };

static struct mkt_span
hex_field(const struct cli_yaml *y, size_t item, const char *name, uint8_t *out, size_t cap)
{
    struct cli_error err = { 0 };
    size_t n = 0;

    if (!cli_yaml_hex(y, cli_yaml_get(y, item, name), out, cap, &n, &err))
        fail_msg("%s", err.text);
    return mkt_span(out, n);
}

static void
digest_of(struct mkt_span octets, uint8_t out[CLI_DIGEST])
{
    struct cli_digest *d = cli_digest_new();

    assert_true(d != NULL && cli_digest_add(d, octets) && cli_digest_end(d, out));
    cli_digest_free(d);
}

static void
one_example(const struct cli_yaml *y, size_t item)
{
    static uint8_t init[MKT_MSG_MAX], expected[4096];
    CLI_SCOPED_BLOB head = { 0 };
    struct cli_error err = { 0 };
    uint8_t sum[CLI_DIGEST], found[CLI_DIGEST];
    uint64_t size;

    assert_true(cli_yaml_uint(y, cli_yaml_get(y, item, "size"), OBJECT_MAX, &size, &err));
    info = (struct cli_sealed_info){ .size = size };
    strcpy(info.name, cli_yaml_get(y, item, "name")->value);
    (void)hex_field(y, item, "random", info.random, sizeof info.random);
    keys.key.n = (uint16_t)hex_field(y, item, "key", keys.key.b, sizeof keys.key.b).n;
    keys.salt.n = (uint16_t)hex_field(y, item, "salt", keys.salt.b, sizeof keys.salt.b).n;
    (void)hex_field(y, item, "digest", digest, sizeof digest);
    for (size_t i = 0; i < size; i++)
        content[i] = (uint8_t)(i % 251);
    feed(mkt_span(content, size));
    assert_true(cli_sealed_digest(found, &info, &stream, &err));
    assert_memory_equal(found, digest, sizeof digest);
    struct mkt_span m = hex_field(y, item, "transfer-init", init, sizeof init);
    assert_true(cli_sealed_head_write(&head, m, &err));
    feed(mkt_span(content, size));
    assert_true(cli_sealed_write(&stream, cli_blob_span(&head), &keys, &info, digest, &err));
    object_len = memory.out_len;
    memcpy(object, memory.out, object_len);
    digest_of(mkt_span(object, object_len), sum);
    (void)hex_field(y, item, "object-sha256", found, sizeof found);
    assert_memory_equal(sum, found, sizeof found);
    if (cli_yaml_get(y, item, "object") != NULL) {
        assert_int_equal(hex_field(y, item, "object", expected, sizeof expected).n, object_len);
        assert_memory_equal(expected, object, object_len);
    }
    assert_int_equal(open_octets(mkt_span(object, object_len), &err), CLI_EXIT_OK);
    assert_memory_equal(memory.out, content, size);
}

static void
seals_and_opens_the_published_example(void **state)
{
    CLI_SCOPED_BLOB text = { 0 };
    CLI_SCOPED_YAML y = { 0 };
    struct cli_error err = { 0 };

    (void)state;
    if (!cli_file_read(&text, example_path, 65536, CLI_PUBLIC, &err) ||
        !cli_yaml_read(&y, &form, example_path, cli_blob_span(&text), &err))
        fail_msg("%s", err.text);
    assert_int_equal(y.items, 2);
    for (size_t i = 0; i < y.items; i++)
        one_example(&y, i);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_what_was_sealed_at_every_border),
        cmocka_unit_test(refuses_each_octet_that_was_changed),
        cmocka_unit_test(refuses_each_cut_and_each_octet_that_was_added),
        cmocka_unit_test(refuses_a_message_of_no_octets_and_of_too_many),
        cmocka_unit_test(refuses_parts_that_were_moved_left_out_or_doubled),
        cmocka_unit_test(refuses_another_content_under_the_same_message),
        cmocka_unit_test(refuses_a_front_that_is_none),
        cmocka_unit_test(notices_a_file_that_changes_while_it_is_sealed),
        cmocka_unit_test(holds_for_inputs_of_every_kind),
        cmocka_unit_test(takes_keys_of_both_suites_and_no_others),
        cmocka_unit_test(seals_and_opens_the_published_example),
    };

    if (argc != 2)
        return 2;
    example_path = argv[1];
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
