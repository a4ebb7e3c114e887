/* SPDX-License-Identifier: Apache-2.0 */
/* Compatibility tickets (RFC 6043 B.1) whose message parses and is not the one that the KMS was to
 * make, and a libcrypto that fails while one is made or used. */
#include "compat_call.h"
#include "failing_crypto.h"

#include "ticket/ticket.h"
#include <mikeyticket/message.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct call c;
static struct mkt_err err;
static struct mkt_compat compat;

static int
open_call(void **state)
{
    (void)state;
    return compat_call_open(&c, MKT_COMPAT_IDS, 16) && call_until_grant(&c) == MKT_OK ? 0 : -1;
}

static int
close_the_call(void **state)
{
    (void)state;
    call_close(&c);
    return 0;
}

/* --- another message ---------------------------------------------------------------------------
 */

static size_t
place_of(const struct mkt_msg *m, uint16_t type)
{
    size_t i = 0;
    while (m->pl[i].type != type)
        i++;
    return i;
}

static void
drop(struct mkt_msg *m, uint16_t type)
{
    size_t i = place_of(m, type);
    memmove(&m->pl[i], &m->pl[i + 1], (m->n - i - 1) * sizeof m->pl[0]);
    m->n--;
}

static void
nothing(struct mkt_msg *m)
{
    (void)m;
}
static void
no_t(struct mkt_msg *m)
{
    drop(m, MKT_PL_T);
}
static void
no_rand(struct mkt_msg *m)
{
    drop(m, MKT_PL_RAND);
}
static void
short_rand(struct mkt_msg *m)
{
    m->pl[place_of(m, MKT_PL_RAND)].u.rand.rand.n = 15;
}
static void
no_ids(struct mkt_msg *m)
{
    drop(m, MKT_PL_ID);
    drop(m, MKT_PL_ID);
}
static void
no_kemac(struct mkt_msg *m)
{
    drop(m, MKT_PL_KEMAC);
}
static void
kemac_before_sp(struct mkt_msg *m)
{
    struct mkt_payload sp = m->pl[m->n - 2];
    assert_int_equal(sp.type, MKT_PL_SP);
    m->pl[m->n - 2] = m->pl[m->n - 1];
    m->pl[m->n - 1] = sp;
}
static void
null_encryption(struct mkt_msg *m)
{
    m->pl[m->n - 1].u.kemac.encr_alg = MKT_ENCR_NULL;
}
static void
null_mac(struct mkt_msg *m)
{
    m->pl[m->n - 1].u.kemac.mac_alg = MKT_MAC_NULL;
    m->pl[m->n - 1].u.kemac.mac = mkt_span(NULL, 0);
}
static void
other_data_type(struct mkt_msg *m)
{
    m->hdr.data_type = MKT_DT_PSK_RESP;
}
static void
wants_an_answer(struct mkt_msg *m)
{
    m->hdr.v = true;
}
static void
other_prf(struct mkt_msg *m)
{
    m->hdr.prf = MKT_PRF_HMAC_SHA_256;
}
static void
no_sessions(struct mkt_msg *m)
{
    m->hdr.n_cs = 0;
    m->hdr.map = mkt_span(NULL, 0);
}
static void
other_map(struct mkt_msg *m)
{
    m->hdr.n_cs = 0;
    m->hdr.map = mkt_span(NULL, 0);
    m->hdr.map_type = MKT_MAP_GENERIC_ID;
}

