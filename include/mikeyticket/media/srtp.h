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
    uint16_t seq;
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
 * libsrtp2 takes no initial SEQ: with mkt_srtp_create a receiver that joins when its first packet
 * lies beyond a sequence wrap after cs->seq has to add 1 to s->roc before; mkt_srtp_stream does so
 * itself. */
MKT_API MKT_MUST_USE enum mkt_rc
mkt_srtp_policy_from(struct mkt_srtp *s, const struct mkt_session *cs, const struct mkt_secret *tek,
                     const struct mkt_secret *salt, struct mkt_err *err);

/* mkt_srtp_create makes the libsrtp2 session of s and sets its ROC; wipes s on every path. `*out`
 * is owned by the caller (srtp_dealloc), NULL on failure (MKT_E_CRYPTO). srtp_init() must have been
 * called once. With an MKI the caller uses srtp_protect_mki(..., 1, 0) and srtp_unprotect_mki(...,
 * 1). */
MKT_API MKT_MUST_USE enum mkt_rc mkt_srtp_create(srtp_t *out, struct mkt_srtp *s,
                                                 struct mkt_err *err);

/* --- a stream whose key changes ------------------------------------------------------------------
 */

/* mkt_srtp_stream is one SRTP stream, sent or received, that survives a change of its master key
 * (CSB update, RFC 6043 5.2) without losing a packet. Each key has a libsrtp2 session of its own
 * and so its own replay list; packets find their key by the MKI. Opaque, owned; for one thread. */
struct mkt_srtp_stream;

/* mkt_srtp_stream_new makes a stream of `first`, which is wiped on every path. It needs an MKI if
 * its key is to change. The ROC of its first packet follows from its SEQ and from ROC and SEQ of
 * `first`: one who joins late may be told either side of a sequence wrap (RFC 6043 6.1.1). With
 * policy.ssrc.type = ssrc_any_inbound it is that of whoever has the key (RFC 4568 6.4.1), and
 * starts at ROC 0. *stream is owned by the caller. srtp_init() must have been called once. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_srtp_stream_new(struct mkt_srtp_stream **stream,
                                                     struct mkt_srtp *first, struct mkt_err *err);

/* mkt_srtp_stream_free wipes and frees. NULL is allowed. */
MKT_API void mkt_srtp_stream_free(struct mkt_srtp_stream *stream);

/* mkt_srtp_stream_rekey adds the key of `next`, wiped on every path. A sender uses it from now on;
 * a receiver accepts packets under either key until mkt_srtp_stream_retire or the next change. The
 * ROC goes on. MKT_E_KEY_DATA without an MKI, for one of another length or the one in use, MKT_E_SP
 * for another SSRC; nothing changes on failure. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_srtp_stream_rekey(struct mkt_srtp_stream *stream,
                                                       struct mkt_srtp *next, struct mkt_err *err);

/* mkt_srtp_stream_position returns ROC and SEQ of the newest packet, or those the stream was made
 * with: what somebody who joins later has to know (S flag, RFC 6043 6.1.1). */
MKT_API void mkt_srtp_stream_position(const struct mkt_srtp_stream *stream, uint32_t *roc,
                                      uint16_t *seq);

/* mkt_srtp_stream_retire forgets the former key. */
MKT_API void mkt_srtp_stream_retire(struct mkt_srtp_stream *stream);

/* mkt_srtp_stream_protect and _unprotect turn an RTP packet of *len octets into SRTP and back, in
 * place; the buffer has room for SRTP_MAX_TRAILER_LEN + SRTP_MAX_MKI_LEN more. The status is
 * libsrtp2's. */
MKT_API MKT_MUST_USE srtp_err_status_t mkt_srtp_stream_protect(struct mkt_srtp_stream *stream,
                                                               uint8_t *packet, int *len);
MKT_API MKT_MUST_USE srtp_err_status_t mkt_srtp_stream_unprotect(struct mkt_srtp_stream *stream,
                                                                 uint8_t *packet, int *len);

/* mkt_srtp_stream_protect_rtcp and _unprotect_rtcp do so for the RTCP of the same SSRC, a compound
 * packet (RFC 3711 3.4): under the key of the moment, with a tag of 10 octets (16 with AES-GCM)
 * whatever that of SRTP has. SRTCP has an index of 4 octets more. What is not unprotected is
 * changed. */
MKT_API MKT_MUST_USE srtp_err_status_t mkt_srtp_stream_protect_rtcp(struct mkt_srtp_stream *stream,
                                                                    uint8_t *packet, int *len);
MKT_API MKT_MUST_USE srtp_err_status_t
mkt_srtp_stream_unprotect_rtcp(struct mkt_srtp_stream *stream, uint8_t *packet, int *len);

/* mkt_srtp_wipe clears s with the key octets in it. */
MKT_API void mkt_srtp_wipe(struct mkt_srtp *s);

#ifdef __cplusplus
}
#endif
#endif
