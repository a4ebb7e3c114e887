/* SPDX-License-Identifier: Apache-2.0 */
/* SDES by hand of media/sdes: which lines we write, which of theirs we take. What passes through
 * libre's SDP and SIP is not wiped there; it has been seen by the whole signalling anyway. */
#include "sdes.h"

#include "srtp_suite.h"

#include <string.h>

/* What is offered without --srtp: the strongest first (RFC 4568 5.1.1), and last what everybody has
 * to know (6.2). */
static const char *const common[] = { "AEAD_AES_256_GCM", "AES_256_CM_HMAC_SHA1_80",
                                      "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80" };

void
phone_sdes_wipe(struct phone_sdes *s)
{
    mkt_wipe(s, sizeof *s);
}

static const char *
name_of(const struct cli_args *args, size_t i)
{
    size_t n = args->n[CLI_OPT_SRTP];
    if (n == 0)
        return i < CLI_COUNT(common) ? common[i] : NULL;
    return i < n ? args->value[CLI_OPT_SRTP][i] : NULL;
}

static const struct mkt_sdes_suite *
suite_of(const char *name)
{
    const struct cli_srtp_suite *s = cli_srtp_find(name);
    return s != NULL ? mkt_sdes_suite(mkt_span(s->name, strlen(s->name))) : NULL;
}

static bool
is_wanted(const struct cli_args *args, const struct mkt_sdes_suite *suite)
{
    const char *name;
    for (size_t i = 0; (name = name_of(args, i)) != NULL; i++)
        if (suite_of(name) == suite)
            return true;
    return false;
}

static bool
describe(struct phone_description *d, const struct mkt_sdes *sdes)
{
    char value[MKT_SDES_VALUE_MAX];
    size_t len;
    bool ok = mkt_sdes_write(value, sizeof value, &len, sdes) == MKT_OK &&
              sdp_media_set_lattr(d->audio, false, "crypto", "%s", value) == 0;

    mkt_wipe(value, sizeof value);
    return ok;
}

/* --- the caller ------------------------------------------------------------------------------- */

bool
phone_sdes_offer(struct phone_sdes *s, const struct cli_args *args, struct phone_description *d,
                 struct cli_error *err)
{
    const char *name;

    sdp_media_del_lattr(d->audio, "crypto");
    for (s->n = 0; s->n < CLI_COUNT(s->ours) && (name = name_of(args, s->n)) != NULL; s->n++) {
        const struct mkt_sdes_suite *suite = suite_of(name);
        if (suite == NULL)
            return cli_fail(err, CLI_EXIT_USAGE, "--srtp %.40s: expected one of %s", name,
                            cli_srtp_list());
        if (mkt_sdes_make(&s->ours[s->n], (uint32_t)s->n + 1, suite) != MKT_OK ||
            !describe(d, &s->ours[s->n]))
            return cli_fail(err, CLI_EXIT_FAILURE, "no keys of SDES can be made");
    }
    return true;
}

bool
phone_sdes_is(struct mkt_span text)
{
    struct mkt_err err = { 0 };
    struct mkt_sdp sdp;
    return mkt_sdp_read(&sdp, text, &err) == MKT_OK && sdp.n_lines == 0;
}

/* The lines of the other party, one by one. */
struct looking {
    const struct cli_args *args; /* NULL: any suite */
    const struct mkt_sdes *same; /* NULL: whatever is readable */
    struct mkt_sdes found;
    size_t n; /* lines in all */
};

static bool
look_at(const char *name, const char *value, void *arg)
{
    struct looking *l = arg;
    struct mkt_err err = { 0 };
    struct mkt_sdes s;

    (void)name;
    l->n++;
    if (l->found.tag != 0 ||
        mkt_sdes_read(&s, mkt_span(value != NULL ? value : "", value != NULL ? strlen(value) : 0),
                      &err) != MKT_OK)
        return false;
    if ((l->args == NULL || is_wanted(l->args, s.suite)) &&
        (l->same == NULL || mkt_sdes_same(l->same, &s)))
        l->found = s;
    mkt_sdes_wipe(&s);
    return false; /* go on */
}

static void
look(struct looking *l, const struct phone_description *d)
{
    (void)sdp_media_rattr_apply(d->audio, "crypto", look_at, l);
}

