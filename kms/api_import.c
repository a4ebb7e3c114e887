/* SPDX-License-Identifier: Apache-2.0 */
/* Import: the file is the body. One at a time, so that memory is bounded. */
#include <pthread.h>

#include "api_parts.h"
#include "import_apply.h"

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

static void
put_counts(json_t *o, const struct kms_import_counts *n)
{
    kms_api_put(o, "entries", json_integer((json_int_t)n->entries));
    kms_api_put(o, "passed-over", json_integer((json_int_t)n->passed_over));
    kms_api_put(o, "users", json_integer((json_int_t)n->users));
    kms_api_put(o, "credentials", json_integer((json_int_t)n->credentials));
    kms_api_put(o, "aliases", json_integer((json_int_t)n->aliases));
    kms_api_put(o, "groups", json_integer((json_int_t)n->groups));
    kms_api_put(o, "members", json_integer((json_int_t)n->members));
    kms_api_put(o, "users-changed", json_integer((json_int_t)n->changed));
}

unsigned
kms_api_import(struct kms_api_call *c)
{
    const struct kms_import_job job = { .name = kms_api_given(c, "name"),
                                        .octets = c->body,
                                        .n = c->n_body,
                                        .vault = c->api->vault,
                                        .slot = c->api->slot,
                                        .dry_run = kms_api_truth(c, "dry-run"),
                                        .shared = kms_api_truth(c, "shared"),
                                        .progress = c->progress,
                                        .ctx = c->progress_ctx };
    struct kms_import_counts counts = { 0 };
    char err[KMS_IMPORT_ERR];
    enum kms_import_end end;

    if (pthread_mutex_trylock(&one) != 0)
        return kms_api_refuse(c, KMS_API_CONFLICT, NULL, "another import is under way");
    end = kms_import_apply(c->store, &job, &counts, err);
    pthread_mutex_unlock(&one);
    if (end == KMS_IMPORT_WRONG)
        return kms_api_refuse(c, KMS_API_MALFORMED, "/", "%s; nothing was changed", err);
    if (end == KMS_IMPORT_STOPPED)
        return kms_api_refuse(c, KMS_API_CONFLICT, "/", "%s; %s", err,
                              job.dry_run
                                  ? "nothing was changed"
                                  : "what stands before it is done: mend it and run this again");
    c->answer = json_object();
    put_counts(c->answer, &counts);
    return KMS_API_OK;
}
