/* SPDX-License-Identifier: Apache-2.0 */
/* MIKEY in SDP and in RTSP's KeyMgmt header (RFC 4567). Text in, instruction out: no sockets, no
 * memory of its own. The SDP as a whole stays with the SIP stack of the application; what counts
 * here are its m-lines and its key-mgmt lines, in their order. */
#ifndef MIKEYTICKET_MEDIA_SDP_H
#define MIKEYTICKET_MEDIA_SDP_H

#include <mikeyticket/csb.h>
#include <mikeyticket/initiator.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MKT_SDP_MEDIA_MAX 16    /* m-lines of one description */
#define MKT_SDP_LINES_MAX 32    /* key-mgmt lines of one description */
#define MKT_SDP_IDS_MAX 256     /* octets of a list of protocols */
#define MKT_SDP_TEXT_MAX 262144 /* octets of a description */

/* Where a key-mgmt line stands: an m-line, counted from 0, or one of these. */
enum mkt_sdp_level { MKT_SDP_SESSION = -1, MKT_SDP_NOWHERE = -2 };

/* Profiles that carry SRTP; MIKEY in SDP is for them only (RFC 4567 5.1, RFC 5124). */
enum mkt_sdp_profile { MKT_SDP_OTHER, MKT_SDP_SAVP, MKT_SDP_SAVPF };

struct mkt_sdp_media {
    enum mkt_sdp_profile profile;
    bool used; /* its port is not 0 (RFC 3264 6) */
};

struct mkt_sdp_line { /* one key-mgmt line */
    int level;
    struct mkt_span prot, data; /* KMPID, and what follows it: base64 for "mikey" */
    size_t at;                  /* data in the text that was read */
};

/* mkt_sdp is what counts of one description. The m-lines are copied, the lines borrow. */
struct mkt_sdp {
    size_t n_media, n_lines;
    struct mkt_sdp_media media[MKT_SDP_MEDIA_MAX];
    struct mkt_sdp_line line[MKT_SDP_LINES_MAX];
};

/* --- reading a description -------------------------------------------------------------------- */

/* mkt_sdp_read finds m-lines and key-mgmt lines in a whole description, and looks at nothing else.
 * MKT_E_FIELD or MKT_E_TOO_MANY, with the offset in text. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_read(struct mkt_sdp *sdp, struct mkt_span text,
                                              struct mkt_err *err);

/* For applications that have taken the SDP apart already: begin, then in the order of the
 * description the value of each key-mgmt attribute (what follows "a=key-mgmt:") and each m-line
 * with its transport ("RTP/SAVP") and port. Attributes before the first m-line are of the session
 * level. Failures are those of mkt_sdp_read; their offset is in the value. */
MKT_API void mkt_sdp_begin(struct mkt_sdp *sdp);
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_add_media(struct mkt_sdp *sdp, struct mkt_span transport,
                                                   uint32_t port, struct mkt_err *err);
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_add_line(struct mkt_sdp *sdp, struct mkt_span value,
                                                  struct mkt_err *err);

/* mkt_sdp_level_of returns the level whose lines count for m-line `media`: its own if it has any,
 * else the session (RFC 4567 3.1), else MKT_SDP_NOWHERE. */
MKT_API int mkt_sdp_level_of(const struct mkt_sdp *sdp, size_t media);

/* mkt_sdp_ids writes the protocols of a level in their order, "mikey;other" (RFC 4567 4.1.4), into
 * ids, terminated. MKT_E_NO_SPACE. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_ids(const struct mkt_sdp *sdp, int level,
                                             char ids[MKT_SDP_IDS_MAX], struct mkt_err *err);

/* --- what to do with a description ------------------------------------------------------------ */

enum mkt_sdp_next {
    MKT_SDP_KEYS,  /* hand each message found to its role */
    MKT_SDP_KEEP,  /* SRTP, but no word about keys: only where they stand already (re-INVITE) */
    MKT_SDP_CLEAR, /* nothing in use is SRTP: only for users who asked for it */
    MKT_SDP_REFUSE /* err says why; mkt_sdp_refusal says it to the other party */
};

/* Which messages are looked for; other data types are passed over. */
enum mkt_sdp_kind {
    MKT_SDP_OFFER, /* TRANSFER_INIT */
    MKT_SDP_ANSWER /* TRANSFER_RESP or Error */
};

