/* SPDX-License-Identifier: Apache-2.0 */
/* Lists, as rows of text or as the JSON that the API gives: one table says what stands in which
 * column. */
#include <stdio.h>
#include <string.h>

#include "ctl_call.h"

struct column {
    const char *key; /* NULL: the end */
    int width;
    const char *heading;
};

struct list {
    const char *target, *name; /* path, and what the list is called in its answer */
    const char *none;          /* said when there is nothing */
    struct column columns[12];
};

struct printing {
    const struct kms_ctl *ctl;
    const struct list *list;
};

static void
print_heading(const struct list *l)
{
    for (const struct column *c = l->columns; c->key != NULL; c++)
        if (c[1].key != NULL)
            printf("%-*s ", c->width, c->heading);
        else
            puts(c->heading);
}

static void
print_value(const json_t *v, int width, const char *end)
{
    char number[24];

    if (json_is_integer(v))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
    printf("%-*s%s", width,
           json_is_integer(v)  ? number
           : json_is_string(v) ? json_string_value(v)
                               : "-",
           end);
}

static void
print_row(void *ctx, const json_t *row, size_t i)
{
    const struct printing *p = ctx;

    if (p->ctl->json) {
        kms_ctl_dump(row, i == 0 ? "\n  " : ",\n  ", "");
        return;
    }
    if (i == 0)
        print_heading(p->list);
    if (json_object_get(row, "alias-of") != NULL) {
        printf("%-32s is %s\n", kms_ctl_text(row, "identity"), kms_ctl_text(row, "alias-of"));
        return;
    }
    for (const struct column *c = p->list->columns; c->key != NULL; c++)
        print_value(json_object_get(row, c->key), c[1].key != NULL ? c->width : 0,
                    c[1].key != NULL ? " " : "\n");
}

static enum kms_exit
print_list(const struct kms_ctl *ctl, const struct list *l, const char *target)
{
    struct printing p = { ctl, l };
    enum kms_exit code;
    size_t n;

    if (ctl->json)
        putchar('[');
    code = kms_ctl_pages(ctl, target, l->name, print_row, &p, &n);
    if (code != KMS_EXIT_OK)
        return code;
    if (ctl->json)
        puts(n == 0 ? "]" : "\n]");
    else if (n == 0)
        puts(l->none);
    return KMS_EXIT_OK;
}

enum kms_exit
kms_ctl_user_list(const struct kms_ctl *ctl)
{
    static const struct list users = {
        "/v1/users?limit=10000",
        "users",
        "No users yet. Add one with: mikey-kmsctl --config FILE user add IDENTITY",
        { { "identity", 32, "IDENTITY" },
          { "psk-id", 24, "PSK-ID" },
          { "suite", 5, "SUITE" },
          { "state", 9, "STATE" },
          { "realm", 12, "REALM" },
          { "added", 20, "ADDED" },
          { "expires", 0, "EXPIRES" },
          { NULL, 0, NULL } },
    };

    return print_list(ctl, &users, users.target);
}

enum kms_exit
kms_ctl_group_list(const struct kms_ctl *ctl)
{
    static const struct list groups = {
        "/v1/groups?limit=10000",
        "groups",
        "No groups yet. Add one with: mikey-kmsctl --config FILE group add GROUP",
        { { "group", 32, "GROUP" },
          { "realm", 12, "REALM" },
          { "added", 0, "ADDED" },
          { NULL, 0, NULL } },
    };

    return print_list(ctl, &groups, groups.target);
}

enum kms_exit
kms_ctl_group_show(const struct kms_ctl *ctl)
{
    static const struct list members = {
        "/v1/groups/{group}/members",
        "members",
        "No members.",
        { { "member", 32, "MEMBER" }, { "kind", 0, "KIND" }, { NULL, 0, NULL } },
    };
    char target[KMS_CTL_TARGET];

    if (!kms_ctl_target(target, members.target, ctl->identity, NULL) ||
        !kms_ctl_parameter(target, "limit", "10000"))
        return kms_ctl_misuse("the name is too long");
    return print_list(ctl, &members, target);
}

