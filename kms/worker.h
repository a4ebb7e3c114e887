/* SPDX-License-Identifier: Apache-2.0 */
/* What all workers share (the service, read-only but for its atomics) and what each has for itself:
 * crypto contexts, a transaction, random octets, answers to repeat, counters. A worker belongs to
 * one thread. */
#ifndef KMS_WORKER_H
#define KMS_WORKER_H

#include <stdatomic.h>

#include <mikeyticket/kms.h>

#include "audit.h"
#include "config.h"
#include "current.h"
#include "followed.h"
#include "index.h"
#include "limit.h"
#include "log.h"
#include "marks.h"
#include "pki.h"
#include "replay.h"
#include "retransmit.h"
#include "rules_live.h"
#include "store_clock.h"
#include "tally.h"
#include "tickets.h"
#include "tls.h"

struct kms_api;
struct kms_courier;
struct kms_lane;
struct kms_peers;

struct kms_worker;

/* What the operator asks about and no worker counts: each is written by one thread. */
struct kms_state {
    _Atomic bool ready;          /* serving: from the last socket on until it is told to stop */
    _Atomic bool store_readable; /* at the last look */
    _Atomic int64_t beat_s; /* when the watching thread last turned; a clock that does not jump */
    _Atomic uint64_t credentials, ticket_keys, store_reloads;
    int64_t started_s; /* since 1970, by the clock of the store */
};

struct kms_service {
    const struct kms_config *config;
    struct kms_log *log;
    struct kms_store_clock clock; /* what all nodes go by */
    struct kms_current current;   /* struct kms_index */
    struct kms_followed followed;
    struct kms_vault *vault; /* borrowed; set before there are workers */
    struct kms_replay *replay;
    struct kms_marks *marks;
    struct kms_peers *peers;      /* NULL: no other KMS is known */
    struct kms_courier *courier;  /* NULL: none is asked */
    struct kms_lane *lane;        /* NULL: workers may wait */
    struct kms_audit *audit;      /* NULL: decisions are not recorded */
    struct kms_rules_live *rules; /* the policy */
    struct kms_pki *pki;          /* NULL: requests with signatures are not served */
    struct kms_tickets *tickets;  /* NULL: no reference tickets */
    struct kms_tls *tls;          /* NULL: there is no https address */
    struct kms_tls *api_tls;      /* of the admin API; NULL: it is not served over TLS */
    struct kms_api *api;          /* for its counts; NULL: not served */
    struct kms_limit *by_source, *by_identity;
    struct mkt_identity identity; /* IDRkms; borrows from config */
    uint64_t start; /* NTP-UTC: nothing older is accepted, for it may have been taken before */
    struct kms_worker *workers; /* a list; changes while nothing is served */
    struct kms_tally ended;     /* of workers that are gone */
    struct kms_state state;
};

struct kms_worker {
    struct kms_service *service;
    struct kms_worker *next;
    size_t slot; /* in service->current */
    struct mkt_crypto *crypto;
    struct mkt_kms_txn *txn;
    struct kms_retransmit *again; /* UDP only */
    /* Stand in for the PSK of nobody: of 16 and of 32 octets, sealed as any other. */
    struct kms_sealed dummy[2];
    uint8_t dummy_octets[2][KMS_SEALED_MAX];
    uint64_t now;            /* NTP-UTC by the clock of the store, as of kms_worker_clock */
    int64_t now_s, now_ns;   /* likewise, since 1970 */
    int64_t steady_ns;       /* a clock that does not jump */
    uint64_t counter;        /* COUNTER of the message being answered */
    struct kms_trail *trail; /* records on their way; NULL: none are made */
    struct kms_bucket errors, lines, strangers;
    int64_t suppressed;  /* log lines left out since the last one */
    uint64_t unrecorded; /* likewise records, about strangers */
    struct kms_tally tally;
    struct mkt_pool random;
};

/* Nothing stamped until so long after the start is accepted: a timestamp that is less ahead is an
 * ordinary one. Somewhat less, since the run before may have been another node, which knew the
 * time of the store no better than we do. What is further ahead needs a mark in the store
 * (marks.h). */
#define KMS_AHEAD_MS 100
#define KMS_ORDINARY_MS (KMS_AHEAD_MS - 2 * KMS_DOUBT_MS)
#define KMS_NTP_OF_MS(ms) (((uint64_t)(ms) << 32) / 1000)

/* kms_service_init builds everything but the workers, for n readers of the index. `began_ns` is
 * when this run began (nanoseconds since 1970, by our own clock): a run before had ended by then.
 * `index` is taken in every case; `marks` is the store for marks, borrowed, and tells the time.
 * False: the text says what failed. */
bool kms_service_init(struct kms_service *sv, const struct kms_config *config, struct kms_log *log,
                      int64_t began_ns, struct kms_index *index, size_t n_readers,
                      struct kms_store *marks, const char **failed);
void kms_service_free(struct kms_service *sv);

#define KMS_BEHIND_MAX_S 3600 /* a clock that was further ahead was wrong: nobody waits so long */

/* kms_service_former tells a service that has not begun that a run before took messages up to then
 * (nanoseconds since 1970, by the clock of the store; 0: nobody knows). Returns how far that clock
 * is behind it now, in seconds, rounded up; 0: it is not. */
int64_t kms_service_former(struct kms_service *sv, int64_t former_ns);

/* kms_service_wait waits until messages of just now are accepted: KMS_AHEAD_MS after the beginning
 * of this run at most, which a large store took longer to read. */
void kms_service_wait(const struct kms_service *sv);

/* kms_service_tally adds up what all workers have counted, also while they work. */
void kms_service_tally(const struct kms_service *sv, struct kms_tally *sum);

/* kms_worker_new makes a worker with reader slot `slot`; NULL when memory or crypto fails. Its
 * counts outlive it in the service. Workers are made and freed by one thread. */
struct kms_worker *kms_worker_new(struct kms_service *sv, size_t slot, enum kms_transport t);
void kms_worker_free(struct kms_worker *w);

/* kms_worker_clock reads the clocks, but not the store; call it before each request or batch. */
void kms_worker_clock(struct kms_worker *w);

/* kms_worker_env gives the library's view of this worker. */
struct mkt_env kms_worker_env(struct kms_worker *w);

#endif
