/* SPDX-License-Identifier: Apache-2.0 */
/* A group call that we are called into. An INVITE is a seat: a ticket, its keys, and a session of
 * libre's. When the initiator brings a new ticket, because somebody has left, it gives us a second
 * seat without ringing; we hear under both, and talk under the new one as soon as the roster comes
 * under its keys. */
#include "group.h"
#include "refusal.h"

#include <stdlib.h>
#include <string.h>

#define SEATS_MAX 2
#define SILENCE_S 15 /* the initiator sends a roster each second */

struct member {
    struct phone_call call; /* first */
    struct group_media *media;
    struct list seats;         /* oldest first */
    struct seat *talks_on;     /* whose keys we talk under */
    char *name[UINT8_MAX + 1]; /* by CS ID */
    char initiator[GROUP_NAME_MAX], group[GROUP_NAME_MAX], kms[GROUP_NAME_MAX];
    bool accepted; /* by the user, maybe before the keys are there */
    struct tmr silence;
};

struct seat {
    struct le le;
    struct member *member;
    struct phone_answer *answer;
    bool resolving; /* the answer is with the worker */
    bool stands;
    bool said; /* we have talked under its keys */
    struct sipsess *session;
    struct phone_description description;
    struct mbuf *text; /* of the answer */
    struct sa to;
    struct group_address multicast;
};

static void member_free(struct phone_call *call);

static struct member *
member_of(const struct phone *p)
{
    return p->call != NULL && p->call->free == member_free ? (struct member *)p->call : NULL;
}

/* --- what is said of whom --------------------------------------------------------------------- */

static const char *
name_of(const struct member *m, uint8_t cs_id)
{
    if (cs_id == GROUP_INITIATOR_CS)
        return m->initiator;
    return m->name[cs_id] != NULL ? m->name[cs_id] : "somebody who is not on the roster yet";
}

static void
talks(uint8_t cs_id, bool begins, void *arg)
{
    const struct member *m = arg;

    if (!begins)
        phone_say("quiet", "%s", name_of(m, cs_id));
    else if (cs_id == GROUP_INITIATOR_CS)
        phone_say("talking", "%s, vouched for by %s", m->initiator, m->kms);
    else
        phone_say("talking", "%s, vouched for to %s", name_of(m, cs_id), m->initiator);
}

static void
rename_session(struct member *m, const struct group_entry *e)
{
    char *name = e->voice.ssrc != 0 ? strdup(e->name) : NULL;
    char *former = m->name[e->voice.cs_id];

    if (former != NULL && (name == NULL || strcmp(name, former) != 0))
        phone_say("left", "%s", former);
    if (name != NULL && (former == NULL || strcmp(name, former) != 0))
        phone_say("joined", "%s, vouched for to %s", name, m->initiator);
    free(former);
    m->name[e->voice.cs_id] = name;
}

/* --- the roster ------------------------------------------------------------------------------- */

static struct seat *
seat_of(const struct member *m, const struct mkt_csb *csb)
{
    for (struct le *le = m->seats.head; le != NULL; le = le->next) {
        struct seat *s = le->data;
        if (s->answer->csb == csb)
            return s;
    }
    return NULL;
}

static uint8_t
own_session(const struct seat *s)
{
    return s->answer->cs[1].cs_id;
}

/* Once for each seat: a stream that began anew under the same keys would repeat its keystream (RFC
 * 3711 9.1), and whoever carries SIP and media could bring that about. */
static bool
say_on(struct seat *s)
{
    struct member *m = s->member;
    struct mkt_err why = { 0 };

    if (s->said)
        return false;
    s->said = true;
    if (group_media_say(m->media, s->answer->csb, own_session(s), m->call.phone->client.crypto,
                        &why) != MKT_OK) {
        phone_say("refused", "keys of our own: %s", why.what);
        return false;
    }
    m->talks_on = s;
    return true;
}

static void
take_entry(struct seat *s, const struct group_entry *e)
{
    struct member *m = s->member;
    struct mkt_err why = { 0 };

    if (e->voice.cs_id == 0 || e->voice.cs_id == own_session(s))
        return;
    if (e->voice.ssrc == 0)
        group_media_drop(m->media, s->answer->csb, e->voice.cs_id);
    else if (!group_media_hears(m->media, &e->voice) &&
             group_media_hear(m->media, s->answer->csb, &e->voice, m->call.phone->client.crypto,
                              &why) != MKT_OK)
        phone_say("refused", "an entry of the roster: %s", why.what);
    if (e->voice.cs_id != GROUP_INITIATOR_CS)
        rename_session(m, e);
}

