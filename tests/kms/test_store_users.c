/* SPDX-License-Identifier: Apache-2.0 */
/* Users in the store, whichever it is: those without PSK, what goes when one is removed, and the
 * keys of their reference tickets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "index.h"
#include "store.h"
#include "store_file.h"

static char dir[] = "/tmp/mikey-users-XXXXXX";
static char path[64];
static struct kms_vault *vault; /* nothing is sealed here */
static struct kms_store_err err;
static struct kms_store *stores[2]; /* SQLite, memory */

#define DORA "sip:dora@example.com"
#define HOUR 3600

static int
open_stores(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/kms.db", dir);
    stores[1] = kms_store_open_memory(NULL);
    return kms_store_open_sqlite(&stores[0], path, 0, &err) != KMS_STORE_OK || stores[1] == NULL;
}

static int
close_stores(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        stores[i]->ops->close(stores[i]);
    store_file_remove(path);
    return 0;
}

static enum kms_store_rc
add(struct kms_store *s, const char *identity, const char *psk_id)
{
    static const uint8_t key[32] = { 1 };
    const struct kms_user u = { .identity = identity,
                                .psk_id = psk_id,
                                .psk = { 0, mkt_span(key, psk_id != NULL ? sizeof key : 0) } };

    return s->ops->user_add(s, &u, &err);
}

static struct kms_index *
index_of(struct kms_store *s)
{
    struct kms_index *x = NULL;

    assert_int_equal(kms_index_build(&x, s, vault, &err), KMS_STORE_OK);
    return x;
}

static bool
has_psk(struct kms_store *s, struct mkt_span psk_id)
{
    struct kms_index *x = index_of(s);
    struct kms_found f;
    bool found = kms_index_by_psk_id(x, psk_id, 0, &f);

    kms_index_free(x);
    return found;
}

/* Whether the identity is a user; *alone: with exactly one PSK. */
static bool
is_user(struct kms_store *s, const char *identity, bool *alone)
{
    struct kms_index *x = index_of(s);
    struct kms_found f;
    bool user = kms_index_is_user(x, mkt_uri(identity), 0);

    *alone = kms_index_by_identity(x, mkt_uri(identity), 0, &f);
    kms_index_free(x);
    return user;
}

static bool
count_unkeyed(void *ctx, const struct kms_user *u)
{
    *(size_t *)ctx += u->psk_id == NULL;
    assert_true((u->psk_id == NULL) == (u->psk_len == 0));
    return true;
}

static void
unkeyed_user(struct kms_store *s)
{
    struct kms_removed removed;
    uint64_t before, after;
    size_t n = 0;
    const struct kms_sink sink = { .user = count_unkeyed, .ctx = &n };
    bool one;

    assert_int_equal(s->ops->version(s, &before, &err), KMS_STORE_OK);
    assert_int_equal(add(s, DORA, NULL), KMS_STORE_OK);
    assert_int_equal(s->ops->version(s, &after, &err), KMS_STORE_OK);
    assert_int_not_equal(before, after);
    assert_int_equal(add(s, DORA, NULL), KMS_STORE_SAME);
    assert_int_equal(add(s, "sip:eve@example.com", NULL), KMS_STORE_OK);
    assert_int_equal(s->ops->read(s, &sink, false, &err), KMS_STORE_OK);
    assert_int_equal(n, 2);
    assert_false(has_psk(s, mkt_span("", 0)));
    assert_false(has_psk(s, mkt_span(DORA, strlen(DORA))));
    assert_true(is_user(s, DORA, &one));
    assert_false(one);
    assert_false(is_user(s, "sip:dora@example.org", &one));

    assert_int_equal(add(s, DORA, "dora"), KMS_STORE_OK); /* she gets a phone */
    assert_true(has_psk(s, mkt_span("dora", 4)));
    assert_true(is_user(s, DORA, &one) && one);
    assert_int_equal(s->ops->user_remove(s, DORA, "dora", &removed, &err), KMS_STORE_OK);
    assert_false(removed.user);
    assert_int_equal(removed.credentials, 1);
    assert_true(is_user(s, DORA, &one) && !one);
    assert_int_equal(s->ops->user_remove(s, DORA, NULL, &removed, &err), KMS_STORE_OK);
    assert_true(removed.user);
    assert_int_equal(removed.credentials, 0);
    assert_false(is_user(s, DORA, &one));
    assert_true(is_user(s, "sip:eve@example.com", &one));
    assert_int_equal(s->ops->user_remove(s, DORA, NULL, &removed, &err), KMS_STORE_NOT_FOUND);
    assert_false(removed.user);
}

