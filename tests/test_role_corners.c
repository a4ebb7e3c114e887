/* SPDX-License-Identifier: Apache-2.0 */
/* Roles in the corners that no call of honest parties visits: steps out of order, answers that were
 * not asked for, generators that repeat themselves, and keys behind handles that do not fit. */
#include "corners.h"

#include "role/initiator.h"

/* --- out of order ------------------------------------------------------------------------------
 */

static void
without_an_offer_there_is_nothing_to_answer(void **state)
{
    struct mkt_csb *csb = NULL;
    (void)state;
    c.resp[0].n = c.resolved[0].n = 0;
    assert_int_equal(call_answered(&c, 0), MKT_E_STATE);
    assert_int_equal(mkt_initiator_established(c.initiator, &c.env, &csb, &err), MKT_E_STATE);
    assert_null(csb);
    assert_int_equal(call_accept(&c, 0), MKT_E_STATE);
    assert_int_equal(call_resolved(&c, 0), MKT_E_STATE);
    assert_null(mkt_responder_offer_unverified(c.responder[0]));
    assert_null(mkt_responder_policy_unverified(c.responder[0]));
    until_offered();
    assert_non_null(mkt_responder_offer_unverified(c.responder[0]));
    assert_int_equal(mkt_responder_policy_unverified(c.responder[0])->n_responders, RESPONDERS);
    /* this offer wants an answer (F) */
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_initiator_established(c.initiator, &c.env, &csb, &err), MKT_E_STATE);
    assert_null(csb);
}

static void
a_ticket_is_passed_on_only_once_it_is_verified(void **state)
{
    const struct mkt_credential between = { .self = c.bob[0], .kms = c.kms, .psk = &c.tpk.base };
    struct mkt_kms_forward *f = mkt_kms_forward_new(&between);
    struct mkt_io io = { .out = c.resolved[0].b, .cap = c.cap };
    const struct mkt_span none = { NULL, 0 };
    (void)state;
    assert_non_null(f);
    until_offered();
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(mkt_kms_forwarded(f, c.txn, &c.env, none, &io), MKT_NEXT_ABORT);
    assert_int_equal(io.err.rc, MKT_E_STATE);
    io.err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_kms_begin(c.txn, mkt_span(c.request.b, c.request.n), &err), MKT_OK);
    assert_int_equal(mkt_kms_verify(c.txn, &c.env, &c.psk_alice.base, c.alice, c.kms, &err),
                     MKT_OK);
    /* a request is not passed on at all */
    assert_int_equal(mkt_kms_forwarded(f, c.txn, &c.env, none, &io), MKT_NEXT_ABORT);
    assert_int_equal(io.err.rc, MKT_E_STATE);
    mkt_kms_forward_free(f);
}

static void
a_wish_names_a_responder_and_leaves_k_to_the_kms(void **state)
{
    (void)state;
    c.want.flags |= MKT_TP_K;
    assert_int_equal(call_request(&c), MKT_E_TP_PARAM); /* RFC6043:6.10 */
    c.want.flags &= (uint16_t)~MKT_TP_K;
    c.want.n_responders = 0;
    assert_int_equal(call_request(&c), MKT_E_TP_PARAM);
    assert_int_equal(c.request.n, 0);
    c.want.n_responders = 1;
    assert_int_equal(call_request(&c), MKT_OK);
}

/* --- answers -----------------------------------------------------------------------------------
 */

static void
an_answer_that_was_not_asked_for_gives_no_csb(void **state)
{
    struct mkt_csb *csb = NULL;
    (void)state;
    whole_call();
    struct message resp = c.resp[0];
    c.want.flags &= (uint16_t) ~(MKT_TP_F | MKT_TP_G | MKT_TP_I);
    assert_int_equal(call_until_offer(&c), MKT_OK);
    memcpy(resp.b + 4, c.init.b + 4, 4); /* CSB ID */
    struct mkt_io io = { .in = mkt_span(resp.b, resp.n) };
    assert_int_equal(mkt_initiator_answered(c.initiator, &c.env, &io, &csb), MKT_NEXT_ABORT);
    assert_int_equal(io.err.rc, MKT_E_STATE);
    assert_string_equal(io.err.what, "TRANSFER_RESP although F = 0");
    assert_null(csb);
    assert_int_equal(mkt_initiator_established(c.initiator, &c.env, &csb, &err), MKT_OK);
    mkt_csb_free(csb);
}

