/* SPDX-License-Identifier: Apache-2.0 */
/* RTP with many voices (RFC 3550): one for each SSRC that the roster names, and what nobody is
 * known by is not taken. The initiator forwards packets as they came, but only authentic ones, so
 * it cannot be used to flood the others. */
#include "group_media.h"

#include "format.h"
#include "group_tape.h"
#include "rtp.h"
#include "session_policy.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_MS 20
#define PCMU 0       /* payload type (RFC 3551 6) */
#define PAUSE_MS 300 /* after so long without a packet, talking is over */

struct receiver {
    struct le le;
    uint8_t cs_id;
    struct sa to;
    bool forward;
};

struct voice {
    struct le le;
    struct group_media *media;
    struct mkt_srtp_stream *stream;
    struct group_voice is;
    const struct mkt_csb *csb;
    struct tmr pause;
    bool talks, begun; /* begun: a packet was heard */
    struct group_track track;
    uint64_t heard;
    uint16_t first_seq, last_seq;
    uint32_t cycles;
};

struct group_media {
    struct udp_sock *sock;
    struct sa ip;
    struct group_multicast *multicast; /* NULL: none */
    uint16_t port;
    const struct audio *speech;
    const struct group_events *on;
    void *arg;
    struct list voices, receivers;
    struct mkt_srtp_stream *out; /* NULL before we may say something */
    struct group_voice self;
    bool pushed, spurt; /* spurt: the next frame is the first of a talk spurt */
    struct tmr tick;
    uint64_t next_ms, begun_ms; /* begun_ms: the time of timestamp `base` */
    uint32_t base;
    size_t frame; /* next one of the speech */
    struct group_counts counts;
    struct group_tape tape;
};

/* --- hearing ---------------------------------------------------------------------------------- */

/* Whether somebody is heard under other keys too: while keys are exchanged there are two voices. */
static struct voice *
twin_of(const struct group_media *m, uint8_t cs_id, const struct mkt_csb *csb)
{
    for (struct le *le = m->voices.head; le != NULL; le = le->next) {
        struct voice *v = le->data;
        if (v->is.cs_id == cs_id && v->csb != csb && v->begun)
            return v;
    }
    return NULL;
}

static void
say_talks(struct voice *v, bool begins)
{
    const struct voice *twin = twin_of(v->media, v->is.cs_id, v->csb);

    v->talks = begins;
    if (twin == NULL || !twin->talks)
        v->media->on->talks(v->is.cs_id, begins, v->media->arg);
}

static void
silent(void *arg)
{
    say_talks(arg, false);
}

/* RFC 3550 A.1, without its probation: what comes here is authentic. */
static void
count(struct voice *v, uint16_t seq)
{
    if (!v->begun)
        v->first_seq = v->last_seq = seq;
    else if ((uint16_t)(seq - v->last_seq) < 0x8000) {
        v->cycles += seq < v->last_seq;
        v->last_seq = seq;
    }
    v->begun = true;
    v->heard++;
}

static void
take_speech(struct voice *v, uint32_t timestamp, struct mkt_span octets)
{
    struct group_media *m = v->media;

    m->counts.heard++;
    group_tape_put(&m->tape, &v->track, tmr_jiffies(), timestamp, octets);
    if (!v->talks)
        say_talks(v, true);
    tmr_start(&v->pause, PAUSE_MS, silent, v);
}

/* What to do with an authentic packet; false: nothing that is known. */
static bool
take(struct voice *v, const uint8_t *packet, size_t n)
{
    struct mkt_span payload = mkt_span(packet + RTP_HEADER, n - RTP_HEADER);
    uint8_t type = packet[1] & 0x7f;

    count(v, rtp_seq(packet));
    if (type == PCMU) {
        take_speech(v, rtp_timestamp(packet), payload);
        return true;
    }
    if (type != GROUP_ROSTER_PT || v->is.cs_id != GROUP_INITIATOR_CS ||
        v->media->on->roster == NULL)
        return false;
    v->media->on->roster(v->csb, payload, v->media->arg); /* v may be gone */
    return true;
}

