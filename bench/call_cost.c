/* SPDX-License-Identifier: Apache-2.0 */
/* What the keys of a call cost, all three parties together, against a DTLS-SRTP handshake. Once
 * with a KMS in this process: the protocol alone. Once with the daemon, asked over UDP by sixteen
 * pairs of phones at a time, each with a process of its own: with every system call, the store
 * sealed, and the CPU time of all processes added up. */
#include "bench.h"

#include "call.h"
#include "dtls.h"
#include "kms.h"
#include "servers.h"

#include <mikeyticket/kms.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAR (1.0 / 15)
#define PAIRS 16
#define RUNS 5
#define CALLS 200 /* of each pair in a run */
#define HANDSHAKES 100

static const char handshake[] = "DTLS-SRTP handshake, both sides";

/* --- a KMS in this process -------------------------------------------------------------------- */

struct kms {
    struct mkt_env env;
    struct mkt_pool random; /* draws ahead, as the daemon does */
    struct mkt_kms_txn *txn;
    struct mkt_inkey_mem tpk;
    const struct bed_user *alice, *bob;
    uint8_t in[MKT_MSG_MAX], out[MKT_MSG_MAX];
};

static struct kms *here; /* NULL: ask over the network */

static bool
issue(struct kms *k, struct mkt_identity kms, const struct mkt_tpk *tpk, struct mkt_io *io)
{
    static const struct mkt_grant_rules rules = { .max_validity_s = 86400 };
    struct mkt_policy granted;

    return mkt_policy_grant(&granted, mkt_kms_ask(k->txn)->policy, &rules,
                            mkt_uri(k->alice->identity), kms, k->env.now, &io->err) == MKT_OK &&
           mkt_kms_issue(k->txn, &k->env, &granted, tpk, mkt_span(NULL, 0), io) ==
               MKT_NEXT_SEND_PEER;
}

static bool
resolve(struct kms *k, const struct mkt_tpk *tpk, struct mkt_io *io)
{
    return mkt_kms_open(k->txn, &k->env, tpk, &io->err) == MKT_OK &&
           mkt_kms_resolve(k->txn, &k->env, mkt_uri(k->bob->identity), io) == MKT_NEXT_SEND_PEER;
}

static size_t
serve(struct kms *k, struct mkt_span in)
{
    const struct mkt_tpk tpk = { .id = mkt_span("tpk-1", 5), .key = &k->tpk.base };
    const struct mkt_identity kms = mkt_uri("sip:kms@bench.example");
    struct mkt_io io = { .out = k->out, .cap = sizeof k->out };
    bool ok = mkt_kms_begin(k->txn, in, &io.err) == MKT_OK;
    bool resolves = mkt_kms_ask(k->txn)->resolve;
    const struct bed_user *client = resolves ? k->bob : k->alice;

    ok = ok &&
         mkt_kms_verify(k->txn, &k->env, &client->psk.base, mkt_uri(client->identity), kms,
                        &io.err) == MKT_OK &&
         (resolves ? resolve(k, &tpk, &io) : issue(k, kms, &tpk, &io));
    mkt_kms_end(k->txn);
    if (!ok)
        fprintf(stderr, "mkt-bench: KMS: %s\n", io.err.what);
    return ok ? io.out_len : 0;
}

/* The linker's names: reserved, but not ours to choose. */
bool __real_cli_kms_run(const struct cli_args *args, struct cli_client *client,
                        const struct cli_kms_ask *ask, struct mkt_io *io, struct cli_error *err);
bool __wrap_cli_kms_run(const struct cli_args *args, struct cli_client *client,
                        const struct cli_kms_ask *ask, struct mkt_io *io, struct cli_error *err);

/* The exchange of a phone with its KMS, without a network. */
bool
__wrap_cli_kms_run(const struct cli_args *args, struct cli_client *client,
                   const struct cli_kms_ask *ask, struct mkt_io *io, struct cli_error *err)
{
    struct mkt_io asked = { .cap = sizeof here->in };

    if (here == NULL)
        return __real_cli_kms_run(args, client, ask, io, err);
    if (!cli_client_rooms(client, err))
        return false;
    asked.out = here->in;
    here->env.now = cli_clock_ntp();
    if (ask->make(ask->ctx, &asked) != MKT_NEXT_SEND_KMS)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, "the message", &asked.err);
    size_t n = serve(here, mkt_span(here->in, asked.out_len));
    *io = (struct mkt_io){ .in = mkt_span(here->out, n),
                           .out = client->out.p,
                           .cap = client->out.cap };
    return ask->take(ask->ctx, io) != MKT_NEXT_ABORT ||
           cli_fail_mkt(err, CLI_EXIT_PEER, "the answer", &io->err);
}