enum kms_exit
kms_ctl_realm_list(const struct kms_ctl *ctl)
{
    static const struct list realms = {
        "/v1/realms",
        "realms",
        "",
        { { "realm", 12, "REALM" }, { "added", 0, "ADDED" }, { NULL, 0, NULL } },
    };

    return print_list(ctl, &realms, realms.target);
}

enum kms_exit
kms_ctl_tpk_list(const struct kms_ctl *ctl)
{
    static const struct list tpks = {
        "/v1/tpks?limit=10000",
        "tpks",
        "No ticket protection key yet. The daemon makes the first one when it starts.",
        { { "id", 24, "ID" },
          { "suite", 5, "SUITE" },
          { "state", 8, "STATE" },
          { "starts", 20, "STARTS" },
          { "until", 20, "UNTIL" },
          { "realm", 12, "REALM" },
          { "owner", 0, "OWNER" },
          { NULL, 0, NULL } },
    };

    return print_list(ctl, &tpks, tpks.target);
}

enum kms_exit
kms_ctl_export_list(const struct kms_ctl *ctl)
{
    static const struct list exports = {
        "/v1/exports",
        "exports",
        "No exports wait.",
        { { "number", 6, "NUMBER" },
          { "tpk-id", 24, "TPK-ID" },
          { "state", 8, "STATE" },
          { "asked-by", 20, "ASKED-BY" },
          { "approved-by", 20, "APPROVED-BY" },
          { "seconds", 0, "SECONDS" },
          { NULL, 0, NULL } },
    };

    return print_list(ctl, &exports, exports.target);
}

enum kms_exit
kms_ctl_peers_list(const struct kms_ctl *ctl)
{
    static const struct list peers = {
        "/v1/peers",
        "peers",
        "The configuration names no other KMS.",
        { { "peer", 28, "PEER" },
          { "domains", 20, "DOMAINS" },
          { "state", 7, "STATE" },
          { "waiting", 7, "WAITING" },
          { "answered", 8, "ANSWERED" },
          { "refused", 7, "REFUSED" },
          { "failed", 6, "FAILED" },
          { "served", 6, "SERVED" },
          { "denied", 6, "DENIED" },
          { "failed_s", 10, "FAILED-AT" },
          { "error", 0, "ERROR" },
          { NULL, 0, NULL } },
    };
    enum kms_exit code = kms_ctl_needs_daemon(ctl);

    return code == KMS_EXIT_OK ? print_list(ctl, &peers, peers.target) : code;
}

enum kms_exit
kms_ctl_limits_list(const struct kms_ctl *ctl)
{
    static const struct list limits = {
        "/v1/limits",
        "limits",
        "Nobody was refused for a rate, or locked out, within the last hour.",
        { { "kind", 8, "KIND" },
          { "name", 40, "NAME" },
          { "state", 10, "STATE" },
          { "refused", 7, "REFUSED" },
          { "seconds", 0, "SECONDS" },
          { NULL, 0, NULL } },
    };
    enum kms_exit code = kms_ctl_needs_daemon(ctl);

    return code == KMS_EXIT_OK ? print_list(ctl, &limits, limits.target) : code;
}

enum kms_exit
kms_ctl_ticket_kept(const struct kms_ctl *ctl)
{
    static const struct list kept = {
        "/v1/tickets/kept?limit=10000",
        "tickets",
        "No reference tickets. The store keeps no others.",
        { { "reference", 32, "REFERENCE" },
          { "issued", 20, "ISSUED" },
          { "until", 20, "UNTIL" },
          { "initiator", 28, "INITIATOR" },
          { "responders", 0, "RESPONDERS" },
          { NULL, 0, NULL } },
    };

    return print_list(ctl, &kept, kept.target);
}
