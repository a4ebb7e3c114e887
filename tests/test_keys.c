/* SPDX-License-Identifier: Apache-2.0 */
/* The key schedule against values of an independent implementation, and what it must refuse. */
#include "keys/keys.h"

#include "backend/backend.h"
#include "hex.h"
#include "keys_vectors.h"
#include <mikeyticket/payload.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct mkt_crypto *crypto;

static int
open_crypto(void **state)
{
    (void)state;
    crypto = mkt_crypto_new();
    return crypto == NULL ? -1 : 0;
}

static int
close_crypto(void **state)
{
    (void)state;
    mkt_crypto_free(crypto);
    return 0;
}

static void
assert_octets(const uint8_t *got, struct mkt_span want)
{
    if (want.n != 0)
        assert_memory_equal(got, want.p, want.n);
}

static void
assert_all_zero(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(((const uint8_t *)p)[i], 0);
}

static struct mkt_secret
secret_of(const char *hex)
{
    UNHEX(octets, hex);
    struct mkt_secret s;
    assert_int_equal(mkt_secret_set(&s, octets), MKT_OK);
    return s;
}

/* --- PRF (RFC 3830 4.1.2, RFC 6043 6.1) ------------------------------------------------------ */

static void
the_prf_gives_the_vector_values_for_inkeys_of_one_to_three_blocks(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(prf_vectors); i++) {
        const struct prf_vector *v = &prf_vectors[i];
        UNHEX(inkey, v->inkey);
        UNHEX(label, v->label);
        UNHEX(outkey, v->outkey);
        uint8_t out[64];
        const struct mkt_derive d = { label, out, outkey.n };
        assert_true(mkt_prf_run(crypto, v->prf, inkey, &d, 1));
        /* RFC6043:6.1-2 RFC3830:4.1.2-1 RFC3830:4.1.2-2 RFC3830:4.2.1-1 RFC3830:4.2.2-2 */
        assert_octets(out, outkey);
    }
}

static void
a_shorter_outkey_is_the_beginning_of_a_longer_one(void **state)
{
    (void)state;
    const struct prf_vector *v = &prf_vectors[3]; /* an inkey of 33 octets: two blocks */
    UNHEX(inkey, v->inkey);
    UNHEX(label, v->label);
    UNHEX(outkey, v->outkey);
    for (size_t n = 1; n <= outkey.n; n++) { /* "the outkey_len most significant bits" */
        uint8_t out[64] = { 0 };
        const struct mkt_derive d = { label, out, n };
        assert_true(mkt_prf_run(crypto, v->prf, inkey, &d, 1));
        assert_memory_equal(out, outkey.p, n); /* RFC3830:4.1.2-3 */
        assert_int_equal(out[n], 0);
    }
}

static void
a_batch_gives_the_same_keys_as_single_derivations(void **state)
{
    (void)state;
    UNHEX(inkey, prf_vectors[4].inkey);
    UNHEX(l0, "00");
    UNHEX(l1, "0102");
    uint8_t one[2][40], both[2][40];
    const struct mkt_derive d0 = { l0, one[0], 40 }, d1 = { l1, one[1], 33 };
    const struct mkt_derive d[] = { { l0, both[0], 40 }, { l1, both[1], 33 } };

    memset(one, 0xee, sizeof one); /* what was in an output does not matter */
    memset(both, 0x11, sizeof both);
    one[1][39] = both[1][39] = 7; /* behind the output nothing is written */
    assert_true(mkt_prf_run(crypto, MKT_PRF_MIKEY_1, inkey, &d0, 1));
    assert_true(mkt_prf_run(crypto, MKT_PRF_MIKEY_1, inkey, &d1, 1));
    assert_true(mkt_prf_run(crypto, MKT_PRF_MIKEY_1, inkey, d, 2));
    assert_memory_equal(one[0], both[0], 40);
    assert_memory_equal(one[1], both[1], 33);
    assert_int_equal(both[1][39], 7);
    assert_memory_not_equal(both[0], both[1], 33);
}