static bool
make_user(struct bed_user *u, const char *name)
{
    uint8_t psk[32];

    snprintf(u->identity, sizeof u->identity, "sip:%s@bench.example", name);
    snprintf(u->psk_id, sizeof u->psk_id, "%s", name);
    return mkt_crypto_random(NULL, psk, sizeof psk) &&
           mkt_inkey_mem_init(&u->psk, mkt_span(psk, sizeof psk)) == MKT_OK;
}

static struct kms *
kms_new(const struct bed_user *alice, const struct bed_user *bob)
{
    struct kms *k = calloc(1, sizeof *k);
    uint8_t tpk[32];

    if (k == NULL)
        return NULL;
    k->env = (struct mkt_env){ .crypto = mkt_crypto_new(),
                               .random = mkt_pool_random,
                               .ctx = &k->random };
    k->txn = mkt_kms_txn_new();
    k->alice = alice;
    k->bob = bob;
    if (k->env.crypto != NULL && k->txn != NULL && mkt_crypto_random(NULL, tpk, sizeof tpk) &&
        mkt_inkey_mem_init(&k->tpk, mkt_span(tpk, sizeof tpk)) == MKT_OK)
        return k;
    mkt_crypto_free(k->env.crypto);
    mkt_kms_txn_free(k->txn);
    free(k);
    return NULL;
}

static void
kms_free(struct kms *k)
{
    mkt_crypto_free(k->env.crypto);
    mkt_kms_txn_free(k->txn);
    mkt_inkey_mem_wipe(&k->tpk);
    mkt_wipe(&k->random, sizeof k->random);
    free(k);
}

static bool
compare_here(struct bench_report *r, const char *name, uint8_t prf, struct dtls *dtls)
{
    static const struct sockaddr_in nowhere = { .sin_family = AF_INET };
    struct bed_user alice = { 0 }, bob = { 0 };
    struct call *c = calloc(1, sizeof *c);
    bool ok = c != NULL && make_user(&alice, "alice") && make_user(&bob, "bob") &&
              (here = kms_new(&alice, &bob)) != NULL && call_open(c, prf, &alice, &bob, &nowhere);

    if (ok) {
        struct bench_row *row = bench_add(r, name, "a call: both phones and the KMS, in memory");
        row->bar_ratio = BAR;
        ok = bench_compare(row, call_make, c, dtls_call, dtls, handshake);
    }
    if (here != NULL)
        kms_free(here);
    here = NULL;
    if (c != NULL)
        call_close(c);
    free(c);
    mkt_inkey_mem_wipe(&alice.psk);
    mkt_inkey_mem_wipe(&bob.psk);
    return ok;
}

/* --- the daemon, and pairs of phones ---------------------------------------------------------- */

/* A process with a pair of phones: an octet in is a run of calls, their CPU time comes out. */
struct pair {
    pid_t pid;
    int in, out;
};

static bool
make_calls(struct call *c, double *us)
{
    double before = server_cpu_us(getpid());
    bool ok = true;

    for (size_t i = 0; ok && i < CALLS; i++)
        ok = call_make(c);
    *us = server_cpu_us(getpid()) - before;
    return ok;
}

static _Noreturn void
be_pair(const struct bed *b, size_t k, int in, int out)
{
    struct call *c = calloc(1, sizeof *c);
    bool ok =
        c != NULL && call_open(c, b->prf, &b->senders[2 * k], &b->senders[2 * k + 1], &b->udp);
    double us;
    char go;

    while (ok && read(in, &go, 1) == 1)
        ok = make_calls(c, &us) && write(out, &us, sizeof us) == sizeof us;
    if (c != NULL)
        call_close(c);
    free(c);
    _exit(ok ? 0 : 1);
}

