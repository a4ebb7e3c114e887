/* SPDX-License-Identifier: Apache-2.0 */
/* What the backend promises besides right answers: no leak and no crash when memory runs out, and
 * no key left behind, neither in the heap nor on the stack. All of libcrypto's memory goes through
 * the allocator below, which keeps a list of the live blocks so that they can be searched. */
#include "backend/backend.h"

#include "hex.h"
#include "keys/keys.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_DEFINED(p, n) ((void)(p), (void)(n))
#endif

/* --- the allocator -------------------------------------------------------------------------- */

struct block {
    struct block *next, **link;
    size_t n;
    _Alignas(16) uint8_t octets[];
};

static struct block *live;
static size_t live_count;
static long fail_after = -1; /* this many allocations succeed, the next one fails; -1: none does */
static struct mkt_span forbidden; /* octets no freed block may hold */
static unsigned leaked;           /* freed blocks that held them */

static bool
holds(const uint8_t *p, size_t n, struct mkt_span what)
{
    return what.n != 0 && memmem(p, n, what.p, what.n) != NULL;
}

static void *
listed_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    if (n == 0 || (fail_after >= 0 && fail_after-- == 0))
        return NULL;
    struct block *b = malloc(sizeof *b + n);
    if (b == NULL)
        abort();
    memset(b->octets, 0, n);
    *b = (struct block){ live, &live, n };
    if (live != NULL)
        live->link = &b->next;
    live = b;
    live_count++;
    return b->octets;
}

static void
listed_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    if (p == NULL)
        return;
    struct block *b = (struct block *)((uint8_t *)p - offsetof(struct block, octets));
    leaked += holds(b->octets, b->n, forbidden);
    *b->link = b->next;
    if (b->next != NULL)
        b->next->link = b->link;
    live_count--;
    free(b);
}

static void *
listed_realloc(void *p, size_t n, const char *file, int line)
{
    void *q = listed_malloc(n, file, line);
    if (q != NULL && p != NULL) {
        const struct block *b = (struct block *)((uint8_t *)p - offsetof(struct block, octets));
        memcpy(q, p, b->n < n ? b->n : n);
        listed_free(p, file, line);
    }
    return q;
}

static bool
heap_holds(struct mkt_span what)
{
    for (const struct block *b = live; b != NULL; b = b->next) {
        if (holds(b->octets, b->n, what))
            return true;
    }
    return false;
}

/* --- known answers -------------------------------------------------------------------------- */

static void
the_self_test_passes(void **state)
{
    (void)state;
    struct mkt_crypto *c = mkt_crypto_new();
    assert_non_null(c);
    assert_true(mkt_crypto_selftest(c));
    assert_true(mkt_crypto_selftest(c)); /* and leaves everything usable */
    mkt_crypto_free(c);
    mkt_crypto_free(NULL);
}

static void
an_hmac_needs_a_key_and_a_known_algorithm(void **state)
{
    (void)state;
    struct mkt_crypto *c = mkt_crypto_new();
    const struct mkt_span key = mkt_span("0123456789abcdef", 16), msg = mkt_span("m", 1);
    uint8_t out[MKT_MAC_MAX];
    assert_false(mkt_be_hmac(c, MKT_MAC_HMAC_SHA_1_160, &msg, 1, out));
    assert_true(mkt_be_hmac_key(c, MKT_MAC_HMAC_SHA_1_160, key));
    assert_true(mkt_be_hmac(c, MKT_MAC_HMAC_SHA_1_160, &msg, 1, out));
    assert_false(mkt_be_hmac(c, MKT_MAC_HMAC_SHA_256_256, &msg, 1, out)); /* keyed separately */
    mkt_be_hmac_forget(c, MKT_MAC_HMAC_SHA_1_160);
    assert_false(mkt_be_hmac(c, MKT_MAC_HMAC_SHA_1_160, &msg, 1, out));
    assert_false(mkt_be_hmac_key(c, MKT_MAC_NULL, key));
    assert_false(mkt_be_hmac_key(c, 3, key));
    assert_false(mkt_be_hmac(c, 3, &msg, 1, out));
    mkt_be_hmac_forget(c, 3);
    mkt_crypto_free(c);
}

