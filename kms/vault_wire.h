/* SPDX-License-Identifier: Apache-2.0 */
/* Between the daemon and its vault process. Derivations go through shared memory, one place for
 * each slot, because a socket would cost more than the derivation; everything else goes over a
 * socketpair, one question and one answer at a time. Neither side trusts a length of the other. */
#ifndef KMS_VAULT_WIRE_H
#define KMS_VAULT_WIRE_H

#include <stdatomic.h>

#include "vault.h"

#define KMS_PLACE_DERIVES 4 /* keys of one question */
#define KMS_PLACE_OCTETS 8192
#define KMS_VAULT_WRAPS 64

enum kms_turn { KMS_TURN_CLIENT, KMS_TURN_VAULT };

/* A question and its answer; whose turn it is owns everything below `asleep`. */
struct kms_place {
    _Alignas(64) _Atomic uint32_t turn;
    _Atomic uint32_t vault_asleep, client_asleep;
    uint8_t ok, kind, prf_func, n;
    uint16_t owner_n, id_n, key_n;
    uint16_t label_n[KMS_PLACE_DERIVES], out_n[KMS_PLACE_DERIVES];
    uint32_t kek;
    /* The question: owner, id, sealed key, labels. The answer: the derived octets. */
    uint8_t octets[KMS_PLACE_OCTETS];
};

enum kms_vault_op { KMS_OP_ADMIT, KMS_OP_FOUND, KMS_OP_MAKE, KMS_OP_SEAL, KMS_OP_OPEN };

/* A question over the socketpair. */
struct kms_vault_ask {
    enum kms_vault_op op;
    uint32_t n; /* ADMIT: wraps; MAKE: octets of the key; SEAL, OPEN: of row */
    enum kms_key_kind kind;
    uint32_t kek; /* OPEN */
    uint16_t owner_n, id_n;
    uint8_t name[KMS_LOCKER_NAME]; /* MAKE, SEAL, OPEN: owner, id */
    union {
        struct kms_wrap wraps[KMS_VAULT_WRAPS];
        uint8_t row[KMS_ROW_MAX]; /* SEAL: plain; OPEN: sealed */
    };
};

struct kms_vault_answer {
    bool ok;
    char err[KMS_KEK_ERR];
    uint32_t kek;
    uint16_t key_n;
    union {
        uint8_t key[KMS_ROW_MAX]; /* MAKE, SEAL: sealed; OPEN: plain */
        struct kms_wrap wrap;     /* FOUND */
    };
};

/* How to wait for the other side: a short while awake, then asleep. */
void kms_place_wait(struct kms_place *p, enum kms_turn until, _Atomic uint32_t *asleep,
                    unsigned ms);

/* kms_place_give hands the place over and wakes the other side if it sleeps. */
void kms_place_give(struct kms_place *p, enum kms_turn to, _Atomic uint32_t *asleep);

/* What a vault process is started with. */
struct kms_vault_child {
    int fd; /* of the socketpair */
    struct kms_place *places;
    size_t n_places;
    const char *kek;
    const struct kms_config *config;
};

/* kms_vault_child_run is the vault process: it does not return. */
void kms_vault_child_run(const struct kms_vault_child *c) __attribute__((noreturn));

#endif
