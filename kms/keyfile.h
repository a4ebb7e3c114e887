/* SPDX-License-Identifier: Apache-2.0 */
/* The files that mikey-kmsctl writes and mikey-ticket reads, five lines of flat YAML: the
 * credential file with a PSK (docs/formats/credential-file.md), and its like with a shared TPK
 * (docs/formats/tpk-file.md). */
#ifndef KMS_KEYFILE_H
#define KMS_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>

#include <mikeyticket/secret.h>

/* What a key of the store is. Files hold the first two only. */
enum kms_key_kind { KMS_PSK, KMS_TPK, KMS_KEPT /* those of a reference ticket */ };

struct kms_keyfile {
    enum kms_key_kind kind;
    const char *identity, *kms, *id;
    const struct mkt_secret *key;
};

#define KMS_KEYFILE_MAX 4096 /* octets of the text */

/* kms_keyfile_word returns "psk" or "tpk". */
const char *kms_keyfile_word(enum kms_key_kind kind);

/* kms_keyfile_format writes the text to buf (KMS_KEYFILE_MAX octets, holds a key: wipe it) and
 * returns its length. */
size_t kms_keyfile_format(char *buf, const struct kms_keyfile *c);

/* kms_secret_write makes a new file of mode 0600 with n octets and waits until it is on disk.
 * False: errno says why, and no file is left behind. A file that exists is never touched. */
bool kms_secret_write(const char *path, const void *octets, size_t n);

/* kms_keyfile_write does that with the text of c. */
bool kms_keyfile_write(const char *path, const struct kms_keyfile *c);

#endif
