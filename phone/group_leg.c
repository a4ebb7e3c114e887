/* SPDX-License-Identifier: Apache-2.0 */
/* SIP with one member: the INVITE of a leg may fork too, but one phone of a member is enough. The
 * first 2xx has the leg, every other one is acknowledged and ended (RFC 3261 13.2.2.4). */
#include "group_leg.h"

#include <stdlib.h>
#include <string.h>

/* --- in and out ------------------------------------------------------------------------------- */

void
leg_gone(struct leg *leg)
{
    leg->state = LEG_OUT;
    leg->invite.request = mem_deref(leg->invite.request);
    leg->asked = mem_deref(leg->asked);
    leg->keys->in[leg->offer.cs_id] = false;
    group_media_drop(leg->group->media, leg->csb, 0);
    mkt_csb_free(leg->csb);
    leg->csb = NULL;
}

void
leg_cancel(struct leg *leg)
{
    leg->cancelled = true;
    if (leg->invite.request != NULL)
        sip_request_cancel(leg->invite.request);
}

void
leg_bye(struct leg *leg)
{
    phone_invite_bye(&leg->invite, leg->with);
    leg->state = LEG_OUT;
}

/* Everything an answer must have. */
static bool
keyed(struct leg *leg, const struct sip_msg *msg, struct cli_error *err)
{
    struct group *g = leg->group;
    struct cli_client *client = &g->call.phone->client;
    struct mkt_err why = { 0 };

    if (!group_offer_answered(&leg->offer, leg->keys, client,
                              mkt_span(mbuf_buf(msg->mb), mbuf_get_left(msg->mb)), &leg->csb, err))
        return false;
    if (!phone_description_read(&leg->mine, msg->mb, false, &leg->to))
        return cli_fail(err, CLI_EXIT_PEER, "the answer has no address for PCMU");
    if (group_media_hear(g->media, leg->csb, &leg->keys->voice[leg->offer.cs_id], client->crypto,
                         &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_PEER, "no media with these keys", &why);
    return phone_group_name(leg->name, mkt_csb_peer(leg->csb)) ||
           cli_fail(err, CLI_EXIT_PEER, "an identity of more than %d octets", GROUP_NAME_MAX - 1);
}

static void
in(struct leg *leg, const struct sip_msg *msg)
{
    struct cli_error err = { 0 };

    if (!leg->group->ending && !leg->cancelled && keyed(leg, msg, &err)) {
        leg->state = LEG_IN;
        leg->keys->in[leg->offer.cs_id] = true;
        if (group_leg_in(leg, &err))
            return;
    }
    if (err.code != CLI_EXIT_OK)
        phone_say("refused", "%s: %s", leg->uri, err.text);
    phone_invite_bye(&leg->invite, leg->with);
    group_leg_out(leg);
}

/* --- the INVITE ------------------------------------------------------------------------------- */

static void call(struct leg *leg);

static void
other_phone(struct leg *leg, const struct sip_msg *msg)
{
    struct sip_dialog *with;

    if (sip_dialog_fork(&with, leg->invite.dialog, msg) != 0)
        return;
    phone_invite_ack(&leg->invite, with, msg);
    phone_invite_bye(&leg->invite, with);
    mem_deref(with);
}

void
leg_answered(struct leg *leg, const struct sip_msg *msg)
{
    if (leg->with != NULL && pl_strcmp(&msg->to.tag, leg->tag) != 0) {
        other_phone(leg, msg);
        return;
    }
    if (leg->with != NULL) { /* again */
        phone_invite_ack(&leg->invite, leg->with, msg);
        return;
    }
    if (pl_strcpy(&msg->to.tag, leg->tag, sizeof leg->tag) != 0 ||
        sip_dialog_fork(&leg->with, leg->invite.dialog, msg) != 0) {
        group_leg_out(leg);
        return;
    }
    phone_invite_ack(&leg->invite, leg->with, msg);
    in(leg, msg);
}

static void
failed(struct leg *leg, int err, const struct sip_msg *msg)
{
    char why[PHONE_WHY_MAX];

    if (msg != NULL && phone_invite_challenged(&leg->invite, msg)) {
        call(leg);
        return;
    }
    phone_invite_why(why, "", err, msg);
    phone_say("not-joined", "%s: %s", leg->uri, why);
    group_leg_out(leg);
}

static void
response(int err, const struct sip_msg *msg, void *arg)
{
    const struct phone_invite *i = arg;
    struct leg *leg = i->of;

    if (err != 0 || msg->scode >= 300)
        failed(leg, err, msg);
    else if (msg->scode >= 200)
        leg_answered(leg, msg);
}

static void
call(struct leg *leg)
{
    struct phone_invite *i = &leg->invite;
    int err = phone_invite_send(i, &i->request, i->dialog, leg->description, response);

    if (err != 0)
        failed(leg, err, NULL);
}

static bool
describe(struct leg *leg, struct cli_error *err)
{
    struct group *g = leg->group;
    struct phone *p = g->call.phone;
    char *value = malloc(PHONE_VALUE_MAX);

    phone_description_free(&leg->mine);
    leg->description = mem_deref(leg->description);
    bool ok =
        value != NULL && phone_group_description(&leg->mine, p, group_media_port(g->media)) == 0 &&
        group_offer_value(&leg->offer, leg->keys, &p->client, value, PHONE_VALUE_MAX, err) &&
        phone_group_description_write(&leg->mine, true, value, &p->o->multicast,
                                      &leg->description) &&
        phone_sent_keep(&leg->offer.sent,
                        mkt_span(mbuf_buf(leg->description), mbuf_get_left(leg->description)), err);
    free(value);
    return ok || cli_fail(err, CLI_EXIT_FAILURE, "the description cannot be made");
}

static bool
open_dialog(struct leg *leg)
{
    struct phone *p = leg->group->call.phone;

    leg->with = mem_deref(leg->with);
    phone_invite_end(&leg->invite);
    return phone_invite_open(&leg->invite, p, leg->uri, leg->uri, p->o->value[PHONE_OPT_PROXY]);
}

/* Where the others stand is said anew each time: whoever joins late has to know. */
void
leg_begin(struct leg *leg)
{
    struct cli_error err = { 0 };

    for (size_t id = GROUP_INITIATOR_CS; id <= leg->keys->n + 1; id++)
        group_media_stands(leg->group->media, &leg->keys->voice[id]);
    leg->due = leg->cancelled = false;
    leg->state = LEG_CALLED;
    if (open_dialog(leg) && describe(leg, &err)) {
        call(leg);
        return;
    }
    phone_say("not-joined", "%s: %s", leg->uri, err.text);
    group_leg_out(leg);
}

bool
leg_request(struct leg *leg, const struct sip_msg *msg)
{
    struct sip *sip = leg->group->call.phone->sip;

    if (leg->with == NULL || !sip_dialog_cmp(leg->with, msg))
        return false;
    if (pl_strcmp(&msg->met, "BYE") == 0) {
        (void)sip_treply(NULL, sip, msg, 200, "OK");
        if (leg->state == LEG_IN)
            group_leg_out(leg);
        return true;
    }
    if (pl_strcmp(&msg->met, "INVITE") == 0) {
        (void)sip_treply(NULL, sip, msg, 488, "Not Acceptable Here");
        return true;
    }
    return pl_strcmp(&msg->met, "ACK") == 0;
}

/* --- whether it is still there ---------------------------------------------------------------- */

/* Who knows our call says anything but 481, such as that it takes no INFO (RFC 6086). */
static void
asked(int err, const struct sip_msg *msg, void *arg)
{
    struct leg *leg = arg;

    if (leg->state != LEG_IN || (err == 0 && msg->scode != 408 && msg->scode != 481))
        return;
    leg->group->call_again = true;
    group_leg_out(leg);
}

void
legs_ask(struct group *g)
{
    for (struct le *le = g->legs.head; le != NULL; le = le->next) {
        struct leg *leg = le->data;
        if (leg->state != LEG_IN || leg->keys != g->keys)
            continue;
        leg->asked = mem_deref(leg->asked);
        (void)sip_drequestf(&leg->asked, g->call.phone->sip, true, "INFO", leg->with, 0,
                            leg->invite.auth, NULL, asked, leg, "Content-Length: 0\r\n\r\n");
    }
}

/* --- the leg ---------------------------------------------------------------------------------- */

static void
leg_destroy(void *data)
{
    struct leg *leg = data;

    list_unlink(&leg->le);
    phone_invite_end(&leg->invite);
    mem_deref(leg->asked);
    mem_deref(leg->with);
    mem_deref(leg->description);
    phone_description_free(&leg->mine);
    group_offer_free(&leg->offer);
    group_media_drop(leg->group->media, leg->csb, 0);
    mkt_csb_free(leg->csb);
}

struct leg *
leg_new(struct group *g, struct group_keys *keys, const char *uri, uint8_t cs_id)
{
    struct leg *leg = mem_zalloc(sizeof *leg, leg_destroy);

    if (leg == NULL)
        return NULL;
    leg->invite.of = leg;
    leg->group = g;
    leg->keys = keys;
    leg->uri = uri;
    leg->offer.cs_id = cs_id;
    list_append(&g->legs, &leg->le, leg);
    return leg;
}

void
group_look(const struct phone_call *call, struct phone_look *look)
{
    const struct group *g = (const struct group *)call;

    phone_group_look(look, g->media);
    for (struct le *le = g->legs.head; le != NULL; le = le->next) {
        const struct leg *leg = le->data;
        if (leg->state != LEG_IN || leg->keys != g->keys)
            continue;
        look->csb = leg->csb;
        phone_group_look_at(look, leg->name);
    }
}
