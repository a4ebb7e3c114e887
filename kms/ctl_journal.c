/* SPDX-License-Identifier: Apache-2.0 */
/* audit list, audit search, and the journal of tickets: ticket list, ticket search, ticket revoke.
 * The journal is the audit's records of type issue; only revocations are rows of the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl_records.h"
#include "revoked.h"

#define LIST_LIMIT 50 /* records of a list, unless --limit says otherwise */

static void
show_to(const json_t *record)
{
    const json_t *to = json_object_get(record, "to");

    for (size_t i = 0; i < json_array_size(to); i++)
        printf("%s%s", i == 0 ? "" : ",", json_string_value(json_array_get(to, i)));
    if (json_array_size(to) == 0)
        putchar('-');
}

static const char *
or_dash(const char *text)
{
    return text[0] == '\0' ? "-" : text;
}

static void
show_record(void *ctx, const json_t *record, const char *line)
{
    const struct kms_ctl *ctl = ctx;
    const char *who = kms_ctl_record_text(record, "who"), *why;

    if (ctl->json) {
        puts(line);
        return;
    }
    if (who[0] == '\0')
        who = kms_ctl_record_text(record, "claimed");
    printf("%s %-8s %-9s %s -> ", kms_ctl_record_text(record, "time"),
           kms_ctl_record_text(record, "event"), or_dash(kms_ctl_record_text(record, "outcome")),
           or_dash(who));
    show_to(record);
    printf(" ticket %s", or_dash(kms_ctl_record_text(record, "ticket")));
    why = kms_ctl_record_text(record, "reason");
    if (why[0] != '\0')
        printf(" %s: %s", why, kms_ctl_record_text(record, "why"));
    putchar('\n');
}

static enum kms_exit
show_records(const struct kms_ctl *ctl, size_t limit)
{
    struct kms_ctl with = *ctl;

    if (with.limit == 0 && !with.follow)
        with.limit = limit;
    return kms_ctl_records(&with, NULL, show_record, &with) ? KMS_EXIT_OK : KMS_EXIT_FAILED;
}

enum kms_exit
kms_ctl_audit_list(const struct kms_ctl *ctl)
{
    return show_records(ctl, LIST_LIMIT);
}

enum kms_exit
kms_ctl_audit_search(const struct kms_ctl *ctl)
{
    return show_records(ctl, 0);
}

/* --- tickets ------------------------------------------------------------------------------------
 */

