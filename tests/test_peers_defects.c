/* SPDX-License-Identifier: Apache-2.0 */
/* Faults found in other MIKEY code, one test for each, named after the fault: none of them is here.
 * Messages are altered octet by octet; where the MAC is not the point they are sealed anew. */
#include "three_party.h"

#include "exchange/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct call c;

/* The steps that receive a message, and the message. */
static enum mkt_rc
granted_step(struct call *call, size_t k)
{
    (void)k;
    return call_granted(call);
}

static enum mkt_rc
issue_step(struct call *call, size_t k)
{
    (void)k;
    return call_issue(call);
}

/* A Responder has an offer that verifies, or none. */
static enum mkt_rc
offer_step(struct call *call, size_t k)
{
    enum mkt_rc rc = call_offered(call, k);
    rc = rc != MKT_OK ? rc : call_accept(call, k);
    rc = rc != MKT_OK ? rc : call_resolve(call, k);
    return rc != MKT_OK ? rc : call_resolved(call, k);
}

static const struct step {
    const char *name;
    size_t message; /* in struct call */
    enum mkt_rc (*take)(struct call *call, size_t k);
    uint16_t mandatory[4]; /* payloads it cannot do without, roles aside (4.2) */
} steps[] = {
    { "REQUEST_INIT",
      offsetof(struct call, request),
      issue_step,
      { MKT_PL_T, MKT_PL_RANDR, MKT_PL_TP, MKT_PL_V } },
    { "REQUEST_RESP",
      offsetof(struct call, granted),
      granted_step,
      { MKT_PL_T, MKT_PL_TICKET, MKT_PL_KEMAC, MKT_PL_V } },
    { "TRANSFER_INIT",
      offsetof(struct call, init),
      offer_step,
      { MKT_PL_T, MKT_PL_RANDR, MKT_PL_TICKET, MKT_PL_V } },
    { "RESOLVE_INIT",
      offsetof(struct call, resolve),
      call_resolve,
      { MKT_PL_T, MKT_PL_RANDR, MKT_PL_TICKET, MKT_PL_V } },
    { "RESOLVE_RESP",
      offsetof(struct call, resolved),
      call_resolved,
      { MKT_PL_T, MKT_PL_RANDR, MKT_PL_KEMAC, MKT_PL_V } },
    { "TRANSFER_RESP",
      offsetof(struct call, resp),
      call_answered,
      { MKT_PL_T, MKT_PL_RANDR, MKT_PL_IDR, MKT_PL_V } },
};

/* Brings the call to where message i has been sent and not yet received. */
static void
send_up_to(size_t i)
{
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_request(&c), MKT_OK);
    if (i > 0)
        assert_int_equal(call_issue(&c), MKT_OK);
    if (i > 1) {
        assert_int_equal(call_granted(&c), MKT_OK);
        assert_int_equal(call_offer(&c), MKT_OK);
    }
    if (i > 2) {
        assert_int_equal(call_offered(&c, 0), MKT_OK);
        assert_int_equal(call_accept(&c, 0), MKT_OK);
    }
    if (i > 3)
        assert_int_equal(call_resolve(&c, 0), MKT_OK);
    if (i > 4)
        assert_int_equal(call_resolved(&c, 0), MKT_OK);
}

static struct message *
message_of(size_t i)
{
    return (struct message *)(void *)((char *)&c + steps[i].message);
}

static void
assert_refused(size_t i)
{
    enum mkt_rc rc = steps[i].take(&c, 0);
    if (rc == MKT_OK)
        fail_msg("%s was taken", steps[i].name);
    assert_null(c.at_alice[0]);
    assert_null(i < 5 ? c.at_bob[0] : NULL);
    assert_null(i < 2 ? c.grant : NULL);
}

static const struct mkt_payload *
find(const struct message *m, struct mkt_msg *parsed, uint16_t type)
{
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    const struct mkt_payload *pl = mkt_msg_find(parsed, type, 0);
    assert_non_null(pl);
    return pl;
}

/* libmikey: `case MIKEY_MAC_NULL: return true` */
static void
a_null_mac_is_not_taken_for_authentication(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct mkt_msg parsed;
        send_up_to(i);
        struct message *m = message_of(i);
        size_t v = find(m, &parsed, MKT_PL_V)->at;
        m->b[v + 1] = MKT_MAC_NULL;
        m->n = v + 2;      /* no MAC octets follow */
        assert_refused(i); /* RFC3830:4.2.4-3 */
        call_close(&c);
    }
}

