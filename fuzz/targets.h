/* SPDX-License-Identifier: Apache-2.0 */
/* Every fuzz target: X(name, kind of property, payload or data type). meson.build lists the names
 * again; a name that is not here does not compile. */
#ifndef MKT_FUZZ_TARGETS_H
#define MKT_FUZZ_TARGETS_H

#include "property.h"
#include <mikeyticket/payload.h>

#define MKT_TARGETS(X)                                            \
    X(map, MAP, 0)                                                \
    X(payload_kemac, PAYLOAD, MKT_PL_KEMAC)                       \
    X(payload_pke, PAYLOAD, MKT_PL_PKE)                           \
    X(payload_dh, PAYLOAD, MKT_PL_DH)                             \
    X(payload_sign, PAYLOAD, MKT_PL_SIGN)                         \
    X(payload_t, PAYLOAD, MKT_PL_T)                               \
    X(payload_id, PAYLOAD, MKT_PL_ID)                             \
    X(payload_cert, PAYLOAD, MKT_PL_CERT)                         \
    X(payload_chash, PAYLOAD, MKT_PL_CHASH)                       \
    X(payload_v, PAYLOAD, MKT_PL_V)                               \
    X(payload_sp, PAYLOAD, MKT_PL_SP)                             \
    X(payload_rand, PAYLOAD, MKT_PL_RAND)                         \
    X(payload_err, PAYLOAD, MKT_PL_ERR)                           \
    X(payload_tr, PAYLOAD, MKT_PL_TR)                             \
    X(payload_idr, PAYLOAD, MKT_PL_IDR)                           \
    X(payload_randr, PAYLOAD, MKT_PL_RANDR)                       \
    X(payload_tp, PAYLOAD, MKT_PL_TP)                             \
    X(payload_ticket, PAYLOAD, MKT_PL_TICKET)                     \
    X(payload_key_data, PAYLOAD, MKT_PL_KEY_DATA)                 \
    X(payload_general_ext, PAYLOAD, MKT_PL_GENERAL_EXT)           \
    X(payload_thdr, PAYLOAD, MKT_PL_THDR)                         \
    X(message_request_init_psk, MESSAGE, MKT_DT_REQUEST_INIT_PSK) \
    X(message_request_init_pk, MESSAGE, MKT_DT_REQUEST_INIT_PK)   \
    X(message_request_resp, MESSAGE, MKT_DT_REQUEST_RESP)         \
    X(message_transfer_init, MESSAGE, MKT_DT_TRANSFER_INIT)       \
    X(message_transfer_resp, MESSAGE, MKT_DT_TRANSFER_RESP)       \
    X(message_resolve_init_psk, MESSAGE, MKT_DT_RESOLVE_INIT_PSK) \
    X(message_resolve_init_pk, MESSAGE, MKT_DT_RESOLVE_INIT_PK)   \
    X(message_resolve_resp, MESSAGE, MKT_DT_RESOLVE_RESP)         \
    X(message_error, MESSAGE, MKT_DT_ERROR)                       \
    X(message_rfc3830, MESSAGE, MKT_DT_PSK_INIT)

enum mkt_target_index {
#define MKT_TARGET_INDEX(name, kind, value) MKT_TARGET_##name,
    MKT_TARGETS(MKT_TARGET_INDEX)
#undef MKT_TARGET_INDEX
        MKT_TARGET_COUNT
};

static const struct mkt_target {
    const char *name;
    enum mkt_prop kind;
    uint16_t value;
} mkt_targets[MKT_TARGET_COUNT] = {
#define MKT_TARGET_ROW(name, kind, value) { #name, MKT_PROP_##kind, value },
    MKT_TARGETS(MKT_TARGET_ROW)
#undef MKT_TARGET_ROW
};

#endif