static void
a_name_that_is_longer_than_any_is_not_taken_for_a_responder(void **state)
{
    static const uint8_t name[MKT_ID_MAX + 1] = "sip:";
    struct message honest;
    (void)state;
    whole_call();
    honest = c.resp[0];
    for (size_t n = MKT_ID_MAX; n <= MKT_ID_MAX + 1; n++) {
        c.resp[0] = honest;
        struct mkt_msg *m = parsed(&c.resp[0]);
        payload(m, MKT_PL_IDR, MKT_IDR_R)->u.idr.data = mkt_span(name, n);
        rewrite(&c.resp[0], m);
        assert_int_equal(call_answered(&c, 0), n > MKT_ID_MAX ? MKT_E_IDENTITY : MKT_E_AUTH);
        assert_null(c.at_alice[0]);
    }
    c.resp[0] = honest;
    assert_int_equal(call_answered(&c, 0), MKT_OK);
}

/* --- offers taken up again ---------------------------------------------------------------------
 */

static enum mkt_rc
resume(struct mkt_grant *grant, const struct message *m)
{
    err = (struct mkt_err){ 0 };
    return mkt_initiator_resume(c.initiator, &c.env, grant, mkt_span(m->b, m->n), c.bob[0], &err);
}

static void
only_ones_own_offer_under_that_ticket_is_taken_up_again(void **state)
{
    struct message altered;
    (void)state;
    until_offered();
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    altered = c.init;
    altered.n--;
    assert_int_equal(resume(c.grant, &altered), MKT_E_TRUNCATED);
    altered = c.init;
    assert_int_equal(without(&altered, MKT_PL_RANDR, MKT_RANDR_I), 1);
    assert_int_equal(resume(c.grant, &altered), MKT_E_MISSING_PAYLOAD);
    assert_int_equal(resume(c.grant, &c.resolve[0]), MKT_E_DATA_TYPE);
    c.grant->policy.prf = MKT_PRF_HMAC_SHA_256;
    assert_int_equal(resume(c.grant, &c.init), MKT_E_DATA_TYPE);
    c.grant->policy.prf = MKT_PRF_MIKEY_1;
    altered = c.init;
    altered.b[altered.n - 1] ^= 1;
    assert_int_equal(resume(c.grant, &altered), MKT_E_AUTH);
    assert_int_equal(resume(c.grant, &c.init), MKT_OK);
    assert_int_equal(call_resolve(&c, 0), MKT_OK);
    assert_int_equal(call_resolved(&c, 0), MKT_OK);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
}

/* RFC6043:9: members of a group get the CSB ID and RANDRi of a TRANSFER_INIT, and of nothing else.
 */
static void
a_group_offer_repeats_a_transfer_init(void **state)
{
    static const uint8_t rand[MKT_SECRET_MAX + 1];
    struct message first, other;
    (void)state;
    until_offered();
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    first = c.init;
    c.offer.group_of = mkt_span(c.resolve[0].b, c.resolve[0].n);
    assert_int_equal(call_offer(&c), MKT_E_ARGUMENT);
    other = first;
    assert_int_equal(without(&other, MKT_PL_RANDR, MKT_RANDR_I), 1);
    c.offer.group_of = mkt_span(other.b, other.n);
    assert_int_equal(call_offer(&c), MKT_E_ARGUMENT);
    struct mkt_msg *m = parsed(&first);
    payload(m, MKT_PL_RANDR, MKT_RANDR_I)->u.randr.rand = mkt_span(rand, sizeof rand);
    rewrite(&other, m);
    c.offer.group_of = mkt_span(other.b, other.n);
    assert_int_equal(call_offer(&c), MKT_E_ARGUMENT);
    assert_int_equal(c.init.n, 0);
    c.offer.group_of = mkt_span(first.b, first.n);
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_memory_equal(c.init.b + 4, first.b + 4, 4);
}

/* --- generators --------------------------------------------------------------------------------
 */

static bool
always_the_same(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    memset(out, 0x5C, n);
    return true;
}

static void
a_generator_that_repeats_itself_is_no_generator(void **state)
{
    bool (*const good)(void *, uint8_t *, size_t) = c.env.random;
    const uint32_t taken[] = { 1, 0x5C5C5C5C };
    (void)state;
    c.want.flags |= MKT_TP_J;
    assert_int_equal(call_until_grant(&c), MKT_OK);
    c.env.random = always_the_same;
    c.offer.csb_ids = taken;
    c.offer.n_csb_ids = 2;
    assert_int_equal(call_offer(&c), MKT_E_RANDOM); /* RFC3830:6.1: we have that CSB ID already */
    c.offer.n_csb_ids = 1;
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_int_equal(call_offer(&c), MKT_E_RANDOM); /* nor is the last one used again */
    c.env.random = good;
    assert_int_equal(call_offer(&c), MKT_OK);
}

