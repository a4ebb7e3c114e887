/* SPDX-License-Identifier: Apache-2.0 */
/* States are slots in a table: a peer keeps its slot as long as it is configured. A peer is down
 * after three questions in a row that did not reach it. Then one question a second tries, and all
 * others are told so at once: nobody waits for what will not come. */
#include "peers.h"

#include <gnutls/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "clock.h"
#include "config_peers.h"
#include "crl.h"

#define DOWN_AFTER 3
#define RETRY_NS 1000000000
#define CHAIN_MAX 8 /* certificates that a client may show */

struct kms_peer_state {
    char identity[MKT_ID_MAX + 1]; /* "": free */
    char domains[256];
    bool configured;           /* under lock, as all above */
    char error[256];           /* the last failure, under lock */
    int64_t error_s;           /* when it was, seconds since 1970; under lock */
    _Atomic uint32_t waiting;  /* questions under way */
    _Atomic uint32_t failures; /* in a row */
    _Atomic int64_t retry_ns;  /* when to try again */
    _Atomic uint64_t asked[KMS_ASKED_COUNT];
    _Atomic uint64_t served, denied;
};

struct kms_peer_set {
    uint64_t serial;
    size_t n;
    struct kms_peer at[];
};

struct kms_peers {
    const struct kms_config *config;
    struct kms_current current;
    pthread_mutex_t lock;
    struct kms_peer_state states[KMS_PEERS_MAX];
    struct kms_peers_sum gone; /* what was counted in states that are used again; under lock */
    uint64_t stamp, serial;    /* of the files; of the set */
};

/* --- a set ------------------------------------------------------------------------------------ */

static void
set_free(void *object)
{
    struct kms_peer_set *set = object;

    if (set == NULL)
        return;
    for (size_t i = 0; i < set->n; i++) {
        if (set->at[i].trust != NULL)
            gnutls_x509_trust_list_deinit(set->at[i].trust, 1);
        kms_crl_free(set->at[i].crl);
    }
    free(set);
}

static bool
add_authorities(gnutls_x509_trust_list_t trust, const char *path, char err[KMS_FILES_ERR])
{
    uint8_t *octets;
    size_t n;
    int rc;

    if (!kms_file_read(path, false, &octets, &n, err))
        return false;
    rc = gnutls_x509_trust_list_add_trust_mem(trust, &(gnutls_datum_t){ octets, (unsigned)n }, NULL,
                                              GNUTLS_X509_FMT_PEM, 0, 0);
    kms_file_drop(octets, n);
    return rc > 0 || kms_files_fail(err, "%s: %s", path,
                                    rc == 0 ? "holds no certificate" : gnutls_strerror(rc));
}

/* What libcurl will read when it connects; whether it can is found out now. */
static bool
try_pair(const struct kms_peer_option *o, char err[KMS_FILES_ERR])
{
    gnutls_certificate_credentials_t cred;
    gnutls_datum_t cert = { 0 }, key = { 0 };
    size_t n_cert = 0, n_key = 0;
    int rc = -1;

    if (!kms_file_read(o->certificate, false, &cert.data, &n_cert, err))
        return false;
    if (!kms_file_read(o->private_key, true, &key.data, &n_key, err)) {
        kms_file_drop(cert.data, n_cert);
        return false;
    }
    cert.size = (unsigned)n_cert;
    key.size = (unsigned)n_key;
    if (gnutls_certificate_allocate_credentials(&cred) == 0) {
        rc = gnutls_certificate_set_x509_key_mem(cred, &cert, &key, GNUTLS_X509_FMT_PEM);
        gnutls_certificate_free_credentials(cred);
    }
    kms_file_drop(cert.data, n_cert);
    kms_file_drop(key.data, n_key);
    return rc >= 0 || kms_files_fail(err, "%s with %s: %s", o->certificate, o->private_key,
                                     gnutls_strerror(rc));
}

