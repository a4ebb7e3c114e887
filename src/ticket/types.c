/* SPDX-License-Identifier: Apache-2.0 */
/* Ticket Types that a KMS can make and resolve (RFC 6043 11), one row each. What a type is made of
 * is its own file's business; everybody else asks the row. */
#include "ticket/ticket.h"

static const struct mkt_ticket_type types[] = {
    { MKT_TICKET_TYPE_BASE, 1, 1, MKT_TICKET_BASE, "MIKEY base ticket" },
    { MKT_TICKET_TYPE_REFERENCE, 1, 1, MKT_TICKET_REFERENCE, "reference ticket" },
    { MKT_TICKET_TYPE_COMPAT, MKT_COMPAT_IDS, 1, MKT_TICKET_COMPAT, "compatibility ticket" },
    { MKT_TICKET_TYPE_COMPAT, MKT_COMPAT_NO_IDS, 1, MKT_TICKET_COMPAT,
      "compatibility ticket without IDs" },
};

const struct mkt_ticket_type *
mkt_ticket_type_of(uint16_t type, uint8_t subtype, uint8_t version)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].type == type && types[i].subtype == subtype && types[i].version == version)
            return &types[i];
    return NULL;
}

const struct mkt_ticket_type *
mkt_ticket_type_of_policy(const struct mkt_policy *p)
{
    return mkt_ticket_type_of(p->ticket_type, p->subtype, p->version);
}
