/* SPDX-License-Identifier: Apache-2.0 */
/* Revocations and seals of the audit behave alike in memory and in a file, which keeps them; and
 * what is written is dated by the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store.h"
#include "store_file.h"

#define ALICE "sip:alice@example.com"
#define TEAM "sip:team@example.com"
#define TICKET "00112233445566778899aabbccddeeff"

struct seen {
    size_t n_revoked, n_seals, n_marks;
    enum kms_revoked_kind kind;
    char name[64];
    int64_t at;
    struct kms_head seal; /* the last */
};

static struct kms_store_err err;

static bool
see_revocation(void *ctx, const struct kms_revocation *r)
{
    struct seen *s = ctx;

    s->n_revoked++;
    s->kind = r->kind;
    s->at = r->at;
    snprintf(s->name, sizeof s->name, "%s", r->name);
    return true;
}

static bool
see_seal(void *ctx, const struct kms_head *seal)
{
    struct seen *s = ctx;

    s->n_seals++;
    s->seal = *seal;
    return true;
}

static bool
see_mark(void *ctx, const struct kms_mark *mark)
{
    struct seen *s = ctx;

    (void)mark;
    s->n_marks++;
    return true;
}

static struct seen
look(struct kms_store *store)
{
    struct seen s = { 0 };
    const struct kms_sink sink = {
        .revocation = see_revocation, .seal = see_seal, .mark = see_mark, .ctx = &s
    };

    assert_int_equal(store->ops->read(store, &sink, true, &err), KMS_STORE_OK);
    return s;
}

static uint64_t
version(struct kms_store *s)
{
    uint64_t v;

    assert_int_equal(s->ops->version(s, &v, &err), KMS_STORE_OK);
    return v;
}

static void
behaves(struct kms_store *s)
{
    const struct kms_revocation both[] = { { KMS_REVOKED_TICKET, TICKET, 0 },
                                           { KMS_REVOKED_USER, ALICE, 0 } };
    const struct kms_revocation group = { KMS_REVOKED_GROUP, TEAM, 0 };
    struct kms_head head = { .chain = "0123456789abcdef0123456789abcdef", .segment = 1, .seq = 7 };
    uint64_t before = version(s);
    struct seen seen;

    assert_int_equal(s->ops->revocation_remove(s, &both[0], &err), KMS_STORE_NOT_FOUND);
    assert_int_equal(s->ops->revocation_add(s, both, 2, &err), KMS_STORE_OK);
    assert_int_equal(look(s).n_revoked, 2);
    assert_true(version(s) != before); /* the daemon follows */
    assert_int_equal(s->ops->revocation_add(s, both, 2, &err), KMS_STORE_OK); /* once more */
    assert_int_equal(look(s).n_revoked, 2);
    assert_int_equal(s->ops->revocation_remove(s, &both[0], &err), KMS_STORE_OK);
    seen = look(s);
    assert_int_equal(seen.n_revoked, 1);
    assert_int_equal(seen.kind, KMS_REVOKED_USER);
    assert_string_equal(seen.name, ALICE);
    assert_true(seen.at > 1700000000); /* as of now */
    assert_int_equal(s->ops->revocation_add(s, &group, 1, &err), KMS_STORE_OK);
    assert_int_equal(look(s).n_revoked, 2);
    assert_int_equal(s->ops->revocation_remove(s, &both[1], &err), KMS_STORE_OK);
    seen = look(s);
    assert_int_equal(seen.kind, KMS_REVOKED_GROUP);
    assert_string_equal(seen.name, TEAM);

    before = version(s);
    head.hash[0] = 1;
    assert_int_equal(s->ops->audit_seal(s, &head, &err), KMS_STORE_OK);
    head.seq = 8;
    head.hash[31] = 2;
    assert_int_equal(s->ops->audit_seal(s, &head, &err), KMS_STORE_OK);
    seen = look(s);
    assert_int_equal(seen.n_seals, 1); /* in place of the former */
    assert_int_equal(seen.seal.seq, 8);
    assert_memory_equal(seen.seal.hash, head.hash, sizeof head.hash);
    head.chain[0] = 'f';
    assert_int_equal(s->ops->audit_seal(s, &head, &err), KMS_STORE_OK);
    assert_int_equal(look(s).n_seals, 2); /* another chain has its own */
    assert_true(version(s) == before);    /* and nobody reads all again for it */
}

