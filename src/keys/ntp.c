/* SPDX-License-Identifier: Apache-2.0 */
/* Timestamps. All NTP times are read as 1968-2104: with the top bit of the seconds set they count
 * from 1900, without it from 2036 (RFC 4330 section 3, mandatory by RFC 6043 6.3). */
#include "keys/keys.h"

#include "payload/codec.h"

#define NTP_TO_UNIX 2208988800 /* seconds from 1900 to 1970 */
#define ERA ((int64_t)1 << 32) /* seconds from 1900 to 2036 */
#define NSEC_PER_SEC 1000000000u

uint64_t
mkt_ntp_from_unix(int64_t sec, uint32_t nsec)
{
    uint64_t seconds = (uint64_t)sec + NTP_TO_UNIX + nsec / NSEC_PER_SEC;
    uint64_t fraction = ((uint64_t)(nsec % NSEC_PER_SEC) << 32) / NSEC_PER_SEC;
    return seconds << 32 | fraction; /* the shift drops the era */
}

int64_t
mkt_ntp_to_unix(uint64_t ntp)
{
    int64_t seconds = (int64_t)(ntp >> 32);
    if (ntp >> 63 == 0)
        seconds += ERA;
    return seconds - NTP_TO_UNIX;
}

uint64_t
mkt_ntp_order(uint64_t ntp)
{
    return ntp ^ (uint64_t)1 << 63;
}

size_t
mkt_ts_len(uint8_t ts_type)
{
    static const uint8_t len[] = {
        [MKT_TS_NTP_UTC] = 8, [MKT_TS_NTP] = 8, [MKT_TS_COUNTER] = 4, [MKT_TS_NTP_UTC_32] = 4
    };
    return ts_type < sizeof len ? len[ts_type] : 0;
}

uint64_t
mkt_ts_widen(uint8_t ts_type, struct mkt_span value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < value.n; i++)
        v = v << 8 | value.p[i];
    return ts_type == MKT_TS_NTP_UTC_32 ? v << 32 : v;
}

size_t
mkt_ts_narrow(uint8_t ts_type, uint64_t value, uint8_t out[8])
{
    size_t len = mkt_ts_len(ts_type);
    if (ts_type == MKT_TS_COUNTER && value > UINT32_MAX)
        return 0; /* a counter that starts again would accept old messages again */
    if (ts_type == MKT_TS_NTP_UTC_32)
        value >>= 32;
    for (size_t i = len; i-- > 0; value >>= 8)
        out[i] = (uint8_t)value;
    return len;
}

void
mkt_ts_write(struct mkt_writer *w, uint8_t ts_type, uint64_t t64)
{
    uint8_t value[8];
    size_t n = mkt_ts_narrow(ts_type, t64, value);
    mkt_pl_write(w,
                 &(struct mkt_payload){ .type = MKT_PL_T, .u.t = { ts_type, mkt_span(value, n) } });
}

bool
mkt_ts_stamp(const struct mkt_env *env, uint8_t ts_type, uint64_t *t64)
{
    if (mkt_ts_len(ts_type) == 0 || (ts_type == MKT_TS_COUNTER && env->stamp == NULL))
        return false;
    *t64 = env->stamp != NULL ? env->stamp(env->ctx, ts_type) : env->now;
    if (ts_type == MKT_TS_NTP_UTC_32)
        *t64 &= ~(uint64_t)UINT32_MAX; /* as the receiver will widen it (6.3) */
    /* A counter that begins again would accept old messages again. */
    return ts_type != MKT_TS_COUNTER || *t64 <= UINT32_MAX;
}
