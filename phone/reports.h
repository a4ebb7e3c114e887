/* SPDX-License-Identifier: Apache-2.0 */
/* What two ends of a stream tell each other about it: sender and receiver reports (RFC 3550 6).
 * Times are arguments; protecting and sending is the stream's. */
#ifndef MKT_PHONE_REPORTS_H
#define MKT_PHONE_REPORTS_H

#include <mikeyticket/base.h>
#include <re.h>

/* What the other side says of what we send. */
struct phone_reported {
    bool has; /* it has said something */
    uint32_t lost;
    uint32_t jitter_ms;
    uint32_t round_trip_ms; /* 0: not known */
};

struct phone_reports {
    uint32_t ssrc, their_ssrc;
    uint32_t clock; /* of RTP timestamps, a second */
    char cname[17]; /* of this call and no other (RFC 7022) */
    /* what we have said */
    uint64_t sent, octets;
    uint32_t timestamp;
    /* what we have heard */
    bool begun;
    uint16_t first_seq, last_seq;
    uint32_t cycles;
    uint64_t heard;
    uint32_t transit, jitter16; /* RFC 3550 A.8; in timestamps, the second times 16 */
    uint64_t expected_before, heard_before;
    uint32_t their_time;    /* of their last report, the middle of its NTP time */
    uint64_t their_time_at; /* when it came, in milliseconds */
    struct phone_reported reported;
};

/* phone_reports_heard counts a packet that is authentic; now_ms is any clock's. */
void phone_reports_heard(struct phone_reports *r, uint16_t seq, uint32_t timestamp,
                         uint64_t now_ms);

/* phone_reports_lost returns how many packets have not come. */
uint64_t phone_reports_lost(const struct phone_reports *r);

/* phone_reports_write appends a compound packet; bye: it is the last. ntp is the time as NTP has
 * it. False when memory fails. */
MKT_MUST_USE bool phone_reports_write(struct phone_reports *r, struct mbuf *mb, bool bye,
                                      uint64_t ntp, uint64_t now_ms);

/* phone_reports_read takes a compound packet that is authentic. False: it is broken. */
bool phone_reports_read(struct phone_reports *r, struct mkt_span compound, uint64_t ntp,
                        uint64_t now_ms);

#endif
