/* SPDX-License-Identifier: Apache-2.0 */
/* audit list, audit search, ticket list, ticket search, ticket revoke. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl_call.h"
#include "records.h"

#define LIST_LIMIT 50 /* rows of a list, unless --limit says otherwise */
#define ROWS_MAX 10000

typedef void show_row(const struct kms_ctl *ctl, const json_t *row, size_t i);

/* --- reading ---------------------------------------------------------------------------------- */

static bool
add_number(char *target, const char *name, size_t n)
{
    char text[24];

    snprintf(text, sizeof text, "%zu", n > ROWS_MAX ? ROWS_MAX : n);
    return n == 0 || kms_ctl_parameter(target, name, text);
}

/* limit: of this part; after: where it begins, "" at the beginning. */
static bool
make_target(char *target, const struct kms_ctl *ctl, const char *path, size_t last,
            const char *after)
{
    snprintf(target, KMS_CTL_TARGET, "%s", path);
    return kms_ctl_parameter(target, "who", ctl->who) &&
           kms_ctl_parameter(target, "ticket", ctl->ticket) &&
           kms_ctl_parameter(target, "outcome", ctl->outcome) &&
           kms_ctl_parameter(target, "event", ctl->event) &&
           kms_ctl_parameter(target, "realm", ctl->realm) &&
           kms_ctl_parameter(target, "since", ctl->since) &&
           kms_ctl_parameter(target, "until", ctl->until) && add_number(target, "last", last) &&
           kms_ctl_parameter(target, "after", after[0] == '\0' ? NULL : after);
}

/* The rows of one part; after gets where the next one begins. */
static enum kms_exit
read_part(const struct kms_ctl *ctl, const char *path, const char *name, size_t last,
          char after[64], show_row *show, size_t *n, bool *more)
{
    char target[KMS_CTL_TARGET];
    enum kms_exit code;
    json_t *answer, *row;
    size_t i;

    if (!kms_records_moment(ctl->since) || !kms_records_moment(ctl->until))
        return kms_ctl_misuse(KMS_RECORDS_MOMENT);
    if (!make_target(target, ctl, path, last, after))
        return kms_ctl_misuse("an argument is too long");
    code = kms_ctl_call(ctl, "GET", target, NULL, &answer, NULL);
    if (code != KMS_EXIT_OK)
        return code == KMS_EXIT_USAGE ? KMS_EXIT_FAILED : code;
    json_array_foreach(json_object_get(answer, name), i,
                       row) if (!ctl->follow || ctl->limit == 0 || *n < ctl->limit)
        show(ctl, row, (*n)++);
    snprintf(after, 64, "%s", kms_ctl_text(answer, "next"));
    *more = json_is_true(json_object_get(answer, "more"));
    json_decref(answer);
    return KMS_EXIT_OK;
}

/* Everything, or the last ones; with --follow without an end, or until there were so many. */
static enum kms_exit
read_rows(const struct kms_ctl *ctl, const char *path, const char *name, size_t last,
          show_row *show, size_t *n)
{
    const struct timespec nap = { 0, 200000000 };
    char after[64] = "";
    enum kms_exit code;
    bool more = true;

    *n = 0;
    if (ctl->follow)
        last = 0;
    while (more || ctl->follow) {
        code = read_part(ctl, path, name, last, after, show, n, &more);
        if (code != KMS_EXIT_OK)
            return code;
        if (last > 0 || (ctl->follow && ctl->limit > 0 && *n >= ctl->limit))
            break;
        if (!more && ctl->follow) {
            fflush(stdout);
            nanosleep(&nap, NULL);
        }
    }
    return KMS_EXIT_OK;
}

/* --- records ---------------------------------------------------------------------------------- */

static void
show_list(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        printf("%s%s", i == 0 ? "" : ",", json_string_value(json_array_get(list, i)));
    if (json_array_size(list) == 0)
        putchar('-');
}

static const char *
or_dash(const char *text)
{
    return text[0] == '\0' ? "-" : text;
}

static void
show_why(const json_t *record)
{
    const char *reason = kms_ctl_text(record, "reason"), *why = kms_ctl_text(record, "why");

    if (reason[0] != '\0')
        printf(" %s", reason);
    if (why[0] != '\0')
        printf(": %s", why);
    putchar('\n');
}

/* What an administrator did, and to whom. */
static void
show_change(const json_t *record)
{
    const json_t *target = json_object_get(record, "target"),
                 *with = json_object_get(record, "with");

    printf("(%s) %s ", or_dash(kms_ctl_text(record, "role")), kms_ctl_text(record, "action"));
    if (json_array_size(target) > 0 || json_array_size(with) == 0)
        show_list(target);
    for (size_t i = 0; i < json_array_size(with); i++)
        printf("%s%s", i == 0 && json_array_size(target) == 0 ? "" : " ",
               json_string_value(json_array_get(with, i)));
}

