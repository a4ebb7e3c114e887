/* SPDX-License-Identifier: Apache-2.0 */
/* The vault: the one place where long-term keys are octets. Everything else has keys as the store
 * has them, sealed, and asks the vault to derive from them. There is no operation that gives a
 * long-term key out (but kms_local_export, in this process); the keys of reference tickets, which
 * go to clients, are sealed and opened. Two forms: in this process (vault_local.c), or a process of
 * its own (vault_process.c). */
#ifndef KMS_VAULT_H
#define KMS_VAULT_H

#include <mikeyticket/key.h>

#include "kek.h"
#include "keyfile.h"
#include "store.h"

/* A long-term key: what it is called, and its octets as the store has them. Borrows. */
struct kms_locker {
    enum kms_key_kind kind;
    struct mkt_span owner; /* identity; n = 0: ours alone */
    struct mkt_span id;    /* psk-id or tpk-id */
    struct kms_sealed key;
};

#define KMS_LOCKER_NAME 1280 /* octets: kind, generation, owner, id */

/* kms_locker_name writes what a sealed key is bound to; n = 0 when it is too long. */
struct mkt_span kms_locker_name(uint8_t buf[KMS_LOCKER_NAME], const struct kms_locker *l);

struct kms_vault; /* begins with a pointer to its operations */

struct kms_vault_ops {
    /* admit opens generations of the store key that are not known yet; n wraps are all that the
     * store has. */
    bool (*admit)(struct kms_vault *v, const struct kms_wrap *wraps, size_t n,
                  char err[KMS_KEK_ERR]);
    /* found makes the first generation of the store key, for a store that has no key yet, and
     * wraps it with the KEK. */
    bool (*found)(struct kms_vault *v, struct kms_wrap *wrap);
    /* make generates a key of len octets and seals it under the newest generation for the name of
     * l: l->key becomes it, in buf (KMS_SEALED_MAX octets). */
    bool (*make)(struct kms_vault *v, struct kms_locker *l, size_t len,
                 uint8_t buf[KMS_SEALED_MAX]);
    /* prf derives d[0..n-1] from the key of l: mkt_inkey.prf. One caller for each slot at a time.
     */
    bool (*prf)(struct kms_vault *v, size_t slot, const struct kms_locker *l, struct mkt_crypto *c,
                uint8_t prf_func, const struct mkt_derive *d, size_t n);
    /* seal seals, as make does, what comes from outside: keys go in. open is for what is of kind
     * KMS_KEPT only, and writes kms_sealed_len(&l->key) octets. Any number of threads may call
     * them, and make. */
    bool (*seal)(struct kms_vault *v, struct kms_locker *l, struct mkt_span plain,
                 uint8_t buf[KMS_ROW_MAX]);
    bool (*open)(struct kms_vault *v, const struct kms_locker *l, uint8_t out[KMS_KEPT_MAX]);
    void (*close)(struct kms_vault *v);
};

struct kms_vault {
    const struct kms_vault_ops *ops;
};

/* kms_vault_local makes a vault in this process for n slots. kek is taken (NULL: keys stand in the
 * store in clear). NULL when memory fails; kek is closed then. */
struct kms_vault *kms_vault_local(struct kms_kek *kek, size_t n_slots);

/* kms_vault_close ends it and wipes its keys. NULL is allowed. */
void kms_vault_close(struct kms_vault *v);

/* kms_vault_refresh has v open the generations of the store key that are new in the store. */
enum kms_store_rc kms_vault_refresh(struct kms_vault *v, struct kms_store *s,
                                    struct kms_store_err *err);

/* kms_vault_fresh tells whether a store holds neither a store key nor any other: then
 * kms_vault_found may give it the first one, so that no key ever stands there in clear. */
enum kms_store_rc kms_vault_fresh(struct kms_store *s, bool *fresh, struct kms_store_err *err);
enum kms_store_rc kms_vault_found(struct kms_vault *v, struct kms_store *s,
                                  struct kms_store_err *err);

/* kms_local_seal seals a key that comes from outside, as make seals its own. For mikey-kmsctl: a
 * vault of the local kind only. buf: KMS_SEALED_MAX octets, KMS_ROW_MAX for KMS_KEPT. */
bool kms_local_seal(struct kms_vault *v, struct kms_locker *l, struct mkt_span key, uint8_t *buf);

/* kms_local_reseal seals anew, under the newest generation, what stands in l. */
bool kms_local_reseal(struct kms_vault *v, struct kms_locker *l, uint8_t buf[KMS_ROW_MAX]);

/* kms_local_holds tells whether the key in l is that one. */
bool kms_local_holds(struct kms_vault *v, const struct kms_locker *l, struct mkt_span key);

/* kms_local_export gives a TPK in the clear to who seals it for two people (export.h). */
bool kms_local_export(struct kms_vault *v, const struct kms_locker *l, struct mkt_secret *key);

/* kms_local_admit_key makes a generation known whose key is at hand. */
bool kms_local_admit_key(struct kms_vault *v, uint32_t generation, const uint8_t key[KMS_SEAL_KEY]);

/* kms_local_kek gives the KEK, or NULL. kms_local_key gives a generation of the store key to who
 * wraps it anew (kek rotate), or NULL. */
struct kms_kek *kms_local_kek(struct kms_vault *v);
const uint8_t *kms_local_key(struct kms_vault *v, uint32_t generation);

/* An inkey whose octets are in the vault. */
struct kms_inkey {
    struct mkt_inkey base; /* first member: hand out &k->base */
    struct kms_vault *vault;
    size_t slot;
    struct kms_locker locker;
};

/* kms_inkey_init makes k a handle; it borrows what l borrows. False when the key is shorter than
 * 16 octets (RFC 6043 12.1). */
bool kms_inkey_init(struct kms_inkey *k, struct kms_vault *v, size_t slot,
                    const struct kms_locker *l);

#endif
