/* SPDX-License-Identifier: Apache-2.0 */
/* The initiator of a group call. Who answers with keys that verify is in, is put on the roster, and
 * gets what the others say.
 *
 * When somebody leaves, those who stay get new keys: a new ticket, so that the KMS says again
 * who is a member, in an INVITE of its own to each. Everybody hears under both until all have
 * answered; then the roster comes under the new keys, and whoever sees it talks under them. Who has
 * not answered is out. */
#include "group_leg.h"

#include <stdlib.h>
#include <string.h>

#define ROSTER_MS 1000 /* how often everybody is told who is there */
#define LINGER_MS 1000 /* how long INVITEs that are cancelled may take to end */
#define SETTLE_MS 500  /* after somebody has left: others may follow */
#define RENEW_MS 10000 /* how long members may take to answer with new keys */
#define RENEW_LEAST_MS 1000
#define RETIRE_MS 3000 /* former keys live on so long */

static void group_free(struct phone_call *call);

static struct group *
group_of(const struct phone *p)
{
    return p->call != NULL && p->call->free == group_free ? (struct group *)p->call : NULL;
}

static struct leg *
first_leg(const struct group *g, const struct group_keys *keys, enum leg_state state)
{
    for (struct le *le = g->legs.head; le != NULL; le = le->next) {
        struct leg *leg = le->data;
        if (leg->keys == keys && leg->state == state)
            return leg;
    }
    return NULL;
}

/* --- the roster ------------------------------------------------------------------------------- */

static void
send_left(struct group *g, uint8_t cs_id)
{
    const struct group_entry e = { .voice = { .cs_id = cs_id } };
    uint8_t out[GROUP_ROSTER_MAX];
    size_t n = 0;

    if (group_roster_write(out, sizeof out, &n, &e))
        group_media_roster(g->media, mkt_span(out, n));
}

/* Everybody who is there, in as few packets as they fit. */
static void
send_roster(void *arg)
{
    struct group *g = arg;
    uint8_t out[GROUP_ROSTER_MAX];
    size_t n = 0;

    tmr_start(&g->roster, ROSTER_MS, send_roster, g);
    for (struct le *le = g->legs.head; le != NULL; le = le->next) {
        const struct leg *leg = le->data;
        struct group_entry e = { .voice = g->keys->voice[leg->offer.cs_id] };
        if (leg->keys != g->keys || leg->state != LEG_IN)
            continue;
        group_media_stands(g->media, &e.voice);
        memcpy(e.name, leg->name, sizeof e.name);
        if (group_roster_write(out, sizeof out, &n, &e))
            continue;
        group_media_roster(g->media, mkt_span(out, n));
        n = 0;
        (void)!group_roster_write(out, sizeof out, &n, &e);
    }
    if (n > 0)
        group_media_roster(g->media, mkt_span(out, n));
}

/* --- who talks -------------------------------------------------------------------------------- */

static void
talks(uint8_t cs_id, bool begins, void *arg)
{
    const struct group *g = arg;
    struct le *le = g->legs.head;

    while (le != NULL && (((struct leg *)le->data)->offer.cs_id != cs_id ||
                          ((struct leg *)le->data)->state != LEG_IN))
        le = le->next;
    const char *name = le != NULL ? ((struct leg *)le->data)->name : "nobody";
    if (begins)
        phone_say("talking", "%s, vouched for by %s", name, g->kms);
    else
        phone_say("quiet", "%s", name);
}

static void
played(void *arg)
{
    struct group *g = arg;
    phone_group_played(&g->call);
}

static const struct group_events events = { talks, NULL, played };

/* --- new keys --------------------------------------------------------------------------------- */

static void ticket_came(struct phone_job *job);
static void renew(void *arg);
static void switch_over(struct group *g);

static struct group_keys *
keys_new(struct group *g)
{
    struct group_keys *k = calloc(1, sizeof *k);

    if (k == NULL)
        return NULL;
    k->ticket = phone_offer_new(g->call.phone->o->callee, ticket_came, g);
    if (k->ticket == NULL) {
        free(k);
        return NULL;
    }
    k->ticket->group = true;
    return k;
}

static void
keys_free(struct group_keys *k)
{
    if (k == NULL)
        return;
    phone_offer_free(k->ticket);
    mkt_wipe(k, sizeof *k);
    free(k);
}

static void
ask(struct group *g, struct group_keys *k)
{
    g->asking = true;
    phone_worker_ask(g->call.phone->worker, &k->ticket->job);
}

/* New keys are due at half the time of these or of their ticket, so that there is another half for
 * what goes wrong. */
