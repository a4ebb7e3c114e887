/* SPDX-License-Identifier: Apache-2.0 */
/* The vault as a process of its own, with the real daemon: whole calls work, no long-term key is in
 * the daemon's memory, and its end is the daemon's. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "keys_rig.h"
#include "vault_process.h"
#include "vault_wire.h"

#define MEMORY_MAX (64UL << 20) /* octets of one mapping that are looked at in one go */

/* Whether the memory of a process holds the octets; -1: it cannot be read. */
static int
in_memory(pid_t pid, struct mkt_span octets)
{
    char path[64], line[512];
    static char block[1 << 20];
    int found = -1;
    FILE *maps, *mem;

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    maps = fopen(path, "r");
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    mem = fopen(path, "r");
    while (maps != NULL && mem != NULL && fgets(line, sizeof line, maps) != NULL) {
        char *end;
        unsigned long from = strtoul(line, &end, 16), to = strtoul(end + 1, &end, 16);

        if (end[1] != 'r' || to - from > MEMORY_MAX || strstr(line, "[v") != NULL)
            continue;
        for (unsigned long at = from; at < to; at += sizeof block - octets.n) {
            size_t want = to - at < sizeof block ? to - at : sizeof block, n = 0;

            if (fseek(mem, (long)at, SEEK_SET) == 0)
                n = fread(block, 1, want, mem);
            if (n > 0 && found < 0)
                found = 0;
            if (memmem(block, n, octets.p, octets.n) != NULL)
                found = 1;
        }
    }
    if (maps != NULL)
        fclose(maps);
    if (mem != NULL)
        fclose(mem);
    memset(block, 0, sizeof block);
    return found;
}

static void
whole_calls_go_through_the_vault(void **state)
{
    (void)state;
    rig_start(&rig);
    for (int i = 0; i < 20; i++)
        assert_true(keys_call());
    assert_int_equal(CTL("user", "add", "sip:dave@example.com"), 0);
    assert_int_equal(CTL("tpk", "rotate"), 0);
    assert_int_equal(CTL("kek", "rotate"), 0); /* the vault learns a new generation */
    assert_true(keys_call());
    assert_int_equal(rig_stop(&rig), 0);
    assert_true(scene_says("log", " refused=0 malformed=0 limited=0 denied=0 busy=0"));
}

/* Opens what the store has, as only the vault may. */
struct opened {
    struct kms_vault *vault;
    struct mkt_secret tpk;
};

static bool
take_tpk(void *ctx, const struct kms_tpk *t)
{
    struct opened *o = ctx;
    uint8_t name_buf[KMS_LOCKER_NAME];
    struct kms_locker l = { .kind = KMS_TPK, .id = mkt_span(t->id, strlen(t->id)), .key = t->key };
    struct kms_sealer *s = kms_sealer_new();

    if (strcmp(t->id, "tpk-1-256") == 0) {
        o->tpk.n = 32;
        assert_true(kms_unseal(s, kms_local_key(o->vault, t->key.kek),
                               kms_locker_name(name_buf, &l), t->key.octets, o->tpk.b));
    }
    kms_sealer_free(s);
    return true;
}

static void
open_tpk(struct opened *o)
{
    char spec[256], why[KMS_KEK_ERR], path[128];
    struct kms_store_err err;
    struct kms_store *s;

    snprintf(spec, sizeof spec, "file:%s/kms.kek", rig.dir);
    snprintf(path, sizeof path, "%s/kms.db", rig.dir);
    o->vault = kms_vault_local(kms_kek_open(spec, false, why), 1);
    assert_non_null(o->vault);
    assert_int_equal(kms_store_open_sqlite(&s, path, 0, &err), KMS_STORE_OK);
    assert_int_equal(kms_vault_refresh(o->vault, s, &err), KMS_STORE_OK);
    assert_int_equal(s->ops->read(s, &(struct kms_sink){ .tpk = take_tpk, .ctx = o }, true, &err),
                     KMS_STORE_OK);
    s->ops->close(s);
    assert_int_equal(o->tpk.n, 32);
}

