/* SPDX-License-Identifier: Apache-2.0 */
/* The vault process: it opens the KEK, gives up every privilege, and then answers questions:
 * derive, make, and seal or open the keys of a reference ticket. There is none that gives a
 * long-term key out. Whoever has taken over the daemon can have keys derived while that lasts, and
 * goes away without one. */
#include "vault_wire.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mikeyticket/env.h>

#include "harden.h"

struct server {
    struct kms_vault *vault;
    struct kms_place *place;
    size_t slot;
    struct mkt_crypto *crypto;
    struct kms_place question; /* a copy: the daemon can change what it shares at any time */
};

/* Cuts n octets off the question. */
static struct mkt_span
cut(const struct kms_place *q, size_t *at, size_t n, bool *ok)
{
    struct mkt_span s = mkt_span(q->octets + *at, n);

    *ok = *ok && n <= KMS_PLACE_OCTETS - *at;
    *at += *ok ? n : 0;
    return *ok ? s : mkt_span(NULL, 0);
}

static bool
answer(struct server *s, uint8_t out[KMS_PLACE_DERIVES * MKT_SECRET_MAX], size_t *out_n)
{
    const struct kms_place *q = &s->question;
    struct mkt_derive d[KMS_PLACE_DERIVES];
    struct kms_locker l = { .kind = (enum kms_key_kind)q->kind };
    size_t at = 0;
    bool ok = q->n <= KMS_PLACE_DERIVES;

    l.owner = cut(q, &at, q->owner_n, &ok);
    l.id = cut(q, &at, q->id_n, &ok);
    l.key = (struct kms_sealed){ q->kek, cut(q, &at, q->key_n, &ok) };
    for (size_t i = 0; ok && i < q->n; i++) {
        d[i] = (struct mkt_derive){ cut(q, &at, q->label_n[i], &ok), out + *out_n, q->out_n[i] };
        ok = ok && q->out_n[i] <= MKT_SECRET_MAX;
        *out_n += ok ? q->out_n[i] : 0;
    }
    return ok && s->vault->ops->prf(s->vault, s->slot, &l, s->crypto, q->prf_func, d, q->n);
}

static void *
serve_place(void *arg)
{
    struct server *s = arg;
    struct kms_place *p = s->place;
    uint8_t out[KMS_PLACE_DERIVES * MKT_SECRET_MAX];
    const size_t from = offsetof(struct kms_place, ok);

    for (;;) {
        size_t n = 0;
        bool ok;

        while (atomic_load_explicit(&p->turn, memory_order_acquire) != KMS_TURN_VAULT)
            kms_place_wait(p, KMS_TURN_VAULT, &p->vault_asleep, 0);
        memcpy((uint8_t *)&s->question + from, (uint8_t *)p + from, sizeof *p - from);
        ok = answer(s, out, &n);
        if (ok)
            memcpy(p->octets, out, n);
        p->ok = ok;
        mkt_wipe(out, n);
        kms_place_give(p, KMS_TURN_CLIENT, &p->client_asleep);
    }
    return NULL;
}

static bool
start_servers(const struct kms_vault_child *c, struct kms_vault *vault)
{
    struct server *servers = aligned_alloc(64, c->n_places * sizeof *servers);
    pthread_t thread;

    if (servers == NULL)
        return false;
    for (size_t i = 0; i < c->n_places; i++) {
        servers[i] = (struct server){
            .vault = vault, .place = &c->places[i], .slot = i, .crypto = mkt_crypto_new()
        };
        if (servers[i].crypto == NULL ||
            pthread_create(&thread, NULL, serve_place, &servers[i]) != 0)
            return false;
    }
    return true;
}

/* A key that is made, or the keys of a reference ticket: sealed, never in clear; or these opened.
 */
static void
answer_row(struct kms_vault *vault, const struct kms_vault_ask *q, struct kms_vault_answer *a)
{
    struct kms_locker l = { .kind = q->kind };
    const struct mkt_span row = mkt_span(q->row, q->n);

    if (q->owner_n + q->id_n > (int)sizeof q->name ||
        q->n > (q->op == KMS_OP_MAKE ? MKT_SECRET_MAX : sizeof q->row))
        return;
    l.owner = mkt_span(q->name, q->owner_n);
    l.id = mkt_span(q->name + q->owner_n, q->id_n);
    if (q->op == KMS_OP_OPEN) {
        l.key = (struct kms_sealed){ q->kek, row };
        a->key_n = (uint16_t)kms_sealed_len(&l.key);
        a->ok = vault->ops->open(vault, &l, a->key);
        return;
    }
    a->ok = (q->op == KMS_OP_MAKE ? vault->ops->make(vault, &l, q->n, a->key)
                                  : vault->ops->seal(vault, &l, row, a->key)) &&
            l.key.kek != 0;
    a->kek = l.key.kek;
    a->key_n = (uint16_t)l.key.octets.n;
    if (!a->ok)
        mkt_wipe(a->key, sizeof a->key);
}

static void
say(int fd, const struct kms_vault_answer *a)
{
    if (send(fd, a, sizeof *a, MSG_NOSIGNAL) != sizeof *a)
        _exit(0);
}

/* Until the daemon is gone. */
static void
serve_socket(int fd, struct kms_vault *vault)
{
    struct kms_vault_ask q;
    struct kms_vault_answer a;
    ssize_t n;

    for (;;) {
        n = recv(fd, &q, sizeof q, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != sizeof q)
            return;
        memset(&a, 0, sizeof a);
        if (q.op == KMS_OP_ADMIT && q.n <= KMS_VAULT_WRAPS)
            a.ok = vault->ops->admit(vault, q.wraps, q.n, a.err);
        else if (q.op == KMS_OP_FOUND)
            a.ok = vault->ops->found(vault, &a.wrap);
        else if (q.op != KMS_OP_ADMIT)
            answer_row(vault, &q, &a);
        say(fd, &a);
        mkt_wipe(&q, sizeof q);
        mkt_wipe(a.key, sizeof a.key);
    }
}

void
kms_vault_child_run(const struct kms_vault_child *c)
{
    struct kms_vault_answer first = { .ok = false };
    struct kms_vault *vault = NULL;
    struct kms_kek *kek;
    enum kms_filter filter =
        strncmp(c->kek, "pkcs11:", 7) == 0 ? KMS_FILTER_TOKEN : KMS_FILTER_VAULT;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "mikey-vault");
    kms_harden(false);
    kek = kms_kek_open(c->kek, false, first.err);
    if (kek != NULL) {
        snprintf(first.err, sizeof first.err, "the vault has no memory or no threads");
        vault = kms_vault_local(kek, c->n_places);
    }
    first.ok = vault != NULL && kms_lock_memory(c->config, first.err) &&
               kms_drop_privileges(c->config, first.err) && start_servers(c, vault) &&
               kms_filter_install(c->config, filter, first.err);
    say(c->fd, &first);
    if (first.ok)
        serve_socket(c->fd, vault);
    kms_vault_close(vault);
    _exit(0);
}
