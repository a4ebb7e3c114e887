/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-kmsd: start in order (configuration, self-test, store, index, sockets), say where it
 * listens, wait for a signal, stop in the opposite order. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "api_http.h"
#include "clock.h"
#include "courier.h"
#include "document.h"
#include "harden.h"
#include "lane.h"
#include "net.h"
#include "notify.h"
#include "open_files.h"
#include "peers.h"
#include "program.h"
#include "tpk_schedule.h"
#include "vault_process.h"
#include "watch.h"

static const char usage[] =
    "Usage: mikey-kmsd --config FILE\n"
    "The Key Management Service of MIKEY-TICKET (RFC 6043). Runs in the foreground;\n"
    "SIGTERM or SIGINT stops it, SIGHUP makes it read its configuration again. Users and\n"
    "keys: see mikey-kmsctl --help.\n"
    "\n"
    "  -c, --config FILE  configuration (YAML)\n"
    "      --check        read the configuration and the files that it names, say what is wrong\n"
    "                     with them, and stop\n"
    "  -h, --help         this text\n"
    "  -V, --version      version\n"
    "\n"
    "On standard output, when it serves: one line \"listening URL\" for each address, \"admin\n"
    "URL\" and \"api URL\" if there are such, then \"ready\". On standard error: the log.\n"
    "\n"
    "Options of the configuration:\n";

struct daemon {
    struct kms_config config;
    struct kms_log log;
    struct kms_service service;
    int64_t began_ns; /* by a clock that does not jump */
    /* Four connections: marks and tickets are written by the lane, each under its own lock, seals
     * by the audit. */
    struct kms_store *store, *marks, *tickets, *seals;
    struct kms_vault *vault;
    _Atomic bool vault_gone;
    pthread_t main;
    uint64_t version;            /* of the store, as read */
    struct kms_rules_live rules; /* the policy */
    struct kms_pki *pki;         /* NULL: no key pair is configured */
    struct kms_tls *tls;         /* NULL: no certificate for https is */
    struct kms_peers *peers;
    struct kms_tls *api_tls; /* likewise for the admin API */
    struct kms_udp *udp;
    struct kms_http *http;
    struct kms_watch *watch;
    struct kms_admin *admin;
    struct kms_reload *reload;
    struct kms_api_http *api;
};

static int
help(void)
{
    fputs(usage, stdout);
    kms_config_help(stdout);
    puts("\n" KMS_EXIT_HELP ", 5 cannot listen.");
    return KMS_EXIT_OK;
}

static bool
selftest(void)
{
    struct mkt_crypto *c = mkt_crypto_new();
    bool ok = c != NULL && mkt_crypto_selftest(c);

    mkt_crypto_free(c);
    return ok;
}

static enum kms_exit
fail(struct daemon *d, enum kms_exit code, const char *event, const char *text)
{
    KMS_LOG(&d->log, KMS_ERROR, event, kms_text("error", text));
    return code;
}

static enum kms_store_rc
read_store(struct daemon *d, struct kms_index **index, struct kms_store_err *err)
{
    enum kms_store_rc rc = d->store->ops->version(d->store, &d->version, err);

    return rc == KMS_STORE_OK ? kms_index_build(index, d->store, d->vault, err) : rc;
}

/* A store without any key is sealed from the first on. */
static enum kms_store_rc
open_store_key(struct daemon *d, struct kms_store_err *err)
{
    bool fresh = false;
    enum kms_store_rc rc = KMS_STORE_OK;

    if (d->config.kek[0] != '\0')
        rc = kms_vault_fresh(d->store, &fresh, err);
    if (rc == KMS_STORE_OK && fresh)
        rc = kms_vault_found(d->vault, d->store, err);
    return rc == KMS_STORE_OK ? kms_vault_refresh(d->vault, d->store, err) : rc;
}

/* Makes the first ticket protection keys, and what the schedule wants. */
static enum kms_store_rc
prepare_tpks(struct daemon *d, struct kms_store_err *err)
{
    enum kms_store_rc rc = open_store_key(d, err);

    return rc != KMS_STORE_OK ? rc
                              : kms_tpk_keep(d->store, d->vault, d->config.tpk_rotate_every_s,
                                             d->config.max_validity_s, &d->log, err);
}

