/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of mikey-demo-media: audio files, session files, datagrams, and what is done with
 * them. Every function that fails says why on stderr; main only passes the verdict on. */
#ifndef MKT_DEMO_H
#define MKT_DEMO_H

#include "wav.h"

#include <mikeyticket/media/srtp.h>
#include <netinet/in.h>

#define DEMO_FRAME_OCTETS (2 * AUDIO_FRAME)
#define DEMO_SAMPLES_MAX (60 * 8000) /* one minute */
#define DEMO_DATAGRAM_MAX 65536

/* demo_fail prints "mikey-demo-media: ..." and returns false. */
bool demo_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* demo_audio reads a file of 16-bit samples, at most a minute. */
bool demo_audio(struct audio *a, const char *path);

/* --- session.c: the file of docs/formats/session-file.md ----------------------------------------
 */

struct demo_session {
    struct mkt_session cs; /* borrows from the arrays below: do not move */
    struct mkt_secret key, salt;
    uint8_t mki[MKT_SPI_MAX], params[255];
};

/* demo_session_read takes crypto session cs_id from a file that only its owner can read. */
bool demo_session_read(struct demo_session *s, const char *path, uint8_t cs_id);
void demo_session_wipe(struct demo_session *s);

/* demo_session_open makes the SRTP session and wipes the keys of s. NULL on failure. */
srtp_t demo_session_open(struct demo_session *s);

/* --- net.c: UDP on 127.0.0.1 -------------------------------------------------------------------
 */

/* demo_listen binds a free port and prints "listening PORT". Returns a descriptor or -1. */
int demo_listen(void);

/* demo_port reads a decimal port; 0 after saying what is wrong. */
uint16_t demo_port(const char *text);

struct sockaddr_in demo_loopback(uint16_t port);

/* demo_receive waits for a datagram, at most wait_ms. Returns its length, 0 when none came, -1 on
 * failure. from may be NULL. */
ssize_t demo_receive(int fd, uint8_t *buf, size_t cap, int wait_ms, struct sockaddr_in *from);

/* --- call.c, tap.c: the commands ----------------------------------------------------------------
 */

struct demo_options {
    const char *session, *audio, *compare, *save, *file;
    const char *to[8];
    size_t n_to;
    uint8_t cs_id;
};

bool demo_send(const struct demo_options *o);
bool demo_receive_call(const struct demo_options *o);
bool demo_listen_in(const struct demo_options *o);
bool demo_relay(const struct demo_options *o);
bool demo_replay(const struct demo_options *o);

#endif
