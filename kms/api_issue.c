/* SPDX-License-Identifier: Apache-2.0 */
/* A ticket for a device that is to have it before it ever asks (RFC 6043 4.1.1). The caller makes a
 * Ticket Request under a PSK of its own making and gets what a client would get: so there is one
 * way to make a ticket, one policy, and no key in the answer that the PSK does not protect. */
#include <stdlib.h>
#include <string.h>

#include "api_parts.h"
#include "api_picture.h"
#include "base64.h"
#include "document.h"
#include "key_text.h"
#include "tickets.h"
#include "tpk.h"

struct issue {
    struct kms_api_call *call;
    struct kms_picture picture;
    struct kms_policy_picture policy;
    struct mkt_env env;
    struct mkt_policy granted;
    struct mkt_identity client, kms;
    struct mkt_inkey_mem psk;
    struct kms_inkey tpk;
    struct kms_found_tpk found;
    struct mkt_kms_txn *txn;
    char tpk_id[KMS_PSK_ID_MAX + 1];
    struct mkt_err err;
    size_t n_question, n_answer;
    uint8_t question[KMS_API_MESSAGE], answer[MKT_MSG_MAX];
    char text[4 * ((MKT_MSG_MAX + 2) / 3) + 1];
};

/* The parameters. 0, or the status of a refusal. */
static unsigned
take(struct issue *x)
{
    MKT_SCOPED_SECRET
    key = { 0 };
    struct kms_api_call *c = x->call;
    const char *message = kms_api_given(c, "message"), *psk = kms_api_given(c, "psk"), *wrong;

    x->client = kms_identity_of(kms_api_given(c, "as"));
    if (x->client.data.p == NULL)
        return kms_api_refuse(c, KMS_API_MALFORMED, "/as", KMS_IDENTITY_FORM);
    x->n_question = strlen(message);
    memcpy(x->question, message, x->n_question);
    if (!mkt_base64_decode_lines(x->question, x->n_question, &x->n_question))
        return kms_api_refuse(c, KMS_API_MALFORMED, "/message", "is not base64");
    wrong = kms_key_read(&key, psk, strlen(psk), NULL);
    if (wrong != NULL || mkt_inkey_mem_init(&x->psk, mkt_secret_span(&key)) != MKT_OK)
        return kms_api_refuse(c, KMS_API_MALFORMED, "/psk", "%s",
                              wrong != NULL ? wrong : "out of memory");
    return 0;
}

/* What is needed of the KMS. 0, or the status of a refusal. */
static unsigned
gather(struct issue *x)
{
    struct kms_api_call *c = x->call;
    struct kms_store_err err = { 0 };
    char wrong[KMS_DOCUMENT_ERR];

    if (kms_store_clock_astray(c->api->clock, c->api->config->clock_window_s))
        return kms_api_refuse(c, KMS_API_NOT_NOW, NULL, KMS_CLOCK_ASTRAY);
    if (!kms_policy_take(&x->policy, c, wrong))
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "%.500s", wrong);
    if (!kms_picture_take(&x->picture, c, c->api->vault, &err))
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "%s", err.text);
    if (!kms_index_is_user(x->picture.index, x->client, mkt_ntp_to_unix(x->env.now)))
        return kms_api_refuse(c, KMS_API_CONFLICT, NULL,
                              "%s is no user, or suspended or expired: see user list",
                              kms_api_given(c, "as"));
    x->txn = mkt_kms_txn_new();
    if (x->txn == NULL || x->env.crypto == NULL)
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "out of memory");
    return 0;
}

