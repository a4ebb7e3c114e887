/* SPDX-License-Identifier: Apache-2.0 */
/* A one-way call: speech as RTP (L16, 8 kHz, RFC 3551), protected by libsrtp2 with the keys of a
 * session file. The sender gives each packet to every port it is told, as a network that is tapped
 * does: all receivers see the same octets, and only keys make a difference. The call ends with an
 * RTCP BYE, which is believed only when it is authentic. */
#include "demo.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RTP_HEADER 12
#define RTCP_BYE 203
#define PAYLOAD_TYPE 96 /* dynamic, L16/8000/1 */
#define PACE_NS 1000000 /* a frame of 20 ms each millisecond */
#define FIRST_MS 10000
#define IDLE_MS 1000

/* libsrtp2 wants packets on a 32-bit boundary. */
struct packet {
    int len;
    _Alignas(uint32_t) uint8_t b[RTP_HEADER + DEMO_FRAME_OCTETS + SRTP_MAX_TRAILER_LEN + 4];
};

/* One end of the call; srtp is NULL for plain RTP. */
struct end {
    srtp_t srtp;
    bool mki;
    uint32_t ssrc;
    uint16_t first_seq;
};

bool
demo_audio(struct audio *a, const char *path)
{
    const char *why = audio_read(a, path);

    if (why == NULL && a->format == AUDIO_L16 && a->n <= DEMO_SAMPLES_MAX)
        return true;
    audio_free(a);
    return demo_fail("%s: %s", path, why != NULL ? why : "not of 16-bit samples, 60 s at most");
}

static bool
end_open(struct end *e, const struct demo_options *o)
{
    __attribute__((cleanup(demo_session_wipe))) struct demo_session s;

    *e = (struct end){ .ssrc = 1 };
    memset(&s, 0, sizeof s);
    if (o->session == NULL)
        return true;
    if (!demo_session_read(&s, o->session, o->cs_id))
        return false;
    e->mki = s.cs.spi.n != 0;
    e->ssrc = s.cs.ssrc;
    e->first_seq = s.cs.seq;
    e->srtp = demo_session_open(&s);
    return e->srtp != NULL;
}

static void
put32(uint8_t *p, uint32_t v)
{
    v = htonl(v);
    memcpy(p, &v, sizeof v);
}

static bool
rtp_make(struct packet *p, const struct end *e, size_t index, struct mkt_span frame)
{
    uint16_t seq = (uint16_t)(e->first_seq + index);

    *p = (struct packet){ .len = (int)(RTP_HEADER + frame.n) };
    p->b[0] = 0x80; /* version 2 */
    p->b[1] = (uint8_t)(PAYLOAD_TYPE | (index == 0 ? 0x80 : 0));
    p->b[2] = (uint8_t)(seq >> 8);
    p->b[3] = (uint8_t)seq;
    put32(p->b + 4, (uint32_t)(index * AUDIO_FRAME));
    put32(p->b + 8, e->ssrc);
    memcpy(p->b + RTP_HEADER, frame.p, frame.n);
    return e->srtp == NULL ||
           srtp_protect_mki(e->srtp, p->b, &p->len, e->mki, 0) == srtp_err_status_ok;
}

static bool
bye_make(struct packet *p, const struct end *e)
{
    *p = (struct packet){ .len = 8, .b = { 0x81, RTCP_BYE, 0, 1 } };
    put32(p->b + 4, e->ssrc);
    return e->srtp == NULL ||
           srtp_protect_rtcp_mki(e->srtp, p->b, &p->len, e->mki, 0) == srtp_err_status_ok;
}

static bool
give_to_all(int fd, const struct packet *p, const struct demo_options *o)
{
    for (size_t i = 0; i < o->n_to; i++) {
        struct sockaddr_in to = demo_loopback(demo_port(o->to[i]));
        if (to.sin_port == 0 ||
            sendto(fd, p->b, (size_t)p->len, 0, (struct sockaddr *)&to, sizeof to) != p->len)
            return demo_fail("a packet could not be sent to port %s", o->to[i]);
    }
    return true;
}

