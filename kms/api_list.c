/* SPDX-License-Identifier: Apache-2.0 */
/* Pages, and the lists of users, groups, members and realms. */
#include "api_list.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"

/* --- pages ------------------------------------------------------------------------------------ */

bool
kms_page_begin(struct kms_page *p, struct kms_api_call *c, const char *name)
{
    struct kms_store_err err;

    *p =
        (struct kms_page){ .call = c, .name = name, .rows = json_array(), .realms = json_object() };
    p->limit = kms_api_number(c, "limit", KMS_PAGE_ROWS);
    (void)c->store->ops->now(c->store, &p->now, &err); /* reading the rows fails as well then */
    p->now /= KMS_NS_PER_S;
    return p->rows != NULL && p->realms != NULL;
}

json_t *
kms_page_row(struct kms_page *p, const char *key)
{
    json_t *row;

    if (json_array_size(p->rows) >= p->limit && strcmp(p->last, key) != 0) {
        p->full = true;
        return NULL;
    }
    row = json_object();
    if (row == NULL || json_array_append_new(p->rows, row) != 0)
        return NULL;
    snprintf(p->last, sizeof p->last, "%s", key);
    return row;
}

unsigned
kms_page_read(struct kms_page *p, struct kms_sink *sink)
{
    struct kms_api_call *c = p->call;
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc;

    sink->ctx = p;
    rc = c->store->ops->read(c->store, sink, false, &err);
    json_decref(p->realms);
    if (rc != KMS_STORE_OK && !p->full) {
        json_decref(p->rows);
        return kms_api_store(c, rc, &err);
    }
    c->answer = json_object();
    kms_api_put(c->answer, p->name, p->rows);
    if (p->full)
        kms_api_put(c->answer, "next", kms_api_words(p->last));
    return KMS_API_OK;
}

bool
kms_page_realm(void *page, const struct kms_realm *r)
{
    struct kms_page *p = page;
    char number[16];

    snprintf(number, sizeof number, "%u", r->number);
    return json_object_set_new(p->realms, number, json_string(r->name)) == 0;
}

json_t *
kms_page_realm_name(const struct kms_page *p, uint32_t number)
{
    char text[16];

    snprintf(text, sizeof text, "%u", number);
    return json_incref(json_object_get(p->realms, text));
}

/* --- users ------------------------------------------------------------------------------------ */

const char *
kms_user_state(const struct kms_user *u, int64_t now)
{
    return u->suspended ? "suspended" : u->expires != 0 && now >= u->expires ? "expired" : "active";
}

static bool
add_user(void *ctx, const struct kms_user *u)
{
    struct kms_page *p = ctx;
    json_t *row = kms_page_row(p, u->identity);

    if (row == NULL)
        return false;
    kms_api_put(row, "identity", kms_api_words(u->identity));
    kms_api_put(row, "psk-id", u->psk_id == NULL ? NULL : kms_api_words(u->psk_id));
    kms_api_put(row, "suite",
                u->psk_id == NULL ? NULL : json_integer(u->psk_len == 16 ? 128 : 256));
    kms_api_put(row, "added", kms_api_time(u->added));
    kms_api_put(row, "state", json_string(kms_user_state(u, p->now)));
    kms_api_put(row, "realm", kms_page_realm_name(p, u->realm_number));
    kms_api_put(row, "expires", kms_api_time(u->expires));
    return true;
}

static bool
add_alias(void *ctx, const char *identity)
{
    struct kms_page *p = ctx;
    char of[KMS_PAGE_KEY];
    json_t *row;

    memcpy(of, p->last, sizeof of);
    row = kms_page_row(p, of);
    if (row == NULL)
        return false;
    kms_api_put(row, "identity", kms_api_words(identity));
    kms_api_put(row, "alias-of", kms_api_words(of));
    return true;
}

unsigned
kms_api_users(struct kms_api_call *c)
{
    struct kms_page p;
    struct kms_sink sink = { .realm = kms_page_realm,
                             .user = add_user,
                             .alias = add_alias,
                             .after = kms_api_given(c, "after") };

    (void)kms_page_begin(&p, c, "users");
    return kms_page_read(&p, &sink);
}

/* --- groups and realms ------------------------------------------------------------------------ */

static bool
add_group(void *ctx, const struct kms_group *g)
{
    struct kms_page *p = ctx;
    const char *after = kms_api_given(p->call, "after");
    json_t *row;

    if (after != NULL && strcmp(g->identity, after) <= 0)
        return true;
    row = kms_page_row(p, g->identity);
    if (row == NULL)
        return false;
    kms_api_put(row, "group", kms_api_words(g->identity));
    kms_api_put(row, "realm", kms_page_realm_name(p, g->realm));
    kms_api_put(row, "added", kms_api_time(g->added));
    return true;
}

unsigned
kms_api_groups(struct kms_api_call *c)
{
    struct kms_sink sink = { .realm = kms_page_realm, .group = add_group };
    struct kms_page p;

    (void)kms_page_begin(&p, c, "groups");
    return kms_page_read(&p, &sink);
}

struct members {
    struct kms_page page; /* first */
    bool here, found;     /* the group that was asked for */
};

static bool
choose_group(void *ctx, const struct kms_group *g)
{
    struct members *m = ctx;

    m->here = strcmp(g->identity, m->page.call->args[0]) == 0;
    m->found = m->found || m->here;
    return true;
}

/* They are sorted by kind and then by name; so are their keys. */
static bool
add_member(void *ctx, const struct kms_member *member)
{
    static const char *const kinds[] = { "user", "group", "pattern" };
    struct members *m = ctx;
    const char *after = kms_api_given(m->page.call, "after");
    char key[KMS_PAGE_KEY];
    json_t *row;

    if (!m->here)
        return true;
    snprintf(key, sizeof key, "%d:%s", member->kind, member->name);
    if (after != NULL && strcmp(key, after) <= 0)
        return true;
    row = kms_page_row(&m->page, key);
    if (row == NULL)
        return false;
    kms_api_put(row, "member", kms_api_words(member->name));
    kms_api_put(row, "kind", json_string(kinds[member->kind]));
    return true;
}

unsigned
kms_api_members(struct kms_api_call *c)
{
    struct kms_sink sink = { .group = choose_group, .member = add_member };
    struct members m = { .here = false };
    unsigned status;

    (void)kms_page_begin(&m.page, c, "members");
    status = kms_page_read(&m.page, &sink);
    if (status == KMS_API_OK && !m.found)
        return kms_api_refuse(c, KMS_API_NOT_FOUND, NULL, "there is no group %s: see group list",
                              c->args[0]);
    return status;
}

static bool
add_realm(void *ctx, const struct kms_realm *r)
{
    struct kms_page *p = ctx;
    json_t *row = kms_page_row(p, r->name);

    if (row == NULL)
        return false;
    kms_api_put(row, "realm", json_string(r->name));
    kms_api_put(row, "added", kms_api_time(r->added));
    return true;
}

unsigned
kms_api_realms(struct kms_api_call *c)
{
    struct kms_sink sink = { .realm = add_realm };
    struct kms_page p;

    (void)kms_page_begin(&p, c, "realms");
    p.limit = SIZE_MAX;
    return kms_page_read(&p, &sink);
}