static void
forward(struct group_media *m, uint8_t from, const uint8_t *octets, size_t n)
{
    struct mbuf *mb = mbuf_alloc(n);

    if (mb == NULL)
        return;
    (void)mbuf_write_mem(mb, octets, n);
    for (struct le *le = m->receivers.head; le != NULL; le = le->next) {
        struct receiver *r = le->data;
        mb->pos = 0;
        if (r->forward && r->cs_id != from && udp_send(m->sock, &r->to, mb) == 0)
            m->counts.forwarded++;
    }
    mem_deref(mb);
}

static struct voice *
find(const struct group_media *m, uint32_t ssrc)
{
    for (struct le *le = m->voices.head; le != NULL; le = le->next) {
        struct voice *v = le->data;
        if (v->is.ssrc == ssrc)
            return v;
    }
    return NULL;
}

static void
arrived(const struct sa *from, struct mbuf *mb, void *arg)
{
    struct group_media *m = arg;
    uint8_t octets[RTP_MAX];
    size_t n = mbuf_get_left(mb);
    int len = (int)n;

    (void)from; /* keys say who it is */
    if (n < RTP_HEADER || n > RTP_MAX) {
        m->counts.refused++;
        return;
    }
    memcpy(octets, mbuf_buf(mb), n);
    if (m->out != NULL && rtp_ssrc(octets) == m->self.ssrc)
        return; /* our own, from the multicast group */
    struct voice *v = find(m, rtp_ssrc(octets));
    if (v == NULL || mkt_srtp_stream_unprotect(v->stream, octets, &len) != srtp_err_status_ok ||
        len <= RTP_HEADER || octets[0] != 0x80) {
        m->counts.refused++;
        return;
    }
    forward(m, v->is.cs_id, mbuf_buf(mb), n);
    m->counts.refused += !take(v, octets, (size_t)len);
}

/* --- talking ---------------------------------------------------------------------------------- */

/* Samples since our stream was made: its clock runs on while nobody pushes. */
static uint32_t
timestamp(const struct group_media *m, uint64_t now_ms)
{
    return m->base + (uint32_t)(now_ms - m->begun_ms) * (AUDIO_RATE / 1000);
}

static void
send_packet(struct group_media *m, uint8_t type, bool marker, uint64_t due_ms,
            struct mkt_span payload)
{
    struct mbuf *mb = mbuf_alloc(RTP_MAX);
    int len = (int)(RTP_HEADER + payload.n);

    if (mb == NULL)
        return;
    rtp_header(mb->buf, type, marker, m->self.seq, timestamp(m, due_ms), m->self.ssrc);
    memcpy(mb->buf + RTP_HEADER, payload.p, payload.n);
    m->self.seq++;
    if (mkt_srtp_stream_protect(m->out, mb->buf, &len) == srtp_err_status_ok) {
        m->counts.sent++;
        for (struct le *le = m->receivers.head; le != NULL; le = le->next) {
            struct receiver *r = le->data;
            mb->pos = 0;
            mb->end = (size_t)len;
            (void)udp_send(m->sock, &r->to, mb);
        }
    }
    mem_deref(mb);
}

static void
tick(void *arg)
{
    struct group_media *m = arg;
    uint8_t said[AUDIO_FRAME];
    struct mkt_span frame = audio_frame(m->speech, m->frame);
    bool last = frame.n > 0 && audio_frame(m->speech, m->frame + 1).n == 0;
    uint64_t now = tmr_jiffies();

    size_t n = frame.n / audio_width(m->speech->format);
    audio_silence(said, AUDIO_PCMU, AUDIO_FRAME);
    if (n > 0)
        audio_convert(said, AUDIO_PCMU, frame.p, m->speech->format, n);
    m->frame++;
    send_packet(m, PCMU, m->spurt, m->next_ms, mkt_span(said, n > 0 ? n : AUDIO_FRAME));
    m->spurt = false;
    m->next_ms += FRAME_MS;
    tmr_start(&m->tick, m->next_ms > now ? m->next_ms - now : 0, tick, m);
    if (last && m->on->played != NULL)
        m->on->played(m->arg);
}

