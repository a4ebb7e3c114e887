/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket update and complete-update: a CSB update (RFC 6043 5.2) that we start, and the
 * answer to it. Its timestamp is spent once it is made, so the bundle is written before the
 * message: two messages with one timestamp would be under one keystream. */
#include "carrier.h"
#include "client.h"
#include "files.h"
#include "session.h"
#include "session_key.h"
#include "srtp_suite.h"

#include <mikeyticket/initiator.h>
#include <string.h>

/* Policy_nos of our updates. Offers and answers count from 0; a number that is used again takes the
 * new meaning for new sessions only. */
#define POLICY_FIRST 128
#define POLICIES_MAX 64 /* different ones in one update */
#define SESSIONS_MAX UINT8_MAX

struct updating {
    const struct cli_args *args;
    struct mkt_crypto *crypto;
    struct mkt_csb *csb;
    struct mkt_keys *keys;
    struct mkt_pl_sp sp[POLICIES_MAX];
    struct mkt_offer_cs cs[SESSIONS_MAX];
    struct mkt_update update;
};

/* --- what is offered ---------------------------------------------------------------------------
 */

/* Adds a policy with these parameters to those that cs offers. */
static bool
add_policy(struct updating *u, struct mkt_offer_cs *cs, struct mkt_span params,
           struct cli_error *err)
{
    size_t i = 0;
    if (!cli_supply_fits(u->keys, params, err))
        return false;
    while (i < u->update.n_sp &&
           (u->sp[i].params.n != params.n ||
            (params.n != 0 && memcmp(u->sp[i].params.p, params.p, params.n) != 0)))
        i++;
    if (i == POLICIES_MAX)
        return cli_fail(err, CLI_EXIT_FAILURE, "too many different policies for one update");
    if (i == u->update.n_sp) {
        u->sp[i] = (struct mkt_pl_sp){ .policy_no = (uint8_t)(POLICY_FIRST + i),
                                       .prot_type = MKT_PROT_SRTP,
                                       .params = params };
        u->update.n_sp++;
    }
    cs->policies[cs->n_policies++] = u->sp[i].policy_no; /* at most CLI_SRTP_LIST_MAX, 8 */
    return true;
}

/* Each session that stands gets a key: its SSRC and policy stay. */
static bool
change_sessions(struct updating *u, struct cli_error *err)
{
    struct mkt_session s;

    for (size_t i = 0; mkt_csb_session(u->csb, i, &s) == MKT_OK; i++) {
        struct mkt_offer_cs *cs = &u->cs[u->update.n_cs++];
        if (s.prot_type != MKT_PROT_SRTP)
            return cli_fail(err, CLI_EXIT_FAILURE, "crypto session %u is not of SRTP", s.cs_id);
        *cs = (struct mkt_offer_cs){ .cs_id = s.cs_id,
                                     .prot_type = s.prot_type,
                                     .has_ssrc = true,
                                     .ssrc = s.ssrc,
                                     .spi = cli_supply_spi(u->keys, i) };
        if (!add_policy(u, cs, s.params, err))
            return false;
    }
    return true;
}

/* The policies of sessions that are added: those of --srtp, else that of the first session, else
 * the default. */
static bool
choose_policies(struct updating *u, struct mkt_offer_cs *cs, struct cli_error *err)
{
    const char *const *names = u->args->value[CLI_OPT_SRTP];
    uint8_t prf = mkt_csb_policy(u->csb)->prf;
    struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX];
    struct mkt_session first;
    size_t n = u->args->n[CLI_OPT_SRTP];

    if (n > 1 && !u->update.answer)
        return cli_fail(err, CLI_EXIT_USAGE, "--srtp: with --no-answer nobody could choose");
    if (n == 0 && mkt_csb_session(u->csb, 0, &first) == MKT_OK && first.prot_type == MKT_PROT_SRTP)
        return add_policy(u, cs, first.params, err);
    if (!cli_srtp_policies(names, n, prf, false, sp, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!add_policy(u, cs, sp[i].params, err))
            return false;
    return true;
}

/* The highest CS ID, and the key that new sessions get unless there is a new one. */
static uint8_t
look_at_sessions(const struct updating *u, struct mkt_span *spi)
{
    struct mkt_session s;
    uint8_t highest = 0;
    for (size_t i = 0; mkt_csb_session(u->csb, i, &s) == MKT_OK; i++) {
        highest = s.cs_id > highest ? s.cs_id : highest;
        *spi = i == 0 ? s.spi : *spi;
    }
    return highest;
}