static void
no_long_term_key_is_in_the_memory_of_the_daemon(void **state)
{
    struct opened o = { .tpk = { .n = 0 } };
    const uint8_t *store_key;

    (void)state;
    rig_start(&rig);
    for (int i = 0; i < 5; i++)
        assert_true(keys_call());
    assert_true(keys_ticket(&bob));
    open_tpk(&o);
    store_key = kms_local_key(o.vault, 1);
    if (in_memory(rig.pid, mkt_span((const uint8_t *)"sip:alice@example.com", 21)) != 1)
        skip(); /* not root: a process that may not be dumped cannot be read */
    assert_int_equal(in_memory(rig.pid, mkt_secret_span(&alice.psk.key)), 0);
    assert_int_equal(in_memory(rig.pid, mkt_secret_span(&bob.psk.key)), 0);
    assert_int_equal(in_memory(rig.pid, mkt_secret_span(&o.tpk)), 0);
    assert_int_equal(in_memory(rig.pid, mkt_span(store_key, KMS_SEAL_KEY)), 0);
    /* The search can find: the vault has the store key. */
    assert_int_equal(in_memory(keys_vault(rig.pid), mkt_span(store_key, KMS_SEAL_KEY)), 1);
    assert_int_equal(in_memory(keys_vault(rig.pid), mkt_secret_span(&alice.psk.key)), 0);
    kms_vault_close(o.vault);
    mkt_secret_wipe(&o.tpk);
}

/* Asks a vault to seal and to open what it made, under that kind. */
static bool
gives_out(struct kms_vault *v, enum kms_key_kind kind)
{
    static const uint8_t octets[40] = { 7 };
    uint8_t made[KMS_SEALED_MAX], buf[KMS_ROW_MAX], clear[KMS_KEPT_MAX];
    struct kms_locker l = { .kind = KMS_PSK, .id = mkt_span("id", 2) };
    struct kms_locker row = { .kind = kind, .id = mkt_span("id", 2) };
    bool sealed = v->ops->seal(v, &row, mkt_span(octets, sizeof octets), buf);

    assert_true(v->ops->make(v, &l, 32, made));
    assert_false(v->ops->open(v, &l, clear));
    l.kind = kind; /* the seal knows what it was */
    assert_false(v->ops->open(v, &l, clear));
    return sealed && v->ops->open(v, &row, clear) && memcmp(clear, octets, sizeof octets) == 0;
}

static void
it_opens_the_keys_of_reference_tickets_and_no_others(void **state)
{
    struct opened o = { .tpk = { .n = 0 } };
    struct kms_config config;
    struct kms_vault *process;
    struct kms_store_err store_err;
    struct kms_store *s;
    char err[KMS_CONFIG_ERR], path[128];

    (void)state;
    rig_start(&rig); /* which makes the keys that open_tpk looks for */
    open_tpk(&o);
    snprintf(path, sizeof path, "%s/kms.yaml", rig.dir);
    assert_true(kms_config_load(&config, path, err));
    process = kms_vault_process(&config, 1, err);
    assert_non_null(process);
    assert_int_equal(kms_store_open_sqlite(&s, config.store, 0, &store_err), KMS_STORE_OK);
    assert_int_equal(kms_vault_refresh(process, s, &store_err), KMS_STORE_OK);
    for (int i = 0; i < 2; i++) {
        struct kms_vault *v = i == 0 ? o.vault : process;

        assert_true(gives_out(v, KMS_KEPT));
        assert_false(gives_out(v, KMS_PSK));
        assert_false(gives_out(v, KMS_TPK));
    }
    s->ops->close(s);
    kms_vault_close(process);
    kms_vault_close(o.vault);
    mkt_secret_wipe(&o.tpk);
}

