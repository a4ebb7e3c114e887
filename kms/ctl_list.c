/* SPDX-License-Identifier: Apache-2.0 */
/* user list, group list, group show, realm list: rows of text, or JSON. Names of realms come before
 * what is in them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kmsctl.h"

struct listing {
    const struct kms_ctl *ctl;
    size_t n; /* rows printed */
    struct {
        uint32_t number;
        char name[KMS_REALM_MAX + 1];
    } * realms;
    size_t n_realms;
    int64_t now;
    char last[MKT_ID_MAX + 1]; /* identity of the user printed last */
    size_t members;            /* of the group printed last */
    bool shown;                /* the group that was asked for */
};

static bool
take_realm(void *ctx, const struct kms_realm *r)
{
    struct listing *l = ctx;
    void *grown = realloc(l->realms, (l->n_realms + 1) * sizeof *l->realms);

    if (grown == NULL)
        return false;
    l->realms = grown;
    l->realms[l->n_realms].number = r->number;
    snprintf(l->realms[l->n_realms].name, sizeof l->realms->name, "%s", r->name);
    l->n_realms++;
    return true;
}

static const char *
realm_name(const struct listing *l, uint32_t number)
{
    for (size_t i = 0; i < l->n_realms; i++)
        if (l->realms[i].number == number)
            return l->realms[i].name;
    return "?";
}

/* Begins a row: the comma of JSON, or the headings of a table. */
static void
begin_row(struct listing *l, const char *headings)
{
    if (l->ctl->json)
        printf("%s\n  {", l->n == 0 ? "" : ",");
    else if (l->n == 0)
        puts(headings);
    l->n++;
}

/* A member of a JSON object; `text` NULL: null. */
static void
field(const char *name, const char *text, const char *before)
{
    printf("%s\"%s\": ", before, name);
    if (text == NULL)
        printf("null");
    else
        kms_ctl_json(text);
}

/* --- users --------------------------------------------------------------------------------------
 */

static const char *
state_of(const struct listing *l, const struct kms_user *u)
{
    return u->suspended                              ? "suspended"
           : u->expires != 0 && l->now >= u->expires ? "expired"
                                                     : "active";
}

static const char user_headings[] =
    "IDENTITY                         PSK-ID                   SUITE "
    "STATE     REALM        ADDED                EXPIRES";

static bool
print_user(void *ctx, const struct kms_user *u)
{
    struct listing *l = ctx;
    const char *suite = u->psk_id == NULL ? NULL : u->psk_len == 16 ? "128" : "256";
    char added[32], expires[32];

    snprintf(l->last, sizeof l->last, "%s", u->identity);
    kms_ctl_time(u->added, added);
    kms_ctl_time(u->expires, expires);
    begin_row(l, user_headings);
    if (l->ctl->json) {
        field("identity", u->identity, "");
        field("psk-id", u->psk_id, ", ");
        printf(", \"suite\": %s", suite != NULL ? suite : "null");
        field("added", added, ", ");
        field("state", state_of(l, u), ", ");
        field("realm", realm_name(l, u->realm_number), ", ");
        field("expires", u->expires == 0 ? NULL : expires, ", ");
        putchar('}');
        return true;
    }
    printf("%-32s %-24s %-5s %-9s %-12s %-20s %s\n", u->identity,
           u->psk_id != NULL ? u->psk_id : "-", suite != NULL ? suite : "-", state_of(l, u),
           realm_name(l, u->realm_number), added, u->expires == 0 ? "-" : expires);
    return true;
}

static bool
print_alias(void *ctx, const char *identity)
{
    struct listing *l = ctx;

    begin_row(l, user_headings);
    if (l->ctl->json) {
        field("identity", identity, "");
        field("alias-of", l->last, ", ");
        putchar('}');
    } else {
        printf("%-32s is %s\n", identity, l->last);
    }
    return true;
}

/* --- groups and realms --------------------------------------------------------------------------
 */

