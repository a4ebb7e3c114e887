/* SPDX-License-Identifier: Apache-2.0 */
/* A new configuration while requests are served: what can change does, what cannot is named, and a
 * file with a mistake changes nothing. */
#ifndef KMS_RELOAD_H
#define KMS_RELOAD_H

#include "worker.h"

#define KMS_RELOAD_ERR KMS_FILES_ERR /* octets for an error text */

struct kms_reload; /* opaque, owned; any number of threads */

/* kms_reload_new keeps the configuration as it was read, to compare the next one with; `live` is
 * the one that the service reads. NULL when memory fails. */
struct kms_reload *kms_reload_new(struct kms_service *sv, struct kms_config *live);
void kms_reload_free(struct kms_reload *r);

/* Hears of each option whose value is another one: taken, or in need of a restart. */
typedef void kms_reload_heard(void *ctx, const char *option, bool taken);

/* kms_reload_run reads the file again and applies it, with the certificates it names; the log tells
 * of each change. heard may be NULL. False: err says what is wrong, and nothing has changed. */
bool kms_reload_run(struct kms_reload *r, kms_reload_heard *heard, void *ctx,
                    char err[KMS_RELOAD_ERR]);

/* kms_reload_roster copies who may administer now. */
void kms_reload_roster(struct kms_reload *r, struct kms_roster *out);

/* kms_reload_rules reads the policy that the configuration names now, as kms_rules_load does: it
 * need not be the one in force. */
struct kms_rules *kms_reload_rules(struct kms_reload *r, char *err);

/* kms_reload_files reads certificates and revocation lists again if they have changed. */
void kms_reload_files(struct kms_reload *r);

#endif
