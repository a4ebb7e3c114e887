/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of the admin API come by the page: {"users": [...], "next": "..."}; `after` with what stood
 * in `next` gives the page behind it. */
#ifndef KMS_API_LIST_H
#define KMS_API_LIST_H

#include "api_parts.h"

#define KMS_PAGE_ROWS 1000
#define KMS_PAGE_MAX 10000
#define KMS_PAGE_KEY 1100 /* octets of what names a row, terminated */

#define KMS_PAGE_FIELDS                                 \
    { "after", KMS_API_TEXT, false, KMS_PAGE_KEY - 1 }, \
    {                                                   \
        "limit", KMS_API_NUMBER, false, KMS_PAGE_MAX    \
    }

struct kms_page {
    struct kms_api_call *call;
    const char *name; /* of the list */
    json_t *rows;
    size_t limit;
    char last[KMS_PAGE_KEY]; /* of the row added last */
    bool full;               /* there are more */
    int64_t now;
    json_t *realms; /* names by number */
};

/* kms_page_begin; false when memory fails, and kms_page_end is to be called all the same. */
bool kms_page_begin(struct kms_page *p, struct kms_api_call *c, const char *name);

/* kms_page_row begins a row that key names; rows of one key stay together. NULL: the page is full,
 * or memory fails; the reading is to end. */
json_t *kms_page_row(struct kms_page *p, const char *key);

/* kms_page_read reads the store through the sink, whose context is p or begins with it, and makes
 * the answer. Frees the page. */
unsigned kms_page_read(struct kms_page *p, struct kms_sink *sink);

/* kms_page_realm is the callback that remembers the names of realms; kms_page_realm_name gives one.
 */
bool kms_page_realm(void *page, const struct kms_realm *r);
json_t *kms_page_realm_name(const struct kms_page *p, uint32_t number);

/* kms_user_state tells how a user is: active, suspended or expired. */
const char *kms_user_state(const struct kms_user *u, int64_t now);

#endif
