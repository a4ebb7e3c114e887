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
#include "tpk.h"
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

static int
open_nodes(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/kms.db", dir);
    assert_int_equal(kms_store_open_sqlite(&a, path, 0, &err), KMS_STORE_OK);
    assert_int_equal(kms_store_open_sqlite(&b, path, 0, &err), KMS_STORE_OK);
    vault = kms_vault_local(NULL, 1);
    assert_non_null(vault);
    assert_int_equal(pipe(log_pipe), 0);
    kms_log_init(&log_of, log_pipe[1], KMS_INFO, false);
    return 0;
}

static int
close_nodes(void **state)
{
    static const char *const side[] = { "", "-wal", "-shm" };
    char name[80];

    (void)state;
    a->ops->close(a);
    b->ops->close(b);
    kms_vault_close(vault);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, side[i]);
        unlink(name);
    }
    rmdir(dir);
    memcpy(dir, "/tmp/mikey-tpks-XXXXXX", sizeof dir);
    close(log_pipe[0]);
    close(log_pipe[1]);
    return 0;
}

static void
keep(struct kms_store *s, int64_t now)
{
    assert_int_equal(kms_tpk_keep(s, vault, 30 * DAY, DAY, now, &log_of, &err), KMS_STORE_OK);
}

/* "1 previous, 2 current" and the like at `now`. */
static const char *
states(int64_t now)
{
    static char text[256];
    struct kms_generation *g;
    size_t n, used = 0;
    int64_t until;

    text[0] = '\0';
    assert_int_equal(kms_tpk_list(a, &g, &n, &err), KMS_STORE_OK);
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d %s", i == 0 ? "" : ", ",
                                 (int)g[i].number,
                                 kms_tpk_state_word(kms_tpk_state(g, n, i, now, &until)));
    free(g);
    return text;
}

/* The id of the key that protects new tickets, as the daemon's picture has it. */
static const char *
current(int64_t now, int64_t *due)
{
    static char id[40];
    struct kms_found_tpk t;
    struct kms_index *x;

    assert_int_equal(kms_index_build(&x, a, vault, now, &err), KMS_STORE_OK);
    id[0] = '\0';
    if (kms_index_tpk_of(x, (struct mkt_identity){ 0 }, 32, &t))
        snprintf(id, sizeof id, "%.*s", (int)t.id.n, (const char *)t.id.p);
    *due = kms_index_due(x);
    kms_index_free(x);
    return id;
}

static bool
opens(const char *id, int64_t now)
{
    struct kms_found_tpk t;
    struct kms_index *x;
    bool found;

    assert_int_equal(kms_index_build(&x, a, vault, now, &err), KMS_STORE_OK);
    found = kms_index_tpk(x, mkt_span(id, strlen(id)), 32, &t);
    kms_index_free(x);
    return found;
}

static void
a_key_lives_from_next_to_retired(void **state)
{
    const int64_t second = T0 + 30 * DAY, end = second + DAY + KMS_TPK_SLACK_S;
    int64_t due;

    (void)state;
    keep(a, T0);
    assert_string_equal(states(T0), "1 current");
    keep(a, second - HOUR - 1);
    assert_string_equal(states(second - HOUR - 1), "1 current");
    keep(a, second - HOUR); /* ahead of time, so that all nodes have it */
    assert_string_equal(states(second - HOUR), "1 current, 2 next");
    assert_string_equal(current(second - 1, &due), "tpk-1-256");
    assert_true(due == second);                  /* when the picture is made anew */
    assert_true(opens("tpk-2-256", second - 1)); /* another node may be a second ahead */
    keep(a, second);
    assert_string_equal(current(second, &due), "tpk-2-256");
    assert_string_equal(states(second), "1 previous, 2 current");
    keep(a, end - 1); /* the last ticket made with it has just run out */
    assert_string_equal(states(end - 1), "1 previous, 2 current");
    assert_true(opens("tpk-1-256", end - 1));
    assert_string_equal(states(end), "1 retired, 2 current");
    keep(a, end);
    assert_string_equal(states(end), "2 current");
    assert_false(opens("tpk-1-256", end));
}

static void
of_two_nodes_one_makes_the_next_key(void **state)
{
    const int64_t then = T0 + 30 * DAY - HOUR;
    struct kms_generation *g;
    size_t n;

    (void)state;
    keep(a, T0);
    assert_int_equal(kms_tpk_list(b, &g, &n, &err), KMS_STORE_OK); /* b has looked, */
    keep(a, then);                                                 /* a is faster */
    struct kms_tpk_step step = kms_tpk_plan(g, n, 30 * DAY, then);
    assert_int_equal(step.what, KMS_TPK_MAKE);
    assert_int_equal(kms_tpk_make(b, vault, step.generation, step.starts, DAY, &err),
                     KMS_STORE_EXISTS);
    free(g);
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
    assert_int_equal(a->ops->tpk_validity(a, DAY, &err), KMS_STORE_OK); /* never shorter again */
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
    int64_t due;

    (void)state;
    keep(a, T0);
    keep(a, late);
    assert_string_equal(states(late), "1 current, 2 next");
    assert_string_equal(current(late, &due), "tpk-1-256");
    assert_true(due == late + HOUR);
}

static void
a_rotation_by_hand_starts_the_key_that_waits(void **state)
{
    const int64_t then = T0 + 30 * DAY - HOUR;
    int64_t generation, due;

    (void)state;
    keep(a, T0);
    keep(a, then);
    assert_int_equal(kms_tpk_rotate(a, vault, then + 1, DAY, &generation, &err), KMS_STORE_OK);
    assert_int_equal(generation, 2);
    assert_string_equal(current(then + 1, &due), "tpk-2-256");
    assert_int_equal(kms_tpk_rotate(a, vault, then + 2, DAY, &generation, &err), KMS_STORE_OK);
    assert_int_equal(generation, 3);
    assert_string_equal(states(then + 2), "1 previous, 2 previous, 3 current");
}

static void
short_periods_are_planned_as_long_ones(void **state)
{
    const struct kms_generation g[] = { { 1, T0, 5 } };

    (void)state;
    assert_int_equal(kms_tpk_plan(g, 1, 60, T0 + 44).what, KMS_TPK_WAIT);
    assert_int_equal(kms_tpk_plan(g, 1, 60, T0 + 45).what, KMS_TPK_MAKE);
    assert_true(kms_tpk_plan(g, 1, 60, T0 + 45).starts == T0 + 60);
    assert_int_equal(kms_tpk_plan(g, 0, 60, T0).what, KMS_TPK_MAKE);
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
        cmocka_unit_test(short_periods_are_planned_as_long_ones),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
