/* SPDX-License-Identifier: Apache-2.0 */
/* The IANA registry "mikey-payloads" as far as MIKEY-TICKET uses it: value, name, and the length of
 * fields whose length follows from the value. One list serves the codec and the printer. */
#ifndef MKT_PAYLOAD_REGISTRY_H
#define MKT_PAYLOAD_REGISTRY_H

#include <mikeyticket/base.h>

enum mkt_reg {
    MKT_REG_NONE,
    MKT_REG_DATA_TYPE,
    MKT_REG_PRF,
    MKT_REG_MAP,
    MKT_REG_PROT,
    MKT_REG_ENCR,
    MKT_REG_MAC, /* has lengths */
    MKT_REG_CACHE,
    MKT_REG_DH, /* has lengths */
    MKT_REG_S_TYPE,
    MKT_REG_TS, /* has lengths */
    MKT_REG_TS_ROLE,
    MKT_REG_ID_TYPE,
    MKT_REG_ID_ROLE,
    MKT_REG_CERT,
    MKT_REG_HASH, /* has lengths */
    MKT_REG_RAND_ROLE,
    MKT_REG_ERROR,
    MKT_REG_KEY_TYPE,
    MKT_REG_KV,
    MKT_REG_EXT,
    MKT_REG_TICKET_TYPE,
    MKT_REG_SRTP_PARAM,
    MKT_REG_COUNT
};

struct mkt_value {
    uint16_t value;
    uint8_t len; /* octets, in the registries that have lengths */
    const char *name;
};

/* The row of a value, or NULL when it is not assigned (or of no use here). */
const struct mkt_value *mkt_reg_find(enum mkt_reg reg, uint32_t value);

/* The name of a value, or "unassigned". */
const char *mkt_reg_name(enum mkt_reg reg, uint32_t value);

#endif
