/* SPDX-License-Identifier: Apache-2.0 */
/* SDP through libre: addresses, ports and codecs. What concerns keys is read from the same text by
 * media/sdp. */
#include "phone.h"

static const char mux[] = "rtcp-mux";

int
phone_description_of(struct phone_description *d, const struct phone *p,
                     const struct audio_codec *const *codecs, size_t n, uint16_t port)
{
    *d = (struct phone_description){ 0 };
    int err = sdp_session_alloc(&d->session, &p->local);
    if (err == 0)
        err = sdp_media_add(&d->audio, d->session, sdp_media_audio, port, sdp_proto_rtpsavp);
    for (size_t i = 0; i < n && err == 0; i++) {
        const struct audio_codec *c = codecs[i];
        err = sdp_format_add(NULL, d->audio, false, c->type, c->name, c->clock, c->channels, NULL,
                             NULL, (void *)(uintptr_t)c, false, c->params != NULL ? "%s" : NULL,
                             c->params);
    }
    if (err != 0)
        phone_description_free(d);
    return err;
}

int
phone_description_new(struct phone_description *d, const struct phone *p, uint16_t port)
{
    int err = phone_description_of(d, p, p->codecs, p->n_codecs, port);

    if (err == 0)
        err = sdp_media_set_lattr(d->audio, true, mux, NULL);
    if (err != 0)
        phone_description_free(d);
    return err;
}

void
phone_description_free(struct phone_description *d)
{
    mem_deref(d->session);
    *d = (struct phone_description){ 0 };
}

int
phone_description_write(struct phone_description *d, bool offer, const char *value,
                        struct mbuf **mb)
{
    int err = 0;

    sdp_session_del_lattr(d->session, "key-mgmt");
    if (value != NULL)
        err = sdp_session_set_lattr(d->session, true, "key-mgmt", "%s", value);
    return err != 0 ? err : sdp_encode(mb, d->session, offer);
}

/* The first codec of theirs that is one of ours. What answers names no other, so that no packet can
 * be of one that its sender alone thought of. */
static bool
agree(struct phone_description *d, bool offer)
{
    const struct sdp_format *theirs = sdp_media_rformat(d->audio, NULL);
    struct sdp_format *ours = NULL;

    if (theirs == NULL)
        return false;
    for (struct le *le = sdp_media_format_lst(d->audio, true)->head, *next; le != NULL; le = next) {
        struct sdp_format *f = le->data;
        next = le->next;
        if (f->data == theirs->data)
            ours = f;
        else if (offer && f->data != NULL) /* what is no codec stays */
            mem_deref(f);
    }
    if (ours != NULL)
        d->agreed = (struct phone_agreed){ .codec = theirs->data,
                                           .says = theirs->pt & 0x7f,
                                           .hears = ours->pt & 0x7f,
                                           .reports = sdp_media_rattr(d->audio, mux) != NULL };
    if (!d->agreed.reports) /* RFC 5761 5.1.1: no answer has it but to an offer that has it */
        sdp_media_del_lattr(d->audio, mux);
    return ours != NULL;
}

/* Other m-lines may stand before it: they are answered with port 0. */
static size_t
index_of(const struct phone_description *d)
{
    size_t i = 0;

    for (const struct le *le = sdp_session_medial(d->session, false)->head;
         le != NULL && le->data != d->audio; le = le->next)
        i++;
    return i < MKT_SDP_MEDIA_MAX ? i : 0; /* more are refused before */
}

bool
phone_description_read(struct phone_description *d, struct mbuf *mb, bool offer, struct sa *to)
{
    struct mbuf *own = NULL;
    bool ok = true;

    if (!offer) { /* an answer is read by one who has offered; each fork has its own */
        ok = sdp_encode(&own, d->session, true) == 0;
        mem_deref(own);
    }
    size_t pos = mb->pos;
    ok = ok && sdp_decode(d->session, mb, offer) == 0;
    mb->pos = pos;
    if (ok) {
        *to = *sdp_media_raddr(d->audio);
        d->index = index_of(d);
    }
    return ok && sa_isset(to, SA_ALL) && agree(d, offer);
}