static bool
peer_fill(struct kms_peer *p, const struct kms_peer_option *o, char err[KMS_FILES_ERR])
{
    gnutls_x509_trust_list_t trust;

    memcpy(&p->option, o, sizeof *o);
    p->identity = kms_identity_of(p->option.identity);
    if (gnutls_x509_trust_list_init(&trust, 0) < 0)
        return kms_files_fail(err, "out of memory");
    p->trust = trust;
    p->read_ns = kms_steady_ns();
    return add_authorities(trust, o->ca, err) &&
           (o->crl[0] == '\0' || kms_crl_open(&p->crl, o->crl, o->ca, err)) &&
           (o->url[0] == '\0' || try_pair(o, err));
}

static struct kms_peer_set *
set_new(const struct kms_config *c, char err[KMS_FILES_ERR])
{
    struct kms_peer_set *set = calloc(1, sizeof *set + c->peers.n * sizeof set->at[0]);

    if (set == NULL) {
        kms_files_fail(err, "out of memory");
        return NULL;
    }
    for (; set->n < c->peers.n; set->n++)
        if (!peer_fill(&set->at[set->n], &c->peers.at[set->n], err)) {
            set->n++;
            set_free(set);
            return NULL;
        }
    return set;
}

static uint64_t
stamp_of(const struct kms_config *c)
{
    struct kms_files *files = calloc(1, sizeof *files);
    const struct kms_files *const all[] = { files };
    uint64_t stamp = 0;

    if (files == NULL)
        return 0;
    files->n = 4;
    for (size_t i = 0; i < c->peers.n; i++) {
        const struct kms_peer_option *o = &c->peers.at[i];

        memcpy(files->at[0], o->ca, sizeof o->ca);
        memcpy(files->at[1], o->certificate, sizeof o->certificate);
        memcpy(files->at[2], o->private_key, sizeof o->private_key);
        memcpy(files->at[3], o->crl, sizeof o->crl);
        stamp = stamp * 31 + kms_files_stamp(all, 1);
    }
    free(files);
    return stamp;
}

/* --- states ----------------------------------------------------------------------------------- */

static struct kms_peer_state *
find_state(struct kms_peers *p, const char *identity)
{
    for (size_t i = 0; i < KMS_PEERS_MAX; i++)
        if (strcmp(p->states[i].identity, identity) == 0)
            return &p->states[i];
    return NULL;
}

static void
count(struct kms_peers_sum *sum, const struct kms_peer_state *s)
{
    for (size_t k = 0; k < KMS_ASKED_COUNT; k++)
        sum->asked[k] += atomic_load(&s->asked[k]);
    sum->served += atomic_load(&s->served);
    sum->denied += atomic_load(&s->denied);
}

/* A slot for a new peer: a free one, or that of a peer that is gone and has no question left. */
static struct kms_peer_state *
take_state(struct kms_peers *p)
{
    struct kms_peer_state *s = find_state(p, "");

    for (size_t i = 0; s == NULL && i < KMS_PEERS_MAX; i++)
        if (!p->states[i].configured && atomic_load(&p->states[i].waiting) == 0)
            s = &p->states[i];
    if (s != NULL) {
        count(&p->gone, s);
        memset(s, 0, sizeof *s);
    }
    return s;
}

