/* SPDX-License-Identifier: Apache-2.0 */
/* Key management in SDP as text: what is read, what is taken, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "../fuzz/sdp.h"
#include "sdp_text.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct mkt_sdp
reading(const char *text)
{
    struct mkt_err err = { 0 };
    struct mkt_sdp sdp;

    assert_int_equal(mkt_sdp_read(&sdp, text_span(text), &err), MKT_OK);
    return sdp;
}

static uint8_t buf[4 * MKT_MSG_MAX];

static enum mkt_sdp_next
take(const char *text, enum mkt_sdp_kind kind, struct mkt_sdp_keys *keys, struct mkt_err *err)
{
    struct mkt_sdp sdp = reading(text);

    *err = (struct mkt_err){ 0 };
    return mkt_sdp_take(keys, &sdp, kind, buf, sizeof buf, err);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void
reads_lines_of_both_levels(void **state)
{
    (void)state;
    struct mkt_sdp sdp = reading(HEAD KEY(INIT) AUDIO VIDEO
                                 "a=key-mgmt: keyp1 x y z\r\n" KEY(PSK) "m=text 0 RTP/SAVP 98\r\n");

    assert_int_equal(sdp.n_media, 3);
    assert_int_equal(sdp.media[0].profile, MKT_SDP_SAVP);
    assert_int_equal(sdp.media[1].profile, MKT_SDP_SAVPF);
    assert_true(sdp.media[1].used);
    assert_false(sdp.media[2].used);
    assert_int_equal(sdp.n_lines, 3); /* RFC4567:3.1-2 */
    assert_int_equal(sdp.line[0].level, MKT_SDP_SESSION);
    assert_int_equal(sdp.line[1].level, 1);
    assert_memory_equal(sdp.line[1].prot.p, "keyp1", 5);
    assert_int_equal(sdp.line[1].data.n, strlen("x y z"));
    /* RFC4567:3.1-3 */
    assert_int_equal(mkt_sdp_level_of(&sdp, 0), MKT_SDP_SESSION);
    assert_int_equal(mkt_sdp_level_of(&sdp, 1), 1);
    assert_int_equal(mkt_sdp_level_of(&sdp, 7), MKT_SDP_SESSION);
}

static void
gives_the_same_when_lines_are_added_one_by_one(void **state)
{
    (void)state;
    struct mkt_sdp whole = reading(KEY(INIT) AUDIO KEY(PSK)), parts;
    struct mkt_err err = { 0 };

    mkt_sdp_begin(&parts);
    assert_int_equal(mkt_sdp_add_line(&parts, text_span("mikey " INIT), &err), MKT_OK);
    assert_int_equal(mkt_sdp_add_media(&parts, text_span("RTP/SAVP"), 4000, &err), MKT_OK);
    assert_int_equal(mkt_sdp_add_line(&parts, text_span("mikey " PSK), &err), MKT_OK);
    assert_int_equal(parts.n_media, whole.n_media);
    assert_int_equal(parts.n_lines, whole.n_lines);
    for (size_t i = 0; i < whole.n_lines; i++) {
        assert_int_equal(parts.line[i].level, whole.line[i].level);
        assert_int_equal(parts.line[i].data.n, whole.line[i].data.n);
        assert_memory_equal(parts.line[i].data.p, whole.line[i].data.p, whole.line[i].data.n);
    }
    assert_memory_equal(parts.media, whole.media, sizeof whole.media[0]);
}

static void
passes_over_attributes_that_only_begin_alike(void **state)
{
    (void)state;
    struct mkt_sdp sdp = reading(HEAD "a=key-mgmt-x:mikey ?\r\na=key-mgmts\r\n" AUDIO);
    assert_int_equal(sdp.n_lines, 0);
}

