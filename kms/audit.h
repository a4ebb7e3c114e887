/* SPDX-License-Identifier: Apache-2.0 */
/* The audit: every decision is written down before its answer leaves. Workers hand over the records
 * of a batch; the first one that finds nobody writing writes for all who wait (group commit), so
 * that the disk is asked once for many answers.
 *
 * When a sink that is required cannot be written, requests are refused from then on, none waits
 * longer than the sink's own timeout, and a thread tries until it works again. */
#ifndef KMS_AUDIT_H
#define KMS_AUDIT_H

#include <stdatomic.h>

#include "audit_file.h"
#include "config.h"
#include "log.h"
#include "store_clock.h"
#include "trail.h"

struct kms_audit; /* opaque, owned; any number of threads */

/* kms_audit_open starts the audit that the configuration asks for; *audit is NULL when it asks for
 * none. What is wrong with the records of the run before is logged and becomes a record. store,
 * which it uses alone, and config, log and clock must outlive it. False: err says why. */
bool kms_audit_open(struct kms_audit **audit, const struct kms_config *config, struct kms_log *log,
                    struct kms_store *store, const struct kms_store_clock *clock,
                    char err[KMS_AUDIT_ERR]);

/* kms_audit_former gives the time of the latest record of the run before, in nanoseconds since
 * 1970, by the clock of the store: everything that was taken was taken before. 0: nothing is known
 * of it. */
int64_t kms_audit_former(const struct kms_audit *a);

/* kms_audit_close writes the last record, tells the store where the chain ends, and frees. Nobody
 * else may use it any more. `note` is a record about the end, or NULL. NULL is allowed. */
void kms_audit_close(struct kms_audit *a, struct kms_trail *note);

/* kms_audit_down tells whether nothing can be recorded just now: nothing may be answered. Counts
 * whoever is told so, and kms_audit_failing does not. a = NULL: false. */
bool kms_audit_down(struct kms_audit *a);
bool kms_audit_failing(const struct kms_audit *a);

/* kms_audit_gather lets records gather before the next commit, when the last one served several:
 * sleeps for a quarter of what writing took, at most a millisecond. Answers leave a little later
 * and many more at once. For a thread that has nothing else to do. */
void kms_audit_gather(struct kms_audit *a);

/* kms_audit_add hands the records of t over, without waiting, and empties t. */
void kms_audit_add(struct kms_audit *a, struct kms_trail *t);

/* kms_audit_commit hands over and waits until all records of t since the last commit are in every
 * sink that is required. False: at least one is not, and no answer to any of them may leave. With a
 * = NULL everything is true. */
bool kms_audit_commit(struct kms_audit *a, struct kms_trail *t);

/* One who does not wait: `done` is called once, in another thread, with what kms_audit_commit would
 * have returned. */
struct kms_audit_wait {
    struct kms_audit_wait *next;
    void (*done)(struct kms_audit_wait *w, bool ok);
    uint64_t last, epoch;
    bool refused;
};

/* kms_audit_later hands over and has `done` called. False: nothing was handed over, and nothing is
 * called; commit instead. That is so after kms_audit_drain, which waits until all have been called.
 */
bool kms_audit_later(struct kms_audit *a, struct kms_trail *t, struct kms_audit_wait *w);
void kms_audit_drain(struct kms_audit *a);

#endif
