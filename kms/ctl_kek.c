/* SPDX-License-Identifier: Apache-2.0 */
/* kek init, kek rotate, kek status. A rotation makes a new store key, wrapped by the KEK in use and
 * by the one to come, and then takes the rows over a few hundred at a time: daemons go on reading
 * and others go on writing all the while. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mikeyticket/env.h>

#include "ctl_call.h"
#include "instant.h"
#include "locked.h"
#include "progress.h"

#define BATCH 2000 /* rows of one transaction: some ten milliseconds */
#define WRAPS_MAX 64

struct wraps {
    struct kms_wrap at[WRAPS_MAX];
    size_t n;
    uint32_t newest;
};

static enum kms_exit
fail(const char *text)
{
    fprintf(stderr, "mikey-kmsctl: %s\n", text);
    return KMS_EXIT_STORE;
}

static bool
take_wrap(void *ctx, const struct kms_wrap *w)
{
    struct wraps *x = ctx;

    if (x->n == WRAPS_MAX)
        return false;
    x->at[x->n++] = *w;
    if (w->generation > x->newest)
        x->newest = w->generation;
    return true;
}

static enum kms_store_rc
read_wraps(const struct kms_ctl *ctl, struct wraps *x, struct kms_store_err *err)
{
    const struct kms_sink sink = { .wrap = take_wrap, .ctx = x };

    x->n = 0;
    x->newest = 0;
    return ctl->store->ops->read(ctl->store, &sink, false, err);
}

static bool
reseal(void *ctx, struct kms_row *row, uint8_t buf[KMS_ROW_MAX])
{
    struct kms_vault *v = ctx;
    struct kms_locker l = { row->kind, row->owner, row->id, row->key };

    if (!kms_local_reseal(v, &l, buf))
        return false;
    row->key = l.key;
    return true;
}

/* Takes all rows over. Whoever adds one meanwhile seals it under the new generation. */
static enum kms_store_rc
reseal_all(const struct kms_ctl *ctl, struct kms_vault *v, uint64_t *total,
           struct kms_store_err *err)
{
    struct mkt_progress bar = { .what = "keys" };
    uint64_t all;
    size_t taken = BATCH;
    enum kms_store_rc rc = ctl->store->ops->kek_left(ctl->store, &all, err);

    for (*total = 0; rc == KMS_STORE_OK && taken == BATCH; *total += taken) {
        rc = ctl->store->ops->kek_reseal(ctl->store, BATCH, reseal, v, &taken, err);
        ctl->store->ops->give_way(ctl->store);
        if (rc == KMS_STORE_OK && !ctl->quiet)
            mkt_progress_show(&bar, taken < BATCH ? all : *total + taken, all);
    }
    return rc;
}

/* A new generation of the store key, known to v and wrapped by the KEKs (the second may be NULL).
 */
static enum kms_store_rc
new_generation(const struct kms_ctl *ctl, struct kms_vault *v, uint32_t generation,
               struct kms_kek *const keks[2], struct wraps *made, struct kms_store_err *err)
{
    uint8_t *key = kms_locked_new(KMS_SEAL_KEY);
    bool ok = key != NULL && mkt_crypto_random(NULL, key, KMS_SEAL_KEY);
    enum kms_store_rc rc;

    made->n = 0;
    for (size_t i = 0; ok && i < 2; i++)
        if (keks[i] != NULL)
            ok = kms_kek_wrap(keks[i], generation, key, &made->at[made->n++]);
    rc = ok ? ctl->store->ops->kek_add(ctl->store, made->at, made->n, err)
            : kms_store_fail(err, KMS_STORE_FAILED, "the KEK cannot wrap a key");
    if (rc == KMS_STORE_OK && !kms_local_admit_key(v, generation, key))
        rc = kms_store_fail(err, KMS_STORE_FAILED, "too many generations of the store key");
    kms_locked_free(key, KMS_SEAL_KEY);
    return rc;
}

/* file:PATH that is not there yet is made. */
static bool
make_file(const char *spec)
{
    bool made;

    if (!kms_kek_make(spec, &made)) {
        fprintf(stderr, "mikey-kmsctl: cannot write %s: %s\n", spec, strerror(errno));
        return false;
    }
    if (made)
        fprintf(stderr,
                "made a new KEK, %s: keep a copy of it apart from the backups of the store\n",
                spec);
    return true;
}

