/* SPDX-License-Identifier: Apache-2.0 */
/* The senders are spread over all users, so that a table of a million is met everywhere. */
#include "bed.h"

#include "servers.h"
#include "tpk_schedule.h"
#include "world.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH 2000    /* users in one transaction */
#define STRIDE 382717 /* prime */

static bool
failed(const char *what)
{
    fprintf(stderr, "mkt-bench: %s\n", what);
    return false;
}

static size_t
n_senders(const struct bed *b)
{
    return b->n_users < BED_SENDERS ? b->n_users : BED_SENDERS;
}

static void
name_user(struct bed_user *u, size_t number)
{
    snprintf(u->identity, sizeof u->identity, "sip:user%07zu@bench.example", number);
    snprintf(u->psk_id, sizeof u->psk_id, "bench-%07zu", number);
}

static bool
make_senders(struct bed *b)
{
    size_t len = mkt_suite_of(b->prf)->key_len, n = n_senders(b);

    b->senders = calloc(n, sizeof *b->senders);
    if (b->senders == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct bed_user *u = &b->senders[i];
        uint8_t psk[32];

        name_user(u, i * STRIDE % b->n_users);
        if (!mkt_crypto_random(NULL, psk, len) ||
            mkt_inkey_mem_init(&u->psk, mkt_span(psk, len)) != MKT_OK)
            return false;
        mkt_wipe(psk, sizeof psk);
    }
    return true;
}

static bool
add_user(struct kms_store *s, struct kms_vault *v, const struct bed_user *u,
         struct kms_store_err *err)
{
    uint8_t buf[KMS_SEALED_MAX];
    struct kms_locker l = { .kind = KMS_PSK,
                            .owner = mkt_span(u->identity, strlen(u->identity)),
                            .id = mkt_span(u->psk_id, strlen(u->psk_id)) };
    struct kms_user row = { .identity = u->identity, .psk_id = u->psk_id };

    if (!kms_local_seal(v, &l, mkt_secret_span(&u->psk.key), buf))
        return failed("a key cannot be sealed");
    row.psk = l.key;
    return s->ops->user_add(s, &row, err) <= KMS_STORE_SAME;
}

/* Those who send have their keys already; all others share one. */
static bool
add_users(const struct bed *b, struct kms_store *s, struct kms_vault *v, struct kms_store_err *err)
{
    struct bed_user other = b->senders[0];
    bool ok = s->ops->begin(s, err) == KMS_STORE_OK;

    for (size_t i = 0; ok && i < n_senders(b); i++)
        ok = add_user(s, v, &b->senders[i], err);
    for (size_t i = 0; ok && i < b->n_users; i++) {
        name_user(&other, i);
        ok = add_user(s, v, &other, err) || err->rc == KMS_STORE_EXISTS; /* one who sends */
        if (ok && i % BATCH == 0)
            ok = s->ops->end(s, true, err) == KMS_STORE_OK && s->ops->begin(s, err) == KMS_STORE_OK;
    }
    mkt_inkey_mem_wipe(&other.psk);
    return ok && s->ops->end(s, true, err) == KMS_STORE_OK;
}

