/* SPDX-License-Identifier: Apache-2.0 */
/* Which payloads a message has, as data: one row per payload, with its clause. */
#ifndef MKT_MESSAGE_RULES_H
#define MKT_MESSAGE_RULES_H

#include <mikeyticket/message.h>

#define MKT_RULES_MAX 12 /* rows of one message */
#define MKT_ANY 255      /* max of a payload that may be repeated */

struct mkt_rule {
    uint8_t type, role; /* role 0: the payload has none, or any will do */
    uint8_t min, max;
    const char *what; /* the payload in the words of the RFC */
    const char *ref;
};

enum mkt_map_rule { MKT_MAP_ANY, MKT_MAP_MUST_BE_EMPTY, MKT_MAP_NOT_SRTP_ID };

/* One kind of message. A CSB update has the data types of a Ticket Transfer and other rules: it
 * is another row, chosen by whoever knows that the CSB exists. */
struct mkt_form {
    uint8_t data_type;
    enum mkt_map_rule map;
    const char *map_ref;
    size_t n;
    const struct mkt_rule *rule;
};

/* The form of a message that begins or answers an exchange; NULL for other data types. */
const struct mkt_form *mkt_form_of(uint8_t data_type);

/* The form of a message of a CSB update (5.2): TRANSFER_INIT or TRANSFER_RESP; NULL otherwise. */
const struct mkt_form *mkt_form_of_update(uint8_t data_type);

/* Tests m against one form. */
enum mkt_rc mkt_form_check(const struct mkt_form *form, const struct mkt_msg *m,
                           struct mkt_err *err);

#endif
