/* SPDX-License-Identifier: Apache-2.0 */
/* Crypto sessions, keys and packets as the SRTP tests use them. */
#ifndef MKT_TEST_SRTP_SESSION_H
#define MKT_TEST_SRTP_SESSION_H

#include <mikeyticket/media/srtp.h>

#define SSRC 0xcafebabeu

#define SPAN(...) mkt_span((const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))
#define NOTHING mkt_span(NULL, 0)

/* TEK and salt of the given lengths; `seed` tells keys apart. */
struct keys {
    struct mkt_secret tek, salt;
};

static inline struct keys
make_keys(uint16_t tek_len, uint16_t salt_len, uint8_t seed)
{
    struct keys k = { { .n = tek_len }, { .n = salt_len } };

    for (unsigned i = 0; i < tek_len; i++)
        k.tek.b[i] = (uint8_t)(seed + 7 * i);
    for (unsigned i = 0; i < salt_len; i++)
        k.salt.b[i] = (uint8_t)(seed + 101 + 3 * i);
    return k;
}

static inline struct mkt_session
make_session(struct mkt_span params, struct mkt_span spi)
{
    return (struct mkt_session){
        .cs_id = 1,
        .prot_type = MKT_PROT_SRTP,
        .has_ssrc = true,
        .ssrc = SSRC,
        .spi = spi,
        .params = params,
    };
}

#define PAYLOAD 160
#define RTP_LEN (12 + PAYLOAD)

struct packet {
    int len;
    uint8_t b[RTP_LEN + SRTP_MAX_TRAILER_LEN + 4];
};

static inline struct packet
rtp_packet(uint16_t seq)
{
    struct packet p = {
        RTP_LEN, { 0x80, 96, (uint8_t)(seq >> 8), (uint8_t)seq, 0, 0, 0, 1, 0xca, 0xfe, 0xba, 0xbe }
    };
    for (unsigned i = 12; i < RTP_LEN; i++)
        p.b[i] = (uint8_t)(i + seq);
    return p;
}

/* Set-up and tear-down of all tests of a program. */
static inline int
srtp_begin(void **state)
{
    (void)state;
    return srtp_init() == srtp_err_status_ok ? 0 : -1;
}

static inline int
srtp_end(void **state)
{
    (void)state;
    return srtp_shutdown() == srtp_err_status_ok ? 0 : -1;
}

#endif
