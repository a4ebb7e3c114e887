/* SPDX-License-Identifier: Apache-2.0 */
/* The new file is read and tried as a whole, its certificates and policy too; only then is anything
 * changed. What requests read is single words, each stored whole. Lists of files are read by nobody
 * but the two functions here, one at a time. */
#include "reload.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "config_table.h"
#include "peers.h"

/* Options that a reload takes; all others need a restart. */
static const struct {
    const char *name;
    enum { ALWAYS, WHILE_SET, WITH_COURIER } when; /* WHILE_SET: before and after */
} live_options[] = {
    { "max_validity", ALWAYS },
    { "api.people", ALWAYS },
    { "api.client_ca", ALWAYS },
    { "tpk_rotate_every", ALWAYS },
    { "log_level", ALWAYS },
    { "log_format", ALWAYS },
    { "suites", ALWAYS },
    { "modes", ALWAYS },
    { "ticket_types", ALWAYS },
    { "policy", ALWAYS },
    { "tls.certificate", WHILE_SET },
    { "tls.private_key", WHILE_SET },
    { "tls.client_ca", ALWAYS },
    { "limits.source_rate", ALWAYS },
    { "limits.source_burst", ALWAYS },
    { "limits.source_minute", ALWAYS },
    { "limits.source_hour", ALWAYS },
    { "limits.identity_rate", ALWAYS },
    { "limits.identity_burst", ALWAYS },
    { "limits.identity_minute", ALWAYS },
    { "limits.identity_hour", ALWAYS },
    { "limits.lockout_failures", ALWAYS },
    { "limits.lockout_window", ALWAYS },
    { "limits.lockout_time", ALWAYS },
    { "limits.lockout_udp", ALWAYS },
    { "certificate", WHILE_SET },
    { "private_key", WHILE_SET },
    { "trust", ALWAYS },
    { "crl", ALWAYS },
    { "require_crl", ALWAYS },
    { "sha1", ALWAYS },
    { "pk_users", ALWAYS },
    { "cross_realm", ALWAYS },
    { "peers", WITH_COURIER },
};

struct kms_reload {
    struct kms_service *service;
    struct kms_config *live;
    pthread_mutex_t lock;
    struct kms_config *seen; /* as read last; what needs a restart stays as it was at the start */
};

struct kms_reload *
kms_reload_new(struct kms_service *sv, struct kms_config *live)
{
    struct kms_reload *r = calloc(1, sizeof *r);

    if (r != NULL)
        r->seen = malloc(sizeof *r->seen);
    if (r == NULL || r->seen == NULL) {
        free(r);
        return NULL;
    }
    memcpy(r->seen, live, sizeof *live);
    r->service = sv;
    r->live = live;
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void
kms_reload_free(struct kms_reload *r)
{
    if (r == NULL)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r->seen);
    free(r);
}

static bool
is_live(const struct kms_service *sv, const struct kms_option *o, const void *before,
        const void *after)
{
    static const struct kms_files none;
    size_t i = 0;

    while (i < sizeof live_options / sizeof live_options[0] &&
           strcmp(live_options[i].name, o->name) != 0)
        i++;
    if (i == sizeof live_options / sizeof live_options[0])
        return false;
    switch (live_options[i].when) {
    case ALWAYS:
        return true;
    case WHILE_SET:
        return memcmp(before, &none, sizeof none) != 0 && memcmp(after, &none, sizeof none) != 0;
    case WITH_COURIER:
        return sv->courier != NULL;
    }
    return false;
}

/* Words as a whole, since requests read them meanwhile. */
static void
store(void *to, const void *from, size_t n)
{
    if (n == sizeof(uint32_t)) {
        uint32_t word;

        memcpy(&word, from, sizeof word);
        atomic_store((_Atomic uint32_t *)to, word);
    } else {
        memcpy(to, from, n);
    }
}

