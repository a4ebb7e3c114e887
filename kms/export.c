/* SPDX-License-Identifier: Apache-2.0 */
#include "export.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kms_export_desk {
    pthread_mutex_t lock;
    uint64_t last; /* number given */
    struct kms_export rows[KMS_EXPORTS_MAX];
};

static const char unknown[] = "there is no such export: it was taken, withdrawn, or has run out";

struct kms_export_desk *
kms_export_desk_new(void)
{
    struct kms_export_desk *d = calloc(1, sizeof *d);

    if (d != NULL)
        pthread_mutex_init(&d->lock, NULL);
    return d;
}

void
kms_export_desk_free(struct kms_export_desk *d)
{
    if (d == NULL)
        return;
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* Under lock: what has run out is forgotten; then the row of a number (0: a free one), or NULL. */
static struct kms_export *
find(struct kms_export_desk *d, uint64_t number, int64_t now_s)
{
    struct kms_export *found = NULL;

    for (size_t i = 0; i < KMS_EXPORTS_MAX; i++) {
        struct kms_export *x = &d->rows[i];

        if (x->number != 0 && now_s >= x->until_s)
            *x = (struct kms_export){ 0 };
        if (x->number == number)
            found = x;
    }
    return found;
}

const char *
kms_export_ask(struct kms_export_desk *d, const char *who, const char *tpk, int64_t now_s,
               int64_t for_s, struct kms_export *out)
{
    struct kms_export *x;

    pthread_mutex_lock(&d->lock);
    x = find(d, 0, now_s);
    if (x != NULL) {
        x->number = ++d->last;
        x->until_s = now_s + for_s;
        snprintf(x->tpk, sizeof x->tpk, "%s", tpk);
        snprintf(x->asker, sizeof x->asker, "%s", who);
        *out = *x;
    }
    pthread_mutex_unlock(&d->lock);
    return x != NULL ? NULL : "16 exports wait already: withdraw one";
}

const char *
kms_export_approve(struct kms_export_desk *d, uint64_t number, const char *who, int64_t now_s,
                   struct kms_export *out)
{
    const char *wrong = NULL;
    struct kms_export *x;

    pthread_mutex_lock(&d->lock);
    x = number == 0 ? NULL : find(d, number, now_s);
    if (x == NULL)
        wrong = unknown;
    else if (strcmp(x->asker, who) == 0)
        wrong = "who asked cannot approve: it takes another person";
    else if (x->state == KMS_EXPORT_APPROVED)
        wrong = "it is approved already";
    if (wrong == NULL) {
        x->state = KMS_EXPORT_APPROVED;
        snprintf(x->approver, sizeof x->approver, "%s", who);
        *out = *x;
    }
    pthread_mutex_unlock(&d->lock);
    return wrong;
}

const char *
kms_export_take(struct kms_export_desk *d, uint64_t number, const char *who, int64_t now_s,
                struct kms_export *out)
{
    const char *wrong = NULL;
    struct kms_export *x;

    pthread_mutex_lock(&d->lock);
    x = number == 0 ? NULL : find(d, number, now_s);
    if (x == NULL)
        wrong = unknown;
    else if (strcmp(x->asker, who) != 0)
        wrong = "only who asked can take it";
    else if (x->state != KMS_EXPORT_APPROVED)
        wrong = "nobody else has approved it yet";
    if (wrong == NULL) {
        *out = *x;
        *x = (struct kms_export){ 0 };
    }
    pthread_mutex_unlock(&d->lock);
    return wrong;
}

const char *
kms_export_drop(struct kms_export_desk *d, uint64_t number, int64_t now_s, struct kms_export *out)
{
    struct kms_export *x;

    pthread_mutex_lock(&d->lock);
    x = number == 0 ? NULL : find(d, number, now_s);
    if (x != NULL) {
        *out = *x;
        *x = (struct kms_export){ 0 };
    }
    pthread_mutex_unlock(&d->lock);
    return x != NULL ? NULL : unknown;
}

size_t
kms_export_list(struct kms_export_desk *d, int64_t now_s, struct kms_export out[KMS_EXPORTS_MAX])
{
    size_t n = 0;

    pthread_mutex_lock(&d->lock);
    (void)find(d, 0, now_s);
    for (size_t i = 0; i < KMS_EXPORTS_MAX; i++)
        if (d->rows[i].number != 0)
            out[n++] = d->rows[i];
    pthread_mutex_unlock(&d->lock);
    return n;
}