static bool
send_all(int fd, const struct end *e, const struct audio *speech, const struct demo_options *o)
{
    const struct timespec pace = { 0, PACE_NS };
    struct packet p;
    size_t octets = 0, n = 0;

    for (struct mkt_span f; (f = audio_frame(speech, n)).n != 0; n++) {
        if (!rtp_make(&p, e, n, f))
            return demo_fail("libsrtp2 does not protect packet %zu", n);
        if (!give_to_all(fd, &p, o))
            return false;
        octets += (size_t)p.len;
        nanosleep(&pace, NULL);
    }
    if (!bye_make(&p, e) || !give_to_all(fd, &p, o))
        return demo_fail("the BYE could not be sent");
    printf("packets=%zu octets=%zu\n", n, octets);
    return true;
}

bool
demo_send(const struct demo_options *o)
{
    struct audio speech = { 0 };
    struct end e;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = demo_audio(&speech, o->audio) && end_open(&e, o);

    if (ok) {
        ok = send_all(fd, &e, &speech, o);
        if (e.srtp != NULL)
            srtp_dealloc(e.srtp);
    }
    audio_free(&speech);
    close(fd);
    return ok;
}

/* What a receiver counts. */
struct heard {
    size_t packets, opened, refused, octets;
    size_t end; /* samples up to the last frame */
    bool bye;   /* the call was ended by the other party */
    struct audio audio;
};

static void
take_rtcp(struct heard *h, const struct end *e, struct packet *p)
{
    h->bye = srtp_unprotect_rtcp_mki(e->srtp, p->b, &p->len, e->mki) == srtp_err_status_ok &&
             p->b[1] == RTCP_BYE;
}

static void
take_rtp(struct heard *h, const struct end *e, struct packet *p)
{
    h->packets++;
    if (srtp_unprotect_mki(e->srtp, p->b, &p->len, e->mki) != srtp_err_status_ok ||
        p->len <= RTP_HEADER) {
        h->refused++;
        return;
    }
    size_t n = (size_t)p->len - RTP_HEADER;
    uint16_t index = (uint16_t)((p->b[2] << 8 | p->b[3]) - e->first_seq);
    size_t at = (size_t)index * DEMO_FRAME_OCTETS;
    h->opened++;
    h->octets += n;
    if (n % 2 != 0 || at + n > 2 * DEMO_SAMPLES_MAX)
        return; /* authentic, but no speech of this demonstration */
    memcpy(h->audio.octets + at, p->b + RTP_HEADER, n);
    if ((at + n) / 2 > h->audio.n)
        h->audio.n = (at + n) / 2;
}

static bool
hear(struct heard *h, const struct end *e, int fd)
{
    struct packet p;

    while (!h->bye) {
        int wait_ms = h->packets == 0 ? FIRST_MS : IDLE_MS;
        ssize_t n = demo_receive(fd, p.b, sizeof p.b, wait_ms, NULL);
        if (n <= 0)
            return n == 0 || demo_fail("the socket failed");
        p.len = (int)n;
        bool rtcp = n >= 8 && p.b[1] >= 200 && p.b[1] <= 207; /* RFC 5761 4 */
        (rtcp ? take_rtcp : take_rtp)(h, e, &p);
    }
    return true;
}

bool
demo_receive_call(const struct demo_options *o)
{
    struct heard h = { .audio = { AUDIO_L16, 0, calloc(DEMO_SAMPLES_MAX, 2) } };
    struct end e = { 0 };
    bool ok = h.audio.octets != NULL && end_open(&e, o) && e.srtp != NULL;
    int fd = ok ? demo_listen() : -1;

    ok = fd >= 0 && hear(&h, &e, fd);
    if (ok && h.opened != 0)
        ok =
            audio_write(&h.audio, o->audio) == NULL || demo_fail("%s: cannot be written", o->audio);
    if (ok)
        printf("packets=%zu opened=%zu refused=%zu octets=%zu bye=%s\n", h.packets, h.opened,
               h.refused, h.octets, h.bye ? "authentic" : "none");
    if (fd >= 0)
        close(fd);
    if (e.srtp != NULL)
        srtp_dealloc(e.srtp);
    audio_free(&h.audio);
    return ok;
}