static void
take(struct kms_reload *r, const struct kms_option *o, const struct kms_config *fresh,
     kms_reload_heard *heard, void *ctx)
{
    char *before = (char *)r->seen + o->offset, *live = (char *)r->live + o->offset;
    const char *after = (const char *)fresh + o->offset;
    size_t n = kms_option_octets(o);
    bool taken;

    if (memcmp(before, after, n) == 0)
        return;
    taken = is_live(r->service, o, before, after);
    if (taken) {
        store(live, after, n);
        memcpy(before, after, n);
    }
    KMS_LOG(r->service->log, taken ? KMS_INFO : KMS_WARN,
            taken ? "option-changed" : "option-needs-restart", kms_text("option", o->name));
    if (heard != NULL)
        heard(ctx, o->name, taken);
}

/* Whether everything that the new configuration names can be read. */
static bool
try(const struct kms_config *fresh, char err[KMS_RELOAD_ERR])
{
    struct kms_pki *pki = NULL;
    struct kms_tls *port = NULL, *api = NULL;
    const struct kms_tls_files of_port = kms_tls_port(fresh), of_api = kms_tls_api(fresh);
    struct kms_peers *peers = NULL;
    struct kms_rules *rules = kms_rules_load(fresh, err);
    bool ok = rules != NULL && kms_pki_open(&pki, fresh, err) &&
              kms_tls_open(&port, &of_port, err) && kms_tls_open(&api, &of_api, err) &&
              kms_peers_open(&peers, fresh, 1, err);

    kms_rules_free(rules);
    kms_pki_close(pki);
    kms_tls_close(port);
    kms_tls_close(api);
    kms_peers_close(peers);
    return ok;
}

static void
apply(struct kms_reload *r, const struct kms_config *fresh, kms_reload_heard *heard, void *ctx)
{
    struct kms_service *sv = r->service;

    for (size_t i = 0; i < kms_n_options; i++)
        take(r, &kms_options[i], fresh, heard, ctx);
    atomic_store(&sv->log->level, (enum kms_level)r->live->log_level);
    atomic_store(&sv->log->json, r->live->log_format == 1);
    kms_pki_refresh(sv->pki, sv->log, true);
    kms_tls_refresh(sv->tls, sv->log, true);
    kms_peers_refresh(sv->peers, sv->log, true);
    kms_tls_refresh(sv->api_tls, sv->log, true);
    kms_rules_live_refresh(sv->rules, sv->log, true);
    KMS_LOG(sv->log, KMS_INFO, "configuration-reloaded", kms_text("file", r->live->path));
}

bool
kms_reload_run(struct kms_reload *r, kms_reload_heard *heard, void *ctx, char err[KMS_RELOAD_ERR])
{
    struct kms_config *fresh = malloc(sizeof *fresh);
    bool ok;

    if (fresh == NULL)
        return kms_files_fail(err, "out of memory");
    ok = kms_config_load(fresh, r->live->path, err) && try(fresh, err);
    if (ok) {
        pthread_mutex_lock(&r->lock);
        apply(r, fresh, heard, ctx);
        pthread_mutex_unlock(&r->lock);
    } else {
        KMS_LOG(r->service->log, KMS_ERROR, "configuration-unusable", kms_text("error", err),
                kms_text("effect", "everything stays as it was"));
    }
    free(fresh);
    return ok;
}

void
kms_reload_roster(struct kms_reload *r, struct kms_roster *out)
{
    pthread_mutex_lock(&r->lock);
    *out = r->live->roster;
    pthread_mutex_unlock(&r->lock);
}

struct kms_rules *
kms_reload_rules(struct kms_reload *r, char *err)
{
    struct kms_rules *rules;

    pthread_mutex_lock(&r->lock);
    rules = kms_rules_load(r->live, err);
    pthread_mutex_unlock(&r->lock);
    return rules;
}

void
kms_reload_files(struct kms_reload *r)
{
    struct kms_service *sv = r->service;

    pthread_mutex_lock(&r->lock);
    kms_pki_refresh(sv->pki, sv->log, false);
    kms_tls_refresh(sv->tls, sv->log, false);
    kms_peers_refresh(sv->peers, sv->log, false);
    kms_tls_refresh(sv->api_tls, sv->log, false);
    kms_rules_live_refresh(sv->rules, sv->log, false);
    pthread_mutex_unlock(&r->lock);
}
