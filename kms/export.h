/* SPDX-License-Identifier: Apache-2.0 */
/* Keys leave the KMS by two people: one asks, another one approves, and the first takes it, once,
 * within a bounded time. What is asked stands in memory only: a restart forgets it. */
#ifndef KMS_EXPORT_H
#define KMS_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "roster.h"
#include "store.h"

#define KMS_EXPORTS_MAX 16 /* at a time */

enum kms_export_state { KMS_EXPORT_ASKED, KMS_EXPORT_APPROVED };

struct kms_export {
    uint64_t number; /* 0: free */
    enum kms_export_state state;
    char tpk[KMS_PSK_ID_MAX + 1];
    char asker[KMS_PERSON_MAX + 1], approver[KMS_PERSON_MAX + 1];
    int64_t until_s; /* steady clock */
};

struct kms_export_desk; /* opaque, owned; any number of threads */

struct kms_export_desk *kms_export_desk_new(void);
void kms_export_desk_free(struct kms_export_desk *d);

/* Each returns NULL, or why not. Times are seconds of a steady clock. kms_export_ask gives *out the
 * new row. kms_export_approve needs another person than the one who asked; kms_export_take the one
 * who asked, after an approval: the row is gone then, whatever comes of it. kms_export_drop forgets
 * a row. */
const char *kms_export_ask(struct kms_export_desk *d, const char *who, const char *tpk,
                           int64_t now_s, int64_t for_s, struct kms_export *out);
const char *kms_export_approve(struct kms_export_desk *d, uint64_t number, const char *who,
                               int64_t now_s, struct kms_export *out);
const char *kms_export_take(struct kms_export_desk *d, uint64_t number, const char *who,
                            int64_t now_s, struct kms_export *out);
const char *kms_export_drop(struct kms_export_desk *d, uint64_t number, int64_t now_s,
                            struct kms_export *out);

/* kms_export_list copies the rows that have not run out; returns how many. */
size_t kms_export_list(struct kms_export_desk *d, int64_t now_s,
                       struct kms_export out[KMS_EXPORTS_MAX]);

#endif