static void
aes_takes_keys_of_128_and_256_bits_only(void **state)
{
    (void)state;
    struct mkt_crypto *c = mkt_crypto_new();
    static const uint8_t key[40] = { 0 }, iv[16] = { 0 };
    uint8_t out[16];
    for (size_t n = 0; n <= sizeof key; n++) {
        bool good = n == 16 || n == 32;
        assert_int_equal(mkt_be_aes_ctr(c, mkt_span(key, n), iv, mkt_span(iv, 16), out), good);
        assert_int_equal(mkt_be_aes_ctr(c, mkt_span(key, n), iv, mkt_span(iv, 0), out), good);
        assert_int_equal(
            mkt_be_kw_wrap(c, mkt_span(key, n), iv, mkt_span(iv, 16), (uint8_t[24]){ 0 }), n == 16);
    }
    mkt_crypto_free(c);
}

static void
random_octets_fill_the_buffer_and_differ(void **state)
{
    (void)state;
    uint8_t a[33] = { 0 }, b[33] = { 0 };
    assert_true(mkt_crypto_random(NULL, a, 32));
    assert_true(mkt_crypto_random(NULL, b, 32));
    assert_memory_not_equal(a, b, 32); /* RFC3830:4.2.2-1 */
    assert_memory_not_equal(a + 24, b + 24, 8);
    assert_int_equal(a[32], 0);
    assert_true(mkt_crypto_random(NULL, a, 0));
    assert_false(mkt_crypto_random(NULL, a, (size_t)1 << 32));
}

/* --- running out of memory ------------------------------------------------------------------- */

#define RESULT_LEN 32

/* Everything the library does with libcrypto, once; result depends on all of it. */
static bool
scenario(uint8_t result[RESULT_LEN])
{
    struct mkt_crypto *c = mkt_crypto_new();
    struct mkt_secret key = { .n = 32, .b = { 1 } };
    struct mkt_inkey_ref ref;
    const struct mkt_label l = { .use = MKT_USE_INIT, .nonce1 = mkt_span("0123456789abcdef", 16) };
    const struct mkt_span part = mkt_span("part", 4);
    uint8_t mac[MKT_MAC_MAX], wrapped[24], back[16];
    MKT_SCOPED_MSG_KEYS
    keys;

    mkt_inkey_ref_init(&ref, &key);
    bool ok = c != NULL &&
              mkt_derive_msg_keys(&keys, &ref.base, c, mkt_suite_of(0), &l, MKT_WANT_ALL) &&
              mkt_mac_run(c, &keys, &part, 1, mac) &&
              mkt_kemac_aes_cm(c, &keys, 1, 2, mkt_span(mac, 16), result) &&
              mkt_be_kw_wrap(c, mkt_span(keys.encr, 16), mac, mkt_span(result, 16), wrapped) &&
              mkt_be_kw_unwrap(c, mkt_span(keys.encr, 16), mac, mkt_span(wrapped, 24), back);
    if (ok) {
        memcpy(result, wrapped, 16);
        memcpy(result + 16, back, 16);
    }
    mkt_crypto_free(c);
    return ok;
}

static void
every_failing_allocation_is_survived_without_a_leak(void **state)
{
    (void)state;
    uint8_t want[RESULT_LEN], got[RESULT_LEN];
    assert_true(scenario(want)); /* libcrypto's own set-up happens once and stays */
    ERR_clear_error();
    size_t before = live_count;
    unsigned failures = 0;
    for (bool was_reached = true; was_reached; failures += was_reached) {
        fail_after = failures;
        bool done = scenario(got);
        was_reached = fail_after == -1;
        fail_after = -1;
        ERR_clear_error(); /* the thread's error texts are blocks too */
        assert_true(done || was_reached);
        if (done) /* libcrypto can do without some of its blocks, but not wrongly */
            assert_memory_equal(got, want, sizeof want);
        assert_int_equal(live_count, before);
    }
    assert_true(failures > 20); /* the walk did meet allocations */
}

