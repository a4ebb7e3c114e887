/* SPDX-License-Identifier: Apache-2.0 */
/* RTP by hand (RFC 3550, RFC 3551): a frame each 20 ms on a clock that does not drift. RTCP goes
 * over the same port, under the same keys, or not at all. */
#include "media.h"

#include "clock.h"
#include "format.h"
#include "hearing.h"
#include "reports.h"
#include "rtp.h"
#include "session_policy.h"

#include <string.h>

#define RETIRE_MS 5000 /* a former key lives on so long */
#define REPORT_MS 5000 /* between reports, about (RFC 3550 6.2) */

struct phone_media {
    struct udp_sock *sock;
    uint16_t port;
    const struct audio *speech, *saying; /* of the call, and now */
    struct list streams;
    uint64_t strangers; /* packets of an SSRC that nobody has */
    struct tmr tick, report;
    uint64_t next_ms; /* when the next frame is due */
    size_t frame;     /* next one of what is said */
    struct phone_stream *talking;
    bool paused;
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
    uint32_t timestamp;
    uint16_t seq;
    struct sa to;
    bool any; /* nobody has said what their SSRC is, and none was heard */
    uint64_t refused;
    struct phone_reports reports;
    struct phone_agreed agreed;
    struct audio_coder *coder; /* of what we say */
    struct phone_hearing hearing;
};

/* --- hearing ---------------------------------------------------------------------------------- */

/* A packet that is authentic. */
static void
hear(struct phone_stream *s, const uint8_t *packet, int len)
{
    if (len <= RTP_HEADER || packet[0] != 0x80 || (packet[1] & 0x7f) != s->agreed.hears) {
        s->refused++;
        return;
    }
    const struct audio_packet speech = { rtp_seq(packet), rtp_timestamp(packet),
                                         mkt_span(packet + RTP_HEADER, (size_t)len - RTP_HEADER) };
    phone_reports_heard(&s->reports, speech.seq, speech.timestamp, tmr_jiffies());
    phone_hearing_packet(&s->hearing, &speech);
}

static void
take_report(struct phone_stream *s, uint8_t *packet, int len)
{
    if (!s->agreed.reports ||
        mkt_srtp_stream_unprotect_rtcp(s->receive, packet, &len) != srtp_err_status_ok ||
        !phone_reports_read(&s->reports, mkt_span(packet, (size_t)len), cli_clock_ntp(),
                            tmr_jiffies()))
        s->refused++;
}

/* RTCP and RTP on one port: RFC 5761 4. */
static bool
is_report(const uint8_t *packet)
{
    return packet[1] >= 192 && packet[1] <= 223;
}

static void
take(struct phone_stream *s, uint8_t *packet, int len)
{
    if (mkt_srtp_stream_unprotect(s->receive, packet, &len) == srtp_err_status_ok)
        hear(s, packet, len);
    else
        s->refused++;
}

/* Whose key a packet has that nobody has announced. A failed attempt may change what it looks at.
 */
static bool
take_first(struct phone_stream *s, const uint8_t *packet, size_t n)
{
    uint8_t copy[RTP_MAX];
    int len = (int)n;

    memcpy(copy, packet, n);
    if (mkt_srtp_stream_unprotect(s->receive, copy, &len) != srtp_err_status_ok)
        return false;
    s->any = false;
    s->reports.their_ssrc = rtp_ssrc(packet);
    hear(s, copy, len);
    return true;
}

/* False: it is none of theirs. A report before all speech is nobody's yet. */
static bool
is_taken(struct phone_stream *s, uint8_t *packet, size_t n)
{
    bool reports = is_report(packet);

    if (s->any)
        return !reports && take_first(s, packet, n);
    if (rtp_word(packet + (reports ? 4 : 8)) != s->reports.their_ssrc)
        return false;
    (reports ? take_report : take)(s, packet, (int)n);
    return true;
}

static void
arrived(const struct sa *from, struct mbuf *mb, void *arg)
{
    struct phone_media *m = arg;
    uint8_t *packet = mbuf_buf(mb);
    size_t n = mbuf_get_left(mb);

    (void)from; /* keys say who it is */
    for (struct le *le = m->streams.head; n >= RTP_HEADER && n <= RTP_MAX && le != NULL;
         le = le->next)
        if (is_taken(le->data, packet, n))
            return;
    m->strangers++;
}

/* --- talking ---------------------------------------------------------------------------------- */

/* One packet of the samples in frame, which may be fewer, or none: then there is silence. */
static void
say(struct phone_stream *s, enum audio_format format, struct mkt_span frame)
{
    enum audio_format form = s->agreed.codec->format;
    uint8_t samples[2 * AUDIO_FRAME];
    struct mbuf *mb = mbuf_alloc(RTP_MAX);

    if (mb == NULL)
        return;
    audio_silence(samples, form, AUDIO_FRAME);
    audio_convert(samples, form, frame.p, format, frame.n / audio_width(format));
    size_t n = audio_encode(s->coder, samples, mb->buf + RTP_HEADER);
    int len = (int)(RTP_HEADER + n);
    rtp_header(mb->buf, s->agreed.says, s->reports.sent == 0, s->seq, s->timestamp,
               s->reports.ssrc);
    s->reports.timestamp = s->timestamp;
    s->seq++;
    s->timestamp += AUDIO_FRAME * (s->agreed.codec->clock / AUDIO_RATE);
    if (n > 0 && mkt_srtp_stream_protect(s->send, mb->buf, &len) == srtp_err_status_ok) {
        mb->end = (size_t)len;
        if (udp_send(s->media->sock, &s->to, mb) == 0) {
            s->reports.sent++;
            s->reports.octets += n;
        }
    }
    mem_deref(mb);
}

