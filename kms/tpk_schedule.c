/* SPDX-License-Identifier: Apache-2.0 */
/* The state and the plan are pure functions of the list and the time; kms_tpk_keep is what applies
 * them, and leaves to the store which of several nodes succeeds. */
#include "tpk_schedule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define AHEAD_S 3600
#define STEPS 64 /* of one look */
#define TRIES 8  /* against other nodes that do the same */

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

/* The generation of a realm that protects tickets; NULL: none. */
static const struct kms_generation *
current_of(const struct kms_generations *g, uint32_t realm, int64_t now)
{
    for (size_t i = g->n; i-- > 0;)
        if (g->at[i].realm == realm && g->at[i].starts <= now)
            return &g->at[i];
    return NULL;
}

/* The last generation of a realm; NULL: none. */
static const struct kms_generation *
last_of(const struct kms_generations *g, uint32_t realm)
{
    for (size_t i = g->n; i-- > 0;)
        if (g->at[i].realm == realm)
            return &g->at[i];
    return NULL;
}

enum kms_tpk_state
kms_tpk_state(const struct kms_generations *g, size_t i, int64_t now, int64_t *until)
{
    const struct kms_generation *one = &g->at[i], *current = current_of(g, one->realm, now);
    int64_t replaced = INT64_MAX; /* the earliest start of a later one */

    for (size_t k = i + 1; k < g->n; k++)
        if (g->at[k].realm == one->realm && g->at[k].starts < replaced)
            replaced = g->at[k].starts;
    *until = replaced;
    if (current == NULL || one->number > current->number)
        return KMS_TPK_NEXT;
    if (one == current)
        return KMS_TPK_CURRENT;
    *until = replaced + one->validity + KMS_TPK_SLACK_S;
    return now < *until ? KMS_TPK_PREVIOUS : KMS_TPK_RETIRED;
}

struct kms_tpk_step
kms_tpk_plan(const struct kms_generations *g, uint32_t realm, uint32_t every, int64_t now)
{
    const struct kms_generation *current = current_of(g, realm, now), *last = last_of(g, realm);
    int64_t ahead = every / 4 < AHEAD_S ? every / 4 : AHEAD_S, until, due;
    int64_t number = g->n == 0 ? 1 : g->at[g->n - 1].number + 1;

    if (last == NULL)
        return (struct kms_tpk_step){ KMS_TPK_MAKE, number, now };
    if (every == 0)
        return (struct kms_tpk_step){ .what = KMS_TPK_WAIT };
    for (size_t i = 0; i < g->n; i++)
        if (g->at[i].realm == realm && kms_tpk_state(g, i, now, &until) == KMS_TPK_RETIRED)
            return (struct kms_tpk_step){ .what = KMS_TPK_RETIRE, .generation = g->at[i].number };
    if (current != last)
        return (struct kms_tpk_step){ .what = KMS_TPK_WAIT }; /* the next one is there */
    due = current->starts + every;
    if (now < due - ahead)
        return (struct kms_tpk_step){ .what = KMS_TPK_WAIT };
    /* Late, as after a night switched off: the other nodes still get their time. */
    return (struct kms_tpk_step){ KMS_TPK_MAKE, number, due > now + ahead ? due : now + ahead };
}

/* --- the list -----------------------------------------------------------------------------------
 */

static bool
take_realm(void *ctx, const struct kms_realm *r)
{
    struct kms_generations *g = ctx;
    struct kms_realm_key *grown = realloc(g->realms, (g->n_realms + 1) * sizeof *grown);

    if (grown == NULL)
        return false;
    g->realms = grown;
    grown += g->n_realms++;
    grown->number = r->number;
    snprintf(grown->name, sizeof grown->name, "%s", r->name);
    return true;
}