static void
a_derivation_without_memory_fails_and_leaves_zeros(void **state)
{
    (void)state;
    struct mkt_crypto *c = mkt_crypto_new();
    const struct mkt_span inkey = mkt_span("0123456789abcdef0123456789abcdef?", 33);
    uint8_t want[40], out[40];
    const struct mkt_derive d = { mkt_span("label", 5), out, sizeof out };
    assert_true(mkt_prf_run(c, MKT_PRF_MIKEY_1, inkey, &d, 1));
    memcpy(want, out, sizeof want);

    bool done = false;
    for (long n = 0; !done; n++) {
        fail_after = n;
        done = mkt_prf_run(c, MKT_PRF_MIKEY_1, inkey, &d, 1);
        fail_after = -1;
        static const uint8_t zero[40] = { 0 };
        assert_memory_equal(out, done ? want : zero, sizeof out);
        if (!done) { /* the object recovers */
            assert_true(mkt_prf_run(c, MKT_PRF_MIKEY_1, inkey, &d, 1));
            assert_memory_equal(out, want, sizeof out);
        }
    }
    mkt_crypto_free(c);
}

/* --- nothing stays --------------------------------------------------------------------------- */

static void
memory_is_zeroed_when_given_and_wiped_when_taken_back(void **state)
{
    (void)state;
    uint8_t *p = mkt_be_alloc(64);
    assert_non_null(p);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(p[i], 0);
    forbidden = mkt_span("a key of an object", 18);
    memcpy(p + 20, forbidden.p, forbidden.n);
    leaked = 0;
    assert_true(heap_holds(forbidden));
    mkt_be_free(p, 64);
    assert_int_equal(leaked, 0);
    mkt_be_free(NULL, 64);

    p = OPENSSL_malloc(64); /* the same without the wipe is noticed */
    memcpy(p, forbidden.p, forbidden.n);
    OPENSSL_free(p);
    assert_int_equal(leaked, 1);
    forbidden = mkt_span(NULL, 0);
}

/* A digest context keeps its chaining value, which after the last block is the MAC, as words. */
static struct mkt_span
as_words(uint8_t words[MKT_MAC_MAX], const uint8_t *mac, size_t n)
{
    for (size_t i = 0; i < n; i++)
        words[i] = mac[(i & ~(size_t)3) + 3 - i % 4];
    return mkt_span(words, n);
}

static void
a_forgotten_hmac_key_leaves_nothing_in_the_heap(void **state)
{
    (void)state;
    struct mkt_crypto *c = mkt_crypto_new();
    const struct mkt_span key = mkt_span("an auth key, 20 long", 20), msg = mkt_span("m", 1);
    static const uint8_t algs[] = { MKT_MAC_HMAC_SHA_1_160, MKT_MAC_HMAC_SHA_256_256 };
    for (size_t i = 0; i < sizeof algs; i++) {
        const uint8_t alg = algs[i];
        uint8_t mac[MKT_MAC_MAX], words[MKT_MAC_MAX];
        assert_true(mkt_be_hmac_key(c, alg, key));
        assert_true(mkt_be_hmac(c, alg, &msg, 1, mac));
        forbidden = as_words(words, mac, (size_t)mkt_mac_len(alg));
        leaked = 0;
        assert_true(heap_holds(forbidden)); /* it was there to be found */
        mkt_be_hmac_forget(c, alg);
        assert_false(heap_holds(forbidden));
        assert_false(heap_holds(key));
        assert_int_equal(leaked, 0);
        forbidden = mkt_span(NULL, 0);
    }
    mkt_crypto_free(c);
}