/* The ticket, who wanted it resolved, and from where somebody was refused. */
static void
show_decision(const json_t *record, const char *event, const char *who)
{
    printf("-> ");
    show_list(json_object_get(record, "to"));
    printf(" ticket %s", or_dash(kms_ctl_text(record, "ticket")));
    if (strcmp(event, "resolve") == 0)
        printf(" by %s", or_dash(who));
    if (strcmp(event, "refuse") == 0)
        printf(" from %s", or_dash(kms_ctl_text(record, "source")));
}

static void
show_record(const struct kms_ctl *ctl, const json_t *record, size_t i)
{
    const char *event = kms_ctl_text(record, "event"), *who = kms_ctl_text(record, "who");
    const char *claimed = kms_ctl_text(record, "claimed"); /* which nobody has proved */
    bool resolved = strcmp(event, "resolve") == 0;

    (void)i;
    if (ctl->json) {
        kms_ctl_compact(record, "", "\n");
        return;
    }
    printf("%s %-8s %-9s %s%s ", kms_ctl_text(record, "time"), event,
           or_dash(kms_ctl_text(record, "outcome")), claimed[0] == '\0' ? "" : "claimed ",
           claimed[0] != '\0' ? claimed
                              : or_dash(resolved ? kms_ctl_text(record, "initiator") : who));
    if (strcmp(event, "admin") == 0)
        show_change(record);
    else
        show_decision(record, event, who);
    show_why(record);
}

enum kms_exit
kms_ctl_audit_list(const struct kms_ctl *ctl)
{
    size_t n;

    return read_rows(ctl, "/v1/audit", "records", ctl->limit > 0 ? ctl->limit : LIST_LIMIT,
                     show_record, &n);
}

enum kms_exit
kms_ctl_audit_search(const struct kms_ctl *ctl)
{
    size_t n;

    return read_rows(ctl, "/v1/audit", "records", ctl->limit, show_record, &n);
}

/* --- tickets ---------------------------------------------------------------------------------- */

static void
show_ticket(const struct kms_ctl *ctl, const json_t *record, size_t i)
{
    if (ctl->json) {
        kms_ctl_compact(record, i == 0 ? "\n  " : ",\n  ", "");
        return;
    }
    if (i == 0)
        printf("%-32s %-20s %-20s %-7s %s\n", "TICKET", "ISSUED", "UNTIL", "STATE",
               "INITIATOR -> RESPONDERS");
    printf("%-32s %.19sZ %-20s %-7s %s -> ", kms_ctl_text(record, "ticket"),
           kms_ctl_text(record, "time"), or_dash(kms_ctl_text(record, "until")),
           kms_ctl_text(record, "state"), kms_ctl_text(record, "initiator"));
    show_list(json_object_get(record, "to"));
    putchar('\n');
}

static enum kms_exit
show_tickets(const struct kms_ctl *ctl, size_t last)
{
    enum kms_exit code;
    size_t n;

    if (ctl->json)
        printf("[");
    code = read_rows(ctl, "/v1/tickets", "tickets", last, show_ticket, &n);
    if (code == KMS_EXIT_OK && ctl->json)
        printf("%s]\n", n == 0 ? "" : "\n");
    else if (code == KMS_EXIT_OK && n == 0)
        puts("No such ticket.");
    return code;
}

enum kms_exit
kms_ctl_ticket_list(const struct kms_ctl *ctl)
{
    return show_tickets(ctl, ctl->limit > 0 ? ctl->limit : LIST_LIMIT);
}

enum kms_exit
kms_ctl_ticket_search(const struct kms_ctl *ctl)
{
    return show_tickets(ctl, ctl->limit);
}

/* --- ticket revoke ---------------------------------------------------------------------------- */

static enum kms_exit
revoke(const struct kms_ctl *ctl, const char *path, const char *name, const char *const done[4])
{
    json_t *body = ctl->undo ? NULL : json_object();

    if (ctl->force && !ctl->undo)
        json_object_set_new(body, "force", json_true());
    return kms_ctl_change(ctl, ctl->undo ? "DELETE" : "PUT", path, name, NULL, body,
                          ctl->undo ? KMS_CTL_SAY(name, " is no longer revoked", "", "") : done);
}

enum kms_exit
kms_ctl_ticket_revoke(const struct kms_ctl *ctl)
{
    static const char before[] = " before now can be resolved any more";

    if ((ctl->identity != NULL) + (ctl->user != NULL) + (ctl->group != NULL) != 1)
        return kms_ctl_misuse(
            "ticket revoke takes the name of a ticket, --user IDENTITY, or --group GROUP");
    if (ctl->user != NULL)
        return revoke(ctl, "/v1/revocations/users/{identity}", ctl->user,
                      KMS_CTL_SAY("revoked: no ticket that was issued to ", ctl->user, before, ""));
    if (ctl->group != NULL)
        return revoke(
            ctl, "/v1/revocations/groups/{group}", ctl->group,
            KMS_CTL_SAY("revoked: no ticket that was issued for ", ctl->group, before, ""));
    return revoke(ctl, "/v1/revocations/tickets/{ticket}", ctl->identity,
                  KMS_CTL_SAY("revoked ", ctl->identity, ": nobody can resolve it any more", ""));
}
