/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of two parties whose messages travel in SDP: the first offer and answer, and what comes
 * later in the call. */
#include "sdp_text.h"
#include "update_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TWO_KEYS (MKT_TP_L | MKT_TP_M)

/* One end's view of the description that is on its way. */
struct view {
    char text[8192];
    struct mkt_sdp sdp;
    uint8_t octets[4096];
    struct mkt_sdp_keys keys;
    struct mkt_msg m;
    struct mkt_sdp_map map;
};

struct sdp_call {
    struct call c;
    struct mkt_offer_cs cs[2 * MKT_SDP_MEDIA_MAX];
    struct mkt_sdp_map at_alice;
    uint32_t ssrc[MKT_SDP_MEDIA_MAX];
    struct view offer, answer;
};

static struct sdp_call *
opening(void)
{
    struct sdp_call *s = calloc(1, sizeof *s);

    assert_non_null(s);
    assert_true(call_open(&s->c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    s->c.want.flags |= TWO_KEYS;
    for (uint32_t i = 0; i < MKT_SDP_MEDIA_MAX; i++)
        s->ssrc[i] = 0xA0000000 + i;
    s->c.offer.sdp_ids = text_span("mikey");
    assert_int_equal(call_until_grant(&s->c), MKT_OK);
    return s;
}

static void
closing(struct sdp_call *s)
{
    call_close(&s->c);
    free(s);
}

/* Writes a description: `%s` in media is where the line goes. */
static void
describe(struct view *v, const char *media, const struct message *m)
{
    char value[6000], line[6100];
    struct mkt_err err = { 0 };
    size_t len;

    assert_int_equal(mkt_sdp_value(value, sizeof value, &len, mkt_span(m->b, m->n)), MKT_OK);
    snprintf(line, sizeof line, "a=key-mgmt:%s\r\n", value);
    const char *at = strstr(media, "%s");
    snprintf(v->text, sizeof v->text, HEAD "%.*s%s%s", (int)(at - media), media, line, at + 2);
    assert_int_equal(mkt_sdp_read(&v->sdp, text_span(v->text), &err), MKT_OK);
}

/* Takes the message out of it again. */
static void
take(struct view *v, enum mkt_sdp_kind kind)
{
    struct mkt_err err = { 0 };

    assert_int_equal(mkt_sdp_take(&v->keys, &v->sdp, kind, v->octets, sizeof v->octets, &err),
                     MKT_SDP_KEYS);
    assert_int_equal(v->keys.n, 1);
    assert_int_equal(mkt_msg_parse(&v->m, v->keys.found[0].message, &err), MKT_OK);
}

static void
arrives(const struct view *v, struct message *m)
{
    m->n = v->keys.found[0].message.n;
    memcpy(m->b, v->keys.found[0].message.p, m->n);
}

static void
offering(struct sdp_call *s, const char *media, int level)
{
    struct mkt_sdp plan;
    struct mkt_err err = { 0 };
    char text[2048];

    snprintf(text, sizeof text, media, "");
    assert_int_equal(mkt_sdp_read(&plan, text_span(text), &err), MKT_OK);
    assert_int_equal(mkt_sdp_offer_cs(&plan, level, &s->c.cs, s->ssrc, s->cs, 2 * MKT_SDP_MEDIA_MAX,
                                      &s->c.offer.n_cs, &s->at_alice, &err),
                     MKT_OK);
    s->c.offer.cs = s->cs;
    assert_int_equal(call_offer(&s->c), MKT_OK);
    describe(&s->offer, media, &s->c.init);
    take(&s->offer, MKT_SDP_OFFER);
}

static void
answering(struct sdp_call *s, const char *media)
{
    struct mkt_err err = { 0 };
    struct view *o = &s->offer;

    arrives(o, &s->c.init);
    assert_int_equal(
        mkt_sdp_check_ids(&o->sdp, o->keys.found[0].level, &o->m, MKT_SDP_STRICT, &err), MKT_OK);
    assert_int_equal(mkt_sdp_map_offered(&o->map, &o->sdp, o->keys.found[0].level, &o->m, &err),
                     MKT_OK);
    s->c.choice.sdp_ids = mkt_sdp_ids_of(&o->m);
    assert_int_equal(call_offered(&s->c, 0), MKT_OK);
    assert_int_equal(call_accept(&s->c, 0), MKT_OK);
    assert_int_equal(call_resolve(&s->c, 0), MKT_OK);
    assert_int_equal(call_resolved(&s->c, 0), MKT_OK);
    describe(&s->answer, media, &s->c.resp[0]);
    take(&s->answer, MKT_SDP_ANSWER);
    /* RFC4567:4.1.1-1 */
    assert_int_equal(mkt_sdp_check_answer(&o->sdp, &s->answer.sdp, &err), MKT_OK);
    arrives(&s->answer, &s->c.resp[0]);
    assert_int_equal(call_answered(&s->c, 0), MKT_OK);
    assert_true(call_agrees(&s->c, 0));
}

static void
two_m_lines_have_two_crypto_sessions_each_at_both_ends(void **state)
{
    (void)state;
    struct sdp_call *s = opening();
    struct mkt_session cs;

    offering(s, "%s" AUDIO VIDEO, MKT_SDP_SESSION);
    answering(s, "%s" AUDIO VIDEO);
    /* RFC4567:7.1-1 */
    assert_int_equal(mkt_csb_count(s->c.at_bob[0]), 4);
    assert_int_equal(s->at_alice.first[0], 1);
    assert_int_equal(s->at_alice.first[1], 3);
    assert_memory_equal(&s->at_alice, &s->offer.map, sizeof s->at_alice);
    assert_int_equal(mkt_csb_session(s->c.at_bob[0], 2, &cs), MKT_OK);
    assert_int_equal(cs.ssrc, s->ssrc[1]);
    assert_int_equal(mkt_csb_session(s->c.at_alice[0], 3, &cs), MKT_OK);
    assert_true(cs.has_ssrc); /* chosen by the Responder */
    closing(s);
}

static void
an_m_line_with_a_message_of_its_own_counts_from_one(void **state)
{
    (void)state;
    struct sdp_call *s = opening();

    offering(s, PLAIN AUDIO "%s", 1);
    assert_int_equal(s->offer.keys.found[0].level, 1);
    answering(s, PLAIN AUDIO "%s");
    assert_int_equal(s->at_alice.first[0], 0);
    assert_int_equal(s->at_alice.first[1], 1);
    assert_memory_equal(&s->at_alice, &s->offer.map, sizeof s->at_alice);
    closing(s);
}

static void
m_lines_in_the_clear_or_not_in_use_have_no_crypto_sessions(void **state)
{
    (void)state;
    struct sdp_call *s = opening();

    offering(s, "%s" PLAIN "m=audio 0 RTP/SAVP 0\r\n" AUDIO, MKT_SDP_SESSION);
    answering(s, "%s" PLAIN "m=audio 0 RTP/SAVP 0\r\n" AUDIO);
    assert_int_equal(mkt_csb_count(s->c.at_bob[0]), 2);
    assert_int_equal(s->offer.map.first[0], 0);
    assert_int_equal(s->offer.map.first[1], 0);
    assert_int_equal(s->offer.map.first[2], 5);
    closing(s);
}

/* --- bidding down ----------------------------------------------------------------------------- */

static enum mkt_rc
ids_of_offer(const char *sent, const char *media, enum mkt_sdp_strictness how)
{
    struct sdp_call *s = opening();
    struct mkt_err err = { 0 };

    s->c.offer.sdp_ids = sent != NULL ? text_span(sent) : mkt_span(NULL, 0);
    offering(s, media, MKT_SDP_SESSION);
    enum mkt_rc rc = mkt_sdp_check_ids(&s->offer.sdp, MKT_SDP_SESSION, &s->offer.m, how, &err);
    closing(s);
    return rc;
}

static void
a_list_of_protocols_that_was_cut_down_is_refused(void **state)
{
    (void)state;
    static const char other[] = "a=key-mgmt:keyp1 x\r\n";
    char both[128], first[128];

    snprintf(both, sizeof both, "%%s%s" AUDIO, other);
    snprintf(first, sizeof first, "%s%%s" AUDIO, other);
    /* RFC4567:4.1.4-1 RFC4567:4.1.4-2 RFC4567:4.1.2-2 */
    assert_int_equal(ids_of_offer("mikey;keyp1", both, MKT_SDP_STRICT), MKT_OK);
    assert_int_equal(ids_of_offer("keyp1;mikey", first, MKT_SDP_STRICT), MKT_OK);
    assert_int_equal(ids_of_offer("mikey;keyp1", "%s" AUDIO, MKT_SDP_LENIENT), MKT_E_FIELD);
    assert_int_equal(ids_of_offer("mikey;keyp1", first, MKT_SDP_LENIENT), MKT_E_FIELD);
    assert_int_equal(ids_of_offer("mikey", both, MKT_SDP_LENIENT), MKT_E_FIELD);
    assert_int_equal(ids_of_offer("Mikey", "%s" AUDIO, MKT_SDP_LENIENT), MKT_E_FIELD);
    assert_int_equal(ids_of_offer("mikex", "%s" AUDIO, MKT_SDP_LENIENT), MKT_E_FIELD);
    /* RFC4567:4.1.4-3 */
    assert_int_equal(ids_of_offer(NULL, "%s" AUDIO, MKT_SDP_STRICT), MKT_E_MISSING_PAYLOAD);
    assert_int_equal(ids_of_offer(NULL, "%s" AUDIO, MKT_SDP_LENIENT), MKT_OK);
    assert_int_equal(ids_of_offer(NULL, both, MKT_SDP_LENIENT), MKT_E_MISSING_PAYLOAD);
}

static void
a_list_taken_out_of_the_message_breaks_its_mac(void **state)
{
    (void)state;
    struct sdp_call *s = opening();
    struct mkt_err err = { 0 };

    s->c.offer.sdp_ids = text_span("mikey;keyp1");
    offering(s, "%s" AUDIO, MKT_SDP_SESSION);
    assert_int_equal(without(&s->c.init, MKT_PL_GENERAL_EXT, 0), 1);
    describe(&s->offer, "%s" AUDIO, &s->c.init);
    take(&s->offer, MKT_SDP_OFFER);
    assert_int_equal(
        mkt_sdp_check_ids(&s->offer.sdp, MKT_SDP_SESSION, &s->offer.m, MKT_SDP_LENIENT, &err),
        MKT_OK);
    assert_int_equal(call_offered(&s->c, 0), MKT_OK);
    assert_int_equal(call_accept(&s->c, 0), MKT_OK);
    assert_int_equal(call_resolve(&s->c, 0), MKT_OK);
    assert_int_equal(call_resolved(&s->c, 0), MKT_E_AUTH); /* RFC4567:7-2 */
    closing(s);
}

/* --- numbers of others ------------------------------------------------------------------------ */

static enum mkt_rc
map_of(const uint8_t *ids, size_t n, const char *media, struct mkt_sdp_map *map)
{
    struct sdp_call *s = opening();
    struct mkt_err err = { 0 };

    for (size_t i = 0; i < n; i++) {
        s->cs[i] = s->c.cs;
        s->cs[i].cs_id = ids[i];
    }
    s->c.offer.cs = s->cs;
    s->c.offer.n_cs = n;
    assert_int_equal(call_offer(&s->c), MKT_OK);
    describe(&s->offer, media, &s->c.init);
    take(&s->offer, MKT_SDP_OFFER);
    enum mkt_rc rc = mkt_sdp_map_offered(map, &s->offer.sdp, MKT_SDP_SESSION, &s->offer.m, &err);
    closing(s);
    return rc;
}

static void
takes_the_pairs_of_others_in_their_order(void **state)
{
    (void)state;
    static const uint8_t ids[] = { 7, 8, 1, 2, 254, 255 };
    struct mkt_sdp_map map;

    assert_int_equal(map_of(ids, 6, "%s" AUDIO PLAIN VIDEO AUDIO, &map), MKT_OK);
    assert_int_equal(map.first[0], 7); /* RFC4567:7.1-1 */
    assert_int_equal(map.first[1], 0);
    assert_int_equal(map.first[2], 1);
    assert_int_equal(map.first[3], 254);
}

static void
refuses_crypto_sessions_that_do_not_fit_the_m_lines(void **state)
{
    (void)state;
    static const struct {
        uint8_t ids[4];
        size_t n;
    } bad[] = { { { 1 }, 1 },       { { 1, 3 }, 2 },       { { 2, 1 }, 2 },
                { { 1, 2, 3 }, 3 }, { { 1, 2, 3, 4 }, 4 }, { { 1, 2, 4, 3 }, 4 } };
    struct mkt_sdp_map map;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(map_of(bad[i].ids, bad[i].n, "%s" AUDIO, &map), MKT_E_MAP);
    assert_int_equal(map_of(bad[0].ids, 1, "%s" AUDIO VIDEO, &map), MKT_E_MAP);
    assert_int_equal(map_of((const uint8_t[]){ 1, 2 }, 2, "%s" AUDIO VIDEO, &map), MKT_E_MAP);
    assert_int_equal(map.first[0], 0);
}

/* --- later in the call ------------------------------------------------------------------------ */

/* A re-INVITE of either side: the message of u in a description, taken at the other end. */
static enum mkt_sdp_renewal
reinvite(struct sdp_call *s, struct change *u, bool by_alice, const char *media,
         struct mkt_span last)
{
    struct mkt_sdp agreed = s->offer.sdp;
    struct mkt_err err = { 0 };

    describe(&s->offer, media, &u->init);
    take(&s->offer, MKT_SDP_OFFER);
    assert_int_equal(mkt_sdp_check_reoffer(&agreed, &s->offer.sdp, &err), MKT_OK);
    arrives(&s->offer, &u->init);
    return mkt_sdp_renewal(&s->offer.m, end_of(&s->c, !by_alice), last);
}

static struct sdp_call *
standing(void)
{
    struct sdp_call *s = opening();

    offering(s, "%s" AUDIO, MKT_SDP_SESSION);
    answering(s, "%s" AUDIO);
    return s;
}

static void
rekeys_by_a_later_offer_of_either_side(void **state)
{
    (void)state;
    for (unsigned by_alice = 0; by_alice < 2; by_alice++) {
        struct sdp_call *s = standing();
        struct mkt_secret before = csb_digest(&s->c, s->c.at_alice[0]), after;
        struct change u;

        change_init(&u, &s->c, 2, 0xEE);
        assert_int_equal(change_send(&s->c, &u, by_alice), MKT_OK);
        /* RFC4567:4.1.2-7 */
        assert_int_equal(reinvite(s, &u, by_alice, "%s" AUDIO, mkt_span(NULL, 0)), MKT_SDP_UPDATE);
        assert_int_equal(change_offered(&s->c, &u, by_alice), MKT_OK);
        assert_int_equal(change_accept(&s->c, &u, by_alice), MKT_OK);
        describe(&s->answer, "%s" AUDIO, &u.resp);
        take(&s->answer, MKT_SDP_ANSWER);
        arrives(&s->answer, &u.resp);
        assert_int_equal(change_answered(&s->c, &u, by_alice), MKT_OK);
        assert_true(call_agrees(&s->c, 0));
        after = csb_digest(&s->c, s->c.at_alice[0]);
        assert_memory_not_equal(before.b, after.b, before.n);
        closing(s);
    }
}

static void
a_new_m_line_gets_new_crypto_sessions_and_the_old_ones_stay(void **state)
{
    (void)state;
    struct sdp_call *s = standing();
    struct mkt_sdp_map lost = { .first = { 9 } };
    struct mkt_err err = { 0 };
    struct change u;

    change_init(&u, &s->c, 4, 0);
    u.cs[0].cs_id = 3;
    assert_int_equal(change_send(&s->c, &u, true), MKT_OK);
    assert_int_equal(reinvite(s, &u, true, "%s" AUDIO VIDEO, mkt_span(NULL, 0)), MKT_SDP_UPDATE);
    assert_int_equal(
        mkt_sdp_map_updated(&s->offer.map, &s->offer.sdp, MKT_SDP_SESSION, s->c.at_bob[0], &err),
        MKT_E_MAP); /* the update is not in effect */
    assert_int_equal(s->offer.map.first[1], 0);
    assert_int_equal(change_offered(&s->c, &u, true), MKT_OK);
    assert_int_equal(change_accept(&s->c, &u, true), MKT_OK);
    assert_int_equal(change_answered(&s->c, &u, true), MKT_OK);
    err = (struct mkt_err){ 0 };
    assert_int_equal(
        mkt_sdp_map_updated(&s->offer.map, &s->offer.sdp, MKT_SDP_SESSION, s->c.at_bob[0], &err),
        MKT_OK);
    assert_int_equal(s->offer.map.first[0], 1);
    assert_int_equal(s->offer.map.first[1], 3);
    assert_int_equal(
        mkt_sdp_map_updated(&lost, &s->offer.sdp, MKT_SDP_SESSION, s->c.at_bob[0], &err),
        MKT_E_MAP);
    closing(s);
}

static void
tells_an_update_from_a_repetition_a_new_ticket_and_a_stranger(void **state)
{
    (void)state;
    struct sdp_call *s = standing(), *other = standing();
    struct message first = s->c.init;
    struct change u;

    u.init = first;
    assert_int_equal(reinvite(s, &u, true, "%s" AUDIO, mkt_span(first.b, first.n)), MKT_SDP_SAME);
    assert_int_equal(reinvite(s, &u, true, "%s" AUDIO, mkt_span(first.b, first.n - 1)),
                     MKT_SDP_TICKET);
    change_init(&u, &other->c, 2, 0xEE);
    assert_int_equal(change_send(&other->c, &u, true), MKT_OK);
    u.init.b[7] ^= 1; /* CSB ID: that of these calls is the same */
    assert_int_equal(reinvite(s, &u, true, "%s" AUDIO, mkt_span(first.b, first.n)), MKT_SDP_ALIEN);
    closing(s);
    closing(other);
}

static void
a_replayed_update_changes_nothing(void **state)
{
    (void)state;
    struct sdp_call *s = standing();
    struct change u;

    change_init(&u, &s->c, 2, 0xEE);
    assert_int_equal(change_send(&s->c, &u, true), MKT_OK);
    assert_int_equal(change_offered(&s->c, &u, true), MKT_OK);
    assert_int_equal(change_accept(&s->c, &u, true), MKT_OK);
    assert_int_equal(reinvite(s, &u, true, "%s" AUDIO, mkt_span(NULL, 0)), MKT_SDP_UPDATE);
    assert_int_equal(change_offered(&s->c, &u, true), MKT_E_REPLAY); /* RFC4567:8-1 */
    closing(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_m_lines_have_two_crypto_sessions_each_at_both_ends),
        cmocka_unit_test(an_m_line_with_a_message_of_its_own_counts_from_one),
        cmocka_unit_test(m_lines_in_the_clear_or_not_in_use_have_no_crypto_sessions),
        cmocka_unit_test(a_list_of_protocols_that_was_cut_down_is_refused),
        cmocka_unit_test(a_list_taken_out_of_the_message_breaks_its_mac),
        cmocka_unit_test(takes_the_pairs_of_others_in_their_order),
        cmocka_unit_test(refuses_crypto_sessions_that_do_not_fit_the_m_lines),
        cmocka_unit_test(rekeys_by_a_later_offer_of_either_side),
        cmocka_unit_test(a_new_m_line_gets_new_crypto_sessions_and_the_old_ones_stay),
        cmocka_unit_test(tells_an_update_from_a_repetition_a_new_ticket_and_a_stranger),
        cmocka_unit_test(a_replayed_update_changes_nothing),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