static void
the_last_hmac_of_a_key_is_like_the_others_and_leaves_nothing_in_the_heap(void **state)
{
    (void)state;
    struct mkt_crypto *c = mkt_crypto_new();
    const struct mkt_span key = mkt_span("an auth key, 20 long", 20), msg = mkt_span("m", 1);
    static const uint8_t algs[] = { MKT_MAC_HMAC_SHA_1_160, MKT_MAC_HMAC_SHA_256_256 };
    for (size_t i = 0; i < 2 * sizeof algs; i++) {
        const uint8_t alg = algs[i / 2];
        const bool only_one = i % 2 != 0;
        uint8_t mac[MKT_MAC_MAX], last[MKT_MAC_MAX], words[MKT_MAC_MAX];
        size_t len = (size_t)mkt_mac_len(alg);
        assert_true(mkt_be_hmac_key(c, alg, key));
        assert_true(mkt_be_hmac(c, alg, &msg, 1, mac));
        if (only_one) {
            mkt_be_hmac_forget(c, alg);
            assert_true(mkt_be_hmac_key(c, alg, key));
        }
        forbidden = as_words(words, mac, len);
        leaked = 0;
        assert_true(mkt_be_hmac_last(c, alg, &msg, 1, last));
        assert_memory_equal(last, mac, len);
        assert_false(heap_holds(forbidden));
        assert_false(heap_holds(key));
        assert_int_equal(leaked, 0);
        forbidden = mkt_span(NULL, 0);
        assert_false(mkt_be_hmac_last(c, alg, &msg, 1, last));
        assert_false(mkt_be_hmac(c, alg, &msg, 1, last));
    }
    assert_false(mkt_be_hmac_last(c, 3, &msg, 1, NULL));
    mkt_crypto_free(c);
}

static void
no_cipher_key_stays_in_the_heap(void **state)
{
    (void)state;
    struct mkt_crypto *c = mkt_crypto_new();
    const struct mkt_span key = mkt_span("a key of 16 octs", 16);
    const uint8_t iv[16] = { 0 };
    uint8_t out[32];
    forbidden = key;
    leaked = 0;
    assert_true(mkt_be_aes_ctr(c, key, iv, mkt_span(iv, 16), out));
    assert_true(mkt_be_kw_wrap(c, key, iv, mkt_span(iv, 16), out));
    assert_false(heap_holds(key));
    assert_int_equal(leaked, 0);
    forbidden = mkt_span(NULL, 0);
    mkt_crypto_free(c);
}

/* AddressSanitizer would put the locals elsewhere to find their use after return. */
#define ON_THE_REAL_STACK __attribute__((no_sanitize_address, noinline))

/* Calls *f far down the stack, where what ends a thread does not overwrite what f left. */
ON_THE_REAL_STACK static void *
far_down(void *f)
{
    uint8_t room[64 * 1024];
    __asm__ volatile("" : : "r"(room) : "memory");
    return (*(void *(**)(void *))f)(NULL);
}

/* Runs f in a thread whose stack can be searched afterwards. */
static bool
leaves_on_stack(void *(*f)(void *), struct mkt_span what)
{
    size_t size = (size_t)256 * 1024;
    uint8_t *stack = aligned_alloc(4096, size);
    pthread_attr_t attr;
    pthread_t thread;
    assert_non_null(stack);
    memset(stack, 0, size);
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstack(&attr, stack, size), 0);
    assert_int_equal(pthread_create(&thread, &attr, far_down, &f), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
    VALGRIND_MAKE_MEM_DEFINED(stack, size); /* it holds a finished thread to be invalid */
    bool found = holds(stack, size, what);
    free(stack);
    return found;
}

static const uint8_t marked[] = "thirty-two octets to be found!!!";

