/* SPDX-License-Identifier: Apache-2.0 */
/* The media of a group call over real sockets: what is passed on, what is heard, and when we talk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "../three_party.h"
#include "group_media.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS 3
#define RTP_LEN (12 + 160)

/* One who has the keys of the group, with a socket and a stream of its own. */
struct insider {
    struct udp_sock *sock;
    struct sa at;
    struct mkt_srtp_stream *stream;
    uint32_t ssrc;
    unsigned got;
    uint8_t last[2048];
    size_t last_len;
};

struct scene {
    struct call c;
    struct mkt_offer_cs cs[SESSIONS];
    struct group_media *media;
    struct sa at; /* of it */
    struct insider bob, carol;
    unsigned talks, rosters, played;
    bool (*done)(struct scene *s);
    struct tmr poll, late;
};

static struct audio no_speech;

/* --- the loop --------------------------------------------------------------------------------- */

static void
look(void *arg)
{
    struct scene *s = arg;

    if (s->done(s))
        re_cancel();
    else
        tmr_start(&s->poll, 2, look, s);
}

static void
too_late(void *arg)
{
    (void)arg;
    re_cancel();
}

/* Runs until it is so, or for ten seconds. */
static bool
becomes(struct scene *s, bool (*done)(struct scene *s))
{
    s->done = done;
    tmr_start(&s->poll, 0, look, s);
    tmr_start(&s->late, 10000, too_late, s);
    assert_int_equal(re_main(NULL), 0);
    tmr_cancel(&s->poll);
    tmr_cancel(&s->late);
    return done(s);
}

/* --- the scene -------------------------------------------------------------------------------- */

static void
talks(uint8_t cs_id, bool begins, void *arg)
{
    struct scene *s = arg;

    assert_int_equal(cs_id, 2);
    s->talks += begins;
}

static void
roster(const struct mkt_csb *csb, struct mkt_span entries, void *arg)
{
    struct scene *s = arg;

    (void)entries;
    assert_ptr_equal(csb, s->c.at_bob[0]);
    s->rosters++;
}

static const struct group_events of_initiator = { talks, NULL, NULL };
static const struct group_events of_member = { talks, roster, NULL };

static void
arrived(const struct sa *from, struct mbuf *mb, void *arg)
{
    struct insider *i = arg;

    (void)from;
    i->got++;
    i->last_len = mbuf_get_left(mb);
    assert_true(i->last_len <= sizeof i->last);
    memcpy(i->last, mbuf_buf(mb), i->last_len);
}

static void
insider_open(struct insider *i, struct scene *s, size_t session)
{
    struct mkt_srtp policy;
    struct mkt_err err = { 0 };

    assert_int_equal(sa_set_str(&i->at, "127.0.0.1", 0), 0);
    assert_int_equal(udp_listen(&i->sock, &i->at, arrived, i), 0);
    assert_int_equal(udp_local_get(i->sock, &i->at), 0);
    assert_int_equal(mkt_srtp_policy(&policy, s->c.at_bob[0], s->c.crypto, session, &err), MKT_OK);
    i->ssrc = policy.policy.ssrc.value;
    assert_int_equal(mkt_srtp_stream_new(&i->stream, &policy, &err), MKT_OK);
}

/* A group of Alice (session 1), Bob (2) and Carol (3); the media under test is Alice's, or that of
 * another member. */