static void
refuses_an_unknown_prf_and_an_empty_inkey_and_wipes_the_outputs(void **state)
{
    (void)state;
    UNHEX(inkey, "00112233445566778899aabbccddeeff");
    UNHEX(label, "00");
    uint8_t out[2][20];
    const struct mkt_derive d[] = { { label, out[0], 20 }, { label, out[1], 20 } };
    for (unsigned prf = 0; prf < 256; prf++) {
        memset(out, 0xaa, sizeof out);
        bool known = prf <= MKT_PRF_HMAC_SHA_256;
        assert_int_equal(mkt_prf_run(crypto, (uint8_t)prf, inkey, d, 2), known);
        if (!known)
            assert_all_zero(out, sizeof out);
    }
    memset(out, 0xaa, sizeof out);
    assert_false(mkt_prf_run(crypto, MKT_PRF_MIKEY_1, mkt_span(NULL, 0), d, 2));
    assert_all_zero(out, sizeof out);
}

/* --- labels and keys by name ----------------------------------------------------------------- */

static struct mkt_label
label_of(const struct kdf_vector *v, struct mkt_span nonce1, struct mkt_span nonce2)
{
    return (struct mkt_label){ v->use, v->cs_id, v->csb_id, nonce1, nonce2 };
}

static void
labels_and_keys_are_those_of_the_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kdf_vectors); i++) {
        const struct kdf_vector *v = &kdf_vectors[i];
        UNHEX(nonce1, v->nonce1);
        UNHEX(nonce2, v->nonce2);
        UNHEX(want_label, v->label);
        UNHEX(want, v->outkey);
        const struct mkt_label l = label_of(v, nonce1, nonce2);
        uint8_t buf[MKT_LABEL_MAX];
        struct mkt_writer w = mkt_w_open(buf, sizeof buf);
        mkt_label_write(&w, v->constant, &l);
        assert_false(w.overflow);
        /* RFC6043:5.1-4 RFC6043:5.1.2-2 RFC6043:5.1.2-3 RFC6043:5.1.2-6 RFC6043:5.1.3-6
         * RFC6043:A.2-1 */
        assert_int_equal(w.len, want_label.n);
        assert_octets(buf, want_label);

        const struct mkt_secret inkey = secret_of(v->inkey);
        struct mkt_secret out = { .n = (uint16_t)want.n };
        assert_true(mkt_derive_secret(&out, crypto, v->prf, &inkey, v->constant, &l));
        assert_octets(out.b, want); /* RFC6043:5.1.1-1 RFC6043:A.2.1-1 RFC3830:4.1.3-2 */
    }
}

static const struct kdf_vector *
vector_named(const char *name)
{
    for (size_t i = 0; i < COUNT(kdf_vectors); i++) {
        if (strcmp(kdf_vectors[i].name, name) == 0)
            return &kdf_vectors[i];
    }
    fail_msg("no vector %s", name);
    return NULL;
}

static void
check_msg_keys(const char *auth_name, const char *encr_name, const char *salt_name)
{
    const struct kdf_vector *a = vector_named(auth_name);
    UNHEX(auth, a->outkey);
    UNHEX(encr, vector_named(encr_name)->outkey);
    UNHEX(salt, vector_named(salt_name)->outkey);
    UNHEX(nonce1, a->nonce1);
    UNHEX(nonce2, a->nonce2);
    UNHEX(inkey, a->inkey);
    const struct mkt_label l = label_of(a, nonce1, nonce2);
    const struct mkt_suite *suite = mkt_suite_of(a->prf);
    struct mkt_inkey_mem k;
    assert_int_equal(mkt_inkey_mem_init(&k, inkey), MKT_OK);
    assert_int_equal(k.base.len, inkey.n);

    MKT_SCOPED_MSG_KEYS
    keys;
    assert_true(mkt_derive_msg_keys(&keys, &k.base, crypto, suite, &l, MKT_WANT_ALL));
    assert_ptr_equal(keys.suite, suite);
    assert_int_equal(auth.n, suite->auth_len);
    assert_int_equal(encr.n, suite->key_len);
    assert_int_equal(salt.n, MKT_SALT_LEN);
    assert_octets(keys.auth, auth);
    assert_octets(keys.encr, encr);
    assert_octets(keys.salt, salt);

    assert_true(mkt_derive_msg_keys(&keys, &k.base, crypto, suite, &l, MKT_WANT_AUTH));
    assert_octets(keys.auth, auth);
    assert_all_zero(keys.encr, sizeof keys.encr); /* not wanted, not derived */
    assert_all_zero(keys.salt, sizeof keys.salt);

    const struct mkt_secret carried = secret_of(a->inkey);
    struct mkt_inkey_ref ref;
    mkt_inkey_ref_init(&ref, &carried);
    assert_true(mkt_derive_msg_keys(&keys, &ref.base, crypto, suite, &l, MKT_WANT_ENCR));
    assert_octets(keys.encr, encr);
    assert_all_zero(keys.auth, sizeof keys.auth);
    mkt_inkey_mem_wipe(&k);
    assert_false(mkt_derive_msg_keys(&keys, &k.base, crypto, suite, &l, MKT_WANT_ALL));
    assert_all_zero(&keys, sizeof keys);
}