ON_THE_REAL_STACK static void *
hold_in_a_plain_secret(void *unused)
{
    struct mkt_secret s;
    if (mkt_secret_set(&s, mkt_span(marked, 32)) != MKT_OK)
        abort();
    __asm__ volatile("" : : "r"(&s) : "memory"); /* it is used */
    return unused;
}

ON_THE_REAL_STACK static void *
hold_in_a_scoped_secret(void *unused)
{
    MKT_SCOPED_SECRET
    s;
    if (mkt_secret_set(&s, mkt_span(marked, 32)) != MKT_OK)
        abort();
    __asm__ volatile("" : : "r"(&s) : "memory");
    return unused;
}

static void
a_scoped_secret_is_gone_after_its_scope(void **state)
{
    (void)state;
    assert_true(leaves_on_stack(hold_in_a_plain_secret, mkt_span(marked, 32)));
    assert_false(leaves_on_stack(hold_in_a_scoped_secret, mkt_span(marked, 32)));
}

static struct mkt_crypto *stack_crypto;
static struct mkt_secret stack_key;
static uint8_t stack_mac[MKT_MAC_MAX];

static void *
fork_on_this_stack(void *unused)
{
    if (!mkt_fork_key(&stack_key, stack_crypto, MKT_PRF_HMAC_SHA_256, MKT_C_TGK_FORKED,
                      mkt_span("sip:bob@example.com", 19), mkt_span(marked, 32)))
        abort();
    return unused;
}

static void *
authenticate_on_this_stack(void *unused)
{
    MKT_SCOPED_MSG_KEYS
    keys = { .suite = mkt_suite_of(MKT_PRF_HMAC_SHA_256) };
    const struct mkt_span part = mkt_span("part", 4);
    memcpy(keys.auth, marked, 32);
    if (!mkt_mac_run(stack_crypto, &keys, &part, 1, stack_mac))
        abort();
    return unused;
}

static void
derivations_leave_neither_inkey_nor_outkey_on_the_stack(void **state)
{
    (void)state;
    static const struct mkt_secret tgk = { 32, "a TGK that must not be seen...." };
    struct mkt_secret forked = tgk;
    stack_crypto = mkt_crypto_new();
    assert_true(mkt_fork_key(&forked, stack_crypto, MKT_PRF_HMAC_SHA_256, MKT_C_TGK_FORKED,
                             mkt_span("sip:bob@example.com", 19), mkt_span(marked, 32)));
    stack_key = tgk;
    assert_false(leaves_on_stack(fork_on_this_stack, mkt_span(forked.b, 16)));
    assert_memory_equal(stack_key.b, forked.b, 32);
    stack_key = tgk;
    assert_false(leaves_on_stack(fork_on_this_stack, mkt_span(tgk.b, 16)));
    assert_false(leaves_on_stack(authenticate_on_this_stack, mkt_span(marked, 16)));
    mkt_crypto_free(stack_crypto);
}

static void
a_secret_set_anew_keeps_no_tail_of_its_predecessor(void **state)
{
    (void)state;
    static const uint8_t long_one[MKT_SECRET_MAX + 1] = { [40] = 0x55, [127] = 0x66 };
    struct mkt_secret s;
    assert_int_equal(mkt_secret_set(&s, mkt_span(long_one, MKT_SECRET_MAX)), MKT_OK);
    assert_int_equal(s.b[127], 0x66);
    assert_int_equal(mkt_secret_set(&s, mkt_span("ab", 2)), MKT_OK);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.b[40] | s.b[127], 0);
    assert_int_equal(mkt_secret_set(&s, mkt_span(long_one, sizeof long_one)), MKT_E_ARGUMENT);
    assert_int_equal(s.n | s.b[0], 0);
    assert_int_equal(mkt_secret_set(&s, mkt_span(NULL, 0)), MKT_OK);
    assert_int_equal(s.n, 0);
    mkt_wipe(NULL, 5);
}

