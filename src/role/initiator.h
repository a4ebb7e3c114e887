/* SPDX-License-Identifier: Apache-2.0 */
/* The Initiator's object, shared by the files that ask, offer and take answers. */
#ifndef MKT_ROLE_INITIATOR_H
#define MKT_ROLE_INITIATOR_H

#include "role/role.h"

struct mkt_initiator {
    struct mkt_own_credential own;
    struct mkt_kms_exchange request;
    struct mkt_grant *grant;     /* of the open offer; borrowed */
    struct mkt_octets offer;     /* TRANSFER_INIT as sent */
    struct mkt_octets responder; /* IDRr it was made for */
    uint8_t responder_type;
};

#endif
