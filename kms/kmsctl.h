/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of mikey-kmsctl. Each prints its result on standard output, and on failure says on
 * standard error what to do next. */
#ifndef KMS_KMSCTL_H
#define KMS_KMSCTL_H

#include "program.h"
#include "store.h"

struct kms_ctl {
    struct kms_store *store;
    const char *kms;      /* identity of the KMS */
    const char *identity; /* of the user */
    const char *psk_id, *suite, *psk_out;
    char *psk_hex; /* wiped once read */
    bool json;
};

enum kms_exit kms_ctl_user_add(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_user_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_user_remove(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_tpk_rotate(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_tpk_list(const struct kms_ctl *ctl);

/* kms_ctl_json prints s as a JSON string. */
void kms_ctl_json(const char *s);

/* kms_ctl_time prints seconds since 1970 as "2026-01-02T03:04:05Z". */
void kms_ctl_time(int64_t seconds, char buf[32]);

/* kms_ctl_fail prints the text of a store's failure; returns the exit code. */
enum kms_exit kms_ctl_fail(const struct kms_store_err *err);

#endif