static void
message_and_ticket_keys_come_as_a_set(void **state)
{
    (void)state;
    /* RFC3830:4.1.4-1 */
    check_msg_keys("kdf-message-128 REQUEST_INIT.auth_key", "kdf-message-128 REQUEST_INIT.encr_key",
                   "kdf-message-128 REQUEST_INIT.salt_key");
    check_msg_keys("kdf-message-256 REQUEST_INIT.auth_key", "kdf-message-256 REQUEST_INIT.encr_key",
                   "kdf-message-256 REQUEST_INIT.salt_key");
    check_msg_keys("kdf-ticket-128 ticket.auth_key", "kdf-ticket-128 ticket.encr_key",
                   "kdf-ticket-128 ticket.salt_key");
    check_msg_keys("kdf-ticket-256 ticket.auth_key", "kdf-ticket-256 ticket.encr_key",
                   "kdf-ticket-256 ticket.salt_key");
}

static void
mpki_and_mpkr_come_from_one_mpk(void **state)
{
    (void)state;
    static const char *const names[][2] = { { "kdf-ticket-128 MPKi", "kdf-ticket-128 MPKr" },
                                            { "kdf-ticket-256 MPKi", "kdf-ticket-256 MPKr" } };
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct kdf_vector *v = vector_named(names[i][0]);
        UNHEX(rand, v->nonce1);
        UNHEX(want_i, v->outkey);
        UNHEX(want_r, vector_named(names[i][1])->outkey);
        const struct mkt_secret mpk = secret_of(v->inkey);
        MKT_SCOPED_SECRET
        mpk_i, mpk_r;
        assert_true(mkt_derive_mpks(&mpk_i, &mpk_r, crypto, v->prf, &mpk, rand));
        assert_int_equal(mpk_i.n, mpk.n); /* RFC6043:A.2.2-2 */
        assert_int_equal(mpk_r.n, mpk.n);
        assert_octets(mpk_i.b, want_i);
        assert_octets(mpk_r.b, want_r);

        assert_false(mkt_derive_mpks(&mpk_i, &mpk_r, crypto, 99, &mpk, rand));
        assert_all_zero(&mpk_i, sizeof mpk_i);
        assert_all_zero(&mpk_r, sizeof mpk_r);
    }
}

static void
forking_replaces_the_key_by_one_of_its_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kdf_vectors); i++) {
        const struct kdf_vector *v = &kdf_vectors[i];
        if (v->use != MKT_USE_FORK)
            continue;
        UNHEX(id, v->nonce1);
        UNHEX(rand_kms, v->nonce2);
        UNHEX(want, v->outkey);
        MKT_SCOPED_SECRET
        key = secret_of(v->inkey);
        uint16_t n = key.n;
        assert_true(mkt_fork_key(&key, crypto, v->prf, v->constant, id, rand_kms));
        assert_int_equal(key.n, n); /* RFC6043:5.1.1-3 */
        assert_octets(key.b, want);
    }
}

static void
identities_of_1024_octets_fit_a_label_and_longer_ones_are_refused(void **state)
{
    (void)state;
    static const uint8_t id[1200] = { 1 };
    MKT_SCOPED_SECRET
    key = secret_of("00112233445566778899aabbccddeeff");
    const struct mkt_span rand_kms = mkt_span(id, 255);
    assert_true(mkt_fork_key(&key, crypto, MKT_PRF_MIKEY_1, MKT_C_TGK_FORKED, mkt_span(id, 1024),
                             rand_kms));
    assert_false(mkt_fork_key(&key, crypto, MKT_PRF_MIKEY_1, MKT_C_TGK_FORKED, mkt_span(id, 1100),
                              rand_kms));
    assert_all_zero(&key, sizeof key); /* no key rather than an unforked one */
}

