/* SPDX-License-Identifier: Apache-2.0 */
/* The sums are those of RFC 3550 appendix A. libre writes the packets; they are read here, where
 * only two kinds matter, and no length is trusted. */
#include "reports.h"

#include "rtp.h"

/* --- sums ------------------------------------------------------------------------------------- */

/* A.8: how much later than its forerunner a packet came than it was sent. */
static void
count_jitter(struct phone_reports *r, uint32_t timestamp, uint64_t now_ms)
{
    uint32_t transit = (uint32_t)(now_ms * (r->clock / 1000)) - timestamp;
    uint32_t later = transit - r->transit, off = later < 0x80000000 ? later : -later;

    if (r->begun)
        r->jitter16 += off - ((r->jitter16 + 8) >> 4);
    r->transit = transit;
}

/* A.1, without its probation: what comes here is authentic. */
void
phone_reports_heard(struct phone_reports *r, uint16_t seq, uint32_t timestamp, uint64_t now_ms)
{
    count_jitter(r, timestamp, now_ms);
    if (!r->begun)
        r->first_seq = r->last_seq = seq;
    else if ((uint16_t)(seq - r->last_seq) < 0x8000) {
        r->cycles += seq < r->last_seq;
        r->last_seq = seq;
    }
    r->begun = true;
    r->heard++;
}

static uint64_t
expected(const struct phone_reports *r)
{
    return r->begun ? ((uint64_t)r->cycles << 16) + r->last_seq - r->first_seq + 1 : 0;
}

uint64_t
phone_reports_lost(const struct phone_reports *r)
{
    uint64_t due = expected(r);
    return due > r->heard ? due - r->heard : 0;
}

/* A.3: of 256, since the last report. */
static uint8_t
fraction_lost(struct phone_reports *r)
{
    uint64_t due = expected(r) - r->expected_before, came = r->heard - r->heard_before;

    r->expected_before += due;
    r->heard_before += came;
    uint64_t part = due > came ? ((due - came) << 8) / due : 0;
    if (part > UINT8_MAX)
        return UINT8_MAX;
    return (uint8_t)part;
}

/* --- what we say ------------------------------------------------------------------------------ */

struct block {
    struct phone_reports *r;
    uint64_t now_ms;
};

/* The report block; none when nothing was heard. */
static int
write_block(struct mbuf *mb, void *arg)
{
    const struct block *b = arg;
    struct phone_reports *r = b->r;
    uint64_t lost = phone_reports_lost(r);

    if (!r->begun)
        return 0;
    const uint32_t words[] = {
        r->their_ssrc,
        (uint32_t)fraction_lost(r) << 24 | (uint32_t)(lost < 0x7fffff ? lost : 0x7fffff),
        r->cycles << 16 | r->last_seq,
        r->jitter16 >> 4,
        r->their_time,
        r->their_time != 0 ? (uint32_t)((b->now_ms - r->their_time_at) * 65536 / 1000) : 0,
    };
    int err = 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        err |= mbuf_write_u32(mb, htonl(words[i]));
    return err;
}

static int
write_name(struct mbuf *mb, void *arg)
{
    const struct phone_reports *r = arg;
    return rtcp_sdes_encode(mb, r->ssrc, 1, RTCP_SDES_CNAME, r->cname);
}

/* RFC 3550 6.1: a report first, then who it is from, and maybe that it is the last. */
bool
phone_reports_write(struct phone_reports *r, struct mbuf *mb, bool bye, uint64_t ntp,
                    uint64_t now_ms)
{
    struct block block = { r, now_ms };
    uint32_t blocks = r->begun ? 1 : 0;
    int err = r->sent > 0 ? rtcp_encode(mb, RTCP_SR, blocks, r->ssrc, (uint32_t)(ntp >> 32),
                                        (uint32_t)ntp, r->timestamp, (uint32_t)r->sent,
                                        (uint32_t)r->octets, write_block, &block)
                          : rtcp_encode(mb, RTCP_RR, blocks, r->ssrc, write_block, &block);

    if (err == 0)
        err = rtcp_encode(mb, RTCP_SDES, 1, write_name, r);
    if (err == 0 && bye)
        err = rtcp_encode(mb, RTCP_BYE, 1, &r->ssrc, NULL);
    return err == 0;
}

/* --- what they say ---------------------------------------------------------------------------- */

#define HEADER 8 /* octets: version, count, type, length, SSRC of the sender */
#define SENDER 20
#define BLOCK 24

static void
take_block(struct phone_reports *r, const uint8_t *p, uint64_t ntp)
{
    uint32_t last = rtp_word(p + 16), since = (uint32_t)(ntp >> 16) - last - rtp_word(p + 20);
    bool known = last != 0 && since < 0x80000000;

    r->reported = (struct phone_reported){
        .has = true,
        .lost = (p[5] & 0x80) != 0 ? 0 : rtp_word(p + 4) & 0xffffff, /* signed: duplicates */
        .jitter_ms = rtp_word(p + 12) / (r->clock / 1000),
        .round_trip_ms = known ? (uint32_t)((uint64_t)since * 1000 >> 16) : 0,
    };
}

/* A sender or receiver report of n octets, from its header on. */
static bool
take_report(struct phone_reports *r, const uint8_t *p, size_t n, uint64_t ntp, uint64_t now_ms)
{
    size_t at = p[1] == RTCP_SR ? HEADER + SENDER : HEADER, blocks = p[0] & 0x1f;

    if (n < at + blocks * BLOCK)
        return false;
    if (p[1] == RTCP_SR) {
        r->their_time = rtp_word(p + HEADER) << 16 | rtp_word(p + HEADER + 4) >> 16;
        r->their_time_at = now_ms;
    }
    for (; blocks > 0; blocks--, at += BLOCK)
        if (rtp_word(p + at) == r->ssrc)
            take_block(r, p + at, ntp);
    return true;
}

/* RFC 3550 A.2: version 2, a report first, and lengths that add up. */
bool
phone_reports_read(struct phone_reports *r, struct mkt_span compound, uint64_t ntp, uint64_t now_ms)
{
    const uint8_t *p = compound.p;
    size_t left = compound.n;

    if (left < HEADER || (p[1] != RTCP_SR && p[1] != RTCP_RR))
        return false;
    while (left > 0) {
        if (left < 4 || p[0] >> 6 != RTCP_VERSION)
            return false;
        size_t n = 4 * (size_t)((p[2] << 8 | p[3]) + 1);
        bool report = p[1] == RTCP_SR || p[1] == RTCP_RR;
        if (n > left || (report && n < HEADER))
            return false;
        if (report && rtp_word(p + 4) == r->their_ssrc && !take_report(r, p, n, ntp, now_ms))
            return false;
        p += n;
        left -= n;
    }
    return true;
}