static bool
take_tpk(void *ctx, const struct kms_tpk *t)
{
    struct kms_generations *g = ctx;
    struct kms_generation *grown;
    size_t i;

    if (t->owner != NULL)
        return true;
    for (i = g->n; i-- > 0;)
        if (g->at[i].number == t->generation)
            return true; /* the key of the other suite */
    grown = realloc(g->at, (g->n + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    g->at = grown;
    for (i = g->n++; i > 0 && grown[i - 1].number > t->generation; i--)
        grown[i] = grown[i - 1];
    grown[i] = (struct kms_generation){ t->generation, t->starts, t->validity, t->realm };
    return true;
}

enum kms_store_rc
kms_generations_read(struct kms_generations *g, struct kms_store *s, struct kms_store_err *err)
{
    const struct kms_sink sink = { .realm = take_realm, .tpk = take_tpk, .ctx = g };

    *g = (struct kms_generations){ .n = 0 };
    return s->ops->read(s, &sink, false, err);
}

void
kms_generations_free(struct kms_generations *g)
{
    free(g->at);
    free(g->realms);
}

/* --- doing it -----------------------------------------------------------------------------------
 */

static enum kms_store_rc
make(struct kms_store *s, struct kms_vault *vault, const struct kms_generation *g,
     struct kms_store_err *err)
{
    struct kms_tpk pair[2];
    uint8_t buf[2][KMS_SEALED_MAX]; /* in clear where nothing is sealed */
    char id[2][32];
    enum kms_store_rc rc = KMS_STORE_OK;

    for (int i = 0; i < 2; i++) {
        struct kms_locker l = { .kind = KMS_TPK };

        snprintf(id[i], sizeof id[i], "tpk-%" PRId64 "-%d", g->number, i == 0 ? 128 : 256);
        l.id = mkt_span(id[i], strlen(id[i]));
        if (!vault->ops->make(vault, &l, i == 0 ? 16 : 32, buf[i]))
            rc = kms_store_fail(err, KMS_STORE_FAILED, "the vault cannot make a key");
        pair[i] = (struct kms_tpk){ .id = id[i],
                                    .generation = g->number,
                                    .realm = g->realm,
                                    .starts = g->starts,
                                    .validity = g->validity,
                                    .key = l.key };
    }
    if (rc == KMS_STORE_OK)
        rc = s->ops->tpk_add(s, pair, err);
    mkt_wipe(buf, sizeof buf);
    return rc;
}

static enum kms_store_rc
take_step(struct kms_store *s, struct kms_vault *vault, const struct kms_tpk_step *step,
          const struct kms_realm_key *realm, uint32_t validity, struct kms_log *log,
          struct kms_store_err *err)
{
    const struct kms_generation g = { step->generation, step->starts, validity, realm->number };
    enum kms_store_rc rc;

    if (step->what == KMS_TPK_RETIRE) {
        rc = s->ops->tpk_retire(s, step->generation, err);
        if (rc == KMS_STORE_OK)
            KMS_LOG(log, KMS_INFO, "ticket-key-retired", kms_number("generation", g.number),
                    kms_text("realm", realm->name));
        return rc == KMS_STORE_NOT_FOUND ? KMS_STORE_OK : rc;
    }
    rc = make(s, vault, &g, err);
    if (rc == KMS_STORE_OK)
        KMS_LOG(log, KMS_INFO, "ticket-key-created", kms_number("generation", g.number),
                kms_number("starts", g.starts), kms_text("realm", realm->name));
    /* Somebody else was faster, or removed the realm, or a rotation of the KEK: next time. */
    return rc == KMS_STORE_EXISTS || rc == KMS_STORE_STALE || rc == KMS_STORE_NOT_FOUND
               ? KMS_STORE_OK
               : rc;
}

/* Reads all generations, and what second it is. */
static enum kms_store_rc
read_all(struct kms_generations *g, int64_t *now, struct kms_store *s, struct kms_store_err *err)
{
    enum kms_store_rc rc = kms_generations_read(g, s, err);

    if (rc == KMS_STORE_OK)
        rc = s->ops->now(s, now, err);
    *now /= KMS_NS_PER_S;
    return rc;
}

/* One step of each realm that has one to take; *done: none has. */
static enum kms_store_rc
take_steps(struct kms_store *s, struct kms_vault *vault, uint32_t every, uint32_t validity,
           struct kms_log *log, bool *done, struct kms_store_err *err)
{
    struct kms_generations g;
    int64_t now = 0;
    enum kms_store_rc rc = read_all(&g, &now, s, err);

    *done = true;
    for (size_t i = 0; rc == KMS_STORE_OK && i < g.n_realms; i++) {
        struct kms_tpk_step step = kms_tpk_plan(&g, g.realms[i].number, every, now);

        if (step.what == KMS_TPK_WAIT)
            continue;
        rc = take_step(s, vault, &step, &g.realms[i], validity, log, err);
        *done = false;
        break; /* the list has changed */
    }
    kms_generations_free(&g);
    return rc;
}

enum kms_store_rc
kms_tpk_keep(struct kms_store *s, struct kms_vault *vault, uint32_t every, uint32_t validity,
             struct kms_log *log, struct kms_store_err *err)
{
    enum kms_store_rc rc = s->ops->tpk_validity(s, validity, err);
    bool done = false;

    if (rc == KMS_STORE_SAME)
        rc = KMS_STORE_OK;
    for (int i = 0; rc == KMS_STORE_OK && !done && i < STEPS; i++)
        rc = take_steps(s, vault, every, validity, log, &done, err);
    return rc;
}

/* One try of kms_tpk_rotate; EXISTS and STALE: once more. */
static enum kms_store_rc
rotate(struct kms_store *s, struct kms_vault *vault, const char *realm, struct kms_generation *one,
       struct kms_store_err *err)
{
    struct kms_generations g;
    const struct kms_generation *last;
    int64_t now = 0;
    enum kms_store_rc rc = read_all(&g, &now, s, err);

    one->realm = 0;
    for (size_t i = 0; rc == KMS_STORE_OK && i < g.n_realms; i++)
        if (strcmp(g.realms[i].name, realm) == 0)
            one->realm = g.realms[i].number;
    if (rc == KMS_STORE_OK && one->realm == 0)
        rc = kms_store_fail(err, KMS_STORE_NOT_FOUND, "there is no realm %s", realm);
    if (rc == KMS_STORE_OK) {
        last = last_of(&g, one->realm);
        one->number = g.n == 0 ? 1 : g.at[g.n - 1].number + 1;
        one->starts = now;
        if (last == NULL || last->starts <= now) {
            rc = make(s, vault, one, err);
        } else {
            one->number = last->number;
            rc = s->ops->tpk_start(s, last->number, now, err);
            if (rc == KMS_STORE_NOT_FOUND)
                rc = KMS_STORE_EXISTS; /* it has just started */
        }
    }
    kms_generations_free(&g);
    return rc;
}

enum kms_store_rc
kms_tpk_rotate(struct kms_store *s, struct kms_vault *vault, const char *realm, int64_t validity,
               int64_t *generation, struct kms_store_err *err)
{
    struct kms_generation one = { .validity = validity };
    enum kms_store_rc rc = KMS_STORE_EXISTS;

    for (int i = 0; i < TRIES && (rc == KMS_STORE_EXISTS || rc == KMS_STORE_STALE); i++) {
        rc = kms_vault_refresh(vault, s, err);
        if (rc == KMS_STORE_OK)
            rc = rotate(s, vault, realm == NULL ? KMS_REALM_DEFAULT : realm, &one, err);
    }
    *generation = one.number;
    return rc;
}