static struct kms_kek *
open_kek(const char *spec, bool new_one)
{
    char err[KMS_KEK_ERR];
    struct kms_kek *kek = kms_kek_open(spec, new_one, err);

    if (kek == NULL)
        fprintf(stderr, "mikey-kmsctl: %s\n", err);
    return kek;
}

/* How many keys were sealed anew; generation 0 and a NULL KEK are not said. */
static json_t *
told(uint64_t sealed, uint32_t generation, const char *to)
{
    json_t *o = json_pack("{s:I}", "sealed", (json_int_t)sealed);

    if (generation != 0)
        json_object_set_new(o, "generation", json_integer(generation));
    kms_ctl_put(o, "to", to);
    return o;
}

static enum kms_exit
init(const struct kms_ctl *ctl, struct kms_vault *v, bool begun)
{
    struct kms_kek *const keks[2] = { kms_local_kek(v), NULL };
    struct kms_store_err err = { 0 };
    struct wraps *made = calloc(1, sizeof *made);
    enum kms_store_rc rc = KMS_STORE_OK;
    uint64_t total = 0;

    if (made == NULL)
        return fail("out of memory");
    if (begun)
        rc = kms_vault_refresh(v, ctl->store, &err);
    else
        rc = new_generation(ctl, v, 1, keks, made, &err);
    free(made);
    if (rc == KMS_STORE_OK)
        rc = reseal_all(ctl, v, &total, &err);
    if (rc == KMS_STORE_OK)
        rc = ctl->store->ops->compact(ctl->store, &err);
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (ctl->json)
        kms_ctl_result(told(total, 0, NULL));
    else
        printf("wrapped %" PRIu64
               " keys. Restart the daemon, and keep the KEK apart from the store:\n"
               "without it nobody can be authenticated.\n",
               total);
    return KMS_EXIT_OK;
}

/* The KEK of the configuration, or none; a store without any key is sealed from the first on. */
static bool
open_vault(struct kms_ctl *ctl, const char *spec, struct kms_store_err *err)
{
    struct kms_kek *kek = NULL;
    bool fresh = false;
    enum kms_store_rc rc = KMS_STORE_OK;

    if (*spec != '\0') {
        rc = kms_vault_fresh(ctl->store, &fresh, err);
        if (rc == KMS_STORE_OK && ((fresh && !make_file(spec)) || !(kek = open_kek(spec, fresh))))
            return false;
    }
    if (rc == KMS_STORE_OK)
        ctl->vault = kms_vault_local(kek, 1);
    if (rc == KMS_STORE_OK && ctl->vault == NULL)
        rc = kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    if (rc == KMS_STORE_OK && fresh)
        rc = kms_vault_found(ctl->vault, ctl->store, err);
    if (rc == KMS_STORE_OK)
        rc = kms_vault_refresh(ctl->vault, ctl->store, err);
    if (rc == KMS_STORE_OK)
        return true;
    kms_ctl_fail(err);
    kms_vault_close(ctl->vault);
    ctl->vault = NULL;
    return false;
}

bool
kms_ctl_open_vault(struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };

    return open_vault(ctl, ctl->config->kek, &err);
}

enum kms_exit
kms_ctl_kek_init(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    struct wraps *x = calloc(1, sizeof *x);
    struct kms_kek *kek;
    struct kms_vault *v;
    enum kms_exit code;
    bool begun;

    if (x == NULL)
        return fail("out of memory");
    if (ctl->config->kek[0] == '\0') {
        free(x);
        fprintf(stderr, "mikey-kmsctl: name the KEK in the configuration first, for example\n"
                        "  kek: file:kms.kek\n");
        return KMS_EXIT_CONFIG;
    }
    if (read_wraps(ctl, x, &err) != KMS_STORE_OK) {
        free(x);
        return kms_ctl_fail(&err);
    }
    begun = x->newest > 0;
    free(x);
    code = kms_ctl_note(ctl, "kek-init", NULL);
    if (code != KMS_EXIT_OK)
        return code;
    if (!begun && !make_file(ctl->config->kek))
        return KMS_EXIT_FAILED;
    kek = open_kek(ctl->config->kek, !begun);
    if (kek == NULL)
        return KMS_EXIT_STORE;
    v = kms_vault_local(kek, 1);
    code = v == NULL ? fail("out of memory") : init(ctl, v, begun);
    kms_vault_close(v);
    return code;
}

/* --- rotate ------------------------------------------------------------------------------------
 */

