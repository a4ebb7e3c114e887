/* SPDX-License-Identifier: Apache-2.0 */
/* The file is read once to see that it is whole before anything is changed, then for users and
 * groups, and then (LDIF) for the members of groups, which may stand before those they name. */
#include "import_apply.h"

#include <jansson.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "import.h"
#include "instant.h"
#include "key_text.h"
#include "seal_in.h"

#define BATCH 2000 /* entries in one transaction */

/* An entry of LDIF and what it is called here. */
struct named {
    char *dn;
    char *identity;
};

struct import {
    const struct kms_import_job *job;
    struct kms_store *store;
    struct kms_import in;
    struct kms_store_err err;
    struct kms_import_counts n;
    void *names;       /* struct named, a tree (tsearch) */
    unsigned in_batch; /* entries */
    int percent;
    char buffer[65536]; /* of the file; holds keys */
};

/* What the store said: OK counts in *n, SAME is fine. */
static bool
counted(struct import *x, enum kms_store_rc rc, size_t *n, size_t line)
{
    *n += rc == KMS_STORE_OK;
    return rc == KMS_STORE_OK || rc == KMS_STORE_SAME ||
           kms_import_wrong(&x->in, line, "%s", x->err.text);
}

static void
show_progress(struct import *x)
{
    long at = ftell(x->in.file);
    int percent = x->job->n == 0 ? 100 : (int)((size_t)at * 100 / x->job->n);

    if (x->job->progress == NULL || percent == x->percent)
        return;
    x->percent = percent;
    x->job->progress(x->job->ctx, (uint64_t)at, x->job->n);
}

/* A rotation of the KEK cannot come in between, once the batch holds the store. */
static bool
begin_batch(struct import *x)
{
    if (x->store->ops->begin(x->store, &x->err) == KMS_STORE_OK &&
        kms_vault_refresh(x->job->vault, x->store, &x->err) == KMS_STORE_OK)
        return true;
    return kms_import_wrong(&x->in, 0, "%s", x->err.text);
}

/* Between entries: now and then what was done is put on disk. Never in a dry run. */
static bool
pause_batch(struct import *x)
{
    show_progress(x);
    if (++x->in_batch < BATCH || x->job->dry_run)
        return true;
    x->in_batch = 0;
    if (x->store->ops->end(x->store, true, &x->err) != KMS_STORE_OK)
        return kms_import_wrong(&x->in, 0, "%s", x->err.text);
    x->store->ops->give_way(x->store);
    return begin_batch(x);
}

/* --- DNs ----------------------------------------------------------------------------------------
 */

static int
compare_dn(const void *a, const void *b)
{
    return strcasecmp(((const struct named *)a)->dn, ((const struct named *)b)->dn);
}

/* Without the blanks around commas and equals signs, which say nothing. */
static char *
normal_dn(const char *dn)
{
    char *copy = malloc(strlen(dn) + 1), *to = copy;

    for (const char *p = dn; copy != NULL && *p != '\0'; p++) {
        bool after = to > copy && strchr(",=", to[-1]) != NULL;

        if (*p == ' ' && (after || strchr(",= ", p[1]) != NULL))
            continue;
        *to++ = *p;
    }
    if (copy != NULL)
        *to = '\0';
    return copy;
}

static void
free_named(void *p)
{
    struct named *n = p;

    free(n->dn);
    free(n->identity);
    free(n);
}

static bool
remember_dn(struct import *x, const char *dn, const char *identity)
{
    struct named *n = calloc(1, sizeof *n), **found;

    if (n == NULL || (n->dn = normal_dn(dn)) == NULL || (n->identity = strdup(identity)) == NULL ||
        (found = tsearch(n, &x->names, compare_dn)) == NULL) {
        if (n != NULL)
            free_named(n);
        return kms_import_wrong(&x->in, 0, "out of memory");
    }
    if (*found == n)
        return true;
    free_named(n);
    return kms_import_wrong(&x->in, x->in.entry.line, "the dn %s stands twice", dn);
}

static const char *
find_dn(struct import *x, const char *dn)
{
    const struct named key = { normal_dn(dn), NULL };
    struct named **found = key.dn == NULL ? NULL : tfind(&key, &x->names, compare_dn);

    free(key.dn);
    return found == NULL ? NULL : (*found)->identity;
}

/* --- one entry ----------------------------------------------------------------------------------
 */

static const char *
value(const struct import *x, enum kms_field field, size_t *line)
{
    return kms_entry_value(&x->in.entry, field, 0, line);
}

static const char *
identity_of(const struct import *x, size_t *line)
{
    const char *id = value(x, KMS_FIELD_IDENTITY, line);

    return id != NULL ? id : value(x, KMS_FIELD_MAIL, line);
}

