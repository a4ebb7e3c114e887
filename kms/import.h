/* SPDX-License-Identifier: Apache-2.0 */
/* Files of users and groups, read strictly and one entry at a time: CSV (RFC 4180) and LDIF
 * (RFC 2849), of both just what is needed. The octets of a file may hold keys: they are kept in
 * memory that is wiped. */
#ifndef KMS_IMPORT_H
#define KMS_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "memory.h"

#define KMS_IMPORT_LINE 65536 /* octets of a line */

enum kms_field {
    KMS_FIELD_IDENTITY, /* the first is the user's or group's, others are aliases */
    KMS_FIELD_PSK_ID,
    KMS_FIELD_PSK, /* hexadecimal */
    KMS_FIELD_REALM,
    KMS_FIELD_EXPIRES,
    KMS_FIELD_SUSPENDED, /* true or false */
    KMS_FIELD_GROUP,     /* of which the user is a member */
    KMS_FIELD_MAIL,      /* LDIF: in place of an identity */
    KMS_FIELD_DN,        /* LDIF: what the entry is called in its file */
    KMS_FIELD_CLASS,     /* LDIF: objectClass */
    KMS_FIELD_MEMBER     /* LDIF: the DN of a member of this group */
};

/* One value. `text` is an offset until the entry is complete. */
struct kms_value {
    enum kms_field field;
    size_t line;
    size_t text;
};

/* An entry: the values of one user or group, in the order of the file. */
struct kms_entry {
    size_t line;
    struct kms_block values, texts; /* struct kms_value; the octets they point to */
    size_t n, used;
};

/* Reading a file: give it path and file, and find in err what is wrong, with its line. */
struct kms_import {
    const char *path;
    FILE *file;
    size_t line;
    struct kms_entry entry;
    /* Called for each entry, in which it may find what is wrong: false stops. */
    bool (*each)(void *ctx, struct kms_import *in);
    void *ctx;
    char err[512];
    char text[KMS_IMPORT_LINE + 2];
};

/* kms_import_csv and kms_import_ldif read the file from its beginning to its end. False: err. */
bool kms_import_csv(struct kms_import *in);
bool kms_import_ldif(struct kms_import *in);

/* kms_import_wrong fills err with "PATH:LINE: what is wrong" and returns false. line 0: where it
 * is. */
bool kms_import_wrong(struct kms_import *in, size_t line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* kms_import_free wipes. */
void kms_import_free(struct kms_import *in);

/* For the readers. kms_import_line reads a line without its end into text, behind the octets that
 * are to stay there; *n gets how many there are then. False at the end, or when it is wrong (err).
 * kms_import_begin begins an entry, kms_import_add adds a value of n octets, kms_import_give gives
 * it to `each` unless it is empty. */
bool kms_import_line(struct kms_import *in, size_t keep, size_t *n);
void kms_import_begin(struct kms_import *in);
bool kms_import_add(struct kms_import *in, enum kms_field field, const char *text, size_t n);
bool kms_import_give(struct kms_import *in);

/* kms_entry_value returns the value number i of a field (0: the first), NULL when there are not
 * that many; *line gets its line unless NULL. */
const char *kms_entry_value(const struct kms_entry *e, enum kms_field field, size_t i,
                            size_t *line);

#endif
