/* SPDX-License-Identifier: Apache-2.0 */
/* Reference tickets (docs/formats/reference-ticket.md): the ticket names its keys, and the KMS that
 * keeps them can take it back at once. The store of the KMS is an array here. */
#include "three_party.h"

#include "payload/codec.h"
#include <mikeyticket/message.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define REFERENCE_LEN 16

static struct call c;

/* What the KMS keeps of the last ticket. */
static struct {
    uint8_t reference[REFERENCE_LEN], keys[1024];
    size_t n;
} store;

static int
open_a_call(void **state)
{
    (void)state;
    memset(&store, 0, sizeof store);
    if (!call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC))
        return -1;
    c.want.ticket_type = MKT_TICKET_TYPE_REFERENCE;
    c.rules.keeps_keys = true;
    return 0;
}

static int
close_the_call(void **state)
{
    (void)state;
    call_close(&c);
    return 0;
}

/* --- the part of a KMS that has a store --------------------------------------------------------
 */

static enum mkt_rc
verify(const struct message *in, struct mkt_identity client, const struct mkt_inkey *psk)
{
    struct mkt_err *err = &c.io.err;
    c.io = (struct mkt_io){ 0 };
    if (mkt_kms_begin(c.txn, mkt_span(in->b, in->n), err) != MKT_OK)
        return err->rc;
    return mkt_kms_verify(c.txn, &c.env, psk, client, c.kms, err);
}

/* Issues a ticket and keeps its keys; the transaction stays open. The generator works for `draws`
 * calls of the KMS (-1: for ever). */
static enum mkt_rc
issue_with(long draws)
{
    const struct mkt_tpk tpk = { mkt_span("tpk", 3), &c.tpk.base, { 0, { NULL, 0 } } };
    struct mkt_policy granted;
    struct mkt_span reference;
    enum mkt_rc rc = call_request(&c);
    rc = rc != MKT_OK ? rc : verify(&c.request, c.alice, &c.psk_alice.base);
    if (rc != MKT_OK)
        return rc;
    c.io = (struct mkt_io){ .out = c.granted.b, .cap = c.cap };
    if (mkt_policy_grant(&granted, mkt_kms_ask(c.txn)->policy, &c.rules, c.alice, c.kms, c.env.now,
                         &c.io.err) != MKT_OK)
        return c.io.err.rc;
    c.random_left = draws;
    enum mkt_next next = mkt_kms_issue(c.txn, &c.env, &granted, &tpk, mkt_span(NULL, 0), &c.io);
    c.random_left = -1;
    c.granted.n = c.io.out_len;
    if (next != MKT_NEXT_SEND_PEER)
        return c.io.err.rc;
    struct mkt_span kept = mkt_kms_kept(c.txn, &reference);
    if (kept.n == 0)
        return MKT_OK;
    assert_int_equal(reference.n, REFERENCE_LEN);
    assert_true(kept.n <= sizeof store.keys);
    memcpy(store.reference, reference.p, reference.n);
    memcpy(store.keys, kept.p, kept.n);
    store.n = kept.n;
    return MKT_OK;
}

static enum mkt_rc
issue(void)
{
    return issue_with(-1);
}

/* Resolves what Bob sent, with these keys for its reference (n = 0: there are none). */
static enum mkt_rc
resolve(struct mkt_span kept)
{
    const struct mkt_tpk tpk = { mkt_span("tpk", 3), &c.tpk.base, { 0, { NULL, 0 } } };
    enum mkt_rc rc = verify(&c.resolve[0], c.bob[0], &c.psk_bob[0].base);
    if (rc != MKT_OK)
        return rc;
    if (kept.n != 0 && mkt_kms_recall(c.txn, kept, &c.io.err) != MKT_OK)
        return c.io.err.rc;
    if (mkt_kms_open(c.txn, &c.env, &tpk, &c.io.err) != MKT_OK)
        return c.io.err.rc;
    c.io = (struct mkt_io){ .out = c.resolved[0].b, .cap = c.cap };
    if (mkt_kms_resolve(c.txn, &c.env, c.bob[0], &c.io) != MKT_NEXT_SEND_PEER)
        return c.io.err.rc;
    c.resolved[0].n = c.io.out_len;
    return MKT_OK;
}

