/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of the vault process. */
#include "vault_process.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vault_wire.h"

#define LOOK_MS 100 /* how often a caller that waits looks whether the vault is gone */

struct process {
    struct kms_vault base; /* first member */
    struct kms_place *places;
    size_t n_places;
    pid_t pid;
    int fd;
    pthread_mutex_t lock; /* of the socketpair */
    _Atomic bool gone;
    /* the watch */
    int stop;
    bool watching;
    pthread_t watch;
    void (*on_gone)(void *ctx, const char *how);
    void *ctx;
};

static struct process *
self(struct kms_vault *v)
{
    return (struct process *)(void *)v;
}

int
kms_vault_process_id(const struct kms_vault *v)
{
    return ((const struct process *)(const void *)v)->pid;
}

static bool
receive(struct process *x, struct kms_vault_answer *answer)
{
    ssize_t n;

    do
        n = recv(x->fd, answer, sizeof *answer, 0);
    while (n < 0 && errno == EINTR);
    answer->err[sizeof answer->err - 1] = '\0';
    return n == sizeof *answer;
}

/* One question and its answer. */
static bool
ask(struct process *x, const struct kms_vault_ask *question, struct kms_vault_answer *answer)
{
    bool ok;

    pthread_mutex_lock(&x->lock);
    ok = send(x->fd, question, sizeof *question, MSG_NOSIGNAL) == sizeof *question &&
         receive(x, answer);
    pthread_mutex_unlock(&x->lock);
    if (!ok)
        *answer = (struct kms_vault_answer){ .err = "the vault is gone" };
    return answer->ok;
}

static bool
process_admit(struct kms_vault *v, const struct kms_wrap *wraps, size_t n, char err[KMS_KEK_ERR])
{
    struct kms_vault_ask *question = calloc(1, sizeof *question);
    struct kms_vault_answer answer = { .err = "out of memory" };
    bool ok = false;

    if (question != NULL && n <= KMS_VAULT_WRAPS) {
        question->op = KMS_OP_ADMIT;
        question->n = (uint32_t)n;
        if (n > 0)
            memcpy(question->wraps, wraps, n * sizeof *wraps);
        ok = ask(self(v), question, &answer);
    }
    free(question);
    memcpy(err, answer.err, KMS_KEK_ERR);
    return ok;
}

static bool
process_found(struct kms_vault *v, struct kms_wrap *wrap)
{
    struct kms_vault_ask *question = calloc(1, sizeof *question);
    struct kms_vault_answer answer = { .ok = false };
    bool ok = false;

    if (question != NULL) {
        question->op = KMS_OP_FOUND;
        ok = ask(self(v), question, &answer);
    }
    free(question);
    *wrap = answer.wrap;
    wrap->scheme[sizeof wrap->scheme - 1] = '\0';
    return ok;
}

/* A question about l; NULL: it is too long, or there is no memory. */
static struct kms_vault_ask *
ask_about(enum kms_vault_op op, const struct kms_locker *l, struct mkt_span row)
{
    struct kms_vault_ask *q = calloc(1, sizeof *q);

    if (q == NULL || l->owner.n + l->id.n > sizeof q->name || row.n > sizeof q->row) {
        free(q);
        return NULL;
    }
    q->op = op;
    q->n = (uint32_t)row.n;
    q->kind = l->kind;
    q->kek = l->key.kek;
    q->owner_n = (uint16_t)l->owner.n;
    q->id_n = (uint16_t)l->id.n;
    if (l->owner.n > 0)
        memcpy(q->name, l->owner.p, l->owner.n);
    if (l->id.n > 0)
        memcpy(q->name + l->owner.n, l->id.p, l->id.n);
    if (row.n > 0)
        memcpy(q->row, row.p, row.n);
    return q;
}

