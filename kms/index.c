/* SPDX-License-Identifier: Apache-2.0 */
/* A picture is a list of parts that it shares with the pictures before and after it: all users as
 * they were read once, those that have changed since, groups, keys. To follow a change, only the
 * small parts are made anew. When too much has changed, everything is read again. */
#include "index.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mikeyticket/env.h>

#include "crowd.h"

#define REALM_DEFAULT 1   /* the number of it */
#define CHANGED_MIN 4096u /* users that may have changed before all are read again... */
#define WRAPS_MAX 64      /* of the store key: two for each generation in use, and two are */
#define CHANGED_PART 8u   /* ...and this part of all */

struct kms_index {
    struct kms_hash_key hash;
    struct kms_crowd *all;      /* as of one reading */
    struct kms_people *changed; /* since then: overrides `all`; NULL: nobody */
    struct kms_groups *groups;
    struct kms_keys *keys;
    struct kms_revoked *revoked;
    struct kms_wrap wraps[WRAPS_MAX]; /* while it is built */
    size_t n_wraps;
    bool sealed;   /* keys are, in this store */
    bool in_clear; /* a key is not; of users, their parts tell */
    bool locked;
};

static enum kms_store_rc
no_memory(struct kms_store_err *err)
{
    return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
}

void
kms_index_free(struct kms_index *x)
{
    if (x == NULL)
        return;
    kms_crowd_free(x->all);
    kms_people_free(x->changed);
    kms_groups_free(x->groups);
    kms_keys_free(x->keys);
    kms_revoked_free(x->revoked);
    free(x);
}

void
kms_index_release(void *index)
{
    kms_index_free(index);
}

/* --- everything --------------------------------------------------------------------------------
 */

static bool
take_wrap(void *ctx, const struct kms_wrap *w)
{
    struct kms_index *x = ctx;

    if (x->n_wraps == WRAPS_MAX)
        return false;
    x->wraps[x->n_wraps++] = *w;
    return true;
}

static bool
in_clear(const struct kms_index *x)
{
    return x->in_clear || (x->all != NULL && kms_crowd_in_clear(x->all)) ||
           (x->changed != NULL && kms_people_in_clear(x->changed));
}

/* The vault opens what is new. A key in clear among sealed ones was put there by nobody of ours, or
 * is left over from an interrupted kek init. */
static enum kms_store_rc
admit(struct kms_index *x, struct kms_vault *vault, struct kms_store_err *err)
{
    char why[KMS_KEK_ERR];

    if (vault == NULL)
        return KMS_STORE_OK;
    if (!vault->ops->admit(vault, x->wraps, x->n_wraps, why))
        return kms_store_fail(err, KMS_STORE_FAILED, "%s", why);
    x->sealed = x->sealed || x->n_wraps > 0;
    if (x->sealed && in_clear(x))
        return kms_store_fail(err, KMS_STORE_FAILED,
                              "a key in the store is not wrapped, others are: run mikey-kmsctl kek "
                              "init to the end");
    return KMS_STORE_OK;
}

/* Those who have changed, while we follow; else all. */
static struct kms_people *
people_of(const struct kms_index *x)
{
    return x->changed != NULL ? x->changed : kms_crowd_first(x->all);
}

static bool
take_user(void *ctx, const struct kms_user *u)
{
    return kms_people_take(people_of(ctx), u);
}

static bool
take_alias(void *ctx, const char *identity)
{
    return kms_people_alias(people_of(ctx), identity);
}

static bool
take_group(void *ctx, const struct kms_group *g)
{
    return kms_groups_take(((struct kms_index *)ctx)->groups, g);
}

static bool
take_member(void *ctx, const struct kms_member *m)
{
    return kms_groups_member(((struct kms_index *)ctx)->groups, m);
}

static bool
take_realm(void *ctx, const struct kms_realm *r)
{
    return kms_keys_realm(((struct kms_index *)ctx)->keys, r);
}

static bool
take_tpk(void *ctx, const struct kms_tpk *t)
{
    struct kms_index *x = ctx;

    x->in_clear = x->in_clear || t->key.kek == 0;
    return kms_keys_take(x->keys, t);
}

static bool
take_revocation(void *ctx, const struct kms_revocation *r)
{
    struct kms_index *x = ctx;

    return kms_revoked_take(x->revoked, &x->hash, r);
}

