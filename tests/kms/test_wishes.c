/* SPDX-License-Identifier: Apache-2.0 */
/* What the running daemon makes of each part of a Ticket Policy (RFC 6043 6.10): granted as wanted,
 * granted otherwise and marked with K, or refused with an authenticated Error 15. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "scene.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct mkt_span
answer(const struct rig_ask *a)
{
    int fd = rig_udp_socket(&rig);
    size_t n = rig_udp_ask(fd, mkt_span(a->octets, a->len), out, WAIT_MS);

    close(fd);
    return mkt_span(out, n);
}

static struct mkt_grant *
granted(const struct mkt_policy *want)
{
    struct mkt_io io;

    rig_ask_free(&ask);
    rig_request_want(&ask, &alice, want, 0);
    return rig_granted(&ask, answer(&ask), &io);
}

static void
expect_error(const struct rig_ask *a, int error_no, const char *what)
{
    bool authentic;
    int said = rig_error_no(answer(a), &authentic);

    if (said != error_no || !authentic)
        fail_msg("%s: error %d, %s V", what, said, authentic ? "with" : "without");
}

/* A wish with everything in it that a policy may have. */
static void
want_all(struct mkt_policy *want)
{
    static const uint8_t spi[] = { 0xA1, 0xA2, 0xA3, 0xA4 };

    rig_want(want, &alice, BOB, 0);
    want->flags = MKT_TP_D | MKT_TP_E | MKT_TP_F | MKT_TP_G | MKT_TP_H | MKT_TP_I | MKT_TP_L |
                  MKT_TP_M | MKT_TP_N | MKT_TP_O;
    want->initiator = mkt_uri(ALICE);
    want->kms = mkt_uri(RIG_KMS);
    want->responders[want->n_responders++] = mkt_uri("sip:carol@example.com");
    want->responders[want->n_responders++] =
        (struct mkt_identity){ MKT_ID_NAI, mkt_span("dave@example.com", 16) };
    want->apps[want->n_apps++] = mkt_uri("urn:example:voice");
    want->apps[want->n_apps++] = (struct mkt_identity){ MKT_ID_BYTES, mkt_span("chat", 4) };
    want->rekey = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, 600ULL << 32 };
    want->has_kemac = true;
    want->wanted[0] = (struct mkt_want_key){ .type = MKT_KEY_TGK, .key_len = 32 };
    want->wanted[1] =
        (struct mkt_want_key){ .type = MKT_KEY_TEK_SALT, .key_len = 16, .salt_len = 14 };
    want->wanted[2] = (struct mkt_want_key){
        .type = MKT_KEY_GTGK, .kv = MKT_KV_SPI, .key_len = 32, .spi = mkt_span(spi, sizeof spi)
    };
    want->n_wanted = 3;
}

static void
same_time(struct mkt_time got, struct mkt_time want)
{
    assert_int_equal(got.has, want.has);
    assert_int_equal(got.type, want.type);
    assert_int_equal(got.value, want.value);
}

static void
every_part_of_a_wish_comes_back_as_it_was_wanted(void **state)
{
    struct mkt_policy want;
    const struct mkt_policy *got;
    const struct mkt_keys *keys;
    struct mkt_grant *g;

    (void)state;
    want_all(&want);
    g = granted(&want);
    assert_non_null(g);
    got = mkt_grant_policy(g);
    assert_int_equal(got->flags, want.flags); /* K is not set: RFC6043:6.10-9 */
    assert_int_equal(got->n_responders, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(mkt_identity_equal(got->responders[i], want.responders[i]));
    assert_int_equal(got->n_apps, 2);
    for (size_t i = 0; i < 2; i++)
        assert_true(mkt_identity_equal(got->apps[i], want.apps[i]));
    same_time(got->start, want.start);
    same_time(got->end, want.end);
    same_time(got->rekey, want.rekey);
    keys = mkt_grant_keys(g);
    assert_int_equal(keys->n, 5); /* MPKi, MPKr and three */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(keys->k[2 + i].type, want.wanted[i].type);
        assert_int_equal(keys->k[2 + i].key.n, want.wanted[i].key_len);
        assert_int_equal(keys->k[2 + i].salt.n, want.wanted[i].salt_len);
    }
    assert_memory_equal(keys->k[4].spi, want.wanted[2].spi.p, 4);
    mkt_grant_free(g);
}

