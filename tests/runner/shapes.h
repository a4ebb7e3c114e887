/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes of a payload in `fields`, and where they are in struct mkt_payload. */
#ifndef MKT_RUNNER_SHAPES_H
#define MKT_RUNNER_SHAPES_H

#include <mikeyticket/payload.h>

enum rn_how { RN_END, RN_U8, RN_U16, RN_OCTETS, RN_KV_KEY, RN_KV_DH, RN_PARAMS, RN_POLICY };

struct rn_field {
    const char *name; /* attribute */
    enum rn_how how;
    size_t at; /* in struct mkt_payload */
};

struct rn_shape {
    const char *name; /* the attribute `payload` */
    uint16_t type;
    struct rn_field f[8];
};

extern const struct rn_shape rn_shapes[];
extern const size_t rn_shapes_n;
/* KV data of Key Data and of DH: kv, SPI, Valid From, Valid To. */
extern const struct rn_field rn_kv_key[], rn_kv_dh[];
extern const struct rn_field rn_policy[]; /* of TP and TICKET */

#endif