static bool
is_group(const struct import *x)
{
    const char *class;

    for (size_t i = 0; (class = kms_entry_value(&x->in.entry, KMS_FIELD_CLASS, i, NULL)) != NULL;
         i++)
        if (strcasecmp(class, "groupOfNames") == 0 || strcasecmp(class, "groupOfUniqueNames") == 0)
            return true;
    return false;
}

/* JSON, which is how identities are asked for, knows no others. */
static bool
is_utf8(const char *text)
{
    json_t *v = json_string(text);
    bool is = v != NULL;

    json_decref(v);
    return is;
}

static bool
check_name(struct kms_import *in, const char *text, size_t line)
{
    if (!is_utf8(text))
        return kms_import_wrong(in, line, "an identity is UTF-8");
    return kms_identity_of(text).data.p != NULL ||
           kms_import_wrong(in, line, "\"%s\": " KMS_IDENTITY_FORM, text);
}

/* Whatever is added here could be added one by one, and removed again. */
static bool
check_names(struct kms_import *in)
{
    static const enum kms_field lists[] = { KMS_FIELD_IDENTITY, KMS_FIELD_GROUP };
    const char *text;
    size_t line = 0;

    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++)
        for (size_t i = 0; (text = kms_entry_value(&in->entry, lists[k], i, &line)) != NULL; i++)
            if (!check_name(in, text, line))
                return false;
    if (kms_entry_value(&in->entry, KMS_FIELD_IDENTITY, 0, NULL) != NULL)
        return true;
    text = kms_entry_value(&in->entry, KMS_FIELD_MAIL, 0, &line);
    return text == NULL || check_name(in, text, line);
}

/* What is wrong with the entry itself, whatever the store holds. */
static bool
check(void *ctx, struct kms_import *in)
{
    MKT_SCOPED_SECRET
    key = { 0 };
    struct import *x = ctx;
    const char *text, *wrong = NULL;
    size_t line = 0;
    int64_t at;

    if (!check_names(in))
        return false;
    if ((text = value(x, KMS_FIELD_EXPIRES, &line)) != NULL && !kms_instant_read(text, &at))
        return kms_import_wrong(in, line, "\"%s\": " KMS_INSTANT_FORM, text);
    if ((text = value(x, KMS_FIELD_SUSPENDED, &line)) != NULL && strcasecmp(text, "true") != 0 &&
        strcasecmp(text, "false") != 0)
        return kms_import_wrong(in, line, "\"%s\": suspended is true or false", text);
    if ((text = value(x, KMS_FIELD_PSK_ID, &line)) != NULL)
        wrong = kms_key_id_check(text, KMS_PSK);
    if (wrong != NULL)
        return kms_import_wrong(in, line, "%s", wrong);
    if ((text == NULL) != (value(x, KMS_FIELD_PSK, NULL) == NULL))
        return kms_import_wrong(in, in->entry.line, "a psk needs its psk-id, and a psk-id its psk");
    if ((text = value(x, KMS_FIELD_PSK, &line)) != NULL)
        wrong = x->job->shared ? "a file with keys that others can read: chmod 600 it"
                               : kms_key_read(&key, text, strlen(text), NULL);
    show_progress(x);
    return wrong == NULL || kms_import_wrong(in, line, "%s", wrong);
}

/* --- applying -----------------------------------------------------------------------------------
 */

static bool
add_credential(struct import *x, struct kms_user *user)
{
    MKT_SCOPED_SECRET
    key = { 0 };
    size_t line = 0;
    const char *hex = value(x, KMS_FIELD_PSK, &line), *wrong;

    if (hex == NULL)
        return true;
    wrong = kms_key_read(&key, hex, strlen(hex), NULL);
    if (wrong != NULL)
        return kms_import_wrong(&x->in, line, "%s", wrong);
    user->psk_id = value(x, KMS_FIELD_PSK_ID, &line);
    return counted(x, kms_seal_user(x->store, x->job->vault, x->job->slot, user, &key, &x->err),
                   &x->n.credentials, line);
}

static bool
change_user(struct import *x, const char *identity)
{
    size_t line = x->in.entry.line;
    const char *expires = value(x, KMS_FIELD_EXPIRES, &line);
    const char *suspended = value(x, KMS_FIELD_SUSPENDED, &line);
    bool off = suspended != NULL && strcasecmp(suspended, "true") == 0;
    int64_t at = 0;
    struct kms_user_change c = { NULL, NULL };

    if (expires != NULL && kms_instant_read(expires, &at))
        c.expires = &at;
    if (suspended != NULL)
        c.suspended = &off;
    if (c.expires == NULL && c.suspended == NULL)
        return true;
    return counted(x, x->store->ops->user_change(x->store, identity, &c, &x->err), &x->n.changed,
                   line);
}

