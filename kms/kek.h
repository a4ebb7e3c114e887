/* SPDX-License-Identifier: Apache-2.0 */
/* The key-encryption key: it opens the generations of the store key, and the store key seals the
 * rows (docs/formats/sealed-keys.md). Where it comes from is a row of a table: a file, a credential
 * of systemd, a passphrase, or a token (PKCS#11) that never gives it out. */
#ifndef KMS_KEK_H
#define KMS_KEK_H

#include "crypto/seal.h"
#include <mikeyticket/secret.h>

#define KMS_KEK_ERR 512 /* octets for an error text */
#define KMS_KEK_SALT 16
#define KMS_KEK_SPEC 4096 /* octets of "file:PATH" and the like */

/* One generation of the store key as one KEK wrapped it: a row of the store. */
struct kms_wrap {
    uint32_t generation;
    char scheme[16]; /* file, credential, passphrase, pkcs11: a hint, the tag decides */
    uint8_t salt[KMS_KEK_SALT];
    uint8_t sealed[KMS_SEAL_KEY + KMS_SEAL_MORE];
    int64_t created; /* seconds since 1970 */
};

struct kms_kek; /* opaque, owned, in locked memory */

/* What a kind of KEK does. seal and unseal: as kms_seal and kms_unseal; for_salt prepares the key
 * that belongs to a salt (NULL: there is none). */
struct kms_kek_ops {
    const char *scheme;
    bool (*open)(struct kms_kek *k, const char *spec, bool new_one, char err[KMS_KEK_ERR]);
    bool (*for_salt)(struct kms_kek *k, const uint8_t salt[KMS_KEK_SALT]);
    bool (*seal)(struct kms_kek *k, struct mkt_span name, struct mkt_span plain, uint8_t *out);
    bool (*unseal)(struct kms_kek *k, struct mkt_span name, struct mkt_span sealed, uint8_t *out);
    void (*close)(struct kms_kek *k);
};

struct kms_kek {
    const struct kms_kek_ops *ops;
    struct kms_sealer *sealer;
    bool ready; /* key is that of salt */
    uint8_t key[KMS_SEAL_KEY], salt[KMS_KEK_SALT];
    struct mkt_secret passphrase;
    void *token; /* of kek_pkcs11.c */
};

/* kms_kek_open finds the KEK that spec names: file:PATH, credential:NAME, passphrase,
 * passphrase:file:PATH, passphrase:fd:N, pkcs11:URI. new_one: it is to be chosen now, so a
 * passphrase is asked for twice. NULL: err says why. */
struct kms_kek *kms_kek_open(const char *spec, bool new_one, char err[KMS_KEK_ERR]);
void kms_kek_close(struct kms_kek *k);

/* kms_kek_known tells whether spec begins as one of the kinds does. */
bool kms_kek_known(const char *spec);

/* kms_kek_wrap wraps a store key; kms_kek_unwrap opens it. False when the KEK is another one. */
bool kms_kek_wrap(struct kms_kek *k, uint32_t generation, const uint8_t key[KMS_SEAL_KEY],
                  struct kms_wrap *wrap);
bool kms_kek_unwrap(struct kms_kek *k, const struct kms_wrap *wrap, uint8_t key[KMS_SEAL_KEY]);

/* kms_kek_make makes the file with a new KEK, mode 0600, that spec names, if it is of that kind and
 * not there yet; *made tells, and errno says why it could not. */
bool kms_kek_make(const char *spec, bool *made);

extern const struct kms_kek_ops kms_kek_pkcs11;

#endif