static void
wait_for_renewal(struct group *g, const struct mkt_csb *csb)
{
    uint64_t ms = phone_call_say_rekey(&g->call, csb), left = group_keys_left(csb);

    ms = (left < ms ? left : ms) / 2;
    if (ms < UINT64_MAX / 2)
        tmr_start(&g->renew, ms < RENEW_LEAST_MS ? RENEW_LEAST_MS : ms, renew, g);
}

static void
renew(void *arg)
{
    struct group *g = arg;

    if (g->ending || !g->begun)
        return;
    g->renew_again = g->asking || g->next != NULL || g->former != NULL;
    if (g->renew_again)
        return;
    g->next = keys_new(g);
    if (g->next != NULL)
        ask(g, g->next);
}

static void
renew_soon(struct group *g)
{
    tmr_start(&g->renew, SETTLE_MS, renew, g);
}

/* Whoever has not answered with new keys by now is out; with the last of them all have answered. */
static void
too_slow(void *arg)
{
    struct group *g = arg;
    struct leg *leg = first_leg(g, g->next, LEG_CALLED), *after;

    for (; leg != NULL; leg = after) {
        leg_cancel(leg);
        leg->state = LEG_OUT;
        after = first_leg(g, g->next, LEG_CALLED);
        phone_say("not-joined", "%s: no answer", leg->uri);
        group_leg_out(leg);
    }
}

/* Calls whoever is due; and who is missing, when the user wanted that meanwhile. The last one may
 * be the end of the group. */
static void
call_due(struct group *g)
{
    bool missing = g->call_again && g->next == NULL && !g->stale;

    for (struct le *le = g->legs.head; le != NULL; le = le->next) {
        struct leg *leg = le->data;
        leg->due = leg->due || (missing && leg->keys == g->keys && leg->state == LEG_OUT);
        if (leg->due)
            leg->state = LEG_CALLED;
    }
    g->call_again = g->call_again && !missing;
    for (struct le *le = g->legs.head, *next; le != NULL; le = next) {
        struct leg *leg = le->data;
        next = le->next;
        if (leg->due)
            leg_begin(leg);
    }
}

/* A leg for the same member under other keys, to be called. Without memory it will be out. */
static void
renew_leg(struct group *g, const struct leg *leg, struct group_keys *keys)
{
    struct leg *new = leg_new(g, keys, leg->uri, leg->offer.cs_id);
    if (new != NULL)
        new->due = true;
}

static void
offer_next(struct group *g)
{
    if (first_leg(g, g->keys, LEG_IN) == NULL) { /* all have left meanwhile */
        switch_over(g);
        return;
    }
    for (struct le *le = g->legs.head; le != NULL; le = le->next) {
        const struct leg *leg = le->data;
        if (leg->keys == g->keys && leg->state == LEG_IN)
            renew_leg(g, leg, g->next);
    }
    tmr_start(&g->linger, RENEW_MS, too_slow, g);
    call_due(g);
}

static void
retire(void *arg)
{
    struct group *g = arg;

    for (struct le *le = g->legs.head, *next; le != NULL; le = next) {
        struct leg *leg = le->data;
        next = le->next;
        if (leg->keys != g->former)
            continue;
        if (leg->state == LEG_IN)
            leg_bye(leg);
        mem_deref(leg);
    }
    keys_free(g->former);
    g->former = NULL;
    if (g->renew_again)
        renew_soon(g);
}

/* Who is still being called with the former keys is called with the new ones, and who was out is
 * when the user wants. Those that are in with the former keys only are out from now on. */
static void
move_legs(struct group *g)
{
    bool has[PHONE_MEMBERS_MAX + 2] = { false };

    for (struct le *le = g->legs.head; le != NULL; le = le->next) {
        const struct leg *leg = le->data;
        has[leg->offer.cs_id] = has[leg->offer.cs_id] || leg->keys == g->keys;
    }
    for (struct le *le = g->legs.head; le != NULL; le = le->next) {
        struct leg *leg = le->data;
        if (leg->keys != g->former || has[leg->offer.cs_id])
            continue;
        if (leg->state == LEG_OUT)
            leg->keys = g->keys;
        else if (leg->state == LEG_CALLED) {
            leg_cancel(leg);
            renew_leg(g, leg, g->keys);
        }
    }
    for (size_t id = GROUP_INITIATOR_CS + 1; id <= g->keys->n + 1; id++)
        if (!g->keys->in[id])
            group_media_forget(g->media, (uint8_t)id);
}

static void
adopt_next(struct group *g)
{
    g->former = g->keys;
    g->keys = g->next;
    g->next = NULL;
    g->stale = false;
    move_legs(g);
    tmr_start(&g->retire, RETIRE_MS, retire, g);
}

