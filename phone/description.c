/* SPDX-License-Identifier: Apache-2.0 */
/* SDP through libre: addresses, ports and codecs. What concerns keys is read from the same text by
 * media/sdp. */
#include "phone.h"

int
phone_description_new(struct phone_description *d, const struct phone *p, uint16_t port)
{
    *d = (struct phone_description){ 0 };
    int err = sdp_session_alloc(&d->session, &p->local);
    if (err == 0)
        err = sdp_media_add(&d->audio, d->session, sdp_media_audio, port, sdp_proto_rtpsavp);
    if (err == 0)
        err = sdp_format_add(NULL, d->audio, false, "0", "PCMU", AUDIO_RATE, 1, NULL, NULL, NULL,
                             false, NULL);
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
    return ok && sa_isset(to, SA_ALL) && sdp_media_rformat(d->audio, NULL) != NULL;
}