/* Asks, and takes an answer of n octets into out. */
static bool
ask_for(struct process *x, struct kms_vault_ask *q, uint8_t *out, size_t n, uint32_t *kek)
{
    struct kms_vault_answer answer = { .ok = false };
    bool ok = q != NULL && ask(x, q, &answer) && answer.key_n == n && n <= sizeof answer.key;

    if (ok)
        memcpy(out, answer.key, n);
    *kek = answer.kek;
    if (q != NULL)
        mkt_wipe(q, sizeof *q);
    free(q);
    mkt_wipe(&answer, sizeof answer);
    return ok;
}

static bool
process_make(struct kms_vault *v, struct kms_locker *l, size_t len, uint8_t buf[KMS_SEALED_MAX])
{
    struct kms_vault_ask *q;

    if (len > MKT_SECRET_MAX)
        return false;
    q = ask_about(KMS_OP_MAKE, l, mkt_span(NULL, 0));
    if (q != NULL)
        q->n = (uint32_t)len;
    l->key.octets = mkt_span(buf, len + KMS_SEAL_MORE);
    return ask_for(self(v), q, buf, l->key.octets.n, &l->key.kek);
}

static bool
process_seal(struct kms_vault *v, struct kms_locker *l, struct mkt_span plain,
             uint8_t buf[KMS_ROW_MAX])
{
    l->key.octets = mkt_span(buf, plain.n + KMS_SEAL_MORE);
    return plain.n <= KMS_KEPT_MAX &&
           ask_for(self(v), ask_about(KMS_OP_SEAL, l, plain), buf, l->key.octets.n, &l->key.kek);
}

static bool
process_open(struct kms_vault *v, const struct kms_locker *l, uint8_t out[KMS_KEPT_MAX])
{
    size_t n = kms_sealed_len(&l->key);
    uint32_t kek;

    return n <= KMS_KEPT_MAX &&
           ask_for(self(v), ask_about(KMS_OP_OPEN, l, l->key.octets), out, n, &kek);
}

static bool
put(struct kms_place *p, size_t *used, struct mkt_span s)
{
    if (s.n > KMS_PLACE_OCTETS - *used)
        return false;
    if (s.n > 0)
        memcpy(p->octets + *used, s.p, s.n);
    *used += s.n;
    return true;
}

static bool
write_question(struct kms_place *p, const struct kms_locker *l, uint8_t prf_func,
               const struct mkt_derive *d, size_t n, size_t *used)
{
    bool ok = n <= KMS_PLACE_DERIVES && put(p, used, l->owner) && put(p, used, l->id) &&
              put(p, used, l->key.octets);

    p->kind = (uint8_t)l->kind;
    p->prf_func = prf_func;
    p->n = (uint8_t)n;
    p->owner_n = (uint16_t)l->owner.n;
    p->id_n = (uint16_t)l->id.n;
    p->key_n = (uint16_t)l->key.octets.n;
    p->kek = l->key.kek;
    for (size_t i = 0; ok && i < n; i++) {
        p->label_n[i] = (uint16_t)d[i].label.n;
        p->out_n[i] = (uint16_t)d[i].out_len;
        ok = d[i].out_len <= MKT_SECRET_MAX && put(p, used, d[i].label);
    }
    return ok;
}

static bool
read_answer(struct kms_place *p, const struct mkt_derive *d, size_t n)
{
    size_t at = 0;

    for (size_t i = 0; p->ok && i < n; at += d[i++].out_len)
        memcpy(d[i].out, p->octets + at, d[i].out_len);
    return p->ok;
}