static void
every_responder_of_several_may_resolve(void **state)
{
    struct mkt_policy want;
    struct mkt_grant *g;
    struct mkt_io io;

    (void)state;
    rig_want(&want, &alice, "sip:carol@example.com", 0);
    want.responders[want.n_responders++] = mkt_uri(BOB);
    g = granted(&want);
    assert_non_null(g);
    rig_resolve(&again, &bob, &alice, BOB, g);
    assert_true(rig_resolved(&again, answer(&again), &io)); /* the second one */
    mkt_grant_free(g);
    rig_want(&want, &alice, "sip:carol@example.com", 0);
    g = granted(&want);
    assert_non_null(g);
    rig_ask_free(&again);
    rig_resolve(&again, &bob, &alice, BOB, g);
    expect_error(&again, MKT_ERR_INVALID_ID, "one who is not named"); /* RFC6043:4.2.3.4 */
    mkt_grant_free(g);
}

static void
without_e(struct mkt_policy *want)
{
    want->flags &= (uint16_t) ~(MKT_TP_E | MKT_TP_I); /* nobody shares a key */
}

static void
without_f(struct mkt_policy *want)
{
    want->flags = MKT_TP_D | MKT_TP_E | MKT_TP_H | MKT_TP_I | MKT_TP_N | MKT_TP_O;
}

static void
too_long(struct mkt_policy *want)
{
    want->end.value += 7200ULL << 32;
}

static void
without_end(struct mkt_policy *want)
{
    want->end.has = false;
}

static void
somebody_else(struct mkt_policy *want)
{
    want->initiator = mkt_uri(BOB);
}

static void
another_kms(struct mkt_policy *want)
{
    want->kms = mkt_uri("sip:kms@example.org");
}

static void
nothing(struct mkt_policy *want)
{
    (void)want;
}

static void
without_names(struct mkt_policy *want)
{
    want->initiator.data.p = want->kms.data.p = NULL;
}

/* RFC6043:6.10 "K ... indicates if the Ticket Policy has been changed by the KMS" */
static void
k_is_set_when_something_else_is_granted_and_only_then(void **state)
{
    static const struct {
        const char *what;
        void (*change)(struct mkt_policy *want);
        bool k;
        uint16_t set; /* flags that are added */
    } wishes[] = {
        { "as it is", nothing, false, 0 },
        { "without names", without_names, false, 0 },
        { "no E, and nobody shares a key", without_e, true, MKT_TP_E },
        { "I with a TGK, no F", without_f, true, MKT_TP_F },
        { "longer than max_validity", too_long, true, 0 },
        { "without end", without_end, true, 0 },
        { "in the name of another", somebody_else, true, 0 },
        { "of another KMS", another_kms, true, 0 },
    };
    struct mkt_policy want;

    (void)state;
    for (size_t i = 0; i < COUNT(wishes); i++) {
        want_all(&want);
        wishes[i].change(&want);
        struct mkt_grant *g = granted(&want);
        if (g == NULL)
            fail_msg("%s: not granted", wishes[i].what);
        const struct mkt_policy *got = mkt_grant_policy(g);
        if (((got->flags & MKT_TP_K) != 0) != wishes[i].k)
            fail_msg("%s: K is %d", wishes[i].what, !wishes[i].k);
        assert_int_equal(got->flags & ~MKT_TP_K, want.flags | wishes[i].set);
        assert_true(mkt_identity_equal(got->initiator, mkt_uri(ALICE)));
        assert_true(mkt_identity_equal(got->kms, mkt_uri(RIG_KMS)));
        assert_true(got->end.has);
        assert_true(got->end.value - got->start.value <= 7200ULL << 32);
        mkt_grant_free(g);
    }
}

/* The nth payload of that type in the TP Data of a request, to be altered. */
static uint8_t *
part_of(struct rig_ask *a, uint16_t type, size_t nth)
{
    static struct mkt_payload part[64];
    static struct mkt_msg m;
    struct mkt_err err = { 0 };
    size_t n = 0;

    assert_int_equal(mkt_msg_parse(&m, mkt_span(a->octets, a->len), &err), MKT_OK);
    const struct mkt_payload *tp = mkt_msg_find(&m, MKT_PL_TP, 0);
    const struct mkt_span data = tp->u.ticket.tp_data;
    assert_int_equal(
        mkt_chain_decode(part, COUNT(part), &n, data.p[0], mkt_span(data.p + 1, data.n - 1), &err),
        MKT_OK);
    for (size_t i = 0; i < n; i++)
        if (part[i].type == type && nth-- == 0)
            return a->octets + (part[i].raw.p - a->octets);
    fail_msg("no such payload");
    return NULL;
}