/* An answer is one line, with a tag of ours and its suite (RFC 4568 5.1.2). */
bool
phone_sdes_answered(struct phone_sdes *of, const struct phone_sdes *offered,
                    const struct mkt_sdp *offer, struct mkt_span text,
                    const struct phone_description *d, struct cli_error *err)
{
    struct mkt_sdp plain = *offer, answer;
    struct mkt_err why = { 0 };
    struct looking l = { .n = 0 };

    plain.n_lines = 0;
    if (mkt_sdp_read(&answer, text, &why) != MKT_OK ||
        mkt_sdp_check_answer(&plain, &answer, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_PEER, "the answer is refused", &why);
    look(&l, d);
    size_t i = l.found.tag - 1;
    bool ok =
        l.n == 1 && l.found.tag != 0 && i < offered->n && offered->ours[i].suite == l.found.suite;
    if (ok) {
        of->n = 1;
        of->ours[0] = offered->ours[i];
        of->theirs = l.found;
    }
    mkt_sdes_wipe(&l.found);
    return ok || cli_fail(err, CLI_EXIT_PEER,
                          l.n == 0 ? "the answer has no keys"
                                   : "the answer is refused: a=crypto is not one of those offered");
}

/* --- the callee ------------------------------------------------------------------------------- */

bool
phone_sdes_choose(struct phone_sdes *s, const struct cli_args *args, struct phone_description *d,
                  struct cli_error *err)
{
    struct looking l = { .args = args };

    look(&l, d);
    if (l.found.tag == 0)
        return cli_fail(err, CLI_EXIT_PEER,
                        l.n == 0 ? "the offer is refused: calls without keys are not taken"
                                 : "the offer is refused: no a=crypto that is taken here");
    s->n = 1;
    s->theirs = l.found;
    mkt_sdes_wipe(&l.found);
    return (mkt_sdes_make(&s->ours[0], s->theirs.tag, s->theirs.suite) == MKT_OK &&
            describe(d, &s->ours[0])) ||
           cli_fail(err, CLI_EXIT_FAILURE, "no keys of SDES can be made");
}

bool
phone_sdes_again(const struct phone_sdes *s, const struct phone_description *d)
{
    struct looking l = { .same = &s->theirs };

    look(&l, d);
    bool same = l.found.tag != 0;
    mkt_sdes_wipe(&l.found);
    return same;
}

enum mkt_rc
phone_sdes_look_again(const struct phone_sdes *s, const struct mkt_sdp *agreed,
                      struct mkt_span text, struct phone_description *d, struct mbuf *mb,
                      struct sa *to, struct mkt_err *why)
{
    struct mkt_sdp sdp;

    if (mkt_sdp_read(&sdp, text, why) != MKT_OK ||
        mkt_sdp_check_reoffer(agreed, &sdp, why) != MKT_OK)
        return why->rc;
    if (sdp.n_lines == 0 && phone_description_read(d, mb, true, to) && phone_sdes_again(s, d))
        return MKT_OK;
    return mkt_fail(why, MKT_E_FIELD, 0, "later offer: other keys of SDES", "RFC 4568 5.1.4");
}

void
phone_sdes_settled(const struct phone_sdes *s, struct phone_description *d)
{
    sdp_media_del_lattr(d->audio, "crypto");
    if (s != NULL)
        (void)describe(d, &s->ours[0]);
}

bool
phone_sdes_forbidden(const struct phone_description *d)
{
    return sdp_media_rattr(d->audio, "crypto") != NULL;
}

/* --- media ------------------------------------------------------------------------------------ */

static enum mkt_rc
policy_of(struct mkt_srtp *policy, const struct mkt_sdes *sdes, struct mkt_err *err)
{
    const struct cli_srtp_suite *suite = cli_srtp_find(sdes->suite->name);
    const struct mkt_session cs = { .prot_type = MKT_PROT_SRTP,
                                    .has_ssrc = true,
                                    .ssrc = rand_u32(),
                                    .spi = mkt_span(sdes->mki, sdes->mki_len),
                                    .params = mkt_span(suite->params, suite->n) };
    return mkt_srtp_policy_from(policy, &cs, &sdes->key, &sdes->salt, err);
}

bool
phone_sdes_keyed(struct phone_call *call, const struct phone_sdes *s, bool bid_down,
                 struct phone_stream **stream, struct cli_error *err)
{
    struct mkt_srtp send, receive;
    struct mkt_err why = { 0 };

    if (policy_of(&send, &s->ours[0], &why) != MKT_OK ||
        policy_of(&receive, &s->theirs, &why) != MKT_OK ||
        phone_stream_open_sdes(stream, call->media, &send, &receive, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_PEER, "no media with these keys", &why);
    phone_say("keying", "SDES: whoever has seen the signalling can listen");
    if (bid_down)
        phone_say("bid-down",
                  "MIKEY-TICKET was offered, and is not in the answer: the other phone does "
                  "not know it, or somebody took it out");
    phone_say("peer", "not known");
    phone_say("vouched-for", "no: by nobody");
    phone_say("suite", "%s", s->theirs.suite->name);
    return true;
}

void
phone_sdes_say_rekey(struct phone_call *call, const struct phone_sdes *s)
{
    uint64_t ours = s->ours[0].lifetime, theirs = s->theirs.lifetime;
    uint64_t packets = ours != 0 && (theirs == 0 || ours < theirs) ? ours : theirs;

    phone_call_limit(call, packets);
}