static void
the_end_of_the_vault_is_the_end_of_the_daemon(void **state)
{
    int status;

    (void)state;
    rig_start(&rig);
    assert_true(keys_call());
    kill(keys_vault(rig.pid), SIGKILL);
    assert_int_equal(waitpid(rig.pid, &status, 0), rig.pid);
    rig.pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_true(scene_says("log", "error vault-gone how=\"killed by signal 9\""));
}

static void
the_vault_ends_with_the_daemon(void **state)
{
    pid_t vault;

    (void)state;
    rig_start(&rig);
    vault = keys_vault(rig.pid);
    rig_kill(&rig);
    for (int i = 0; i < 500 && kill(vault, 0) == 0; i++)
        usleep(10000);
    assert_int_equal(kill(vault, 0), -1);
}

static void
the_vault_needs_sealed_keys_and_the_right_kek(void **state)
{
    (void)state;
    rig_config(&rig, "vault: process\n");
    assert_int_equal(KMSD(), 3);
    assert_true(scene_says("err", "\"vault: process\" needs a \"kek\""));
    rig_write_octets(&rig, "other",
                     mkt_span((const uint8_t *)"0123456789abcdef0123456789abcdef", 32));
    rig_config(&rig, "kek: file:other\nvault: process\n");
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "does not open generation 1"));
    rig_config(&rig, "kek: file:nothing\nvault: process\n");
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "nothing: cannot be opened"));
}

/* --- the process without a daemon --------------------------------------------------------------
 */

static struct kms_config config;

static struct kms_vault *
alone(void)
{
    struct kms_wrap wrap;
    uint8_t store_key[KMS_SEAL_KEY] = { 7 };
    char why[KMS_KEK_ERR];
    struct kms_kek *kek;
    struct kms_vault *v;

    memset(&config, 0, sizeof config);
    snprintf(config.kek, sizeof config.kek, "file:%s/kms.kek", rig.dir);
    v = kms_vault_process(&config, 2, why);
    assert_non_null(v);
    kek = kms_kek_open(config.kek, false, why);
    assert_true(kms_kek_wrap(kek, 1, store_key, &wrap));
    kms_kek_close(kek);
    assert_true(v->ops->admit(v, &wrap, 1, why));
    return v;
}

/* A key made there derives the same every time, under its own name, and fails under another. */
static void
a_handle_derives_and_another_name_does_not(void **state)
{
    struct kms_vault *v = alone();
    struct mkt_crypto *c = mkt_crypto_new();
    uint8_t buf[KMS_SEALED_MAX], a[32], b[32], zero[32] = { 0 };
    struct kms_locker l = { .kind = KMS_TPK, .id = mkt_span((const uint8_t *)"tpk-1-256", 9) };
    const struct mkt_span label = mkt_span((const uint8_t *)"label", 5);
    struct mkt_derive d[2] = { { label, a, 32 }, { label, b, 32 } };
    struct kms_inkey k;

    (void)state;
    assert_true(v->ops->make(v, &l, 32, buf));
    assert_int_equal(l.key.kek, 1);
    assert_true(kms_inkey_init(&k, v, 0, &l));
    assert_int_equal(k.base.len, 32);
    assert_true(k.base.prf(&k.base, c, MKT_PRF_HMAC_SHA_256, d, 1));
    assert_true(kms_inkey_init(&k, v, 1, &l));
    d[0].out = zero; /* both at once, in another slot */
    assert_true(k.base.prf(&k.base, c, MKT_PRF_HMAC_SHA_256, d, 2));
    assert_memory_equal(a, b, 32);
    assert_memory_equal(zero, b, 32);
    k.locker.id = mkt_span((const uint8_t *)"tpk-2-256", 9);
    assert_false(k.base.prf(&k.base, c, MKT_PRF_HMAC_SHA_256, d, 1));
    memset(a, 0, sizeof a);
    assert_memory_equal(zero, a, 32); /* and leaves nothing */
    k.locker = l;
    k.locker.kind = KMS_PSK;
    assert_false(k.base.prf(&k.base, c, MKT_PRF_HMAC_SHA_256, d, 1));
    k.locker = l;
    k.locker.key.kek = 0; /* "in clear": the vault takes none */
    assert_false(k.base.prf(&k.base, c, MKT_PRF_HMAC_SHA_256, d, 1));
    k.locker = l;
    assert_true(k.base.prf(&k.base, c, MKT_PRF_HMAC_SHA_256, d, 1));
    mkt_crypto_free(c);
    kms_vault_close(v);
}

