/* SPDX-License-Identifier: Apache-2.0 */
/* ticket issue: a ticket for a device that is to have it before it ever asks (RFC 6043 4.1.1). A
 * Ticket Request is asked and answered in memory, under a PSK that is made for it and forgotten: so
 * there is one way to make a ticket, and one policy. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mikeyticket/initiator.h>
#include <mikeyticket/kms.h>

#include "document.h"
#include "instant.h"
#include "kmsctl.h"
#include "tickets.h"
#include "tpk.h"
#include "wish.h"

#define GRANT_MAX 131072 /* octets of an exported ticket */

struct issue {
    const struct kms_ctl *ctl;
    struct kms_index *index;
    struct kms_rules *rules;
    struct mkt_env env;
    struct mkt_policy want, granted;
    struct mkt_identity client, kms;
    struct mkt_inkey_mem psk, tpk;
    struct kms_found_tpk found;
    struct mkt_initiator *initiator;
    struct mkt_kms_txn *txn;
    struct mkt_grant *grant;
    struct mkt_err err;
    uint8_t question[MKT_MSG_MAX], answer[MKT_MSG_MAX], file[GRANT_MAX];
};

static enum kms_exit
refused(const struct mkt_err *err)
{
    fprintf(stderr, "mikey-kmsctl: the policy does not allow it: %s: %s (%s)\n", err->what,
            mkt_strerror(err->rc), err->ref);
    return KMS_EXIT_FAILED;
}

static enum kms_exit
failed(const char *what)
{
    fprintf(stderr, "mikey-kmsctl: %s\n", what);
    return KMS_EXIT_FAILED;
}

static bool
make_psk(struct issue *x)
{
    MKT_SCOPED_SECRET
    key = { .n = mkt_suite_of(x->want.prf)->key_len };

    return mkt_crypto_random(NULL, key.b, key.n) &&
           mkt_inkey_mem_init(&x->psk, mkt_secret_span(&key)) == MKT_OK;
}

static enum mkt_next
ask(struct issue *x, struct mkt_io *io)
{
    const struct mkt_credential cred = {
        .self = x->client, .kms = x->kms, .psk = &x->psk.base, .ts_type = MKT_TS_NTP_UTC
    };

    x->initiator = mkt_initiator_new(&cred);
    if (x->initiator == NULL)
        return MKT_NEXT_ABORT;
    *io = (struct mkt_io){ .out = x->question, .cap = sizeof x->question };
    return mkt_initiator_request(x->initiator, &x->env, &x->want, io);
}

