/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the KMS share: users who make real messages, and real daemons in a folder of
 * their own on ports that were free. */
#ifndef TESTS_KMS_RIG_H
#define TESTS_KMS_RIG_H

#include <sys/types.h>

#include <mikeyticket/initiator.h>
#include <mikeyticket/kms.h>
#include <mikeyticket/responder.h>

#define RIG_KMS "sip:kms@example.com"

/* A user with a key of its own. */
struct rig_user {
    const char *identity, *psk_id; /* psk_id NULL: IDRpsk is not sent */
    uint8_t prf, ts_type;
    unsigned omit;    /* enum mkt_omit */
    int64_t ahead_ms; /* of the clock that stamps its requests */
    struct mkt_inkey_mem psk;
    const struct mkt_pk_credential *pk; /* NULL: psk */
};

/* rig_user_init gives u a random key of the suite. */
void rig_user_init(struct rig_user *u, const char *identity, const char *psk_id, uint8_t prf);

/* rig_env is the library's world for a client: the clock now, `ahead_s` seconds later. */
struct mkt_env rig_env(int64_t ahead_s);

/* The last COUNTER that a rig_user sent. */
extern uint32_t rig_counter;

/* One message of a client and who made it, so that the answer can be read. */
struct rig_ask {
    struct mkt_initiator *initiator;
    struct mkt_responder *responder;
    size_t len;
    uint8_t octets[MKT_MSG_MAX];
};
void rig_ask_free(struct rig_ask *a);

/* rig_request makes a REQUEST_INIT_PSK of u for a ticket that `to` may resolve. */
void rig_request(struct rig_ask *a, const struct rig_user *u, const char *to, int64_t ahead_s);

/* rig_want makes the policy that rig_request asks for: `to` may resolve, an hour from now. */
void rig_want(struct mkt_policy *want, const struct rig_user *u, const char *to, int64_t ahead_s);

/* rig_request_want makes a REQUEST_INIT_PSK of u for another policy. */
void rig_request_want(struct rig_ask *a, const struct rig_user *u, const struct mkt_policy *want,
                      int64_t ahead_s);

/* rig_seal makes the V of a changed REQUEST_INIT_PSK or RESOLVE_INIT_PSK of u verify again. */
void rig_seal(struct rig_ask *a, const struct rig_user *u);

/* rig_granted reads the answer; NULL when it is not an acceptable REQUEST_RESP. io says why. */
struct mkt_grant *rig_granted(struct rig_ask *a, struct mkt_span answer, struct mkt_io *io);

/* rig_resolve makes, as u, a RESOLVE_INIT_PSK for an offer that `from` makes to `to` with grant. */
void rig_resolve(struct rig_ask *a, const struct rig_user *u, const struct rig_user *from,
                 const char *to, struct mkt_grant *grant);

/* rig_resolved reads the answer: true when it gives a Crypto Session Bundle. */
bool rig_resolved(struct rig_ask *a, struct mkt_span answer, struct mkt_io *io);

/* rig_error_no returns the Error no of a MIKEY Error message, or -1 when it is something else;
 * *authentic tells whether it carries a V. */
int rig_error_no(struct mkt_span answer, bool *authentic);

/* --- programs ----------------------------------------------------------------------------------
 */

struct rig {
    char dir[64];
    pid_t pid; /* of the daemon; 0: not running */
    int udp_port, http_port, admin_port;
    size_t file_limit; /* RLIMIT_FSIZE of programs; 0: none */
};

/* rig_open makes a folder with a configuration: the three options, and `more` lines of YAML. */
void rig_open(struct rig *r, const char *more);
/* rig_config writes such a configuration anew. */
void rig_config(const struct rig *r, const char *more);
/* rig_close stops the daemon if it runs and removes the folder. */
void rig_close(struct rig *r);

/* rig_write_octets makes a file of mode 0600 in the folder; rig_write one of text. rig_read reads
 * one into buf (cap octets, terminated). */
void rig_write_octets(const struct rig *r, const char *name, struct mkt_span octets);
void rig_write(const struct rig *r, const char *name, const char *text);
size_t rig_read(const struct rig *r, const char *name, char *buf, size_t cap);

/* rig_start starts the daemon and waits until it is ready; rig_stop sends SIGTERM and returns the
 * exit code (-1: it was killed). */
void rig_start(struct rig *r);
int rig_stop(struct rig *r);
/* rig_kill ends the daemon with SIGKILL. */
void rig_kill(struct rig *r);
bool rig_alive(const struct rig *r);

/* rig_run runs a program in the folder: words[0] is "mikey-kmsd" or "mikey-kmsctl", the last NULL.
 * stdin is the file "in" if there is one, stdout and stderr go to "out" and "err". Returns the exit
 * code, -1 when killed. */
int rig_run(const struct rig *r, const char *const *words);
#define RIG_RUN(r, ...) rig_run((r), (const char *const[]){ __VA_ARGS__, NULL })

/* rig_spawn starts a program so and does not wait; rig_reap does, and returns the exit code, -1
 * when it was killed. */
pid_t rig_spawn(const struct rig *r, const char *const *words);
int rig_reap(pid_t pid);

/* rig_add adds u to the store with mikey-kmsctl. */
void rig_add(const struct rig *r, const struct rig_user *u);

/* rig_add_two makes users sip:alice@example.com and sip:bob@example.com of suite 256 and adds them.
 */
void rig_add_two(const struct rig *r, struct rig_user *alice, struct rig_user *bob);

/* rig_crowd imports that many users, sip:user0@crowd.example.com and so on, each with a key. */
void rig_crowd(const struct rig *r, unsigned users);

/* rig_udp_socket makes a socket connected to the daemon. rig_udp_ask sends and waits at most ms
 * milliseconds for an answer; returns its octets, 0 for silence. */
int rig_udp_socket(const struct rig *r);
size_t rig_udp_ask(int fd, struct mkt_span in, uint8_t *out, int ms);

/* rig_http_connect opens a connection. rig_http_send writes all of it; false when the other end
 * closed. rig_http_read reads one response: the status (0: closed without one); the head goes to
 * head (4096 octets), the body to out. */
int rig_http_connect(const struct rig *r);
bool rig_http_send(int fd, const void *p, size_t n);
int rig_http_read(int fd, char *head, uint8_t *out, size_t *len);

/* rig_get asks the admin listener for a page; returns the status and the text, terminated (cap). */
int rig_get(const struct rig *r, const char *method, const char *path, char *text, size_t cap);

/* rig_http_post posts a body to /keymanagement?requesttype=kind and reads the response. */
int rig_http_post(int fd, const char *kind, struct mkt_span body, uint8_t *out, size_t *len);

/* rig_steady_us returns the time in microseconds of a clock that nobody puts back. rig_by_time
 * compares two such times, for qsort. */
int64_t rig_steady_us(void);
int rig_by_time(const void *a, const void *b);

/* rig_cpu_us returns the processor time the daemon has used, in microseconds. */
uint64_t rig_cpu_us(const struct rig *r);

#endif