struct journal {
    const struct kms_ctl *ctl;
    struct kms_revoked *revoked;
    struct kms_hash_key key; /* only for this run: nobody else chooses identities meanwhile */
    char now[32];
    size_t n;
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

static const char *
state_of(const struct journal *j, const json_t *record)
{
    const char *until = kms_ctl_record_text(record, "until");
    struct kms_revoked_ticket id;
    int64_t at;

    if (hex_id(kms_ctl_record_text(record, "ticket"), &id) &&
        kms_revoked_is(j->revoked, mkt_span(id.id, sizeof id.id)))
        return "revoked";
    if (kms_revoked_user(j->revoked, &j->key,
                         kms_identity_of(kms_ctl_record_text(record, "initiator")), &at) &&
        seconds_of(kms_ctl_record_text(record, "time")) <= at)
        return "revoked";
    return until[0] != '\0' && strcmp(until, j->now) < 0 ? "expired" : "valid";
}

static void
show_ticket(void *ctx, const json_t *record, const char *line)
{
    struct journal *j = ctx;
    const char *state = state_of(j, record);

    (void)line;
    if (j->ctl->json) {
        json_t *copy = json_copy((json_t *)(uintptr_t)record);
        char *text;

        json_object_set_new(copy, "state", json_string(state));
        text = json_dumps(copy, JSON_COMPACT | JSON_ENSURE_ASCII);
        printf("%s%s", j->n == 0 ? "\n  " : ",\n  ", text == NULL ? "null" : text);
        free(text);
        json_decref(copy);
    } else {
        if (j->n == 0)
            printf("%-32s %-20s %-20s %-7s %s\n", "TICKET", "ISSUED", "UNTIL", "STATE",
                   "INITIATOR -> RESPONDERS");
        printf("%-32s %.19sZ %-20s %-7s %s -> ", kms_ctl_record_text(record, "ticket"),
               kms_ctl_record_text(record, "time"), or_dash(kms_ctl_record_text(record, "until")),
               state, kms_ctl_record_text(record, "initiator"));
        show_to(record);
        putchar('\n');
    }
    j->n++;
}

static enum kms_exit
show_tickets(const struct kms_ctl *ctl, size_t limit)
{
    struct kms_ctl with = *ctl;
    struct journal j = { .ctl = &with, .revoked = kms_revoked_new() };
    const struct kms_sink sink = { .revocation = take_revocation, .ctx = &j };
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc;
    bool ok;

    if (with.limit == 0)
        with.limit = limit;
    rc = j.revoked == NULL ? kms_store_fail(&err, KMS_STORE_FAILED, "out of memory")
                           : ctl->store->ops->read(ctl->store, &sink, false, &err);
    if (rc != KMS_STORE_OK) {
        kms_revoked_free(j.revoked);
        return kms_ctl_fail(&err);
    }
    kms_revoked_sort(j.revoked);
    kms_ctl_time((int64_t)time(NULL), j.now);
    if (ctl->json)
        printf("[");
    ok = kms_ctl_records(&with, "issue", show_ticket, &j);
    if (ctl->json)
        printf("%s]\n", j.n == 0 ? "" : "\n");
    else if (ok && j.n == 0)
        puts("No such ticket.");
    kms_revoked_free(j.revoked);
    return ok ? KMS_EXIT_OK : KMS_EXIT_FAILED;
}

enum kms_exit
kms_ctl_ticket_list(const struct kms_ctl *ctl)
{
    return show_tickets(ctl, LIST_LIMIT);
}

enum kms_exit
kms_ctl_ticket_search(const struct kms_ctl *ctl)
{
    return show_tickets(ctl, 0);
}

/* --- ticket revoke ------------------------------------------------------------------------------
 */

static void
to_lower(const char *from, char to[2 * MKT_TICKET_ID + 1])
{
    snprintf(to, 2 * MKT_TICKET_ID + 1, "%s", from);
    for (char *p = to; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'F')
            *p = (char)(*p - 'A' + 'a');
}

static void
count_record(void *ctx, const json_t *record, const char *line)
{
    (void)record;
    (void)line;
    ++*(size_t *)ctx;
}

/* Whether the audit has a record about a ticket; a name with a slip revokes nothing. */
static bool
is_known(const struct kms_ctl *ctl, const char *name)
{
    struct kms_ctl about = { .config = ctl->config, .ticket = name };
    size_t n = 0;

    return ctl->force || ctl->config->audit_dir[0] == '\0' ||
           (kms_ctl_records(&about, NULL, count_record, &n) && n > 0);
}

/* A reference is revoked by removing the keys that the store has for it. */
static enum kms_exit
revoke_ticket(const struct kms_ctl *ctl, const struct kms_revoked_ticket *id, const char *name)
{
    const struct kms_revocation row = { KMS_REVOKED_TICKET, name, 0 };
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc = ctl->store->ops->revoke(ctl->store, id->id, &err);

    if (rc == KMS_STORE_NOT_FOUND && !is_known(ctl, name)) {
        fprintf(stderr, "mikey-kmsctl: there is no ticket %s: see ticket list, ticket kept\n",
                name);
        return KMS_EXIT_STORE;
    }
    if (rc == KMS_STORE_NOT_FOUND)
        rc = ctl->store->ops->revocation_add(ctl->store, &row, 1, &err);
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    printf("revoked %s: nobody can resolve it any more\n", name);
    return KMS_EXIT_OK;
}

enum kms_exit
kms_ctl_ticket_revoke(const struct kms_ctl *ctl)
{
    struct kms_revocation row = { KMS_REVOKED_USER, ctl->user, 0 };
    struct kms_store_err err = { 0 };
    struct kms_revoked_ticket id;
    char name[2 * MKT_TICKET_ID + 1];
    enum kms_store_rc rc;

    if ((ctl->identity == NULL) == (ctl->user == NULL))
        return kms_ctl_misuse("ticket revoke takes the name of a ticket, or --user IDENTITY");
    if (ctl->user != NULL && kms_identity_of(ctl->user).data.p == NULL)
        return kms_ctl_misuse("--user is a URI (sip:alice@example.com) or a NAI");
    if (ctl->identity != NULL && !hex_id(ctl->identity, &id))
        return kms_ctl_misuse("the name of a ticket has 32 hexadecimal digits: see ticket list");
    if (ctl->identity != NULL) {
        to_lower(ctl->identity, name);
        row = (struct kms_revocation){ KMS_REVOKED_TICKET, name, 0 };
    }
    if (ctl->identity != NULL && !ctl->undo)
        return revoke_ticket(ctl, &id, name);
    rc = ctl->undo ? ctl->store->ops->revocation_remove(ctl->store, &row, &err)
                   : ctl->store->ops->revocation_add(ctl->store, &row, 1, &err);
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (ctl->undo)
        printf("%s is no longer revoked\n", row.name);
    else
        printf("revoked: no ticket that was issued to %s before now can be resolved any more\n",
               row.name);
    return KMS_EXIT_OK;
}
