/* SPDX-License-Identifier: Apache-2.0 */
/* Ticket protection keys and reference tickets, of which no key is ever told. */
#include <string.h>

#include "api_list.h"
#include "hex.h"
#include "key_text.h"
#include "seal_in.h"
#include "tpk_schedule.h"

/* A page begins behind the row that `after` names. */
struct rows {
    struct kms_page page; /* first */
    bool begun;
    struct kms_generations g; /* of tpks */
};

/* The next row, or NULL with *go telling whether the reading goes on. */
static json_t *
next_row(struct rows *r, const char *key, bool *go)
{
    const char *after = kms_api_given(r->page.call, "after");
    json_t *row = NULL;

    *go = true;
    if (after == NULL || r->begun) {
        row = kms_page_row(&r->page, key);
        *go = row != NULL;
    } else {
        r->begun = strcmp(key, after) == 0;
    }
    return row;
}

static unsigned
read_rows(struct rows *r, struct kms_sink *sink)
{
    unsigned status = kms_page_read(&r->page, sink);

    if (status == KMS_API_OK && !r->begun && kms_api_given(r->page.call, "after") != NULL)
        return kms_api_refuse(r->page.call, KMS_API_NOT_FOUND, "/after",
                              "the row is gone: begin again");
    return status;
}

/* State and end of a key; one that is shared has neither. */
static const char *
state_of(const struct rows *r, const struct kms_tpk *t, int64_t *until)
{
    *until = INT64_MAX;
    if (t->owner != NULL)
        return "shared";
    for (size_t i = 0; i < r->g.n; i++)
        if (r->g.at[i].number == t->generation)
            return kms_tpk_state_word(kms_tpk_state(&r->g, i, r->page.now, until));
    return "new"; /* made since the list was read */
}

static json_t *
realm_of(const struct rows *r, const struct kms_tpk *t)
{
    for (size_t i = 0; i < r->g.n_realms; i++)
        if (r->g.realms[i].number == t->realm)
            return json_string(r->g.realms[i].name);
    return NULL;
}

static bool
add_tpk(void *ctx, const struct kms_tpk *t)
{
    struct rows *r = ctx;
    int64_t until;
    bool go;
    json_t *row = next_row(r, t->id, &go);

    if (row == NULL)
        return go;
    kms_api_put(row, "id", kms_api_words(t->id));
    kms_api_put(row, "suite", json_integer(t->key_len == 16 ? 128 : 256));
    kms_api_put(row, "state", json_string(state_of(r, t, &until)));
    kms_api_put(row, "created", kms_api_time(t->created));
    kms_api_put(row, "starts", kms_api_time(t->owner != NULL ? t->created : t->starts));
    if (until != INT64_MAX)
        kms_api_put(row, "until", kms_api_time(until));
    if (t->owner != NULL)
        kms_api_put(row, "owner", kms_api_words(t->owner));
    else
        kms_api_put(row, "realm", realm_of(r, t));
    return true;
}

unsigned
kms_api_tpks(struct kms_api_call *c)
{
    struct kms_sink sink = { .tpk = add_tpk };
    struct rows r = { .begun = false };
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc = kms_generations_read(&r.g, c->store, &err);
    unsigned status;

    if (rc != KMS_STORE_OK) {
        kms_generations_free(&r.g);
        return kms_api_store(c, rc, &err);
    }
    (void)kms_page_begin(&r.page, c, "tpks");
    status = read_rows(&r, &sink);
    kms_generations_free(&r.g);
    return status;
}

static bool
add_kept(void *ctx, const struct kms_kept *k)
{
    struct rows *r = ctx;
    char reference[2 * KMS_REFERENCE + 1];
    bool go;
    json_t *row;

    kms_hex_write(reference, k->reference, KMS_REFERENCE);
    row = next_row(r, reference, &go);
    if (row == NULL)
        return go;
    kms_api_put(row, "reference", json_string(reference));
    kms_api_put(row, "issued", kms_api_time(k->issued));
    kms_api_put(row, "until", kms_api_time(k->until));
    kms_api_put(row, "initiator", kms_api_words(k->initiator));
    kms_api_put(row, "responders", kms_api_words(k->responders));
    return true;
}

unsigned
kms_api_kept(struct kms_api_call *c)
{
    struct kms_sink sink = { .kept = add_kept };
    struct rows r = { .begun = false };

    (void)kms_page_begin(&r.page, c, "tickets");
    return read_rows(&r, &sink);
}

/* --- changes ---------------------------------------------------------------------------------- */

unsigned
kms_api_tpk_add(struct kms_api_call *c)
{
    MKT_SCOPED_SECRET
    key = { 0 };
    const char *hex = kms_api_given(c, "tpk"), *wrong;
    struct kms_tpk tpk = { .id = kms_api_given(c, "tpk-id"), .owner = kms_api_given(c, "owner") };
    struct kms_store_err err = { 0 };

    if (kms_identity_of(tpk.owner).data.p == NULL)
        return kms_api_refuse(c, KMS_API_MALFORMED, "/owner", KMS_IDENTITY_FORM);
    wrong = kms_key_id_check(tpk.id, KMS_TPK);
    if (wrong != NULL)
        return kms_api_refuse(c, KMS_API_MALFORMED, "/tpk-id", "%s", wrong);
    wrong = kms_key_read(&key, hex, strlen(hex), kms_api_given(c, "suite"));
    if (wrong != NULL)
        return kms_api_refuse(c, KMS_API_MALFORMED, "/tpk", "%s", wrong);
    return kms_api_store(c, kms_seal_tpk(c->store, c->api->vault, &tpk, &key, &err), &err);
}

unsigned
kms_api_tpk_remove(struct kms_api_call *c)
{
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc = c->store->ops->tpk_remove(c->store, c->args[0], &err);

    if (rc == KMS_STORE_CURRENT)
        return kms_api_refuse(c, KMS_API_CONFLICT, NULL,
                              "%s protects new tickets: tpk rotate first", c->args[0]);
    if (rc == KMS_STORE_NOT_FOUND)
        return kms_api_refuse(c, KMS_API_NOT_FOUND, NULL, "there is no key %s: see tpk list",
                              c->args[0]);
    return kms_api_store(c, rc, &err);
}

unsigned
kms_api_tpk_rotate(struct kms_api_call *c)
{
    struct kms_store_err err = { 0 };
    int64_t generation = 0;
    unsigned status =
        kms_api_store(c,
                      kms_tpk_rotate(c->store, c->api->vault, kms_api_given(c, "realm"),
                                     c->api->config->max_validity_s, &generation, &err),
                      &err);

    if (status == KMS_API_OK)
        kms_api_put(c->answer, "generation", json_integer(generation));
    return status;
}
