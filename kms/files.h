/* SPDX-License-Identifier: Apache-2.0 */
/* Files that the configuration names: read whole, secret ones only when nobody else may read them,
 * and a stamp that tells when one of them has changed. */
#ifndef KMS_FILES_H
#define KMS_FILES_H

#include "config.h"

#define KMS_FILES_ERR 4500 /* octets for an error text */

/* kms_files_fail writes a text to err and returns false. */
bool kms_files_fail(char err[KMS_FILES_ERR], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* kms_file_read reads a regular file of at most 16 MiB into *octets, one octet longer than *n and
 * zero there; to be given to kms_file_drop. A secret one may be readable by its owner alone. */
bool kms_file_read(const char *path, bool secret, uint8_t **octets, size_t *n,
                   char err[KMS_FILES_ERR]);

/* kms_file_drop wipes and frees. */
void kms_file_drop(uint8_t *octets, size_t n);

/* kms_file_each calls use for the file, or for every regular file of the folder, until it returns
 * false. */
bool kms_file_each(const char *path, bool (*use)(void *ctx, const char *path, char *err), void *ctx,
                   char err[KMS_FILES_ERR]);

/* kms_files_stamp returns a number that differs when one of the n lists of files has changed, in
 * whatever order folders are read. */
uint64_t kms_files_stamp(const struct kms_files *const *lists, size_t n);

#endif