static struct mkt_span
kept_keys(void)
{
    return mkt_span(store.keys, store.n);
}

/* From the request to the RESOLVE_INIT. */
static void
until_resolve(void)
{
    assert_int_equal(issue(), MKT_OK);
    assert_int_equal(call_granted(&c), MKT_OK);
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
}

static void
assert_the_call_ends_well(void)
{
    assert_int_equal(resolve(kept_keys()), MKT_OK);
    assert_int_equal(call_resolved(&c, 0), MKT_OK);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    assert_true(call_agrees(&c, 0));
}

static struct mkt_payload
ticket_of(const struct message *m)
{
    static struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    const struct mkt_payload *pl = mkt_msg_find(&parsed, MKT_PL_TICKET, 0);
    assert_non_null(pl);
    return *pl;
}

/* --- tests --------------------------------------------------------------------------------------
 */

static void
a_call_works_with_keys_that_stay_with_the_kms(void **state)
{
    struct mkt_payload inner[8];
    struct mkt_err err = { 0 };
    size_t n;
    (void)state;
    until_resolve();
    struct mkt_pl_ticket t = ticket_of(&c.granted).u.ticket;
    assert_int_equal(t.ticket_type, 61440);
    assert_int_equal(t.flags & (MKT_TP_N | MKT_TP_O), MKT_TP_N | MKT_TP_O);
    assert_int_equal(mkt_chain_decode(inner, 8, &n, MKT_PL_THDR, t.ticket_data, &err), MKT_OK);
    assert_int_equal(inner[0].u.thdr.data.n, REFERENCE_LEN);
    assert_memory_equal(inner[0].u.thdr.data.p, store.reference, REFERENCE_LEN);
    for (size_t i = 0; i < n; i++)
        assert_int_not_equal(inner[i].type, MKT_PL_KEMAC);
    assert_the_call_ends_well();
    struct mkt_span named = mkt_kms_ask(c.txn)->reference;
    assert_int_equal(named.n, REFERENCE_LEN);
    assert_memory_equal(named.p, store.reference, REFERENCE_LEN);
}

static void
all_wanted_keys_are_kept(void **state)
{
    static const struct mkt_want_key wanted[2] = {
        { .type = MKT_KEY_TGK_SALT, .key_len = 16, .salt_len = 14 },
        { .type = MKT_KEY_TEK, .key_len = 16 },
    };
    struct mkt_payload keys[4];
    struct mkt_err err = { 0 };
    size_t n;
    (void)state;
    c.want.has_kemac = true;
    c.want.n_wanted = 2;
    memcpy(c.want.wanted, wanted, sizeof wanted);
    until_resolve();
    assert_int_equal(mkt_chain_decode(keys, 4, &n, MKT_PL_KEY_DATA, kept_keys(), &err), MKT_OK);
    assert_int_equal(n, 3);
    assert_int_equal(keys[0].u.key_data.type, MKT_KEY_MPK); /* not yet split in two */
    assert_int_equal(keys[1].u.key_data.type, MKT_KEY_TGK_SALT);
    assert_int_equal(keys[1].u.key_data.salt.n, 14);
    assert_int_equal(keys[2].u.key_data.type, MKT_KEY_TEK);
    assert_the_call_ends_well();
}

static void
a_reference_that_is_not_in_the_store_opens_nothing(void **state)
{
    (void)state;
    until_resolve();
    assert_int_equal(resolve(mkt_span(NULL, 0)), MKT_E_TICKET);
    assert_int_equal(mkt_wire_error(c.io.err.rc), MKT_ERR_INVALID_TICKET);
    assert_int_equal(c.io.out_len, 0);
    assert_the_call_ends_well();
}

