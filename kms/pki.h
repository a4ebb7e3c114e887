/* SPDX-License-Identifier: Apache-2.0 */
/* The key pairs of the KMS, whom it trusts, and who is revoked: files of the configuration, read at
 * the start and again when they change. What cannot be read leaves what was read before. */
#ifndef KMS_PKI_H
#define KMS_PKI_H

#include <mikeyticket/kms.h>

#include "config.h"
#include "files.h"
#include "log.h"

#define KMS_PKI_ERR KMS_FILES_ERR /* octets for an error text */

struct kms_pki; /* opaque, owned; any number of readers, one that refreshes */

/* kms_pki_open reads the files. *pki is NULL when the configuration names no key pair. False: err
 * says which file and why. */
bool kms_pki_open(struct kms_pki **pki, const struct kms_config *config, char err[KMS_PKI_ERR]);

/* kms_pki_close wipes and frees. NULL is allowed. */
void kms_pki_close(struct kms_pki *pki);

/* kms_pki_hold gives what mkt_kms_verify_pk needs, until kms_pki_release by the same thread. */
const struct mkt_kms_pk *kms_pki_hold(struct kms_pki *pki);
void kms_pki_release(struct kms_pki *pki);

/* kms_pki_refresh reads the files again if one has changed, or anyway, and says so in the log. NULL
 * is allowed. */
void kms_pki_refresh(struct kms_pki *pki, struct kms_log *log, bool anyway);

#endif
