/* SPDX-License-Identifier: Apache-2.0 */
/* Other KMSs (RFC 6043 10): whose users each speaks for, what its certificate must be, and how it
 * does. What the configuration says is one immutable set, swapped in whole when it changes; how a
 * peer does outlives that.
 *
 * A peer is authenticated twice, in both directions: by TLS, whose certificate must be of the
 * peer's authorities and for its name, and by the PSK that our store has for its identity. */
#ifndef KMS_PEERS_H
#define KMS_PEERS_H

#include <mikeyticket/policy.h>

#include "config.h"
#include "current.h"
#include "files.h"
#include "log.h"

struct kms_peers; /* opaque, owned; any number of threads, one that refreshes */
struct kms_peer_set;

/* What became of questions to peers. X(NAME, word of the metric) */
#define KMS_ASKED(X)                                                       \
    X(ANSWERED, "answered")       /* the keys came */                      \
    X(REFUSED, "refused")         /* an authentic Error message came */    \
    X(UNREACHABLE, "unreachable") /* no connection, or TLS failed */       \
    X(TIMEOUT, "timeout")         /* nothing in time */                    \
    X(UNUSABLE, "unusable")       /* something else came than an answer */ \
    X(BUSY, "busy")               /* not asked: too many questions wait */ \
    X(DOWN, "down")               /* not asked: it could not be reached just now */

enum kms_asked {
#define KMS_ASKED_ENUM(name, word) KMS_ASKED_##name,
    KMS_ASKED(KMS_ASKED_ENUM)
#undef KMS_ASKED_ENUM
        KMS_ASKED_COUNT
};

/* How a peer does; lives as long as struct kms_peers. */
struct kms_peer_state;

/* A peer as configured; borrowed from the set. */
struct kms_peer {
    struct kms_peer_option option;
    struct mkt_identity identity; /* borrows from option */
    struct kms_peer_state *state;
    unsigned number;     /* of the bit in what a certificate proves */
    void *trust;         /* gnutls_x509_trust_list_t: its authorities */
    struct kms_crl *crl; /* NULL: nobody asks */
    int64_t read_ns;     /* when all this was read, on the steady clock */
};

/* kms_peers_open reads what the configuration names, for n readers. False: err says which file and
 * why. kms_peers_close frees; NULL is allowed. */
bool kms_peers_open(struct kms_peers **peers, const struct kms_config *config, size_t n_readers,
                    char err[KMS_FILES_ERR]);
void kms_peers_close(struct kms_peers *peers);

/* kms_peers_refresh reads it again if a file has changed, or anyway, and says so in the log. What
 * cannot be used leaves what was read before. NULL is allowed. */
void kms_peers_refresh(struct kms_peers *peers, struct kms_log *log, bool anyway);

/* kms_peers_get begins reading the set in a slot (current.h), kms_peers_put ends it. peers = NULL:
 * NULL, which all functions below take for no peers. */
const struct kms_peer_set *kms_peers_get(struct kms_peers *peers, size_t slot);
void kms_peers_put(struct kms_peers *peers, size_t slot);

/* kms_peer_by_identity finds the peer of that name, kms_peer_of_ticket the one that can resolve a
 * ticket: the KMS that its policy names, or speaks for its domain; when none is named, the one
 * that speaks for its Initiator. NULL: none. */
const struct kms_peer *kms_peer_by_identity(const struct kms_peer_set *set, struct mkt_identity id);
const struct kms_peer *kms_peer_of_ticket(const struct kms_peer_set *set,
                                          const struct mkt_policy *ticket);

/* kms_peer_speaks_for tells whether an identity is of a domain of the peer. */
bool kms_peer_speaks_for(const struct kms_peer *p, struct mkt_identity id);

/* What the certificate of a connection proves: bits of peers, as of one reading of the set. */
struct kms_peer_proof {
    uint64_t serial; /* 0: not looked at yet */
    uint32_t peers;
};

/* kms_peers_prove looks at the certificate that the client of a TLS session (gnutls_session_t) has
 * shown, unless *proof is of this reading already, and returns its bits. */
uint32_t kms_peers_prove(struct kms_peers *peers, size_t slot, void *session,
                         struct kms_peer_proof *proof);

/* kms_peer_reserve takes a place for a question, or returns why none may be asked: BUSY or DOWN.
 * ANSWERED: it may, and kms_peer_release gives the place back, with what came of it: `how`, and
 * `text` for the operator, "" when nothing went wrong. */
enum kms_asked kms_peer_reserve(const struct kms_peer *p, int64_t steady_ns);
void kms_peer_release(struct kms_peers *peers, struct kms_peer_state *s, enum kms_asked how,
                      const char *text, struct kms_log *log);

/* kms_peer_served counts a question of the peer, answered or not. */
void kms_peer_served(const struct kms_peer *p, bool answered);

/* What all peers come to, for the metrics. */
struct kms_peers_sum {
    uint64_t asked[KMS_ASKED_COUNT], served, denied;
    uint64_t peers, down, waiting;
};
void kms_peers_sum(struct kms_peers *peers, struct kms_peers_sum *sum);

/* How a peer does. answered, refused, failed: questions to it; served, denied: questions of it. */
struct kms_peer_news {
    const char *identity, *domains; /* with commas between */
    const char *state;              /* unknown, up, down */
    const char *error;              /* of the last question that failed, "" */
    int64_t failed_s;               /* when, seconds since 1970; 0: never */
    uint64_t waiting, answered, refused, failed, served, denied;
};

/* kms_peers_each calls `each` for every configured peer, under a lock. peers NULL: there are none.
 */
void kms_peers_each(struct kms_peers *peers,
                    void (*each)(void *ctx, const struct kms_peer_news *news), void *ctx);

/* kms_asked_word returns "answered" and the like. */
const char *kms_asked_word(enum kms_asked how);

#endif