static bool
make_parts(struct kms_index *x, struct kms_store *s, bool side_by_side)
{
    x->all = kms_crowd_new(&x->hash, s, side_by_side);
    x->groups = kms_groups_new(NULL);
    x->keys = kms_keys_new(&x->hash);
    x->revoked = kms_revoked_new();
    return x->all != NULL && x->groups != NULL && x->keys != NULL && x->revoked != NULL;
}

static bool
seal_parts(struct kms_index *x)
{
    bool keys = false, ok = kms_groups_seal(x->groups) && kms_keys_seal(x->keys, &keys);

    kms_revoked_sort(x->revoked);
    x->locked = kms_crowd_locked(x->all) && keys;
    return ok;
}

/* Everything that the store has for x. */
static struct kms_sink
sink_of(struct kms_index *x)
{
    return (struct kms_sink){ .wrap = take_wrap,
                              .user = take_user,
                              .alias = take_alias,
                              .group = take_group,
                              .member = take_member,
                              .realm = take_realm,
                              .tpk = take_tpk,
                              .revocation = take_revocation,
                              .ctx = x };
}

static enum kms_store_rc
build(struct kms_index **index, struct kms_store *s, struct kms_vault *vault, bool side_by_side,
      struct kms_store_err *err)
{
    struct kms_index *x = calloc(1, sizeof *x);
    const struct kms_sink sink = sink_of(x);
    enum kms_store_rc rc;

    if (x == NULL)
        return no_memory(err);
    if (!mkt_crypto_random(NULL, (uint8_t *)&x->hash, sizeof x->hash))
        rc = kms_store_fail(err, KMS_STORE_FAILED, "the random number generator failed");
    else if (!make_parts(x, s, side_by_side))
        rc = no_memory(err);
    else
        rc = kms_crowd_read(x->all, s, &sink, err);
    if (rc == KMS_STORE_OK)
        rc = admit(x, vault, err);
    if (rc == KMS_STORE_OK && !seal_parts(x))
        rc = no_memory(err);
    if (rc != KMS_STORE_OK) {
        kms_index_free(x);
        return rc;
    }
    *index = x;
    return KMS_STORE_OK;
}

enum kms_store_rc
kms_index_build(struct kms_index **index, struct kms_store *s, struct kms_vault *vault,
                struct kms_store_err *err)
{
    enum kms_store_rc rc = build(index, s, vault, true, err);

    return rc == KMS_STORE_FORGOTTEN ? build(index, s, vault, false, err) : rc;
}

/* --- what has changed ---------------------------------------------------------------------------
 */

static bool
touched(void *ctx, enum kms_touched what, uint64_t number)
{
    struct kms_index *x = ctx;

    if (what == KMS_TOUCHED_USER)
        return kms_people_override(x->changed, number);
    if (what == KMS_TOUCHED_GROUP) {
        kms_groups_drop(x->groups, number);
        return true;
    }
    if (what == KMS_TOUCHED_REVOCATIONS) {
        if (x->revoked == NULL)
            x->revoked = kms_revoked_new();
        return x->revoked != NULL;
    }
    if (x->keys == NULL)
        x->keys = kms_keys_new(&x->hash);
    return x->keys != NULL;
}

/* Those who had changed before, and have not again. */
static bool
carry_over(struct kms_index *x, const struct kms_index *old)
{
    const struct kms_person *person = NULL;

    while (old->changed != NULL && (person = kms_people_next(old->changed, person)) != NULL)
        if (!kms_people_overrides(x->changed, person->number) &&
            !kms_people_copy(x->changed, person))
            return false;
    return old->changed == NULL || kms_people_override_all(x->changed, old->changed);
}

static bool
finish(struct kms_index *x, const struct kms_index *old)
{
    bool people = true, keys = true;

    if (!carry_over(x, old) || !kms_people_seal(x->changed, &people) || !kms_groups_seal(x->groups))
        return false;
    if (x->keys != NULL && !kms_keys_seal(x->keys, &keys))
        return false;
    if (x->keys == NULL)
        x->keys = kms_keys_share(old->keys);
    if (x->revoked == NULL)
        x->revoked = kms_revoked_share(old->revoked);
    else
        kms_revoked_sort(x->revoked);
    x->all = kms_crowd_share(old->all);
    x->locked = old->locked && people && keys;
    return true;
}

enum kms_store_rc
kms_index_follow(struct kms_index **index, const struct kms_index *old, struct kms_store *s,
                 struct kms_vault *vault, uint64_t *version, struct kms_store_err *err)
{
    struct kms_index *x = calloc(1, sizeof *x);
    struct kms_sink sink = sink_of(x);
    uint64_t seen = *version;
    enum kms_store_rc rc;

