/* SPDX-License-Identifier: Apache-2.0 */
/* Ticket protection keys over their life, with the time as an argument: states, the plan, and what
 * two nodes on one store do to each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "index.h"
#include "store_file.h"
#include "tpk_schedule.h"

#define HOUR 3600
#define DAY (24 * HOUR)
#define T0 ((int64_t)1800000000)

static char dir[] = "/tmp/mikey-tpks-XXXXXX", path[64];
static struct kms_store *a, *b; /* two nodes on one store */
static struct kms_vault *vault;
static struct kms_store_err err;
static struct kms_log log_of;
static int log_pipe[2];
static int64_t store_time;
static const struct kms_store_ops *real_ops;
static struct kms_store_ops ops;

/* The clock of the store, for both nodes. */
static enum kms_store_rc
tell_time(struct kms_store *s, int64_t *now, struct kms_store_err *e)
{
    (void)s;
    (void)e;
    *now = store_time;
    return KMS_STORE_OK;
}

static int
open_nodes(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/kms.db", dir);
    assert_int_equal(kms_store_open_sqlite(&a, path, 0, &err), KMS_STORE_OK);
    assert_int_equal(kms_store_open_sqlite(&b, path, 0, &err), KMS_STORE_OK);
    real_ops = a->ops;
    ops = *real_ops;
    ops.now = tell_time;
    a->ops = b->ops = &ops;
    vault = kms_vault_local(NULL, 1);
    assert_non_null(vault);
    assert_int_equal(pipe(log_pipe), 0);
    kms_log_init(&log_of, log_pipe[1], KMS_INFO, false);
    return 0;
}

static int
close_nodes(void **state)
{
    (void)state;
    a->ops->close(a);
    b->ops->close(b);
    kms_vault_close(vault);
    store_file_remove(path);
    rmdir(dir);
    memcpy(dir, "/tmp/mikey-tpks-XXXXXX", sizeof dir);
    close(log_pipe[0]);
    close(log_pipe[1]);
    return 0;
}

static void
keep(struct kms_store *s, int64_t now)
{
    store_time = now;
    assert_int_equal(kms_tpk_keep(s, vault, 30 * DAY, DAY, &log_of, &err), KMS_STORE_OK);
}

static enum kms_store_rc
rotate(const char *realm, int64_t now, int64_t *generation)
{
    store_time = now;
    return kms_tpk_rotate(a, vault, realm, DAY, generation, &err);
}

/* "1 previous, 2 current" and the like at `now`. */
static const char *
states(int64_t now)
{
    static char text[256];
    struct kms_generations g;
    size_t used = 0;
    int64_t until;

    text[0] = '\0';
    assert_int_equal(kms_generations_read(&g, a, &err), KMS_STORE_OK);
    for (size_t i = 0; i < g.n; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d %s", i == 0 ? "" : ", ",
                                 (int)g.at[i].number,
                                 kms_tpk_state_word(kms_tpk_state(&g, i, now, &until)));
    kms_generations_free(&g);
    return text;
}

/* The id of the key that protects new tickets of a realm, as the daemon's picture has it. */
static const char *
current_of(uint32_t realm, int64_t now)
{
    static char id[40];
    struct kms_found_tpk t;
    struct kms_index *x;

    assert_int_equal(kms_index_build(&x, a, vault, &err), KMS_STORE_OK);
    id[0] = '\0';
    if (kms_index_tpk_current(x, realm, 32, now, &t))
        snprintf(id, sizeof id, "%.*s", (int)t.id.n, (const char *)t.id.p);
    kms_index_free(x);
    return id;
}

static const char *
current(int64_t now)
{
    return current_of(1, now);
}

static bool
opens(const char *id)
{
    struct kms_found_tpk t;
    struct kms_index *x;
    bool found;

    assert_int_equal(kms_index_build(&x, a, vault, &err), KMS_STORE_OK);
    found = kms_index_tpk(x, mkt_span(id, strlen(id)), 32, &t);
    kms_index_free(x);
    return found;
}