static void
refuses_lines_that_are_not_of_the_grammar(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
    } bad[] = { /* RFC4567:3.1-1 */
                { "a=key-mgmt\r\n", 0 },
                { "a=key-mgmt:\r\n", 11 },
                { "a=key-mgmt:mikey\r\n", 16 },
                { "a=key-mgmt:mikey \r\n", 16 },
                { "a=key-mgmt:  mikey AQ4A\r\n", 12 },
                { "a=key-mgmt:mi-key AQ4A\r\n", 13 },
                { "a=key-mgmt:mikey\tAQ4A\r\n", 16 },
                { "v=0\r\nm=audio RTP/SAVP 0\r\n", 5 },
                { "m=audio 4000\r\n", 0 },
                { "m=audio 4000 RTP/SAVP\r\n", 0 },
                { "m=audio 65536 RTP/SAVP 0\r\n", 0 },
                { "m=audio 4000/ RTP/SAVP 0\r\n", 0 },
                { "m=audio -1 RTP/SAVP 0\r\n", 0 },
                { "m=audio 0000001 RTP/SAVP 0\r\n", 0 }
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mkt_err err = { 0 };
        struct mkt_sdp sdp;
        assert_int_equal(mkt_sdp_read(&sdp, text_span(bad[i].text), &err), MKT_E_FIELD);
        assert_int_equal(err.offset, bad[i].at);
        assert_non_null(err.ref);
    }
}

static void
refuses_more_lines_than_it_has_room_for(void **state)
{
    (void)state;
    static char text[MKT_SDP_TEXT_MAX + 1];
    struct mkt_err err = { 0 };
    struct mkt_sdp sdp;
    size_t n = 0;

    for (unsigned i = 0; i <= MKT_SDP_LINES_MAX; i++)
        n += (size_t)sprintf(text + n, KEY(INIT));
    assert_int_equal(mkt_sdp_read(&sdp, mkt_span(text, n), &err), MKT_E_TOO_MANY);
    for (n = 0; n < (MKT_SDP_MEDIA_MAX + 1) * strlen(AUDIO);)
        n += (size_t)sprintf(text + n, AUDIO);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_sdp_read(&sdp, mkt_span(text, n), &err), MKT_E_TOO_MANY);
    assert_int_equal(err.offset, MKT_SDP_MEDIA_MAX * strlen(AUDIO));
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_sdp_read(&sdp, mkt_span(text, sizeof text), &err), MKT_E_TOO_MANY);
}

/* --- taking ----------------------------------------------------------------------------------- */

static void
takes_the_message_of_each_level_in_use(void **state)
{
    (void)state;
    struct mkt_sdp_keys keys;
    struct mkt_err err;

    assert_int_equal(take(HEAD KEY(INIT) AUDIO VIDEO, MKT_SDP_OFFER, &keys, &err), MKT_SDP_KEYS);
    assert_int_equal(keys.n, 1); /* RFC4567:4.1.1-2 */
    assert_int_equal(keys.found[0].level, MKT_SDP_SESSION);
    assert_int_equal(keys.found[0].message.n, 9);
    assert_memory_equal(keys.found[0].message.p, "\1\16\0\0\0\0\0\0\1", 9);
    assert_int_equal(take(KEY(INIT) AUDIO VIDEO KEY(INIT), MKT_SDP_OFFER, &keys, &err),
                     MKT_SDP_KEYS);
    assert_int_equal(keys.n, 2); /* RFC4567:4.1.2-4 */
    assert_int_equal(keys.found[1].level, 1);
    assert_int_equal(take(AUDIO KEY(RESP) VIDEO KEY(ERR_), MKT_SDP_ANSWER, &keys, &err),
                     MKT_SDP_KEYS);
    assert_int_equal(keys.n, 2);
}

static void
takes_the_first_line_it_understands_in_the_order_of_preference(void **state)
{
    (void)state;
    struct mkt_sdp_keys keys;
    struct mkt_err err;

    /* RFC4567:4.1.2-5 */
    assert_int_equal(take("a=key-mgmt:keyp1 ?\r\n" KEY(PSK) KEY(INIT) KEY("AQ4BAAAAAAAB") AUDIO,
                          MKT_SDP_OFFER, &keys, &err),
                     MKT_SDP_KEYS);
    assert_int_equal(keys.n, 1);
    assert_int_equal(keys.found[0].line, 2); /* RFC4567:7-1 */
    assert_int_equal(take("a=key-mgmt:MIKEY " INIT "\r\n" AUDIO, MKT_SDP_OFFER, &keys, &err),
                     MKT_SDP_REFUSE); /* RFC4567:3-2 */
}