static bool
fill_store(const struct bed *b)
{
    char path[PATH_MAX + 16], spec[PATH_MAX + 32], why[KMS_KEK_ERR];
    struct kms_kek *kek = NULL;
    struct kms_vault *v;
    struct kms_store *s;
    struct kms_store_err err = { 0 };
    int64_t generation;

    snprintf(path, sizeof path, "%s/users.db", b->dir);
    if (kms_store_open_sqlite(&s, path, 0, &err) != KMS_STORE_OK)
        return failed(err.text);
    snprintf(spec, sizeof spec, "file:%s/kms.kek", b->dir);
    if (b->keys != BED_CLEAR)
        kek = kms_kek_open(spec, false, why);
    v = kms_vault_local(kek, 1);
    bool ok = v != NULL && kms_tpk_rotate(s, v, NULL, 86400, &generation, &err) == KMS_STORE_OK &&
              add_users(b, s, v, &err);
    kms_vault_close(v);
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

static void
free_messages(struct bed *b)
{
    mkt_crypto_free(b->env.crypto);
    free(b->load.octets);
    free(b->load.end);
    b->env.crypto = NULL;
    b->load = (struct load){ NULL, NULL, 0 };
}

bool
bed_messages(struct bed *b, size_t n)
{
    size_t senders = n_senders(b);
    struct timespec now;
    bool ok = true;

    free_messages(b);
    clock_gettime(CLOCK_REALTIME, &now);
    b->env = (struct mkt_env){ .crypto = mkt_crypto_new(),
                               .now = mkt_ntp_from_unix(now.tv_sec, (uint32_t)now.tv_nsec),
                               .random = mkt_crypto_random };
    b->load = (struct load){ malloc(n * 1024 + MKT_MSG_MAX), malloc(n * sizeof(size_t)), 0 };
    if (b->env.crypto == NULL || b->load.octets == NULL || b->load.end == NULL)
        return failed("no memory for the messages");
    for (size_t u = 0; ok && u < senders; u++) {
        const struct mkt_credential cred = {
            .self = mkt_uri(b->senders[u].identity),
            .kms = mkt_uri("sip:kms@bench.example"),
            .psk_id = mkt_span(b->senders[u].psk_id, strlen(b->senders[u].psk_id)),
            .psk = &b->senders[u].psk.base,
        };
        struct mkt_initiator *i = mkt_initiator_new(&cred);
        for (size_t k = n * u / senders; ok && k < n * (u + 1) / senders; k++)
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
            "store: sqlite:users.db\n%s%s%s",
            ntohs(b->udp.sin_port), ntohs(b->http.sin_port), b->audit ? "" : "audit: {file: off}\n",
            b->keys == BED_CLEAR ? "" : "kek: file:kms.kek\n",
            b->keys == BED_VAULT ? "vault: process\n" : "");
    return fclose(f) == 0;
}

/* Makes the store, and the KEK; mikey-kmsctl stands beside the daemon. */
static bool
make_store(struct bed *b)
{
    char program[PATH_MAX + 8], config[PATH_MAX + 16];
    int status = -1;
    if (!load_port(SOCK_DGRAM, &b->udp) || !load_port(SOCK_STREAM, &b->http) ||
        !write_config(b, config, sizeof config))
        return false;
    if (b->keys == BED_CLEAR)
        return true;
    snprintf(program, sizeof program, "%.*sctl", (int)strlen(b->program) - 1, b->program);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(open("/dev/null", O_WRONLY), 1);
        dup2(1, 2);
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
    snprintf(config, sizeof config, "%s/kmsd.yaml", b->dir);
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
    for (int i = 0; i < 1000; i++) {
        if (is_ready(b))
            return true;
        if (waitpid(b->daemon, NULL, WNOHANG) == b->daemon)
            break;
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    return show_log(b);
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

/* The bare servers answer with octets of our making, as many as the daemon's answer has. */
bool
bed_bare(struct bed *b)
{
    b->answer[0] = 1;
    b->answer[1] = MKT_DT_REQUEST_RESP;
    if (!size_answer(b) || !load_port(SOCK_DGRAM, &b->echo) || !load_port(SOCK_STREAM, &b->fixed))
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
    for (unsigned k = 1; k < 100; k++) { /* as many segments as the audit may have */
        snprintf(path, sizeof path, "%.4000s/audit/audit-%06u.jsonl", b->dir, k);
        unlink(path);
    }
    snprintf(path, sizeof path, "%.4000s/audit", b->dir);
    rmdir(path);
    rmdir(b->dir);
}

void
bed_close(struct bed *b)
{
    server_stop(b->daemon);
    server_stop(b->echo_pid);
    server_stop(b->fixed_pid);
    free_messages(b);
    for (size_t i = 0; b->senders != NULL && i < n_senders(b); i++)
        mkt_inkey_mem_wipe(&b->senders[i].psk);
    free(b->senders);
    if (b->dir[0] != '\0')
        remove_dir(b);
}

bool
bed_open(struct bed *b, uint8_t prf, size_t n_users, bool audit, enum bed_keys keys)
{
    const char *tmp = getenv("TMPDIR");
    char self[PATH_MAX] = { 0 };

    *b = (struct bed){ .prf = prf, .audit = audit, .n_users = n_users, .keys = keys };
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
    return make_senders(b) && make_store(b) && fill_store(b) && start_daemon(b) && await_daemon(b);
}
