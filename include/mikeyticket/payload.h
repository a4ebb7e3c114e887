/* SPDX-License-Identifier: Apache-2.0 */
/* One struct for each payload of RFC 3830 and RFC 6043. Reading borrows from the message;
 * writing goes into the caller's buffer. Field names are the RFCs' words. */
#ifndef MIKEYTICKET_PAYLOAD_H
#define MIKEYTICKET_PAYLOAD_H

#include <mikeyticket/key.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mkt_pl { /* Next Payload: RFC 3830 6.1, RFC 6043 Table 6.2, IANA mikey-payloads */
              MKT_PL_LAST = 0,
              MKT_PL_KEMAC = 1,
              MKT_PL_PKE = 2,
              MKT_PL_DH = 3,
              MKT_PL_SIGN = 4,
              MKT_PL_T = 5,
              MKT_PL_ID = 6,
              MKT_PL_CERT = 7,
              MKT_PL_CHASH = 8,
              MKT_PL_V = 9,
              MKT_PL_SP = 10,
              MKT_PL_RAND = 11,
              MKT_PL_ERR = 12,
              MKT_PL_TR = 13,
              MKT_PL_IDR = 14,
              MKT_PL_RANDR = 15,
              MKT_PL_TP = 16,
              MKT_PL_TICKET = 17,
              MKT_PL_KEY_DATA = 20,
              MKT_PL_GENERAL_EXT = 21,
              MKT_PL_IBAKE = 22,
              MKT_PL_ESK = 23,
              MKT_PL_SK = 24,
              MKT_PL_ECCPT = 25,
              MKT_PL_SAKKE = 26
};

enum mkt_data_type { /* RFC 3830 6.1, RFC 6043 Table 6.1 */
                     MKT_DT_PSK_INIT = 0,
                     MKT_DT_PSK_RESP = 1,
                     MKT_DT_PK_INIT = 2,
                     MKT_DT_PK_RESP = 3,
                     MKT_DT_DH_INIT = 4,
                     MKT_DT_DH_RESP = 5,
                     MKT_DT_ERROR = 6,
                     MKT_DT_REQUEST_INIT_PSK = 11,
                     MKT_DT_REQUEST_INIT_PK = 12,
                     MKT_DT_REQUEST_RESP = 13,
                     MKT_DT_TRANSFER_INIT = 14,
                     MKT_DT_TRANSFER_RESP = 15,
                     MKT_DT_RESOLVE_INIT_PSK = 16,
                     MKT_DT_RESOLVE_INIT_PK = 17,
                     MKT_DT_RESOLVE_RESP = 18
};

enum mkt_map { MKT_MAP_SRTP_ID = 0, MKT_MAP_EMPTY = 1, MKT_MAP_GENERIC_ID = 2 };
enum mkt_ts { MKT_TS_NTP_UTC = 0, MKT_TS_NTP = 1, MKT_TS_COUNTER = 2, MKT_TS_NTP_UTC_32 = 3 };
enum mkt_tr_role { MKT_TR_I = 1, MKT_TR_S = 2, MKT_TR_E = 3, MKT_TR_R = 4 };
enum mkt_id_type { MKT_ID_NAI = 0, MKT_ID_URI = 1, MKT_ID_BYTES = 2 };
enum mkt_idr_role {
    MKT_IDR_I = 1,
    MKT_IDR_R = 2,
    MKT_IDR_KMS = 3,
    MKT_IDR_PSK = 4,
    MKT_IDR_APP = 5
};
enum mkt_randr_role { MKT_RANDR_I = 1, MKT_RANDR_R = 2, MKT_RANDR_KMS = 3 };
enum mkt_prot { MKT_PROT_SRTP = 0 };
enum mkt_ext { MKT_EXT_VENDOR_ID = 0, MKT_EXT_SDP_IDS = 1 };

/* Common Header, RFC 3830 6.1. `map` is the CS ID map info, walked with mkt_map_next. */
struct mkt_hdr {
    uint8_t version;   /* always 1 */
    uint8_t data_type; /* enum mkt_data_type */
    uint8_t next;      /* first payload */
    bool v;
    uint8_t prf; /* 7 bits */
    uint32_t csb_id;
    uint8_t n_cs;     /* #CS */
    uint8_t map_type; /* enum mkt_map */
    struct mkt_span map;
};