static void
wiping_keys_clears_those_in_use(void **state)
{
    (void)state;
    static struct mkt_keys keys;
    keys.n = 2;
    keys.k[1].key = (struct mkt_secret){ 16, "0123456789abcdef" };
    keys.k[1].salt = (struct mkt_secret){ 14, "0123456789abcd" };
    mkt_keys_wipe(&keys);
    assert_int_equal(keys.n, 0);
    assert_false(holds((const uint8_t *)&keys, sizeof keys, mkt_span("0123", 4)));
    keys.n = 255; /* a count that never was valid does no harm */
    mkt_keys_wipe(&keys);
}

static void
equal_means_the_same_octets_and_the_same_length(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    memset(a, 0x5a, sizeof a);
    memset(b, 0x5a, sizeof b);
    assert_true(mkt_ct_equal(mkt_span(a, 32), mkt_span(b, 32)));
    assert_true(mkt_ct_equal(mkt_span(NULL, 0), mkt_span(NULL, 0)));
    assert_false(mkt_ct_equal(mkt_span(a, 32), mkt_span(b, 31)));
    assert_false(mkt_ct_equal(mkt_span(a, 0), mkt_span(b, 1)));
    for (unsigned bit = 0; bit < 256; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(mkt_ct_equal(mkt_span(a, 32), mkt_span(b, 32)));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* FIPS 180-2 B.1, and in parts; the key of an HMAC is not disturbed. */
static void
sha_256_digests_its_parts_one_after_the_other(void **state)
{
    static const uint8_t abc[32] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                     0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                     0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                     0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
    const struct mkt_span parts[] = { mkt_span("a", 1), mkt_span(NULL, 0), mkt_span("bc", 2) };
    struct mkt_crypto *c = mkt_crypto_new();
    uint8_t before[32], after[32], out[32];

    (void)state;
    assert_true(mkt_be_hmac_key(c, MKT_MAC_HMAC_SHA_256_256, mkt_span("key", 3)));
    assert_true(mkt_be_hmac(c, MKT_MAC_HMAC_SHA_256_256, parts, 3, before));
    assert_true(mkt_crypto_sha256(c, parts, 3, out));
    assert_memory_equal(out, abc, sizeof abc);
    assert_true(mkt_be_hmac(c, MKT_MAC_HMAC_SHA_256_256, parts, 3, after));
    assert_memory_equal(before, after, sizeof before);
    mkt_crypto_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_self_test_passes),
        cmocka_unit_test(sha_256_digests_its_parts_one_after_the_other),
        cmocka_unit_test(an_hmac_needs_a_key_and_a_known_algorithm),
        cmocka_unit_test(aes_takes_keys_of_128_and_256_bits_only),
        cmocka_unit_test(random_octets_fill_the_buffer_and_differ),
        cmocka_unit_test(every_failing_allocation_is_survived_without_a_leak),
        cmocka_unit_test(a_derivation_without_memory_fails_and_leaves_zeros),
        cmocka_unit_test(memory_is_zeroed_when_given_and_wiped_when_taken_back),
        cmocka_unit_test(a_forgotten_hmac_key_leaves_nothing_in_the_heap),
        cmocka_unit_test(the_last_hmac_of_a_key_is_like_the_others_and_leaves_nothing_in_the_heap),
        cmocka_unit_test(no_cipher_key_stays_in_the_heap),
        cmocka_unit_test(a_scoped_secret_is_gone_after_its_scope),
        cmocka_unit_test(derivations_leave_neither_inkey_nor_outkey_on_the_stack),
        cmocka_unit_test(a_secret_set_anew_keeps_no_tail_of_its_predecessor),
        cmocka_unit_test(wiping_keys_clears_those_in_use),
        cmocka_unit_test(equal_means_the_same_octets_and_the_same_length),
    };
    if (CRYPTO_set_mem_functions(listed_malloc, listed_realloc, listed_free) != 1)
        return 1;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("backend", tests, NULL, NULL);
}
