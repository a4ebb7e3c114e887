/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the KMS's own ticket protection keys: next, current, previous, retired. A state is
 * not written anywhere: it follows from when generations start and from the time, so that all nodes
 * agree on it without asking each other. */
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

/* One generation; a list of them is in the order of their numbers. Times in seconds since 1970. */
struct kms_generation {
    int64_t number, starts;
    int64_t validity; /* seconds: of the longest ticket made with it */
};

/* Clocks differ, of ours and of clients (clock_window is an hour at most): a key opens tickets for
 * so many seconds longer than they live. */
#define KMS_TPK_SLACK_S 7200

/* kms_tpk_state tells the state of generation i at `now`, and in *until when it ends (INT64_MAX: no
 * end is known yet). */
enum kms_tpk_state kms_tpk_state(const struct kms_generation *g, size_t n, size_t i, int64_t now,
                                 int64_t *until);

/* kms_tpk_state_word returns "next" and the like. */
const char *kms_tpk_state_word(enum kms_tpk_state state);

/* What is to be done now. */
struct kms_tpk_step {
    enum { KMS_TPK_WAIT, KMS_TPK_MAKE, KMS_TPK_RETIRE } what;
    int64_t generation;
    int64_t starts; /* MAKE */
};

/* kms_tpk_plan decides, for keys that protect tickets for `every` seconds each. The next key is
 * made a quarter of that before it starts, or an hour, so that all nodes have it in time. */
struct kms_tpk_step kms_tpk_plan(const struct kms_generation *g, size_t n, uint32_t every,
                                 int64_t now);

/* kms_tpk_list reads the generations of the store into *g (owned by the caller, free). */
enum kms_store_rc kms_tpk_list(struct kms_store *s, struct kms_generation **g, size_t *n,
                               struct kms_store_err *err);

/* kms_tpk_keep does what is to be done, and says so in the log. Any number of nodes may do so at
 * once: one of them succeeds. */
enum kms_store_rc kms_tpk_keep(struct kms_store *s, struct kms_vault *vault, uint32_t every,
                               uint32_t validity, int64_t now, struct kms_log *log,
                               struct kms_store_err *err);

#endif
