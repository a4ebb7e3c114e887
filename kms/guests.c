/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd's timeout is for idle clients: one that sends an octet now and then would hold its
 * connection for ever. And its limit turns away whoever comes next: a thousand connections that say
 * nothing would keep everybody out for as long as the timeout. So who has the most gives way.
 * Origins are counted by a hash of the address: those that share one are of one fate, which no one
 * can choose. */
#include "guests.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <mikeyticket/env.h>

#include "clock.h"
#include "hash.h"

#define ORIGINS 256

struct kms_guests {
    pthread_mutex_t lock;
    struct kms_guest *oldest, *newest;
    unsigned n, limit, leaving; /* leaving: of n, those who were shut down */
    unsigned of[ORIGINS];       /* those who were not */
    uint32_t timeout_s;
    struct kms_hash_key key;
};

struct kms_guests *
kms_guests_new(unsigned limit, uint32_t timeout_s)
{
    struct kms_guests *g = calloc(1, sizeof *g);

    if (g == NULL || !mkt_crypto_random(NULL, (uint8_t *)&g->key, sizeof g->key)) {
        free(g);
        return NULL;
    }
    g->limit = limit;
    g->timeout_s = timeout_s;
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

void
kms_guests_free(struct kms_guests *g)
{
    if (g == NULL)
        return;
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static void
link_newest(struct kms_guests *g, struct kms_guest *k)
{
    k->deadline_s = kms_steady_s() + g->timeout_s;
    k->newer = NULL;
    k->older = g->newest;
    *(g->newest != NULL ? &g->newest->newer : &g->oldest) = k;
    g->newest = k;
}

static void
unlink_guest(struct kms_guests *g, struct kms_guest *k)
{
    *(k->older != NULL ? &k->older->newer : &g->oldest) = k->newer;
    *(k->newer != NULL ? &k->newer->older : &g->newest) = k->older;
}

/* The server sees its end and closes it. */
static void
shut(struct kms_guests *g, struct kms_guest *k)
{
    if (k->leaving)
        return;
    k->leaving = true;
    g->leaving++;
    g->of[k->origin]--;
    shutdown(k->fd, SHUT_RDWR);
}

static void
make_room(struct kms_guests *g)
{
    size_t most = 0;

    for (size_t i = 1; i < ORIGINS; i++)
        if (g->of[i] > g->of[most])
            most = i;
    for (struct kms_guest *k = g->oldest; k != NULL; k = k->newer)
        if (k->origin == most && !k->leaving) {
            shut(g, k);
            return;
        }
}

void
kms_guest_enter(struct kms_guests *g, struct kms_guest *k, int fd, struct mkt_span site)
{
    k->fd = fd;
    k->origin = (uint8_t)(kms_hash(&g->key, site.p, site.n) % ORIGINS);
    k->leaving = false;
    pthread_mutex_lock(&g->lock);
    link_newest(g, k);
    g->n++;
    g->of[k->origin]++;
    if (g->n - g->leaving > g->limit)
        make_room(g);
    pthread_mutex_unlock(&g->lock);
}

void
kms_guest_leave(struct kms_guests *g, struct kms_guest *k)
{
    pthread_mutex_lock(&g->lock);
    unlink_guest(g, k);
    g->n--;
    if (k->leaving)
        g->leaving--;
    else
        g->of[k->origin]--;
    pthread_mutex_unlock(&g->lock);
}

void
kms_guest_served(struct kms_guests *g, struct kms_guest *k)
{
    pthread_mutex_lock(&g->lock);
    unlink_guest(g, k);
    link_newest(g, k);
    pthread_mutex_unlock(&g->lock);
}

void
kms_guests_sweep(struct kms_guests *g)
{
    int64_t now = kms_steady_s();

    pthread_mutex_lock(&g->lock);
    for (struct kms_guest *k = g->oldest; k != NULL && k->deadline_s < now; k = k->newer)
        shut(g, k);
    pthread_mutex_unlock(&g->lock);
}