static bool
add_session(struct updating *u, struct mkt_offer_cs *cs, size_t *ssrcs, struct cli_error *err)
{
    bool ours = (cs->cs_id % 2 != 0) == mkt_csb_is_initiator(u->csb);
    uint64_t given;

    if (!choose_policies(u, cs, err))
        return false;
    cs->has_ssrc = ours || !u->update.answer;
    if (!cs->has_ssrc)
        return true;
    if (*ssrcs == u->args->n[CLI_OPT_SSRC])
        return mkt_crypto_random(NULL, (uint8_t *)&cs->ssrc, sizeof cs->ssrc) ||
               cli_fail(err, CLI_EXIT_FAILURE, "no random octets");
    if (!cli_args_uint(u->args, CLI_OPT_SSRC, (*ssrcs)++, 0, UINT32_MAX, &given, err))
        return false;
    cs->ssrc = (uint32_t)given;
    return true;
}

static bool
add_sessions(struct updating *u, struct cli_error *err)
{
    struct mkt_span spi = mkt_span(NULL, 0);
    uint8_t highest = look_at_sessions(u, &spi);
    uint64_t n = 0;
    size_t ssrcs = 0;

    if (cli_args_has(u->args, CLI_OPT_ADD_SESSIONS) &&
        !cli_args_uint(u->args, CLI_OPT_ADD_SESSIONS, 0, 1, SESSIONS_MAX - highest, &n, err))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        struct mkt_offer_cs *cs = &u->cs[u->update.n_cs++];
        *cs = (struct mkt_offer_cs){ .cs_id = (uint8_t)(highest + 1 + i),
                                     .prot_type = MKT_PROT_SRTP,
                                     .spi = u->keys->n != 0
                                                ? cli_supply_spi(u->keys, u->update.n_cs - 1)
                                                : spi };
        if (!add_session(u, cs, &ssrcs, err))
            return false;
    }
    return ssrcs == u->args->n[CLI_OPT_SSRC] ||
           cli_fail(err, CLI_EXIT_USAGE, "--ssrc: you choose it for %zu of the sessions added",
                    ssrcs);
}

static bool
check_supply(const struct updating *u, struct cli_error *err)
{
    bool initiator = mkt_csb_is_initiator(u->csb);
    if (u->keys->n == 0)
        return cli_args_has(u->args, CLI_OPT_ADD_SESSIONS) ||
               cli_fail(err, CLI_EXIT_USAGE,
                        "what is to change? --supply TYPE gives new keys, "
                        "--add-sessions N more crypto sessions");
    return (mkt_csb_policy(u->csb)->flags & (initiator ? MKT_TP_L : MKT_TP_M)) != 0 ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "--supply: the policy of the ticket forbids the %s to supply keys (no %c flag)",
                    initiator ? "initiator" : "responder", initiator ? 'L' : 'M');
}

static bool
prepare(struct updating *u, struct cli_error *err)
{
    u->update.cs = u->cs;
    u->update.sp = u->sp;
    u->update.answer = !cli_args_has(u->args, CLI_OPT_NO_ANSWER);
    if (!cli_supply_read(u->keys, u->args, mkt_csb_policy(u->csb)->prf, err) ||
        !check_supply(u, err))
        return false;
    u->update.keys = u->keys->n != 0 ? u->keys : NULL;
    return (u->keys->n == 0 || change_sessions(u, err)) && add_sessions(u, err);
}

/* --- sending -----------------------------------------------------------------------------------
 */

/* With an answer to come the crypto sessions are as they were. */
static bool
save(const struct updating *u, const char *path, struct cli_error *err)
{
    return u->update.answer ? cli_session_keep(path, u->csb, err)
                            : cli_session_save(path, u->csb, u->crypto, err);
}