/* Gives each peer of a new set its state. */
static bool
attach(struct kms_peers *p, struct kms_peer_set *set, char err[KMS_FILES_ERR])
{
    bool ok = true;

    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < KMS_PEERS_MAX; i++)
        p->states[i].configured = false;
    for (size_t i = 0; i < set->n; i++) {
        set->at[i].state = find_state(p, set->at[i].option.identity);
        if (set->at[i].state != NULL)
            set->at[i].state->configured = true;
    }
    for (size_t i = 0; i < set->n && ok; i++) {
        struct kms_peer *peer = &set->at[i];
        size_t used = 0;

        if (peer->state == NULL)
            peer->state = take_state(p);
        ok = peer->state != NULL;
        if (!ok)
            break;
        peer->state->configured = true;
        peer->number = (unsigned)(peer->state - p->states);
        snprintf(peer->state->identity, sizeof peer->state->identity, "%s", peer->option.identity);
        for (size_t d = 0; d < peer->option.n_domains && used < sizeof peer->state->domains; d++)
            used +=
                (size_t)snprintf(peer->state->domains + used, sizeof peer->state->domains - used,
                                 "%s%s", d == 0 ? "" : ",", peer->option.domain[d]);
    }
    set->serial = ++p->serial;
    pthread_mutex_unlock(&p->lock);
    return ok || kms_files_fail(err, "peers: too many questions to peers of before are open");
}

/* --- the one in use --------------------------------------------------------------------------- */

bool
kms_peers_open(struct kms_peers **peers, const struct kms_config *config, size_t n_readers,
               char err[KMS_FILES_ERR])
{
    struct kms_peers *p = calloc(1, sizeof *p);
    struct kms_peer_set *set;

    *peers = NULL;
    if (p == NULL)
        return kms_files_fail(err, "out of memory");
    p->config = config;
    p->stamp = stamp_of(config);
    pthread_mutex_init(&p->lock, NULL);
    set = set_new(config, err);
    if (set == NULL || !attach(p, set, err) ||
        !kms_current_init(&p->current, set, n_readers, set_free)) {
        set_free(set);
        pthread_mutex_destroy(&p->lock);
        free(p);
        return false;
    }
    *peers = p;
    return true;
}

void
kms_peers_close(struct kms_peers *p)
{
    if (p == NULL)
        return;
    kms_current_free(&p->current);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void
kms_peers_refresh(struct kms_peers *p, struct kms_log *log, bool anyway)
{
    struct kms_peer_set *fresh;
    char err[KMS_FILES_ERR];
    uint64_t stamp;

    if (p == NULL)
        return;
    stamp = stamp_of(p->config);
    if (stamp == p->stamp && !anyway)
        return;
    p->stamp = stamp; /* broken files are complained of once, until they change again */
    fresh = set_new(p->config, err);
    if (fresh == NULL || !attach(p, fresh, err)) {
        set_free(fresh);
        KMS_LOG(log, KMS_ERROR, "peers-unreadable", kms_text("error", err),
                kms_text("effect", "other KMSs stay as they were read last"));
        return;
    }
    kms_current_swap(&p->current, fresh);
    KMS_LOG(log, KMS_INFO, "peers-reloaded", kms_number("peers", (int64_t)p->config->peers.n));
}

const struct kms_peer_set *
kms_peers_get(struct kms_peers *p, size_t slot)
{
    return p == NULL ? NULL : kms_current_get(&p->current, slot);
}

void
kms_peers_put(struct kms_peers *p, size_t slot)
{
    if (p != NULL)
        kms_current_put(&p->current, slot);
}

const struct kms_peer *
kms_peer_by_identity(const struct kms_peer_set *set, struct mkt_identity id)
{
    for (size_t i = 0; set != NULL && i < set->n; i++)
        if (mkt_identity_equal(set->at[i].identity, id))
            return &set->at[i];
    return NULL;
}

bool
kms_peer_speaks_for(const struct kms_peer *p, struct mkt_identity id)
{
    char domain[KMS_NAME_MAX];

    if (!kms_domain_of(id, domain))
        return false;
    for (size_t i = 0; i < p->option.n_domains; i++)
        if (strcmp(p->option.domain[i], domain) == 0)
            return true;
    return false;
}

const struct kms_peer *
kms_peer_of_ticket(const struct kms_peer_set *set, const struct mkt_policy *ticket)
{
    const bool named = ticket->kms.data.p != NULL;
    const struct kms_peer *p = named ? kms_peer_by_identity(set, ticket->kms) : NULL;

    for (size_t i = 0; p == NULL && set != NULL && i < set->n; i++)
        if (kms_peer_speaks_for(&set->at[i], named ? ticket->kms : ticket->initiator))
            p = &set->at[i];
    return p;
}

/* --- certificates ----------------------------------------------------------------------------- */

/* The chain must lead to an authority of the peer, be good for a client, name the peer, and not be
 * revoked. */
static bool
is_of(const struct kms_peer *p, gnutls_x509_crt_t *chain, unsigned n)
{
    static unsigned char client[] = GNUTLS_KP_TLS_WWW_CLIENT;
    gnutls_typed_vdata_st data[] = {
        { GNUTLS_DT_KEY_PURPOSE_OID, client, 0 },
        { GNUTLS_DT_DNS_HOSTNAME, (unsigned char *)(uintptr_t)p->option.name, 0 },
    };
    unsigned status = ~0u;

    return gnutls_x509_trust_list_verify_crt2(p->trust, chain, n, data, 2, 0, &status, NULL) >= 0 &&
           status == 0 && (p->crl == NULL || kms_crl_clears(p->crl, chain, n, (int64_t)time(NULL)));
}

static uint32_t
prove(const struct kms_peer_set *set, gnutls_session_t session)
{
    gnutls_x509_crt_t chain[CHAIN_MAX];
    unsigned n_shown = 0, n = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &n_shown);
    uint32_t bits = 0;

    if (shown == NULL || n_shown > CHAIN_MAX)
        return 0;
    for (; n < n_shown; n++) {
        if (gnutls_x509_crt_init(&chain[n]) < 0)
            break;
        if (gnutls_x509_crt_import(chain[n], &shown[n], GNUTLS_X509_FMT_DER) < 0) {
            gnutls_x509_crt_deinit(chain[n]);
            break;
        }
    }
    for (size_t i = 0; n == n_shown && n > 0 && i < set->n; i++)
        if (is_of(&set->at[i], chain, n))
            bits |= 1u << set->at[i].number;
    while (n > 0)
        gnutls_x509_crt_deinit(chain[--n]);
    return bits;
}