/* Every wrap but those of the newest generation goes; with `only` also those that it did not make.
 */
static enum kms_store_rc
forget(const struct kms_ctl *ctl, struct wraps *x, struct kms_kek *only, struct kms_store_err *err)
{
    uint8_t key[KMS_SEAL_KEY];
    struct kms_wrap keep[2];
    size_t n = 0;
    enum kms_store_rc rc = read_wraps(ctl, x, err);

    for (size_t i = 0; rc == KMS_STORE_OK && i < x->n && n < 2; i++)
        if (x->at[i].generation == x->newest &&
            (only == NULL || kms_kek_unwrap(only, &x->at[i], key)))
            keep[n++] = x->at[i];
    mkt_wipe(key, sizeof key);
    if (rc == KMS_STORE_OK && n == 0)
        rc = kms_store_fail(err, KMS_STORE_FAILED,
                            "the KEK of the configuration does not open the store");
    return rc == KMS_STORE_OK ? ctl->store->ops->kek_forget(ctl->store, keep, n, err) : rc;
}

static enum kms_exit
rotate(const struct kms_ctl *ctl, struct wraps *x, struct kms_kek *to)
{
    struct kms_kek *const keks[2] = { kms_local_kek(ctl->vault), to };
    struct kms_store_err err = { 0 };
    uint32_t generation;
    uint64_t total;
    enum kms_store_rc rc = read_wraps(ctl, x, &err);

    generation = x->newest + 1;
    if (rc == KMS_STORE_OK)
        rc = new_generation(ctl, ctl->vault, generation, keks, x, &err);
    if (rc == KMS_STORE_OK)
        rc = reseal_all(ctl, ctl->vault, &total, &err);
    if (rc == KMS_STORE_OK)
        rc = forget(ctl, x, NULL, &err);
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (ctl->json) {
        kms_ctl_result(told(total, generation, ctl->to[0]));
        return KMS_EXIT_OK;
    }
    printf("sealed %" PRIu64 " keys anew, under generation %" PRIu32 " of the store key\n", total,
           generation);
    if (to != NULL)
        printf("Both KEKs open it. Write \"kek: %s\" into the configuration of each node, restart\n"
               "it, and end with: mikey-kmsctl --config FILE kek rotate --finish\n",
               ctl->to[0]);
    return KMS_EXIT_OK;
}

/* Whether the KEK of the configuration is the one to come: of those that open the newest
 * generation, the one that was added last. */
static bool
is_to_stay(const struct kms_ctl *ctl, const struct wraps *x)
{
    uint8_t key[KMS_SEAL_KEY];
    bool opens = x->n > 0 && kms_kek_unwrap(kms_local_kek(ctl->vault), &x->at[x->n - 1], key);

    mkt_wipe(key, sizeof key);
    return opens;
}

/* Before the configuration names the KEK to come there is nothing to finish, but a rotation that
 * was interrupted: otherwise the KEK to come would be the one that goes. */
static enum kms_exit
may_finish(const struct kms_ctl *ctl, struct wraps *x, bool *stays)
{
    struct kms_store_err err = { 0 };
    uint64_t left = 0;
    enum kms_store_rc rc = read_wraps(ctl, x, &err);

    if (rc == KMS_STORE_OK)
        rc = ctl->store->ops->kek_left(ctl->store, &left, &err);
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    *stays = is_to_stay(ctl, x);
    if (*stays || left > 0)
        return KMS_EXIT_OK;
    fprintf(stderr,
            "mikey-kmsctl: \"kek\" in the configuration is not the KEK that the keys are to stay "
            "under, of kind %s:\n"
            "write that one, restart the daemon of each node, and finish then. Nothing was "
            "changed: both open the store.\n"
            "To stay with the one of the configuration: kek rotate, without --to\n",
            x->at[x->n - 1].scheme);
    return KMS_EXIT_CONFIG;
}

static enum kms_exit
finish(const struct kms_ctl *ctl, struct wraps *x, bool stays)
{
    struct kms_store_err err = { 0 };
    uint64_t total;
    enum kms_store_rc rc = reseal_all(ctl, ctl->vault, &total, &err); /* an interrupted rotation */

    if (rc == KMS_STORE_OK)
        rc = forget(ctl, x, stays ? kms_local_kek(ctl->vault) : NULL, &err);
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (ctl->json) {
        json_t *o = told(total, x->newest, NULL);

        json_object_set_new(o, "finished", json_boolean(stays));
        kms_ctl_result(o);
    } else if (stays) {
        printf("only \"kek: %s\" opens the store now\n", ctl->config->kek);
    } else {
        printf("sealed %" PRIu64 " keys anew. Both KEKs open the store: write the new one into the "
               "configuration\nof each node, restart it, and finish again\n",
               total);
    }
    return KMS_EXIT_OK;
}