/* One crypto session of a CS ID map: GENERIC-ID (RFC 6043 6.1.1) or SRTP-ID (RFC 3830 6.1.1). */
struct mkt_cs {
    uint8_t cs_id;                /* SRTP-ID: the position, from 1 */
    uint8_t prot_type;            /* SRTP-ID: SRTP */
    bool s;                       /* session data carries ROC and SEQ */
    struct mkt_span policies;     /* one octet for each Policy_no */
    struct mkt_span session_data; /* GENERIC-ID: as sent; SRTP-ID: empty */
    struct mkt_span spi;
    bool has_ssrc; /* SRTP session data present; the three fields below are valid */
    uint32_t ssrc, roc;
    uint16_t seq;
};

struct mkt_pl_kemac {
    uint8_t encr_alg;
    struct mkt_span encr_data;
    uint8_t mac_alg;
    struct mkt_span mac;
};
struct mkt_pl_pke {
    uint8_t c;
    struct mkt_span data;
};
struct mkt_pl_dh {
    uint8_t group;
    struct mkt_span value;
    uint8_t reserv, kv;
    struct mkt_span spi, from, to;
};
struct mkt_pl_sign {
    uint8_t s_type;
    struct mkt_span signature;
};
struct mkt_pl_t {
    uint8_t ts_type;
    struct mkt_span value;
};
struct mkt_pl_tr {
    uint8_t role, ts_type;
    struct mkt_span value;
};
struct mkt_pl_id {
    uint8_t id_type;
    struct mkt_span data;
};
struct mkt_pl_idr {
    uint8_t role, id_type;
    struct mkt_span data;
};
struct mkt_pl_cert {
    uint8_t cert_type;
    struct mkt_span data;
};
struct mkt_pl_chash {
    uint8_t hash_func;
    struct mkt_span hash;
};
struct mkt_pl_v {
    uint8_t auth_alg;
    struct mkt_span mac;
};
struct mkt_pl_sp {
    uint8_t policy_no, prot_type;
    struct mkt_span params; /* mkt_sp_next walks them */
};
struct mkt_pl_rand {
    struct mkt_span rand;
};
struct mkt_pl_randr {
    uint8_t role;
    struct mkt_span rand;
};
struct mkt_pl_err {
    uint8_t error_no;
    uint16_t reserved;
};
struct mkt_pl_ext {
    uint8_t ext_type;
    struct mkt_span data;
};
struct mkt_pl_key_data {
    uint8_t type, kv;
    struct mkt_span key, salt, spi, from, to;
};
/* Flags D to O, in the order of the wire: D is bit 11, O is bit 0. */
enum mkt_tp_flag {
    MKT_TP_D = 1 << 11, /* the KMS generated the ticket */
    MKT_TP_E = 1 << 10, /* Ticket Resolve is mandatory */
    MKT_TP_F = 1 << 9,  /* TRANSFER_RESP shall be sent */
    MKT_TP_G = 1 << 8,  /* the Responder generates RANDRr */
    MKT_TP_H = 1 << 7,  /* RANDRi is used in the TEK */
    MKT_TP_I = 1 << 6,  /* key forking */
    MKT_TP_J = 1 << 5,  /* the ticket may be reused */
    MKT_TP_K = 1 << 4,  /* the KMS changed the wanted policy */
    MKT_TP_L = 1 << 3,  /* the Initiator may supply session keys */
    MKT_TP_M = 1 << 2,  /* the Responder may supply session keys */
    MKT_TP_N = 1 << 1,  /* no additional Initiator processing */
    MKT_TP_O = 1 << 0   /* no additional Responder processing */
};

#define MKT_TICKET_TYPE_BASE 1 /* MIKEY base ticket: subtype 1, version 1 (Appendix A) */
/* Reference ticket: keys stay in the KMS's store (docs/formats/reference-ticket.md). Private use.
 */
#define MKT_TICKET_TYPE_REFERENCE 61440
/* Compatibility ticket: Ticket Data is an RFC 3830 message (B.1, docs/formats/compat-ticket.md).
 * Private use. The subtype says whether that message has its ID payloads. */
