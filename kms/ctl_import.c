/* SPDX-License-Identifier: Apache-2.0 */
/* import: users, their other identities, devices and groups from a file. The file is read once to
 * see that it is whole before anything is changed, then for users and groups, and then (LDIF) for
 * the members of groups, which may stand before those they name. Nothing is taken away, and what is
 * there already is left alone: a second run changes nothing. */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hex.h"
#include "import.h"
#include "kmsctl.h"

#define BATCH 2000 /* entries in one transaction */

/* An entry of LDIF and what it is called here. */
struct named {
    char *dn;
    char *identity;
};

struct import {
    const struct kms_ctl *ctl;
    struct kms_store *store;
    struct kms_import in;
    struct kms_store_err err;
    void *names; /* struct named, a tree (tsearch) */
    int64_t size;
    bool shared; /* others can read the file */
    int percent;
    bool bar;          /* standard error is a terminal */
    unsigned in_batch; /* entries */
    size_t entries, passed_over;
    char buffer[65536]; /* of the file */
    size_t users, credentials, aliases, changed, groups, members;
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
    int percent = x->size <= 0 ? 100 : (int)(ftell(x->in.file) * 100 / x->size);

    if (!x->bar || percent == x->percent)
        return;
    x->percent = percent;
    fprintf(stderr, "\r[%-50.*s] %3d %%", percent / 2,
            "##################################################", percent);
    if (percent == 100)
        fputc('\n', stderr);
}

/* A rotation of the KEK cannot come in between, once the batch holds the store. */
static bool
begin_batch(struct import *x)
{
    if (x->store->ops->begin(x->store, &x->err) == KMS_STORE_OK &&
        kms_vault_refresh(x->ctl->vault, x->store, &x->err) == KMS_STORE_OK)
        return true;
    return kms_import_wrong(&x->in, 0, "%s", x->err.text);
}

