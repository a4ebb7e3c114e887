/* SPDX-License-Identifier: Apache-2.0 */
/* A call that can be updated, and a look at both CSBs before: what fails must leave them as they
 * were. */
#ifndef TESTS_UPDATE_CASE_H
#define TESTS_UPDATE_CASE_H

#include "update_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LM (MKT_TP_L | MKT_TP_M)
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

struct case_ {
    struct call c;
    struct change u;
    struct mkt_secret alice, bob; /* digests before */
};

static inline void
begin(struct case_ *t, uint16_t set, uint16_t clear, uint8_t key)
{
    assert_true(updatable_open(&t->c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, set, clear));
    change_init(&t->u, &t->c, 3, key);
    t->alice = csb_digest(&t->c, t->c.at_alice[0]);
    t->bob = csb_digest(&t->c, t->c.at_bob[0]);
}

static inline void
assert_nothing_changed(struct case_ *t)
{
    struct mkt_secret alice = csb_digest(&t->c, t->c.at_alice[0]);
    struct mkt_secret bob = csb_digest(&t->c, t->c.at_bob[0]);
    assert_true(mkt_ct_equal(mkt_secret_span(&alice), mkt_secret_span(&t->alice)));
    assert_true(mkt_ct_equal(mkt_secret_span(&bob), mkt_secret_span(&t->bob)));
}

#endif