static void
the_keys_of_another_reference_do_not_open_it(void **state)
{
    uint8_t others[sizeof store.keys];
    (void)state;
    assert_int_equal(issue(), MKT_OK);
    size_t n = store.n;
    memcpy(others, store.keys, n);
    until_resolve();
    assert_int_equal(store.n, n);
    assert_memory_not_equal(store.keys, others, n);
    assert_int_equal(resolve(mkt_span(others, n)), MKT_E_AUTH); /* Initiator Data: MPKr differs */
    assert_the_call_ends_well();
}

static void
damaged_keys_are_not_taken_back(void **state)
{
    (void)state;
    until_resolve();
    for (size_t n = 1; n < store.n; n++)
        assert_int_not_equal(resolve(mkt_span(store.keys, n)), MKT_OK);
    assert_the_call_ends_well();
}

static void
keys_are_taken_back_for_a_verified_reference_only(void **state)
{
    struct mkt_err err = { 0 };
    (void)state;
    until_resolve();
    assert_int_equal(mkt_kms_begin(c.txn, mkt_span(c.resolve[0].b, c.resolve[0].n), &err), MKT_OK);
    assert_int_equal(mkt_kms_recall(c.txn, kept_keys(), &err), MKT_E_STATE);
    c.want.ticket_type = MKT_TICKET_TYPE_BASE;
    until_resolve();
    assert_int_equal(resolve(kept_keys()), MKT_E_STATE);
    assert_string_equal(c.io.err.what, "recall for no reference");
    assert_int_equal(resolve(mkt_span(NULL, 0)), MKT_OK);
}

static void
nothing_is_kept_of_a_base_ticket_nor_after_the_transaction(void **state)
{
    struct mkt_span reference;
    (void)state;
    assert_int_equal(issue(), MKT_OK);
    assert_int_not_equal(mkt_kms_kept(c.txn, &reference).n, 0);
    mkt_kms_end(c.txn);
    assert_int_equal(mkt_kms_kept(c.txn, &reference).n, 0);
    assert_int_equal(reference.n, 0);
    c.want.ticket_type = MKT_TICKET_TYPE_BASE;
    assert_int_equal(issue(), MKT_OK);
    assert_int_equal(mkt_kms_kept(c.txn, &reference).n, 0);
}

static void
a_kms_without_a_store_makes_no_reference_ticket(void **state)
{
    (void)state;
    c.rules.keeps_keys = false;
    assert_int_equal(issue(), MKT_E_TICKET_TYPE);
    assert_int_equal(c.io.out_len, 0);
}

/* Modes 2 to 4 have somebody else open the ticket or make it: nobody else has the keys. */
static void
only_the_kms_opens_a_reference_ticket(void **state)
{
    (void)state;
    call_mode(&c, 2);
    assert_int_equal(issue(), MKT_OK);
    assert_int_equal(ticket_of(&c.granted).u.ticket.flags & MKT_TP_E, MKT_TP_E);
    c.want.ticket_type = MKT_TICKET_TYPE_BASE;
    assert_int_equal(issue(), MKT_OK); /* while a base ticket may do without */
    assert_int_equal(ticket_of(&c.granted).u.ticket.flags & MKT_TP_E, 0);
    c.want.ticket_type = MKT_TICKET_TYPE_REFERENCE;
    call_mode(&c, 3);
    assert_int_equal(call_create(&c), MKT_E_TICKET_TYPE);
    assert_null(c.grant);
}

static void
without_random_octets_there_is_no_ticket(void **state)
{
    struct mkt_span reference;
    long n = 0;
    (void)state;
    for (enum mkt_rc rc = MKT_E_RANDOM; rc != MKT_OK; n++) {
        rc = issue_with(n);
        if (rc == MKT_OK)
            break;
        assert_int_equal(rc, MKT_E_RANDOM);
        assert_int_equal(c.granted.n, 0);
        assert_int_equal(mkt_kms_kept(c.txn, &reference).n, 0);
    }
    assert_int_equal(n, 6); /* TGK, its SPI, MPK, its SPI, RAND, reference */
}