enum kms_exit
kms_ctl_kek_rotate(const struct kms_ctl *ctl)
{
    struct wraps *x = calloc(1, sizeof *x);
    struct kms_kek *to = NULL;
    enum kms_exit code;
    bool stays = false;

    if (x == NULL)
        return fail("out of memory");
    if (kms_local_kek(ctl->vault) == NULL)
        code = fail("the keys in the store are not wrapped: kek init first");
    else if (ctl->n_to > 1 || (ctl->finish && ctl->n_to > 0))
        code = kms_ctl_misuse("kek rotate takes --to KEK once, or --finish");
    else if ((ctl->finish && (code = may_finish(ctl, x, &stays)) != KMS_EXIT_OK) ||
             (code = kms_ctl_note(ctl, ctl->finish ? "kek-finish" : "kek-rotate", NULL)) !=
                 KMS_EXIT_OK)
        (void)code; /* it was said why */
    else if (ctl->finish)
        code = finish(ctl, x, stays);
    else if (ctl->n_to > 0 && (!make_file(ctl->to[0]) || (to = open_kek(ctl->to[0], true)) == NULL))
        code = KMS_EXIT_FAILED;
    else
        code = rotate(ctl, x, to);
    kms_kek_close(to);
    free(x);
    return code;
}

/* --- status ------------------------------------------------------------------------------------
 */

struct tally {
    uint32_t newest;
    uint64_t clear, former, total;
};

static void
count(struct tally *t, const struct kms_sealed *key)
{
    t->clear += key->kek == 0;
    t->former += key->kek != 0 && key->kek < t->newest;
    t->total++;
}

static bool
count_user(void *ctx, const struct kms_user *u)
{
    if (u->psk_id != NULL)
        count(ctx, &u->psk);
    return true;
}

static bool
count_tpk(void *ctx, const struct kms_tpk *t)
{
    count(ctx, &t->key);
    return true;
}

static bool
count_kept(void *ctx, const struct kms_kept *k)
{
    count(ctx, &k->keys);
    return true;
}

static void
print_wraps(const struct wraps *x, bool json)
{
    char created[32];

    for (size_t i = 0; i < x->n; i++) {
        kms_instant_write(x->at[i].created, created);
        if (json)
            printf("%s\n  {\"generation\": %" PRIu32 ", \"kek\": \"%s\", \"created\": \"%s\"}",
                   i == 0 ? "" : ",", x->at[i].generation, x->at[i].scheme, created);
        else
            printf("store key %" PRIu32 ", wrapped by a KEK of kind %s, made %s\n",
                   x->at[i].generation, x->at[i].scheme, created);
    }
}

enum kms_exit
kms_ctl_kek_status(const struct kms_ctl *ctl)
{
    struct wraps *x = calloc(1, sizeof *x);
    struct kms_store_err err = { 0 };
    struct tally t = { 0 };
    const struct kms_sink sink = {
        .user = count_user, .tpk = count_tpk, .kept = count_kept, .ctx = &t
    };
    enum kms_store_rc rc;

    if (x == NULL)
        return fail("out of memory");
    rc = read_wraps(ctl, x, &err);
    t.newest = x->newest;
    if (rc == KMS_STORE_OK)
        rc = ctl->store->ops->read(ctl->store, &sink, false, &err);
    if (rc != KMS_STORE_OK) {
        free(x);
        return kms_ctl_fail(&err);
    }
    if (ctl->json)
        printf("{\"keys\": %" PRIu64 ", \"in-clear\": %" PRIu64 ", \"under-former\": %" PRIu64
               ", \"wraps\": [",
               t.total, t.clear, t.former);
    print_wraps(x, ctl->json);
    if (ctl->json)
        puts("]}");
    else
        printf("%" PRIu64 " keys: %" PRIu64 " in clear, %" PRIu64 " under a former store key\n%s",
               t.total, t.clear, t.former,
               x->n == 0 ? "Keys stand in the store in clear: see kek init\n" : "");
    free(x);
    return KMS_EXIT_OK;
}
