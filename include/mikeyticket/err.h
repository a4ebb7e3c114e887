/* SPDX-License-Identifier: Apache-2.0 */
/* One list gives the return codes, their texts and the MIKEY "Error no" for the wire. */
#ifndef MIKEYTICKET_ERR_H
#define MIKEYTICKET_ERR_H

#include <mikeyticket/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Error numbers of the ERR payload: RFC 3830 6.12, RFC 6043 Table 6.14. */
enum mkt_error_no {
    MKT_ERR_AUTH_FAILURE = 0,
    MKT_ERR_INVALID_TS = 1,
    MKT_ERR_INVALID_PRF = 2,
    MKT_ERR_INVALID_MAC = 3,
    MKT_ERR_INVALID_EA = 4,
    MKT_ERR_INVALID_HA = 5,
    MKT_ERR_INVALID_DH = 6,
    MKT_ERR_INVALID_ID = 7,
    MKT_ERR_INVALID_CERT = 8,
    MKT_ERR_INVALID_SP = 9,
    MKT_ERR_INVALID_SPPAR = 10,
    MKT_ERR_INVALID_DT = 11,
    MKT_ERR_UNSPECIFIED = 12,
    MKT_ERR_UNSUPPORTED = 13,
    MKT_ERR_INVALID_TICKET = 14,
    MKT_ERR_INVALID_TPPAR = 15
};

/* X(name, Error no on the wire, text for the operator) */
#define MKT_ERRORS(X)                                                              \
    X(TRUNCATED, 12, "message ends inside a field")                                \
    X(TRAILING, 12, "octets left over after the last field")                       \
    X(VERSION, 12, "MIKEY version is not 1")                                       \
    X(DATA_TYPE, 11, "message of a data type not expected here")                   \
    X(UNKNOWN_PAYLOAD, 12, "payload type with no known framing")                   \
    X(FOREIGN_PAYLOAD, 12, "payload of another MIKEY mode, framing not supported") \
    X(MISSING_PAYLOAD, 12, "a mandatory payload is absent")                        \
    X(EXTRA_PAYLOAD, 12, "a payload occurs too often")                             \
    X(PAYLOAD_ORDER, 12, "payloads after the one that must be last")               \
    X(TOO_MANY, 12, "more elements than this implementation accepts")              \
    X(FIELD, 12, "field has a value that is not allowed")                          \
    X(MAP, 12, "CS ID map type not allowed in this message")                       \
    X(TS_TYPE, 1, "timestamp type not supported")                                  \
    X(PRF, 2, "PRF not supported")                                                 \
    X(MAC_ALG, 3, "authentication algorithm not supported or not allowed")         \
    X(ENCR_ALG, 4, "encryption algorithm not supported or not allowed")            \
    X(HASH, 5, "hash function not supported")                                      \
    X(DH_GROUP, 6, "Diffie-Hellman group not supported")                           \
    X(CERT, 8, "certificate not accepted")                                         \
    X(SUITE_MIX, 12, "128-bit and 256-bit algorithms mixed")                       \
    X(SHORT_RAND, 12, "random value shorter than the key it protects")             \
    X(WEAK_KEY, 12, "key shorter than 128 bits")                                   \
    X(KEY_DATA, 12, "key data not as the exchange requires")                       \
    X(AUTH, 0, "MAC or signature does not verify")                                 \
    X(STALE, 1, "timestamp outside the allowed clock window")                      \
    X(REPLAY, 1, "message was received before")                                    \
    X(IDENTITY, 7, "identity unknown or not the expected one")                     \
    X(NOT_AUTHORISED, 7, "identity not authorised")                                \
    X(SP, 9, "security policy not supported")                                      \
    X(SP_PARAM, 10, "security policy parameter not supported")                     \
    X(TICKET_TYPE, 14, "Ticket Type not supported")                                \
    X(TICKET, 14, "ticket damaged, or protected with an unknown key")              \
    X(TP_FLAGS, 15, "Ticket Policy flags contradict each other")                   \
    X(TP_PARAM, 15, "Ticket Policy parameter not supported or not acceptable")     \
    X(TICKET_EXPIRED, 15, "outside the validity period of the ticket")             \
    X(PEER_ERROR, 12, "the other party answered with an Error message")            \
    X(STATE, 12, "call made in the wrong order")                                   \
    X(ARGUMENT, 12, "argument out of range")                                       \
    X(NO_SPACE, 12, "output buffer too small, or a length field too narrow")       \
    X(RANDOM, 12, "random number generator failed")                                \
    X(MEMORY, 12, "out of memory")                                                 \
    X(CRYPTO, 12, "cryptographic library failed")

enum mkt_rc {
    MKT_OK = 0,
#define MKT_ERRORS_ENUM(name, wire, text) MKT_E_##name,
    MKT_ERRORS(MKT_ERRORS_ENUM)
#undef MKT_ERRORS_ENUM
        MKT_RC_COUNT
};

/* mkt_err says what was refused, where and by which clause: the first failure of a
 * call; later ones never overwrite it. Zero-initialise before use. */
struct mkt_err {
    enum mkt_rc rc;
    size_t offset;    /* octet of the message at which it was refused */
    const char *what; /* payload or field, static string; never NULL after a failure */
    const char *ref;  /* clause, static string such as "RFC 6043 6.8"; never NULL after a failure */
};

/* mkt_fail records rc in e unless e already holds a failure. Returns e->rc. */
MKT_API enum mkt_rc mkt_fail(struct mkt_err *e, enum mkt_rc rc, size_t offset, const char *what,
                             const char *ref);

/* mkt_strerror returns the text of rc (static, never NULL). */
MKT_API const char *mkt_strerror(enum mkt_rc rc);

/* mkt_rc_name returns the name of rc, such as "TRUNCATED" (static, never NULL). */
MKT_API const char *mkt_rc_name(enum mkt_rc rc);

/* mkt_wire_error returns the MIKEY Error no to report rc to the other party (RFC 6043 6.9). */
MKT_API uint8_t mkt_wire_error(enum mkt_rc rc);

/* mkt_error_no_name returns the registered name of a MIKEY Error no, or "unassigned". */
MKT_API const char *mkt_error_no_name(uint8_t error_no);

/* mkt_err_format writes "octet 34: RANDR: message ends inside a field (RFC 6043 6.8)" into
 * buf (cap octets, always terminated when cap > 0). Returns the length that was needed. */
MKT_API size_t mkt_err_format(const struct mkt_err *e, char *buf, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
