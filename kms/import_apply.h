/* SPDX-License-Identifier: Apache-2.0 */
/* Users, their other identities, devices and groups from a file of CSV or LDIF. Nothing is taken
 * away, and what is there already is left alone: a second run changes nothing. */
#ifndef KMS_IMPORT_APPLY_H
#define KMS_IMPORT_APPLY_H

#include "vault.h"

#define KMS_IMPORT_ERR 512 /* octets for an error text */

struct kms_import_job {
    const char *name;   /* of the file, for errors; ".ldif" at its end: LDIF, else CSV */
    const char *octets; /* what is in it; may hold keys */
    size_t n;
    struct kms_vault *vault; /* for keys */
    size_t slot;
    bool dry_run; /* everything is tried, and nothing is changed */
    bool shared;  /* others can read the file: a key in it is refused */
    void (*progress)(void *ctx, uint64_t done, uint64_t all); /* octets; NULL: nobody looks */
    void *ctx;
};

struct kms_import_counts {
    size_t entries, passed_over; /* read; without an identity */
    size_t users, credentials, aliases, changed, groups, members;
};

enum kms_import_end {
    KMS_IMPORT_DONE,
    KMS_IMPORT_WRONG,  /* nothing was changed */
    KMS_IMPORT_STOPPED /* what stands before the line in err is done, unless it is a dry run */
};

/* kms_import_apply does it, a few thousand entries in one transaction. err: NAME:LINE: why. */
enum kms_import_end kms_import_apply(struct kms_store *store, const struct kms_import_job *job,
                                     struct kms_import_counts *counts, char err[KMS_IMPORT_ERR]);

#endif
