/* SPDX-License-Identifier: Apache-2.0 */
#include "api_picture.h"

#include "rules_live.h"
#include "worker.h"

bool
kms_picture_take(struct kms_picture *p, struct kms_api_call *c, struct kms_vault *vault,
                 struct kms_store_err *err)
{
    struct kms_api *api = c->api;

    p->own = NULL;
    p->index = NULL;
    if (api->service != NULL) {
        pthread_mutex_lock(&api->picture);
        p->index = kms_current_get(&api->service->current, api->slot);
        return true;
    }
    if (kms_index_build(&p->own, c->store, vault, err) != KMS_STORE_OK)
        return false;
    p->index = p->own;
    return true;
}

void
kms_picture_give(struct kms_picture *p, struct kms_api_call *c)
{
    if (p->index != NULL && p->own == NULL) {
        kms_current_put(&c->api->service->current, c->api->slot);
        pthread_mutex_unlock(&c->api->picture);
    }
    kms_index_free(p->own);
    p->own = NULL;
    p->index = NULL;
}

bool
kms_policy_take(struct kms_policy_picture *p, struct kms_api_call *c, char *err)
{
    struct kms_api *api = c->api;

    p->own = NULL;
    if (api->service != NULL) {
        pthread_mutex_lock(&api->policy);
        p->rules = kms_current_get(&api->service->rules->current, api->slot);
        return true;
    }
    p->own = kms_rules_load(api->config, err);
    p->rules = p->own;
    return p->own != NULL;
}

void
kms_policy_give(struct kms_policy_picture *p, struct kms_api_call *c)
{
    if (p->rules != NULL && p->own == NULL) {
        kms_current_put(&c->api->service->rules->current, c->api->slot);
        pthread_mutex_unlock(&c->api->policy);
    }
    kms_rules_free(p->own);
    p->own = NULL;
    p->rules = NULL;
}