static void
says_what_a_description_without_keys_means(void **state)
{
    (void)state;
    struct mkt_sdp_keys keys;
    struct mkt_err err;

    assert_int_equal(take(HEAD AUDIO VIDEO, MKT_SDP_OFFER, &keys, &err), MKT_SDP_KEEP);
    assert_int_equal(take(HEAD PLAIN, MKT_SDP_OFFER, &keys, &err), MKT_SDP_CLEAR);
    assert_int_equal(take(HEAD "m=audio 0 RTP/SAVP 0\r\n", MKT_SDP_OFFER, &keys, &err),
                     MKT_SDP_CLEAR);
}

static void
refuses_what_is_broken_foreign_or_oversized(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum mkt_rc rc;
    } bad[] = {
        { KEY("AQ4A?AAA") AUDIO, MKT_E_FIELD },
        { KEY("AQ4") AUDIO, MKT_E_FIELD },
        { KEY("AQ4A AAA") AUDIO, MKT_E_FIELD },
        { KEY(PSK) AUDIO, MKT_E_DATA_TYPE },
        { KEY("AQ==") AUDIO, MKT_E_DATA_TYPE },
        { KEY("Ag4A") AUDIO, MKT_E_DATA_TYPE },
        { KEY(RESP) AUDIO, MKT_E_DATA_TYPE },
        { "a=key-mgmt:keyp1 AQ4A\r\n" AUDIO, MKT_E_DATA_TYPE },
        { KEY(INIT) PLAIN, MKT_E_FIELD },
        { PLAIN KEY(INIT), MKT_E_FIELD },
        { AUDIO PLAIN KEY(INIT), MKT_E_FIELD },
        { AUDIO KEY(INIT) VIDEO, MKT_E_FIELD },
        { KEY(INIT) "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n", MKT_E_FIELD },
        { KEY(INIT) "m=audio 4000 rtp/savp 0\r\n", MKT_E_FIELD },
        { KEY(INIT) "m=audio 4000 RTP/SAVPFX 0\r\n", MKT_E_FIELD },
        { KEY(INIT), MKT_E_FIELD },
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mkt_sdp_keys keys;
        struct mkt_err err;
        /* RFC4567:4.1.1-3 */
        assert_int_equal(take(bad[i].text, MKT_SDP_OFFER, &keys, &err), MKT_SDP_REFUSE);
        assert_int_equal(err.rc, bad[i].rc);
    }
}

static void
refuses_a_message_longer_than_the_room_for_it(void **state)
{
    (void)state;
    static char text[2 * MKT_MSG_MAX];
    static uint8_t octets[MKT_MSG_MAX + 1];
    struct mkt_sdp sdp = reading(HEAD KEY(INIT) AUDIO);
    struct mkt_sdp_keys keys;
    struct mkt_err err = { 0 };
    size_t n = (size_t)sprintf(text, "a=key-mgmt:mikey AQ4A"), len;

    assert_int_equal(mkt_sdp_take(&keys, &sdp, MKT_SDP_OFFER, buf, 8, &err), MKT_SDP_REFUSE);
    assert_int_equal(err.rc, MKT_E_NO_SPACE);
    memset(text + n, 'A', MKT_MSG_MAX / 3 * 4);
    n += MKT_MSG_MAX / 3 * 4;
    n += (size_t)sprintf(text + n, "\r\n" AUDIO);
    assert_int_equal(take(text, MKT_SDP_OFFER, &keys, &err), MKT_SDP_REFUSE);
    assert_int_equal(err.rc, MKT_E_NO_SPACE);
    assert_int_equal(mkt_sdp_value(text, sizeof text, &len, mkt_span(octets, MKT_MSG_MAX + 1)),
                     MKT_E_NO_SPACE);
    assert_int_equal(mkt_sdp_value(text, mkt_sdp_value_len(9), &len, mkt_span(octets, 9)),
                     MKT_E_NO_SPACE);
}