static void
no_key_gets_the_spi_that_another_was_promised(void **state)
{
    bool (*const good)(void *, uint8_t *, size_t) = c.env.random;
    (void)state;
    c.want.has_kemac = true;
    c.want.n_wanted = 1;
    c.want.wanted[0] = (struct mkt_want_key){
        .type = MKT_KEY_TGK, .kv = MKT_KV_SPI, .key_len = 16, .spi = mkt_span("\x5C\x5C\x5C\x5C", 4)
    };
    assert_int_equal(call_request(&c), MKT_OK);
    c.env.random = always_the_same; /* the MPK would get it */
    assert_int_equal(call_issue(&c), MKT_E_RANDOM);
    c.env.random = good;
    assert_int_equal(call_issue(&c), MKT_OK);
    assert_int_equal(call_granted(&c), MKT_OK);
    const struct mkt_keys *keys = mkt_grant_keys(c.grant);
    assert_int_equal(keys->k[2].spi_len, 4);
    assert_memory_equal(keys->k[2].spi, "\x5C\x5C\x5C\x5C", 4);
}

static void
a_wished_spi_of_no_octets_is_granted_as_it_is(void **state)
{
    (void)state;
    c.want.has_kemac = true;
    c.want.n_wanted = 1;
    c.want.wanted[0] =
        (struct mkt_want_key){ .type = MKT_KEY_TGK, .kv = MKT_KV_SPI, .key_len = 16 };
    assert_int_equal(call_until_grant(&c), MKT_OK);
    assert_int_equal(mkt_grant_keys(c.grant)->k[2].spi_len, 0);
}

/* --- keys behind handles -----------------------------------------------------------------------
 */

/* Says another length than the key in memory behind it has. */
struct liar {
    struct mkt_inkey base;
    const struct mkt_inkey *key;
};

static bool
liars_prf(const struct mkt_inkey *k, struct mkt_crypto *crypto, uint8_t prf_func,
          const struct mkt_derive *d, size_t n)
{
    const struct liar *l = (const struct liar *)k;
    return l->key->prf(l->key, crypto, prf_func, d, n);
}

static enum mkt_rc
request_with(const struct mkt_inkey *psk, uint8_t prf)
{
    const struct mkt_credential cred = { .self = c.alice, .kms = c.kms, .psk = psk };
    c.want.prf = prf;
    mkt_initiator_free(c.initiator);
    c.initiator = mkt_initiator_new(&cred);
    assert_non_null(c.initiator);
    return call_request(&c);
}

static void
a_psk_fits_the_suite_and_the_rand_that_goes_with_it(void **state)
{
    struct liar psk = { { 15, liars_prf }, &c.psk_alice.base };
    (void)state;
    assert_int_equal(request_with(NULL, MKT_PRF_MIKEY_1), MKT_E_WEAK_KEY);
    assert_int_equal(request_with(&psk.base, MKT_PRF_MIKEY_1), MKT_E_WEAK_KEY);
    psk.base.len = MKT_SECRET_MAX + 1; /* no RANDR is that long */
    assert_int_equal(request_with(&psk.base, MKT_PRF_MIKEY_1), MKT_E_ARGUMENT);
    assert_int_equal(c.request.n, 0);
    psk.base.len = 16;
    assert_int_equal(request_with(&psk.base, MKT_PRF_MIKEY_1), MKT_OK);
    assert_int_equal(call_issue(&c), MKT_OK);
}

/* The client says that its 16 octets are 32. The KMS knows better. */
static void
a_kms_takes_no_psk_shorter_than_the_suite(void **state)
{
    const struct liar psk = { { 32, liars_prf }, &c.psk_alice.base };
    (void)state;
    assert_int_equal(request_with(&psk.base, MKT_PRF_HMAC_SHA_256), MKT_OK);
    assert_int_equal(call_issue(&c), MKT_E_SUITE_MIX); /* RFC6043:12.1 */
}