static void
refuses_a_label_whose_nonces_are_missing_or_too_long(void **state)
{
    (void)state;
    static const uint8_t octets[256] = { 0 };
    static const enum mkt_use with_nonce[] = {
        MKT_USE_FORK,    MKT_USE_INIT,     MKT_USE_RESP,
        MKT_USE_SESSION, MKT_USE_FROM_TPK, MKT_USE_FROM_MPK
    };
    const struct mkt_secret inkey = secret_of("00112233445566778899aabbccddeeff");
    for (size_t i = 0; i < COUNT(with_nonce); i++) {
        struct mkt_label l = { .use = with_nonce[i] };
        struct mkt_secret out = { .n = 16, .b = { 0xaa } };
        assert_false(
            mkt_derive_secret(&out, crypto, 0, &inkey, MKT_C_AUTH, &l)); /* RFC6043:5.1.3-7 */
        assert_all_zero(&out, sizeof out);

        l.nonce1 = mkt_span(octets, 16);
        out.n = 16;
        assert_true(mkt_derive_secret(&out, crypto, 0, &inkey, MKT_C_AUTH, &l));
        if (l.use != MKT_USE_FORK) { /* there nonce1 is ID Data with 16 bits of length */
            l.nonce1 = mkt_span(octets, 256);
            assert_false(mkt_derive_secret(&out, crypto, 0, &inkey, MKT_C_AUTH, &l));
        }
    }
    struct mkt_secret out = { .n = 20 };
    const struct mkt_label vr = { .use = MKT_USE_INITIATOR_DATA };
    assert_true(mkt_derive_secret(&out, crypto, 0, &inkey, MKT_C_AUTH, &vr)); /* 6.10: no nonce */
}

static void
refuses_outkeys_of_no_length_and_beyond_a_secret(void **state)
{
    (void)state;
    const struct mkt_secret inkey = secret_of("00112233445566778899aabbccddeeff");
    const struct mkt_label l = { .use = MKT_USE_INITIATOR_DATA };
    struct mkt_secret out = { .n = 0 };
    assert_false(mkt_derive_secret(&out, crypto, 0, &inkey, MKT_C_AUTH, &l));
    out.n = MKT_SECRET_MAX + 1;
    assert_false(mkt_derive_secret(&out, crypto, 0, &inkey, MKT_C_AUTH, &l));
    out.n = MKT_SECRET_MAX;
    assert_true(mkt_derive_secret(&out, crypto, 0, &inkey, MKT_C_AUTH, &l));
}

static void
refuses_long_term_keys_below_128_bits(void **state)
{
    (void)state;
    static const uint8_t octets[MKT_SECRET_MAX + 1] = { 1, 2, 3 };
    struct mkt_inkey_mem k;
    for (size_t n = 0; n <= sizeof octets; n++) {
        enum mkt_rc want = n < 16 ? MKT_E_WEAK_KEY : n > MKT_SECRET_MAX ? MKT_E_ARGUMENT : MKT_OK;
        assert_int_equal(mkt_inkey_mem_init(&k, mkt_span(octets, n)), want); /* RFC6043:12.1-4 */
        assert_int_equal(k.base.len, want == MKT_OK ? n : 0);
        uint8_t out[20];
        const struct mkt_derive d = { mkt_span(octets, 4), out, 20 };
        assert_int_equal(k.base.prf(&k.base, crypto, 0, &d, 1), want == MKT_OK);
    }
    mkt_inkey_mem_wipe(&k);
    assert_all_zero(&k.key, sizeof k.key);
}

/* --- MAC and encryption ----------------------------------------------------------------------- */