bool
group_media_push(struct group_media *m)
{
    m->pushed = !m->pushed && m->out != NULL;
    tmr_cancel(&m->tick);
    m->spurt = true;
    m->next_ms = tmr_jiffies();
    if (m->pushed)
        tick(m);
    return m->pushed;
}

bool
group_media_pushed(const struct group_media *m)
{
    return m->pushed;
}

void
group_media_roster(struct group_media *m, struct mkt_span entries)
{
    if (m->out != NULL && entries.n <= RTP_MAX / 2)
        send_packet(m, GROUP_ROSTER_PT, false, tmr_jiffies(), entries);
}

/* --- streams ---------------------------------------------------------------------------------- */

enum mkt_rc
group_media_say(struct group_media *m, const struct mkt_csb *csb, uint8_t cs_id,
                struct mkt_crypto *crypto, struct mkt_err *err)
{
    struct mkt_srtp policy;
    struct mkt_srtp_stream *out;

    if (session_policy(&policy, csb, cs_id, crypto, err) != MKT_OK)
        return err->rc;
    const struct group_voice self = { cs_id, policy.policy.ssrc.value, policy.roc, policy.seq };
    if (mkt_srtp_stream_new(&out, &policy, err) != MKT_OK)
        return err->rc;
    if (m->out == NULL) { /* the clock goes on when keys change */
        m->begun_ms = tmr_jiffies();
        m->base = rand_u32();
    }
    mkt_srtp_stream_free(m->out);
    m->out = out;
    m->self = self;
    return MKT_OK;
}

static void
voice_destroy(void *data)
{
    struct voice *v = data;

    list_unlink(&v->le);
    tmr_cancel(&v->pause);
    mkt_srtp_stream_free(v->stream);
}

static struct voice *
voice_new(struct group_media *m, const struct group_voice *is, struct mkt_srtp *policy,
          struct mkt_err *err)
{
    struct voice *v = mem_zalloc(sizeof *v, voice_destroy);

    if (v == NULL) {
        mkt_srtp_wipe(policy);
        mkt_fail(err, MKT_E_MEMORY, 0, "voice", "RFC 3711 3");
        return NULL;
    }
    v->media = m;
    v->is = *is;
    policy->policy.ssrc.value = is->ssrc;
    policy->roc = is->roc;
    policy->seq = is->seq;
    if (mkt_srtp_stream_new(&v->stream, policy, err) != MKT_OK)
        return mem_deref(v);
    return v;
}

void
group_media_drop(struct group_media *m, const struct mkt_csb *csb, uint8_t cs_id)
{
    for (struct le *le = m->voices.head, *next; le != NULL; le = next) {
        struct voice *v = le->data;
        next = le->next;
        if (v->csb == csb && (cs_id == 0 || v->is.cs_id == cs_id))
            mem_deref(v);
    }
}

enum mkt_rc
group_media_hear(struct group_media *m, const struct mkt_csb *csb, const struct group_voice *is,
                 struct mkt_crypto *crypto, struct mkt_err *err)
{
    struct mkt_srtp policy;

    if (session_policy(&policy, csb, is->cs_id, crypto, err) != MKT_OK)
        return err->rc;
    struct voice *v = voice_new(m, is, &policy, err);
    if (v == NULL)
        return err->rc;
    group_media_drop(m, csb, is->cs_id);
    v->csb = csb;
    const struct voice *twin = twin_of(m, is->cs_id, csb);
    if (twin != NULL)
        v->track = twin->track;
    list_append(&m->voices, &v->le, v);
    return MKT_OK;
}