/* A request with a granted policy, for KMSs that issue otherwise than they should. */
static enum mkt_rc
issue(struct mkt_policy *granted, const struct mkt_inkey *key)
{
    const struct mkt_tpk tpk = { mkt_span("tpk", 3), key, { 0, { NULL, 0 } } };
    c.io = (struct mkt_io){ .out = c.granted.b, .cap = c.cap };
    enum mkt_next next = mkt_kms_issue(c.txn, &c.env, granted, &tpk, mkt_span(NULL, 0), &c.io);
    assert_int_equal(next == MKT_NEXT_SEND_PEER, c.io.out_len != 0);
    return next == MKT_NEXT_SEND_PEER ? MKT_OK : c.io.err.rc;
}

static void
a_kms_issues_what_it_verified_under_a_tpk_that_fits(void **state)
{
    struct mkt_policy granted;
    struct liar tpk = { { 15, liars_prf }, &c.tpk.base };
    (void)state;
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(mkt_kms_begin(c.txn, mkt_span(c.request.b, c.request.n), &err), MKT_OK);
    assert_int_equal(mkt_policy_grant(&granted, mkt_kms_ask(c.txn)->policy, &c.rules, c.alice,
                                      c.kms, c.env.now, &err),
                     MKT_OK);
    assert_int_equal(issue(&granted, &c.tpk.base), MKT_E_STATE); /* not verified */
    assert_int_equal(mkt_kms_verify(c.txn, &c.env, &c.psk_alice.base, c.alice, c.kms, &err),
                     MKT_OK);
    assert_int_equal(issue(&granted, &tpk.base), MKT_E_ARGUMENT);
    tpk.base.len = MKT_SECRET_MAX + 1;
    assert_int_equal(issue(&granted, &tpk.base), MKT_E_ARGUMENT);
    granted.prf = MKT_PRF_HMAC_SHA_256;
    assert_int_equal(issue(&granted, &c.tpk.base), MKT_E_ARGUMENT);
    granted.prf = MKT_PRF_MIKEY_1;
    granted.version = 9;
    assert_int_equal(issue(&granted, &c.tpk.base), MKT_E_TICKET_TYPE);
    granted.version = 1;
    const uint8_t n = granted.n_wanted;
    granted.n_wanted = MKT_KEYS_MAX - 1;
    assert_int_equal(issue(&granted, &c.tpk.base), MKT_E_ARGUMENT);
    granted.n_wanted = n;
    assert_int_equal(issue(&granted, &c.tpk.base), MKT_OK);
    /* and a request is neither opened nor resolved */
    const struct mkt_tpk ours = { mkt_span("tpk", 3), &c.tpk.base, { 0, { NULL, 0 } } };
    assert_int_equal(mkt_kms_open(c.txn, &c.env, &ours, &err), MKT_E_STATE);
}

static void
a_kms_vouches_for_no_name_longer_than_any(void **state)
{
    static const uint8_t name[MKT_ID_MAX + 1] = "sip:";
    struct mkt_identity who = { MKT_ID_URI, mkt_span(name, sizeof name) };
    const struct mkt_tpk ours = { mkt_span("tpk", 3), &c.tpk.base, { 0, { NULL, 0 } } };
    struct mkt_io io = { .out = c.resolved[0].b, .cap = c.cap };
    struct mkt_policy any;
    (void)state;
    until_offered();
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(mkt_kms_begin(c.txn, mkt_span(c.resolve[0].b, c.resolve[0].n), &err), MKT_OK);
    assert_int_equal(mkt_kms_verify(c.txn, &c.env, &c.psk_bob[0].base, c.bob[0], c.kms, &err),
                     MKT_OK);
    any = *mkt_kms_ask(c.txn)->policy;
    assert_int_equal(issue(&any, &c.tpk.base), MKT_E_STATE); /* a RESOLVE_INIT gets no ticket */
    assert_int_equal(mkt_kms_open(c.txn, &c.env, &ours, &err), MKT_OK);
    assert_int_equal(mkt_kms_resolve(c.txn, &c.env, who, &io), MKT_NEXT_ABORT);
    assert_int_equal(io.err.rc, MKT_E_IDENTITY);
    assert_int_equal(io.out_len, 0);
    io.err = (struct mkt_err){ 0 };
    who.data.n = MKT_ID_MAX;
    assert_int_equal(mkt_kms_resolve(c.txn, &c.env, who, &io), MKT_NEXT_SEND_PEER);
}

/* --- offers that do not agree with themselves ---------------------------------------------------
 */