static void
macs_are_those_of_the_vectors_however_the_input_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mac_vectors); i++) {
        const struct mac_vector *v = &mac_vectors[i];
        UNHEX(key, v->auth_key);
        UNHEX(input, v->input);
        UNHEX(want, v->mac);
        MKT_SCOPED_MSG_KEYS
        keys = { .suite = mkt_suite_of(v->prf) };
        memcpy(keys.auth, key.p, key.n);
        assert_int_equal(want.n, keys.suite->auth_len);
        for (size_t cut = 0; cut <= input.n; cut++) {
            const struct mkt_span part[] = { mkt_span(input.p, cut), mkt_span(NULL, 0),
                                             mkt_span(input.p + cut, input.n - cut) };
            uint8_t mac[MKT_MAC_MAX] = { 0 };
            assert_true(mkt_mac_run(crypto, &keys, part, 3, mac));
            assert_octets(mac, want); /* RFC6043:6.2-2 RFC3830:4.2.4-1 */
        }
    }
}

static void
wiped_keys_neither_authenticate_nor_encrypt(void **state)
{
    (void)state;
    MKT_SCOPED_MSG_KEYS
    keys = { .suite = mkt_suite_of(0) };
    uint8_t out[MKT_MAC_MAX];
    const struct mkt_span part = mkt_span("x", 1);
    assert_true(mkt_mac_run(crypto, &keys, &part, 1, out));
    assert_true(mkt_kemac_aes_cm(crypto, &keys, 0, 0, part, out));
    mkt_msg_keys_wipe(&keys);
    assert_false(mkt_mac_run(crypto, &keys, &part, 1, out));
    assert_false(mkt_kemac_aes_cm(crypto, &keys, 0, 0, part, out));
}

static void
kemac_contents_are_encrypted_under_the_iv_of_csb_id_and_timestamp(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kemac_vectors); i++) {
        const struct kemac_vector *v = &kemac_vectors[i];
        UNHEX(encr, v->encr_key);
        UNHEX(salt, v->salt_key);
        UNHEX(ts, v->ts_value);
        UNHEX(want_iv, v->iv);
        UNHEX(plain, v->plaintext);
        UNHEX(cipher, v->ciphertext);
        uint8_t iv[16], buf[1600];
        uint64_t t64 = mkt_ts_widen(v->ts_type, ts); /* RFC6043:6.3-2 */
        MKT_SCOPED_MSG_KEYS
        keys = { .suite = mkt_suite_of(v->prf) };
        memcpy(keys.encr, encr.p, encr.n);
        memcpy(keys.salt, salt.p, salt.n);

        mkt_kemac_iv(iv, keys.salt, v->csb_id, t64);
        assert_octets(iv, want_iv);
        assert_true(mkt_kemac_aes_cm(crypto, &keys, v->csb_id, t64, plain, buf));
        assert_octets(buf, cipher); /* RFC6043:6.2-1 RFC3830:4.2.3-1 */
        /* the same again decrypts, and in place */
        assert_true(mkt_kemac_aes_cm(crypto, &keys, v->csb_id, t64, mkt_span(buf, plain.n), buf));
        assert_octets(buf, plain);
    }
}

static void
refuses_more_than_2_to_the_23_bits_under_one_iv(void **state)
{
    (void)state;
    size_t max = (size_t)1 << 20;
    uint8_t *buf = calloc(1, max + 1);
    MKT_SCOPED_MSG_KEYS
    keys = { .suite = mkt_suite_of(1) };
    assert_non_null(buf);
    assert_true(mkt_kemac_aes_cm(crypto, &keys, 0, 0, mkt_span(buf, max), buf));
    /* RFC3830:4.2.3-2 */
    assert_false(mkt_kemac_aes_cm(crypto, &keys, 0, 0, mkt_span(buf, max + 1), buf));
    free(buf);
}