    if (x == NULL)
        return no_memory(err);
    sink.touched = touched;
    x->hash = old->hash;
    x->sealed = old->sealed;
    x->changed = kms_people_new(&x->hash);
    x->groups = kms_groups_new(old->groups);
    rc = x->changed == NULL || x->groups == NULL ? no_memory(err)
                                                 : s->ops->follow(s, &seen, &sink, err);
    if (rc == KMS_STORE_OK && (x->n_wraps > 0 || in_clear(x)))
        rc = admit(x, vault, err);
    if (rc == KMS_STORE_OK && !finish(x, old))
        rc = no_memory(err);
    if (rc == KMS_STORE_OK &&
        kms_people_overridden(x->changed) > CHANGED_MIN + kms_crowd_persons(x->all) / CHANGED_PART)
        rc = kms_store_fail(err, KMS_STORE_FORGOTTEN, "too many changes");
    if (rc != KMS_STORE_OK) {
        kms_index_free(x);
        return rc;
    }
    *version = seen;
    *index = x;
    return KMS_STORE_OK;
}

/* --- questions ----------------------------------------------------------------------------------
 */

typedef const struct kms_person *look(const struct kms_people *p, struct mkt_identity name,
                                      struct kms_item *item);

static const struct kms_person *
look_key(const struct kms_people *p, struct mkt_identity name, struct kms_item *item)
{
    return kms_people_by_psk_id(p, name.data, item);
}

/* Who has that name now: among the changed, or else among all but the changed. */
static const struct kms_person *
find(const struct kms_index *x, look *by, struct mkt_identity name, struct kms_item *item)
{
    const struct kms_people *part;
    const struct kms_person *person;

    if (name.data.p == NULL)
        return NULL;
    person = x->changed == NULL ? NULL : by(x->changed, name, item);
    if (person != NULL)
        return person;
    for (size_t i = 0; person == NULL && (part = kms_crowd_part(x->all, i)) != NULL; i++)
        person = by(part, name, item);
    return person != NULL && x->changed != NULL && kms_people_overrides(x->changed, person->number)
               ? NULL
               : person;
}

static const struct kms_person *
find_identity(const struct kms_index *x, struct mkt_identity who)
{
    struct kms_item item;

    return find(x, kms_people_by_identity, who, &item);
}

static bool
active(const struct kms_person *person, int64_t now_s)
{
    return person != NULL && !person->suspended &&
           (person->expires == 0 || now_s < (int64_t)person->expires);
}

/* The first item of that kind. */
static struct kms_item
item_of(const struct kms_person *person, bool key)
{
    struct kms_item item;
    size_t at = 0;

    while (kms_person_item(person, &at, &item) && item.key != key)
        ;
    return item;
}

static void
show(const struct kms_person *person, struct mkt_identity identity, const struct kms_item *key,
     struct kms_found *found)
{
    *found = (struct kms_found){ identity, key->psk_id, key->psk, key->serial, person };
}

bool
kms_index_by_psk_id(const struct kms_index *x, struct mkt_span psk_id, int64_t now_s,
                    struct kms_found *found)
{
    struct kms_item key;
    const struct kms_person *person = find(x, look_key, (struct mkt_identity){ 0, psk_id }, &key);

    if (!active(person, now_s))
        return false;
    show(person, item_of(person, false).identity, &key, found);
    return true;
}

bool
kms_index_by_identity(const struct kms_index *x, struct mkt_identity id, int64_t now_s,
                      struct kms_found *found)
{
    struct kms_item name, key;
    const struct kms_person *person = find(x, kms_people_by_identity, id, &name);

    if (!active(person, now_s) || person->keys != 1)
        return false;
    key = item_of(person, true);
    show(person, name.identity, &key, found);
    return true;
}

/* A key is bound to the first identity of its user, whichever is asked for. */
struct kms_locker
kms_found_locker(const struct kms_found *found)
{
    return (struct kms_locker){ KMS_PSK, item_of(found->person, false).identity.data, found->psk_id,
                                found->psk };
}

struct kms_locker
kms_found_tpk_locker(const struct kms_found_tpk *found)
{
    return (struct kms_locker){ KMS_TPK, found->owner.data, found->id, found->key };
}

bool
kms_found_claims(struct kms_found *found, struct mkt_identity claimed)
{
    struct kms_item item;
    size_t at = 0;

    while (claimed.data.p != NULL && kms_person_item(found->person, &at, &item))
        if (!item.key && mkt_identity_equal(item.identity, claimed)) {
            found->identity = item.identity;
            return true;
        }
    return false;
}