/* --- reports ---------------------------------------------------------------------------------- */

static void
send_report(struct phone_stream *s, bool bye)
{
    struct mbuf *mb = mbuf_alloc(RTP_MAX);
    bool ok =
        mb != NULL && phone_reports_write(&s->reports, mb, bye, cli_clock_ntp(), tmr_jiffies());
    int len = ok ? (int)mb->end : 0;

    if (ok && mkt_srtp_stream_protect_rtcp(s->send, mb->buf, &len) == srtp_err_status_ok) {
        mb->pos = 0;
        mb->end = (size_t)len;
        (void)udp_send(s->media->sock, &s->to, mb);
    }
    mem_deref(mb);
}

static void report(void *arg);

/* RFC 3550 6.3.1: half to one and a half times the interval, so that not all speak at once. */
static void
wait_to_report(struct phone_media *m, uint32_t interval_ms)
{
    uint64_t ms = (interval_ms / 2 + rand_u32() % interval_ms) * 100000ULL / 121828;
    tmr_start(&m->report, ms, report, m);
}

static void
report(void *arg)
{
    struct phone_media *m = arg;

    send_report(m->talking, false);
    wait_to_report(m, REPORT_MS);
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
    struct mkt_span frame = audio_frame(m->saying, m->frame);
    bool last = frame.n > 0 && audio_frame(m->saying, m->frame + 1).n == 0;
    uint64_t now = tmr_jiffies();

    if (m->paused) {
        rest(m, now);
        return;
    }
    m->frame++;
    if (m->devices[AUDIO_MIC] != NULL)
        say_from_mic(m);
    else
        say(m->talking, m->saying->format, frame);
    watch_devices(m);
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
    if (s->agreed.reports)
        wait_to_report(m, REPORT_MS / 2);
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
    open_devices(s->media);
    s->hearing.speaker = s->media->devices[AUDIO_SPEAKER];
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
    audio_coder_close(s->coder);
    phone_hearing_close(&s->hearing);
}

bool
phone_stream_speak(struct phone_stream *s, const struct phone_agreed *agreed)
{
    const struct audio_codec *codec = agreed->codec;

    s->agreed = *agreed;
    s->reports.clock = codec->clock;
    audio_coder_close(s->coder);
    phone_hearing_close(&s->hearing);
    return audio_coder_open(&s->coder, codec, true) && phone_hearing_open(&s->hearing, codec);
}

static bool
speak_first(struct phone_stream *s)
{
    const struct audio_codec *list[AUDIO_CODECS_MAX];
    return audio_codec_list(list, "PCMU") == 1 &&
           phone_stream_speak(s, &(struct phone_agreed){ .codec = list[0] });
}

/* Takes both policies. NULL: err says why. */
static struct phone_stream *
open_stream(struct phone_media *m, struct mkt_srtp *send, struct mkt_srtp *receive,
            struct mkt_err *err)
{
    struct phone_stream *s = mem_zalloc(sizeof *s, stream_destroy);

    if (s == NULL || !speak_first(s)) {
        mkt_fail(err, MKT_E_MEMORY, 0, "stream", "RFC 3711 3");
        return mem_deref(s);
    }
    s->media = m;
    s->seq = rand_u16() & 0x7fff;
    s->timestamp = rand_u32();
    rand_str(s->reports.cname, sizeof s->reports.cname);
    s->reports.ssrc = send->policy.ssrc.value;
    s->reports.their_ssrc = receive->policy.ssrc.value;
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

    if (session_policy(&send, csb, sends, crypto, err) == MKT_OK &&
        session_policy(&receive, csb, hears, crypto, err) == MKT_OK)
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

    if (session_policy(&next, csb, s->hears, crypto, err) != MKT_OK)
        return err->rc;
    tmr_start(&s->retire, RETIRE_MS, retire, s);
    return mkt_srtp_stream_rekey(s->receive, &next, err);
}

enum mkt_rc
phone_stream_say(struct phone_stream *s, const struct mkt_csb *csb, struct mkt_crypto *crypto,
                 struct mkt_err *err)
{
    struct mkt_srtp next;

    if (session_policy(&next, csb, s->sends, crypto, err) != MKT_OK ||
        mkt_srtp_stream_rekey(s->send, &next, err) != MKT_OK)
        return err->rc;
    mkt_srtp_stream_retire(s->send);
    return MKT_OK;
}

struct phone_counts
phone_stream_counts(const struct phone_stream *s)
{
    return (struct phone_counts){ .sent = s->reports.sent,
                                  .heard = s->reports.heard,
                                  .lost = phone_reports_lost(&s->reports),
                                  .refused = s->refused + s->media->strangers + s->hearing.broken };
}

struct phone_reported
phone_stream_reported(const struct phone_stream *s)
{
    return s->reports.reported;
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
    tmr_cancel(&m->report);
    if (m->talking != NULL && m->talking->agreed.reports)
        send_report(m->talking, true);
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
