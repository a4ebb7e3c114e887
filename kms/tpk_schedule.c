/* SPDX-License-Identifier: Apache-2.0 */
/* The state and the plan are pure functions of the list and the time; kms_tpk_keep is what applies
 * them, and leaves to the store which of several nodes succeeds. */
#include "tpk_schedule.h"

#include <stdlib.h>

#include "tpk.h"

#define AHEAD_S 3600
#define STEPS 16 /* of one look */

const char *
kms_tpk_state_word(enum kms_tpk_state state)
{
    static const char *const words[] = {
#define KMS_TPK_STATE_WORD(name, word) word,
        KMS_TPK_STATES(KMS_TPK_STATE_WORD)
#undef KMS_TPK_STATE_WORD
    };

    return words[state];
}

/* The index of the generation that protects tickets; n: none. */
static size_t
current_of(const struct kms_generation *g, size_t n, int64_t now)
{
    for (size_t i = n; i-- > 0;)
        if (g[i].starts <= now)
            return i;
    return n;
}

enum kms_tpk_state
kms_tpk_state(const struct kms_generation *g, size_t n, size_t i, int64_t now, int64_t *until)
{
    size_t current = current_of(g, n, now);
    int64_t replaced = INT64_MAX; /* the earliest start of a later one */

    *until = INT64_MAX;
    for (size_t k = i + 1; k < n; k++)
        if (g[k].starts < replaced)
            replaced = g[k].starts;
    if (current == n || i > current) {
        *until = replaced;
        return KMS_TPK_NEXT;
    }
    *until = replaced;
    if (i == current)
        return KMS_TPK_CURRENT;
    *until = replaced + g[i].validity + KMS_TPK_SLACK_S;
    return now < *until ? KMS_TPK_PREVIOUS : KMS_TPK_RETIRED;
}

struct kms_tpk_step
kms_tpk_plan(const struct kms_generation *g, size_t n, uint32_t every, int64_t now)
{
    size_t current = current_of(g, n, now);
    int64_t ahead = every / 4 < AHEAD_S ? every / 4 : AHEAD_S, until, due;

    for (size_t i = 0; i < n; i++)
        if (kms_tpk_state(g, n, i, now, &until) == KMS_TPK_RETIRED)
            return (struct kms_tpk_step){ .what = KMS_TPK_RETIRE, .generation = g[i].number };
    if (n == 0)
        return (struct kms_tpk_step){ KMS_TPK_MAKE, 1, now };
    if (current + 1 < n || current == n)
        return (struct kms_tpk_step){ .what = KMS_TPK_WAIT }; /* the next one is there */
    due = g[current].starts + every;
    if (now < due - ahead)
        return (struct kms_tpk_step){ .what = KMS_TPK_WAIT };
    /* Late, as after a night switched off: the other nodes still get their time. */
    return (struct kms_tpk_step){ KMS_TPK_MAKE, g[current].number + 1,
                                  due > now + ahead ? due : now + ahead };
}

struct list {
    struct kms_generation *at;
    size_t n;
};

static bool
take(void *ctx, const struct kms_tpk *t)
{
    struct list *l = ctx;
    struct kms_generation *grown;
    size_t i;

    if (t->owner != NULL)
        return true;
    for (i = 0; i < l->n; i++)
        if (l->at[i].number == t->generation)
            return true; /* the key of the other suite */
    grown = realloc(l->at, (l->n + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    l->at = grown;
    for (i = l->n++; i > 0 && grown[i - 1].number > t->generation; i--)
        grown[i] = grown[i - 1];
    grown[i] = (struct kms_generation){ t->generation, t->starts, t->validity };
    return true;
}

enum kms_store_rc
kms_tpk_list(struct kms_store *s, struct kms_generation **g, size_t *n, struct kms_store_err *err)
{
    struct list l = { NULL, 0 };
    const struct kms_sink sink = { .tpk = take, .ctx = &l };
    enum kms_store_rc rc = s->ops->read(s, &sink, false, err);

    *g = l.at;
    *n = l.n;
    return rc;
}

static enum kms_store_rc
take_step(struct kms_store *s, struct kms_vault *vault, const struct kms_tpk_step *step,
          uint32_t validity, struct kms_log *log, struct kms_store_err *err)
{
    enum kms_store_rc rc;

    if (step->what == KMS_TPK_RETIRE) {
        rc = s->ops->tpk_retire(s, step->generation, err);
        if (rc == KMS_STORE_OK)
            KMS_LOG(log, KMS_INFO, "ticket-key-retired",
                    kms_number("generation", step->generation));
        return rc == KMS_STORE_NOT_FOUND ? KMS_STORE_OK : rc;
    }
    rc = kms_tpk_make(s, vault, step->generation, step->starts, validity, err);
    if (rc == KMS_STORE_OK)
        KMS_LOG(log, KMS_INFO, "ticket-key-created", kms_number("generation", step->generation),
                kms_number("starts", step->starts));
    return rc == KMS_STORE_EXISTS || rc == KMS_STORE_STALE ? KMS_STORE_OK : rc; /* next time */
}

enum kms_store_rc
kms_tpk_keep(struct kms_store *s, struct kms_vault *vault, uint32_t every, uint32_t validity,
             int64_t now, struct kms_log *log, struct kms_store_err *err)
{
    struct kms_generation *g;
    struct kms_tpk_step step = { .what = KMS_TPK_WAIT };
    enum kms_store_rc rc;
    size_t n;

    for (int i = 0; i < STEPS; i++) {
        rc = kms_tpk_list(s, &g, &n, err);
        if (rc == KMS_STORE_OK)
            step = kms_tpk_plan(g, n, every, now);
        free(g);
        if (rc != KMS_STORE_OK || step.what == KMS_TPK_WAIT)
            return rc;
        rc = take_step(s, vault, &step, validity, log, err);
        if (rc != KMS_STORE_OK)
            return rc;
    }
    return KMS_STORE_OK;
}