static void
the_memory_store_keeps_revocations_and_seals(void **state)
{
    struct kms_store *s = kms_store_open_memory(NULL);

    (void)state;
    behaves(s);
    s->ops->close(s);
}

static bool
date_user(void *ctx, const struct kms_user *u)
{
    *(int64_t *)ctx = u->added;
    return true;
}

static bool
date_kept(void *ctx, const struct kms_kept *k)
{
    *(int64_t *)ctx = k->issued;
    return true;
}

static int64_t
date_of(struct kms_store *s, struct kms_sink sink)
{
    int64_t at = 0;

    sink.ctx = &at;
    assert_int_equal(s->ops->read(s, &sink, false, &err), KMS_STORE_OK);
    return at;
}

/* Several nodes must agree on what was first: on users, tickets that are kept, and revocations. */
static void
what_is_written_carries_the_time_of_the_store(void **state)
{
    const struct kms_user alice = { .identity = ALICE };
    const struct kms_revocation r = { KMS_REVOKED_USER, ALICE, 7 };
    const uint8_t keys[3] = { 1, 2, 3 };
    int64_t clock = 1000, now;
    struct kms_kept kept = { .initiator = ALICE,
                             .responders = ALICE,
                             .keys = { 0, mkt_span(keys, sizeof keys) },
                             .issued = 7,
                             .until = 1001 };
    struct kms_store *s = kms_store_open_memory(&clock);

    (void)state;
    assert_int_equal(s->ops->user_add(s, &alice, &err), KMS_STORE_OK);
    assert_true(date_of(s, (struct kms_sink){ .user = date_user }) == 1000);
    clock = 1001;
    assert_int_equal(s->ops->now(s, &now, &err), KMS_STORE_OK);
    assert_true(now == 1001);
    assert_int_equal(s->ops->keep(s, &kept, &err), KMS_STORE_OK);
    assert_true(date_of(s, (struct kms_sink){ .kept = date_kept }) == 1001);
    assert_int_equal(s->ops->keep(s, &kept, &err), KMS_STORE_EXISTS); /* it still lives */
    clock = 1002;
    assert_int_equal(s->ops->keep(s, &kept, &err), KMS_STORE_OK); /* the former has ended */
    assert_true(date_of(s, (struct kms_sink){ .kept = date_kept }) == 1002);
    assert_int_equal(s->ops->revocation_add(s, &r, 1, &err), KMS_STORE_OK);
    assert_true(look(s).at == 1002);
    s->ops->close(s);
}

/* A node whose clock is ahead forgets no mark that the others still need. */
static void
no_mark_is_forgotten_before_the_store_says_so(void **state)
{
    const struct kms_mark marks[] = { { KMS_MARK_STAMP, 1, 1000 }, { KMS_MARK_STAMP, 2, 2000 } };
    int64_t clock = 1000;
    struct kms_store *s = kms_store_open_memory(&clock);

    (void)state;
    assert_int_equal(s->ops->marks(s, marks, 2, 5000, &err), KMS_STORE_OK);
    assert_int_equal(look(s).n_marks, 2);
    clock = 1001;
    assert_int_equal(s->ops->marks(s, marks, 0, 1000, &err), KMS_STORE_OK);
    assert_int_equal(look(s).n_marks, 2); /* nor before the node says so */
    assert_int_equal(s->ops->marks(s, marks, 0, 5000, &err), KMS_STORE_OK);
    assert_int_equal(look(s).n_marks, 1);
    s->ops->close(s);
}

static void
the_file_keeps_them_when_it_is_opened_again(void **state)
{
    char dir[] = "/tmp/mikey-store-XXXXXX", path[64];
    struct kms_store *s;
    struct seen seen;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/kms.db", dir);
    assert_int_equal(kms_store_open_sqlite(&s, path, 0, &err), KMS_STORE_OK);
    behaves(s);
    s->ops->close(s);
    assert_int_equal(kms_store_open_sqlite(&s, path, 0, &err), KMS_STORE_OK);
    seen = look(s);
    assert_int_equal(seen.n_revoked, 1);
    assert_int_equal(seen.n_seals, 2);
    s->ops->close(s);
    store_file_remove(path);
    assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_memory_store_keeps_revocations_and_seals),
        cmocka_unit_test(what_is_written_carries_the_time_of_the_store),
        cmocka_unit_test(no_mark_is_forgotten_before_the_store_says_so),
        cmocka_unit_test(the_file_keeps_them_when_it_is_opened_again),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