static void
initiator_gone(void *arg)
{
    struct member *m = arg;
    char why[80];

    snprintf(why, sizeof why, "the initiator is gone: nothing has come from it for %d s",
             SILENCE_S);
    phone_group_over(&m->call, m->media, CLI_EXIT_PEER, why);
}

/* Who is not told that the initiator has crashed would be busy for ever. */
static void
initiator_is_there(struct member *m)
{
    tmr_start(&m->silence, SILENCE_S * 1000, initiator_gone, m);
}

/* The initiator talks under these keys: so do we. */
static void
roster(const struct mkt_csb *csb, struct mkt_span entries, void *arg)
{
    struct member *m = arg;
    struct seat *s = seat_of(m, csb);
    struct group_entry e;

    if (s == NULL || !s->stands)
        return;
    initiator_is_there(m);
    if (m->talks_on != s && &s->le == m->seats.tail) {
        if (!say_on(s))
            return;
        phone_say("rekeyed", "by the initiator");
        (void)phone_call_say_rekey(&m->call, csb);
    }
    while (group_roster_read(&entries, &e))
        take_entry(s, &e);
}

static void
played(void *arg)
{
    struct member *m = arg;
    phone_group_played(&m->call);
}

static const struct group_events events = { talks, roster, played };

/* --- the keys --------------------------------------------------------------------------------- */

/* A second seat is for the call that we are in, and nobody else can give it. */
static bool
same_call(const struct member *m, const char *initiator, const char *group)
{
    return m->initiator[0] == '\0' ||
           (strcmp(m->initiator, initiator) == 0 && strcmp(m->group, group) == 0);
}

static bool
know_call(struct member *m, const struct mkt_csb *csb, struct cli_error *err)
{
    const struct mkt_policy *policy = mkt_csb_policy(csb);
    char initiator[GROUP_NAME_MAX], group[GROUP_NAME_MAX], kms[GROUP_NAME_MAX];

    if (!phone_group_name(initiator, mkt_csb_peer(csb)) ||
        !phone_group_name(group, policy->responders[0]) || !phone_group_name(kms, policy->kms))
        return cli_fail(err, CLI_EXIT_PEER, "an identity of more than %d octets",
                        GROUP_NAME_MAX - 1);
    if (!mkt_csb_peer_is_vouched(csb))
        return cli_fail(err, CLI_EXIT_PEER,
                        "nobody vouches for %s: any member can have made this call (no I flag)",
                        initiator);
    if (!same_call(m, initiator, group))
        return cli_fail(err, CLI_EXIT_PEER, "%s calls for %s into another's call", initiator,
                        group);
    memcpy(m->initiator, initiator, sizeof initiator);
    memcpy(m->group, group, sizeof group);
    memcpy(m->kms, kms, sizeof kms);
    return true;
}

static bool
hear_all(struct seat *s, struct cli_error *err)
{
    struct member *m = s->member;
    const struct mkt_csb *csb = s->answer->csb;
    struct mkt_session cs;
    struct mkt_err why = { 0 };

    for (size_t i = 0; mkt_csb_session(csb, i, &cs) == MKT_OK; i++) {
        const struct group_voice v = { cs.cs_id, cs.ssrc, cs.roc, cs.seq };
        if (cs.cs_id != own_session(s) &&
            group_media_hear(m->media, csb, &v, m->call.phone->client.crypto, &why) != MKT_OK)
            return cli_fail_mkt(err, CLI_EXIT_PEER, "no media with these keys", &why);
    }
    return true;
}

/* Not before the ticket is resolved: anybody may say that we should join something. */
static bool
join(struct seat *s, struct cli_error *err)
{
    return !sa_isset(&s->multicast.sa, SA_ALL) ||
           group_media_join(s->member->media, &s->multicast) == 0 ||
           cli_fail(err, CLI_EXIT_FAILURE, "the multicast group cannot be joined");
}

static bool
describe(struct seat *s, struct cli_error *err)
{
    char *value = malloc(PHONE_VALUE_MAX);
    bool ok = value != NULL && phone_answer_value(s->answer, value, PHONE_VALUE_MAX) &&
              phone_group_description_write(&s->description, false, value, &s->multicast, &s->text);

    free(value);
    return ok || cli_fail(err, CLI_EXIT_FAILURE, "the description cannot be made");
}

static void
answer(struct seat *s)
{
    if (sipsess_answer(s->session, 200, "OK", s->text, NULL) != 0)
        phone_say("refused", "the answer cannot be sent");
}

/* --- seats ------------------------------------------------------------------------------------ */

