/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon under load: CPU time of the server process for each request, against bare servers
 * that give an answer of the same size. A store of 1000 users, the configuration at its defaults.
 * All messages are made before the clock starts and are sent once: no answer comes out of the
 * retransmission table. */
#include "bench.h"

#include "load.h"
#include "servers.h"
#include "tpk.h"
#include "world.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define USERS 1000
#define RUNS 5
#define REQUESTS 10000 /* in each run */

struct user {
    char identity[40], psk_id[24];
    struct mkt_inkey_mem psk;
};

/* How the keys stand in the store, and where they are opened. */
enum form { CLEAR, SEALED, VAULT };

struct bed {
    uint8_t prf;
    enum form form;
    struct mkt_env env;
    struct user *users;
    struct load load;
    char dir[PATH_MAX], program[PATH_MAX];
    struct sockaddr_in udp, http, echo, fixed;
    pid_t daemon, echo_pid, fixed_pid;
    uint8_t answer[MKT_MSG_MAX]; /* what the bare servers say */
    size_t answer_len;
};

static bool
failed(const char *what)
{
    fprintf(stderr, "mkt-bench: %s\n", what);
    return false;
}

/* --- store and messages ------------------------------------------------------------------------
 */

static bool
make_users(struct bed *b)
{
    size_t len = mkt_suite_of(b->prf)->key_len;
    b->users = calloc(USERS, sizeof *b->users);
    if (b->users == NULL)
        return false;
    for (unsigned i = 0; i < USERS; i++) {
        struct user *u = &b->users[i];
        uint8_t psk[32];
        snprintf(u->identity, sizeof u->identity, "sip:user%04u@bench.example", i);
        snprintf(u->psk_id, sizeof u->psk_id, "bench-%04u", i);
        if (!mkt_crypto_random(NULL, psk, len) ||
            mkt_inkey_mem_init(&u->psk, mkt_span(psk, len)) != MKT_OK)
            return false;
        mkt_wipe(psk, sizeof psk);
    }
    return true;
}

static bool
fill_store(const struct bed *b)
{
    char path[PATH_MAX + 16];
    struct kms_store *s;
    struct kms_vault *v;
    struct kms_store_err err = { 0 };
    int64_t generation;

    snprintf(path, sizeof path, "%s/users.db", b->dir);
    if (kms_store_open_sqlite(&s, path, 0, &err) != KMS_STORE_OK)
        return failed(err.text);
    v = kms_vault_local(NULL, 1);
    bool ok =
        v != NULL && kms_tpk_rotate(s, v, time(NULL), 86400, &generation, &err) == KMS_STORE_OK;
    kms_vault_close(v);
    for (size_t i = 0; ok && i < USERS; i++) {
        const struct user *u = &b->users[i];
        const struct kms_user row = { .identity = u->identity,
                                      .psk_id = u->psk_id,
                                      .psk = { 0, mkt_secret_span(&u->psk.key) },
                                      .psk_len = u->psk.key.n,
                                      .added = time(NULL) };
        ok = s->ops->user_add(s, &row, &err) == KMS_STORE_OK;
    }
    s->ops->close(s);
    return ok || failed(err.text);
}

/* One REQUEST_INIT_PSK of user i: new RAND and CSB ID, and a timestamp of its own. */
static bool
make_message(struct bed *b, struct mkt_initiator *of, size_t i)
{
    struct mkt_policy want;
    size_t at = i == 0 ? 0 : b->load.end[i - 1];
    struct mkt_io io = { .out = b->load.octets + at, .cap = MKT_MSG_MAX };

    b->env.now += 1 << 16; /* 15 us later */
    world_wish(&want, b->prf, b->env.now, mkt_uri("sip:bob@bench.example"));
    if (mkt_initiator_request(of, &b->env, &want, &io) != MKT_NEXT_SEND_KMS)
        return false;
    b->load.end[i] = at + io.out_len;
    b->load.n = i + 1;
    return true;
}

static bool
make_messages(struct bed *b, size_t n)
{
    struct timespec now;
    bool ok = true;

    clock_gettime(CLOCK_REALTIME, &now);
    b->env = (struct mkt_env){ .crypto = mkt_crypto_new(),
                               .now = mkt_ntp_from_unix(now.tv_sec, (uint32_t)now.tv_nsec),
                               .random = mkt_crypto_random };
    b->load = (struct load){ malloc(n * 1024 + MKT_MSG_MAX), malloc(n * sizeof(size_t)), 0 };
    if (b->env.crypto == NULL || b->load.octets == NULL || b->load.end == NULL)
        return failed("no memory for the messages");
    for (size_t u = 0; ok && u < USERS; u++) {
        const struct mkt_credential cred = {
            .self = mkt_uri(b->users[u].identity),
            .kms = mkt_uri("sip:kms@bench.example"),
            .psk_id = mkt_span(b->users[u].psk_id, strlen(b->users[u].psk_id)),
            .psk = &b->users[u].psk.base,
        };
        struct mkt_initiator *i = mkt_initiator_new(&cred);
        for (size_t k = n * u / USERS; ok && k < n * (u + 1) / USERS; k++)
            ok = i != NULL && make_message(b, i, k);
        mkt_initiator_free(i);
    }
    return ok || failed("a message could not be made");
}

