/* SPDX-License-Identifier: Apache-2.0 */
/* A backup file: a snapshot of the store, sealed under a key that scrypt makes of a secret
 * (docs/formats/backup-file.md). Without the secret it tells its age and size, and nothing else. */
#ifndef KMS_BACKUP_H
#define KMS_BACKUP_H

#include "snapshot.h"

#define KMS_BACKUP_ERR 1024 /* octets for an error text */

/* kms_backup_write makes a new file of mode 0600; created: seconds since 1970. On failure there is
 * no file. */
bool kms_backup_write(const char *path, const struct kms_snapshot *s, struct mkt_span secret,
                      int64_t created, kms_progress *progress, void *ctx, char err[KMS_BACKUP_ERR]);

/* kms_backup_read opens a file. Nothing of it is believed before its seal has been verified; on
 * failure s is empty. */
bool kms_backup_read(const char *path, struct kms_snapshot *s, struct mkt_span secret,
                     int64_t *created, kms_progress *progress, void *ctx, char err[KMS_BACKUP_ERR]);

#endif
