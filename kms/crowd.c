/* SPDX-License-Identifier: Apache-2.0 */
/* Each part is complete in itself, with a table of its own: nothing is merged, no key is copied, no
 * lock is needed. The price is a look into each table, a tenth of a microsecond.
 *
 * Threads read through connections of their own, each in its own transaction. That they have read
 * the same store is seen from the number of the last change, which every transaction tells. */
#include "crowd.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define PARTS_MAX 4 /* more would wait for memory, and each look goes through all of them */

struct part {
    struct kms_people *people;
    struct kms_store *store; /* NULL: read by the caller */
    unsigned number, of;
    bool running, locked;
    uint64_t version;
    enum kms_store_rc rc;
    struct kms_store_err err;
    pthread_t thread;
};

struct kms_crowd {
    unsigned owners, n;
    struct part parts[PARTS_MAX];
};

static unsigned
count_parts(const struct kms_store *s)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (s->ops->another == NULL || processors < 1)
        return 1;
    return processors < PARTS_MAX ? (unsigned)processors : PARTS_MAX;
}

struct kms_crowd *
kms_crowd_new(const struct kms_hash_key *hash, struct kms_store *s, bool parts)
{
    struct kms_crowd *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->owners = 1;
    c->n = parts ? count_parts(s) : 1;
    for (unsigned i = 0; i < c->n; i++) {
        c->parts[i].number = i;
        c->parts[i].people = kms_people_new(hash);
        if (c->parts[i].people == NULL) {
            kms_crowd_free(c);
            return NULL;
        }
    }
    return c;
}

struct kms_crowd *
kms_crowd_share(struct kms_crowd *c)
{
    c->owners++;
    return c;
}

void
kms_crowd_free(struct kms_crowd *c)
{
    if (c == NULL || --c->owners > 0)
        return;
    for (unsigned i = 0; i < c->n; i++)
        kms_people_free(c->parts[i].people);
    free(c);
}

struct kms_people *
kms_crowd_first(struct kms_crowd *c)
{
    return c->parts[0].people;
}

/* --- reading ------------------------------------------------------------------------------------
 */

static bool
take_user(void *ctx, const struct kms_user *u)
{
    return kms_people_take(ctx, u);
}

static bool
take_alias(void *ctx, const char *identity)
{
    return kms_people_alias(ctx, identity);
}

static enum kms_store_rc
read_part(struct part *p, struct kms_store *s, const struct kms_sink *sink,
          struct kms_store_err *err)
{
    enum kms_store_rc rc = s->ops->read_part(s, sink, p->number, p->of, &p->version, err);

    if (rc == KMS_STORE_OK && !kms_people_seal(p->people, &p->locked))
        rc = kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    return rc;
}

static void *
run(void *arg)
{
    struct part *p = arg;
    const struct kms_sink sink = { .user = take_user, .alias = take_alias, .ctx = p->people };

    p->rc = read_part(p, p->store, &sink, &p->err);
    return NULL;
}

/* Connections first, so that the transactions begin at one moment. With fewer of them than hoped
 * for there are fewer parts. */
static void
open_connections(struct kms_crowd *c, struct kms_store *s)
{
    struct kms_store_err ignored;
    unsigned n = 1;

    while (n < c->n && s->ops->another(s, &c->parts[n].store, &ignored) == KMS_STORE_OK)
        n++;
    for (unsigned i = n; i < c->n; i++)
        kms_people_free(c->parts[i].people);
    c->n = n;
    for (unsigned i = 0; i < n; i++)
        c->parts[i].of = n;
}

static void
start(struct kms_crowd *c)
{
    for (unsigned i = 1; i < c->n; i++) {
        struct part *p = &c->parts[i];

        p->running = pthread_create(&p->thread, NULL, run, p) == 0;
        if (!p->running)
            (void)run(p);
    }
}

/* Waits for the threads, also after a failure of our own. */
static enum kms_store_rc
finish(struct kms_crowd *c, enum kms_store_rc rc, struct kms_store_err *err)
{
    for (unsigned i = 1; i < c->n; i++) {
        struct part *p = &c->parts[i];

        if (p->running)
            pthread_join(p->thread, NULL);
        p->store->ops->close(p->store);
        p->store = NULL;
        if (rc == KMS_STORE_OK && p->rc != KMS_STORE_OK) {
            rc = p->rc;
            *err = p->err;
        }
        if (rc == KMS_STORE_OK && p->version != c->parts[0].version)
            rc = kms_store_fail(err, KMS_STORE_FORGOTTEN, "the store changes");
    }
    return rc;
}

enum kms_store_rc
kms_crowd_read(struct kms_crowd *c, struct kms_store *s, const struct kms_sink *sink,
               struct kms_store_err *err)
{
    open_connections(c, s);
    start(c);
    return finish(c, read_part(&c->parts[0], s, sink, err), err);
}

/* --- what is there ------------------------------------------------------------------------------
 */

bool
kms_crowd_locked(const struct kms_crowd *c)
{
    for (unsigned i = 0; i < c->n; i++)
        if (!c->parts[i].locked)
            return false;
    return true;
}

bool
kms_crowd_in_clear(const struct kms_crowd *c)
{
    for (unsigned i = 0; i < c->n; i++)
        if (kms_people_in_clear(c->parts[i].people))
            return true;
    return false;
}

const struct kms_people *
kms_crowd_part(const struct kms_crowd *c, size_t i)
{
    return i < c->n ? c->parts[i].people : NULL;
}

size_t
kms_crowd_keys(const struct kms_crowd *c, const struct kms_people *by)
{
    size_t n = 0;

    for (unsigned i = 0; i < c->n; i++) {
        n += kms_people_keys(c->parts[i].people);
        n -= by == NULL ? 0 : kms_people_hidden(c->parts[i].people, by);
    }
    return n;
}

size_t
kms_crowd_persons(const struct kms_crowd *c)
{
    size_t n = 0;

    for (unsigned i = 0; i < c->n; i++)
        n += kms_people_persons(c->parts[i].people);
    return n;
}

size_t
kms_crowd_octets(const struct kms_crowd *c)
{
    size_t n = sizeof *c;

    for (unsigned i = 0; i < c->n; i++)
        n += kms_people_octets(c->parts[i].people);
    return n;
}
