/* SPDX-License-Identifier: Apache-2.0 */
/* A crypto session as a libsrtp2 policy. What libsrtp2 cannot do is refused, never approximated. */
#ifndef MIKEYTICKET_MEDIA_SRTP_H
#define MIKEYTICKET_MEDIA_SRTP_H

#include <mikeyticket/csb.h>
#include <srtp2/srtp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* mkt_srtp holds a policy and the key octets it points to. */
struct mkt_srtp {
    srtp_policy_t policy;
    srtp_master_key_t master;
    srtp_master_key_t *masters[1];
    uint8_t key[SRTP_MAX_KEY_LEN];
    uint8_t mki[SRTP_MAX_MKI_LEN];
    uint32_t roc;
};

/* mkt_srtp_policy fills s for crypto session `index` of csb (RFC 3830 6.10.1, RFC 6043 6.1.1):
 * cipher and authentication from the SP parameters, TEK and salt, MKI = SPI, SSRC. The policy
 * points into s, so s must not be moved. MKT_E_SP_PARAM names the parameter libsrtp2 has no equal
 * for; MKT_E_KEY_DATA a key or salt of the wrong length. After srtp_create call mkt_srtp_wipe. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_srtp_policy(struct mkt_srtp *s, const struct mkt_csb *csb,
                                                 struct mkt_crypto *c, size_t index,
                                                 struct mkt_err *err);

/* mkt_srtp_create makes the libsrtp2 session of s and sets its ROC; wipes s on every path. `*out`
 * is owned by the caller (srtp_dealloc). srtp_init() must have been called once. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_srtp_create(srtp_t *out, struct mkt_srtp *s,
                                                 struct mkt_err *err);

/* mkt_srtp_wipe clears the key octets of s. */
MKT_API void mkt_srtp_wipe(struct mkt_srtp *s);

#ifdef __cplusplus
}
#endif
#endif