/* Opens the store and reads everything. */
static enum kms_store_rc
open_store(struct daemon *d, struct kms_index **index, struct kms_store_err *err)
{
    enum kms_store_rc rc = kms_store_open_sqlite(&d->store, d->config.store, 0, err);

    if (rc == KMS_STORE_OK)
        rc = kms_store_open_sqlite(&d->marks, d->config.store, 0, err);
    if (rc == KMS_STORE_OK)
        rc = kms_store_open_sqlite(&d->tickets, d->config.store, 0, err);
    if (rc == KMS_STORE_OK)
        rc = kms_store_open_sqlite(&d->seals, d->config.store, 0, err);
    if (rc == KMS_STORE_OK)
        rc = prepare_tpks(d, err);
    return rc == KMS_STORE_OK ? read_store(d, index, err) : rc;
}

/* The admin API is one more, where it counts. */
static size_t
count_readers(const struct kms_config *c)
{
    size_t n = 2 * c->workers; /* UDP threads and those of the lane; HTTP: for each listener */

    for (size_t i = 0; i < c->n_listen; i++)
        n += c->listen[i].transport == KMS_HTTP ? c->workers : 0;
    return n;
}

static void
look_at_clock(struct daemon *d)
{
    int64_t behind = kms_service_former(&d->service, kms_audit_former(d->service.audit));

    if (behind > 0)
        KMS_LOG(&d->log, KMS_WARN, "clock-behind", kms_number("seconds", behind),
                kms_text("effect", behind <= KMS_BEHIND_MAX_S
                                       ? "messages stamped before the last record of the run "
                                         "before are refused: they may have been taken"
                                       : "messages of the run before may be taken once more when "
                                         "their time comes"),
                kms_text("hint", "was the clock put back?"));
}

static bool
start_serving(struct daemon *d, char *err)
{
    struct kms_config *c = &d->config;
    size_t slot = 0;

    look_at_clock(d);
    kms_open_files_check(c, &d->log);
    d->service.pki = d->pki;
    d->service.rules = &d->rules;
    d->service.tls = d->tls;
    d->service.api_tls = d->api_tls;
    d->service.vault = d->vault;
    d->service.peers = d->peers;
    d->service.tickets = kms_tickets_new(d->tickets, d->vault);
    if (d->service.tickets == NULL) {
        snprintf(err, KMS_NET_ERR, "out of memory");
        return false;
    }
    d->service.lane = kms_lane_start(&d->service, &slot);
    if (d->service.lane == NULL) {
        snprintf(err, KMS_NET_ERR, "cannot start a thread for slow requests");
        return false;
    }
    if (c->peers.n > 0)
        d->service.courier = kms_courier_start(d->service.lane);
    if (c->peers.n > 0 && d->service.courier == NULL) {
        snprintf(err, KMS_NET_ERR, "cannot start the thread that asks other KMSs");
        return false;
    }
    if (!kms_udp_start(&d->udp, &d->service, c->listen, c->n_listen, &slot, err) ||
        !kms_http_start(&d->http, &d->service, c->listen, c->n_listen, &slot, err))
        return false;
    d->watch = kms_watch_start(&d->service, d->store, d->version, d->http, d->reload);
    if (d->watch == NULL) {
        snprintf(err, KMS_NET_ERR, "cannot start the thread that watches the store");
        return false;
    }
    kms_service_wait(&d->service);
    atomic_store(&d->service.state.ready, true);
    return kms_api_http_start(&d->api, &d->service, d->reload, &c->api, count_readers(c), err) &&
           kms_admin_start(&d->admin, &d->service, &c->admin, err);
}

static void
announce(struct daemon *d, const struct kms_index *index)
{
    const struct kms_config *c = &d->config;

    for (size_t i = 0; i < c->n_listen; i++)
        printf("listening %s\n", c->listen[i].url);
    if (d->admin != NULL)
        printf("admin %s\n", c->admin.url);
    if (c->api.url[0] != '\0')
        printf("api %s\n", c->api.url);
    puts("ready");
    kms_notify("READY=1");
    fflush(stdout); /* a reader that is gone is no reason to stop */
    if (!kms_memory_locked() && !kms_index_locked(index) && c->lock_memory != 0)
        KMS_LOG(&d->log, KMS_WARN, "memory-not-locked",
                kms_text("effect", "keys may be written to swap"),
                kms_text("hint", "raise the limit of locked memory (ulimit -l, LimitMEMLOCK)"));
    if (d->service.audit == NULL)
        KMS_LOG(&d->log, KMS_WARN, "audit-off",
                kms_text("effect", "what is decided is not recorded"));
    KMS_LOG(&d->log, KMS_INFO, "started", kms_text("version", mkt_version()),
            kms_text("identity", c->identity), kms_text("store", c->store),
            kms_text("policy", c->policy[0] == '\0' ? "built-in" : c->policy),
            kms_number("workers", c->workers),
            kms_number("vault", c->vault != 0 ? kms_vault_process_id(d->vault) : getpid()),
            kms_number("credentials", (int64_t)kms_index_users(index)),
            kms_number("ticket-keys", (int64_t)kms_index_tpks(index)),
            kms_number("source_rate", c->source.rate),
            kms_number("identity_rate", c->identity_quota.rate));
}