/* One message for each level in use: each is a bundle of its own, and when one of them fails, the
 * whole session does (RFC 4567 4.1.2). */
struct mkt_sdp_keys {
    size_t n;
    struct {
        int level;
        size_t line;             /* index in sdp->line */
        struct mkt_span message; /* in buf */
    } found[MKT_SDP_MEDIA_MAX + 1];
};

/* mkt_sdp_take decides what a description asks for, and decodes its messages into buf (cap octets;
 * MKT_MSG_MAX for each level suffices). Of several lines on a level it takes the first that is
 * MIKEY of that kind: they stand in order of preference. It refuses key management for an m-line
 * that is not SRTP, SRTP without key management beside others with it, and levels without MIKEY. */
MKT_API MKT_MUST_USE enum mkt_sdp_next mkt_sdp_take(struct mkt_sdp_keys *keys,
                                                    const struct mkt_sdp *sdp,
                                                    enum mkt_sdp_kind kind, uint8_t *buf,
                                                    size_t cap, struct mkt_err *err);

/* Whether a message may leave out the list of protocols when there is only MIKEY: what RFC 4567
 * 4.1.4 forbids and some do. */
enum mkt_sdp_strictness { MKT_SDP_STRICT, MKT_SDP_LENIENT };

/* mkt_sdp_check_ids holds the General Extension "SDP IDs" of an offered message against the
 * protocols that its level lists (RFC 4567 4.1.4, 7): a list that was cut down on its way shows
 * here, once the message itself is verified. MKT_E_MISSING_PAYLOAD or MKT_E_FIELD, with the offset
 * in the message. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_check_ids(const struct mkt_sdp *sdp, int level,
                                                   const struct mkt_msg *message,
                                                   enum mkt_sdp_strictness how,
                                                   struct mkt_err *err);

/* mkt_sdp_ids_of returns the General Extension "SDP IDs" of a message; p is NULL without. A
 * Responder sends it back (mkt_choice.sdp_ids). */
MKT_API struct mkt_span mkt_sdp_ids_of(const struct mkt_msg *message);

/* mkt_sdp_check_answer holds an answer against the offer: as many m-lines, in use only where
 * offered and under the same profile, one MIKEY line on the levels that offered it and no other
 * (RFC 3264 6, RFC 4567 4.1.2). MKT_E_FIELD. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_check_answer(const struct mkt_sdp *offer,
                                                      const struct mkt_sdp *answer,
                                                      struct mkt_err *err);

/* mkt_sdp_check_reoffer holds a later offer of either side against what was agreed: no m-line
 * vanishes, and what was SRTP stays SRTP while it is used. MKT_E_FIELD. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_check_reoffer(const struct mkt_sdp *agreed,
                                                       const struct mkt_sdp *offer,
                                                       struct mkt_err *err);

/* What the message of a later offer is (RFC 4567 4.1.2: rekeying is a new offer). */
enum mkt_sdp_renewal {
    MKT_SDP_SAME,   /* the octets of the last one again: keys stay, nothing is processed */
    MKT_SDP_UPDATE, /* an update of this bundle: mkt_csb_update_offered (RFC 6043 5.2) */
    MKT_SDP_TICKET, /* another ticket, for a new bundle: mkt_responder_offered */
    MKT_SDP_ALIEN   /* an update of a bundle that is not ours: refuse */
};

/* mkt_sdp_renewal tells. `last` is the message that the same side sent last, n = 0: none. */
MKT_API enum mkt_sdp_renewal mkt_sdp_renewal(const struct mkt_msg *message,
                                             const struct mkt_csb *csb, struct mkt_span last);

/* --- m-lines and crypto sessions -------------------------------------------------------------- */

/* mkt_sdp_map has for each m-line the CS ID of what the bundle's Initiator sends; what its
 * Responder sends is the next number (RFC 4567 7.1). 0: the m-line has no crypto sessions. It is
 * kept for the whole call, one for each bundle: m-lines and CS IDs never move. */
struct mkt_sdp_map {
    uint8_t first[MKT_SDP_MEDIA_MAX];
};

