/* SPDX-License-Identifier: Apache-2.0 */
/* The properties that the fuzz target of compatibility tickets checks, walked over every cut and
 * many small damages of true ones; and a whole Ticket Request for one with each allocation failing.
 */
#include "failing_alloc.h"

#include "../fuzz/compat.h"
#include "compat_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint8_t input[4096], damaged[4096];
static size_t gave_a_message;

static void
holds(size_t n, size_t at, const char *damage)
{
    const char *broken = mkt_compat_run(damaged, n);
    if (broken != NULL)
        fail_msg("mode %u, octet %zu %s: %s", damaged[0], at, damage, broken);
    gave_a_message += mkt_compat_believed();
}

static void
every_damage_of_a_ticket_is_refused_or_harmless(void **state)
{
    static const uint8_t flips[] = { 0x01, 0x80, 0x15 };
    (void)state;
    for (uint8_t mode = 0; mode <= MKT_COMPAT_MODES; mode++) {
        size_t n = mkt_compat_seed(mode, input, sizeof input);
        assert_true(n > 100);
        memcpy(damaged, input, n);
        gave_a_message = 0;
        holds(n, 0, "as it is");
        assert_int_equal(gave_a_message, (mode & MKT_COMPAT_LATE) == 0); /* RFC6043:6.10-12 */
        for (size_t at = 1; at < n; at++) {
            for (size_t i = 0; i < sizeof flips; i++) {
                damaged[at] = input[at] ^ flips[i];
                holds(n, at, "altered");
            }
            damaged[at] = input[at];
            holds(at, at, "and what follows cut off");
        }
    }
    mkt_compat_close();
}

/* All that an Initiator does with such a ticket. */
static enum mkt_rc
use(struct call *c, struct mkt_secret *tek, struct mkt_secret *salt)
{
    struct mkt_compat compat;
    uint8_t file[4096];
    size_t n = 0;
    struct mkt_err *err = &c->io.err;
    enum mkt_rc rc = call_until_grant(c);

    if (rc == MKT_OK)
        rc = mkt_grant_export(c->grant, file, sizeof file, &n);
    if (rc != MKT_OK)
        return rc;
    mkt_grant_free(c->grant);
    c->grant = NULL;
    *err = (struct mkt_err){ .rc = MKT_OK };
    rc = mkt_grant_import(&c->grant, mkt_span(file, n), err);
    mkt_wipe(file, sizeof file);
    if (rc == MKT_OK)
        rc = mkt_grant_compat(c->grant, &c->env, &compat, err);
    return rc == MKT_OK ? mkt_grant_compat_derive(c->grant, &c->env, 1, tek, salt, err) : rc;
}

static void
run_with_failure(long n, uint8_t subtype, bool *done)
{
    struct call c;
    MKT_SCOPED_SECRET
    tek = { 0 };
    MKT_SCOPED_SECRET
    salt = { 0 };

    left = n;
    bool opened = compat_call_open(&c, subtype, 16);
    enum mkt_rc rc = opened ? use(&c, &tek, &salt) : MKT_E_MEMORY;
    *done = left != -1; /* it was not reached */
    left = -1;
    if (*done)
        assert_int_equal(rc, MKT_OK);
    if (rc != MKT_OK) {
        assert_true(!opened || rc == MKT_E_MEMORY || rc == MKT_E_CRYPTO);
        assert_int_equal(tek.n, 0);
        assert_int_equal(salt.n, 0);
    } else {
        assert_int_equal(tek.n, 16);
    }
    call_close(&c);
}

static void
each_allocation_on_the_way_to_a_message_can_fail(void **state)
{
    (void)state;
    for (uint8_t subtype = MKT_COMPAT_IDS; subtype <= MKT_COMPAT_NO_IDS; subtype++) {
        bool done = false;
        long n = 0;
        for (; !done; n++)
            run_with_failure(n, subtype, &done);
        assert_true(n > 20); /* there was something to fail */
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_on_the_way_to_a_message_can_fail),
        cmocka_unit_test(every_damage_of_a_ticket_is_refused_or_harmless),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return failing_alloc_begin() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