static void
points_at_the_character_that_is_wrong(void **state)
{
    (void)state;
    static const char text[] = HEAD KEY("AQ4AA?AA") AUDIO;
    struct mkt_sdp_keys keys;
    struct mkt_err err;

    assert_int_equal(take(text, MKT_SDP_OFFER, &keys, &err), MKT_SDP_REFUSE);
    assert_int_equal(text[err.offset], '?');
}

static void
decodes_one_text_for_each_message_only(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n; /* 0: refused */
    } texts[] = { { "AQ==", 1 },     { "AQI=", 2 }, { "AQID", 3 },  { "+/+/", 3 }, { "AR==", 0 },
                  { "AQJ=", 0 },     { "A===", 0 }, { "====", 0 },  { "A=ID", 0 }, { "AQ=D", 0 },
                  { "AQ==AQID", 0 }, { "", 0 },     { "AQID\n", 0 } };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct mkt_err err = { 0 };
        size_t n;
        enum mkt_rc rc = mkt_sdp_decode(text_span(texts[i].text), buf, sizeof buf, &n, &err);
        assert_int_equal(rc, texts[i].n > 0 ? MKT_OK : MKT_E_FIELD); /* RFC4567:3-1 */
        assert_int_equal(n, texts[i].n);
    }
}

/* --- answers and later offers ----------------------------------------------------------------- */

static enum mkt_rc
answer_to(const char *offer, const char *answer)
{
    struct mkt_sdp o = reading(offer), a = reading(answer);
    struct mkt_err err = { 0 };

    return mkt_sdp_check_answer(&o, &a, &err);
}

static void
accepts_an_answer_that_keeps_to_the_offer(void **state)
{
    (void)state;
    assert_int_equal(answer_to(KEY(INIT) AUDIO VIDEO, KEY(RESP) AUDIO VIDEO), MKT_OK);
    assert_int_equal(answer_to(KEY(INIT) AUDIO VIDEO, KEY(RESP) AUDIO "m=video 0 RTP/SAVP 0\r\n"),
                     MKT_OK);
    assert_int_equal(answer_to(AUDIO KEY(INIT) VIDEO KEY(INIT), AUDIO KEY(RESP) VIDEO KEY(RESP)),
                     MKT_OK);
    assert_int_equal(answer_to("a=key-mgmt:keyp1 x\r\n" KEY(INIT) AUDIO, KEY(RESP) AUDIO), MKT_OK);
    assert_int_equal(answer_to(AUDIO, AUDIO), MKT_OK);
}

static void
refuses_an_answer_that_changes_the_policy(void **state)
{
    (void)state;
    static const char *const bad[] = {
        /* RFC4567:4.1.2-6, RFC 3264 6 */
        AUDIO VIDEO,
        KEY(RESP) PLAIN VIDEO,
        KEY(RESP) "m=audio 4000 RTP/SAVPF 0\r\n" VIDEO,
        KEY(RESP) AUDIO,
        KEY(RESP) AUDIO VIDEO PLAIN,
        AUDIO KEY(RESP) VIDEO KEY(RESP),
        KEY(RESP) AUDIO KEY(RESP) VIDEO,
        KEY(RESP) KEY(RESP) AUDIO VIDEO,
        "a=key-mgmt:keyp1 x\r\n" AUDIO VIDEO,
        KEY(RESP) "a=key-mgmt:keyp1 x\r\n" AUDIO VIDEO,
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(answer_to(KEY(INIT) AUDIO VIDEO, bad[i]), MKT_E_FIELD);
    assert_int_equal(answer_to(KEY(INIT) "m=audio 0 RTP/SAVP 0\r\n", KEY(RESP) AUDIO), MKT_E_FIELD);
}

static void
never_goes_from_srtp_to_rtp_in_a_later_offer(void **state)
{
    (void)state;
    static const struct {
        const char *offer;
        enum mkt_rc rc;
    } later[] = { { KEY(INIT) AUDIO PLAIN, MKT_OK },
                  { AUDIO PLAIN, MKT_OK },
                  { "m=audio 0 RTP/SAVP 0\r\n" PLAIN VIDEO, MKT_OK },
                  { VIDEO PLAIN, MKT_OK },
                  { PLAIN PLAIN, MKT_E_FIELD },
                  { "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n" PLAIN, MKT_E_FIELD },
                  { AUDIO, MKT_E_FIELD } };
    struct mkt_sdp agreed = reading(KEY(INIT) AUDIO PLAIN);

    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        struct mkt_sdp offer = reading(later[i].offer);
        struct mkt_err err = { 0 };
        assert_int_equal(mkt_sdp_check_reoffer(&agreed, &offer, &err), later[i].rc);
    }
}