/* A grant like c.grant, whose ticket holds the message as `edit` leaves it. */
static struct mkt_grant *
grant_of(void (*edit)(struct mkt_msg *m))
{
    static uint8_t inner[2048], outer[4096];
    static struct mkt_msg m;
    struct mkt_payload ticket;
    struct mkt_keys keys = c.grant->keys;
    struct mkt_grant *g = NULL;
    size_t used, len;
    err = (struct mkt_err){ 0 };
    assert_int_equal(
        mkt_payload_decode(&ticket, MKT_PL_TICKET, mkt_grant_ticket(c.grant), &used, &err), MKT_OK);
    assert_int_equal(mkt_msg_parse(&m, ticket.u.ticket.ticket_data, &err), MKT_OK);
    edit(&m);
    struct mkt_writer w = mkt_w_open(inner, sizeof inner);
    mkt_hdr_write(&w, &m.hdr);
    for (size_t i = 0; i < m.n; i++)
        mkt_pl_write(&w, &m.pl[i]);
    assert_false(w.overflow);
    ticket.u.ticket.ticket_data = mkt_span(inner, w.len);
    assert_int_equal(mkt_payload_encode(&ticket, outer, sizeof outer, &len), MKT_OK);
    assert_int_equal(mkt_grant_make(&g, mkt_span(outer, len), &keys, &err), MKT_OK);
    return g;
}

static void
a_message_that_is_not_what_the_subtype_says_is_not_sent(void **state)
{
    static const struct {
        void (*edit)(struct mkt_msg *m);
        const char *what;
    } row[] = {
        { no_t, "Ticket Data: T or RAND of the RFC 3830 message" },
        { no_rand, "Ticket Data: T or RAND of the RFC 3830 message" },
        { short_rand, "Ticket Data: T or RAND of the RFC 3830 message" },
        { no_ids, "Ticket Data: ID payloads are not as the subtype says" },
        { no_kemac, "Ticket Data: KEMAC of the RFC 3830 message" },
        { kemac_before_sp, "Ticket Data: KEMAC of the RFC 3830 message" },
        { null_encryption, "Ticket Data: KEMAC of the RFC 3830 message" },
        { null_mac, "Ticket Data: KEMAC of the RFC 3830 message" },
        { other_data_type, "Ticket Data: HDR of the RFC 3830 message" },
        { wants_an_answer, "Ticket Data: HDR of the RFC 3830 message" },
        { other_prf, "Ticket Data: HDR of the RFC 3830 message" },
        { no_sessions, "Ticket Data: HDR of the RFC 3830 message" },
        { other_map, "Ticket Data: HDR of the RFC 3830 message" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        struct mkt_grant *g = grant_of(row[i].edit);
        assert_int_equal(mkt_grant_compat(g, &c.env, &compat, &err), MKT_E_TICKET);
        assert_string_equal(err.what, row[i].what);
        assert_int_equal(compat.n_cs, 0);
        assert_null(compat.message.p);
        mkt_grant_free(g);
    }
    struct mkt_grant *g = grant_of(nothing);
    assert_int_equal(mkt_grant_compat(g, &c.env, &compat, &err), MKT_OK);
    assert_int_equal(compat.n_cs, 2);
    mkt_grant_free(g);
}

static void
ids_that_the_subtype_does_not_have_are_refused_too(void **state)
{
    struct mkt_grant *g = grant_of(nothing);
    (void)state;
    g->policy.subtype = MKT_COMPAT_NO_IDS;
    assert_int_equal(mkt_grant_compat(g, &c.env, &compat, &err), MKT_E_TICKET);
    assert_string_equal(err.what, "Ticket Data: ID payloads are not as the subtype says");
    mkt_grant_free(g);
}

/* --- another grant -----------------------------------------------------------------------------
 */

static enum mkt_rc
keys_of(struct mkt_grant *g)
{
    struct mkt_secret tek = { .n = 7 }, salt = { .n = 7 };
    err = (struct mkt_err){ 0 };
    enum mkt_rc rc = mkt_grant_compat_derive(g, &c.env, 1, &tek, &salt, &err);
    assert_int_equal(tek.n, rc == MKT_OK ? 16 : 0);
    assert_int_equal(salt.n, rc == MKT_OK ? 14 : 0);
    return rc;
}

static void
only_a_grant_of_one_tgk_and_a_fitting_policy_has_keys(void **state)
{
    struct mkt_grant *g = grant_of(nothing);
    (void)state;
    assert_int_equal(keys_of(g), MKT_OK);
    g->keys.n = 1;
    assert_int_equal(keys_of(g), MKT_E_KEY_DATA);
    g->keys.n = 3;
    assert_int_equal(keys_of(g), MKT_E_KEY_DATA);
    g->keys.n = 2;
    g->keys.k[1].type = MKT_KEY_TEK;
    assert_int_equal(keys_of(g), MKT_E_KEY_DATA);
    g->keys.k[1].type = MKT_KEY_TGK;
    g->policy.flags |= MKT_TP_E;
    assert_int_equal(keys_of(g), MKT_E_TP_FLAGS);
    g->policy.flags &= (uint16_t)~MKT_TP_E;
    g->policy.version = 2;
    assert_int_equal(keys_of(g), MKT_E_TICKET_TYPE);
    g->policy.version = 1;
    g->ticket_len--; /* a ticket that was cut off */
    assert_int_equal(keys_of(g), MKT_E_TRUNCATED);
    g->ticket_len++;
    assert_int_equal(keys_of(g), MKT_OK);
    mkt_grant_free(g);
}

static void
identities_in_the_message_are_nais_or_uris(void **state)
{
    static const struct {
        uint8_t type;
        enum mkt_rc rc;
    } row[] = { { MKT_ID_NAI, MKT_OK }, { MKT_ID_URI, MKT_OK }, { MKT_ID_BYTES, MKT_E_IDENTITY } };
    struct mkt_policy p = c.grant->policy;
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        err = (struct mkt_err){ 0 };
        p.initiator = (struct mkt_identity){ row[i].type, mkt_span("alice", 5) };
        p.responders[0] = mkt_uri("sip:bob@example.com");
        assert_int_equal(mkt_compat_policy_check(&p, &err), row[i].rc);
        err = (struct mkt_err){ 0 };
        p.responders[0] = p.initiator;
        p.initiator = mkt_uri("sip:alice@example.com");
        assert_int_equal(mkt_compat_policy_check(&p, &err), row[i].rc);
    }
    err = (struct mkt_err){ 0 };
    p.responders[0] = mkt_uri("sip:bob@example.com");
    p.initiator.data = mkt_span(NULL, 0); /* nobody is named */
    assert_int_equal(mkt_compat_policy_check(&p, &err), MKT_E_IDENTITY);
}

