/* SPDX-License-Identifier: Apache-2.0 */
/* One call for each test, and messages of it taken apart and put together again: for the tests of
 * the roles in their corners. */
#ifndef MKT_TESTS_CORNERS_H
#define MKT_TESTS_CORNERS_H

#include "failing_crypto.h"
#include "update_call.h"

#include "payload/codec.h"
#include <mikeyticket/message.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct call c;
static struct mkt_err err;

static inline int
open_a_call(void **state)
{
    (void)state;
    err = (struct mkt_err){ 0 };
    return call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC) ? 0 : -1;
}

static inline int
close_the_call(void **state)
{
    (void)state;
    call_close(&c);
    return 0;
}

static inline struct mkt_msg *
parsed(const struct message *m)
{
    static struct mkt_msg msg;
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_msg_parse(&msg, mkt_span(m->b, m->n), &err), MKT_OK);
    return &msg;
}

/* Writes the payloads of msg anew. The MAC is that of the old message. */
static inline void
rewrite(struct message *m, const struct mkt_msg *msg)
{
    static struct message out;
    struct mkt_writer w = mkt_w_open(out.b, sizeof out.b);
    mkt_hdr_write(&w, &msg->hdr);
    for (size_t i = 0; i < msg->n; i++)
        mkt_pl_write(&w, &msg->pl[i]);
    assert_false(w.overflow);
    out.n = w.len;
    *m = out;
}

static inline struct mkt_payload *
payload(struct mkt_msg *msg, uint16_t type, uint8_t role)
{
    const struct mkt_payload *pl = mkt_msg_find(msg, type, role);
    assert_non_null(pl);
    return &msg->pl[pl - msg->pl];
}

static inline void
until_offered(void)
{
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
}

static inline void
whole_call(void)
{
    assert_int_equal(call_whole(&c, 1), MKT_OK);
    assert_true(call_agrees(&c, 0));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_a_call, close_the_call)

#endif