static void
wait_for_end(struct daemon *d, const sigset_t *signals)
{
    char err[KMS_RELOAD_ERR];
    int sig;

    for (;;) {
        if (sigwait(signals, &sig) != 0)
            return;
        if (sig != SIGHUP) {
            kms_notify("STOPPING=1");
            KMS_LOG(&d->log, KMS_INFO, "stopping", kms_text("signal", strsignal(sig)));
            return;
        }
        (void)kms_reload_run(d->reload, NULL, NULL, err); /* the log has it all */
    }
}

/* The last record: what was done since the first. */
static void
end_audit(struct daemon *d, const struct kms_tally *n)
{
    struct kms_trail *t = calloc(1, sizeof *t);

    if (t != NULL) {
        kms_trail_begin(t, "stop", kms_store_clock_ns(&d->service.clock));
        for (enum kms_outcome o = 0; o < KMS_OUTCOME_COUNT; o++)
            kms_trail_number(t, kms_outcome_word(o), kms_tally_outcome(n, o));
        kms_trail_end(t);
    }
    kms_audit_close(d->service.audit, t);
    d->service.audit = NULL;
    free(t);
}

static void
stop_serving(struct daemon *d)
{
    const struct kms_tally *n = &d->service.ended;
    struct kms_store_err err = { 0 };

    atomic_store(&d->service.state.ready, false);
    kms_admin_stop(d->admin);
    kms_api_http_stop(d->api);
    kms_watch_stop(d->watch);
    kms_courier_stop(d->service.courier);
    kms_lane_stop(d->service.lane);
    kms_udp_stop(d->udp);
    kms_audit_drain(d->service.audit);
    kms_http_stop(d->http);
    kms_lane_free(d->service.lane);
    kms_courier_free(d->service.courier);
    if (kms_marks_settle(d->service.marks, kms_store_clock_s(&d->service.clock), &err) !=
        KMS_STORE_OK)
        KMS_LOG(&d->log, KMS_WARN, "marks-unsettled", kms_text("error", err.text),
                kms_text("effect", "clients with counters may be refused for a few values, those "
                                   "with a clock that is ahead for a few seconds"));
    struct kms_field f[KMS_OUTCOME_COUNT + 1];
    for (enum kms_outcome o = 0; o < KMS_OUTCOME_COUNT; o++)
        f[o] = kms_number(kms_outcome_word(o), (int64_t)kms_tally_outcome(n, o));
    f[KMS_OUTCOME_COUNT] = kms_number("log-lines-lost", (int64_t)atomic_load(&d->log.lost));
    kms_log_line(&d->log, KMS_INFO, "stopped", f, KMS_OUTCOME_COUNT + 1);
    end_audit(d, n);
}

/* The admin API has its own authorities, and the same certificates. */
static bool
open_tls(struct daemon *d, char err[KMS_TLS_ERR])
{
    const struct kms_tls_files port = kms_tls_port(&d->config), api = kms_tls_api(&d->config);

    return kms_tls_open(&d->tls, &port, err) &&
           (d->config.api.url[0] == '\0' || kms_tls_open(&d->api_tls, &api, err));
}

static void
close_tls(struct daemon *d)
{
    kms_tls_close(d->tls);
    kms_tls_close(d->api_tls);
}

/* What is read before anything is served. */
static enum kms_exit
open_files(struct daemon *d, struct kms_index **index)
{
    struct kms_store_err store_err = { 0 };
    char rules_err[KMS_DOCUMENT_ERR], pki_err[KMS_PKI_ERR] = "";

    if (!kms_rules_live_open(&d->rules, &d->config, count_readers(&d->config) + 1, rules_err))
        return fail(d, KMS_EXIT_CONFIG, "policy", rules_err);
    if (open_store(d, index, &store_err) != KMS_STORE_OK)
        return fail(d, KMS_EXIT_STORE, "store", store_err.text);
    if (!kms_pki_open(&d->pki, &d->config, pki_err) || !open_tls(d, pki_err) ||
        !kms_peers_open(&d->peers, &d->config, count_readers(&d->config), pki_err))
        return fail(d, KMS_EXIT_CONFIG, "certificates", pki_err);
    return KMS_EXIT_OK;
}