/* Also of a ticket that was issued before in the same transaction. */
static void
an_answer_that_does_not_fit_keeps_nothing(void **state)
{
    const struct mkt_tpk tpk = { mkt_span("tpk", 3), &c.tpk.base, { 0, { NULL, 0 } } };
    struct mkt_span reference;
    struct mkt_policy granted;
    (void)state;
    assert_int_equal(issue(), MKT_OK);
    assert_int_not_equal(mkt_kms_kept(c.txn, &reference).n, 0);
    granted = *mkt_kms_ask(c.txn)->policy;
    for (int base = 0; base < 2; base++) {
        c.io = (struct mkt_io){ .out = c.granted.b, .cap = base ? c.cap : 100 };
        granted.ticket_type = base ? MKT_TICKET_TYPE_BASE : MKT_TICKET_TYPE_REFERENCE;
        assert_int_equal(mkt_kms_issue(c.txn, &c.env, &granted, &tpk, mkt_span(NULL, 0), &c.io),
                         base ? MKT_NEXT_SEND_PEER : MKT_NEXT_ABORT);
        assert_int_equal(mkt_kms_kept(c.txn, &reference).n, 0);
    }
}

/* Keys with SPIs of 255 octets: more than a KMS keeps for one ticket. */
static void
keys_that_are_too_many_octets_are_not_kept_in_part(void **state)
{
    static uint8_t spi[MKT_KEYS_MAX][255], in[1 << 14], out[1 << 14];
    const struct mkt_tpk tpk = { mkt_span("tpk", 3), &c.tpk.base, { 0, { NULL, 0 } } };
    struct mkt_io io = { .out = in, .cap = sizeof in };
    struct mkt_policy granted;
    struct mkt_span reference;
    (void)state;
    c.want.has_kemac = true;
    for (; c.want.n_wanted < MKT_KEYS_MAX - 2; c.want.n_wanted++) {
        spi[c.want.n_wanted][0] = c.want.n_wanted;
        c.want.wanted[c.want.n_wanted] =
            (struct mkt_want_key){ .type = MKT_KEY_TGK_SALT,
                                   .kv = MKT_KV_SPI,
                                   .key_len = 16,
                                   .salt_len = 32,
                                   .spi = mkt_span(spi[c.want.n_wanted], 255) };
    }
    assert_int_equal(mkt_initiator_request(c.initiator, &c.env, &c.want, &io), MKT_NEXT_SEND_KMS);
    assert_int_equal(mkt_kms_begin(c.txn, mkt_span(in, io.out_len), &c.io.err), MKT_OK);
    assert_int_equal(mkt_kms_verify(c.txn, &c.env, &c.psk_alice.base, c.alice, c.kms, &c.io.err),
                     MKT_OK);
    assert_int_equal(mkt_policy_grant(&granted, mkt_kms_ask(c.txn)->policy, &c.rules, c.alice,
                                      c.kms, c.env.now, &c.io.err),
                     MKT_OK);
    io = (struct mkt_io){ .out = out, .cap = sizeof out };
    assert_int_equal(mkt_kms_issue(c.txn, &c.env, &granted, &tpk, mkt_span(NULL, 0), &io),
                     MKT_NEXT_ABORT);
    assert_int_equal(io.err.rc, MKT_E_NO_SPACE);
    assert_int_equal(io.out_len, 0);
    assert_int_equal(mkt_kms_kept(c.txn, &reference).n, 0);
    assert_int_equal(reference.n, 0);
}

/* What begin says of the ticket when the Ticket Data of the RESOLVE_INIT is replaced: it looks at
 * it before any key is touched, and refuses nothing yet. */
