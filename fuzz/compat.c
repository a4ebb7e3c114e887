/* SPDX-License-Identifier: Apache-2.0 */
/* True grants, one for each kind, and the same with other octets for Ticket Data. */
#include "compat.h"

#include "../tests/compat_call.h"
#include "ticket/ticket.h"

#include <string.h>

#define NEED(condition)        \
    do {                       \
        if (!(condition))      \
            return #condition; \
    } while (0)

#define INPUT_MAX 4000 /* octets */

static struct call calls[4];
static bool opened[4], believed;

/* The call whose grant a mode means; NULL when it fails. */
static struct call *
call_of(uint8_t mode)
{
    size_t i = (mode & (unsigned)(MKT_COMPAT_SECOND | MKT_COMPAT_SALTED)) / 2;
    struct call *c = &calls[i];

    if (opened[i])
        return c;
    opened[i] = compat_call_open(
        c, (mode & MKT_COMPAT_SECOND) != 0 ? MKT_COMPAT_NO_IDS : MKT_COMPAT_IDS, 16);
    if ((mode & MKT_COMPAT_SALTED) != 0)
        compat_want_key(c, MKT_KEY_TGK_SALT, 16, 14);
    if (opened[i] && call_until_grant(c) == MKT_OK)
        return c;
    call_close(c);
    opened[i] = false;
    return NULL;
}

void
mkt_compat_close(void)
{
    for (size_t i = 0; i < 4; i++)
        if (opened[i])
            call_close(&calls[i]);
    memset(opened, 0, sizeof opened);
}

static bool
ticket_of(struct mkt_payload *pl, const struct mkt_grant *g)
{
    struct mkt_err err = { 0 };
    size_t used = 0;

    return mkt_payload_decode(pl, MKT_PL_TICKET, mkt_grant_ticket(g), &used, &err) == MKT_OK;
}

/* The grant of c with other Ticket Data; NULL when there is no such ticket. */
static struct mkt_grant *
with_data(const struct call *c, struct mkt_span data)
{
    static uint8_t octets[2 * INPUT_MAX];
    struct mkt_writer w = mkt_w_open(octets, sizeof octets);
    struct mkt_keys keys = *mkt_grant_keys(c->grant);
    struct mkt_err err = { 0 };
    struct mkt_grant *g = NULL;
    struct mkt_payload pl;

    if (ticket_of(&pl, c->grant)) {
        pl.u.ticket.ticket_data = data;
        w.slot = MKT_W_NO_SLOT;
        mkt_pl_write(&w, &pl);
        if (!w.overflow)
            (void)mkt_grant_make(&g, mkt_span(octets, w.len), &keys, &err);
    }
    mkt_keys_wipe(&keys);
    return g;
}

static const char *
refused(const struct mkt_err *err)
{
    NEED(err->rc != MKT_OK && err->rc < MKT_RC_COUNT);
    NEED(err->what != NULL && err->what[0] != '\0');
    NEED(err->ref != NULL && strncmp(err->ref, "RFC ", 4) == 0);
    return NULL;
}

/* One crypto session: keys of the right lengths where there is one, else none. */
static const char *
session(const struct mkt_grant *g, const struct mkt_env *env, unsigned cs_id, bool exists)
{
    const struct mkt_key *tgk = &g->keys.k[1];
    struct mkt_err err = { 0 };
    MKT_SCOPED_SECRET
    tek = { 0 };
    MKT_SCOPED_SECRET
    salt = { 0 };
    enum mkt_rc rc = mkt_grant_compat_derive(g, env, (uint8_t)cs_id, &tek, &salt, &err);

    NEED((rc == MKT_OK) == exists);
    if (!exists) {
        NEED(tek.n == 0 && salt.n == 0);
        return refused(&err);
    }
    NEED(tek.n == 16);
    NEED(salt.n == (tgk->type == MKT_KEY_TGK_SALT ? tgk->salt.n : 14));
    return NULL;
}

static const char *
check(const struct mkt_grant *g, const struct mkt_env *env)
{
    struct mkt_compat compat = { .n_cs = 9 };
    struct mkt_err err = { 0 };
    struct mkt_payload pl;
    const char *broken;

    believed = mkt_grant_compat(g, env, &compat, &err) == MKT_OK;
    if (!believed) {
        NEED(compat.message.p == NULL && compat.message.n == 0 && compat.n_cs == 0);
        broken = refused(&err);
        return broken != NULL ? broken : session(g, env, 1, false);
    }
    NEED(ticket_of(&pl, g));
    NEED(compat.message.p == pl.u.ticket.ticket_data.p); /* all of it, and nothing else */
    NEED(compat.message.n == pl.u.ticket.ticket_data.n);
    NEED(compat.n_cs != 0);
    broken = session(g, env, 1, true);
    if (broken == NULL)
        broken = session(g, env, compat.n_cs, true);
    if (broken == NULL)
        broken = session(g, env, 0, false);
    if (broken == NULL && compat.n_cs < UINT8_MAX)
        broken = session(g, env, compat.n_cs + 1U, false);
    return broken;
}

const char *
mkt_compat_run(const uint8_t *data, size_t n)
{
    struct mkt_grant *g = NULL;
    struct mkt_err err = { 0 };
    const char *broken = NULL;
    struct mkt_env env;
    struct call *c;

    believed = false;
    if (n == 0 || n > INPUT_MAX)
        return NULL;
    c = call_of(data[0]);
    NEED(c != NULL);
    const struct mkt_span rest = mkt_span(data + 1, n - 1);
    if ((data[0] & MKT_COMPAT_FILE) == 0)
        g = with_data(c, rest);
    else if (mkt_grant_import(&g, rest, &err) != MKT_OK)
        return g == NULL && err.rc < MKT_RC_COUNT ? NULL : "a file that is refused gives no grant";
    if (g == NULL)
        return NULL;
    env = c->env;
    if ((data[0] & MKT_COMPAT_LATE) != 0)
        env.now = c->want.end.value + (1ULL << 32);
    broken = check(g, &env);
    if (broken == NULL && believed &&
        (data[0] & (MKT_COMPAT_LATE | MKT_COMPAT_FILE)) == MKT_COMPAT_LATE)
        broken = "a ticket that is over gives no message";
    mkt_grant_free(g);
    return broken;
}

bool
mkt_compat_believed(void)
{
    return believed;
}

size_t
mkt_compat_seed(uint8_t mode, uint8_t *out, size_t cap)
{
    const struct call *c = call_of(mode);
    struct mkt_payload pl;
    size_t n = 0;

    if (c == NULL || cap == 0 || !ticket_of(&pl, c->grant))
        return 0;
    out[0] = mode;
    if ((mode & MKT_COMPAT_FILE) != 0)
        return mkt_grant_export(c->grant, out + 1, cap - 1, &n) == MKT_OK ? n + 1 : 0;
    n = pl.u.ticket.ticket_data.n;
    if (n > cap - 1)
        return 0;
    memcpy(out + 1, pl.u.ticket.ticket_data.p, n);
    return n + 1;
}