/* All have answered. When nobody is left, the next one who joins has the new keys. */
static void
switch_over(struct group *g)
{
    const struct leg *any = first_leg(g, g->next, LEG_IN);
    struct mkt_err why = { 0 };

    tmr_cancel(&g->linger);
    if (any == NULL && first_leg(g, g->keys, LEG_IN) == NULL) {
        g->begun = false;
        tmr_cancel(&g->roster);
        adopt_next(g);
        call_due(g);
        return;
    }
    if (any == NULL || group_media_say(g->media, any->csb, GROUP_INITIATOR_CS,
                                       g->call.phone->client.crypto, &why) != MKT_OK) {
        phone_group_over(&g->call, g->media, CLI_EXIT_PEER, "nobody has taken the new keys");
        return;
    }
    adopt_next(g);
    phone_say("rekeyed", "by us");
    wait_for_renewal(g, any->csb);
    send_roster(g);
    call_due(g);
}

/* --- in and out ------------------------------------------------------------------------------- */

/* We talk from the first answer on: before it there is nobody. */
static bool
begin(struct group *g, const struct leg *leg, struct cli_error *err)
{
    struct mkt_err why = { 0 };

    if (g->begun)
        return true;
    if (group_media_say(g->media, leg->csb, GROUP_INITIATOR_CS, g->call.phone->client.crypto,
                        &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, "no media with these keys", &why);
    if (g->kms[0] == '\0')
        phone_group_begun(&g->call);
    (void)!phone_group_name(g->kms, mkt_csb_policy(leg->csb)->kms); /* cut where it is too long */
    phone_call_say_ticket(leg->csb);
    wait_for_renewal(g, leg->csb);
    g->begun = true;
    return true;
}

bool
group_leg_in(struct leg *leg, struct cli_error *err)
{
    struct group *g = leg->group;

    if (leg->keys == g->former)
        return cli_fail(err, CLI_EXIT_PEER, "the keys were replaced meanwhile");
    if (!begin(g, leg, err))
        return false;
    if (!group_media_send_to(g->media, leg->offer.cs_id, &leg->to, true))
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    if (leg->keys == g->next) {
        if (first_leg(g, g->next, LEG_CALLED) == NULL)
            switch_over(g);
        return true;
    }
    phone_say("joined", "%s, vouched for by %s", leg->name, g->kms);
    send_roster(g);
    if (g->next != NULL && !g->asking) { /* just too late for the round */
        renew_leg(g, leg, g->next);
        call_due(g);
    }
    return true;
}

static void
end_if_over(struct group *g)
{
    for (struct le *le = g->legs.head; le != NULL; le = le->next) {
        if (((const struct leg *)le->data)->state != LEG_OUT)
            return;
    }
    if (g->ending)
        phone_group_over(&g->call, g->media, CLI_EXIT_OK, "by us");
    else if (g->kms[0] == '\0')
        phone_group_over(&g->call, g->media, CLI_EXIT_PEER, "nobody has joined");
}

void
group_leg_out(struct leg *leg)
{
    struct group *g = leg->group;
    bool left = leg->state == LEG_IN && leg->keys == g->keys && !g->ending;
    bool next = leg->keys == g->next;

    leg_gone(leg);
    if (next && first_leg(g, g->next, LEG_CALLED) == NULL && !g->ending) {
        switch_over(g);
        return;
    }
    if (left) {
        phone_say("left", "%s", leg->name);
        group_media_forget(g->media, leg->offer.cs_id);
        send_left(g, leg->offer.cs_id);
        g->stale = true;
        renew_soon(g);
    }
    end_if_over(g);
}

/* --- what the user does ----------------------------------------------------------------------- */

static void
talk(struct phone_call *call)
{
    struct group *g = (struct group *)call;
    phone_say("push", "%s", group_media_push(g->media) ? "on" : "off");
}

static void
call_all(struct phone_call *call)
{
    struct group *g = (struct group *)call;

    g->call_again = !g->ending;
    legs_ask(g);
    if (g->next == NULL && !g->asking)
        call_due(g);
}

static void
renew_now(struct phone_call *call)
{
    renew(call);
}

static void
give_up(void *arg)
{
    struct group *g = arg;
    phone_group_over(&g->call, g->media, CLI_EXIT_OK, "by us");
}

/* Members are told, and what has not been answered is cancelled. */
static void
hang_up(struct phone_call *call)
{
    struct group *g = (struct group *)call;

    if (g->ending)
        return;
    g->ending = true;
    tmr_start(&g->linger, LINGER_MS, give_up, g);
    for (struct le *le = g->legs.head; le != NULL; le = le->next) {
        struct leg *leg = le->data;
        if (leg->state == LEG_CALLED)
            leg_cancel(leg);
        else if (leg->state == LEG_IN)
            leg_bye(leg);
    }
    end_if_over(g);
}

static void
group_free(struct phone_call *call)
{
    struct group *g = (struct group *)call;
    struct group_keys *asked = g->next != NULL ? g->next : g->keys;

    tmr_cancel(&g->roster);
    tmr_cancel(&g->linger);
    tmr_cancel(&g->renew);
    tmr_cancel(&g->retire);
    list_flush(&g->legs);
    group_media_close(g->media);
    if (g->asking) { /* the worker has it */
        asked->ticket->call = NULL;
        asked->ticket = NULL;
    }
    keys_free(g->keys);
    keys_free(g->next);
    keys_free(g->former);
    free(g);
}

/* --- what members send ------------------------------------------------------------------------ */

bool
phone_group_response(const struct sip_msg *msg, void *phone)
{
    struct group *g = group_of(phone);

    for (struct le *le = g != NULL ? g->legs.head : NULL; le != NULL; le = le->next) {
        struct leg *leg = le->data;
        if (!phone_invite_is_taken(&leg->invite, msg))
            continue;
        leg_answered(leg, msg);
        return true;
    }
    return false;
}

bool
phone_group_request(const struct sip_msg *msg, void *phone)
{
    struct group *g = group_of(phone);

    for (struct le *le = g != NULL ? g->legs.head : NULL; le != NULL; le = le->next)
        if (leg_request(le->data, msg)) /* the leg may be gone */
            return true;
    return false;
}

/* --- tickets ---------------------------------------------------------------------------------- */

/* All have their keys yet, and we try again. */
static void
not_renewed(struct group *g, const char *why)
{
    phone_say("not-rekeyed", "%s", why);
    keys_free(g->next);
    g->next = NULL;
    tmr_start(&g->renew, RENEW_MS, renew, g);
    call_due(g);
}

/* The ticket is there, or not: in the main loop. */
static void
ticket_came(struct phone_job *job)
{
    struct phone_offer *ticket = (struct phone_offer *)job;
    struct group *g = ticket->call;
    struct cli_error err = job->err;

    if (g == NULL) { /* given up meanwhile */
        phone_offer_free(ticket);
        return;
    }
    g->asking = false;
    struct group_keys *k = g->next != NULL ? g->next : g->keys;
    bool ok = err.code == CLI_EXIT_OK &&
              group_keys_begin(k, g->call.phone->o->n_members, &g->call.phone->o->args, &err);
    group_keys_begin_at(k, g->call.phone->o->first_index);
    if (!ok && g->next != NULL) {
        not_renewed(g, err.text);
    } else if (!ok) {
        phone_group_over(&g->call, g->media, err.code, err.text);
    } else if (g->next != NULL) {
        offer_next(g);
    } else {
        phone_say("group", "%s, %zu member%s", ticket->to, k->n, k->n == 1 ? "" : "s");
        call_all(&g->call);
    }
}

/* --- the beginning ---------------------------------------------------------------------------- */

static bool
open_group(struct group *g, const struct phone_options *o)
{
    g->keys = keys_new(g);
    for (size_t i = 0; g->keys != NULL && i < o->n_members; i++)
        if (leg_new(g, g->keys, o->members[i], (uint8_t)(GROUP_INITIATOR_CS + 1 + i)) == NULL)
            return false;
    return g->keys != NULL &&
           group_media_open(&g->media, &g->call.phone->local, &g->call.phone->speech, &events, g) ==
               0 &&
           (!sa_isset(&o->multicast.sa, SA_ALL) || group_media_join(g->media, &o->multicast) == 0);
}

bool
phone_group_make(struct phone *p, struct cli_error *err)
{
    struct group *g = calloc(1, sizeof *g);

    if (g == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    list_init(&g->legs);
    g->call = (struct phone_call){ .phone = p,
                                   .talk = talk,
                                   .again = call_all,
                                   .look = group_look,
                                   .renew = renew_now,
                                   .end = hang_up,
                                   .free = group_free };
    tmr_init(&g->call.timer);
    tmr_init(&g->call.too_old);
    if (!open_group(g, p->o)) {
        group_free(&g->call);
        return cli_fail(err, CLI_EXIT_FAILURE, "no call can be made: no memory or no socket");
    }
    p->call = &g->call;
    ask(g, g->keys);
    return true;
}
