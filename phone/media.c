/* SPDX-License-Identifier: Apache-2.0 */
/* RTP by hand (RFC 3550, RFC 3551): a frame each 20 ms on a clock that does not drift, and speech
 * put where its timestamp says. No RTCP. */
#include "media.h"

#include <stdlib.h>
#include <string.h>

#define RTP_HEADER 12
#define PCMU 0          /* payload type (RFC 3551 6) */
#define SILENCE 0xff    /* mu-law */
#define PACKET_MAX 2048 /* octets of a packet */
#define RETIRE_MS 5000  /* a former key lives on so long */

struct phone_media {
    struct udp_sock *sock;
    uint16_t port;
    const struct audio *speech, *saying; /* of the call, and now */
    struct list streams;
    uint64_t strangers; /* packets of an SSRC that nobody has */
    struct tmr tick;
    uint64_t next_ms; /* when the next frame is due */
    size_t frame;     /* next one of what is said */
    struct phone_stream *talking;
    bool paused;
    void (*played)(void *arg);
    void *arg;
};

struct phone_stream {
    struct le le;
    struct phone_media *media;
    struct mkt_srtp_stream *send, *receive;
    uint8_t sends, hears; /* crypto sessions */
    struct tmr retire;
    uint32_t ssrc, their_ssrc, timestamp;
    uint16_t seq;
    struct sa to;
    struct phone_counts counts;
    bool any;   /* nobody has said what their SSRC is, and none was heard */
    bool begun; /* a packet was heard */
    uint16_t first_seq, last_seq;
    uint32_t cycles, first_timestamp;
    struct audio heard;
    size_t room; /* octets of heard */
};

static uint32_t
get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
put32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* --- hearing ---------------------------------------------------------------------------------- */

static bool
make_room(struct phone_stream *s, size_t n)
{
    size_t room = s->room > 0 ? s->room : AUDIO_RATE * 10;

    if (n > AUDIO_SAMPLES_MAX)
        return false;
    while (room < n)
        room *= 2;
    if (room == s->room)
        return true;
    uint8_t *octets = realloc(s->heard.octets, room);
    if (octets == NULL)
        return false;
    memset(octets + s->room, SILENCE, room - s->room);
    s->heard.octets = octets;
    s->room = room;
    return true;
}

/* Speech goes where its timestamp says, so loss and order do not move what comes after. */
static void
keep(struct phone_stream *s, uint32_t timestamp, const uint8_t *octets, size_t n)
{
    size_t at = timestamp - s->first_timestamp;

    if (at >= AUDIO_SAMPLES_MAX || !make_room(s, at + n))
        return; /* before the first one, or after ten minutes */
    memcpy(s->heard.octets + at, octets, n);
    if (at + n > s->heard.n)
        s->heard.n = at + n;
}

/* RFC 3550 A.1, without its probation: what comes here is authentic. */
static void
count(struct phone_stream *s, uint16_t seq)
{
    if (!s->begun)
        s->first_seq = s->last_seq = seq;
    else if ((uint16_t)(seq - s->last_seq) < 0x8000) {
        s->cycles += seq < s->last_seq;
        s->last_seq = seq;
    }
    s->counts.heard++;
}

/* A packet that is authentic. */
static void
hear(struct phone_stream *s, const uint8_t *packet, int len)
{
    if (len <= RTP_HEADER || packet[0] != 0x80 || (packet[1] & 0x7f) != PCMU) {
        s->counts.refused++;
        return;
    }
    count(s, (uint16_t)(packet[2] << 8 | packet[3]));
    if (!s->begun)
        s->first_timestamp = get32(packet + 4);
    s->begun = true;
    keep(s, get32(packet + 4), packet + RTP_HEADER, (size_t)len - RTP_HEADER);
}

static void
take(struct phone_stream *s, uint8_t *packet, int len)
{
    if (mkt_srtp_stream_unprotect(s->receive, packet, &len) == srtp_err_status_ok)
        hear(s, packet, len);
    else
        s->counts.refused++;
}

/* Whose key a packet has that nobody has announced. A failed attempt may change what it looks at.
 */
static bool
take_first(struct phone_stream *s, const uint8_t *packet, size_t n)
{
    uint8_t copy[PACKET_MAX];
    int len = (int)n;

    memcpy(copy, packet, n);
    if (mkt_srtp_stream_unprotect(s->receive, copy, &len) != srtp_err_status_ok)
        return false;
    s->any = false;
    s->their_ssrc = get32(packet + 8);
    hear(s, copy, len);
    return true;
}