/* Writes REQUEST_RESP anew with another KEMAC payload and a MAC that verifies. */
static void
seal_grant_with(const struct mkt_pl_kemac *kemac)
{
    struct mkt_msg m, request;
    struct mkt_err err = { 0 };
    struct message out;
    struct mkt_writer w = mkt_w_open(out.b, sizeof out.b);
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    const struct mkt_span tail = mkt_span(c.request.b, c.request.n);
    assert_int_equal(mkt_msg_parse(&m, mkt_span(c.granted.b, c.granted.n), &err), MKT_OK);
    assert_int_equal(mkt_msg_parse(&request, tail, &err), MKT_OK);
    const struct mkt_label label = { .use = MKT_USE_RESP,
                                     .csb_id = m.hdr.csb_id,
                                     .nonce1 = mkt_ex_randr(&request, MKT_RANDR_I) };
    mkt_hdr_write(&w, &m.hdr);
    for (size_t i = 0; i + 1 < m.n; i++) {
        if (m.pl[i].type == MKT_PL_KEMAC)
            m.pl[i].u.kemac = *kemac;
        mkt_pl_write(&w, &m.pl[i]);
    }
    assert_true(mkt_derive_msg_keys(&mk, &c.psk_alice.base, c.crypto, mkt_suite_of(m.hdr.prf),
                                    &label, MKT_WANT_AUTH));
    assert_true(mkt_ex_seal(&w, c.crypto, &mk, &tail, 1));
    assert_false(w.overflow);
    out.n = w.len;
    c.granted = out;
}

static struct mkt_span
write_keys(const struct mkt_keys *keys, uint8_t *out, size_t cap)
{
    struct mkt_writer w = mkt_w_open(out, cap);
    for (size_t i = 0; i < keys->n; i++) {
        const struct mkt_key *k = &keys->k[i];
        mkt_pl_write(
            &w, &(struct mkt_payload){ .type = MKT_PL_KEY_DATA,
                                       .u.key_data = { .type = k->type,
                                                       .kv = k->kv,
                                                       .key = mkt_secret_span(&k->key),
                                                       .spi = mkt_span(k->spi, k->spi_len) } });
    }
    assert_false(w.overflow);
    return mkt_span(out, w.len);
}

/* libmikey: MIKEY_ENCR_NULL accepted */
static void
null_encryption_is_not_accepted_even_under_a_mac_that_verifies(void **state)
{
    struct mkt_msg parsed;
    uint8_t clear[512];
    (void)state;
    send_up_to(1);
    struct message honest = c.granted;
    struct mkt_pl_kemac sealed = find(&honest, &parsed, MKT_PL_KEMAC)->u.kemac;
    seal_grant_with(&sealed);
    assert_memory_equal(c.granted.b, honest.b, honest.n); /* the forge makes good messages */
    assert_int_equal(call_granted(&c), MKT_OK);
    struct mkt_pl_kemac bare = { .encr_data =
                                     write_keys(mkt_grant_keys(c.grant), clear, sizeof clear) };
    mkt_grant_free(c.grant);
    c.grant = NULL;
    call_close(&c);

    send_up_to(1);
    seal_grant_with(&bare);
    /* RFC3830:4.2.3-3 RFC3830:6.13-3 */
    assert_int_equal(call_granted(&c), MKT_E_ENCR_ALG); /* RFC6043:12.1-8 */
    assert_null(c.grant);
    call_close(&c);
}

/* libmikey: rawMessageLength() - 20 wraps on short messages */
static void
no_length_wraps_when_a_message_is_shorter_than_its_mac(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(steps); i++) {
        send_up_to(i);
        struct message *m = message_of(i);
        for (m->n = 0; m->n < 64; m->n++)
            assert_refused(i);
        call_close(&c);
    }
}

/* libmikey reads SP parameters past the payload, then asserts; GStreamer's length wraps */
static void
an_sp_parameter_stays_inside_its_payload(void **state)
{
    (void)state;
    for (unsigned len = 0; len < 256; len++) {
        struct mkt_msg parsed;
        struct mkt_err err = { 0 };
        send_up_to(2);
        /* Next, Policy_no, Prot type, two octets of length, then type, length, value */
        uint8_t *sp = c.init.b + find(&c.init, &parsed, MKT_PL_SP)->at;
        assert_int_equal(sp[6], 1);
        sp[6] = (uint8_t)len;
        enum mkt_rc rc = mkt_msg_parse(&parsed, mkt_span(c.init.b, c.init.n), &err);
        /* two parameters of one octet each: 1 is right, 4 swallows the second one whole */
        assert_int_equal(rc == MKT_OK, len == 1 || len == 4);
        if (len != 1)
            assert_refused(2);
        call_close(&c);
    }
}

/* libmikey: RAND, KEMAC and T are used without a look whether they are there */
static void
a_payload_that_is_missing_is_refused_and_not_dereferenced(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(steps); i++)
        for (size_t k = 0; k < COUNT(steps[i].mandatory); k++) {
            send_up_to(i);
            assert_true(without(message_of(i), steps[i].mandatory[k], 0) > 0);
            assert_refused(i); /* RFC6043:4.2.1.1-1 RFC6043:4.2.2.1-1 RFC6043:4.2.3.1-1 */
            call_close(&c);
        }
}