/* What a client of ours would not write: one octet of a payload in the TP Data, V made anew. */
static void
parameters_that_contradict_the_rfc_are_refused(void **state)
{
    static const struct {
        const char *what;
        uint16_t type;
        uint8_t nth, at, is, becomes;
    } changes[] = {
        { "a second IDRkms", MKT_PL_IDR, 1, 1, MKT_IDR_I, MKT_IDR_KMS },
        { "a second IDRi", MKT_PL_IDR, 0, 1, MKT_IDR_KMS, MKT_IDR_I },
        { "a second TRs", MKT_PL_TR, 1, 1, MKT_TR_E, MKT_TR_S },
        { "a TRe that counts", MKT_PL_TR, 1, 2, MKT_TS_NTP_UTC_32, MKT_TS_COUNTER },
        { "a TRr that counts", MKT_PL_TR, 2, 2, MKT_TS_NTP_UTC_32, MKT_TS_COUNTER },
        { "a KEMAC that is encrypted", MKT_PL_KEMAC, 0, 1, MKT_ENCR_NULL, MKT_ENCR_AES_CM_128 },
        { "an MPK", MKT_PL_KEMAC, 0, 5, MKT_KEY_TGK << 4, MKT_KEY_MPK << 4 },
    };
    struct mkt_policy want;

    (void)state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        rig_ask_free(&ask);
        want_all(&want);
        rig_request_want(&ask, &alice, &want, 0);
        uint8_t *octet = part_of(&ask, changes[i].type, changes[i].nth) + changes[i].at;
        assert_int_equal(*octet, changes[i].is);
        *octet = changes[i].becomes;
        bool authentic;
        assert_int_equal(rig_error_no(answer(&ask), &authentic), MKT_ERR_AUTH_FAILURE);
        assert_false(authentic); /* RFC6043:5.4-2: nothing about it to strangers */
        rig_seal(&ask, &alice);
        expect_error(&ask, MKT_ERR_INVALID_TPPAR, changes[i].what); /* RFC6043:5.4-3 */
    }
}

static void
a_wish_without_a_responder_is_refused(void **state)
{
    struct mkt_policy want;

    (void)state;
    rig_want(&want, &alice, BOB, 0);
    rig_request_want(&ask, &alice, &want, 0);
    *(part_of(&ask, MKT_PL_IDR, 0) + 1) = MKT_IDR_APP;
    rig_seal(&ask, &alice);
    expect_error(&ask, MKT_ERR_INVALID_TPPAR, "no IDRr");
}

static void
keys_that_cannot_be_given_are_refused(void **state)
{
    static const uint8_t spi[] = { 1, 2, 3, 4 };
    static const struct mkt_want_key good = { .type = MKT_KEY_TGK, .key_len = 32 };
    static const struct mkt_want_key bad[] = {
        { .type = MKT_KEY_TGK, .key_len = 8 },
        { .type = MKT_KEY_TGK, .key_len = 33 },
        { .type = MKT_KEY_TEK_SALT, .key_len = 16, .salt_len = 33 },
        { .type = MKT_KEY_TGK, .kv = MKT_KV_SPI, .key_len = 32, .spi = { spi, sizeof spi } },
    };
    struct mkt_policy want;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        rig_want(&want, &alice, BOB, 0);
        want.has_kemac = true;
        want.n_wanted = 2;
        want.wanted[0] = bad[i].kv == MKT_KV_SPI ? bad[i] : good; /* one SPI twice */
        want.wanted[1] = bad[i];
        rig_ask_free(&ask);
        rig_request_want(&ask, &alice, &want, 0);
        expect_error(&ask, MKT_ERR_INVALID_TPPAR, "a key"); /* RFC6043:6.9 number 15 */
    }
    rig_want(&want, &alice, BOB, 0);
    want.has_kemac = true;
    for (; want.n_wanted < MKT_KEYS_MAX - 1; want.n_wanted++)
        want.wanted[want.n_wanted] = good;
    rig_ask_free(&ask);
    rig_request_want(&ask, &alice, &want, 0);
    expect_error(&ask, MKT_ERR_INVALID_TPPAR, "more keys than a ticket holds");
    want.n_wanted--;
    struct mkt_grant *g = granted(&want);
    assert_non_null(g);
    assert_int_equal(mkt_grant_keys(g)->n, MKT_KEYS_MAX); /* with MPKi and MPKr */
    mkt_grant_free(g);
}

int
main(void)
{
#define TEST(name) SCENE(name, "max_validity: 2h\n")
    const struct CMUnitTest tests[] = {
        TEST(every_part_of_a_wish_comes_back_as_it_was_wanted),
        TEST(every_responder_of_several_may_resolve),
        TEST(k_is_set_when_something_else_is_granted_and_only_then),
        TEST(parameters_that_contradict_the_rfc_are_refused),
        TEST(a_wish_without_a_responder_is_refused),
        TEST(keys_that_cannot_be_given_are_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