/* False: it is none of theirs. */
static bool
is_taken(struct phone_stream *s, uint8_t *packet, size_t n)
{
    if (s->any)
        return take_first(s, packet, n);
    if (get32(packet + 8) != s->their_ssrc)
        return false;
    take(s, packet, (int)n);
    return true;
}

static void
arrived(const struct sa *from, struct mbuf *mb, void *arg)
{
    struct phone_media *m = arg;
    size_t n = mbuf_get_left(mb);

    (void)from; /* keys say who it is */
    for (struct le *le = m->streams.head; n >= RTP_HEADER && n <= PACKET_MAX && le != NULL;
         le = le->next)
        if (is_taken(le->data, mbuf_buf(mb), n))
            return;
    m->strangers++;
}

/* --- talking ---------------------------------------------------------------------------------- */

static void
say(struct phone_stream *s, struct mkt_span frame)
{
    struct mbuf *mb = mbuf_alloc(PACKET_MAX);
    int len = (int)(RTP_HEADER + frame.n);

    if (mb == NULL)
        return;
    mb->buf[0] = 0x80;
    mb->buf[1] = (uint8_t)(PCMU | (s->counts.sent == 0 ? 0x80 : 0));
    mb->buf[2] = (uint8_t)(s->seq >> 8);
    mb->buf[3] = (uint8_t)s->seq;
    put32(mb->buf + 4, s->timestamp);
    put32(mb->buf + 8, s->ssrc);
    memcpy(mb->buf + RTP_HEADER, frame.p, frame.n);
    s->seq++;
    s->timestamp += AUDIO_FRAME;
    if (mkt_srtp_stream_protect(s->send, mb->buf, &len) == srtp_err_status_ok) {
        mb->end = (size_t)len;
        if (udp_send(s->media->sock, &s->to, mb) == 0)
            s->counts.sent++;
    }
    mem_deref(mb);
}

static void tick(void *arg);

/* Nothing is said, but time goes on. */
static void
rest(struct phone_media *m, uint64_t now)
{
    m->talking->timestamp += AUDIO_FRAME;
    m->next_ms += PHONE_FRAME_MS;
    tmr_start(&m->tick, m->next_ms > now ? m->next_ms - now : 0, tick, m);
}

static void
tick(void *arg)
{
    struct phone_media *m = arg;
    uint8_t silence[AUDIO_FRAME];
    struct mkt_span frame = audio_frame(m->saying, m->frame);
    bool last = frame.n > 0 && audio_frame(m->saying, m->frame + 1).n == 0;
    uint64_t now = tmr_jiffies();

    if (m->paused) {
        rest(m, now);
        return;
    }
    memset(silence, SILENCE, sizeof silence);
    m->frame++;
    say(m->talking, frame.n > 0 ? frame : mkt_span(silence, sizeof silence));
    m->next_ms += PHONE_FRAME_MS;
    tmr_start(&m->tick, m->next_ms > now ? m->next_ms - now : 0, tick, m);
    if (last && m->saying == m->speech && m->played != NULL)
        m->played(m->arg);
}

static void
start(struct phone_stream *s, const struct sa *to, const struct audio *speech)
{
    struct phone_media *m = s->media;

    s->to = *to;
    m->talking = s;
    m->saying = speech;
    m->frame = 0;
    m->next_ms = tmr_jiffies();
    tick(m);
}

void
phone_stream_aim(struct phone_stream *s, const struct sa *to)
{
    s->to = *to;
}

void
phone_media_pause(struct phone_media *m, bool pause)
{
    m->paused = pause;
}

void
phone_stream_early(struct phone_stream *s, const struct sa *to, const struct audio *speech)
{
    start(s, to, speech);
}

void
phone_stream_start(struct phone_stream *s, const struct sa *to)
{
    start(s, to, s->media->speech);
}

/* --- streams ---------------------------------------------------------------------------------- */

static void
stream_destroy(void *data)
{
    struct phone_stream *s = data;

    list_unlink(&s->le);
    tmr_cancel(&s->retire);
    mkt_srtp_stream_free(s->send);
    mkt_srtp_stream_free(s->receive);
    free(s->heard.octets);
}

static enum mkt_rc
policy_of(struct mkt_srtp *policy, const struct mkt_csb *csb, uint8_t cs_id,
          struct mkt_crypto *crypto, struct mkt_err *err)
{
    struct mkt_session cs;
    size_t i = 0;

    while (mkt_csb_session(csb, i, &cs) == MKT_OK && cs.cs_id != cs_id)
        i++;
    return mkt_srtp_policy(policy, csb, crypto, i, err);
}

/* Takes both policies. NULL: err says why. */
static struct phone_stream *
open_stream(struct phone_media *m, struct mkt_srtp *send, struct mkt_srtp *receive,
            struct mkt_err *err)
{
    struct phone_stream *s = mem_zalloc(sizeof *s, stream_destroy);