static void
vi_of_another_algorithm_than_v_is_refused_at_once(void **state)
{
    static const uint8_t mac[32];
    uint8_t data[128];
    (void)state;
    until_offered();
    struct mkt_msg *m = parsed(&c.init);
    struct mkt_writer w = mkt_w_open(data, sizeof data);
    w.slot = mkt_w_reserve(&w, 1);
    for (int i = 0; i < 2; i++)
        mkt_pl_write(&w, &(struct mkt_payload){
                             .type = MKT_PL_V,
                             .u.v = { MKT_MAC_HMAC_SHA_256_256, mkt_span(mac, sizeof mac) } });
    payload(m, MKT_PL_TICKET, 0)->u.ticket.initiator_data = mkt_span(data, w.len);
    rewrite(&c.init, m);
    assert_int_equal(call_offered(&c, 0), MKT_E_AUTH);
    assert_string_equal(c.io.err.what, "Vi differs from V");
}

/* A type that nobody knows passes through to the KMS, if it needs nothing of us (O). With the TPK
 * in our hands there is no KMS to ask. */
static void
a_responder_opens_base_tickets_only(void **state)
{
    (void)state;
    call_mode(&c, 2);
    assert_int_equal(call_until_offer(&c), MKT_OK);
    struct message honest = c.init;
    struct mkt_msg *m = parsed(&c.init);
    payload(m, MKT_PL_TICKET, 0)->u.ticket.version = 2;
    rewrite(&c.init, m);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_opened(&c, 0, &c.tpk_bob.base), MKT_E_TICKET_TYPE);
    assert_null(c.at_bob[0]);
    c.init = honest;
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_opened(&c, 0, &c.tpk_bob.base), MKT_OK);
}

static void
a_clock_that_nobody_trusts_is_not_compared(void **state)
{
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    c.env.now += (uint64_t)(SKEW_S + 2) << 32;
    assert_int_equal(call_offered(&c, 0), MKT_E_STALE);
    struct mkt_io io = { .in = mkt_span(c.init.b, c.init.n) };
    assert_int_equal(mkt_responder_offered(c.responder[0], &c.env, 0, &io), MKT_NEXT_ASK);
}

/* --- what is left out, and what is not the same -------------------------------------------------
 */

static void
a_responder_need_not_say_who_it_is(void **state)
{
    const struct mkt_credential cred = {
        .self = c.bob[0], .kms = c.kms, .psk = &c.psk_bob[0].base, .omit = MKT_OMIT_SELF
    };
    (void)state;
    mkt_responder_free(c.responder[0]);
    c.responder[0] = mkt_responder_new(&cred);
    assert_non_null(c.responder[0]);
    c.want.flags &= (uint16_t)~MKT_TP_I; /* with key forking it must: the KMS says it for him */
    whole_call();
    assert_null(mkt_msg_find(parsed(&c.resp[0]), MKT_PL_IDR, MKT_IDR_R));
    assert_true(mkt_identity_equal(mkt_csb_peer(c.at_alice[0]), c.bob[0]));
    c.want.flags |= MKT_TP_I;
    whole_call();
    assert_non_null(mkt_msg_find(parsed(&c.resp[0]), MKT_PL_IDR, MKT_IDR_R));
}

static void
nobody_answers(struct mkt_policy *granted)
{
    granted->n_responders = 0;
}

static void
a_granted_policy_without_a_responder_is_refused(void **state)
{
    (void)state;
    assert_int_equal(call_request(&c), MKT_OK);
    c.twist = nobody_answers;
    assert_int_equal(call_issue(&c), MKT_OK);
    assert_int_equal(call_granted(&c), MKT_E_TP_PARAM);
    assert_string_equal(c.io.err.what, "TP Data: no IDRr");
    assert_null(c.grant);
}

/* Two tickets of one KMS for the same people are as long as each other. */
static void
what_was_resolved_is_of_one_ticket_and_no_other(void **state)
{
    struct mkt_resolution *res;
    struct mkt_payload ticket;
    size_t used;
    (void)state;
    c.want.flags |= MKT_TP_J;
    whole_call();
    res = mkt_responder_take_resolution(c.responder[0]);
    assert_non_null(res);
    for (int other = 0; other < 2; other++) {
        assert_int_equal(
            mkt_payload_decode(&ticket, MKT_PL_TICKET, mkt_grant_ticket(c.grant), &used, &err),
            MKT_OK);
        assert_int_equal(mkt_resolution_is_of(res, &ticket), !other);
        assert_int_equal(call_offer(&c), MKT_OK);
        assert_int_equal(call_offered(&c, 0), MKT_OK);
        assert_int_equal(call_reused(&c, 0, res), other ? MKT_E_TICKET : MKT_OK);
        assert_int_equal(call_until_grant(&c), MKT_OK);
    }
    mkt_resolution_free(res);
}