static void
a_user_without_psk_is_a_user_and_no_key_finds_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        unkeyed_user(stores[i]);
}

static void
share(struct kms_store *s, const char *owner, const char *id)
{
    static const uint8_t key[32] = { 2 };
    const struct kms_tpk t = { .id = id, .owner = owner, .key = { 0, mkt_span(key, sizeof key) } };

    assert_int_equal(s->ops->tpk_share(s, &t, &err), KMS_STORE_OK);
}

static size_t
shared_with(struct kms_store *s, const char *owner)
{
    struct kms_index *x = index_of(s);
    struct kms_found_tpk t;
    size_t all = kms_index_tpks(x);
    bool any = kms_index_tpk_of(x, mkt_uri(owner), 32, &t);

    kms_index_free(x);
    return any ? all : 0;
}

static void
shared_keys_go(struct kms_store *s, const char *psk_id)
{
    struct kms_removed removed;

    share(s, DORA, "dora-1");
    share(s, "sip:eve@example.com", "eve-1");
    share(s, DORA, "dora-2");
    /* who is no user keeps the keys: a TPK alone makes none */
    assert_int_equal(s->ops->user_remove(s, DORA, NULL, &removed, &err), KMS_STORE_NOT_FOUND);
    assert_int_equal(removed.tpks, 0);
    assert_int_equal(shared_with(s, DORA), 3);
    assert_int_equal(add(s, DORA, psk_id), KMS_STORE_OK);
    if (psk_id != NULL) { /* a lost device takes nothing else along */
        assert_int_equal(s->ops->user_remove(s, DORA, psk_id, &removed, &err), KMS_STORE_OK);
        assert_int_equal(removed.tpks, 0);
        assert_int_equal(shared_with(s, DORA), 3);
        assert_int_equal(add(s, DORA, psk_id), KMS_STORE_OK);
    }
    assert_int_equal(s->ops->user_remove(s, DORA, NULL, &removed, &err), KMS_STORE_OK);
    assert_int_equal(removed.tpks, 2);
    assert_int_equal(shared_with(s, DORA), 0);
    assert_int_equal(shared_with(s, "sip:eve@example.com"), 1);
    assert_int_equal(s->ops->tpk_remove(s, "eve-1", &err), KMS_STORE_OK);
}

static void
shared_keys_go_with_the_user(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        shared_keys_go(stores[i / 2], i % 2 == 0 ? "dora" : NULL);
}

/* --- keys of reference tickets --- */

static enum kms_store_rc
keep(struct kms_store *s, uint8_t name, const char *initiator, int64_t until)
{
    uint8_t keys[3] = { name, 1, 2 };
    struct kms_kept k = { .initiator = initiator,
                          .responders = "sip:bob@example.com",
                          .keys = { 0, mkt_span(keys, sizeof keys) },
                          .until = until };

    memset(k.reference, name, sizeof k.reference);
    return s->ops->keep(s, &k, &err);
}

static void
take_kept(void *ctx, const struct kms_kept *k)
{
    assert_int_equal(kms_sealed_len(&k->keys), 3);
    assert_int_equal(k->keys.octets.p[0], *(const uint8_t *)ctx);
    assert_int_equal(k->reference[0], *(const uint8_t *)ctx);
    assert_string_equal(k->responders, "sip:bob@example.com");
}