static void
the_key_wrap_is_that_of_the_vector_and_notices_damage(void **state)
{
    (void)state;
    UNHEX(key, "e6d9b9fc88347995618ab64967cab3a7");
    UNHEX(iv, "9546ab1b644455c2");
    UNHEX(plain,
          "1461001008f32319263eddf4823a100b3d6e00d203616263000100101cc1e1f2d18692e471e02a9aea0d3c"
          "a903646566");
    UNHEX(want,
          "a1c0548ccbc6df907162262fa421f439ae877f77cf334f322302f1af3ec0de40789fa2f86a9ad372e84"
          "8b74cdc5c854dbe77e15d26ac1533");
    uint8_t out[64], back[64];
    assert_true(mkt_be_kw_wrap(crypto, key, iv.p, plain, out));
    assert_octets(out, want); /* RFC3830:4.2.3-4 */
    assert_true(mkt_be_kw_unwrap(crypto, key, iv.p, mkt_span(out, want.n), back));
    assert_octets(back, plain);
    for (size_t i = 0; i < want.n; i++) {
        out[i] ^= 0x10;
        assert_false(mkt_be_kw_unwrap(crypto, key, iv.p, mkt_span(out, want.n), back));
        out[i] ^= 0x10;
    }
    /* not a multiple of 8, or shorter than 16 octets: RFC 3394 defines nothing for it */
    assert_false(mkt_be_kw_wrap(crypto, key, iv.p, mkt_span(plain.p, 20), out));
    assert_false(mkt_be_kw_wrap(crypto, key, iv.p, mkt_span(plain.p, 8), out));
    assert_false(mkt_be_kw_unwrap(crypto, key, iv.p, mkt_span(want.p, 16), back));
    assert_false(mkt_be_kw_unwrap(crypto, key, iv.p, mkt_span(want.p, 55), back));
}

/* --- numbers ---------------------------------------------------------------------------------- */

static void
suites_hold_the_algorithms_of_one_level(void **state)
{
    (void)state;
    const struct mkt_suite *low = mkt_suite_of(MKT_PRF_MIKEY_1);
    const struct mkt_suite *high = mkt_suite_of(MKT_PRF_HMAC_SHA_256);
    assert_int_equal(low->encr, MKT_ENCR_AES_CM_128);
    assert_int_equal(low->mac, MKT_MAC_HMAC_SHA_1_160);
    assert_int_equal(high->encr, MKT_ENCR_AES_CM_256); /* RFC6043:12.1-7 RFC6043:12.1-8 */
    assert_int_equal(high->mac, MKT_MAC_HMAC_SHA_256_256);
    assert_int_equal(mkt_mac_len(low->mac), low->auth_len); /* RFC3830:4.2.4-2 RFC3830:6.2-2 */
    assert_int_equal(mkt_mac_len(high->mac), high->auth_len);
    assert_null(mkt_suite_of(2));
    assert_null(mkt_suite_of(127));
    assert_int_equal(mkt_mac_len(MKT_MAC_NULL), 0);
    assert_int_equal(mkt_mac_len(3), -1);
    assert_int_equal(mkt_hash_len(MKT_HASH_SHA_1), 20);
    assert_int_equal(mkt_hash_len(MKT_HASH_MD5), 16);
    assert_int_equal(mkt_hash_len(MKT_HASH_SHA_256), 32);
    assert_int_equal(mkt_hash_len(3), -1);
    assert_string_equal(mkt_key_type_name(MKT_KEY_GTGK_SALT), "GTGK+SALT");
    assert_string_equal(mkt_key_type_name(MKT_KEY_MPK), "MPK");
    assert_string_equal(mkt_key_type_name(7), "unassigned");
}

static void
ntp_times_are_read_from_1968_to_2104(void **state)
{
    (void)state;
    static const struct {
        int64_t unix_sec;
        uint64_t ntp;
    } t[] = {
        { -61505152, 0x8000000000000000 },  /* 1968-01-20 03:14:08, the first */
        { 0, 0x83AA7E8000000000 },          /* 1970-01-01 */
        { 1393144754, 0xD6B4323200000000 }, /* 2014-02-23 08:39:14 */
        { 2085978495, 0xFFFFFFFF00000000 }, /* 2036-02-07 06:28:15 */
        { 2085978496, 0x0000000000000000 }, /* 2036-02-07 06:28:16, the era ends */
        { 4233462143, 0x7FFFFFFF00000000 }, /* 2104-02-26 09:42:23, the last */
    };
    for (size_t i = 0; i < COUNT(t); i++) { /* RFC6043:6.3-1 */
        assert_true(mkt_ntp_from_unix(t[i].unix_sec, 0) == t[i].ntp);
        assert_true(mkt_ntp_to_unix(t[i].ntp) == t[i].unix_sec); /* RFC3830:4.2.8-1 */
        assert_true(mkt_ntp_to_unix(t[i].ntp | 0xFFFFFFFF) == t[i].unix_sec);
        if (i > 0)
            assert_true(mkt_ntp_order(t[i - 1].ntp) < mkt_ntp_order(t[i].ntp));
    }
    /* one second later it is 1968 again: what lies beyond is not told apart */
    assert_true(mkt_ntp_to_unix(mkt_ntp_from_unix(4233462144, 0)) == -61505152);
    assert_true(mkt_ntp_order(0x8000000000000000) == 0);
}