/* --- libcrypto ---------------------------------------------------------------------------------
 */

static void
a_failing_libcrypto_makes_no_ticket(void **state)
{
    unsigned failed = 0;
    bool reached = true;
    (void)state;
    for (long n = 0; reached; n++) {
        assert_int_equal(call_request(&c), MKT_OK);
        crypto_left = n;
        enum mkt_rc rc = call_issue(&c);
        reached = crypto_left < 0;
        crypto_left = -1;
        failed += rc != MKT_OK;
        assert_true(rc == MKT_OK || (reached && rc == MKT_E_CRYPTO));
        assert_int_equal(call_issue(&c), MKT_OK);
        assert_int_equal(call_granted(&c), MKT_OK);
    }
    assert_true(failed > 30);
}

static void
a_failing_libcrypto_derives_no_keys(void **state)
{
    long n = 0;
    (void)state;
    for (enum mkt_rc rc = MKT_E_CRYPTO; rc != MKT_OK; n++) {
        crypto_left = n;
        rc = keys_of(c.grant); /* no octets when it fails */
        crypto_left = -1;
        assert_true(rc == MKT_OK || rc == MKT_E_CRYPTO);
    }
    assert_true(n > 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_call, close_the_call)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_that_is_not_what_the_subtype_says_is_not_sent),
        TEST(ids_that_the_subtype_does_not_have_are_refused_too),
        TEST(only_a_grant_of_one_tgk_and_a_fitting_policy_has_keys),
        TEST(identities_in_the_message_are_nais_or_uris),
        TEST(a_failing_libcrypto_makes_no_ticket),
        TEST(a_failing_libcrypto_derives_no_keys),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