static void
a_key_lives_from_next_to_retired(void **state)
{
    const int64_t second = T0 + 30 * DAY, end = second + DAY + KMS_TPK_SLACK_S;

    (void)state;
    keep(a, T0);
    assert_string_equal(states(T0), "1 current");
    keep(a, second - HOUR - 1);
    assert_string_equal(states(second - HOUR - 1), "1 current");
    keep(a, second - HOUR); /* ahead of time, so that all nodes have it */
    assert_string_equal(states(second - HOUR), "1 current, 2 next");
    assert_string_equal(current(second - 1), "tpk-1-256");
    assert_true(opens("tpk-2-256")); /* another node may be a second ahead */
    keep(a, second);
    assert_string_equal(current(second), "tpk-2-256");
    assert_string_equal(states(second), "1 previous, 2 current");
    keep(a, end - 1); /* the last ticket made with it has just run out */
    assert_string_equal(states(end - 1), "1 previous, 2 current");
    assert_true(opens("tpk-1-256"));
    assert_string_equal(states(end), "1 retired, 2 current");
    keep(a, end);
    assert_string_equal(states(end), "2 current");
    assert_false(opens("tpk-1-256"));
}

static void
of_two_nodes_one_makes_the_next_key(void **state)
{
    const int64_t then = T0 + 30 * DAY - HOUR;
    struct kms_tpk pair[2] = { { .id = "tpk-2-128", .realm = 1 }, { .id = "tpk-2-256" } };
    struct kms_generations g;

    (void)state;
    keep(a, T0);
    assert_int_equal(kms_generations_read(&g, b, &err), KMS_STORE_OK); /* b has looked, */
    keep(a, then);                                                     /* a is faster */
    struct kms_tpk_step step = kms_tpk_plan(&g, 1, 30 * DAY, then);
    assert_int_equal(step.what, KMS_TPK_MAKE);
    pair[0].generation = pair[1].generation = step.generation;
    assert_int_equal(b->ops->tpk_add(b, pair, &err), KMS_STORE_EXISTS);
    kms_generations_free(&g);
    keep(b, then);
    assert_string_equal(states(then), "1 current, 2 next");
    assert_int_equal(a->ops->tpk_retire(a, 1, &err), KMS_STORE_OK);
    assert_int_equal(b->ops->tpk_retire(b, 1, &err), KMS_STORE_NOT_FOUND);
}

static void
a_longer_validity_keeps_a_key_longer(void **state)
{
    const int64_t second = T0 + 30 * DAY;

    (void)state;
    keep(a, T0);
    assert_int_equal(a->ops->tpk_validity(a, 7 * DAY, &err), KMS_STORE_OK);
    assert_int_equal(a->ops->tpk_validity(a, DAY, &err), KMS_STORE_SAME); /* never shorter again */
    keep(a, second - HOUR);
    keep(a, second + 7 * DAY + KMS_TPK_SLACK_S - 1);
    assert_string_equal(states(second + 6 * DAY), "1 previous, 2 current");
    keep(a, second + 7 * DAY + KMS_TPK_SLACK_S);
    assert_string_equal(states(second + 6 * DAY), "2 current");
}

static void
a_node_that_slept_still_gives_the_others_time(void **state)
{
    const int64_t late = T0 + 90 * DAY;

    (void)state;
    keep(a, T0);
    keep(a, late);
    assert_string_equal(states(late), "1 current, 2 next");
    assert_string_equal(current(late + HOUR - 1), "tpk-1-256");
    assert_string_equal(current(late + HOUR), "tpk-2-256");
}

static void
a_rotation_by_hand_starts_the_key_that_waits(void **state)
{
    const int64_t then = T0 + 30 * DAY - HOUR;
    int64_t generation;

    (void)state;
    keep(a, T0);
    keep(a, then);
    assert_int_equal(rotate(NULL, then + 1, &generation), KMS_STORE_OK);
    assert_int_equal(generation, 2);
    assert_string_equal(current(then + 1), "tpk-2-256");
    assert_int_equal(rotate(NULL, then + 2, &generation), KMS_STORE_OK);
    assert_int_equal(generation, 3);
    assert_string_equal(states(then + 2), "1 previous, 2 previous, 3 current");
}