static enum mkt_rc
begin_with(struct mkt_span ticket_data)
{
    static uint8_t out[4096];
    struct mkt_msg m;
    struct mkt_err err = { 0 };
    struct mkt_writer w = mkt_w_open(out, sizeof out);
    assert_int_equal(mkt_msg_parse(&m, mkt_span(c.resolve[0].b, c.resolve[0].n), &err), MKT_OK);
    mkt_hdr_write(&w, &m.hdr);
    for (size_t i = 0; i < m.n; i++) {
        if (m.pl[i].type == MKT_PL_TICKET)
            m.pl[i].u.ticket.ticket_data = ticket_data;
        mkt_pl_write(&w, &m.pl[i]);
    }
    assert_false(w.overflow);
    c.io.err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_kms_begin(c.txn, mkt_span(out, w.len), &c.io.err), MKT_OK);
    c.io.err = *mkt_kms_ask(c.txn)->ticket_err;
    return c.io.err.rc;
}

/* The Ticket Data with a reference of n octets, and with a KEMAC or without. */
static struct mkt_span
ticket_data(size_t n, bool kemac)
{
    static uint8_t out[512];
    static const uint8_t octets[32];
    struct mkt_payload pl[8];
    struct mkt_err err = { 0 };
    size_t n_pl;
    assert_int_equal(mkt_chain_decode(pl, 8, &n_pl, MKT_PL_THDR,
                                      ticket_of(&c.resolve[0]).u.ticket.ticket_data, &err),
                     MKT_OK);
    struct mkt_writer w = mkt_w_open(out, sizeof out);
    pl[0].u.thdr.data = mkt_span(octets, n);
    for (size_t i = 0; i < n_pl; i++) {
        mkt_pl_write(&w, &pl[i]);
        if (i == 2 && kemac)
            mkt_pl_write(&w, &(struct mkt_payload){ .type = MKT_PL_KEMAC,
                                                    .u.kemac = { MKT_ENCR_AES_CM_128,
                                                                 mkt_span(octets, 24),
                                                                 MKT_MAC_NULL,
                                                                 { NULL, 0 } } });
    }
    assert_false(w.overflow);
    return mkt_span(out, w.len);
}

static void
a_reference_has_sixteen_octets_and_no_keys_beside_it(void **state)
{
    (void)state;
    until_resolve();
    assert_int_equal(begin_with(ticket_data(16, false)), MKT_OK);
    for (size_t n = 0; n <= 32; n += 15) {
        assert_int_equal(begin_with(ticket_data(n, false)), MKT_E_TICKET);
        assert_string_equal(c.io.err.what, "Ticket Data: reference");
    }
    assert_int_equal(begin_with(ticket_data(17, false)), MKT_E_TICKET);
    assert_int_equal(begin_with(ticket_data(16, true)), MKT_E_TICKET);
    assert_string_equal(c.io.err.what, "Ticket Data: KEMAC missing, or beside a reference");
}

#define CALL_TEST(f) cmocka_unit_test_setup_teardown(f, open_a_call, close_the_call)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CALL_TEST(a_call_works_with_keys_that_stay_with_the_kms),
        CALL_TEST(all_wanted_keys_are_kept),
        CALL_TEST(a_reference_that_is_not_in_the_store_opens_nothing),
        CALL_TEST(the_keys_of_another_reference_do_not_open_it),
        CALL_TEST(damaged_keys_are_not_taken_back),
        CALL_TEST(keys_are_taken_back_for_a_verified_reference_only),
        CALL_TEST(nothing_is_kept_of_a_base_ticket_nor_after_the_transaction),
        CALL_TEST(a_kms_without_a_store_makes_no_reference_ticket),
        CALL_TEST(only_the_kms_opens_a_reference_ticket),
        CALL_TEST(without_random_octets_there_is_no_ticket),
        CALL_TEST(an_answer_that_does_not_fit_keeps_nothing),
        CALL_TEST(keys_that_are_too_many_octets_are_not_kept_in_part),
        CALL_TEST(a_reference_has_sixteen_octets_and_no_keys_beside_it),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