/* libmikey: no replay cache */
static void
a_copy_of_an_offer_is_not_answered_twice(void **state)
{
    (void)state;
    send_up_to(5);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_E_REPLAY); /* RFC3830:5.4-2 */
    assert_int_equal(call_offered(&c, 1), MKT_OK);       /* another device may take it */
    call_close(&c);
}

static void
a_kms_can_tell_a_copy_from_a_new_request(void **state)
{
    struct mkt_err err = { 0 };
    uint8_t first[MKT_MAC_MAX];
    (void)state;
    send_up_to(0);
    for (int i = 0; i < 3; i++) { /* the message, its copy, another one */
        if (i == 2)
            assert_int_equal(call_request(&c), MKT_OK);
        struct mkt_span in = mkt_span(c.request.b, c.request.n);
        assert_int_equal(mkt_kms_begin(c.txn, in, &err), MKT_OK);
        struct mkt_span mark = mkt_kms_ask(c.txn)->fingerprint;
        assert_true(mark.n >= 20 && mark.n <= sizeof first);
        if (i == 0)
            memcpy(first, mark.p, mark.n);
        assert_int_equal(memcmp(first, mark.p, mark.n) == 0, i < 2);
        mkt_kms_end(c.txn);
    }
    call_close(&c);
}

/* libmikey: a clock window of one hour; sw_mikey_sakke: the check compiled out */
static void
an_offer_older_or_newer_than_the_window_is_refused(void **state)
{
    static const struct {
        int64_t seconds;
        enum mkt_rc rc;
    } clocks[] = {
        { -SKEW_S - 2, MKT_E_STALE }, { -SKEW_S + 2, MKT_OK },     { 0, MKT_OK },
        { SKEW_S - 2, MKT_OK },       { SKEW_S + 2, MKT_E_STALE },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(clocks); i++) {
        send_up_to(2);
        c.env.now += (uint64_t)clocks[i].seconds << 32;
        enum mkt_rc rc = call_offered(&c, 0);
        /* RFC3830:5.3-1 */
        if (rc != clocks[i].rc)
            fail_msg("clock %lld s off: %s", (long long)clocks[i].seconds, mkt_rc_name(rc));
        call_close(&c);
    }
}

/* gstmikey, live555: any CS ID map is read as SRTP-ID */
static void
a_map_is_read_as_what_it_is_and_srtp_id_is_refused(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        send_up_to(2);
        assert_int_equal(c.init.b[9], MKT_MAP_GENERIC_ID);
        if (type == MKT_MAP_GENERIC_ID)
            assert_int_equal(call_offered(&c, 0), MKT_OK);
        c.init.b[9] = (uint8_t)type;
        if (type != MKT_MAP_GENERIC_ID)
            assert_refused(2); /* RFC6043:6.1-4 */
        call_close(&c);
    }

    /* a well-formed SRTP-ID map, so that only its type can be the reason */
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    uint8_t map[9] = { 0, 1, 2, 3, 4, 0, 0, 0, 0 };
    send_up_to(2);
    assert_int_equal(mkt_msg_parse(&parsed, mkt_span(c.init.b, c.init.n), &err), MKT_OK);
    struct message out;
    struct mkt_writer w = mkt_w_open(out.b, sizeof out.b);
    parsed.hdr.map_type = MKT_MAP_SRTP_ID;
    parsed.hdr.map = mkt_span(map, sizeof map);
    mkt_hdr_write(&w, &parsed.hdr);
    for (size_t i = 0; i < parsed.n; i++)
        mkt_pl_write(&w, &parsed.pl[i]);
    out.n = w.len;
    c.init = out;
    assert_int_equal(call_offered(&c, 0), MKT_E_MAP);
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_null_mac_is_not_taken_for_authentication),
        cmocka_unit_test(null_encryption_is_not_accepted_even_under_a_mac_that_verifies),
        cmocka_unit_test(no_length_wraps_when_a_message_is_shorter_than_its_mac),
        cmocka_unit_test(an_sp_parameter_stays_inside_its_payload),
        cmocka_unit_test(a_payload_that_is_missing_is_refused_and_not_dereferenced),
        cmocka_unit_test(a_copy_of_an_offer_is_not_answered_twice),
        cmocka_unit_test(a_kms_can_tell_a_copy_from_a_new_request),
        cmocka_unit_test(an_offer_older_or_newer_than_the_window_is_refused),
        cmocka_unit_test(a_map_is_read_as_what_it_is_and_srtp_id_is_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
