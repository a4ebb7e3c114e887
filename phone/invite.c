/* SPDX-License-Identifier: Apache-2.0 */
#include "invite.h"

#define CHALLENGES_MAX 2 /* the proxy's, and that of who is called */

bool
phone_invite_open(struct phone_invite *i, struct phone *p, const char *uri, const char *to,
                  const char *proxy)
{
    i->phone = p;
    i->dialog = mem_deref(i->dialog);
    return sip_dialog_alloc(&i->dialog, uri, to, NULL, p->client.file.identity, &proxy,
                            proxy != NULL) == 0 &&
           (i->auth != NULL || sip_auth_alloc(&i->auth, phone_auth, p, false) == 0);
}

void
phone_invite_end(struct phone_invite *i)
{
    i->request = mem_deref(i->request);
    i->dialog = mem_deref(i->dialog);
    i->auth = mem_deref(i->auth);
    i->challenges = 0;
}

static int
contact(enum sip_transp tp, const struct sa *src, const struct sa *dst, struct mbuf *mb, void *arg)
{
    const struct phone_invite *i = arg;
    struct sip_contact c;

    (void)dst;
    sip_contact_set(&c, i->phone->user, src, tp);
    return mbuf_printf(mb, "%H", sip_contact_print, &c);
}

int
phone_invite_send(struct phone_invite *i, struct sip_request **request, struct sip_dialog *dialog,
                  const struct mbuf *description, sip_resp_h *answered)
{
    struct sip *sip = i->phone->sip;

    if (description == NULL)
        return sip_drequestf(request, sip, true, "INVITE", dialog, 0, i->auth, contact, answered, i,
                             "Content-Length: 0\r\n\r\n");
    return sip_drequestf(request, sip, true, "INVITE", dialog, 0, i->auth, contact, answered, i,
                         "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%b",
                         mbuf_get_left(description), mbuf_buf(description),
                         mbuf_get_left(description));
}

bool
phone_invite_challenged(struct phone_invite *i, const struct sip_msg *msg)
{
    return (msg->scode == 401 || msg->scode == 407) && i->challenges++ < CHALLENGES_MAX &&
           sip_auth_authenticate(i->auth, msg) == 0;
}

bool
phone_invite_is_taken(const struct phone_invite *i, const struct sip_msg *msg)
{
    return msg->scode / 100 == 2 && pl_strcmp(&msg->cseq.met, "INVITE") == 0 && i->dialog != NULL &&
           pl_strcmp(&msg->callid, sip_dialog_callid(i->dialog)) == 0;
}

static void
nothing(int err, const struct sip_msg *msg, void *arg)
{
    (void)err, (void)msg, (void)arg;
}

void
phone_invite_ack(const struct phone_invite *i, struct sip_dialog *dialog, const struct sip_msg *msg)
{
    (void)sip_drequestf(NULL, i->phone->sip, false, "ACK", dialog, msg->cseq.num, i->auth, NULL,
                        nothing, NULL, "Content-Length: 0\r\n\r\n");
}

void
phone_invite_bye(const struct phone_invite *i, struct sip_dialog *dialog)
{
    (void)sip_drequestf(NULL, i->phone->sip, true, "BYE", dialog, 0, i->auth, NULL, nothing, NULL,
                        "Content-Length: 0\r\n\r\n");
}

void
phone_invite_why(char why[PHONE_WHY_MAX], const char *unreached, int err, const struct sip_msg *msg)
{
    if (msg != NULL)
        re_snprintf(why, PHONE_WHY_MAX, "%u %r", msg->scode, &msg->reason);
    else
        re_snprintf(why, PHONE_WHY_MAX, "%s%m", unreached, err);
}