/* Between entries: now and then what was done is put on disk. Never in a dry run. */
static bool
pause_batch(struct import *x)
{
    show_progress(x);
    if (++x->in_batch < BATCH || x->ctl->dry_run)
        return true;
    x->in_batch = 0;
    if (x->store->ops->end(x->store, true, &x->err) == KMS_STORE_OK)
        return begin_batch(x);
    return kms_import_wrong(&x->in, 0, "%s", x->err.text);
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

static const char *
read_key(struct mkt_secret *key, const char *hex)
{
    size_t n = strlen(hex);

    if (n % 2 != 0 || (n != 32 && n < 64) || n > 2 * MKT_SECRET_MAX)
        return "a key has 16 octets, or 32 to 128, in hexadecimal digits";
    for (size_t i = 0; i < n; i += 2) {
        int high = kms_hex_value(hex[i]), low = kms_hex_value(hex[i + 1]);

        if (high < 0 || low < 0)
            return "a key is written in hexadecimal digits";
        key->b[i / 2] = (uint8_t)(high << 4 | low);
    }
    key->n = (uint16_t)(n / 2);
    return NULL;
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

    for (size_t i = 0; (text = kms_entry_value(&in->entry, KMS_FIELD_IDENTITY, i, &line)) != NULL;
         i++)
        if (kms_identity_of(text).data.p == NULL)
            return kms_import_wrong(in, line, "\"%s\": " KMS_CTL_IDENTITY, text);
    if ((text = value(x, KMS_FIELD_EXPIRES, &line)) != NULL && !kms_ctl_instant(text, &at))
        return kms_import_wrong(in, line, "\"%s\": " KMS_CTL_INSTANT, text);
    if ((text = value(x, KMS_FIELD_SUSPENDED, &line)) != NULL && strcasecmp(text, "true") != 0 &&
        strcasecmp(text, "false") != 0)
        return kms_import_wrong(in, line, "\"%s\": suspended is true or false", text);
    if ((text = value(x, KMS_FIELD_PSK_ID, &line)) != NULL && strlen(text) > KMS_PSK_ID_MAX)
        return kms_import_wrong(in, line, "the id of a key has 1 to 128 characters");
    if ((text == NULL) != (value(x, KMS_FIELD_PSK, NULL) == NULL))
        return kms_import_wrong(in, in->entry.line, "a psk needs its psk-id, and a psk-id its psk");
    if ((text = value(x, KMS_FIELD_PSK, &line)) != NULL)
        wrong = x->shared ? "a file with keys that others can read: chmod 600 it"
                          : read_key(&key, text);
    show_progress(x);
    return wrong == NULL || kms_import_wrong(in, line, "%s", wrong);
}

/* --- applying -----------------------------------------------------------------------------------
 */

/* A key that is to be added, for the case that there is one of that name. */
struct wanted {
    struct kms_same same; /* first member */
    struct kms_vault *vault;
    struct kms_locker locker;
    const struct mkt_secret *key;
};

static bool
is_wanted(const struct kms_same *same, const struct kms_sealed *there)
{
    const struct wanted *w = (const struct wanted *)same;
    struct kms_locker l = w->locker;

    l.key = *there;
    return kms_local_holds(w->vault, &l, mkt_secret_span(w->key));
}

static bool
seal_and_add(struct import *x, struct kms_user *user, const struct mkt_secret *key, size_t line)
{
    struct wanted w = { .same = { is_wanted }, .vault = x->ctl->vault, .key = key };
    uint8_t buf[KMS_SEALED_MAX];
    enum kms_store_rc rc = KMS_STORE_FAILED;

    w.locker = (struct kms_locker){ .kind = KMS_PSK,
                                    .owner = mkt_span(user->identity, strlen(user->identity)),
                                    .id = mkt_span(user->psk_id, strlen(user->psk_id)) };
    if (kms_local_seal(x->ctl->vault, &w.locker, mkt_secret_span(key), buf)) {
        user->psk = w.locker.key;
        user->same = &w.same;
        rc = x->store->ops->user_add(x->store, user, &x->err);
        user->same = NULL;
    } else {
        kms_store_fail(&x->err, rc, "the key cannot be sealed");
    }
    mkt_wipe(buf, sizeof buf);
    return counted(x, rc, &x->credentials, line);
}

static bool
add_credential(struct import *x, struct kms_user *user)
{
    MKT_SCOPED_SECRET
    key = { 0 };
    size_t line = 0;
    const char *hex = value(x, KMS_FIELD_PSK, &line), *wrong;

    if (hex == NULL)
        return true;
    wrong = read_key(&key, hex);
    if (wrong != NULL)
        return kms_import_wrong(&x->in, line, "%s", wrong);
    user->psk_id = value(x, KMS_FIELD_PSK_ID, &line);
    return seal_and_add(x, user, &key, line);
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

    if (expires != NULL && kms_ctl_instant(expires, &at))
        c.expires = &at;
    if (suspended != NULL)
        c.suspended = &off;
    if (c.expires == NULL && c.suspended == NULL)
        return true;
    return counted(x, x->store->ops->user_change(x->store, identity, &c, &x->err), &x->changed,
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
        if (!counted(x, ops->alias_add(x->store, identity, text, &x->err), &x->aliases, line))
            return false;
    for (size_t i = 0; (text = kms_entry_value(&x->in.entry, KMS_FIELD_GROUP, i, &line)) != NULL;
         i++)
        if (!counted(x, ops->group_add(x->store, text, realm, &x->err), &x->groups, line) ||
            !counted(x, ops->member_add(x->store, text, identity, &x->err), &x->members, line))
            return false;
    return true;
}

static bool
add_user(struct import *x, const char *identity, size_t line)
{
    struct kms_user user = { .identity = identity, .realm = value(x, KMS_FIELD_REALM, NULL) };

    return counted(x, x->store->ops->user_add(x->store, &user, &x->err), &x->users, line) &&
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

    x->entries++;
    if (identity == NULL) {
        x->passed_over++;
        return true;
    }
    if (!pause_batch(x) || (dn != NULL && !remember_dn(x, dn, identity)))
        return false;
    if (!is_group(x))
        return add_user(x, identity, line);
    return counted(
        x, x->store->ops->group_add(x->store, identity, value(x, KMS_FIELD_REALM, NULL), &x->err),
        &x->groups, in->entry.line);
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
            !counted(x, x->store->ops->member_add(x->store, group, member, &x->err), &x->members,
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
    if (ops->end(x->store, !x->ctl->dry_run, &x->err) != KMS_STORE_OK && ok)
        return kms_import_wrong(&x->in, 0, "%s", x->err.text);
    return ok;
}

static void
report(const struct import *x)
{
    printf("%s%zu entries: %zu users, %zu credentials, %zu aliases, %zu groups and %zu members "
           "%sadded, %zu users changed",
           x->ctl->dry_run ? "dry run, nothing was changed: " : "", x->entries, x->users,
           x->credentials, x->aliases, x->groups, x->members, x->ctl->dry_run ? "would be " : "",
           x->changed);
    if (x->passed_over > 0)
        printf("; %zu entries without an identity passed over", x->passed_over);
    puts("");
}

/* The file may hold keys. */
static const char *
open_file(struct import *x)
{
    struct stat st;

    x->in.file = fopen(x->in.path, "re");
    if (x->in.file == NULL || fstat(fileno(x->in.file), &st) != 0)
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "is not a file";
    x->size = st.st_size;
    x->shared = (st.st_mode & 077) != 0;
    setvbuf(x->in.file, x->buffer, _IOFBF, sizeof x->buffer);
    x->bar = isatty(STDERR_FILENO) == 1;
    return NULL;
}

enum kms_exit
kms_ctl_import(const struct kms_ctl *ctl)
{
    struct import *x = calloc(1, sizeof *x);
    enum kms_exit code = KMS_EXIT_FAILED;
    const char *wrong;

    if (x == NULL)
        return kms_ctl_misuse("out of memory");
    x->ctl = ctl;
    x->store = ctl->store;
    x->in.path = ctl->identity;
    wrong = open_file(x);
    if (wrong != NULL) {
        fprintf(stderr, "mikey-kmsctl: %s: %s\n", x->in.path, wrong);
    } else if (!read_through(x, check)) {
        fprintf(stderr, "mikey-kmsctl: %s; nothing was changed\n", x->in.err);
    } else if (!change_all(x)) {
        fprintf(stderr, "mikey-kmsctl: %s; %s\n", x->in.err,
                ctl->dry_run ? "nothing was changed"
                             : "what stands before it is done: mend it and run this again");
        code = KMS_EXIT_STORE;
    } else {
        report(x);
        code = KMS_EXIT_OK;
    }
    if (x->in.file != NULL)
        fclose(x->in.file);
    tdestroy(x->names, free_named);
    kms_import_free(&x->in);
    mkt_wipe(x->buffer, sizeof x->buffer);
    free(x);
    return code;
}
