/* SPDX-License-Identifier: Apache-2.0 */
/* The audit, the journal of tickets, and revocations. The journal is the audit's records of type
 * issue; only revocations are rows of the store. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api_list.h"
#include "instant.h"
#include "pattern.h"
#include "records.h"
#include "revoked.h"

/* --- records ---------------------------------------------------------------------------------- */

static struct kms_records
wanted(struct kms_api_call *c, bool (*each)(void *ctx, const json_t *record), void *ctx)
{
    return (struct kms_records){ .dir = c->api->config->audit_dir,
                                 .who = kms_api_given(c, "who"),
                                 .ticket = kms_api_given(c, "ticket"),
                                 .outcome = kms_api_given(c, "outcome"),
                                 .event = kms_api_given(c, "event"),
                                 .realm = kms_api_given(c, "realm"),
                                 .since = kms_api_given(c, "since"),
                                 .until = kms_api_given(c, "until"),
                                 .after = kms_api_given(c, "after"),
                                 .last = kms_api_number(c, "last", 0),
                                 .limit = kms_api_number(c, "limit", KMS_PAGE_ROWS),
                                 .each = each,
                                 .ctx = ctx };
}

/* Reads into rows, which it takes, and makes the answer. */
static unsigned
read_records(struct kms_api_call *c, const struct kms_records *want, const char *name, json_t *rows)
{
    char err[KMS_RECORDS_ERR], place[KMS_RECORDS_PLACE];
    bool more = false;

    if (!kms_records_read(want, place, &more, err)) {
        json_decref(rows);
        return kms_api_refuse(c, KMS_API_MALFORMED, NULL, "%.500s", err);
    }
    c->answer = json_object();
    kms_api_put(c->answer, name, rows);
    kms_api_put(c->answer, "next", json_string(place));
    kms_api_put(c->answer, "more", json_boolean(more));
    return KMS_API_OK;
}

static bool
add_record(void *ctx, const json_t *record)
{
    return json_array_append(ctx, (json_t *)(uintptr_t)record) == 0;
}

unsigned
kms_api_audit(struct kms_api_call *c)
{
    json_t *rows = json_array();
    const struct kms_records want = wanted(c, add_record, rows);

    return read_records(c, &want, "records", rows);
}

/* The record is all there is to it. */
unsigned
kms_api_note(struct kms_api_call *c)
{
    c->answer = json_object();
    return KMS_API_OK;
}

/* --- tickets ---------------------------------------------------------------------------------- */

struct journal {
    struct kms_revoked *revoked;
    struct kms_hash_key key; /* only for this run: nobody else chooses identities meanwhile */
    char now[KMS_INSTANT];
    json_t *rows;
};

static bool
take_revocation(void *ctx, const struct kms_revocation *row)
{
    struct journal *j = ctx;

    return kms_revoked_take(j->revoked, &j->key, row);
}

static bool
hex_id(const char *hex, struct kms_revoked_ticket *id)
{
    struct kms_revoked *one = kms_revoked_new();
    const struct kms_revocation row = { KMS_REVOKED_TICKET, hex, 0 };
    bool ok = one != NULL && kms_revoked_take(one, NULL, &row) && one->n_tickets == 1;

    if (ok)
        *id = one->tickets[0];
    kms_revoked_free(one);
    return ok;
}

static int64_t
seconds_of(const char *text)
{
    struct tm tm = { 0 };

    return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL ? 0 : (int64_t)timegm(&tm);
}

/* Whether tickets of that time, of a user or for a group, are. */
static bool
revoked_by_name(const struct journal *j, const struct kms_revoked_names *list, const char *name,
                int64_t issued)
{
    int64_t at;

    return name != NULL && kms_revoked_name(list, &j->key, kms_identity_of(name), &at) &&
           issued <= at;
}

