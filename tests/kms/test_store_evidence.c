/* SPDX-License-Identifier: Apache-2.0 */
/* Revocations and seals of the audit behave alike in memory and in a file, which keeps them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store.h"

#define ALICE "sip:alice@example.com"
#define TICKET "00112233445566778899aabbccddeeff"

struct seen {
    size_t n_revoked, n_seals;
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

static struct seen
look(struct kms_store *store)
{
    struct seen s = { 0 };
    const struct kms_sink sink = { .revocation = see_revocation, .seal = see_seal, .ctx = &s };

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
    struct kms_store *s = kms_store_open_memory();

    (void)state;
    behaves(s);
    s->ops->close(s);
}

static void
the_file_keeps_them_when_it_is_opened_again(void **state)
{
    char dir[] = "/tmp/mikey-store-XXXXXX", path[64], side[80];
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
    for (size_t i = 0; i < 3; i++) {
        static const char *const ends[] = { "", "-wal", "-shm" };

        snprintf(side, sizeof side, "%s%s", path, ends[i]);
        unlink(side);
    }
    assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_memory_store_keeps_revocations_and_seals),
        cmocka_unit_test(the_file_keeps_them_when_it_is_opened_again),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
