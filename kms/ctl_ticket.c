/* SPDX-License-Identifier: Apache-2.0 */
/* ticket issue: a ticket for a device that is to have it before it ever asks (RFC 6043 4.1.1). The
 * KMS is asked as a client asks it, under a PSK that is made for it and forgotten. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mikeyticket/initiator.h>

#include "base64.h"
#include "ctl_call.h"
#include "hex.h"
#include "instant.h"
#include "wish.h"

#define GRANT_MAX 131072 /* octets of an exported ticket */

struct issue {
    const struct kms_ctl *ctl;
    struct mkt_env env;
    struct mkt_policy want;
    struct mkt_identity client, kms;
    struct mkt_secret key;
    struct mkt_inkey_mem psk;
    struct mkt_initiator *initiator;
    struct mkt_grant *grant;
    char tpk[KMS_PSK_ID_MAX + 1];
    uint8_t question[MKT_MSG_MAX], answer[4 * ((MKT_MSG_MAX + 2) / 3)], file[GRANT_MAX];
};

static enum kms_exit
failed(const char *what)
{
    fprintf(stderr, "mikey-kmsctl: %s\n", what);
    return KMS_EXIT_FAILED;
}

static bool
make_psk(struct issue *x)
{
    x->key.n = mkt_suite_of(x->want.prf)->key_len;
    return mkt_crypto_random(NULL, x->key.b, x->key.n) &&
           mkt_inkey_mem_init(&x->psk, mkt_secret_span(&x->key)) == MKT_OK;
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

/* What the KMS says to the question; the keys in it are under the PSK. */
static enum kms_exit
exchange(struct issue *x, size_t *n)
{
    MKT_SCOPED_SECRET
    key = x->key;
    char hex[2 * MKT_SECRET_MAX + 1];
    char *text = malloc(mkt_base64_len(*n) + 1);
    json_t *body = json_object(), *answer;
    enum kms_exit code;

    if (text != NULL)
        mkt_base64_encode(mkt_span(x->question, *n), text);
    kms_hex_write(hex, key.b, key.n);
    kms_ctl_put(body, "as", x->ctl->as);
    kms_ctl_put(body, "psk", hex);
    kms_ctl_put(body, "message", text);
    mkt_wipe(hex, sizeof hex);
    free(text);
    code = kms_ctl_call(x->ctl, "POST", "/v1/tickets", body, &answer, NULL);
    if (code == KMS_EXIT_OK) {
        const char *message = kms_ctl_text(answer, "message");

        *n = strlen(message) < sizeof x->answer ? strlen(message) : 0;
        memcpy(x->answer, message, *n);
        snprintf(x->tpk, sizeof x->tpk, "%s", kms_ctl_text(answer, "tpk-id"));
        if (!mkt_base64_decode_lines(x->answer, *n, n))
            code = failed("the answer is not understood");
    }
    json_decref(answer);
    return code;
}

static void
report(const struct issue *x)
{
    const struct mkt_policy *p = mkt_grant_policy(x->grant);
    char flags[13], until[32];

    mkt_policy_flags_format(p->flags, flags);
    kms_instant_write(mkt_ntp_to_unix(p->end.value), until);
    if (x->ctl->json) {
        kms_ctl_result(json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "identity", x->ctl->as, "flags",
                                 flags, "until", until, "protected-with", x->tpk, "changed",
                                 (p->flags & MKT_TP_K) != 0, "file", x->ctl->out));
        return;
    }
    printf("issued to %s, flags %s, valid until %s, protected with %s\n", x->ctl->as, flags, until,
           x->tpk);
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
    struct mkt_io io = { 0 };
    enum kms_exit code;
    size_t n;

    if (x->env.crypto == NULL || !make_psk(x) || ask(x, &io) != MKT_NEXT_SEND_KMS)
        return failed("out of memory, or the random number generator failed");
    n = io.out_len;
    code = exchange(x, &n);
    if (code == KMS_EXIT_USAGE) /* not the words: the policy */
        return KMS_EXIT_FAILED;
    if (code != KMS_EXIT_OK)
        return code;
    io = (struct mkt_io){ .in = mkt_span(x->answer, n) };
    if (mkt_initiator_granted(x->initiator, &x->env, &io, &x->grant) != MKT_NEXT_DONE)
        return failed("the ticket cannot be read");
    return save(x);
}

static void
forget(struct issue *x)
{
    mkt_grant_free(x->grant);
    mkt_initiator_free(x->initiator);
    mkt_crypto_free(x->env.crypto);
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