static bool
is_revoked(const struct journal *j, const json_t *record)
{
    const json_t *to = json_object_get(record, "to");
    int64_t issued = seconds_of(kms_record_text(record, "time"));
    struct kms_revoked_ticket id;

    if (hex_id(kms_record_text(record, "ticket"), &id) &&
        kms_revoked_is(j->revoked, mkt_span(id.id, sizeof id.id)))
        return true;
    for (size_t i = 0; i < json_array_size(to); i++)
        if (revoked_by_name(j, &j->revoked->groups, json_string_value(json_array_get(to, i)),
                            issued))
            return true;
    return revoked_by_name(j, &j->revoked->users, kms_record_text(record, "initiator"), issued);
}

static const char *
state_of(const struct journal *j, const json_t *record)
{
    const char *until = kms_record_text(record, "until");

    if (is_revoked(j, record))
        return "revoked";
    return until[0] != '\0' && strcmp(until, j->now) < 0 ? "expired" : "valid";
}

static bool
add_ticket(void *ctx, const json_t *record)
{
    struct journal *j = ctx;
    json_t *row = json_copy((json_t *)(uintptr_t)record);

    kms_api_put(row, "state", json_string(state_of(j, record)));
    return json_array_append_new(j->rows, row) == 0;
}

unsigned
kms_api_tickets(struct kms_api_call *c)
{
    struct journal j = { .revoked = kms_revoked_new(), .rows = json_array() };
    const struct kms_sink sink = { .revocation = take_revocation, .ctx = &j };
    struct kms_records want = wanted(c, add_ticket, &j);
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc = KMS_STORE_FAILED;
    unsigned status;

    want.event = "issue";
    if (j.revoked != NULL)
        rc = c->store->ops->read(c->store, &sink, false, &err);
    if (rc == KMS_STORE_OK) {
        kms_revoked_sort(j.revoked);
        kms_instant_write(kms_store_clock_s(c->api->clock), j.now);
        status = read_records(c, &want, "tickets", j.rows);
    } else {
        json_decref(j.rows);
        status = kms_api_store(c, rc, &err);
    }
    kms_revoked_free(j.revoked);
    return status;
}

/* --- revocations ------------------------------------------------------------------------------ */

static bool
count_record(void *ctx, const json_t *record)
{
    (void)record;
    ++*(size_t *)ctx;
    return true;
}

/* Whether the audit has such a record; a name with a slip revokes nothing. */
static bool
is_known(const struct kms_api_call *c, struct kms_records about)
{
    size_t n = 0;
    char err[KMS_RECORDS_ERR], place[KMS_RECORDS_PLACE];
    bool more;

    about.dir = c->api->config->audit_dir;
    about.last = 1;
    about.each = count_record;
    about.ctx = &n;
    return kms_api_truth(c, "force") || about.dir[0] == '\0' ||
           (kms_records_read(&about, place, &more, err) && n > 0);
}

/* The name of a ticket in lower case. 0, or the status of a refusal. */
static unsigned
take_ticket(struct kms_api_call *c, char name[2 * MKT_TICKET_ID + 1], struct kms_revoked_ticket *id)
{
    if (!hex_id(c->args[0], id))
        return kms_api_refuse(c, KMS_API_MALFORMED, NULL,
                              "the name of a ticket has 32 hexadecimal digits: see ticket list");
    snprintf(name, 2 * MKT_TICKET_ID + 1, "%s", c->args[0]);
    for (char *p = name; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'F')
            *p = (char)(*p - 'A' + 'a');
    return 0;
}

/* A reference is revoked by removing the keys that the store has for it. */
unsigned
kms_api_ticket_revoke(struct kms_api_call *c)
{
    char name[2 * MKT_TICKET_ID + 1];
    const struct kms_revocation row = { KMS_REVOKED_TICKET, name, 0 };
    struct kms_store_err err = { 0 };
    struct kms_revoked_ticket id;
    unsigned refused = take_ticket(c, name, &id);
    enum kms_store_rc rc;

    if (refused != 0)
        return refused;
    rc = c->store->ops->revoke(c->store, id.id, &err);
    if (rc == KMS_STORE_NOT_FOUND && !is_known(c, (struct kms_records){ .ticket = name }))
        return kms_api_refuse(c, KMS_API_NOT_FOUND, NULL,
                              "there is no ticket %s: see ticket list, ticket kept", name);
    if (rc == KMS_STORE_NOT_FOUND)
        rc = c->store->ops->revocation_add(c->store, &row, 1, &err);
    return kms_api_store(c, rc, &err);
}