/* mkt_sdp_offer_cs fills cs with two crypto sessions for each m-line of `level` that is SRTP and
 * in use, 1 and 2 for the first m-line, 3 and 4 for the second; on a media level 1 and 2. They have
 * the policies, SPI and protocol of `like`; the first of each pair the SSRC of its m-line in
 * `ssrc`. map is filled in. MKT_E_TOO_MANY beyond cap, MKT_E_FIELD without any. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_offer_cs(const struct mkt_sdp *sdp, int level,
                                                  const struct mkt_offer_cs *like,
                                                  const uint32_t ssrc[MKT_SDP_MEDIA_MAX],
                                                  struct mkt_offer_cs *cs, size_t cap, size_t *n,
                                                  struct mkt_sdp_map *map, struct mkt_err *err);

/* mkt_sdp_map_offered fills map for a message that was offered on `level`: crypto sessions in pairs
 * of consecutive numbers, one for each m-line there that is SRTP and in use, in their order,
 * whatever the numbers. MKT_E_MAP when they do not fit. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_map_offered(struct mkt_sdp_map *map,
                                                     const struct mkt_sdp *sdp, int level,
                                                     const struct mkt_msg *message,
                                                     struct mkt_err *err);

/* mkt_sdp_map_updated brings map up to date after a CSB update: m-lines keep their sessions, new
 * ones get those that are new in the bundle, likewise. map is not changed on failure. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_map_updated(struct mkt_sdp_map *map,
                                                     const struct mkt_sdp *sdp, int level,
                                                     const struct mkt_csb *csb,
                                                     struct mkt_err *err);

/* --- writing ---------------------------------------------------------------------------------- */

/* mkt_sdp_value_len returns the octets of the value for a message of n octets, without the end. */
MKT_API size_t mkt_sdp_value_len(size_t n);

/* mkt_sdp_value writes "mikey BASE64", the value of a key-mgmt attribute, terminated. *len gets its
 * length. MKT_E_NO_SPACE. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_value(char *out, size_t cap, size_t *len,
                                               struct mkt_span message);

/* A refusal in SIP: 488 with one or two Warning headers, "WARN-CODE AGENT \"TEXT\"". */
struct mkt_sdp_refusal {
    unsigned status;    /* 488 */
    const char *reason; /* "Not Acceptable Here" */
    size_t n;
    struct {
        unsigned code; /* 306: a parameter is not supported; 399 */
        const char *text;
    } warning[2];
};

/* mkt_sdp_refusal says why keys were refused, without telling more about what failed to verify than
 * that it did. `renewal`: of a rekeying, where 306 is always there (RFC 4567 4.1.2). */
MKT_API struct mkt_sdp_refusal mkt_sdp_refusal(enum mkt_rc rc, bool renewal);

/* --- RTSP ------------------------------------------------------------------------------------- */

#define MKT_RTSP_FAILURE 463 /* status: Key management failure (RFC 4567 3.2) */

struct mkt_rtsp_spec {    /* all borrowed */
    struct mkt_span prot; /* KMPID */
    struct mkt_span uri;  /* n = 0: that of the request */
    struct mkt_span data; /* base64; mkt_sdp_decode */
    size_t at;            /* in the value */
};

/* mkt_rtsp_read takes apart the value of a KeyMgmt header: at most cap specs, *n gets their number.
 * MKT_E_FIELD or MKT_E_TOO_MANY. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_rtsp_read(struct mkt_rtsp_spec *spec, size_t cap, size_t *n,
                                               struct mkt_span value, struct mkt_err *err);

/* mkt_rtsp_write writes the value of a KeyMgmt header for one message, terminated; uri.n = 0 leaves
 * the uri out. MKT_E_FIELD for a uri that cannot be quoted, MKT_E_NO_SPACE. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_rtsp_write(char *out, size_t cap, size_t *len,
                                                struct mkt_span uri, struct mkt_span message,
                                                struct mkt_err *err);

/* mkt_sdp_decode decodes base64 (RFC 4648 4: padded, without white space or stray bits). *len gets
 * the octets. MKT_E_FIELD with the offset in text, MKT_E_NO_SPACE. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdp_decode(struct mkt_span text, uint8_t *out, size_t cap,
                                                size_t *len, struct mkt_err *err);

#ifdef __cplusplus
}
#endif
#endif
