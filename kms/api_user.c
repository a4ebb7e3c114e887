/* SPDX-License-Identifier: Apache-2.0 */
/* Everything about one user on one page, but keys. */
#include "api_list.h"

struct portrait {
    struct kms_page page; /* first: for the names of realms, and the time */
    json_t *tpks;         /* read before the user */
};

static bool
take_tpk(void *ctx, const struct kms_tpk *t)
{
    struct portrait *x = ctx;
    json_t *row = json_object();

    kms_api_put(row, "id", kms_api_words(t->id));
    kms_api_put(row, "suite", json_integer(t->key_len == 16 ? 128 : 256));
    kms_api_put(row, "created", kms_api_time(t->created));
    return json_array_append_new(x->tpks, row) == 0;
}

/* Of the user, with its first row. */
static json_t *
begin(struct portrait *x, const struct kms_user *u)
{
    json_t *o = json_object();

    kms_api_put(o, "identity", kms_api_words(u->identity));
    kms_api_put(o, "state", json_string(kms_user_state(u, x->page.now)));
    kms_api_put(o, "expires", kms_api_time(u->expires));
    kms_api_put(o, "realm", kms_page_realm_name(&x->page, u->realm_number));
    kms_api_put(o, "aliases", json_array());
    kms_api_put(o, "credentials", json_array());
    kms_api_put(o, "tpks", json_incref(x->tpks));
    kms_api_put(o, "groups", json_array());
    return o;
}

static bool
take_user(void *ctx, const struct kms_user *u)
{
    struct portrait *x = ctx;
    struct kms_api_call *c = x->page.call;
    json_t *row;

    if (c->answer == NULL)
        c->answer = begin(x, u);
    if (u->psk_id == NULL)
        return true;
    row = json_object();
    kms_api_put(row, "psk-id", kms_api_words(u->psk_id));
    kms_api_put(row, "suite", json_integer(u->psk_len == 16 ? 128 : 256));
    kms_api_put(row, "added", kms_api_time(u->added));
    return json_array_append_new(json_object_get(c->answer, "credentials"), row) == 0;
}

static bool
add_name(const struct portrait *x, const char *list, const char *name)
{
    return json_array_append_new(json_object_get(x->page.call->answer, list),
                                 kms_api_words(name)) == 0;
}

static bool
take_alias(void *ctx, const char *identity)
{
    return add_name(ctx, "aliases", identity);
}

static bool
take_group(void *ctx, const struct kms_group *g)
{
    return add_name(ctx, "groups", g->identity);
}

unsigned
kms_api_user(struct kms_api_call *c)
{
    struct portrait x = { .tpks = json_array() };
    const struct kms_sink sink = { .realm = kms_page_realm,
                                   .user = take_user,
                                   .alias = take_alias,
                                   .tpk = take_tpk,
                                   .group = take_group,
                                   .ctx = &x };
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc;

    (void)kms_page_begin(&x.page, c, "user");
    rc = c->store->ops->read_user(c->store, c->args[0], &sink, &err);
    json_decref(x.page.realms);
    json_decref(x.page.rows);
    json_decref(x.tpks);
    return rc == KMS_STORE_OK ? KMS_API_OK : kms_api_store(c, rc, &err);
}
