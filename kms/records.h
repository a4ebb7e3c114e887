/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the records of the audit for people: those that fit, oldest first, a part at a time. */
#ifndef KMS_RECORDS_H
#define KMS_RECORDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define KMS_RECORDS_PLACE 48 /* octets of a place in the audit, terminated */
#define KMS_RECORDS_ERR 4500 /* octets for an error text */

/* What is wanted: NULL is anything. */
struct kms_records {
    const char *dir;                               /* of the segments */
    const char *who, *ticket, *outcome, *event;    /* who: sender, initiator or responder */
    const char *realm;                             /* of who asked, or of the ticket */
    const char *since, *until;                     /* a time, its beginning, or "90m": ago */
    const char *after;                             /* a place; NULL: from the beginning */
    size_t last;                                   /* only the last ones, so many; 0: all */
    size_t limit;                                  /* at most so many */
    bool (*each)(void *ctx, const json_t *record); /* false stops: no memory */
    void *ctx;
};

/* kms_records_read calls `each`. place gets where the reading came to, to go on behind it; *more
 * tells whether there was more, beyond limit or beyond what is read at a time. False: err says why.
 */
bool kms_records_read(const struct kms_records *r, char place[KMS_RECORDS_PLACE], bool *more,
                      char err[KMS_RECORDS_ERR]);

/* kms_records_moment tells whether text (NULL: no matter) is a moment, as in since and until;
 * KMS_RECORDS_MOMENT says what one is. */
bool kms_records_moment(const char *text);
#define KMS_RECORDS_MOMENT \
    "a time is 2026-01-02T03:04:05Z, its beginning, or 90m for 90 minutes ago"

/* kms_record_text gives a text of a record, "" when it is not there. */
const char *kms_record_text(const json_t *record, const char *key);

#endif