static void
seat_destroy(void *data)
{
    struct seat *s = data;

    list_unlink(&s->le);
    if (s->member->talks_on == s)
        s->member->talks_on = NULL;
    mem_deref(s->session); /* BYE when it stands */
    if (s->resolving) {
        s->answer->call = NULL;
    } else if (s->answer != NULL) {
        group_media_drop(s->member->media, s->answer->csb, 0);
        phone_answer_free(s->answer);
    }
    phone_description_free(&s->description);
    mem_deref(s->text);
}

/* Without a seat there is no call. */
static void
seat_over(struct seat *s, enum cli_exit code, const char *why)
{
    struct member *m = s->member;

    if (m->seats.head != m->seats.tail) {
        if (code != CLI_EXIT_OK)
            phone_say("not-rekeyed", "%s", why);
        mem_deref(s);
        return;
    }
    phone_group_over(&m->call, m->media, code, why);
}

static void
reject(struct seat *s, enum mkt_rc rc, const struct cli_error *err)
{
    struct mkt_sdp_refusal r = phone_refusal_keys(rc, err);
    (void)sipsess_reject(s->session, (uint16_t)r.status, r.reason, "%H", phone_refusal_print, &r);
}

/* The ticket is resolved, or not: in the main loop. */
static void
resolved(struct phone_job *job)
{
    struct phone_answer *a = (struct phone_answer *)job;
    struct seat *s = a->call;
    struct cli_error err = job->err;

    if (s == NULL) { /* given up meanwhile */
        phone_answer_free(a);
        return;
    }
    struct member *m = s->member;
    s->resolving = false;
    if (a->csb != NULL)
        phone_seen_add(&m->call.phone->seen, a);
    if (err.code == CLI_EXIT_OK && a->csb != NULL && know_call(m, a->csb, &err) &&
        hear_all(s, &err) && join(s, &err) && describe(s, &err)) {
        phone_say("group", "%s", m->group);
        phone_call_say_keys(m->call.phone, a->csb);
        if (m->accepted)
            answer(s);
        return;
    }
    reject(s, a->refused, &err);
    seat_over(s, err.code, err.text);
}

static void
established(const struct sip_msg *msg, void *arg)
{
    struct seat *s = arg;
    struct member *m = s->member;

    (void)msg;
    s->stands = true;
    if (m->talks_on != NULL)
        return;
    if (!group_media_send_to(m->media, GROUP_INITIATOR_CS, &s->to, false) || !say_on(s)) {
        seat_over(s, CLI_EXIT_FAILURE, "no media");
        return;
    }
    phone_say("answered", "by us");
    phone_group_begun(&m->call);
    initiator_is_there(m);
    (void)phone_call_say_rekey(&m->call, s->answer->csb);
}

static void
closed(int err, const struct sip_msg *msg, void *arg)
{
    struct seat *s = arg;

    (void)err, (void)msg;
    seat_over(s, CLI_EXIT_OK, s->stands ? "by the initiator" : "given up by the initiator");
}

/* New keys come with a new ticket, in an INVITE of its own. */
static int
offered_again(struct mbuf **text, const struct sip_msg *msg, void *arg)
{
    (void)text, (void)msg, (void)arg;
    return ENOTSUP;
}

static int
answered_again(const struct sip_msg *msg, void *arg)
{
    (void)msg, (void)arg;
    return ENOTSUP;
}

/* --- what the user does ----------------------------------------------------------------------- */

static void
accept_call(struct phone_call *call)
{
    struct member *m = (struct member *)call;
    struct seat *s = list_ledata(m->seats.head);

    if (m->accepted)
        return;
    m->accepted = true;
    tmr_cancel(&call->timer);
    if (s->text != NULL)
        answer(s);
}

static void
accept_by_itself(void *arg)
{
    accept_call(arg);
}

static void
talk(struct phone_call *call)
{
    struct member *m = (struct member *)call;
    phone_say("push", "%s", group_media_push(m->media) ? "on" : "off");
}

static void
look(const struct phone_call *call, struct phone_look *look)
{
    const struct member *m = (const struct member *)call;

    phone_group_look(look, m->media);
    if (m->talks_on == NULL)
        return;
    look->csb = m->talks_on->answer->csb;
    for (size_t i = 0; i < CLI_COUNT(m->name); i++)
        if (m->name[i] != NULL)
            phone_group_look_at(look, m->name[i]);
}

static void
hang_up(struct phone_call *call)
{
    struct member *m = (struct member *)call;
    struct seat *s = list_ledata(m->seats.head);

    if (s != NULL && !s->stands && s->session != NULL)
        (void)sipsess_reject(s->session, 603, "Decline", "Content-Length: 0\r\n\r\n");
    phone_group_over(call, m->media, CLI_EXIT_OK, "by us");
}