static enum mkt_next
reply(struct issue *x, struct mkt_io *io)
{
    const struct kms_circumstances q = { .rules = x->rules,
                                         .client = x->client,
                                         .kms = x->kms,
                                         .now = x->env.now,
                                         .directory = kms_index_directory(x->index) };
    struct mkt_span question = mkt_span(x->question, io->out_len);

    *io = (struct mkt_io){ .out = x->answer, .cap = sizeof x->answer };
    if (mkt_kms_begin(x->txn, question, &io->err) != MKT_OK ||
        mkt_kms_verify(x->txn, &x->env, &x->psk.base, x->client, x->kms, &io->err) != MKT_OK ||
        kms_tpk_grant(&x->granted, &x->found, mkt_kms_ask(x->txn)->policy, &q, x->index,
                      &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    if (mkt_inkey_mem_init(&x->tpk, x->found.key) != MKT_OK) {
        mkt_fail(&io->err, MKT_E_WEAK_KEY, 0, "TPK", "RFC 6043 12.1");
        return MKT_NEXT_ABORT;
    }
    const struct mkt_tpk tpk = { x->found.id, &x->tpk.base, x->found.owner };
    return mkt_kms_issue(x->txn, &x->env, &x->granted, &tpk, mkt_span(NULL, 0), io);
}

/* The keys of a reference ticket go into the store before the ticket goes anywhere. */
static bool
keep(struct issue *x, struct kms_store_err *err)
{
    return kms_ticket_keep(x->ctl->store, x->txn, &x->granted, mkt_ntp_to_unix(x->env.now), err) ==
           KMS_STORE_OK;
}

static bool
make_grant(struct issue *x)
{
    struct mkt_io io = { 0 };
    bool ok = ask(x, &io) == MKT_NEXT_SEND_KMS && reply(x, &io) == MKT_NEXT_SEND_PEER;

    if (ok) {
        io = (struct mkt_io){ .in = mkt_span(x->answer, io.out_len) };
        ok = mkt_initiator_granted(x->initiator, &x->env, &io, &x->grant) == MKT_NEXT_DONE;
    }
    x->err = io.err;
    if (!ok)
        mkt_fail(&x->err, MKT_E_MEMORY, 0, "ticket", "RFC 6043 4.1.1");
    return ok;
}

static void
report(const struct issue *x)
{
    const struct mkt_policy *p = mkt_grant_policy(x->grant);
    char flags[13], until[32];

    mkt_policy_flags_format(p->flags, flags);
    kms_instant_write(mkt_ntp_to_unix(p->end.value), until);
    printf("issued to %s, flags %s, valid until %s, protected with %.*s\n", x->ctl->as, flags,
           until, (int)x->found.id.n, (const char *)x->found.id.p);
    if ((p->flags & MKT_TP_K) != 0)
        puts("The policy changed what was wanted (K): compare flags and time.");
    printf("The ticket and its keys are in %s: hand it over and delete it here.\n", x->ctl->out);
}

static enum kms_exit
save(struct issue *x)
{
    size_t n = 0;

    if (mkt_grant_export(x->grant, x->file, sizeof x->file, &n) != MKT_OK)
        return failed("the ticket is too large for a file");
    if (!kms_secret_write(x->ctl->out, x->file, n)) {
        fprintf(stderr, "mikey-kmsctl: cannot write %s: %s\n", x->ctl->out, strerror(errno));
        return KMS_EXIT_FAILED;
    }
    report(x);
    return KMS_EXIT_OK;
}

static enum kms_exit
issue(struct issue *x)
{
    struct kms_store_err err = { 0 };
    char wrong[KMS_DOCUMENT_ERR];

    x->rules = kms_rules_load(x->ctl->config, wrong);
    if (x->rules == NULL) {
        fprintf(stderr, "%s\n", wrong);
        return KMS_EXIT_CONFIG;
    }
    if (kms_index_build(&x->index, x->ctl->store, &err) != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (!kms_index_is_user(x->index, x->client, mkt_ntp_to_unix(x->env.now))) {
        fprintf(stderr, "mikey-kmsctl: %s is no user, or suspended or expired: see user list\n",
                x->ctl->as);
        return KMS_EXIT_STORE;
    }
    x->txn = mkt_kms_txn_new();
    if (x->txn == NULL || x->env.crypto == NULL || !make_psk(x))
        return failed("out of memory, or the random number generator failed");
    if (make_grant(x))
        return keep(x, &err) ? save(x) : kms_ctl_fail(&err);
    if (x->err.rc == MKT_E_STATE)
        return failed("there is no ticket protection key yet: start the daemon, or tpk rotate");
    return refused(&x->err);
}

static void
forget(struct issue *x)
{
    mkt_grant_free(x->grant);
    mkt_initiator_free(x->initiator);
    mkt_kms_txn_free(x->txn);
    mkt_crypto_free(x->env.crypto);
    kms_index_free(x->index);
    kms_rules_free(x->rules);
    mkt_wipe(x, sizeof *x);
    free(x);
}

static const char *
read_wish(struct issue *x)
{
    const struct kms_ctl *ctl = x->ctl;
    struct kms_wish w = { ctl->flags, ctl->validity, ctl->type,
                          ctl->suite, { NULL },      { NULL },
                          ctl->n_to,  ctl->n_keys,   ctl->config->max_validity_s };

    memcpy(w.to, ctl->to, sizeof w.to);
    memcpy(w.keys, ctl->keys, sizeof w.keys);
    return kms_wish_read(&x->want, &w, x->env.now);
}

enum kms_exit
kms_ctl_ticket_issue(const struct kms_ctl *ctl)
{
    struct issue *x = calloc(1, sizeof *x);
    const char *wrong = NULL;
    enum kms_exit code;
    struct timespec ts;

    if (x == NULL)
        return failed("out of memory");
    clock_gettime(CLOCK_REALTIME, &ts);
    x->ctl = ctl;
    x->env = (struct mkt_env){ .crypto = mkt_crypto_new(),
                               .now = mkt_ntp_from_unix(ts.tv_sec, (uint32_t)ts.tv_nsec),
                               .random = mkt_crypto_random };
    x->kms = kms_identity_of(ctl->kms);
    if (ctl->as == NULL || ctl->out == NULL)
        wrong = "ticket issue needs --as IDENTITY, --to IDENTITY and --out FILE";
    if (wrong == NULL)
        wrong = read_wish(x);
    if (wrong == NULL) {
        x->client = kms_identity_of(ctl->as);
        if (x->client.data.p == NULL)
            wrong = "--as is a URI (sip:alice@example.com) or a NAI (alice@example.com)";
    }
    code = wrong != NULL ? kms_ctl_misuse(wrong) : issue(x);
    forget(x);
    return code;
}
