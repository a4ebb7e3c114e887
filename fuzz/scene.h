/* SPDX-License-Identifier: Apache-2.0 */
/* Calls taken to the step where a handler waits for its message. */
#ifndef MKT_FUZZ_SCENE_H
#define MKT_FUZZ_SCENE_H

#include "../tests/three_party.h"
#include "handler.h"

struct scene {
    bool open;
    struct call c;
    struct message honest; /* what the handler waits for */
    struct mkt_keys supplied[2];
    struct mkt_pk_credential cred; /* of signed messages: who signs, what the KMS accepts */
    struct mkt_kms_pk how;
};

/* The scene of a handler, opened when it is not; NULL when the call to it fails. */
struct scene *scene_of(enum mkt_handler h, uint8_t mode);

void scene_close(struct scene *s);

#endif