bool
kms_index_is_user(const struct kms_index *x, struct mkt_identity id, int64_t now_s)
{
    return active(find_identity(x, id), now_s);
}

bool
kms_index_barred(const struct kms_index *x, struct mkt_identity id, int64_t now_s)
{
    const struct kms_person *person = find_identity(x, id);

    return person != NULL && !active(person, now_s);
}

uint32_t
kms_index_realm(const struct kms_index *x, struct mkt_identity id)
{
    const struct kms_person *person = find_identity(x, id);

    return person == NULL ? REALM_DEFAULT : person->realm;
}

const char *
kms_index_realm_name(const struct kms_index *x, uint32_t number)
{
    return kms_keys_realm_name(x->keys, number);
}

bool
kms_index_stands_for(const struct kms_index *x, struct mkt_identity named, struct mkt_identity who,
                     struct mkt_identity *as)
{
    const struct kms_person *person = find_identity(x, who);
    struct kms_item item;
    size_t at = 0;

    *as = who;
    if (mkt_identity_equal(named, who))
        return true;
    if (kms_is_pattern(named))
        return kms_pattern_fits(named, who, person, as);
    while (person != NULL && kms_person_item(person, &at, &item))
        if (!item.key && mkt_identity_equal(item.identity, named)) {
            *as = item.identity;
            return true;
        }
    return kms_groups_contains(x->groups, named, who, person, as);
}

static bool
stands_for(const void *ctx, struct mkt_identity named, struct mkt_identity who,
           struct mkt_identity *as)
{
    return kms_index_stands_for(ctx, named, who, as);
}

static const char *
realm_of(const void *ctx, struct mkt_identity who)
{
    const char *name = kms_index_realm_name(ctx, kms_index_realm(ctx, who));

    return name != NULL ? name : "";
}

struct kms_directory
kms_index_directory(const struct kms_index *x)
{
    return (struct kms_directory){ x, stands_for, realm_of };
}

bool
kms_index_tpk(const struct kms_index *x, struct mkt_span id, size_t suite_key,
              struct kms_found_tpk *found)
{
    return kms_keys_by_id(x->keys, id, suite_key, found);
}

bool
kms_index_tpk_current(const struct kms_index *x, uint32_t realm, size_t suite_key, int64_t now_s,
                      struct kms_found_tpk *found)
{
    return kms_keys_current(x->keys, realm, suite_key, now_s, found);
}

bool
kms_index_tpk_of(const struct kms_index *x, struct mkt_identity owner, size_t suite_key,
                 struct kms_found_tpk *found)
{
    return kms_keys_shared(x->keys, owner, suite_key, found);
}

bool
kms_index_revoked(const struct kms_index *x, struct mkt_span ticket_id)
{
    return kms_revoked_is(x->revoked, ticket_id);
}

bool
kms_index_user_revoked(const struct kms_index *x, struct mkt_identity who, int64_t *at)
{
    const struct kms_person *person;
    struct kms_item item;
    size_t i = 0;
    int64_t by_name;
    bool any;

    if (x->revoked->users.n == 0)
        return false;
    any = kms_revoked_name(&x->revoked->users, &x->hash, who, at);
    person = find_identity(x, who);
    while (person != NULL && kms_person_item(person, &i, &item))
        if (!item.key && kms_revoked_name(&x->revoked->users, &x->hash, item.identity, &by_name)) {
            *at = any && *at > by_name ? *at : by_name;
            any = true;
        }
    return any;
}

bool
kms_index_group_revoked(const struct kms_index *x, struct mkt_identity group, int64_t *at)
{
    return kms_revoked_name(&x->revoked->groups, &x->hash, group, at);
}

size_t
kms_index_users(const struct kms_index *x)
{
    return kms_crowd_keys(x->all, x->changed) +
           (x->changed == NULL ? 0 : kms_people_keys(x->changed));
}

size_t
kms_index_tpks(const struct kms_index *x)
{
    return kms_keys_count(x->keys);
}

size_t
kms_index_groups(const struct kms_index *x)
{
    return kms_groups_count(x->groups);
}

bool
kms_index_locked(const struct kms_index *x)
{
    return x->locked;
}

size_t
kms_index_octets(const struct kms_index *x)
{
    return sizeof *x + kms_crowd_octets(x->all) +
           (x->changed == NULL ? 0 : kms_people_octets(x->changed)) + kms_groups_octets(x->groups) +
           kms_keys_octets(x->keys);
}