static bool
add_names_and_groups(struct import *x, const char *identity, const char *realm)
{
    const struct kms_store_ops *ops = x->store->ops;
    const char *text;
    size_t line = 0;

    for (size_t i = 1; (text = kms_entry_value(&x->in.entry, KMS_FIELD_IDENTITY, i, &line)) != NULL;
         i++)
        if (!counted(x, ops->alias_add(x->store, identity, text, &x->err), &x->n.aliases, line))
            return false;
    for (size_t i = 0; (text = kms_entry_value(&x->in.entry, KMS_FIELD_GROUP, i, &line)) != NULL;
         i++)
        if (!counted(x, ops->group_add(x->store, text, realm, &x->err), &x->n.groups, line) ||
            !counted(x, ops->member_add(x->store, text, identity, &x->err), &x->n.members, line))
            return false;
    return true;
}

static bool
add_user(struct import *x, const char *identity, size_t line)
{
    struct kms_user user = { .identity = identity, .realm = value(x, KMS_FIELD_REALM, NULL) };

    return counted(x, x->store->ops->user_add(x->store, &user, &x->err), &x->n.users, line) &&
           add_credential(x, &user) && change_user(x, identity) &&
           add_names_and_groups(x, identity, user.realm);
}

/* A user, or a group without its members yet. */
static bool
apply(void *ctx, struct kms_import *in)
{
    struct import *x = ctx;
    size_t line = 0;
    const char *identity = identity_of(x, &line), *dn = value(x, KMS_FIELD_DN, NULL);

    x->n.entries++;
    if (identity == NULL) {
        x->n.passed_over++;
        return true;
    }
    if (!pause_batch(x) || (dn != NULL && !remember_dn(x, dn, identity)))
        return false;
    if (!is_group(x))
        return add_user(x, identity, line);
    return counted(
        x, x->store->ops->group_add(x->store, identity, value(x, KMS_FIELD_REALM, NULL), &x->err),
        &x->n.groups, in->entry.line);
}

static bool
add_members(void *ctx, struct kms_import *in)
{
    struct import *x = ctx;
    const struct kms_value *v = (const struct kms_value *)(const void *)in->entry.values.p;
    const char *group = identity_of(x, NULL);

    if (group == NULL || !is_group(x))
        return true;
    for (size_t i = 0; i < in->entry.n; i++) {
        const char *dn = (const char *)in->entry.texts.p + v[i].text, *member;

        if (v[i].field != KMS_FIELD_MEMBER)
            continue;
        member = find_dn(x, dn);
        if (member == NULL)
            return kms_import_wrong(in, v[i].line, "the member %s is not in this file", dn);
        if (!pause_batch(x) ||
            !counted(x, x->store->ops->member_add(x->store, group, member, &x->err), &x->n.members,
                     v[i].line))
            return false;
    }
    return true;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static bool
read_through(struct import *x, bool (*each)(void *ctx, struct kms_import *in))
{
    const char *dot = strrchr(x->in.path, '.');

    x->in.each = each;
    x->in.ctx = x;
    x->percent = -1;
    return dot != NULL && strcasecmp(dot, ".ldif") == 0 ? kms_import_ldif(&x->in)
                                                        : kms_import_csv(&x->in);
}

static bool
change_all(struct import *x)
{
    const struct kms_store_ops *ops = x->store->ops;
    bool ok;

    if (!begin_batch(x))
        return false;
    ok = read_through(x, apply) && (x->names == NULL || read_through(x, add_members));
    if (ops->end(x->store, !x->job->dry_run, &x->err) != KMS_STORE_OK && ok)
        return kms_import_wrong(&x->in, 0, "%s", x->err.text);
    return ok;
}

enum kms_import_end
kms_import_apply(struct kms_store *store, const struct kms_import_job *job,
                 struct kms_import_counts *counts, char err[KMS_IMPORT_ERR])
{
    struct import *x = calloc(1, sizeof *x);
    enum kms_import_end end = KMS_IMPORT_WRONG;

    snprintf(err, KMS_IMPORT_ERR, "out of memory");
    if (x == NULL)
        return end;
    x->job = job;
    x->store = store;
    x->in.path = job->name;
    x->in.file = job->n == 0 ? fopen("/dev/null", "re")
                             : fmemopen((void *)(uintptr_t)job->octets, job->n, "r");
    if (x->in.file != NULL) {
        setvbuf(x->in.file, x->buffer, _IOFBF, sizeof x->buffer);
        if (read_through(x, check))
            end = change_all(x) ? KMS_IMPORT_DONE : KMS_IMPORT_STOPPED;
        snprintf(err, KMS_IMPORT_ERR, "%s", x->in.err);
        fclose(x->in.file);
    }
    *counts = x->n;
    tdestroy(x->names, free_named);
    kms_import_free(&x->in);
    mkt_wipe(x->buffer, sizeof x->buffer);
    free(x);
    return end;
}