static void
member_free(struct phone_call *call)
{
    struct member *m = (struct member *)call;

    tmr_cancel(&m->silence);
    list_flush(&m->seats);
    group_media_close(m->media);
    for (size_t i = 0; i < CLI_COUNT(m->name); i++)
        free(m->name[i]);
    free(m);
}

/* --- the INVITE ------------------------------------------------------------------------------- */

static bool
is_group_call(const struct sip_msg *msg)
{
    static const char mark[] = " " GROUP_ROSTER "/";
    return memmem(mbuf_buf(msg->mb), mbuf_get_left(msg->mb), mark, sizeof mark - 1) != NULL;
}

static struct member *
member_new(struct phone *p)
{
    struct member *m = calloc(1, sizeof *m);

    if (m == NULL)
        return NULL;
    if (group_media_open(&m->media, &p->local, &p->speech, &events, m) != 0) {
        group_media_close(m->media);
        free(m);
        return NULL;
    }
    m->call = (struct phone_call){ .phone = p,
                                   .accept = accept_call,
                                   .talk = talk,
                                   .look = look,
                                   .end = hang_up,
                                   .free = member_free };
    tmr_init(&m->silence);
    tmr_init(&m->call.timer);
    tmr_init(&m->call.too_old);
    list_init(&m->seats);
    return m;
}

static struct seat *
seat_new(struct member *m)
{
    struct seat *s = mem_zalloc(sizeof *s, seat_destroy);

    if (s == NULL)
        return NULL;
    s->member = m;
    list_append(&m->seats, &s->le, s);
    return s;
}

static bool
look_at(struct seat *s, const struct sip_msg *msg, enum mkt_rc *rc, struct cli_error *err)
{
    struct member *m = s->member;
    struct phone *p = m->call.phone;

    if (!phone_answer_new(&s->answer, &p->client, &p->o->args,
                          mkt_span(mbuf_buf(msg->mb), mbuf_get_left(msg->mb)), true, resolved, s,
                          rc, err))
        return false;
    *rc = MKT_E_REPLAY;
    if (phone_seen_has(&p->seen, s->answer))
        return cli_fail(err, CLI_EXIT_PEER, "the offer is refused: it is that of a former call");
    *rc = MKT_E_SP;
    if (phone_group_description(&s->description, p, group_media_port(m->media)) != 0 ||
        !phone_description_read(&s->description, msg->mb, true, &s->to))
        return cli_fail(
            err, CLI_EXIT_PEER,
            "the offer is refused: no m-line for PCMU over RTP/SAVP, with an address to send to");
    (void)group_address_find(&s->multicast, msg->mb, sa_port(&s->to));
    return true;
}

static void
take_seat(struct seat *s, const struct sip_msg *msg)
{
    struct member *m = s->member;
    struct phone *p = m->call.phone;

    if (sipsess_accept(&s->session, p->sessions, msg, 180, "Ringing", p->user, "application/sdp",
                       NULL, phone_auth, p, false, offered_again, answered_again, established, NULL,
                       NULL, closed, s, NULL) != 0) {
        seat_over(s, CLI_EXIT_FAILURE, "the call cannot be taken");
        return;
    }
    if (m->seats.head == &s->le) {
        phone_say("ringing", "%.*s, it says", (int)msg->from.auri.l, msg->from.auri.p);
        if (p->o->answer_ms != UINT32_MAX)
            tmr_start(&m->call.timer, p->o->answer_ms, accept_by_itself, m);
    }
    s->resolving = true;
    phone_worker_ask(p->worker, &s->answer->job);
}

/* The call stands, and no other offer is looked at. */
static bool
is_free_for_another(const struct member *m)
{
    return m->talks_on != NULL && list_count(&m->seats) < SEATS_MAX;
}

bool
phone_member_invite(const struct sip_msg *msg, struct phone *p)
{
    struct member *m = member_of(p);
    struct seat *s = NULL;
    struct cli_error err = { 0 };
    enum mkt_rc rc = MKT_OK;

    if (!is_group_call(msg))
        return false;
    if (p->call == NULL && (m = member_new(p)) != NULL)
        p->call = &m->call;
    if (m != NULL && (m->seats.head == NULL || is_free_for_another(m)))
        s = seat_new(m);
    if (s == NULL) {
        (void)sip_treply(NULL, p->sip, msg, 486, "Busy Here");
        return true;
    }
    if (look_at(s, msg, &rc, &err)) {
        take_seat(s, msg);
        return true;
    }
    const struct mkt_sdp_refusal r = mkt_sdp_refusal(rc, false);
    phone_refuse(p->sip, msg, &r);
    seat_over(s, err.code, err.text);
    return true;
}