/* The first start of all: there is no store yet, and there may be no KEK yet. */
static bool
make_kek(struct daemon *d, char err[KMS_KEK_ERR])
{
    const char *spec = d->config.kek;
    bool made = false;

    if (access(d->config.store, F_OK) == 0 || kms_kek_make(spec, &made)) {
        if (made)
            KMS_LOG(&d->log, KMS_WARN, "kek-created", kms_text("kek", spec),
                    kms_text("hint", "keep a copy of it apart from the backups of the store"));
        return true;
    }
    snprintf(err, KMS_KEK_ERR, "cannot write %.400s: %s", spec, strerror(errno));
    return false;
}

/* The KEK comes first: without it nothing else is of use. */
static bool
open_vault(struct daemon *d, char err[KMS_KEK_ERR])
{
    struct kms_kek *kek = NULL;

    if (!make_kek(d, err))
        return false;
    if (d->config.vault != 0) {
        d->vault = kms_vault_process(&d->config, count_readers(&d->config) + 1, err);
        return d->vault != NULL;
    }
    if (d->config.kek[0] != '\0') {
        kek = kms_kek_open(d->config.kek, false, err);
        if (kek == NULL)
            return false;
    }
    d->vault = kms_vault_local(kek, count_readers(&d->config) + 1);
    if (d->vault == NULL)
        snprintf(err, KMS_KEK_ERR, "out of memory");
    return d->vault != NULL;
}

/* Nothing can be served without the vault: an orderly end, from the thread that notices. */
static void
vault_gone(void *ctx, const char *how)
{
    struct daemon *d = ctx;

    atomic_store(&d->vault_gone, true);
    KMS_LOG(&d->log, KMS_ERROR, "vault-gone", kms_text("how", how),
            kms_text("effect", "no key can be used: the daemon ends"));
    pthread_kill(d->main, SIGINT); /* it waits for one */
}

/* The sockets first, which may need a privilege; then only what is needed is kept. */
static enum kms_exit
settle(struct daemon *d)
{
    struct kms_config *c = &d->config;
    char err[KMS_NET_ERR];

    _Static_assert(KMS_NET_ERR >= KMS_HARDEN_ERR, "one buffer for both");
    d->reload = kms_reload_new(&d->service, c); /* before addresses get their real ports */
    if (d->reload == NULL)
        return fail(d, KMS_EXIT_FAILED, "start", "out of memory");
    for (size_t i = 0; i < c->n_listen; i++)
        if (!kms_listen_bind(&c->listen[i], c->workers, err))
            return fail(d, KMS_EXIT_LISTEN, "listen", err);
    if ((c->admin.url[0] != '\0' && !kms_listen_bind(&c->admin, 1, err)) ||
        (c->api.url[0] != '\0' && !kms_listen_bind(&c->api, 1, err)))
        return fail(d, KMS_EXIT_LISTEN, "listen", err);
    if (!kms_lock_memory(c, err) || !kms_drop_privileges(c, err) ||
        !kms_filter_install(c,
                            c->vault == 0 && strncmp(c->kek, "pkcs11:", 7) == 0 ? KMS_FILTER_BOTH
                                                                                : KMS_FILTER_DAEMON,
                            err))
        return fail(d, KMS_EXIT_FAILED, "harden", err);
    if (d->config.vault != 0 && !kms_vault_process_watch(d->vault, vault_gone, d))
        return fail(d, KMS_EXIT_FAILED, "start", "no thread to watch the vault");
    return KMS_EXIT_OK;
}

static enum kms_exit
serve(struct daemon *d)
{
    struct kms_index *index = NULL;
    char err[KMS_API_ERR] = "", audit_err[KMS_AUDIT_ERR] = "", kek_err[KMS_KEK_ERR] = "";
    const char *failed;
    enum kms_exit code;
    sigset_t signals;
    int64_t ago_ns;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (!open_vault(d, kek_err))
        return fail(d, KMS_EXIT_STORE, "kek", kek_err);
    code = settle(d);
    if (code == KMS_EXIT_OK)
        code = open_files(d, &index);
    if (code != KMS_EXIT_OK) {
        kms_index_free(index);
        kms_rules_live_close(&d->rules);
        return code;
    }
    ago_ns = kms_steady_ns() - d->began_ns; /* our clock may have been set since */
    if (!kms_service_init(&d->service, &d->config, &d->log, kms_unix_ns() - ago_ns, index,
                          count_readers(&d->config) + 1, d->marks, &failed)) {
        code = fail(d, KMS_EXIT_FAILED, "start", failed);
    } else if (!kms_audit_open(&d->service.audit, &d->config, &d->log, d->seals, &d->service.clock,
                               audit_err)) {
        code = fail(d, KMS_EXIT_FAILED, "audit", audit_err);
    } else if (!start_serving(d, err)) {
        code = fail(d, KMS_EXIT_LISTEN, "listen", err);
        stop_serving(d);
    } else {
        announce(d, index);
        wait_for_end(d, &signals);
        stop_serving(d);
    }
    kms_service_free(&d->service);
    kms_rules_live_close(&d->rules);
    kms_pki_close(d->pki);
    close_tls(d);
    kms_peers_close(d->peers);
    return code == KMS_EXIT_OK && atomic_load(&d->vault_gone) ? KMS_EXIT_FAILED : code;
}