static bool
process_prf(struct kms_vault *v, size_t slot, const struct kms_locker *l, struct mkt_crypto *c,
            uint8_t prf_func, const struct mkt_derive *d, size_t n)
{
    struct process *x = self(v);
    struct kms_place *p = &x->places[slot];
    size_t used = 0;
    bool ok =
        slot < x->n_places && !atomic_load(&x->gone) && write_question(p, l, prf_func, d, n, &used);

    (void)c;
    if (ok)
        kms_place_give(p, KMS_TURN_VAULT, &p->vault_asleep);
    while (ok && atomic_load_explicit(&p->turn, memory_order_acquire) != KMS_TURN_CLIENT) {
        kms_place_wait(p, KMS_TURN_CLIENT, &p->client_asleep, LOOK_MS);
        ok = !atomic_load(&x->gone);
    }
    ok = ok && read_answer(p, d, n);
    for (size_t i = 0; i < n; i++)
        if (!ok)
            mkt_wipe(d[i].out, d[i].out_len);
    if (slot < x->n_places)
        mkt_wipe(p->octets, used);
    return ok;
}

static void
process_close(struct kms_vault *v)
{
    struct process *x = self(v);

    if (x->watching) {
        (void)eventfd_write(x->stop, 1);
        pthread_join(x->watch, NULL);
    }
    if (x->stop >= 0)
        close(x->stop);
    close(x->fd); /* the vault ends with it */
    if (!atomic_load(&x->gone))
        waitpid(x->pid, NULL, 0);
    mkt_wipe(x->places, x->n_places * sizeof *x->places);
    munmap(x->places, x->n_places * sizeof *x->places);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

static const struct kms_vault_ops process_ops = { process_admit, process_found, process_make,
                                                  process_prf,   process_seal,  process_open,
                                                  process_close };

static void
describe(char text[64], pid_t pid)
{
    int status = 0;

    if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
        snprintf(text, 64, "killed by signal %d", WTERMSIG(status));
    else
        snprintf(text, 64, "exit code %d", WEXITSTATUS(status));
}

static void *
run_watch(void *arg)
{
    struct process *x = arg;
    struct pollfd p[2] = { { .fd = x->stop, .events = POLLIN }, { .fd = x->fd } };
    char how[64];

    while (poll(p, 2, -1) < 0 && errno == EINTR)
        ;
    if (p[0].revents != 0)
        return NULL;
    describe(how, x->pid);
    atomic_store(&x->gone, true);
    x->on_gone(x->ctx, how);
    return NULL;
}

bool
kms_vault_process_watch(struct kms_vault *v, void (*gone)(void *ctx, const char *how), void *ctx)
{
    struct process *x = self(v);

    x->on_gone = gone;
    x->ctx = ctx;
    x->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    x->watching = x->stop >= 0 && pthread_create(&x->watch, NULL, run_watch, x) == 0;
    return x->watching;
}

/* The child is started, and its first answer tells whether it has the KEK. */
static bool
start(struct process *x, const struct kms_config *config, char err[KMS_KEK_ERR])
{
    struct kms_vault_answer answer = { .err = "the vault process ended at once" };
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return false;
    x->pid = fork();
    if (x->pid == 0) {
        close(fds[0]);
        kms_vault_child_run(
            &(struct kms_vault_child){ fds[1], x->places, x->n_places, config->kek, config });
    }
    close(fds[1]);
    x->fd = fds[0];
    if (x->pid > 0 && receive(x, &answer) && answer.ok)
        return true;
    memcpy(err, answer.err, KMS_KEK_ERR);
    return false;
}

struct kms_vault *
kms_vault_process(const struct kms_config *config, size_t n_slots, char err[KMS_KEK_ERR])
{
    struct process *x = calloc(1, sizeof *x);
    void *places;

    snprintf(err, KMS_KEK_ERR, "cannot start the vault process: no memory or no process");
    if (x == NULL)
        return NULL;
    x->base.ops = &process_ops;
    x->n_places = n_slots;
    x->fd = x->stop = -1;
    pthread_mutex_init(&x->lock, NULL);
    places = mmap(NULL, n_slots * sizeof *x->places, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (places == MAP_FAILED) {
        free(x);
        return NULL;
    }
    madvise(places, n_slots * sizeof *x->places, MADV_DONTDUMP);
    x->places = places;
    if (start(x, config, err))
        return &x->base;
    process_close(&x->base);
    return NULL;
}