/* --- refusals --------------------------------------------------------------------------------- */

static void
says_488_and_no_more_than_the_other_party_may_know(void **state)
{
    (void)state;
    struct mkt_sdp_refusal r = mkt_sdp_refusal(MKT_E_SP_PARAM, false);

    assert_int_equal(r.status, 488); /* RFC4567:4.1.2-3 */
    assert_int_equal(r.n, 2);
    assert_int_equal(r.warning[0].code, 306);
    assert_int_equal(r.warning[1].code, 399);
    r = mkt_sdp_refusal(MKT_E_TRUNCATED, false);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.warning[0].code, 399);
    r = mkt_sdp_refusal(MKT_E_AUTH, true);
    assert_int_equal(r.warning[0].code, 306); /* RFC4567:4.1.2-9 */
    assert_string_equal(r.warning[1].text, mkt_sdp_refusal(MKT_E_IDENTITY, false).warning[0].text);
    assert_string_equal(r.warning[1].text, mkt_sdp_refusal(MKT_E_REPLAY, false).warning[0].text);
    for (unsigned rc = MKT_OK + 1; rc < MKT_RC_COUNT; rc++) {
        r = mkt_sdp_refusal(rc, rc % 2 == 0);
        for (size_t i = 0; i < r.n; i++)
            assert_null(strpbrk(r.warning[i].text, "\"\\\r\n")); /* goes into a quoted string */
    }
}

/* --- any octets ------------------------------------------------------------------------------- */

static void
holds_for_descriptions_that_were_damaged(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        HEAD KEY(INIT) AUDIO VIDEO KEY(INIT),
        "a=key-mgmt: mikey " RESP "\na=key-mgmt:keyp1 x\nm=audio 4000/2 RTP/SAVPF 0 8\n",
        "prot=mikey; uri=\"rtsp://a.example/b\"; data=\"AQ4A\", prot=keyp1;data=\"\"",
    };
    static const char with[] = "\r\n =:;\",/0AR\0\377";
    static char text[512];

    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        size_t n = strlen(seeds[i]);
        for (size_t at = 0; at <= n; at++) {
            memcpy(text, seeds[i], n);
            assert_null(mkt_sdp_holds(mkt_span(text, at)));
            for (size_t k = 0; at < n && k < sizeof with - 1; k++) {
                text[at] = with[k];
                assert_null(mkt_sdp_holds(mkt_span(text, n)));
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_lines_of_both_levels),
        cmocka_unit_test(gives_the_same_when_lines_are_added_one_by_one),
        cmocka_unit_test(passes_over_attributes_that_only_begin_alike),
        cmocka_unit_test(refuses_lines_that_are_not_of_the_grammar),
        cmocka_unit_test(refuses_more_lines_than_it_has_room_for),
        cmocka_unit_test(takes_the_message_of_each_level_in_use),
        cmocka_unit_test(takes_the_first_line_it_understands_in_the_order_of_preference),
        cmocka_unit_test(says_what_a_description_without_keys_means),
        cmocka_unit_test(refuses_what_is_broken_foreign_or_oversized),
        cmocka_unit_test(refuses_a_message_longer_than_the_room_for_it),
        cmocka_unit_test(points_at_the_character_that_is_wrong),
        cmocka_unit_test(decodes_one_text_for_each_message_only),
        cmocka_unit_test(accepts_an_answer_that_keeps_to_the_offer),
        cmocka_unit_test(refuses_an_answer_that_changes_the_policy),
        cmocka_unit_test(never_goes_from_srtp_to_rtp_in_a_later_offer),
        cmocka_unit_test(says_488_and_no_more_than_the_other_party_may_know),
        cmocka_unit_test(holds_for_descriptions_that_were_damaged),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