static bool
recalls(struct kms_store *s, uint8_t name)
{
    uint8_t reference[KMS_REFERENCE];
    enum kms_store_rc rc;

    memset(reference, name, sizeof reference);
    rc = s->ops->recall(s, reference, take_kept, &name, &err);
    if (rc != KMS_STORE_OK)
        assert_int_equal(rc, KMS_STORE_NOT_FOUND);
    return rc == KMS_STORE_OK;
}

static bool
list_kept(void *ctx, const struct kms_kept *k)
{
    char *names = ctx;

    assert_int_equal(k->keys.octets.n, 0); /* never shown */
    assert_string_equal(k->responders, "sip:bob@example.com");
    snprintf(names + strlen(names), 64 - strlen(names), "%u ", k->reference[15]);
    return true;
}

static void
kept_keys(struct kms_store *s)
{
    char names[64] = "";
    const struct kms_sink sink = { .kept = list_kept, .ctx = names };
    uint8_t reference[KMS_REFERENCE] = { 0 };
    struct kms_removed removed;
    uint64_t before, after;
    int64_t now;

    assert_int_equal(s->ops->now(s, &now, &err), KMS_STORE_OK);
    assert_int_equal(s->ops->version(s, &before, &err), KMS_STORE_OK);
    assert_int_equal(keep(s, 7, DORA, now + HOUR), KMS_STORE_OK);
    assert_int_equal(keep(s, 7, DORA, now + HOUR), KMS_STORE_EXISTS);
    assert_int_equal(keep(s, 9, "sip:eve@example.com", now + HOUR), KMS_STORE_OK);
    assert_int_equal(keep(s, 8, DORA, now - 1), KMS_STORE_OK);
    assert_int_equal(s->ops->version(s, &after, &err), KMS_STORE_OK);
    assert_int_equal(before, after); /* a daemon need not read all users again */
    assert_true(recalls(s, 7) && recalls(s, 8) && recalls(s, 9));
    assert_false(recalls(s, 6));
    assert_int_equal(keep(s, 10, DORA, now + HOUR), KMS_STORE_OK); /* 8 ended one second before */
    assert_true(recalls(s, 7) && !recalls(s, 8) && recalls(s, 9) && recalls(s, 10));
    assert_int_equal(s->ops->read(s, &sink, true, &err), KMS_STORE_OK);
    assert_string_equal(names, "7 9 10 ");
    assert_int_equal(s->ops->revoke(s, reference, &err), KMS_STORE_NOT_FOUND);
    memset(reference, 7, sizeof reference);
    assert_int_equal(s->ops->revoke(s, reference, &err), KMS_STORE_OK);
    assert_int_equal(s->ops->revoke(s, reference, &err), KMS_STORE_NOT_FOUND);
    assert_false(recalls(s, 7));
    assert_true(recalls(s, 9) && recalls(s, 10));
    assert_int_equal(add(s, DORA, "dora"), KMS_STORE_OK);
    assert_int_equal(s->ops->user_remove(s, DORA, NULL, &removed, &err), KMS_STORE_OK);
    assert_int_equal(removed.kept, 1);
    assert_true(recalls(s, 9) && !recalls(s, 10));
}

static void
keys_of_reference_tickets_are_kept_until_they_end_or_are_revoked(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        kept_keys(stores[i]);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stores, close_stores)
    const struct CMUnitTest tests[] = {
        TEST(a_user_without_psk_is_a_user_and_no_key_finds_one),
        TEST(shared_keys_go_with_the_user),
        TEST(keys_of_reference_tickets_are_kept_until_they_end_or_are_revoked),
    };
    int failed;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (mkdtemp(dir) == NULL)
        return 1;
    vault = kms_vault_local(NULL, 1);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    kms_vault_close(vault);
    rmdir(dir);
    return failed;
}