    if (s == NULL) {
        (void)mkt_fail(err, MKT_E_MEMORY, 0, "stream", "RFC 3711 3");
        return NULL;
    }
    s->media = m;
    s->heard.format = AUDIO_PCMU;
    s->seq = rand_u16() & 0x7fff;
    s->timestamp = rand_u32();
    s->ssrc = send->policy.ssrc.value;
    s->their_ssrc = receive->policy.ssrc.value;
    s->any = receive->policy.ssrc.type != ssrc_specific;
    if (mkt_srtp_stream_new(&s->send, send, err) != MKT_OK ||
        mkt_srtp_stream_new(&s->receive, receive, err) != MKT_OK)
        return mem_deref(s);
    list_append(&m->streams, &s->le, s);
    return s;
}

enum mkt_rc
phone_stream_open(struct phone_stream **out, struct phone_media *m, const struct mkt_csb *csb,
                  uint8_t sends, uint8_t hears, struct mkt_crypto *crypto, struct mkt_err *err)
{
    struct mkt_srtp send = { 0 }, receive = { 0 };
    struct phone_stream *s = NULL;

    if (policy_of(&send, csb, sends, crypto, err) == MKT_OK &&
        policy_of(&receive, csb, hears, crypto, err) == MKT_OK)
        s = open_stream(m, &send, &receive, err);
    if (s != NULL) {
        s->sends = sends;
        s->hears = hears;
    }
    *out = s;
    mkt_srtp_wipe(&send);
    mkt_srtp_wipe(&receive);
    return err->rc;
}

enum mkt_rc
phone_stream_open_sdes(struct phone_stream **out, struct phone_media *m, struct mkt_srtp *send,
                       struct mkt_srtp *receive, struct mkt_err *err)
{
    receive->policy.ssrc = (srtp_ssrc_t){ .type = ssrc_any_inbound };
    *out = open_stream(m, send, receive, err);
    mkt_srtp_wipe(send);
    mkt_srtp_wipe(receive);
    return err->rc;
}

static void
retire(void *arg)
{
    struct phone_stream *s = arg;
    mkt_srtp_stream_retire(s->receive);
}

enum mkt_rc
phone_stream_hear(struct phone_stream *s, const struct mkt_csb *csb, struct mkt_crypto *crypto,
                  struct mkt_err *err)
{
    struct mkt_srtp next;

    if (policy_of(&next, csb, s->hears, crypto, err) != MKT_OK)
        return err->rc;
    tmr_start(&s->retire, RETIRE_MS, retire, s);
    return mkt_srtp_stream_rekey(s->receive, &next, err);
}

enum mkt_rc
phone_stream_say(struct phone_stream *s, const struct mkt_csb *csb, struct mkt_crypto *crypto,
                 struct mkt_err *err)
{
    struct mkt_srtp next;

    if (policy_of(&next, csb, s->sends, crypto, err) != MKT_OK ||
        mkt_srtp_stream_rekey(s->send, &next, err) != MKT_OK)
        return err->rc;
    mkt_srtp_stream_retire(s->send);
    return MKT_OK;
}

struct phone_counts
phone_stream_counts(const struct phone_stream *s)
{
    struct phone_counts c = s->counts;
    uint64_t due = s->begun ? ((uint64_t)s->cycles << 16) + s->last_seq - s->first_seq + 1 : 0;

    c.lost = due > c.heard ? due - c.heard : 0;
    c.refused += s->media->strangers;
    return c;
}

struct audio
phone_stream_heard(const struct phone_stream *s)
{
    return s->heard;
}

/* --- the socket ------------------------------------------------------------------------------- */

int
phone_media_open(struct phone_media **out, const struct sa *ip, const struct audio *speech,
                 void (*played)(void *arg), void *arg)
{
    struct phone_media *m = mem_zalloc(sizeof *m, NULL);
    struct sa local = *ip;

    *out = m;
    if (m == NULL)
        return ENOMEM;
    m->speech = speech;
    m->played = played;
    m->arg = arg;
    list_init(&m->streams);
    sa_set_port(&local, 0);
    int err = udp_listen(&m->sock, &local, arrived, m);
    if (err == 0)
        err = udp_local_get(m->sock, &local);
    m->port = sa_port(&local);
    return err;
}

void
phone_media_close(struct phone_media *m)
{
    if (m == NULL)
        return;
    tmr_cancel(&m->tick);
    list_flush(&m->streams);
    mem_deref(m->sock);
    mem_deref(m);
}

uint16_t
phone_media_port(const struct phone_media *m)
{
    return m->port;
}