static bool
reply(struct issue *x)
{
    const struct kms_circumstances q = { .rules = x->policy.rules,
                                         .client = x->client,
                                         .kms = x->kms,
                                         .now = x->env.now,
                                         .directory = kms_index_directory(x->picture.index) };
    struct mkt_io io = { .out = x->answer, .cap = sizeof x->answer };
    struct kms_locker l;
    struct mkt_tpk tpk;
    bool ok = mkt_kms_begin(x->txn, mkt_span(x->question, x->n_question), &io.err) == MKT_OK &&
              mkt_kms_verify(x->txn, &x->env, &x->psk.base, x->client, x->kms, &io.err) == MKT_OK &&
              kms_tpk_grant(&x->granted, &x->found, mkt_kms_ask(x->txn)->policy, &q,
                            x->picture.index, &io.err) == MKT_OK;

    if (ok) {
        l = kms_found_tpk_locker(&x->found);
        ok = kms_inkey_init(&x->tpk, x->call->api->vault, x->call->api->slot, &l) ||
             mkt_fail(&io.err, MKT_E_WEAK_KEY, 0, "TPK", "RFC 6043 12.1") == MKT_OK;
    }
    if (ok) {
        tpk = (struct mkt_tpk){ x->found.id, &x->tpk.base, x->found.owner };
        ok = mkt_kms_issue(x->txn, &x->env, &x->granted, &tpk, mkt_span(NULL, 0), &io) ==
             MKT_NEXT_SEND_PEER;
    }
    x->n_answer = io.out_len;
    x->err = io.err;
    if (ok)
        snprintf(x->tpk_id, sizeof x->tpk_id, "%.*s", (int)x->found.id.n,
                 (const char *)x->found.id.p);
    kms_picture_give(&x->picture, x->call); /* storing may take its time */
    kms_policy_give(&x->policy, x->call);
    return ok;
}

static json_t *
identities(const struct mkt_identity *list, size_t n)
{
    json_t *o = json_array();
    char text[MKT_ID_MAX + 1];

    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%.*s", (int)list[i].data.n, (const char *)list[i].data.p);
        (void)json_array_append_new(o, kms_api_words(text));
    }
    return o;
}

/* The keys of a reference ticket go into the store before the ticket goes anywhere. */
static unsigned
answer(struct issue *x)
{
    struct kms_api_call *c = x->call;
    struct kms_store_err err = { 0 };

    if (kms_ticket_keep(c->store, c->api->vault, x->txn, &x->granted, &err) != KMS_STORE_OK)
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "%s", err.text);
    c->noted = json_object();
    kms_api_put(c->noted, "to", identities(x->granted.responders, x->granted.n_responders));
    kms_api_put(c->noted, "until", kms_api_time(mkt_ntp_to_unix(x->granted.end.value)));
    kms_api_put(c->noted, "tpk", kms_api_words(x->tpk_id));
    c->answer = json_object();
    kms_api_put(c->answer, "tpk-id", kms_api_words(x->tpk_id));
    kms_api_put(
        c->answer, "message",
        json_stringn(x->text, mkt_base64_encode(mkt_span(x->answer, x->n_answer), x->text)));
    return KMS_API_OK;
}

static unsigned
issue(struct issue *x)
{
    struct kms_api_call *c = x->call;
    unsigned refused = take(x);

    if (refused == 0)
        refused = gather(x);
    if (refused != 0)
        return refused;
    if (reply(x))
        return answer(x);
    if (x->err.rc == MKT_E_STATE)
        return kms_api_refuse(
            c, KMS_API_NOT_NOW, NULL,
            "there is no ticket protection key yet: start the daemon, or tpk rotate");
    return kms_api_refuse(c, KMS_API_NOT_ALLOWED, NULL, "the policy does not allow it: %s: %s (%s)",
                          x->err.what, mkt_strerror(x->err.rc), x->err.ref);
}

unsigned
kms_api_issue(struct kms_api_call *c)
{
    struct issue *x = calloc(1, sizeof *x);
    unsigned status;

    if (x == NULL)
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "out of memory");
    x->call = c;
    x->env = (struct mkt_env){ .crypto = mkt_crypto_new(),
                               .now = kms_api_now(c),
                               .random = mkt_crypto_random };
    x->kms = kms_identity_of(c->api->config->identity);
    status = issue(x);
    mkt_kms_txn_free(x->txn);
    mkt_crypto_free(x->env.crypto);
    kms_picture_give(&x->picture, c);
    kms_policy_give(&x->policy, c);
    mkt_wipe(x, sizeof *x);
    free(x);
    return status;
}
