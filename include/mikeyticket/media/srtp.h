/* SPDX-License-Identifier: Apache-2.0 */
/* A crypto session as a libsrtp2 policy. What libsrtp2 cannot do is refused, never approximated. */
#ifndef MIKEYTICKET_MEDIA_SRTP_H
#define MIKEYTICKET_MEDIA_SRTP_H

#include <mikeyticket/csb.h>
#include <srtp2/srtp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* mkt_srtp holds a policy and the key octets it points to: do not copy or move it. */
struct mkt_srtp {
    srtp_policy_t policy;
    srtp_master_key_t master;
    srtp_master_key_t *masters[1];
    uint8_t key[SRTP_MAX_KEY_LEN];
    uint8_t mki[SRTP_MAX_MKI_LEN];
    uint32_t roc;
};

/* mkt_srtp_policy fills s for crypto session `index` of csb: derives its TEK and salt and maps them
 * as mkt_srtp_policy_from does. MKT_E_ARGUMENT beyond the last crypto session. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_srtp_policy(struct mkt_srtp *s, const struct mkt_csb *csb,
                                                 struct mkt_crypto *c, size_t index,
                                                 struct mkt_err *err);

/* mkt_srtp_policy_from fills s from a crypto session and keys that are at hand (RFC 3830 6.10.1,
 * RFC 4771, RFC 7714 14.3, RFC 6043 6.1.1): ciphers from cs->params, master key and salt, MKI =
 * cs->spi (no MKI when it is empty), SSRC, ROC. salt->n = 0 is the NULL salt of RFC 3711 3.2.1, not
 * allowed with AES-GCM. All arguments are borrowed for the call; s holds copies and is wiped on
 * failure. MKT_E_SP_PARAM names the parameter libsrtp2 has no equal for, with its offset in
 * cs->params; MKT_E_KEY_DATA a key, salt or MKI of a wrong length; MKT_E_SP another protocol than
 * SRTP; MKT_E_FIELD a missing SSRC.
 * cs->seq is not used: libsrtp2 takes no initial SEQ. A receiver that joins when its first packet
 * lies beyond a sequence wrap after cs->seq has to add 1 to cs->roc before. */
MKT_API MKT_MUST_USE enum mkt_rc
mkt_srtp_policy_from(struct mkt_srtp *s, const struct mkt_session *cs, const struct mkt_secret *tek,
                     const struct mkt_secret *salt, struct mkt_err *err);

/* mkt_srtp_create makes the libsrtp2 session of s and sets its ROC; wipes s on every path. `*out`
 * is owned by the caller (srtp_dealloc), NULL on failure (MKT_E_CRYPTO). srtp_init() must have been
 * called once. With an MKI the caller uses srtp_protect_mki(..., 1, 0) and srtp_unprotect_mki(...,
 * 1). */
MKT_API MKT_MUST_USE enum mkt_rc mkt_srtp_create(srtp_t *out, struct mkt_srtp *s,
                                                 struct mkt_err *err);

/* mkt_srtp_wipe clears s with the key octets in it. */
MKT_API void mkt_srtp_wipe(struct mkt_srtp *s);

#ifdef __cplusplus
}
#endif
#endif
