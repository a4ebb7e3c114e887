/* SPDX-License-Identifier: Apache-2.0 */
/* RTP by hand (RFC 3550, RFC 3551): a frame each 20 ms on a clock that does not drift. No RTCP. */
#include "media.h"

#include "format.h"
#include "hearing.h"

#include <stdlib.h>
#include <string.h>

#define RTP_HEADER 12
#define FRAME_MS 20
#define PACKET_MAX 2048 /* octets of a packet */
#define RETIRE_MS 5000  /* a former key lives on so long */

struct phone_media {
    struct udp_sock *sock;
    uint16_t port;
    const struct audio *speech;
    struct list streams;
    uint64_t strangers; /* packets of an SSRC that nobody has */
    struct tmr tick;
    uint64_t next_ms; /* when the next frame is due */
    size_t frame;     /* next one of the speech */
    struct phone_stream *talking;
    void (*played)(void *arg);
    void (*failed)(enum audio_side side, const char *why, void *arg);
    void *arg;
    const char *names[2];            /* of devices, by enum audio_side; NULL: none */
    struct audio_device *devices[2]; /* from the beginning of the call on */
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
    bool begun; /* a packet was heard */
    uint16_t first_seq, last_seq;
    uint32_t cycles;
    struct phone_codec codec;
    struct audio_coder *coder; /* of what we say */
    struct phone_hearing hearing;
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

static void
take(struct phone_stream *s, uint8_t *packet, int len)
{
    if (mkt_srtp_stream_unprotect(s->receive, packet, &len) != srtp_err_status_ok ||
        len <= RTP_HEADER || packet[0] != 0x80 || (packet[1] & 0x7f) != s->codec.hears) {
        s->counts.refused++;
        return;
    }
    const struct audio_packet speech = { (uint16_t)(packet[2] << 8 | packet[3]), get32(packet + 4),
                                         mkt_span(packet + RTP_HEADER, (size_t)len - RTP_HEADER) };
    count(s, speech.seq);
    s->begun = true;
    phone_hearing_packet(&s->hearing, &speech);
}

static void
arrived(const struct sa *from, struct mbuf *mb, void *arg)
{
    struct phone_media *m = arg;
    size_t n = mbuf_get_left(mb);

    (void)from; /* keys say who it is */
    for (struct le *le = m->streams.head; le != NULL; le = le->next) {
        struct phone_stream *s = le->data;
        if (n < RTP_HEADER || n > PACKET_MAX || get32(mbuf_buf(mb) + 8) != s->their_ssrc)
            continue;
        take(s, mbuf_buf(mb), (int)n);
        return;
    }
    m->strangers++;
}

/* --- talking ---------------------------------------------------------------------------------- */

/* One packet of the samples in frame, which may be fewer, or none: then there is silence. */
static void
say(struct phone_stream *s, enum audio_format format, struct mkt_span frame)
{
    enum audio_format form = s->codec.codec->format;
    uint8_t samples[2 * AUDIO_FRAME];
    struct mbuf *mb = mbuf_alloc(PACKET_MAX);

    if (mb == NULL)
        return;
    audio_silence(samples, form, AUDIO_FRAME);
    audio_convert(samples, form, frame.p, format, frame.n / audio_width(format));
    int len = (int)(RTP_HEADER + audio_encode(s->coder, samples, mb->buf + RTP_HEADER));
    mb->buf[0] = 0x80;
    mb->buf[1] = (uint8_t)(s->codec.says | (s->counts.sent == 0 ? 0x80 : 0));
    mb->buf[2] = (uint8_t)(s->seq >> 8);
    mb->buf[3] = (uint8_t)s->seq;
    put32(mb->buf + 4, s->timestamp);
    put32(mb->buf + 8, s->ssrc);
    s->seq++;
    s->timestamp += AUDIO_FRAME * (s->codec.codec->clock / AUDIO_RATE);
    if (mkt_srtp_stream_protect(s->send, mb->buf, &len) == srtp_err_status_ok) {
        mb->end = (size_t)len;
        if (udp_send(s->media->sock, &s->to, mb) == 0)
            s->counts.sent++;
    }
    mem_deref(mb);
}

/* --- sound cards ------------------------------------------------------------------------------ */

static void
fail(struct phone_media *m, enum audio_side side, const char *why)
{
    if (m->failed != NULL)
        m->failed(side, why, m->arg);
    m->failed = NULL;
}

static void
open_devices(struct phone_media *m)
{
    for (enum audio_side side = AUDIO_MIC; side <= AUDIO_SPEAKER; side++) {
        if (m->names[side] == NULL || m->devices[side] != NULL)
            continue;
        m->devices[side] = audio_device_open(side, m->names[side]);
        if (m->devices[side] == NULL)
            fail(m, side, "out of memory");
    }
}

static void
watch_devices(struct phone_media *m)
{
    for (enum audio_side side = AUDIO_MIC; side <= AUDIO_SPEAKER; side++) {
        const char *why = m->devices[side] != NULL ? audio_device_failed(m->devices[side]) : NULL;
        if (why != NULL)
            fail(m, side, why);
    }
}

static void
say_from_mic(struct phone_media *m)
{
    int16_t pcm[AUDIO_FRAME];
    uint8_t samples[2 * AUDIO_FRAME];
    size_t n = audio_device_hear(m->devices[AUDIO_MIC], pcm) ? AUDIO_FRAME : 0;

    audio_from_pcm(samples, AUDIO_L16, pcm, n);
    say(m->talking, AUDIO_L16, mkt_span(samples, 2 * n));
}

static void
tick(void *arg)
{
    struct phone_media *m = arg;
    struct mkt_span frame = audio_frame(m->speech, m->frame);
    bool last = frame.n > 0 && audio_frame(m->speech, m->frame + 1).n == 0;
    uint64_t now = tmr_jiffies();

    m->frame++;
    if (m->devices[AUDIO_MIC] != NULL)
        say_from_mic(m);
    else
        say(m->talking, m->speech->format, frame);
    watch_devices(m);
    m->next_ms += FRAME_MS;
    tmr_start(&m->tick, m->next_ms > now ? m->next_ms - now : 0, tick, m);
    if (last && m->played != NULL)
        m->played(m->arg);
}

void
phone_stream_start(struct phone_stream *s, const struct sa *to)
{
    struct phone_media *m = s->media;

    s->to = *to;
    m->talking = s;
    open_devices(m);
    s->hearing.speaker = m->devices[AUDIO_SPEAKER];
    m->next_ms = tmr_jiffies();
    tick(m);
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
    audio_coder_close(s->coder);
    phone_hearing_close(&s->hearing);
}

bool
phone_stream_speak(struct phone_stream *s, const struct phone_codec *codec)
{
    s->codec = *codec;
    audio_coder_close(s->coder);
    phone_hearing_close(&s->hearing);
    return audio_coder_open(&s->coder, codec->codec, true) &&
           phone_hearing_open(&s->hearing, codec->codec);
}

static bool
speak_first(struct phone_stream *s)
{
    const struct audio_codec *list[AUDIO_CODECS_MAX];
    return audio_codec_list(list, "PCMU") == 1 &&
           phone_stream_speak(s, &(struct phone_codec){ list[0], 0, 0 });
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

static enum mkt_rc
open_one(struct mkt_srtp_stream **out, uint32_t *ssrc, const struct mkt_csb *csb, uint8_t cs_id,
         struct mkt_crypto *crypto, struct mkt_err *err)
{
    struct mkt_srtp policy;

    if (policy_of(&policy, csb, cs_id, crypto, err) != MKT_OK)
        return err->rc;
    *ssrc = policy.policy.ssrc.value;
    return mkt_srtp_stream_new(out, &policy, err);
}

enum mkt_rc
phone_stream_open(struct phone_stream **out, struct phone_media *m, const struct mkt_csb *csb,
                  uint8_t sends, uint8_t hears, struct mkt_crypto *crypto, struct mkt_err *err)
{
    struct phone_stream *s = mem_zalloc(sizeof *s, stream_destroy);

    *out = NULL;
    if (s == NULL || !speak_first(s)) {
        mem_deref(s);
        return mkt_fail(err, MKT_E_MEMORY, 0, "stream", "RFC 3711 3");
    }
    s->media = m;
    s->sends = sends;
    s->hears = hears;
    s->seq = rand_u16() & 0x7fff;
    s->timestamp = rand_u32();
    if (open_one(&s->send, &s->ssrc, csb, sends, crypto, err) != MKT_OK ||
        open_one(&s->receive, &s->their_ssrc, csb, hears, crypto, err) != MKT_OK) {
        mem_deref(s);
        return err->rc;
    }
    list_append(&m->streams, &s->le, s);
    *out = s;
    return MKT_OK;
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
    c.refused += s->media->strangers + s->hearing.broken;
    return c;
}

struct audio
phone_stream_heard(struct phone_stream *s)
{
    phone_hearing_end(&s->hearing);
    return s->hearing.heard;
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
phone_media_devices(struct phone_media *m, const char *mic, const char *speaker,
                    void (*failed)(enum audio_side side, const char *why, void *arg))
{
    m->names[AUDIO_MIC] = mic;
    m->names[AUDIO_SPEAKER] = speaker;
    m->failed = failed;
}

void
phone_media_close(struct phone_media *m)
{
    if (m == NULL)
        return;
    tmr_cancel(&m->tick);
    list_flush(&m->streams);
    audio_device_close(m->devices[AUDIO_MIC]);
    audio_device_close(m->devices[AUDIO_SPEAKER]);
    mem_deref(m->sock);
    mem_deref(m);
}

uint16_t
phone_media_port(const struct phone_media *m)
{
    return m->port;
}
