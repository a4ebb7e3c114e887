/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the KMS's own ticket protection keys, of each realm by itself: next, current,
 * previous, retired. A state is not written anywhere: it follows from when generations start and
 * from the time, so that all nodes agree on it without asking each other. */
#ifndef KMS_TPK_SCHEDULE_H
#define KMS_TPK_SCHEDULE_H

#include "log.h"
#include "store.h"
#include "vault.h"

/* X(NAME, word) */
#define KMS_TPK_STATES(X)                                                           \
    X(NEXT, "next")         /* known to all nodes, protects nothing yet */          \
    X(CURRENT, "current")   /* protects new tickets */                              \
    X(PREVIOUS, "previous") /* opens tickets until the last of its own has ended */ \
    X(RETIRED, "retired")   /* opens nothing that is valid: to be removed */

enum kms_tpk_state {
#define KMS_TPK_STATE_ENUM(name, word) KMS_TPK_##name,
    KMS_TPK_STATES(KMS_TPK_STATE_ENUM)
#undef KMS_TPK_STATE_ENUM
};

/* One generation. Times in seconds since 1970. */
struct kms_generation {
    int64_t number, starts;
    int64_t validity; /* seconds: of the longest ticket made with it */
    uint32_t realm;
};

/* All that there are, in the order of their numbers, which are counted over all realms. */
struct kms_generations {
    struct kms_generation *at;
    size_t n;
    struct kms_realm_key {
        uint32_t number;
        char name[KMS_REALM_MAX + 1];
    } * realms; /* with a key or without */
    size_t n_realms;
};

/* Clocks differ, of ours and of clients (clock_window is an hour at most): a key opens tickets for
 * so many seconds longer than they live. */
#define KMS_TPK_SLACK_S 7200

/* kms_tpk_state tells the state of generation at[i] at `now`, and in *until when it ends
 * (INT64_MAX: no end is known yet). */
enum kms_tpk_state kms_tpk_state(const struct kms_generations *g, size_t i, int64_t now,
                                 int64_t *until);

/* kms_tpk_state_word returns "next" and the like. */
const char *kms_tpk_state_word(enum kms_tpk_state state);

/* What is to be done now. */
struct kms_tpk_step {
    enum { KMS_TPK_WAIT, KMS_TPK_MAKE, KMS_TPK_RETIRE } what;
    int64_t generation;
    int64_t starts; /* MAKE */
};

/* kms_tpk_plan decides for a realm whose keys protect tickets for `every` seconds each; 0: only the
 * first one is made. The next key is made a quarter of that before it starts, or an hour, so that
 * all nodes have it in time. */
struct kms_tpk_step kms_tpk_plan(const struct kms_generations *g, uint32_t realm, uint32_t every,
                                 int64_t now);

/* kms_generations_read reads all generations and realms of the store; kms_generations_free frees
 * them, also after a failure. */
enum kms_store_rc kms_generations_read(struct kms_generations *g, struct kms_store *s,
                                       struct kms_store_err *err);
void kms_generations_free(struct kms_generations *g);

/* kms_tpk_keep notes that tickets of `validity` seconds may be made, does what is to be done for
 * every realm by the clock of the store, and says so in the log. Any number of nodes may do so at
 * once: one of them succeeds. */
enum kms_store_rc kms_tpk_keep(struct kms_store *s, struct kms_vault *vault, uint32_t every,
                               uint32_t validity, struct kms_log *log, struct kms_store_err *err);

/* kms_tpk_rotate starts the generation of a realm (NULL: the default one) that waits, or makes a
 * new one, now by the clock of the store. *generation gets its number. NOT_FOUND. */
enum kms_store_rc kms_tpk_rotate(struct kms_store *s, struct kms_vault *vault, const char *realm,
                                 int64_t validity, int64_t *generation, struct kms_store_err *err);

#endif
