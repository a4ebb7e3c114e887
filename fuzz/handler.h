/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold when a party with live keys reads any octets whatever. Each handler is a party at
 * the moment when it waits for one message. An input is an octet of modes and that message. */
#ifndef MKT_FUZZ_HANDLER_H
#define MKT_FUZZ_HANDLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MKT_HANDLERS(X)                                      \
    X(kms_request, "the KMS, REQUEST_INIT")                  \
    X(kms_resolve, "the KMS, RESOLVE_INIT")                  \
    X(granted, "the Initiator, REQUEST_RESP")                \
    X(answered, "the Initiator, TRANSFER_RESP")              \
    X(offered, "the Responder, TRANSFER_INIT")               \
    X(resolved, "the Responder, RESOLVE_RESP")               \
    X(update_offered, "a CSB, TRANSFER_INIT")                \
    X(updated, "a CSB with an update, TRANSFER_RESP")        \
    X(kms_request_pk, "the KMS, signed REQUEST_INIT")        \
    X(kms_resolve_pk, "the KMS, signed RESOLVE_INIT")        \
    X(granted_pk, "the Initiator that signed, REQUEST_RESP") \
    X(refused_pk, "the Initiator that signed, signed Error")

enum mkt_handler {
#define MKT_HANDLER_INDEX(name, text) MKT_HANDLER_##name,
    MKT_HANDLERS(MKT_HANDLER_INDEX)
#undef MKT_HANDLER_INDEX
        MKT_HANDLER_COUNT
};

enum mkt_handler_mode { /* bits of the first octet */
                        MKT_HANDLER_RAW =
                            1, /* as it is; otherwise sealed with the right keys: KEMAC and PKE
                                  are clear text, the MAC or signature is written */
                        MKT_HANDLER_SUITE = 2,   /* the 256-bit suite */
                        MKT_HANDLER_NO_FORK = 4, /* keys do not fork */
                        MKT_HANDLER_AFTER = 8,   /* after a refusal the true message must work */
                        MKT_HANDLER_OTHER = 16,  /* of a target with two handlers: the second */
                        /* Only of signed messages: PSS and OAEP, and no IDR that may be left out;
                         * a certificate that was revoked in the place of the good one; at a time
                         * when the certificates are good and the CRLs too old. */
                        MKT_HANDLER_PSS = 32,
                        MKT_HANDLER_REVOKED = 64,
                        MKT_HANDLER_LATE = 128
};

/* Returns NULL when everything holds, else what was broken (static string). */
const char *mkt_handler_run(enum mkt_handler handler, const uint8_t *data, size_t n);

/* Tells whether the last run took its message for one of a party. */
bool mkt_handler_believed(void);

/* Writes the true message as such an input, its KEMAC in the clear unless `mode` says raw. Returns
 * its length, 0 when it does not fit into cap octets. */
size_t mkt_handler_seed(enum mkt_handler handler, uint8_t mode, uint8_t *out, size_t cap);

/* Frees what the runs share. */
void mkt_handler_close(void);

#endif