static bool
print_group(void *ctx, const struct kms_group *g)
{
    struct listing *l = ctx;
    char added[32];

    kms_ctl_time(g->added, added);
    begin_row(l, "GROUP                            REALM        ADDED");
    if (l->ctl->json) {
        field("group", g->identity, "");
        field("realm", realm_name(l, g->realm), ", ");
        field("added", added, ", ");
        putchar('}');
    } else {
        printf("%-32s %-12s %s\n", g->identity, realm_name(l, g->realm), added);
    }
    return true;
}

static bool
choose_group(void *ctx, const struct kms_group *g)
{
    struct listing *l = ctx;

    snprintf(l->last, sizeof l->last, "%s", g->identity);
    l->shown = l->shown || strcmp(g->identity, l->ctl->identity) == 0;
    return true;
}

static bool
print_member(void *ctx, const struct kms_member *m)
{
    static const char *const kinds[] = { "user", "group", "pattern" };
    struct listing *l = ctx;

    if (strcmp(l->last, l->ctl->identity) != 0)
        return true;
    begin_row(l, "MEMBER                           KIND");
    if (l->ctl->json) {
        field("member", m->name, "");
        field("kind", kinds[m->kind], ", ");
        putchar('}');
    } else {
        printf("%-32s %s\n", m->name, kinds[m->kind]);
    }
    return true;
}

static bool
print_realm(void *ctx, const struct kms_realm *r)
{
    struct listing *l = ctx;
    char added[32];

    kms_ctl_time(r->added, added);
    begin_row(l, "REALM        ADDED");
    if (l->ctl->json) {
        field("realm", r->name, "");
        field("added", r->added == 0 ? NULL : added, ", ");
        putchar('}');
    } else {
        printf("%-12s %s\n", r->name, r->added == 0 ? "-" : added);
    }
    return true;
}

enum kms_exit
kms_ctl_list(const struct kms_ctl *ctl, const struct kms_sink *sink, const size_t *rows,
             const char *none)
{
    struct kms_store_err err = { 0 };

    if (ctl->json)
        printf("[");
    if (ctl->store->ops->read(ctl->store, sink, false, &err) != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (ctl->json)
        printf("%s]\n", *rows == 0 ? "" : "\n");
    else if (*rows == 0)
        puts(none);
    return KMS_EXIT_OK;
}

static enum kms_exit
list(struct listing *l, struct kms_sink *sink, const char *none)
{
    enum kms_exit code;

    sink->ctx = l;
    l->now = (int64_t)time(NULL);
    code = kms_ctl_list(l->ctl, sink, &l->n, none);
    free(l->realms);
    return code;
}

enum kms_exit
kms_ctl_user_list(const struct kms_ctl *ctl)
{
    struct kms_sink sink = { .realm = take_realm, .user = print_user, .alias = print_alias };
    struct listing l = { .ctl = ctl };

    return list(&l, &sink,
                "No users yet. Add one with: mikey-kmsctl --config FILE user add IDENTITY");
}

enum kms_exit
kms_ctl_group_list(const struct kms_ctl *ctl)
{
    struct kms_sink sink = { .realm = take_realm, .group = print_group };
    struct listing l = { .ctl = ctl };

    return list(&l, &sink,
                "No groups yet. Add one with: mikey-kmsctl --config FILE group add GROUP");
}

enum kms_exit
kms_ctl_group_show(const struct kms_ctl *ctl)
{
    struct kms_sink sink = { .group = choose_group, .member = print_member };
    struct listing l = { .ctl = ctl };
    enum kms_exit code = list(&l, &sink, "No members, or no such group.");

    if (code != KMS_EXIT_OK || l.shown)
        return code;
    fprintf(stderr, "mikey-kmsctl: there is no group %s: see group list\n", ctl->identity);
    return KMS_EXIT_STORE;
}

enum kms_exit
kms_ctl_realm_list(const struct kms_ctl *ctl)
{
    struct kms_sink sink = { .realm = print_realm };
    struct listing l = { .ctl = ctl };

    return list(&l, &sink, "");
}