static bool
send_update(struct updating *u, struct cli_error *err)
{
    const char *session = cli_args_get(u->args, CLI_OPT_SESSION);
    struct mkt_env env = cli_session_env(u->crypto);
    CLI_SCOPED_BLOB out = { 0 };
    struct cli_report r;

    if (!cli_blob_alloc(&out, MKT_MSG_MAX, err))
        return false;
    struct mkt_io io = { .out = out.p, .cap = out.cap };
    if (mkt_csb_update(u->csb, &env, &u->update, &io) != MKT_NEXT_SEND_PEER)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot make the update", &io.err);
    if (!save(u, session, err) ||
        !cli_carrier_save(cli_args_get(u->args, CLI_OPT_OUT), mkt_span(io.out, io.out_len),
                          cli_args_has(u->args, CLI_OPT_SDP), err))
        return false;
    cli_report_begin(&r, stdout, cli_args_has(u->args, CLI_OPT_JSON));
    cli_report_text(&r, "update", cli_args_get(u->args, CLI_OPT_OUT));
    cli_report_uint(&r, "octets", io.out_len);
    cli_report_bool(&r, "answer-expected", u->update.answer);
    cli_report_uint(&r, "new-keys", u->keys->n);
    cli_session_report_csb(&r, u->csb);
    cli_report_end(&r);
    return true;
}

bool
cli_cmd_update(const struct cli_args *args, struct cli_error *err)
{
    static struct updating u; /* some kilobytes */
    CLI_SCOPED_KEYS keys = { .n = 0 };
    CLI_SCOPED_LOCK lock = -1;

    u = (struct updating){ .args = args, .keys = &keys };
    bool done = cli_crypto_open(&u.crypto, err) &&
                cli_session_open(&u.csb, &lock, cli_args_get(args, CLI_OPT_SESSION), err) &&
                prepare(&u, err) && send_update(&u, err);
    mkt_csb_free(u.csb);
    mkt_crypto_free(u.crypto);
    return done;
}

/* --- the answer --------------------------------------------------------------------------------
 */

struct completing {
    struct cli_carrier carrier;
    struct mkt_crypto *crypto;
    struct mkt_csb *csb;
    struct mkt_io io;
};

static bool
refused(const struct mkt_io *io, const char *path, struct cli_error *err)
{
    char text[256];
    if (io->err.rc == MKT_E_PEER_ERROR)
        return cli_fail(err, CLI_EXIT_PEER, "the other party refused the update%s: %s (error %u)",
                        io->peer_error_authentic ? ""
                                                 : ", says a message that is not authenticated",
                        mkt_error_no_name(io->peer_error), io->peer_error);
    if (io->err.rc == MKT_E_STATE)
        return cli_fail(err, CLI_EXIT_FAILURE, "no update waits for an answer");
    mkt_err_format(&io->err, text, sizeof text);
    return cli_fail(err, CLI_EXIT_PEER, "the answer %s is refused: %s. The update stays open", path,
                    text);
}

/* The bundle is written in every case: of an answer that is refused the timestamp was seen. */
static bool
take_answer(struct completing *c, const struct cli_args *args, struct cli_error *err)
{
    const char *path = cli_args_get(args, CLI_OPT_ANSWER);
    const char *session = cli_args_get(args, CLI_OPT_SESSION);
    struct mkt_env env = cli_session_env(c->crypto);

    if (!cli_carrier_load_update(&c->carrier, path, &c->io.in, err) ||
        !cli_session_check_policies(c->csb, c->io.in, path, err))
        return false;
    if (mkt_csb_updated(c->csb, &env, &c->io) == MKT_NEXT_DONE)
        return cli_session_save(session, c->csb, c->crypto, err);
    return (!c->io.authentic || cli_session_keep(session, c->csb, err)) &&
           refused(&c->io, path, err);
}

bool
cli_cmd_complete_update(const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_LOCK lock = -1;
    struct completing c = { .crypto = NULL };
    struct cli_report r;

    bool done = cli_crypto_open(&c.crypto, err) &&
                cli_session_open(&c.csb, &lock, cli_args_get(args, CLI_OPT_SESSION), err) &&
                take_answer(&c, args, err);
    if (done) {
        cli_report_begin(&r, stdout, cli_args_has(args, CLI_OPT_JSON));
        cli_report_text(&r, "session", cli_args_get(args, CLI_OPT_SESSION));
        cli_session_report_csb(&r, c.csb);
        cli_report_end(&r);
    }
    mkt_csb_free(c.csb);
    mkt_crypto_free(c.crypto);
    cli_carrier_free(&c.carrier);
    return done;
}
