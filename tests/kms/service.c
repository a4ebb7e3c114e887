/* SPDX-License-Identifier: Apache-2.0 */
/* A service with two users, as if it had run for an hour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "document.h"
#include "service.h"
#include "settle.h"
#include "tpk_schedule.h"

const struct sockaddr_in service_from = { .sin_family = AF_INET, .sin_port = 1 };

void
service_add(struct service *f, const struct rig_user *u, const char *psk_id)
{
    struct kms_store_err err;
    struct kms_user row = { .identity = u->identity,
                            .psk_id = psk_id,
                            .psk = { 0, mkt_secret_span(&u->psk.key) } };

    assert_int_equal(f->store->ops->user_add(f->store, &row, &err), KMS_STORE_OK);
}

void
service_share(struct service *f, const char *owner, const char *id, struct mkt_span key)
{
    const struct kms_tpk tpk = { .id = id, .owner = owner, .key = { 0, key } };
    struct kms_store_err err;

    assert_int_equal(f->store->ops->tpk_share(f->store, &tpk, &err), KMS_STORE_OK);
}

static struct kms_index *
build(struct service *f)
{
    struct kms_store_err err;
    struct kms_index *x = NULL;

    assert_int_equal(kms_index_build(&x, f->store, f->vault, &err), KMS_STORE_OK);
    return x;
}

void
service_reload(struct service *f)
{
    kms_current_swap(&f->service.current, build(f));
}

void
service_policy(struct service *f, const char *yaml)
{
    char err[KMS_DOCUMENT_ERR];
    struct kms_rules *rules = yaml == NULL ? kms_rules_load(&f->config, err)
                                           : kms_rules_parse(&f->config, "policy", yaml, err);

    if (rules == NULL)
        fail_msg("%s", err);
    kms_current_swap(&f->rules.current, rules);
}

static void
serve(struct service *f, int64_t began_ns)
{
    const char *failed;

    if (!kms_service_init(&f->service, &f->config, &f->log, began_ns, build(f), 2, f->store,
                          &failed))
        fail_msg("%s", failed);
    f->service.rules = &f->rules;
    f->service.vault = f->vault;
    f->udp = kms_worker_new(&f->service, 0, KMS_UDP);
    f->http = kms_worker_new(&f->service, 1, KMS_HTTP);
    assert_non_null(f->udp);
    assert_non_null(f->http);
}

static void
crash(struct service *f)
{
    kms_worker_free(f->udp);
    kms_worker_free(f->http);
    kms_service_free(&f->service);
}

void
service_again(struct service *f, int64_t began_ns)
{
    crash(f);
    serve(f, began_ns);
}

int
service_open_with(void **state, uint32_t identity_rate, uint32_t replay_capacity)
{
    struct service *f = calloc(1, sizeof *f);
    struct kms_store_err err;
    char rules_err[KMS_DOCUMENT_ERR];
    int64_t generation;

    *state = f;
    f->config =
        (struct kms_config){ .identity = RIG_KMS,
                             .clock_window_s = 300,
                             .max_validity_s = 86400,
                             .replay_capacity = replay_capacity,
                             .retransmit_memory = 65536,
                             .suites = 3,
                             .modes = 14,
                             .ticket_types = KMS_MAKES_BASE,
                             .identity_quota = { .rate = identity_rate, .burst = identity_rate } };
    assert_int_equal(pipe(f->log_pipe), 0);
    kms_log_init(&f->log, f->log_pipe[1], KMS_DEBUG, false);
    f->store = kms_store_open_memory(NULL);
    f->vault = kms_vault_local(NULL, 2);
    assert_non_null(f->vault);
    rig_user_init(&f->alice, ALICE, "alice", MKT_PRF_HMAC_SHA_256);
    rig_user_init(&f->bob, BOB, "bob", MKT_PRF_HMAC_SHA_256);
    service_add(f, &f->alice, "alice");
    service_add(f, &f->bob, "bob");
    assert_int_equal(kms_tpk_rotate(f->store, f->vault, NULL, 86400, &generation, &err),
                     KMS_STORE_OK);
    assert_true(kms_rules_live_open(&f->rules, &f->config, 2, rules_err));
    serve(f, kms_unix_ns() - 3600 * (int64_t)KMS_NS_PER_S);
    return 0;
}

int
service_open(void **state)
{
    return service_open_with(state, 0, 65536);
}

int
service_close(void **state)
{
    struct service *f = *state;

    rig_ask_free(&f->ask);
    rig_ask_free(&f->resolve);
    crash(f);
    kms_rules_live_close(&f->rules);
    kms_vault_close(f->vault);
    f->store->ops->close(f->store);
    close(f->log_pipe[0]);
    close(f->log_pipe[1]);
    free(f);
    return 0;
}

struct kms_reply
service_handle(struct service *f, enum kms_transport transport, const struct rig_ask *a,
               uint8_t port)
{
    struct kms_worker *w = transport == KMS_UDP ? f->udp : f->http;
    struct kms_request req = { .transport = transport,
                               .in = mkt_span(a->octets, a->len),
                               .from = (const struct sockaddr *)&service_from,
                               .source = mkt_span(&port, 1),
                               .out = f->out };

    struct kms_reply r;

    kms_worker_clock(w);
    r = kms_handle(w, &req);
    if (kms_settle(w))
        kms_release(w, &req, &r);
    else
        kms_withhold(w, &req, &r);
    return r;
}

const char *
service_logged(struct service *f)
{
    ssize_t n;

    assert_int_equal(write(f->log_pipe[1], "", 1), 1);
    n = read(f->log_pipe[0], f->log_text, sizeof f->log_text - 1);
    assert_true(n > 0);
    f->log_text[n] = '\0';
    return f->log_text;
}

struct mkt_span
service_out(struct service *f, struct kms_reply r)
{
    return mkt_span(f->out, r.len);
}
