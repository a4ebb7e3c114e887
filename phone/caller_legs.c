/* SPDX-License-Identifier: Apache-2.0 */
#include "caller.h"

#include "report.h"

static void
leg_destroy(void *data)
{
    struct caller_leg *leg = data;

    list_unlink(&leg->le);
    mem_deref(leg->dialog);
    mkt_csb_free(leg->csb);
    phone_sdes_wipe(&leg->sdes);
}

struct caller_leg *
caller_leg_find(const struct caller *c, const struct pl *tag)
{
    for (struct le *le = c->legs.head; le != NULL; le = le->next) {
        struct caller_leg *leg = le->data;
        if (pl_strcmp(tag, leg->tag) == 0)
            return leg;
    }
    return NULL;
}

struct caller_leg *
caller_leg_of(struct caller *c, const struct sip_msg *msg)
{
    struct caller_leg *leg = caller_leg_find(c, &msg->to.tag);

    if (leg != NULL || !pl_isset(&msg->to.tag) || msg->to.tag.l >= sizeof leg->tag)
        return leg;
    leg = mem_zalloc(sizeof *leg, leg_destroy);
    if (leg == NULL || sip_dialog_fork(&leg->dialog, c->invite.dialog, msg) != 0)
        return mem_deref(leg);
    (void)pl_strcpy(&msg->to.tag, leg->tag, sizeof leg->tag);
    list_append(&c->legs, &leg->le, leg);
    return leg;
}

/* Keys of MIKEY-TICKET, or where the user allows it of SDES; never of both. */
static bool
leg_keys(struct caller *c, struct caller_leg *leg, const struct sip_msg *msg,
         struct phone_description *d, struct cli_error *err)
{
    struct phone *p = c->call.phone;
    enum phone_keying keying = p->o->keying;
    struct mkt_span text = mkt_span(mbuf_buf(msg->mb), mbuf_get_left(msg->mb));
    bool readable = phone_description_read(d, msg->mb, false, &leg->to);

    if (keying != PHONE_KEYING_REQUIRED && phone_sdes_is(text))
        return (readable ||
                cli_fail(err, CLI_EXIT_PEER, "the answer has no address, or no codec")) &&
               phone_sdes_answered(&leg->sdes, &c->sdes, &c->offer->sent.sdp, text, d, err) &&
               phone_sdes_keyed(&c->call, &leg->sdes, keying == PHONE_KEYING_PREFERRED,
                                &leg->stream, err);
    return phone_offer_answered(c->offer, &p->client, text, &leg->csb, err) &&
           (readable || cli_fail(err, CLI_EXIT_PEER, "the answer has no address, or no codec")) &&
           (!phone_sdes_forbidden(d) ||
            cli_fail(err, CLI_EXIT_PEER, "the answer is refused: a=crypto beside key-mgmt")) &&
           phone_call_keyed(&c->call, leg->csb, c->offer->map.first[0], &leg->stream, err);
}

/* The answer of a leg: its keys, from its own TRANSFER_RESP. It comes early or with the 2xx. */
void
caller_leg_answer(struct caller *c, struct caller_leg *leg, const struct sip_msg *msg)
{
    struct phone *p = c->call.phone;
    struct phone_description d;
    struct cli_error err = { 0 };

    if (leg->stream != NULL || leg->refused || mbuf_get_left(msg->mb) == 0)
        return;
    leg->refused = true;
    if (phone_description_new(&d, p, phone_media_port(c->call.media)) != 0)
        return;
    bool ok = leg_keys(c, leg, msg, &d, &err) && phone_call_speak(leg->stream, &d.agreed, &err);
    leg->refused = !ok;
    if (!ok)
        phone_say("refused", "%s", err.text);
    phone_description_free(&d);
}