/* --- servers ------------------------------------------------------------------------------------
 */

static bool
write_config(const struct bed *b, char *path, size_t cap)
{
    snprintf(path, cap, "%s/kmsd.yaml", b->dir);
    FILE *f = fopen(path, "w");
    if (f == NULL)
        return failed("the configuration cannot be written");
    fprintf(f,
            "identity: sip:kms@bench.example\n"
            "listen:\n  - udp://127.0.0.1:%u\n  - http://127.0.0.1:%u\n"
            "store: sqlite:users.db\n%s%s",
            ntohs(b->udp.sin_port), ntohs(b->http.sin_port),
            b->form == CLEAR ? "" : "kek: file:kms.kek\n",
            b->form == VAULT ? "vault: process\n" : "");
    return fclose(f) == 0;
}

/* mikey-kmsctl stands beside the daemon. */
static bool
seal_store(const struct bed *b, const char *config)
{
    char program[PATH_MAX + 8];
    int status = -1;
    if (b->form == CLEAR)
        return true;
    snprintf(program, sizeof program, "%.*sctl", (int)strlen(b->program) - 1, b->program);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(open("/dev/null", O_WRONLY), 1);
        execl(program, program, "--config", config, "kek", "init", (char *)NULL);
        _exit(127);
    }
    return (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0) ||
           failed("the store cannot be wrapped");
}

static bool
start_daemon(struct bed *b)
{
    char config[PATH_MAX + 16], log[PATH_MAX + 16];
    if (!load_port(SOCK_DGRAM, &b->udp) || !load_port(SOCK_STREAM, &b->http) ||
        !write_config(b, config, sizeof config) || !seal_store(b, config))
        return false;
    snprintf(log, sizeof log, "%s/log", b->dir);
    b->daemon = fork();
    if (b->daemon == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        execl(b->program, b->program, "--config", config, (char *)NULL);
        _exit(127);
    }
    return b->daemon > 0;
}

/* Why it did not start. */
static bool
show_log(const struct bed *b)
{
    char path[PATH_MAX + 16], line[256];
    snprintf(path, sizeof path, "%s/log", b->dir);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        fputs(line, stderr);
    if (f != NULL)
        fclose(f);
    return failed("mikey-kmsd did not start");
}

static bool
is_ready(const struct bed *b)
{
    char path[PATH_MAX + 16], line[256];
    bool ready = false;
    snprintf(path, sizeof path, "%s/log", b->dir);
    FILE *f = fopen(path, "r");
    while (f != NULL && !ready && fgets(line, sizeof line, f) != NULL)
        ready = strcmp(line, "ready\n") == 0;
    if (f != NULL)
        fclose(f);
    return ready;
}

/* Waits until the daemon serves; messages stamped before that would be refused. */
static bool
await_daemon(const struct bed *b)
{
    for (int i = 0; i < 500; i++) {
        if (is_ready(b))
            return true;
        if (waitpid(b->daemon, NULL, WNOHANG) == b->daemon)
            break;
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    return show_log(b);
}

/* The bare servers answer with octets of our making, as many as the daemon's answer has. */
static bool
start_bare(struct bed *b)
{
    b->answer[0] = 1;
    b->answer[1] = MKT_DT_REQUEST_RESP;
    if (!load_port(SOCK_DGRAM, &b->echo) || !load_port(SOCK_STREAM, &b->fixed))
        return false;
    b->echo_pid = server_udp_echo(&b->echo, b->answer, b->answer_len);
    b->fixed_pid = server_http_fixed(&b->fixed, b->answer, b->answer_len);
    return b->echo_pid > 0 && b->fixed_pid > 0;
}

static void
remove_dir(const struct bed *b)
{
    static const char *const files[] = { "users.db",  "users.db-wal", "users.db-shm",
                                         "kmsd.yaml", "kms.kek",      "log" };
    char path[PATH_MAX + 16];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", b->dir, files[i]);
        unlink(path);
    }
    rmdir(b->dir);
}

static void
close_bed(struct bed *b)
{
    server_stop(b->daemon);
    server_stop(b->echo_pid);
    server_stop(b->fixed_pid);
    mkt_crypto_free(b->env.crypto);
    free(b->load.octets);
    free(b->load.end);
    for (size_t i = 0; b->users != NULL && i < USERS; i++)
        mkt_inkey_mem_wipe(&b->users[i].psk);
    free(b->users);
    if (b->dir[0] != '\0')
        remove_dir(b);
}

static bool
open_bed(struct bed *b, uint8_t prf, enum form form)
{
    const char *tmp = getenv("TMPDIR");
    char self[PATH_MAX] = { 0 };

    *b = (struct bed){ .prf = prf, .form = form };
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return false;
    snprintf(b->program, sizeof b->program, "%.4000s/../kms/mikey-kmsd", dirname(self));
    if (access(b->program, X_OK) != 0)
        return failed("no mikey-kmsd next to this program");
    snprintf(b->dir, sizeof b->dir, "%s/mkt-bench-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(b->dir) == NULL) {
        b->dir[0] = '\0';
        return failed("no temporary directory");
    }
    return make_users(b) && fill_store(b) && start_daemon(b) && await_daemon(b);
}