static enum kms_exit
check_files(struct daemon *d)
{
    char err[KMS_PKI_ERR > KMS_DOCUMENT_ERR ? KMS_PKI_ERR : KMS_DOCUMENT_ERR];
    _Static_assert(sizeof err >= KMS_HARDEN_ERR, "one buffer for all");
    struct kms_rules *rules = kms_rules_load(&d->config, err);
    bool ok = rules != NULL && kms_account_known(&d->config, err) &&
              kms_control_fits(d->config.control, err) && kms_pki_open(&d->pki, &d->config, err) &&
              open_tls(d, err) && kms_peers_open(&d->peers, &d->config, 1, err);

    if (!ok)
        fprintf(stderr, "%s\n", err);
    kms_rules_free(rules);
    kms_pki_close(d->pki);
    close_tls(d);
    kms_peers_close(d->peers);
    return ok ? KMS_EXIT_OK : KMS_EXIT_CONFIG;
}

static void
leave(struct daemon *d)
{
    for (size_t i = 0; i < d->config.n_listen; i++)
        kms_listen_close(&d->config.listen[i]);
    kms_listen_close(&d->config.admin);
    kms_listen_close(&d->config.api);
    kms_reload_free(d->reload);
    kms_vault_close(d->vault);
}

static int
run(const char *path, bool check)
{
    char err[KMS_CONFIG_ERR];
    struct daemon *d = calloc(1, sizeof *d);
    enum kms_exit code;

    if (d == NULL) {
        fputs("mikey-kmsd: out of memory\n", stderr);
        return KMS_EXIT_FAILED;
    }
    if (!kms_config_load(&d->config, path, err)) {
        fprintf(stderr, "%s\n", err);
        free(d);
        return KMS_EXIT_CONFIG;
    }
    if (check) {
        code = check_files(d);
        free(d);
        return (int)code;
    }
    d->began_ns = kms_steady_ns();
    kms_harden(d->config.core_dumps != 0);
    d->main = pthread_self();
    kms_log_init(&d->log, STDERR_FILENO, (enum kms_level)d->config.log_level,
                 d->config.log_format == 1);
    if (!selftest())
        code = fail(d, KMS_EXIT_FAILED, "selftest",
                    "the cryptographic self-test failed: refusing to start");
    else
        code = serve(d);
    leave(d);
    if (d->seals != NULL)
        d->seals->ops->close(d->seals);
    if (d->tickets != NULL)
        d->tickets->ops->close(d->tickets);
    if (d->marks != NULL)
        d->marks->ops->close(d->marks);
    if (d->store != NULL)
        d->store->ops->close(d->store);
    free(d);
    return (int)code;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' },
                                             { "check", no_argument, NULL, 'k' },
                                             { "help", no_argument, NULL, 'h' },
                                             { "version", no_argument, NULL, 'V' },
                                             { NULL, 0, NULL, 0 } };
    /* its own buffer: before stdio makes one it asks a device whether it is a terminal, such as
     * /dev/null, and the filter of system calls ends whoever asks */
    static char out[BUFSIZ];
    const char *path = NULL;
    bool check = false;
    int o;

    kms_outputs();
    setvbuf(stdout, out, _IOFBF, sizeof out);
    while ((o = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        if (o == 'h')
            return help();
        if (o == 'V') {
            printf("mikey-kmsd %s\n", mkt_version());
            return KMS_EXIT_OK;
        }
        if (o == '?') {
            fputs("Try mikey-kmsd --help.\n", stderr);
            return KMS_EXIT_USAGE;
        }
        if (o == 'c')
            path = optarg;
        else
            check = true;
    }
    if (path == NULL || optind != argc) {
        fputs(path == NULL ? "mikey-kmsd: --config FILE is needed. Try --help.\n"
                           : "mikey-kmsd: takes options only. Try --help.\n",
              stderr);
        return KMS_EXIT_USAGE;
    }
    kms_open_files_raise();
    return run(path, check);
}
