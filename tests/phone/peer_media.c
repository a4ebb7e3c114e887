/* SPDX-License-Identifier: Apache-2.0 */
/* See peer_media.h. Frames are put where their timestamp says. */
#include "peer_media.h"

#include <mikeyticket/media/srtp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEADER 12
#define FRAME 160 /* octets, 20 ms */
#define FRAME_MS 20
#define PACKET_MAX 2048
#define SILENCE 0xff

struct peer_media {
    int fd;
    uint16_t port;
    const struct audio *speech;
    srtp_t send, receive;
    uint32_t ssrc;
    pthread_t thread;
    bool running;
    atomic_bool stop, played;
    struct peer_counts n;
    uint32_t first; /* timestamp of the first packet heard */
    struct audio heard;
};

struct peer_media *
peer_media_open(const struct audio *speech)
{
    struct peer_media *m = calloc(1, sizeof *m);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;

    if (m == NULL)
        return NULL;
    m->speech = speech;
    m->heard = (struct audio){ AUDIO_PCMU, 0, malloc(AUDIO_SAMPLES_MAX) };
    m->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (m->heard.octets != NULL && m->fd >= 0 && bind(m->fd, (struct sockaddr *)&at, len) == 0 &&
        getsockname(m->fd, (struct sockaddr *)&at, &len) == 0) {
        m->port = ntohs(at.sin_port);
        memset(m->heard.octets, SILENCE, AUDIO_SAMPLES_MAX);
        return m;
    }
    peer_media_close(m);
    return NULL;
}

uint16_t
peer_media_port(const struct peer_media *m)
{
    return m->port;
}

/* --- packets ---------------------------------------------------------------------------------- */

static void
put(uint8_t *p, uint32_t v, unsigned octets)
{
    for (unsigned i = 0; i < octets; i++)
        p[i] = (uint8_t)(v >> 8 * (octets - 1 - i));
}

static void
say(struct peer_media *m)
{
    uint8_t packet[PACKET_MAX] = { 0x80, 0 };
    struct mkt_span frame = audio_frame(m->speech, m->n.sent);
    int len = HEADER + FRAME;

    put(packet + 2, m->n.sent, 2);
    put(packet + 4, m->n.sent * FRAME, 4);
    put(packet + 8, m->ssrc, 4);
    memset(packet + HEADER, SILENCE, FRAME);
    if (frame.n > 0)
        memcpy(packet + HEADER, frame.p, frame.n);
    else
        m->played = true;
    if (srtp_protect_mki(m->send, packet, &len, 1, 0) == srtp_err_status_ok)
        (void)!send(m->fd, packet, (size_t)len, 0);
    m->n.sent++;
}

static void
hear(struct peer_media *m)
{
    uint8_t packet[PACKET_MAX];
    int len = (int)recv(m->fd, packet, sizeof packet, MSG_DONTWAIT);

    if (len < 0)
        return;
    if (srtp_unprotect_mki(m->receive, packet, &len, 1) != srtp_err_status_ok || len <= HEADER) {
        m->n.refused++;
        return;
    }
    uint32_t at = (uint32_t)packet[4] << 24 | (uint32_t)packet[5] << 16 | (uint32_t)packet[6] << 8 |
                  packet[7];
    size_t n = (size_t)len - HEADER;
    if (m->n.heard++ == 0)
        m->first = at;
    at -= m->first;
    if (at + n > AUDIO_SAMPLES_MAX)
        return;
    memcpy(m->heard.octets + at, packet + HEADER, n);
    if (at + n > m->heard.n)
        m->heard.n = at + n;
}

static int64_t
now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *
talk(void *arg)
{
    struct peer_media *m = arg;
    struct pollfd p = { .fd = m->fd, .events = POLLIN };
    int64_t next = now_ms();

    while (!m->stop) {
        int64_t left = next - now_ms();
        if (left <= 0) {
            say(m);
            next += FRAME_MS;
        } else if (poll(&p, 1, (int)left) > 0) {
            hear(m);
        }
    }
    return NULL;
}

/* --- keys ------------------------------------------------------------------------------------- */

static bool
open_session(srtp_t *out, const struct mkt_csb *csb, uint8_t cs_id, uint32_t *ssrc,
             struct mkt_crypto *crypto)
{
    struct mkt_session s;
    struct mkt_srtp policy;
    struct mkt_err err = { 0 };

    for (size_t i = 0; mkt_csb_session(csb, i, &s) == MKT_OK; i++) {
        if (s.cs_id != cs_id)
            continue;
        *ssrc = s.ssrc;
        return mkt_srtp_policy(&policy, csb, crypto, i, &err) == MKT_OK &&
               mkt_srtp_create(out, &policy, &err) == MKT_OK;
    }
    return false;
}

bool
peer_media_start(struct peer_media *m, const struct mkt_csb *csb, uint8_t sends, uint8_t hears,
                 const struct sockaddr_in *to, struct mkt_crypto *crypto)
{
    uint32_t theirs;

    m->running = open_session(&m->send, csb, sends, &m->ssrc, crypto) &&
                 open_session(&m->receive, csb, hears, &theirs, crypto) &&
                 connect(m->fd, (const struct sockaddr *)to, sizeof *to) == 0 &&
                 pthread_create(&m->thread, NULL, talk, m) == 0;
    return m->running;
}

bool
peer_media_played(const struct peer_media *m)
{
    return m->played;
}

struct peer_counts
peer_media_stop(struct peer_media *m, struct audio *heard)
{
    m->stop = true;
    if (m->running)
        pthread_join(m->thread, NULL);
    m->running = false;
    *heard = m->heard;
    return m->n;
}

void
peer_media_close(struct peer_media *m)
{
    struct audio heard;

    if (m == NULL)
        return;
    peer_media_stop(m, &heard);
    if (m->send != NULL)
        srtp_dealloc(m->send);
    if (m->receive != NULL)
        srtp_dealloc(m->receive);
    if (m->fd >= 0)
        close(m->fd);
    audio_free(&m->heard);
    free(m);
}