/* The clock of a node has no say: it is not T0 here. */
static void
a_plan_goes_by_the_clock_of_the_store_alone(void **state)
{
    const int64_t late = T0 + 90 * DAY;
    struct kms_generations g;
    int64_t generation;

    (void)state;
    keep(a, T0);
    keep(b, late);
    keep(a, late); /* finds that it is done */
    assert_int_equal(rotate(NULL, late + 1, &generation), KMS_STORE_OK);
    assert_int_equal(kms_generations_read(&g, b, &err), KMS_STORE_OK);
    assert_int_equal(g.n, 2);
    assert_true(g.at[0].starts == T0 && g.at[1].starts == late + 1);
    kms_generations_free(&g);
}

static void
short_periods_are_planned_as_long_ones(void **state)
{
    struct kms_generation one = { 1, T0, 5, 1 };
    const struct kms_generations g = { .at = &one, .n = 1 }, none = { .n = 0 };

    (void)state;
    assert_int_equal(kms_tpk_plan(&g, 1, 60, T0 + 44).what, KMS_TPK_WAIT);
    assert_int_equal(kms_tpk_plan(&g, 1, 60, T0 + 45).what, KMS_TPK_MAKE);
    assert_true(kms_tpk_plan(&g, 1, 60, T0 + 45).starts == T0 + 60);
    assert_int_equal(kms_tpk_plan(&none, 1, 60, T0).what, KMS_TPK_MAKE);
    assert_int_equal(kms_tpk_plan(&none, 1, 0, T0).what, KMS_TPK_MAKE); /* the first, always */
    assert_int_equal(kms_tpk_plan(&g, 1, 0, T0 + 400 * DAY).what, KMS_TPK_WAIT);
}

static void
each_realm_has_a_schedule_of_its_own(void **state)
{
    const int64_t later = T0 + 10 * DAY, then = T0 + 30 * DAY;
    uint32_t acme = 0;
    int64_t generation;
    struct kms_generations g;

    (void)state;
    keep(a, T0);
    assert_int_equal(a->ops->realm_add(a, "acme", &err), KMS_STORE_OK);
    keep(a, later); /* which makes its first key */
    assert_int_equal(kms_generations_read(&g, a, &err), KMS_STORE_OK);
    for (size_t i = 0; i < g.n_realms; i++)
        if (strcmp(g.realms[i].name, "acme") == 0)
            acme = g.realms[i].number;
    kms_generations_free(&g);
    assert_string_equal(current_of(acme, later), "tpk-2-256");
    assert_string_equal(current(later), "tpk-1-256");
    keep(a, then); /* that of the default realm is late, that of acme has time */
    assert_string_equal(current(then + HOUR), "tpk-3-256");
    assert_string_equal(current_of(acme, then + HOUR), "tpk-2-256");
    assert_int_equal(rotate("acme", then, &generation), KMS_STORE_OK);
    assert_int_equal(generation, 4);
    assert_string_equal(current_of(acme, then), "tpk-4-256");
    assert_string_equal(current(then), "tpk-1-256"); /* 3 waits, and goes on waiting */
    assert_int_equal(rotate("nobody", then, &generation), KMS_STORE_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_lives_from_next_to_retired, open_nodes, close_nodes),
        cmocka_unit_test_setup_teardown(of_two_nodes_one_makes_the_next_key, open_nodes,
                                        close_nodes),
        cmocka_unit_test_setup_teardown(a_longer_validity_keeps_a_key_longer, open_nodes,
                                        close_nodes),
        cmocka_unit_test_setup_teardown(a_node_that_slept_still_gives_the_others_time, open_nodes,
                                        close_nodes),
        cmocka_unit_test_setup_teardown(a_rotation_by_hand_starts_the_key_that_waits, open_nodes,
                                        close_nodes),
        cmocka_unit_test_setup_teardown(a_plan_goes_by_the_clock_of_the_store_alone, open_nodes,
                                        close_nodes),
        cmocka_unit_test_setup_teardown(each_realm_has_a_schedule_of_its_own, open_nodes,
                                        close_nodes),
        cmocka_unit_test(short_periods_are_planned_as_long_ones),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