uint32_t
kms_peers_prove(struct kms_peers *p, size_t slot, void *session, struct kms_peer_proof *proof)
{
    const struct kms_peer_set *set = kms_peers_get(p, slot);

    if (set != NULL && proof->serial != set->serial)
        *proof = (struct kms_peer_proof){ set->serial, prove(set, session) };
    kms_peers_put(p, slot);
    return set == NULL ? 0 : proof->peers;
}

/* --- questions -------------------------------------------------------------------------------- */

static bool
reached(enum kms_asked how)
{
    return how == KMS_ASKED_ANSWERED || how == KMS_ASKED_REFUSED || how == KMS_ASKED_UNUSABLE;
}

static bool
not_reached(enum kms_asked how)
{
    return how == KMS_ASKED_UNREACHABLE || how == KMS_ASKED_TIMEOUT;
}

/* While it is down, one question a second may try. */
static bool
may_try(struct kms_peer_state *s, int64_t now_ns)
{
    int64_t at = atomic_load(&s->retry_ns);

    if (atomic_load(&s->failures) < DOWN_AFTER)
        return true;
    return now_ns >= at && atomic_compare_exchange_strong(&s->retry_ns, &at, now_ns + RETRY_NS);
}

enum kms_asked
kms_peer_reserve(const struct kms_peer *p, int64_t steady_ns)
{
    struct kms_peer_state *s = p->state;
    enum kms_asked how = KMS_ASKED_ANSWERED;

    if (!may_try(s, steady_ns)) {
        how = KMS_ASKED_DOWN;
    } else if (atomic_fetch_add(&s->waiting, 1) >= p->option.waiting) {
        atomic_fetch_sub(&s->waiting, 1);
        how = KMS_ASKED_BUSY;
    }
    if (how != KMS_ASKED_ANSWERED)
        atomic_fetch_add(&s->asked[how], 1);
    return how;
}

