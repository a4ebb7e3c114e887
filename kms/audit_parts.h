/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the audit share: audit.c hands records over and waits, audit_write.c chains and
 * writes them, audit_keeper.c is the thread, audit_seal.c tells the store, audit_open.c is the
 * beginning and the end. */
#ifndef KMS_AUDIT_PARTS_H
#define KMS_AUDIT_PARTS_H

#include <pthread.h>
#include <time.h>

#include "audit.h"
#include "audit_outlet.h"
#include "clock.h"
#include "octets.h"

struct kms_audit {
    const struct kms_config *config;
    struct kms_log *log;
    struct kms_store *store;
    const struct kms_store_clock *clock;
    struct mkt_crypto *crypto;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct kms_octets pending; /* under lock, as the next three */
    uint64_t added, done, epoch;
    bool writing, draining;
    struct kms_audit_wait *waits; /* under lock */
    size_t n_waits;               /* not called yet */
    atomic_bool down;
    _Atomic uint64_t refused; /* requests while down */
    _Atomic int64_t nap_ns;   /* see kms_audit_gather */
    /* The writer's own. */
    struct kms_octets taken, lines;
    uint32_t n_taken;
    struct kms_head head, sealed; /* sealed: of audit_seal.c, once it runs */
    int64_t former_ns;            /* the latest record of the run before; 0: none is known */
    bool rotate, has_file;
    int64_t rotate_at_s; /* steady clock; 0: never */
    struct kms_audit_file file;
    struct kms_outlet *outlets[KMS_OUTLETS];
    bool required[KMS_OUTLETS];
    size_t n_outlets;
    uint64_t withheld;               /* the first record that was not answered for */
    bool seal_failing, file_failing; /* file_failing: of one that is optional */
    uint64_t file_lost;
    struct kms_trail *note;
    int wake, seal_stop;
    atomic_bool stopping;
    pthread_t keeper, sealer;
};

/* For the writer: puts everything that is taken into every sink, and waits for those that are
 * required. When it fails before the file has it, it stays taken. */
bool kms_audit_write(struct kms_audit *a);

/* For the writer: waits until the outlets that are required have everything. */
bool kms_audit_outlets_done(struct kms_audit *a);

/* Under lock. take: what is pending is taken; there was nothing taken. lead: becomes the writer of
 * all that is pending, giving the lock up meanwhile; nobody else is writing. note: hands t over,
 * whatever the state. reach: waits until record `last` of an epoch is written. */
void kms_audit_take(struct kms_audit *a);
void kms_audit_lead(struct kms_audit *a);
void kms_audit_note(struct kms_audit *a, struct kms_trail *t);
bool kms_audit_reach(struct kms_audit *a, uint64_t last, uint64_t epoch);

/* kms_audit_begin_writing takes the place of the writer, kms_audit_end_writing gives it up. */
void kms_audit_begin_writing(struct kms_audit *a);
void kms_audit_end_writing(struct kms_audit *a);

/* audit_keeper.c: the thread; one try to write again. */
void *kms_audit_keep(void *audit);
void kms_audit_resume(struct kms_audit *a);

/* audit_seal.c: a thread that tells the store where the chain ends, until it is stopped; once, when
 * that thread does not run. */
bool kms_audit_seal_start(struct kms_audit *a);
void kms_audit_seal_stop(struct kms_audit *a);
void kms_audit_seal(struct kms_audit *a);

#endif
