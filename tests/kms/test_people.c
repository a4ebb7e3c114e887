/* SPDX-License-Identifier: Apache-2.0 */
/* Users, other identities, groups and realms in the store, and how the index answers for them: as
 * read at once, and as followed change by change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "index.h"
#include "pattern.h"
#include "store.h"
#include "tpk_schedule.h"

#define ALICE "sip:alice@team.example.com"
#define BOB "sip:bob@example.com"
#define DORA "sip:dora@team.example.com"
#define TEAM "sip:team@example.com"
#define STAFF "sip:staff@example.com"
#define EVERYBODY "sip:*@team.example.com"

struct bed {
    struct kms_store *s;
    struct kms_vault *vault; /* nothing is sealed here */
    struct kms_index *x;     /* followed */
    uint64_t version;
    struct kms_store_err err;
};

static const struct kms_store_ops *
ops(struct bed *b)
{
    return b->s->ops;
}

static int
open_bed(void **state)
{
    struct bed *b = calloc(1, sizeof *b);

    *state = b;
    b->s = kms_store_open_memory(NULL);
    b->vault = kms_vault_local(NULL, 1);
    return b->s == NULL || b->vault == NULL ||
           ops(b)->version(b->s, &b->version, &b->err) != KMS_STORE_OK ||
           kms_index_build(&b->x, b->s, b->vault, &b->err) != KMS_STORE_OK;
}

static int
close_bed(void **state)
{
    struct bed *b = *state;

    kms_index_free(b->x);
    ops(b)->close(b->s);
    kms_vault_close(b->vault);
    free(b);
    return 0;
}

/* Follows, and holds the result against what is read at once. */
static void
follow(struct bed *b)
{
    struct kms_index *next = NULL, *whole = NULL;
    uint64_t now;

    assert_int_equal(kms_index_follow(&next, b->x, b->s, b->vault, &b->version, &b->err),
                     KMS_STORE_OK);
    kms_index_free(b->x);
    b->x = next;
    assert_int_equal(ops(b)->version(b->s, &now, &b->err), KMS_STORE_OK);
    assert_int_equal(b->version, now);
    assert_int_equal(kms_index_build(&whole, b->s, b->vault, &b->err), KMS_STORE_OK);
    assert_int_equal(kms_index_users(b->x), kms_index_users(whole));
    assert_int_equal(kms_index_groups(b->x), kms_index_groups(whole));
    assert_int_equal(kms_index_tpks(b->x), kms_index_tpks(whole));
    kms_index_free(whole);
}

static bool
is_same(const struct kms_same *s, const struct kms_sealed *there)
{
    (void)s;
    return there->kek == 0 && there->octets.n == 32 && there->octets.p[0] == 1;
}

static enum kms_store_rc
add_in(struct bed *b, const char *identity, const char *psk_id, const char *realm)
{
    static const uint8_t key[32] = { 1 };
    static const struct kms_same same = { is_same };
    const struct kms_user u = { .identity = identity,
                                .psk_id = psk_id,
                                .psk = { 0, mkt_span(key, psk_id != NULL ? sizeof key : 0) },
                                .same = &same,
                                .realm = realm };

    return ops(b)->user_add(b->s, &u, &b->err);
}

static enum kms_store_rc
add(struct bed *b, const char *identity, const char *psk_id)
{
    return add_in(b, identity, psk_id, NULL);
}

static bool
has_key(const struct bed *b, const char *psk_id, int64_t now)
{
    struct kms_found f;

    return kms_index_by_psk_id(b->x, mkt_span(psk_id, strlen(psk_id)), now, &f);
}

/* The identity that `named` stands for, NULL when it does not for `who`. */
static const char *
stands(const struct bed *b, const char *named, const char *who)
{
    static char as[256];
    struct mkt_identity id;

    if (!kms_index_stands_for(b->x, mkt_uri(named), mkt_uri(who), &id))
        return NULL;
    snprintf(as, sizeof as, "%.*s", (int)id.data.n, (const char *)id.data.p);
    return as;
}