unsigned
kms_api_ticket_restore(struct kms_api_call *c)
{
    char name[2 * MKT_TICKET_ID + 1];
    const struct kms_revocation row = { KMS_REVOKED_TICKET, name, 0 };
    struct kms_store_err err = { 0 };
    struct kms_revoked_ticket id;
    unsigned refused = take_ticket(c, name, &id);

    return refused != 0
               ? refused
               : kms_api_store(c, c->store->ops->revocation_remove(c->store, &row, &err), &err);
}

struct sought {
    const char *name;
    bool found;
};

static bool
seek(struct sought *sought, const char *name)
{
    sought->found = strcmp(name, sought->name) == 0;
    return !sought->found;
}

static bool
seek_user(void *ctx, const struct kms_user *u)
{
    return seek(ctx, u->identity);
}

static bool
seek_alias(void *ctx, const char *identity)
{
    return seek(ctx, identity);
}

static bool
seek_group(void *ctx, const struct kms_group *g)
{
    return seek(ctx, g->identity);
}

/* Whether the store has it; the reading stops there. */
static bool
has(struct kms_api_call *c, struct kms_sink sink)
{
    struct sought sought = { .name = c->args[0] };
    struct kms_store_err err;

    sink.ctx = &sought;
    (void)c->store->ops->read(c->store, &sink, false, &err);
    return sought.found;
}

/* A user of the store, or one of the past. */
static bool
is_user(struct kms_api_call *c)
{
    return has(c, (struct kms_sink){ .user = seek_user, .alias = seek_alias }) ||
           is_known(c, (struct kms_records){ .who = c->args[0], .event = "issue" });
}

static bool
is_group(struct kms_api_call *c)
{
    return kms_api_truth(c, "force") || kms_is_pattern(kms_identity_of(c->args[0])) ||
           has(c, (struct kms_sink){ .group = seek_group });
}

unsigned
kms_api_user_revoke(struct kms_api_call *c)
{
    const struct kms_revocation row = { KMS_REVOKED_USER, c->args[0], 0 };
    struct kms_store_err err = { 0 };

    if (kms_identity_of(c->args[0]).data.p == NULL)
        return kms_api_refuse(c, KMS_API_MALFORMED, NULL, KMS_IDENTITY_FORM);
    if (!is_user(c))
        return kms_api_refuse(
            c, KMS_API_NOT_FOUND, NULL,
            "there is no user %s, and the audit knows of no ticket to one: see user list, --force",
            c->args[0]);
    return kms_api_store(c, c->store->ops->revocation_add(c->store, &row, 1, &err), &err);
}

unsigned
kms_api_user_restore(struct kms_api_call *c)
{
    const struct kms_revocation row = { KMS_REVOKED_USER, c->args[0], 0 };
    struct kms_store_err err = { 0 };

    return kms_api_store(c, c->store->ops->revocation_remove(c->store, &row, &err), &err);
}

unsigned
kms_api_group_revoke(struct kms_api_call *c)
{
    const struct kms_revocation row = { KMS_REVOKED_GROUP, c->args[0], 0 };
    struct kms_store_err err = { 0 };

    if (kms_identity_of(c->args[0]).data.p == NULL)
        return kms_api_refuse(c, KMS_API_MALFORMED, NULL, KMS_IDENTITY_FORM);
    if (!is_group(c))
        return kms_api_refuse(c, KMS_API_NOT_FOUND, NULL, "there is no group %s: see group list",
                              c->args[0]);
    return kms_api_store(c, c->store->ops->revocation_add(c->store, &row, 1, &err), &err);
}

unsigned
kms_api_group_restore(struct kms_api_call *c)
{
    const struct kms_revocation row = { KMS_REVOKED_GROUP, c->args[0], 0 };
    struct kms_store_err err = { 0 };

    return kms_api_store(c, c->store->ops->revocation_remove(c->store, &row, &err), &err);
}
