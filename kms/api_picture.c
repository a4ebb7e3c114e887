/* SPDX-License-Identifier: Apache-2.0 */
#include "api_picture.h"

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