static void
nanoseconds_become_binary_fractions(void **state)
{
    (void)state;
    assert_true(mkt_ntp_from_unix(0, 500000000) == 0x83AA7E8080000000);
    assert_true(mkt_ntp_from_unix(0, 999999999) == 0x83AA7E80FFFFFFFB);
    assert_true(mkt_ntp_from_unix(0, 1000000000) == 0x83AA7E8100000000);
}

static void
short_timestamps_are_padded_as_their_type_says(void **state)
{
    (void)state;
    UNHEX(eight, "0102030405060708");
    UNHEX(four, "01020304");
    uint8_t out[8];
    assert_true(mkt_ts_widen(MKT_TS_NTP_UTC, eight) == 0x0102030405060708);
    /* RFC3830:4.2.8-2 RFC3830:6.6-2 */
    assert_true(mkt_ts_widen(MKT_TS_NTP, eight) == 0x0102030405060708);
    assert_true(mkt_ts_widen(MKT_TS_COUNTER, four) == 0x01020304); /* leading zeros: RFC 3830 6.6 */
    assert_true(mkt_ts_widen(MKT_TS_NTP_UTC_32, four) == 0x0102030400000000); /* RFC6043:6.3-2 */
    static const uint8_t types[] = { MKT_TS_NTP_UTC, MKT_TS_NTP, MKT_TS_COUNTER,
                                     MKT_TS_NTP_UTC_32 };
    for (size_t i = 0; i < sizeof types; i++) {
        const uint8_t type = types[i];
        struct mkt_span value = mkt_ts_len(type) == 8 ? eight : four;
        assert_int_equal(mkt_ts_narrow(type, mkt_ts_widen(type, value), out), value.n);
        assert_octets(out, value);
    }
    assert_int_equal(mkt_ts_len(4), 0);
    assert_int_equal(mkt_ts_narrow(4, 1, out), 0);
    assert_int_equal(mkt_ts_narrow(MKT_TS_COUNTER, 0xFFFFFFFF, out), 4);
    assert_int_equal(mkt_ts_narrow(MKT_TS_COUNTER, 0x100000000, out), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_prf_gives_the_vector_values_for_inkeys_of_one_to_three_blocks),
        cmocka_unit_test(a_shorter_outkey_is_the_beginning_of_a_longer_one),
        cmocka_unit_test(a_batch_gives_the_same_keys_as_single_derivations),
        cmocka_unit_test(refuses_an_unknown_prf_and_an_empty_inkey_and_wipes_the_outputs),
        cmocka_unit_test(labels_and_keys_are_those_of_the_vectors),
        cmocka_unit_test(message_and_ticket_keys_come_as_a_set),
        cmocka_unit_test(mpki_and_mpkr_come_from_one_mpk),
        cmocka_unit_test(forking_replaces_the_key_by_one_of_its_length),
        cmocka_unit_test(identities_of_1024_octets_fit_a_label_and_longer_ones_are_refused),
        cmocka_unit_test(refuses_a_label_whose_nonces_are_missing_or_too_long),
        cmocka_unit_test(refuses_outkeys_of_no_length_and_beyond_a_secret),
        cmocka_unit_test(refuses_long_term_keys_below_128_bits),
        cmocka_unit_test(macs_are_those_of_the_vectors_however_the_input_is_cut),
        cmocka_unit_test(wiped_keys_neither_authenticate_nor_encrypt),
        cmocka_unit_test(kemac_contents_are_encrypted_under_the_iv_of_csb_id_and_timestamp),
        cmocka_unit_test(refuses_more_than_2_to_the_23_bits_under_one_iv),
        cmocka_unit_test(the_key_wrap_is_that_of_the_vector_and_notices_damage),
        cmocka_unit_test(suites_hold_the_algorithms_of_one_level),
        cmocka_unit_test(ntp_times_are_read_from_1968_to_2104),
        cmocka_unit_test(nanoseconds_become_binary_fractions),
        cmocka_unit_test(short_timestamps_are_padded_as_their_type_says),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("keys", tests, open_crypto, close_crypto);
}