/* docs/formats: a magic of 8 octets, the length of TICKET in 3, TICKET. */
static void
a_resolution_file_holds_one_whole_ticket_without_initiator_data(void **state)
{
    static uint8_t file[8192], bad[8192];
    struct mkt_resolution *res, *back = NULL;
    size_t n;
    (void)state;
    whole_call();
    res = mkt_responder_take_resolution(c.responder[0]);
    assert_non_null(res);
    assert_int_equal(mkt_resolution_export(res, file, sizeof file, &n), MKT_OK);
    mkt_resolution_free(res);
    const size_t len = (size_t)file[9] << 8 | file[10], end = 11 + len;
    for (int how = 0; how < 3; how++) {
        memcpy(bad, file, end);
        bad[end] = 0; /* an octet more */
        memcpy(bad + end + 1, file + end, n - end);
        bad[9] = (uint8_t)((len + 1) >> 8);
        bad[10] = (uint8_t)(len + 1);
        if (how == 1)
            bad[end - 1] = 1; /* which is Initiator Data */
        if (how == 2) {
            memcpy(bad, file, n);
            bad[11 + 5] |= 0xFE; /* PRF Func */
        }
        err = (struct mkt_err){ 0 };
        assert_int_equal(mkt_resolution_import(&back, mkt_span(bad, n + (how != 2)), &err),
                         MKT_E_FIELD);
        assert_null(back);
    }
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_resolution_import(&back, mkt_span(file, n), &err), MKT_OK);
    mkt_resolution_free(back);
}

static void
a_ticket_that_says_a_thing_twice_is_not_opened(void **state)
{
    struct mkt_payload pl[16];
    uint8_t data[1024];
    size_t n;
    (void)state;
    call_mode(&c, 2);
    assert_int_equal(call_until_offer(&c), MKT_OK);
    struct mkt_msg *m = parsed(&c.init);
    struct mkt_payload *ticket = payload(m, MKT_PL_TICKET, 0);
    assert_int_equal(mkt_chain_decode(pl, 16, &n, MKT_PL_THDR, ticket->u.ticket.ticket_data, &err),
                     MKT_OK);
    struct mkt_writer w = mkt_w_open(data, sizeof data);
    for (size_t i = 0; i < n; i++) {
        mkt_pl_write(&w, &pl[i]);
        if (pl[i].type == MKT_PL_T)
            mkt_pl_write(&w, &pl[i]);
    }
    assert_false(w.overflow);
    ticket->u.ticket.ticket_data = mkt_span(data, w.len);
    rewrite(&c.init, m);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_opened(&c, 0, &c.tpk_bob.base), MKT_E_TICKET);
    assert_string_equal(c.io.err.what, "Ticket Data: a payload twice");
    assert_null(c.at_bob[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_an_offer_there_is_nothing_to_answer),
        TEST(a_ticket_is_passed_on_only_once_it_is_verified),
        TEST(a_wish_names_a_responder_and_leaves_k_to_the_kms),
        TEST(an_answer_that_was_not_asked_for_gives_no_csb),
        TEST(a_name_that_is_longer_than_any_is_not_taken_for_a_responder),
        TEST(only_ones_own_offer_under_that_ticket_is_taken_up_again),
        TEST(a_group_offer_repeats_a_transfer_init),
        TEST(a_generator_that_repeats_itself_is_no_generator),
        TEST(no_key_gets_the_spi_that_another_was_promised),
        TEST(a_wished_spi_of_no_octets_is_granted_as_it_is),
        TEST(a_psk_fits_the_suite_and_the_rand_that_goes_with_it),
        TEST(a_kms_takes_no_psk_shorter_than_the_suite),
        TEST(a_kms_issues_what_it_verified_under_a_tpk_that_fits),
        TEST(a_kms_vouches_for_no_name_longer_than_any),
        TEST(vi_of_another_algorithm_than_v_is_refused_at_once),
        TEST(a_responder_opens_base_tickets_only),
        TEST(a_clock_that_nobody_trusts_is_not_compared),
        TEST(a_responder_need_not_say_who_it_is),
        TEST(a_granted_policy_without_a_responder_is_refused),
        TEST(what_was_resolved_is_of_one_ticket_and_no_other),
        TEST(a_resolution_file_holds_one_whole_ticket_without_initiator_data),
        TEST(a_ticket_that_says_a_thing_twice_is_not_opened),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