static bool
start_pair(struct pair *p, const struct bed *b, size_t k)
{
    int in[2], out[2];

    if (pipe(in) != 0 || pipe(out) != 0 || (p->pid = fork()) < 0)
        return false;
    if (p->pid == 0) {
        close(in[1]);
        close(out[0]);
        be_pair(b, k, in[0], out[1]);
    }
    close(in[0]);
    close(out[1]);
    p->in = in[1];
    p->out = out[0];
    return true;
}

/* All pairs at the same time: CPU time of a call in the phones, and in the daemon. */
static bool
run_pairs(const struct pair *pair, const struct bed *b, double *phones, double *daemon)
{
    double one, before = server_family_cpu_us(b->daemon);
    bool ok = before >= 0;

    *phones = 0;
    for (size_t k = 0; ok && k < PAIRS; k++)
        ok = write(pair[k].in, "g", 1) == 1;
    for (size_t k = 0; ok && k < PAIRS; k++) {
        ok = read(pair[k].out, &one, sizeof one) == sizeof one;
        *phones += one / (PAIRS * CALLS);
    }
    *daemon = (server_family_cpu_us(b->daemon) - before) / (PAIRS * CALLS);
    return ok;
}

static bool
run_handshakes(struct dtls *dtls, double *us)
{
    double before = server_cpu_us(getpid());

    for (size_t i = 0; i < HANDSHAKES; i++) {
        if (!dtls_call(dtls))
            return false;
    }
    *us = (server_cpu_us(getpid()) - before) / HANDSHAKES;
    return true;
}

static bool
compare_pairs(struct bench_row *row, const struct pair *pair, const struct bed *b,
              struct dtls *dtls)
{
    double sample[RUNS], floor[RUNS], phones[RUNS + 1], daemon[RUNS + 1];
    bool ok = run_pairs(pair, b, &phones[RUNS], &daemon[RUNS]); /* warms up */
    struct bench_time of_daemon;

    for (size_t i = 0; ok && i < RUNS; i++) {
        ok = run_pairs(pair, b, &phones[i], &daemon[i]) && run_handshakes(dtls, &floor[i]);
        sample[i] = phones[i] + daemon[i];
    }
    if (!ok)
        return false;
    bench_summary(&row->us, sample, RUNS);
    bench_summary(&row->floor, floor, RUNS);
    bench_summary(&of_daemon, daemon, RUNS);
    size_t n = strlen(row->what);
    snprintf(row->what + n, sizeof row->what - n, "; %.0f us of it the daemon", of_daemon.median);
    row->floor_what = handshake;
    row->ratio = row->us.median / row->floor.median;
    row->bar_ratio = BAR;
    return true;
}

static bool
compare_daemon(struct bench_report *r, const char *name, const char *what, bool audit,
               struct dtls *dtls)
{
    struct pair pair[PAIRS] = { { 0 } };
    struct bed *b = calloc(1, sizeof *b);
    bool ok = b != NULL && bed_open(b, MKT_PRF_HMAC_SHA_256, 1000, audit, BED_SEALED);

    for (size_t k = 0; ok && k < PAIRS; k++)
        ok = start_pair(&pair[k], b, k);
    ok = ok && compare_pairs(bench_add(r, name, what), pair, b, dtls);
    for (size_t k = 0; k < PAIRS && pair[k].pid > 0; k++) {
        close(pair[k].in);
        close(pair[k].out);
        kill(pair[k].pid, SIGTERM); /* those that were started later hold its pipe as well */
        waitpid(pair[k].pid, NULL, 0);
    }
    if (b != NULL)
        bed_close(b);
    free(b);
    return ok;
}

bool
bench_call(struct bench_report *r)
{
    struct dtls *dtls = dtls_new();
    bool ok = dtls != NULL && dtls_call(dtls) &&
              compare_here(r, "call_128", MKT_PRF_MIKEY_1, dtls) &&
              compare_here(r, "call_256", MKT_PRF_HMAC_SHA_256, dtls) &&
              compare_daemon(r, "call_daemon_unaudited",
                             "the same, KMS over UDP, no audit, 16 at a time", false, dtls) &&
              compare_daemon(r, "call_daemon", "the same with the audit on the disk", true, dtls);

    dtls_free(dtls);
    return ok;
}
