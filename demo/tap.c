/* SPDX-License-Identifier: Apache-2.0 */
/* Those who are not invited. The listener has no keys: it compares what lies in the packets with
 * the speech itself, and guesses keys. The relay stands between a client and the KMS, passes
 * datagrams on and keeps copies; replay sends such a copy again, from elsewhere. */
#include "demo.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RTP_HEADER 12
#define TRAILER                                                                      \
    (4 + 10) /* what a listener must assume: an MKI of 4 octets and a tag of 80 bits \
              */
#define RTCP_BYE 203
#define FIRST_MS 10000
#define IDLE_MS 1000
#define ANSWER_MS 500

struct tapped {
    size_t packets, frames_equal, octets, octets_equal, guesses, guessed;
};

/* Opens the packet with a random key: everything but the key is in the open. */
static bool
guess(const uint8_t *b, int len)
{
    uint32_t align[(RTP_HEADER + DEMO_FRAME_OCTETS + SRTP_MAX_TRAILER_LEN) / 4 + 1];
    struct mkt_secret key = { .n = 16 }, salt = { .n = 14 };
    struct mkt_session cs = { .prot_type = MKT_PROT_SRTP, .has_ssrc = true };
    struct mkt_srtp policy;
    struct mkt_err err = { 0 };
    srtp_t srtp;

    if (len < RTP_HEADER + TRAILER || len > (int)sizeof align ||
        !mkt_crypto_random(NULL, key.b, key.n) || !mkt_crypto_random(NULL, salt.b, salt.n))
        return false;
    for (unsigned i = 8; i < 12; i++)
        cs.ssrc = cs.ssrc << 8 | b[i];
    cs.spi = mkt_span(b + len - TRAILER, 4);
    if (mkt_srtp_policy_from(&policy, &cs, &key, &salt, &err) != MKT_OK ||
        mkt_srtp_create(&srtp, &policy, &err) != MKT_OK)
        return false;
    memcpy(align, b, (size_t)len);
    bool opened = srtp_unprotect_mki(srtp, align, &len, 1) == srtp_err_status_ok;
    srtp_dealloc(srtp);
    return opened;
}

static void
compare(struct tapped *t, struct mkt_span payload, struct mkt_span plain)
{
    size_t equal = 0, n = payload.n < plain.n ? payload.n : plain.n;

    for (size_t i = 0; i < n; i++)
        equal += payload.p[i] == plain.p[i];
    t->octets += n;
    t->octets_equal += equal;
    t->frames_equal += n != 0 && equal == plain.n;
}

bool
demo_listen_in(const struct demo_options *o)
{
    static uint8_t b[DEMO_DATAGRAM_MAX];
    struct audio plain;
    struct tapped t = { 0 };
    int first = -1, fd = demo_audio(&plain, o->compare) ? demo_listen() : -1;

    for (ssize_t n; fd >= 0;) {
        n = demo_receive(fd, b, sizeof b, t.packets == 0 ? FIRST_MS : IDLE_MS, NULL);
        /* The header of SRTCP is in the open: a listener sees that the call ends. */
        if (n <= 0 || (n >= 8 && b[1] == RTCP_BYE))
            break;
        if (n < RTP_HEADER)
            continue;
        int seq = b[2] << 8 | b[3];
        if (first < 0)
            first = seq;
        t.packets++;
        compare(&t, mkt_span(b + RTP_HEADER, (size_t)n - RTP_HEADER),
                audio_frame(&plain, (uint16_t)(seq - first)));
        t.guesses++;
        t.guessed += guess(b, (int)n);
    }
    if (fd >= 0)
        printf("packets=%zu frames_equal=%zu octets=%zu octets_equal=%zu guesses=%zu guessed=%zu\n",
               t.packets, t.frames_equal, t.octets, t.octets_equal, t.guesses, t.guessed);
    audio_free(&plain);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool
keep(const char *path, const uint8_t *b, size_t n)
{
    FILE *f = fopen(path, "wb");
    bool ok = f != NULL && fwrite(b, 1, n, f) == n;

    if (f != NULL && fclose(f) != 0)
        ok = false;
    return ok || demo_fail("%s: cannot be written", path);
}

/* Passes one datagram on and keeps a copy of it as SAVE/NAME. */
static bool
pass(int in, int out, struct sockaddr_in *from, const struct sockaddr_in *to, const char *save,
     const char *name)
{
    static uint8_t b[DEMO_DATAGRAM_MAX];
    char path[4096];
    ssize_t n = demo_receive(in, b, sizeof b, 0, from);

    if (n <= 0)
        return n == 0 || errno == ECONNREFUSED || demo_fail("the relay's socket failed");
    snprintf(path, sizeof path, "%s/%s", save, name);
    if (!keep(path, b, (size_t)n))
        return false;
    if (sendto(out, b, (size_t)n, 0, (const struct sockaddr *)to, sizeof *to) != n)
        return demo_fail("the relay cannot send: %s", strerror(errno));
    return true;
}

static int64_t
now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Runs until it is killed. The last datagrams are SAVE/from-client and SAVE/from-kms; a line tells
 * the time between them. */
bool
demo_relay(const struct demo_options *o)
{
    struct sockaddr_in client = { 0 }, kms = demo_loopback(demo_port(o->to[0])), ignored;
    int near = demo_listen(), far = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int64_t asked = 0;

    for (bool ok = near >= 0 && far >= 0 && kms.sin_port != 0; ok;) {
        struct pollfd p[] = { { .fd = near, .events = POLLIN }, { .fd = far, .events = POLLIN } };
        ok = poll(p, 2, -1) > 0;
        if (ok && p[0].revents != 0) {
            asked = now_us();
            ok = pass(near, far, &client, &kms, o->save, "from-client");
        }
        if (ok && p[1].revents != 0) {
            printf("us=%lld\n", (long long)(now_us() - asked));
            fflush(stdout);
            ok = pass(far, near, &ignored, &client, o->save, "from-kms");
        }
    }
    return false;
}

/* Sends the file as one datagram from a new port, and keeps the answer if there is one. */
bool
demo_replay(const struct demo_options *o)
{
    static uint8_t b[DEMO_DATAGRAM_MAX];
    struct sockaddr_in kms = demo_loopback(demo_port(o->to[0]));
    FILE *f = fopen(o->file, "rb");
    size_t n = f != NULL ? fread(b, 1, sizeof b, f) : 0;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = n != 0 && kms.sin_port != 0;

    if (f != NULL)
        fclose(f);
    if (!ok)
        demo_fail("%s: cannot be sent", o->file);
    ok = ok && sendto(fd, b, n, 0, (struct sockaddr *)&kms, sizeof kms) == (ssize_t)n;
    if (ok) {
        ssize_t got = demo_receive(fd, b, sizeof b, ANSWER_MS, NULL);
        ok = got <= 0 || keep(o->save, b, (size_t)got);
        printf("sent=%zu answer=%zd type=%d\n", n, got, got > 1 ? b[1] : -1);
    }
    close(fd);
    return ok;
}