#define MKT_TICKET_TYPE_COMPAT 61441
enum mkt_compat_subtype { MKT_COMPAT_IDS = 1, MKT_COMPAT_NO_IDS = 2 };

/* TP and TICKET, RFC 6043 6.10. flags: enum mkt_tp_flag.
 * tp_data begins with its First Payload octet. The last two are absent in TP. */
struct mkt_pl_ticket {
    uint16_t ticket_type;
    uint8_t subtype, version, prf;
    uint16_t flags;
    uint8_t res; /* 5 bits, kept as received */
    struct mkt_span tp_data, ticket_data, initiator_data;
};
struct mkt_pl_thdr {
    struct mkt_span data;
};

#define MKT_PL_THDR 256 /* no number on the wire: always first in the Ticket Data (A.3) */

/* mkt_payload is one payload of a chain. */
struct mkt_payload {
    uint16_t type; /* enum mkt_pl or MKT_PL_THDR */
    uint8_t next;  /* Next Payload as received; ignored when writing (the writer keeps the chain) */
    size_t at;     /* offset of the payload in the message */
    struct mkt_span raw;
    union {
        struct mkt_pl_kemac kemac;
        struct mkt_pl_pke pke;
        struct mkt_pl_dh dh;
        struct mkt_pl_sign sign;
        struct mkt_pl_t t;
        struct mkt_pl_tr tr;
        struct mkt_pl_id id;
        struct mkt_pl_idr idr;
        struct mkt_pl_cert cert;
        struct mkt_pl_chash chash;
        struct mkt_pl_v v;
        struct mkt_pl_sp sp;
        struct mkt_pl_rand rand;
        struct mkt_pl_randr randr;
        struct mkt_pl_err err;
        struct mkt_pl_ext ext;
        struct mkt_pl_key_data key_data;
        struct mkt_pl_ticket ticket; /* TP and TICKET */
        struct mkt_pl_thdr thdr;
    } u;
};

/* mkt_payload_name returns "RANDR" and the like, "unknown" for an unassigned type (static). */
MKT_API const char *mkt_payload_name(uint16_t type);

/* mkt_payload_ref returns the clause that defines the payload (static, never NULL). */
MKT_API const char *mkt_payload_ref(uint16_t type);

/* mkt_data_type_name returns "REQUEST_INIT_PSK" and the like, "unassigned" otherwise. */
MKT_API const char *mkt_data_type_name(uint8_t data_type);

/* mkt_map_iter walks the CS ID map info of a header that was read without failure. */
struct mkt_map_iter {
    uint8_t map_type, left, index;
    struct mkt_span rest;
};
MKT_API void mkt_map_begin(struct mkt_map_iter *it, const struct mkt_hdr *hdr);
/* mkt_map_next fills cs with the next crypto session; false when there is none left. */
MKT_API bool mkt_map_next(struct mkt_map_iter *it, struct mkt_cs *cs);

/* One parameter of an SP payload, RFC 3830 6.10. */
struct mkt_sp_param {
    uint8_t type;
    struct mkt_span value;
};
/* mkt_sp_next takes the next parameter off *params (already checked); false at the end. */
MKT_API bool mkt_sp_next(struct mkt_span *params, struct mkt_sp_param *param);

/* mkt_payload_decode reads one payload of the given type from the start of octets, which may
 * hold more behind it. *used gets the length read. Errors count offsets from octets.p. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_payload_decode(struct mkt_payload *pl, uint16_t type,
                                                    struct mkt_span octets, size_t *used,
                                                    struct mkt_err *err);

/* mkt_payload_encode writes pl with Next Payload pl->next into out (cap octets).
 * *len gets the length. MKT_E_NO_SPACE when it does not fit, or a length field is too narrow. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_payload_encode(const struct mkt_payload *pl, uint8_t *out,
                                                    size_t cap, size_t *len);

/* mkt_chain_decode reads a chain of payloads (TP Data, Ticket Data, Initiator Data, KEMAC contents)
 * whose first type is `first`; all octets must be used. At most cap payloads, *n gets the count. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_chain_decode(struct mkt_payload *pl, size_t cap, size_t *n,
                                                  uint16_t first, struct mkt_span octets,
                                                  struct mkt_err *err);

#ifdef __cplusplus
}
#endif
#endif