static void
a_pattern_is_a_star_before_a_domain_and_nothing_else(void **state)
{
    static const char *const yes[] = { EVERYBODY, "*@x", "sips:*@x.example", "tel:*@x" };
    static const char *const no[] = { "sip:*",     "sip:a*@x",  "sip:*a@x", "sip:*@",
                                      "sip:a@b",   "sip:*67@x", "*",        "",
                                      "sip:*@*@x", "sip:a@*@x", "sip:b*@x", "sip:alice@*" };
    const struct mkt_identity p = mkt_uri(EVERYBODY);
    struct mkt_identity nai = mkt_uri("*@team.example.com");

    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(kms_pattern_is(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(kms_pattern_is(no[i]));
    assert_true(kms_pattern_matches(p, mkt_uri(ALICE)));
    assert_false(kms_pattern_matches(p, mkt_uri(BOB)));
    assert_false(kms_pattern_matches(p, mkt_uri("sip:@team.example.com")));
    assert_false(kms_pattern_matches(p, mkt_uri("sips:alice@team.example.com")));
    assert_false(kms_pattern_matches(p, mkt_uri("sip:alice@evil@team.example.com")));
    assert_false(kms_pattern_matches(p, mkt_uri("sip:alice@team.example.com.evil.org")));
    assert_false(kms_pattern_matches(p, mkt_uri("sip:alice@sub.team.example.com")));
    nai.type = MKT_ID_NAI;
    assert_false(kms_pattern_matches(nai, mkt_uri("alice@team.example.com")));
}

static void
a_suspended_or_expired_user_is_not_found(void **state)
{
    struct bed *b = *state;
    const bool yes = true, no = false;
    const int64_t soon = 1000, never = 0;
    const struct kms_user_change suspend = { .suspended = &yes }, resume = { .suspended = &no },
                                 expire = { .expires = &soon }, live = { .expires = &never };

    assert_int_equal(add(b, BOB, "bob"), KMS_STORE_OK);
    follow(b);
    assert_true(has_key(b, "bob", 5000));
    assert_int_equal(ops(b)->user_change(b->s, BOB, &suspend, &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->user_change(b->s, BOB, &suspend, &b->err), KMS_STORE_SAME);
    follow(b);
    assert_false(has_key(b, "bob", 5000));
    assert_false(kms_index_is_user(b->x, mkt_uri(BOB), 5000));
    assert_true(kms_index_barred(b->x, mkt_uri(BOB), 5000));
    assert_int_equal(ops(b)->user_change(b->s, BOB, &resume, &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->user_change(b->s, BOB, &expire, &b->err), KMS_STORE_OK);
    follow(b);
    assert_true(has_key(b, "bob", 999));
    assert_false(has_key(b, "bob", 1000));
    assert_false(kms_index_barred(b->x, mkt_uri(BOB), 999));
    assert_true(kms_index_barred(b->x, mkt_uri(BOB), 1000));
    assert_int_equal(ops(b)->user_change(b->s, BOB, &live, &b->err), KMS_STORE_OK);
    follow(b);
    assert_true(has_key(b, "bob", 5000000000));
    assert_int_equal(ops(b)->user_change(b->s, DORA, &live, &b->err), KMS_STORE_NOT_FOUND);
    assert_false(kms_index_barred(b->x, mkt_uri(DORA), 0)); /* a stranger is not barred */
}

static void
a_user_has_several_identities_and_devices(void **state)
{
    struct bed *b = *state;
    struct kms_removed removed;
    struct kms_found f;

    assert_int_equal(add(b, BOB, "phone"), KMS_STORE_OK);
    assert_int_equal(add(b, BOB, "phone"), KMS_STORE_SAME);
    assert_int_equal(ops(b)->alias_add(b->s, BOB, "tel:+4311", &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->alias_add(b->s, BOB, "tel:+4311", &b->err), KMS_STORE_SAME);
    assert_int_equal(add(b, "tel:+4311", "x"), KMS_STORE_EXISTS);
    assert_int_equal(add(b, ALICE, "alice"), KMS_STORE_OK);
    assert_int_equal(ops(b)->alias_add(b->s, ALICE, "tel:+4311", &b->err), KMS_STORE_EXISTS);
    assert_int_equal(ops(b)->alias_add(b->s, ALICE, BOB, &b->err), KMS_STORE_EXISTS);
    assert_int_equal(ops(b)->alias_add(b->s, DORA, "tel:+4312", &b->err), KMS_STORE_NOT_FOUND);
    assert_int_equal(ops(b)->alias_add(b->s, BOB, EVERYBODY, &b->err), KMS_STORE_REFUSED);
    follow(b);
    assert_true(kms_index_by_identity(b->x, mkt_uri("tel:+4311"), 0, &f));
    assert_true(mkt_identity_equal(f.identity, mkt_uri("tel:+4311")));
    assert_memory_equal(f.psk_id.p, "phone", 5);
    assert_true(kms_index_by_psk_id(b->x, mkt_span("phone", 5), 0, &f));
    assert_true(mkt_identity_equal(f.identity, mkt_uri(BOB))); /* the first one */
    assert_true(kms_found_claims(&f, mkt_uri("tel:+4311")));
    assert_true(mkt_identity_equal(f.identity, mkt_uri("tel:+4311")));
    assert_false(kms_found_claims(&f, mkt_uri(ALICE)));
    assert_int_equal(add(b, BOB, "desk"), KMS_STORE_OK);
    follow(b);
    assert_false(kms_index_by_identity(b->x, mkt_uri("tel:+4311"), 0, &f)); /* which of two? */
    assert_string_equal(stands(b, BOB, "tel:+4311"), BOB);
    assert_null(stands(b, ALICE, "tel:+4311"));
    assert_int_equal(ops(b)->alias_remove(b->s, "tel:+4311", &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->alias_remove(b->s, "tel:+4311", &b->err), KMS_STORE_NOT_FOUND);
    follow(b);
    assert_null(stands(b, BOB, "tel:+4311"));
    assert_int_equal(ops(b)->alias_add(b->s, BOB, "tel:+4311", &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->user_remove(b->s, BOB, NULL, &removed, &b->err), KMS_STORE_OK);
    assert_int_equal(removed.credentials, 2);
    follow(b);
    assert_false(has_key(b, "phone", 0) || has_key(b, "desk", 0));
    assert_false(kms_index_is_user(b->x, mkt_uri("tel:+4311"), 0));
    assert_int_equal(add(b, "tel:+4311", NULL), KMS_STORE_OK); /* the name is free again */
}

static void
the_same_psk_id_with_another_key_is_taken(void **state)
{
    static const uint8_t key[32] = { 2 };
    struct bed *b = *state;
    const struct kms_user u = { .identity = BOB, .psk_id = "bob", .psk = { 0, mkt_span(key, 32) } };

    assert_int_equal(add(b, BOB, "bob"), KMS_STORE_OK);
    assert_int_equal(ops(b)->user_add(b->s, &u, &b->err), KMS_STORE_EXISTS);
    assert_int_equal(add(b, ALICE, "bob"), KMS_STORE_EXISTS);
    follow(b);
    assert_false(kms_index_is_user(b->x, mkt_uri(ALICE), 0)); /* nothing of it was kept */
}

static void
member(struct bed *b, const char *group, const char *who, enum kms_store_rc rc)
{
    assert_int_equal(ops(b)->member_add(b->s, group, who, &b->err), rc);
}

static void
groups_hold_users_groups_and_patterns(void **state)
{
    struct bed *b = *state;
    struct kms_removed removed;

    assert_int_equal(add(b, BOB, "bob"), KMS_STORE_OK);
    assert_int_equal(add(b, ALICE, "alice"), KMS_STORE_OK);
    assert_int_equal(ops(b)->alias_add(b->s, BOB, DORA, &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->group_add(b->s, TEAM, NULL, &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->group_add(b->s, TEAM, NULL, &b->err), KMS_STORE_SAME);
    assert_int_equal(ops(b)->group_add(b->s, STAFF, NULL, &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->group_add(b->s, BOB, NULL, &b->err), KMS_STORE_EXISTS);
    assert_int_equal(ops(b)->group_add(b->s, EVERYBODY, NULL, &b->err), KMS_STORE_REFUSED);
    assert_int_equal(add(b, TEAM, "t"), KMS_STORE_EXISTS);
    member(b, TEAM, BOB, KMS_STORE_OK);
    member(b, TEAM, BOB, KMS_STORE_SAME);
    member(b, TEAM, "sip:nobody@example.com", KMS_STORE_NOT_FOUND);
    member(b, "sip:nogroup@example.com", BOB, KMS_STORE_NOT_FOUND);
    follow(b);
    assert_string_equal(stands(b, TEAM, BOB), BOB);
    assert_string_equal(stands(b, TEAM, DORA), DORA); /* the same user by another name */
    assert_null(stands(b, TEAM, ALICE));
    assert_null(stands(b, STAFF, BOB));

    member(b, STAFF, TEAM, KMS_STORE_OK);
    follow(b);
    assert_non_null(stands(b, STAFF, BOB));
    assert_null(stands(b, STAFF, ALICE));
    member(b, TEAM, STAFF, KMS_STORE_REFUSED); /* a loop */
    member(b, TEAM, TEAM, KMS_STORE_REFUSED);
    member(b, STAFF, EVERYBODY, KMS_STORE_OK);
    follow(b);
    assert_string_equal(stands(b, STAFF, ALICE), ALICE);
    assert_null(stands(b, TEAM, ALICE));
    assert_string_equal(stands(b, EVERYBODY, ALICE), ALICE); /* as written in IDRr */
    assert_string_equal(stands(b, EVERYBODY, BOB), DORA);    /* an alias of his fits */

    assert_int_equal(ops(b)->member_remove(b->s, STAFF, TEAM, &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->member_remove(b->s, STAFF, TEAM, &b->err), KMS_STORE_NOT_FOUND);
    assert_int_equal(ops(b)->member_remove(b->s, STAFF, EVERYBODY, &b->err), KMS_STORE_OK);
    follow(b);
    assert_null(stands(b, STAFF, BOB));
    assert_null(stands(b, STAFF, ALICE));

    /* one who comes back under the same name is not in the group by that */
    assert_int_equal(ops(b)->user_remove(b->s, BOB, NULL, &removed, &b->err), KMS_STORE_OK);
    assert_int_equal(add(b, BOB, "bob"), KMS_STORE_OK);
    follow(b);
    assert_null(stands(b, TEAM, BOB));
    assert_int_equal(ops(b)->group_remove(b->s, TEAM, &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->group_remove(b->s, TEAM, &b->err), KMS_STORE_NOT_FOUND);
    follow(b);
    assert_int_equal(kms_index_groups(b->x), 1);
}

static void
a_removed_nested_group_takes_its_members_along(void **state)
{
    struct bed *b = *state;

    assert_int_equal(add(b, BOB, "bob"), KMS_STORE_OK);
    assert_int_equal(ops(b)->group_add(b->s, TEAM, NULL, &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->group_add(b->s, STAFF, NULL, &b->err), KMS_STORE_OK);
    member(b, TEAM, BOB, KMS_STORE_OK);
    member(b, STAFF, TEAM, KMS_STORE_OK);
    follow(b);
    assert_non_null(stands(b, STAFF, BOB));
    assert_int_equal(ops(b)->group_remove(b->s, TEAM, &b->err), KMS_STORE_OK);
    follow(b);
    assert_null(stands(b, STAFF, BOB));
}

static void
nesting_has_an_end(void **state)
{
    struct bed *b = *state;
    char outer[64], inner[64];

    assert_int_equal(add(b, BOB, "bob"), KMS_STORE_OK);
    for (int i = 0; i <= KMS_NESTED_MAX; i++) {
        snprintf(inner, sizeof inner, "sip:g%d@example.com", i);
        assert_int_equal(ops(b)->group_add(b->s, inner, NULL, &b->err), KMS_STORE_OK);
    }
    member(b, "sip:g0@example.com", BOB, KMS_STORE_OK);
    for (int i = 1; i <= KMS_NESTED_MAX; i++) {
        snprintf(outer, sizeof outer, "sip:g%d@example.com", i);
        snprintf(inner, sizeof inner, "sip:g%d@example.com", i - 1);
        member(b, outer, inner, i < KMS_NESTED_MAX ? KMS_STORE_OK : KMS_STORE_REFUSED);
    }
    follow(b);
    snprintf(outer, sizeof outer, "sip:g%d@example.com", KMS_NESTED_MAX - 1);
    assert_non_null(stands(b, outer, BOB));
    snprintf(outer, sizeof outer, "sip:g%d@example.com", KMS_NESTED_MAX);
    assert_null(stands(b, outer, BOB));
}

static void
realms_are_apart_and_have_keys_of_their_own(void **state)
{
    struct bed *b = *state;
    struct kms_found_tpk ours, theirs;
    struct kms_removed removed;
    int64_t generation;
    uint32_t acme;

    assert_int_equal(add_in(b, BOB, "bob", "acme"), KMS_STORE_NOT_FOUND);
    assert_int_equal(ops(b)->realm_add(b->s, "acme", &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->realm_add(b->s, "acme", &b->err), KMS_STORE_SAME);
    assert_int_equal(add_in(b, BOB, "bob", "acme"), KMS_STORE_OK);
    assert_int_equal(add_in(b, BOB, "bob", "default"), KMS_STORE_EXISTS);
    assert_int_equal(add(b, BOB, "bob-2"), KMS_STORE_OK); /* a device, wherever he is */
    assert_int_equal(add(b, ALICE, "alice"), KMS_STORE_OK);
    assert_int_equal(ops(b)->group_add(b->s, TEAM, "acme", &b->err), KMS_STORE_OK);
    member(b, TEAM, BOB, KMS_STORE_OK);
    member(b, TEAM, ALICE, KMS_STORE_REFUSED);
    member(b, TEAM, EVERYBODY, KMS_STORE_OK);
    assert_int_equal(kms_tpk_rotate(b->s, b->vault, NULL, 60, &generation, &b->err), KMS_STORE_OK);
    assert_int_equal(kms_tpk_rotate(b->s, b->vault, "acme", 60, &generation, &b->err),
                     KMS_STORE_OK);
    follow(b);
    acme = kms_index_realm(b->x, mkt_uri(BOB));
    assert_string_equal(kms_index_realm_name(b->x, acme), "acme");
    assert_string_equal(kms_index_realm_name(b->x, kms_index_realm(b->x, mkt_uri(DORA))),
                        KMS_REALM_DEFAULT);
    assert_null(stands(b, TEAM, ALICE)); /* a pattern is for those of the realm */
    assert_true(kms_index_tpk_current(b->x, 1, 32, time(NULL), &ours));
    assert_true(kms_index_tpk_current(b->x, acme, 32, time(NULL), &theirs));
    assert_memory_equal(ours.id.p, "tpk-1-256", 9);
    assert_memory_equal(theirs.id.p, "tpk-2-256", 9);
    assert_int_equal(theirs.realm, acme);
    assert_int_equal(kms_tpk_rotate(b->s, b->vault, "acme", 60, &generation, &b->err),
                     KMS_STORE_OK);
    follow(b);
    assert_true(kms_index_tpk_current(b->x, 1, 32, time(NULL), &ours)); /* is not touched by that */
    assert_memory_equal(ours.id.p, "tpk-1-256", 9);
    assert_int_equal(ops(b)->realm_remove(b->s, "acme", &b->err), KMS_STORE_REFUSED);
    assert_int_equal(ops(b)->realm_remove(b->s, KMS_REALM_DEFAULT, &b->err), KMS_STORE_REFUSED);
    assert_int_equal(ops(b)->user_remove(b->s, BOB, NULL, &removed, &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->group_remove(b->s, TEAM, &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->realm_remove(b->s, "acme", &b->err), KMS_STORE_OK);
    follow(b);
    assert_int_equal(kms_index_tpks(b->x), 2);
    assert_null(kms_index_realm_name(b->x, acme));
}

static void
a_batch_is_kept_or_not_as_a_whole(void **state)
{
    struct bed *b = *state;

    assert_int_equal(ops(b)->begin(b->s, &b->err), KMS_STORE_OK);
    assert_int_equal(add(b, BOB, "bob"), KMS_STORE_OK);
    assert_int_equal(add(b, ALICE, "bob"), KMS_STORE_EXISTS); /* undoes itself alone */
    assert_int_equal(add(b, DORA, "dora"), KMS_STORE_OK);
    assert_int_equal(ops(b)->end(b->s, true, &b->err), KMS_STORE_OK);
    follow(b);
    assert_int_equal(kms_index_users(b->x), 2);
    assert_int_equal(ops(b)->begin(b->s, &b->err), KMS_STORE_OK);
    assert_int_equal(add(b, ALICE, "alice"), KMS_STORE_OK);
    assert_int_equal(ops(b)->end(b->s, false, &b->err), KMS_STORE_OK);
    follow(b);
    assert_int_equal(kms_index_users(b->x), 2);
}

/* What was read at once is hidden by what has changed since. */
static void
what_has_changed_hides_what_was_read_before(void **state)
{
    static const uint8_t key[32] = { 3 };
    struct bed *b = *state;
    const struct kms_user other = { .identity = BOB,
                                    .psk_id = "bob",
                                    .psk = { 0, mkt_span(key, 32) } };
    struct kms_removed removed;
    struct kms_found f;

    assert_int_equal(add(b, BOB, "bob"), KMS_STORE_OK);
    assert_int_equal(add(b, BOB, "bob-2"), KMS_STORE_OK);
    assert_int_equal(add(b, ALICE, "alice"), KMS_STORE_OK);
    assert_int_equal(ops(b)->alias_add(b->s, ALICE, "tel:+4311", &b->err), KMS_STORE_OK);
    kms_index_free(b->x);
    assert_int_equal(ops(b)->version(b->s, &b->version, &b->err), KMS_STORE_OK);
    assert_int_equal(kms_index_build(&b->x, b->s, b->vault, &b->err), KMS_STORE_OK);
    assert_true(has_key(b, "bob-2", 0));

    assert_int_equal(ops(b)->user_remove(b->s, BOB, "bob-2", &removed, &b->err), KMS_STORE_OK);
    follow(b);
    assert_false(has_key(b, "bob-2", 0));
    assert_true(has_key(b, "bob", 0));
    assert_true(has_key(b, "alice", 0));
    assert_int_equal(ops(b)->user_remove(b->s, BOB, NULL, &removed, &b->err), KMS_STORE_OK);
    assert_int_equal(ops(b)->alias_remove(b->s, "tel:+4311", &b->err), KMS_STORE_OK);
    follow(b);
    assert_false(has_key(b, "bob", 0));
    assert_false(kms_index_is_user(b->x, mkt_uri(BOB), 0));
    assert_false(kms_index_is_user(b->x, mkt_uri("tel:+4311"), 0));
    assert_true(has_key(b, "alice", 0));
    assert_int_equal(ops(b)->user_add(b->s, &other, &b->err), KMS_STORE_OK); /* another key */
    follow(b);
    assert_true(kms_index_by_psk_id(b->x, mkt_span("bob", 3), 0, &f));
    assert_int_equal(f.psk.octets.p[0], 3);
}

static void
too_many_changes_to_follow_are_said_to_be_so(void **state)
{
    struct bed *b = *state;
    struct kms_index *next;
    uint64_t version = 1000000;
    char identity[64];

    assert_int_equal(kms_index_follow(&next, b->x, b->s, b->vault, &version, &b->err),
                     KMS_STORE_FORGOTTEN); /* an older copy of the store */
    assert_int_equal(ops(b)->begin(b->s, &b->err), KMS_STORE_OK);
    for (int i = 0; i < 5000; i++) {
        snprintf(identity, sizeof identity, "sip:u%d@example.com", i);
        assert_int_equal(add(b, identity, NULL), KMS_STORE_OK);
    }
    assert_int_equal(ops(b)->end(b->s, true, &b->err), KMS_STORE_OK);
    assert_int_equal(kms_index_follow(&next, b->x, b->s, b->vault, &b->version, &b->err),
                     KMS_STORE_FORGOTTEN);
}

static void
revocations_are_followed_and_cover_all_names_of_a_user(void **state)
{
    struct bed *b = *state;
    static const uint8_t name[MKT_TICKET_ID] = { 0x0a, 0x0b };
    const struct mkt_span ticket = mkt_span(name, sizeof name);
    const struct kms_revocation both[] = {
        { KMS_REVOKED_TICKET, "0a0b0000000000000000000000000000", 0 },
        { KMS_REVOKED_USER, ALICE, 0 },
    };
    int64_t at = 0;

    assert_int_equal(add(b, ALICE, NULL), KMS_STORE_OK);
    assert_int_equal(ops(b)->alias_add(b->s, ALICE, DORA, &b->err), KMS_STORE_OK);
    follow(b);
    assert_false(kms_index_revoked(b->x, ticket));
    assert_int_equal(ops(b)->revocation_add(b->s, both, 2, &b->err), KMS_STORE_OK);
    follow(b);
    assert_true(kms_index_revoked(b->x, ticket));
    assert_true(kms_index_user_revoked(b->x, mkt_uri(DORA), &at)); /* whatever name it bears */
    assert_true(at > 1700000000);
    assert_false(kms_index_user_revoked(b->x, mkt_uri(BOB), &at));
    assert_int_equal(add(b, BOB, NULL), KMS_STORE_OK);
    follow(b); /* another change leaves them as they are */
    assert_true(kms_index_revoked(b->x, ticket));
    assert_true(kms_index_user_revoked(b->x, mkt_uri(ALICE), &at));
    assert_int_equal(ops(b)->revocation_remove(b->s, &both[0], &b->err), KMS_STORE_OK);
    follow(b);
    assert_false(kms_index_revoked(b->x, ticket));
    assert_true(kms_index_user_revoked(b->x, mkt_uri(ALICE), &at));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_is_a_star_before_a_domain_and_nothing_else),
        TEST(a_suspended_or_expired_user_is_not_found),
        TEST(a_user_has_several_identities_and_devices),
        TEST(the_same_psk_id_with_another_key_is_taken),
        TEST(groups_hold_users_groups_and_patterns),
        TEST(a_removed_nested_group_takes_its_members_along),
        TEST(nesting_has_an_end),
        TEST(realms_are_apart_and_have_keys_of_their_own),
        TEST(a_batch_is_kept_or_not_as_a_whole),
        TEST(what_has_changed_hides_what_was_read_before),
        TEST(revocations_are_followed_and_cover_all_names_of_a_user),
        TEST(too_many_changes_to_follow_are_said_to_be_so),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