bool
group_media_hears(const struct group_media *m, const struct group_voice *is)
{
    const struct voice *v = find(m, is->ssrc);
    return v != NULL && v->is.cs_id == is->cs_id;
}

void
group_media_stands(const struct group_media *m, struct group_voice *is)
{
    const struct voice *v = find(m, is->ssrc);

    if (v != NULL)
        mkt_srtp_stream_position(v->stream, &is->roc, &is->seq);
    else if (m->out != NULL && is->ssrc == m->self.ssrc)
        mkt_srtp_stream_position(m->out, &is->roc, &is->seq);
}

/* --- who gets it ------------------------------------------------------------------------------ */

static void
receiver_destroy(void *data)
{
    struct receiver *r = data;
    list_unlink(&r->le);
}

static bool
add_receiver(struct group_media *m, uint8_t cs_id, const struct sa *to, bool forward_too)
{
    struct receiver *r = mem_zalloc(sizeof *r, receiver_destroy);
    if (r == NULL)
        return false;
    r->cs_id = cs_id;
    r->to = *to;
    r->forward = forward_too;
    list_append(&m->receivers, &r->le, r);
    return true;
}

bool
group_media_send_to(struct group_media *m, uint8_t cs_id, const struct sa *to, bool forward_too)
{
    group_media_forget(m, cs_id);
    return m->multicast != NULL || add_receiver(m, cs_id, to, forward_too);
}

int
group_media_join(struct group_media *m, const struct group_address *a)
{
    if (m->multicast != NULL)
        return 0;
    int err = group_multicast_join(&m->multicast, a, &m->ip, m->sock, arrived, m);
    if (err != 0)
        m->multicast = mem_deref(m->multicast);
    else if (!add_receiver(m, 0, &a->sa, false))
        err = ENOMEM;
    return err;
}

void
group_media_forget(struct group_media *m, uint8_t cs_id)
{
    for (struct le *le = m->receivers.head, *next; le != NULL; le = next) {
        struct receiver *r = le->data;
        next = le->next;
        if (r->cs_id == cs_id)
            mem_deref(r);
    }
}

struct group_counts
group_media_counts(const struct group_media *m)
{
    struct group_counts c = m->counts;

    for (struct le *le = m->voices.head; le != NULL; le = le->next) {
        const struct voice *v = le->data;
        uint64_t due = v->begun ? ((uint64_t)v->cycles << 16) + v->last_seq - v->first_seq + 1 : 0;
        c.lost += due > v->heard ? due - v->heard : 0;
    }
    return c;
}

struct audio
group_media_heard(const struct group_media *m)
{
    return m->tape.audio;
}

/* --- the socket ------------------------------------------------------------------------------- */

int
group_media_open(struct group_media **out, const struct sa *ip, const struct audio *speech,
                 const struct group_events *on, void *arg)
{
    struct group_media *m = mem_zalloc(sizeof *m, NULL);
    struct sa local = *ip;

    *out = m;
    if (m == NULL)
        return ENOMEM;
    m->ip = *ip;
    m->speech = speech;
    m->on = on;
    m->arg = arg;
    m->tape.audio.format = AUDIO_PCMU;
    sa_set_port(&local, 0);
    int err = udp_listen(&m->sock, &local, arrived, m);
    if (err == 0)
        err = udp_local_get(m->sock, &local);
    m->port = sa_port(&local);
    return err;
}

void
group_media_close(struct group_media *m)
{
    if (m == NULL)
        return;
    tmr_cancel(&m->tick);
    list_flush(&m->voices);
    list_flush(&m->receivers);
    mkt_srtp_stream_free(m->out);
    mem_deref(m->multicast);
    mem_deref(m->sock);
    audio_free(&m->tape.audio);
    mem_deref(m);
}

uint16_t
group_media_port(const struct group_media *m)
{
    return m->port;
}
