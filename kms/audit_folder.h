/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of evidence: one daemon writes to it, since two would break each other's files, and it
 * is noticed when the folder is gone, moved or replaced. */
#ifndef KMS_AUDIT_FOLDER_H
#define KMS_AUDIT_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#define KMS_AUDIT_ERR 512 /* octets of an error text */
#define KMS_AUDIT_TAKEN "is written by another program"

struct kms_audit_folder {
    const char *path; /* borrowed */
    int fd;           /* locked; -1: none */
};

/* kms_audit_give_away gives what root has made for a daemon to the daemon: to whom the folder
 * around it belongs. For anybody else it does nothing. */
bool kms_audit_give_away(const char *path);

/* kms_audit_folder_take takes the folder for this process; with `make` it makes it (mode 0700) if
 * it is not there. Again after it was replaced. False: err says why. */
bool kms_audit_folder_take(struct kms_audit_folder *f, bool make, char err[KMS_AUDIT_ERR]);

/* kms_audit_folder_ours tells whether the folder of that name is still the one taken. */
bool kms_audit_folder_ours(const struct kms_audit_folder *f);

void kms_audit_folder_close(struct kms_audit_folder *f);

/* kms_audit_fail writes a text, and what errno says behind it, to err. Returns false. */
bool kms_audit_fail(char err[KMS_AUDIT_ERR], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
