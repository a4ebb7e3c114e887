/* SPDX-License-Identifier: Apache-2.0 */
/* The file sink: a folder of segments of JSON lines. What is written is whole or is taken back; a
 * folder that is gone, moved or replaced is noticed before the next answer leaves. */
#ifndef KMS_AUDIT_FILE_H
#define KMS_AUDIT_FILE_H

#include <sys/stat.h>

#include "chain.h"

#define KMS_AUDIT_ERR 512 /* octets of an error text */
#define KMS_AUDIT_TAKEN "is written by another program"

struct kms_audit_file {
    const char *dir; /* borrowed */
    bool sync;
    int fd, lock; /* -1: none */
    uint64_t segment;
    uint64_t size; /* octets that are good */
    bool littered; /* behind them may be what was not written whole */
    struct stat identity;
    char path[4200];
};

/* What kms_audit_file_open found. */
struct kms_audit_found {
    struct kms_head head; /* chain "": the folder is empty */
    uint64_t torn;        /* octets cut off the end: a record that was not written whole */
    uint64_t damages;     /* in the last segment */
    char first[256];      /* of them, in words */
};

/* kms_audit_file_open makes the folder (mode 0700) if it is not there, takes it for this process,
 * reads the last segment and cuts off what is torn. seal: what the store says, or NULL. False: err
 * says why. */
bool kms_audit_file_open(struct kms_audit_file *f, const char *dir, bool sync,
                         struct mkt_crypto *crypto, const struct kms_head *seal,
                         struct kms_audit_found *found, char err[KMS_AUDIT_ERR]);
void kms_audit_file_close(struct kms_audit_file *f);

/* kms_audit_file_next begins a new segment behind all that are there. */
bool kms_audit_file_next(struct kms_audit_file *f, char err[KMS_AUDIT_ERR]);

/* kms_audit_file_write appends whole lines, on disk when it returns true and sync is set. When it
 * returns false none of them is there. */
bool kms_audit_file_write(struct kms_audit_file *f, const char *lines, size_t n,
                          char err[KMS_AUDIT_ERR]);

/* kms_audit_file_gone tells whether the segment is no longer where it belongs. */
bool kms_audit_file_gone(const struct kms_audit_file *f);

#endif