static struct scene *
opening(const struct group_events *on)
{
    struct scene *s = calloc(1, sizeof *s);

    assert_non_null(s);
    assert_true(call_open(&s->c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    s->c.want.flags = MKT_TP_D | MKT_TP_E | MKT_TP_F | MKT_TP_H | MKT_TP_I | MKT_TP_N | MKT_TP_O;
    s->c.want.has_kemac = true;
    s->c.want.n_wanted = 1;
    s->c.want.wanted[0] = (struct mkt_want_key){ .type = MKT_KEY_GTGK, .key_len = 16 };
    for (uint8_t i = 0; i < SESSIONS; i++) {
        s->cs[i] = s->c.cs;
        s->cs[i].cs_id = (uint8_t)(i + 1);
        s->cs[i].has_ssrc = true;
        s->cs[i].ssrc = 0xA0 + i;
    }
    s->c.offer.cs = s->cs;
    s->c.offer.n_cs = SESSIONS;
    assert_int_equal(call_whole(&s->c, 1), MKT_OK);
    assert_int_equal(sa_set_str(&s->at, "127.0.0.1", 0), 0);
    assert_int_equal(group_media_open(&s->media, &s->at, &no_speech, on, s), 0);
    sa_set_port(&s->at, group_media_port(s->media));
    insider_open(&s->bob, s, 1);
    insider_open(&s->carol, s, 2);
    return s;
}

static void
closing(struct scene *s)
{
    group_media_close(s->media);
    mem_deref(s->bob.sock);
    mem_deref(s->carol.sock);
    mkt_srtp_stream_free(s->bob.stream);
    mkt_srtp_stream_free(s->carol.stream);
    call_close(&s->c);
    free(s);
}

static void
hears(struct scene *s, uint8_t cs_id)
{
    const struct group_voice v = { cs_id, 0xA0U + cs_id - 1, 0, 0 };
    struct mkt_err err = { 0 };

    assert_int_equal(group_media_hear(s->media, s->c.at_bob[0], &v, s->c.crypto, &err), MKT_OK);
}

/* Alice's: Bob and Carol have joined. */
static struct scene *
everybody_in(void)
{
    struct scene *s = opening(&of_initiator);

    hears(s, 2);
    hears(s, 3);
    assert_true(group_media_send_to(s->media, 2, &s->bob.at, true));
    assert_true(group_media_send_to(s->media, 3, &s->carol.at, true));
    return s;
}

struct packet {
    int len;
    uint8_t b[RTP_LEN + SRTP_MAX_TRAILER_LEN + 4];
};

static struct packet
packet_of(struct insider *i, uint8_t type, uint16_t seq)
{
    struct packet p = { RTP_LEN, { 0x80, type, (uint8_t)(seq >> 8), (uint8_t)seq, 0, 0, 0, 1 } };

    p.b[11] = (uint8_t)i->ssrc;
    assert_int_equal(mkt_srtp_stream_protect(i->stream, p.b, &p.len), srtp_err_status_ok);
    return p;
}

static void
send_to_media(struct scene *s, const struct packet *p)
{
    struct mbuf *mb = mbuf_alloc(sizeof p->b);

    assert_non_null(mb);
    assert_int_equal(mbuf_write_mem(mb, p->b, (size_t)p->len), 0);
    mb->pos = 0;
    assert_int_equal(udp_send(s->bob.sock, &s->at, mb), 0);
    mem_deref(mb);
}

/* --- what is passed on ------------------------------------------------------------------------ */

static bool
carol_got_one(struct scene *s)
{
    return s->carol.got >= 1;
}

static void
what_a_member_says_is_passed_on_as_it_came_and_to_the_others_only(void **state)
{
    (void)state;
    struct scene *s = everybody_in();
    struct packet p = packet_of(&s->bob, 0, 100);

    send_to_media(s, &p);
    assert_true(becomes(s, carol_got_one));
    assert_int_equal(s->carol.last_len, p.len);
    assert_memory_equal(s->carol.last, p.b, (size_t)p.len);
    assert_int_equal(s->bob.got, 0);
    assert_int_equal(s->talks, 1);
    assert_int_equal(group_media_heard(s->media).n, 160);
    closing(s);
}

static void
what_is_not_authentic_or_not_new_or_not_of_a_member_is_not_passed_on(void **state)
{
    (void)state;
    struct scene *s = everybody_in();
    struct packet forged = packet_of(&s->bob, 0, 100), replayed = packet_of(&s->bob, 0, 101);
    struct packet strange = packet_of(&s->bob, 0, 102), good = packet_of(&s->bob, 0, 103);

    forged.b[20] ^= 1;
    strange.b[11] ^= 0x40; /* an SSRC that nobody has */
    send_to_media(s, &replayed);
    assert_true(becomes(s, carol_got_one));
    s->carol.got = 0;
    send_to_media(s, &forged);
    send_to_media(s, &replayed);
    send_to_media(s, &strange);
    send_to_media(s, &good);
    assert_true(becomes(s, carol_got_one));
    assert_memory_equal(s->carol.last, good.b, (size_t)good.len);
    assert_int_equal(s->carol.got, 1);
    assert_int_equal(group_media_counts(s->media).refused, 3);
    assert_int_equal(group_media_counts(s->media).forwarded, 2);
    closing(s);
}

static bool
one_is_refused(struct scene *s)
{
    return group_media_counts(s->media).refused >= 1;
}

static void
who_has_left_is_neither_heard_nor_sent_anything(void **state)
{
    (void)state;
    struct scene *s = everybody_in();
    struct packet left = packet_of(&s->bob, 0, 100);

    group_media_drop(s->media, s->c.at_bob[0], 2);
    group_media_forget(s->media, 2);
    send_to_media(s, &left);
    assert_true(becomes(s, one_is_refused));
    assert_int_equal(s->carol.got, 0);
    assert_int_equal(group_media_counts(s->media).heard, 0);
    closing(s);
}

/* --- the roster ------------------------------------------------------------------------------- */

static bool
one_roster(struct scene *s)
{
    return s->rosters >= 1;
}

static void
only_the_initiator_has_a_roster(void **state)
{
    (void)state;
    struct scene *s = opening(&of_member);
    struct packet of_bob = packet_of(&s->bob, GROUP_ROSTER_PT, 100);
    struct insider alice = { 0 };

    hears(s, 1);
    hears(s, 2);
    send_to_media(s, &of_bob);
    assert_true(becomes(s, one_is_refused));
    assert_int_equal(s->rosters, 0);
    insider_open(&alice, s, 0);
    struct packet of_alice = packet_of(&alice, GROUP_ROSTER_PT, 100);
    send_to_media(s, &of_alice);
    assert_true(becomes(s, one_roster));
    assert_int_equal(group_media_counts(s->media).refused, 1);
    mem_deref(alice.sock);
    mkt_srtp_stream_free(alice.stream);
    closing(s);
}

/* --- talking ---------------------------------------------------------------------------------- */

static bool
carol_got_three(struct scene *s)
{
    return s->carol.got >= 3;
}

static void
nothing_is_sent_without_a_key_and_before_it_is_pushed(void **state)
{
    (void)state;
    struct scene *s = everybody_in();
    struct packet marker = packet_of(&s->bob, 0, 100);
    struct mkt_err err = { 0 };

    assert_false(group_media_push(s->media)); /* no keys: no stream */
    assert_int_equal(group_media_say(s->media, s->c.at_bob[0], 1, s->c.crypto, &err), MKT_OK);
    send_to_media(s, &marker);
    assert_true(becomes(s, carol_got_one));
    assert_int_equal(group_media_counts(s->media).sent, 0);
    assert_true(group_media_push(s->media));
    assert_true(becomes(s, carol_got_three));
    assert_int_equal(s->carol.last[11], 0xA0);
    assert_false(group_media_push(s->media));
    uint64_t sent = group_media_counts(s->media).sent;
    s->carol.got = 0;
    marker = packet_of(&s->bob, 0, 101);
    send_to_media(s, &marker);
    assert_true(becomes(s, carol_got_one));
    assert_int_equal(group_media_counts(s->media).sent, sent);
    closing(s);
}

static int
begin(void **state)
{
    (void)state;
    return libre_init() == 0 && srtp_init() == srtp_err_status_ok ? 0 : -1;
}

static int
end(void **state)
{
    (void)state;
    srtp_shutdown();
    libre_close();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_member_says_is_passed_on_as_it_came_and_to_the_others_only),
        cmocka_unit_test(what_is_not_authentic_or_not_new_or_not_of_a_member_is_not_passed_on),
        cmocka_unit_test(who_has_left_is_neither_heard_nor_sent_anything),
        cmocka_unit_test(only_the_initiator_has_a_roster),
        cmocka_unit_test(nothing_is_sent_without_a_key_and_before_it_is_pushed),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("group_media", tests, begin, end);
}
