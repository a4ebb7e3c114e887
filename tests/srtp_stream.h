/* SPDX-License-Identifier: Apache-2.0 */
/* Streams whose keys are numbered, and packets through them. */
#ifndef MKT_TEST_SRTP_STREAM_H
#define MKT_TEST_SRTP_STREAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "srtp_session.h"

#include <cmocka.h>

/* The policy of cs under key number `n`. */
static inline void
policy(struct mkt_srtp *s, uint8_t n, struct mkt_session cs)
{
    struct keys k = make_keys(16, 14, n);
    struct mkt_err err = { 0 };

    assert_int_equal(mkt_srtp_policy_from(s, &cs, &k.tek, &k.salt, &err), MKT_OK);
}

/* Of a stream that stands at (roc, seq), whose MKI is the number of the key. */
static inline void
numbered(struct mkt_srtp *s, uint8_t n, uint32_t roc, uint16_t seq)
{
    struct mkt_session cs = make_session(NOTHING, SPAN(0, 0, 0, n));

    cs.roc = roc;
    cs.seq = seq;
    policy(s, n, cs);
}

static inline struct mkt_srtp_stream *
make_stream(struct mkt_srtp *s)
{
    struct mkt_srtp_stream *stream;
    struct mkt_err err = { 0 };

    assert_int_equal(mkt_srtp_stream_new(&stream, s, &err), MKT_OK);
    return stream;
}

/* A stream under key 1 that one joins at (roc, seq). */
static inline struct mkt_srtp_stream *
join(uint32_t roc, uint16_t seq)
{
    struct mkt_srtp s;

    numbered(&s, 1, roc, seq);
    return make_stream(&s);
}

static inline void
rekey(struct mkt_srtp_stream *stream, uint8_t n)
{
    struct mkt_srtp s;
    struct mkt_err err = { 0 };

    numbered(&s, n, 0, 0);
    assert_int_equal(mkt_srtp_stream_rekey(stream, &s, &err), MKT_OK);
}

static inline struct packet
protect(struct mkt_srtp_stream *sender, uint16_t seq)
{
    struct packet p = rtp_packet(seq);

    assert_int_equal(mkt_srtp_stream_protect(sender, p.b, &p.len), srtp_err_status_ok);
    return p;
}

static inline bool
accepts(struct mkt_srtp_stream *receiver, struct packet p)
{
    return mkt_srtp_stream_unprotect(receiver, p.b, &p.len) == srtp_err_status_ok &&
           p.len == RTP_LEN;
}

#endif