/* --- measuring ----------------------------------------------------------------------------------
 */

typedef bool send_load(const struct sockaddr_in *to, struct load_range m, uint8_t data_type);

static bool
cpu_of(double *us, pid_t server, send_load *send, const struct sockaddr_in *to, struct load_range m)
{
    double before = server_family_cpu_us(server);
    if (!send(to, m, MKT_DT_REQUEST_RESP))
        return false;
    double after = server_family_cpu_us(server);
    *us = (after - before) / (double)m.n;
    return before >= 0 && after >= 0;
}

struct transport {
    const char *name, *what, *floor_what;
    send_load *send;
    double bar_us;
};

/* Daemon and bare server in turns; the first tenth of the messages warms both up. */
static bool
measure(struct bench_report *r, const struct transport *t, struct bed *b,
        const struct sockaddr_in *to, const struct sockaddr_in *bare, pid_t bare_pid)
{
    double sample[RUNS], floor[RUNS], unused;
    const struct load_range warm = { &b->load, 0, REQUESTS / 10 };
    bool ok = cpu_of(&unused, b->daemon, t->send, to, warm) &&
              cpu_of(&unused, bare_pid, t->send, bare, warm);

    for (size_t i = 0; ok && i < RUNS; i++) {
        const struct load_range m = { &b->load, REQUESTS / 10 + i * REQUESTS, REQUESTS };
        ok = cpu_of(&sample[i], b->daemon, t->send, to, m) &&
             cpu_of(&floor[i], bare_pid, t->send, bare, m);
    }
    if (!ok)
        return false;
    struct bench_row *row = bench_add(r, t->name, t->what);
    bench_summary(&row->us, sample, RUNS);
    bench_summary(&row->floor, floor, RUNS);
    row->floor_what = t->floor_what;
    row->ratio = row->us.median / row->floor.median;
    row->bar_us = t->bar_us;
    return true;
}

/* The size of an answer, from the library itself. */
static bool
size_answer(struct bed *b)
{
    struct world *w = malloc(sizeof *w);
    bool ok = w != NULL && world_open(w, b->prf) && world_issue(w);
    if (ok)
        b->answer_len = w->out_len;
    if (w != NULL)
        world_close(w);
    free(w);
    return ok;
}

bool
bench_daemon(struct bench_report *r)
{
    static const struct transport t[][2] = {
        { { "udp_request_128", "server, REQUEST_INIT_PSK over UDP, window 16", "UDP echo, batched",
            load_udp, 25 },
          { "http_request_128", "server, the same over HTTP, 16 connections kept",
            "libmicrohttpd, epoll", load_http, 40 } },
        { { "udp_request_256", "server, REQUEST_INIT_PSK over UDP, window 16", "UDP echo, batched",
            load_udp, 25 },
          { "http_request_256", "server, the same over HTTP, 16 connections kept",
            "libmicrohttpd, epoll", load_http, 40 } },
    };
    const size_t n = RUNS * REQUESTS + REQUESTS / 10;
    bool ok = true;

    for (uint8_t prf = MKT_PRF_MIKEY_1; ok && prf <= MKT_PRF_HMAC_SHA_256; prf++) {
        struct bed *b = calloc(1, sizeof *b);
        ok = b != NULL && open_bed(b, prf, CLEAR) && size_answer(b) && start_bare(b) &&
             make_messages(b, n) && measure(r, &t[prf][0], b, &b->udp, &b->echo, b->echo_pid);
        if (ok) { /* new messages: the daemon remembers the others */
            mkt_crypto_free(b->env.crypto);
            free(b->load.octets);
            free(b->load.end);
            ok =
                make_messages(b, n) && measure(r, &t[prf][1], b, &b->http, &b->fixed, b->fixed_pid);
        }
        if (b != NULL)
            close_bed(b);
        free(b);
    }
    return ok;
}

bool
bench_vault(struct bench_report *r)
{
    static const struct transport t[] = {
        [CLEAR] = { "udp_request_clear", "REQUEST_INIT_PSK over UDP, keys in clear",
                    "UDP echo, batched", load_udp, 25 },
        [SEALED] = { "udp_request_sealed", "the same, keys sealed, opened in the daemon",
                     "UDP echo, batched", load_udp, 30 },
        [VAULT] = { "udp_request_vault", "the same, keys opened in a vault process, both counted",
                    "UDP echo, batched", load_udp, 60 },
    };
    bool ok = true;

    for (enum form form = CLEAR; ok && form <= VAULT; form++) {
        struct bed *b = calloc(1, sizeof *b);
        ok = b != NULL && open_bed(b, MKT_PRF_HMAC_SHA_256, form) && size_answer(b) &&
             start_bare(b) && make_messages(b, RUNS * REQUESTS + REQUESTS / 10) &&
             measure(r, &t[form], b, &b->udp, &b->echo, b->echo_pid);
        if (b != NULL)
            close_bed(b);
        free(b);
    }
    return ok;
}