static void
lengths_that_do_not_fit_are_refused_on_both_sides(void **state)
{
    struct kms_vault *v = alone();
    static uint8_t large[KMS_PLACE_OCTETS + 1], derived[256];
    uint8_t buf[KMS_SEALED_MAX];
    struct kms_locker l = { .kind = KMS_PSK, .id = mkt_span((const uint8_t *)"x", 1) };
    struct mkt_derive d[5];

    (void)state;
    assert_true(v->ops->make(v, &l, 16, buf));
    for (int i = 0; i < 5; i++)
        d[i] = (struct mkt_derive){ mkt_span(large, 4), derived, 16 };
    assert_true(v->ops->prf(v, 0, &l, NULL, MKT_PRF_MIKEY_1, d, 4));
    assert_false(v->ops->prf(v, 0, &l, NULL, MKT_PRF_MIKEY_1, d, 5));
    assert_false(v->ops->prf(v, 2, &l, NULL, MKT_PRF_MIKEY_1, d, 1)); /* no such slot */
    d[0].label.n = sizeof large;
    assert_false(v->ops->prf(v, 0, &l, NULL, MKT_PRF_MIKEY_1, d, 1));
    d[0] = (struct mkt_derive){ mkt_span(large, 4), derived, 200 };
    assert_false(v->ops->prf(v, 0, &l, NULL, MKT_PRF_MIKEY_1, d, 1));
    d[0].out_len = 16;
    assert_false(v->ops->prf(v, 0, &l, NULL, 99, d, 1)); /* no such PRF */
    assert_true(v->ops->prf(v, 0, &l, NULL, MKT_PRF_MIKEY_1, d, 1));
    assert_false(v->ops->make(v, &l, MKT_SECRET_MAX + 1, buf));
    assert_true(v->ops->make(v, &l, MKT_SECRET_MAX, buf));
    kms_vault_close(v);
}

static void
count_gone(void *ctx, const char *how)
{
    assert_non_null(how);
    atomic_fetch_add((_Atomic int *)ctx, 1);
}

static void
after_its_end_every_derivation_fails(void **state)
{
    struct kms_vault *v = alone();
    _Atomic int gone = 0;
    uint8_t buf[KMS_SEALED_MAX], derived[16];
    struct kms_locker l = { .kind = KMS_PSK, .id = mkt_span((const uint8_t *)"x", 1) };
    struct mkt_derive d = { mkt_span((const uint8_t *)"l", 1), derived, 16 };

    (void)state;
    assert_true(v->ops->make(v, &l, 16, buf));
    assert_true(kms_vault_process_watch(v, count_gone, &gone));
    kill(kms_vault_process_id(v), SIGKILL);
    while (v->ops->prf(v, 0, &l, NULL, MKT_PRF_MIKEY_1, &d, 1)) /* until it is noticed */
        ;
    assert_false(v->ops->make(v, &l, 16, buf));
    kms_vault_close(v);
    assert_int_equal(gone, 1);
}

int
main(void)
{
#define T(test) KEYS(test, "vault: process\n")
    const struct CMUnitTest tests[] = {
        T(whole_calls_go_through_the_vault),
        T(no_long_term_key_is_in_the_memory_of_the_daemon),
        T(it_opens_the_keys_of_reference_tickets_and_no_others),
        T(the_end_of_the_vault_is_the_end_of_the_daemon),
        T(the_vault_ends_with_the_daemon),
        T(the_vault_needs_sealed_keys_and_the_right_kek),
        T(a_handle_derives_and_another_name_does_not),
        T(lengths_that_do_not_fit_are_refused_on_both_sides),
        T(after_its_end_every_derivation_fails),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
