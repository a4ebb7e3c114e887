/* SPDX-License-Identifier: Apache-2.0 */
/* Export of a ticket protection key, by two people (export.h). The key is sealed before it becomes
 * a part of any answer. */
#include <stdlib.h>
#include <string.h>

#include "api_parts.h"
#include "base64.h"
#include "clock.h"
#include "export.h"
#include "sealed_key.h"

/* --- the key ---------------------------------------------------------------------------------- */

struct sought {
    const char *id;
    struct mkt_secret *key;  /* NULL: only whether there is one */
    struct kms_vault *vault; /* that may give it, of the kind in this process */
    char owner[MKT_ID_MAX + 1];
    bool found;
};

static bool
open_key(struct sought *s, const struct kms_tpk *t)
{
    const struct kms_locker l = { .kind = KMS_TPK,
                                  .owner =
                                      mkt_span(t->owner, t->owner == NULL ? 0 : strlen(t->owner)),
                                  .id = mkt_span(t->id, strlen(t->id)),
                                  .key = t->key };

    return kms_local_export(s->vault, &l, s->key);
}

static bool
seek(void *ctx, const struct kms_tpk *t)
{
    struct sought *s = ctx;

    if (strcmp(t->id, s->id) != 0)
        return true;
    s->found = s->key == NULL || open_key(s, t);
    snprintf(s->owner, sizeof s->owner, "%s", t->owner != NULL ? t->owner : "");
    return true;
}

/* 0, or the status of a refusal. */
static unsigned
find_key(struct kms_api_call *c, struct sought *s)
{
    const struct kms_sink sink = { .tpk = seek, .ctx = s };
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc = c->store->ops->read(c->store, &sink, s->key != NULL, &err);

    if (rc != KMS_STORE_OK)
        return kms_api_store(c, rc, &err);
    return s->found ? 0
                    : kms_api_refuse(c, KMS_API_NOT_FOUND, NULL, "there is no key %s: see tpk list",
                                     s->id);
}

/* --- the desk --------------------------------------------------------------------------------- */

static json_t *
row_of(const struct kms_export *x, int64_t now_s)
{
    json_t *row = json_object();

    kms_api_put(row, "number", json_integer((json_int_t)x->number));
    kms_api_put(row, "tpk-id", kms_api_words(x->tpk));
    kms_api_put(row, "state", json_string(x->state == KMS_EXPORT_APPROVED ? "approved" : "asked"));
    kms_api_put(row, "asked-by", kms_api_words(x->asker));
    kms_api_put(row, "approved-by", x->approver[0] == '\0' ? NULL : kms_api_words(x->approver));
    kms_api_put(row, "seconds", json_integer(x->until_s - now_s));
    return row;
}

static uint64_t
number_of(const struct kms_api_call *c)
{
    const char *text = c->args[0];
    size_t n = strlen(text);

    return n < 19 && strspn(text, "0123456789") == n ? strtoull(text, NULL, 10) : 0;
}

/* The answer to a step: the row, or why not. */
static unsigned
stepped(struct kms_api_call *c, const char *wrong, const struct kms_export *x)
{
    if (wrong != NULL)
        return kms_api_refuse(c, KMS_API_CONFLICT, NULL, "%s", wrong);
    c->answer = row_of(x, kms_steady_s());
    return KMS_API_OK;
}

unsigned
kms_api_export_ask(struct kms_api_call *c)
{
    struct sought s = { .id = kms_api_given(c, "tpk-id") };
    unsigned refused = find_key(c, &s);
    struct kms_export x;
    const char *wrong;

    if (refused != 0)
        return refused;
    if (c->api->config->vault != 0)
        return kms_api_refuse(c, KMS_API_CONFLICT, NULL,
                              "a vault of its own process gives no key out, to nobody");
    wrong = kms_export_ask(c->api->desk, c->caller.name, s.id, kms_steady_s(),
                           c->api->config->export_s, &x);
    return stepped(c, wrong, &x);
}

unsigned
kms_api_exports(struct kms_api_call *c)
{
    struct kms_export rows[KMS_EXPORTS_MAX];
    int64_t now_s = kms_steady_s();
    size_t n = kms_export_list(c->api->desk, now_s, rows);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, row_of(&rows[i], now_s));
    c->answer = json_object();
    kms_api_put(c->answer, "exports", list);
    return KMS_API_OK;
}

unsigned
kms_api_export_approve(struct kms_api_call *c)
{
    struct kms_export x;
    const char *wrong =
        kms_export_approve(c->api->desk, number_of(c), c->caller.name, kms_steady_s(), &x);

    return stepped(c, wrong, &x);
}

unsigned
kms_api_export_drop(struct kms_api_call *c)
{
    struct kms_export x;
    const char *wrong = kms_export_drop(c->api->desk, number_of(c), kms_steady_s(), &x);

    return stepped(c, wrong, &x);
}

static json_t *
base64_of(const uint8_t *p, size_t n)
{
    char text[4 * ((KMS_SEALED_KEY_MAX + 2) / 3) + 1];

    return json_stringn(text, mkt_base64_encode(mkt_span(p, n), text));
}

unsigned
kms_api_export_take(struct kms_api_call *c)
{
    MKT_SCOPED_SECRET
    key = { 0 };
    const char *passphrase = kms_api_given(c, "passphrase"), *wrong;
    const struct mkt_span secret = mkt_span(passphrase, strlen(passphrase));
    struct sought s = { .key = &key, .vault = c->api->vault };
    uint8_t sealed[KMS_SEALED_KEY_MAX];
    struct kms_export x;
    unsigned refused;
    size_t n;

    if (secret.n < KMS_PASSPHRASE_MIN)
        return kms_api_refuse(c, KMS_API_MALFORMED, "/passphrase",
                              "a passphrase has at least 12 characters");
    wrong = kms_export_take(c->api->desk, number_of(c), c->caller.name, kms_steady_s(), &x);
    if (wrong != NULL)
        return kms_api_refuse(c, KMS_API_CONFLICT, NULL, "%s", wrong);
    s.id = x.tpk;
    refused = find_key(c, &s);
    if (refused != 0)
        return refused;
    if (!kms_sealed_key_make(&key, x.tpk, secret, sealed, &n))
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "the key cannot be sealed");
    c->answer = row_of(&x, kms_steady_s());
    kms_api_put(c->answer, "owner", s.owner[0] == '\0' ? NULL : kms_api_words(s.owner));
    kms_api_put(c->answer, "sealed", base64_of(sealed, n));
    return KMS_API_OK;
}
