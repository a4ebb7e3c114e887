/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and certificates of a vector: `inputs.certificates`, and the private keys it names, which
 * are files in the folder pki beside it or above. */
#ifndef MKT_RUNNER_PKI_H
#define MKT_RUNNER_PKI_H

#include "runner.h"

#include <mikeyticket/io.h>
#include <mikeyticket/kms.h>

struct rn_holder {
    struct mkt_pkey *key;
    struct mkt_cert *own[MKT_CHAIN_MAX];
    const struct mkt_cert *chain[MKT_CHAIN_MAX]; /* the same */
    size_t n;
};

struct rn_pki {
    bool has; /* the vector has certificates */
    struct mkt_trust *trust;
    struct rn_holder initiator, responder, kms;
    struct mkt_kms_key kms_key;
    /* settings.pk */
    uint8_t padding, s_type, chash_func;
    bool chash;
    bool sign_errors; /* settings.opts.pk_error_auth: SIGNkms, not V */
};

/* rn_pki_load reads certificates and settings; rn_pki_free ends it. */
void rn_pki_load(struct rn *r, struct rn_pki *pki, json_t *inputs);
void rn_pki_free(struct rn_pki *pki);

/* rn_holder_of returns the holder of keys for a party, or NULL. */
const struct rn_holder *rn_holder_of(const struct rn_pki *pki, const char *party);

/* rn_pk_credential fills pk as the sender of m had it. */
void rn_pk_credential(const struct rn_pki *pki, const struct rn_holder *who,
                      const struct mkt_msg *m, struct mkt_pk_credential *pk);

#endif
