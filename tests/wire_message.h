/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded messages, taken apart and put together again with one payload changed. One message at a
 * time is loaded, in `msg`; what was built of it is in `changed`. */
#ifndef MKT_TESTS_WIRE_MESSAGE_H
#define MKT_TESTS_WIRE_MESSAGE_H

#include "wire.h"

#include "message/message.h"
#include "wire_vectors.h"

static uint8_t octets[MKT_MSG_MAX + 2], built[MKT_MSG_MAX];
static struct mkt_msg msg, changed;
static struct mkt_err err;

static inline const struct wire_vector *
vector(const char *name)
{
    size_t i = 0;
    while (i < WIRE_VECTORS && strcmp(wire_vectors[i].name, name) != 0)
        i++;
    assert_true(i < WIRE_VECTORS);
    return &wire_vectors[i];
}

static inline enum mkt_rc
parse(struct mkt_msg *m, const uint8_t *p, size_t n)
{
    err = (struct mkt_err){ 0 };
    return mkt_msg_parse(m, mkt_span(p, n), &err);
}

static inline void
load(const char *name)
{
    size_t n = hex_octets(vector(name)->hex, octets, sizeof octets);
    assert_int_equal(parse(&msg, octets, n), MKT_OK);
}

/* Builds a message of hdr and payloads, then parses and checks it. */
static inline enum mkt_rc
check(const struct mkt_hdr *hdr, const struct mkt_payload *const *pl, size_t n)
{
    struct mkt_writer w = mkt_w_open(built, sizeof built);
    mkt_hdr_write(&w, hdr);
    for (size_t i = 0; i < n; i++)
        mkt_pl_write(&w, pl[i]);
    assert_false(w.overflow);
    return parse(&changed, built, w.len) != MKT_OK ? err.rc : mkt_msg_check(&changed, &err);
}

/* The payloads of msg with `extra` before number `at`, and without number `without`. */
static inline enum mkt_rc
check_edited(const struct mkt_payload *extra, size_t at, size_t without)
{
    const struct mkt_payload *pl[MKT_PAYLOADS_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i <= msg.n; i++) {
        if (extra != NULL && i == at)
            pl[n++] = extra;
        if (i < msg.n && i != without)
            pl[n++] = &msg.pl[i];
    }
    return check(&msg.hdr, pl, n);
}

#define NONE SIZE_MAX

#endif
