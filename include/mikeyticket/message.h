/* SPDX-License-Identifier: Apache-2.0 */
/* Whole messages: parsed into borrowed payloads, and printed without their secrets. */
#ifndef MIKEYTICKET_MESSAGE_H
#define MIKEYTICKET_MESSAGE_H

#include <mikeyticket/payload.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MKT_PAYLOADS_MAX 128 /* payloads of one message */
#define MKT_MSG_MAX 65535    /* octets of one message */

/* mkt_msg is a message cut into payloads; everything in it borrows from octets. */
struct mkt_msg {
    struct mkt_span octets;
    struct mkt_hdr hdr;
    size_t n;
    struct mkt_payload pl[MKT_PAYLOADS_MAX];
};

/* mkt_msg_parse reads the header and every payload of octets, strictly: nothing left over, a
 * known framing for each payload (RFC 3830 5.3, 6; RFC 6043 6). No key is used. It does not
 * check which payloads the data type must have: mkt_msg_check does. After a failure m holds what
 * was read before it, good for printing only. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_msg_parse(struct mkt_msg *m, struct mkt_span octets,
                                               struct mkt_err *err);

/* mkt_msg_check tests m against the presence table of its data type (RFC 6043 4.2, 5.4).
 * Payloads of a known type that the table does not list are ignored, as 4.2.x says. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_msg_check(const struct mkt_msg *m, struct mkt_err *err);

/* mkt_msg_check_update is the same for a TRANSFER_INIT or TRANSFER_RESP inside a CSB, which brings
 * no RANDs and no TICKET (RFC 6043 5.2). That it is one cannot be told from its header. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_msg_check_update(const struct mkt_msg *m, struct mkt_err *err);

/* mkt_msg_find returns the first payload of that type and role (0: any), or NULL. */
MKT_API const struct mkt_payload *mkt_msg_find(const struct mkt_msg *m, uint16_t type,
                                               uint8_t role);

/* mkt_payload_role returns the role of an IDR, RANDR or TR payload, 0 for the others. */
MKT_API uint8_t mkt_payload_role(const struct mkt_payload *pl);

enum mkt_print { MKT_PRINT_TEXT, MKT_PRINT_JSON };

/* Receives n octets of output (not terminated). */
typedef void mkt_sink(void *ctx, const char *text, size_t n);

/* mkt_msg_print writes every field of m by name: payloads nested in TP Data, Ticket Data,
 * Initiator Data and NULL-encrypted KEMACs too. Key octets are never shown. */
MKT_API void mkt_msg_print(const struct mkt_msg *m, enum mkt_print how, mkt_sink *sink, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
