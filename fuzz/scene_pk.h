/* SPDX-License-Identifier: Apache-2.0 */
/* What signed messages need of a scene: key pairs, certificates and what the KMS trusts. They are
 * made once a process, for one fixed time, and are always the same. */
#ifndef MKT_FUZZ_SCENE_PK_H
#define MKT_FUZZ_SCENE_PK_H

#include "../tests/pki.h"
#include "scene.h"

#define SCENE_CRL_DAYS 30 /* for which the CRLs are in force: certificates are for longer */

struct scene_pki {
    struct pki keyring;
    struct mkt_trust *trust;         /* the CA; a CRL of it and of the CA under it */
    const struct mkt_cert *alice[1]; /* of the CA */
    const struct mkt_cert *bob[2];   /* of a CA under it, then that CA's */
    const struct mkt_cert *kms;
    struct mkt_kms_key kms_keys[2];
    /* Of the same keys and names, and as long as the good ones; the CRLs have them. */
    const struct mkt_cert *revoked_alice, *revoked_bob;
};

/* NULL when a key pair cannot be read. */
const struct scene_pki *scene_pki(void);
void scene_pki_close(void);

/* Tells whether the handler is one of signed messages; and of those, a KMS. */
bool scene_is_pk(enum mkt_handler h);
bool scene_is_kms_pk(enum mkt_handler h);

/* Takes a call, just opened, to the step where a handler of signed messages waits. */
bool scene_pk_call(struct scene *s, enum mkt_handler h, uint8_t mode);

#endif