void
kms_peer_release(struct kms_peers *peers, struct kms_peer_state *s, enum kms_asked how,
                 const char *text, struct kms_log *log)
{
    uint32_t failures = 0;

    atomic_fetch_add(&s->asked[how], 1);
    if (reached(how))
        failures = atomic_exchange(&s->failures, 0);
    else if (not_reached(how)) {
        atomic_store(&s->retry_ns, kms_steady_ns() + RETRY_NS);
        failures = atomic_fetch_add(&s->failures, 1) + 1;
    }
    if (text[0] != '\0') {
        pthread_mutex_lock(&peers->lock);
        snprintf(s->error, sizeof s->error, "%s", text);
        s->error_s = time(NULL);
        pthread_mutex_unlock(&peers->lock);
    }
    if (reached(how) && failures >= DOWN_AFTER)
        KMS_LOG(log, KMS_INFO, "peer-up", kms_text("peer", s->identity));
    if (not_reached(how) && failures == DOWN_AFTER)
        KMS_LOG(log, KMS_WARN, "peer-down", kms_text("peer", s->identity), kms_text("error", text),
                kms_text("effect", "its tickets are refused at once until it can be reached"));
    atomic_fetch_sub(&s->waiting, 1);
}

void
kms_peer_served(const struct kms_peer *p, bool answered)
{
    atomic_fetch_add(answered ? &p->state->served : &p->state->denied, 1);
}

/* --- telling ---------------------------------------------------------------------------------- */

const char *
kms_asked_word(enum kms_asked how)
{
    static const char *const words[] = {
#define KMS_ASKED_WORD(name, word) word,
        KMS_ASKED(KMS_ASKED_WORD)
#undef KMS_ASKED_WORD
    };

    return words[how];
}

void
kms_peers_sum(struct kms_peers *p, struct kms_peers_sum *sum)
{
    memset(sum, 0, sizeof *sum);
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    *sum = p->gone;
    for (size_t i = 0; i < KMS_PEERS_MAX; i++) {
        const struct kms_peer_state *s = &p->states[i];

        count(sum, s);
        sum->waiting += atomic_load(&s->waiting);
        sum->peers += s->configured;
        sum->down += s->configured && atomic_load(&s->failures) >= DOWN_AFTER;
    }
    pthread_mutex_unlock(&p->lock);
}

static const char *
word_of_state(const struct kms_peer_state *s)
{
    if (atomic_load(&s->failures) >= DOWN_AFTER)
        return "down";
    return atomic_load(&s->asked[KMS_ASKED_ANSWERED]) + atomic_load(&s->asked[KMS_ASKED_REFUSED]) >
                   0
               ? "up"
               : "unknown";
}

static struct kms_peer_news
news_of(const struct kms_peer_state *s)
{
    struct kms_peer_news news = { .identity = s->identity,
                                  .domains = s->domains,
                                  .state = word_of_state(s),
                                  .error = s->error,
                                  .failed_s = s->error_s,
                                  .waiting = atomic_load(&s->waiting),
                                  .answered = atomic_load(&s->asked[KMS_ASKED_ANSWERED]),
                                  .refused = atomic_load(&s->asked[KMS_ASKED_REFUSED]),
                                  .served = atomic_load(&s->served),
                                  .denied = atomic_load(&s->denied) };

    for (enum kms_asked k = KMS_ASKED_UNREACHABLE; k < KMS_ASKED_COUNT; k++)
        news.failed += atomic_load(&s->asked[k]);
    return news;
}

void
kms_peers_each(struct kms_peers *p, void (*each)(void *ctx, const struct kms_peer_news *news),
               void *ctx)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < KMS_PEERS_MAX; i++) {
        const struct kms_peer_news news = news_of(&p->states[i]);

        if (p->states[i].configured)
            each(ctx, &news);
    }
    pthread_mutex_unlock(&p->lock);
}
