/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket answer: what can be refused is refused before anybody is asked (RFC 6043 4.2.2.2);
 * then the ticket is opened: by what was kept of it (5.3), by a key of our own (modes 2 and 4), or
 * by the KMS (4.2.3); and only when everything verifies an answer and keys. The keys are written
 * first: an answer that was sent without them would be a call with silence. */
#include "cache.h"
#include "carrier.h"
#include "csb_ids.h"
#include "kms.h"
#include "session.h"
#include "session_key.h"
#include "srtp_suite.h"
#include "tpk.h"

#include <mikeyticket/responder.h>
#include <string.h>

#define SKEW_S 300 /* how far the clock of the offer may be off */

struct answering {
    struct cli_client *client;
    const struct cli_args *args;
    struct cli_carrier carrier;
    struct mkt_responder *responder;
    struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX], own_sp[CLI_SRTP_LIST_MAX]; /* taken, sent along */
    size_t n_sp;
    struct mkt_choose_cs cs[UINT8_MAX];
    struct mkt_choice choice;
    struct mkt_keys *keys; /* supplied */
    struct cli_spis spis;
    struct cli_tpk *tpk; /* path NULL: no --tpk */
    struct cli_cache *cache;
    struct mkt_resolution *kept; /* of this ticket, from the cache */
    struct mkt_csb *csb;
    enum mkt_next next;    /* what the last step said */
    const char *opened_by; /* for the report */
};

static enum mkt_next
make(void *ctx, struct mkt_io *io)
{
    struct answering *a = ctx;
    struct mkt_env env = cli_client_env(a->client);
    return mkt_responder_accept(a->responder, &env, &a->choice, io);
}

static enum mkt_next
take(void *ctx, struct mkt_io *io)
{
    struct answering *a = ctx;
    struct mkt_env env = cli_client_env(a->client);
    a->next = mkt_responder_resolved(a->responder, &env, io, &a->csb);
    return a->next;
}

static bool
write_message(const struct answering *a, struct mkt_span message, struct cli_error *err)
{
    bool sdp = cli_args_has(a->args, CLI_OPT_SDP) || a->carrier.kind == CLI_CARRIER_SDP;
    return cli_carrier_save(cli_args_get(a->args, CLI_OPT_OUT), message, sdp, err);
}

/* Leaves an Error message for the other party in --out. What goes wrong here is only said: the
 * refusal itself is the result. */
static void
write_refusal(struct answering *a, enum mkt_rc rc, struct mkt_io *io)
{
    struct cli_error quiet = { 0 }, *kept = a->client->err;
    struct mkt_env env = cli_client_env(a->client);
    bool show_sp = rc == MKT_E_SP || rc == MKT_E_SP_PARAM; /* RFC 6043 5.4 */
    memset(&io->err, 0, sizeof io->err);
    a->client->err = &quiet; /* of a timestamp */
    enum mkt_next next =
        mkt_responder_refuse(a->responder, &env, rc, a->sp, show_sp ? a->n_sp : 0, io);
    a->client->err = kept;
    if (next == MKT_NEXT_SEND_PEER && quiet.code == CLI_EXIT_OK &&
        write_message(a, mkt_span(io->out, io->out_len), &quiet))
        cli_say("an Error message for the other party is in %s",
                cli_args_get(a->args, CLI_OPT_OUT));
    else
        cli_say("no Error message could be written for the other party");
}

/* What the other party may not know of us: --srtp takes more than the level of the ticket. */
static const char *
hint_of(enum mkt_rc rc)
{
    if (rc == MKT_E_STALE)
        return ". Ask for a new offer, or set the clocks of both machines";
    if (rc == MKT_E_SP_PARAM)
        return ". decode shows what it offers; --srtp names the suites to take";
    return "";
}

static bool
refuse(struct answering *a, struct mkt_io *io, const struct mkt_err *why, struct cli_error *err)
{
    char text[256];
    mkt_err_format(why, text, sizeof text);
    write_refusal(a, why->rc, io);
    return cli_fail(err, CLI_EXIT_PEER, "the offer is refused: %s%s", text, hint_of(why->rc));
}

/* RFC 4567 4.1.4: a list of protocols that was cut down on its way shows here. */
static bool
check_protocols(const struct answering *a, const struct mkt_msg *offer, struct mkt_err *why)
{
    static const char ref[] = "RFC 4567 4.1.4";
    const char *listed = a->carrier.protocols;
    size_t at = 0;
    struct mkt_span ids = cli_sdp_ids(offer, &at);

    if (a->carrier.kind != CLI_CARRIER_SDP)
        return true; /* no list to compare with */
    if (ids.p == NULL && strchr(listed, ';') != NULL)
        return mkt_fail(why, MKT_E_MISSING_PAYLOAD, 0,
                        "SDP IDs, although the SDP offers several protocols", ref) == MKT_OK;
    if (ids.p != NULL && !cli_sdp_ids_equal(ids, mkt_span(listed, strlen(listed))))
        return mkt_fail(why, MKT_E_FIELD, at,
                        "SDP IDs differ from the protocols that the SDP offers", ref) == MKT_OK;
    return true;
}

/* The even sessions are the directions we send in. */
static bool
choose_ssrcs(struct answering *a, struct cli_error *err)
{
    size_t next = 0;
    for (size_t i = 0; i < a->choice.n_cs && next < a->args->n[CLI_OPT_SSRC]; i++) {
        uint64_t ssrc;
        if (a->cs[i].prot_type != MKT_PROT_SRTP || a->cs[i].cs_id % 2 != 0)
            continue;
        if (!cli_args_uint(a->args, CLI_OPT_SSRC, next++, 0, UINT32_MAX, &ssrc, err))
            return false;
        a->cs[i].has_ssrc = true;
        a->cs[i].ssrc = (uint32_t)ssrc;
    }
    return next == a->args->n[CLI_OPT_SSRC] ||
           cli_fail(err, CLI_EXIT_USAGE, "--ssrc: you send in %zu of the sessions offered", next);
}

/* A session that was offered without a policy has one of ours, which the answer must define. */
static void
send_policies(struct answering *a, const struct mkt_msg *offer)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_sp; i++)
        for (size_t k = 0; k < a->choice.n_cs; k++)
            if (a->cs[k].policy_no == a->sp[i].policy_no &&
                !cli_srtp_defines(offer, a->cs[k].policy_no)) {
                a->own_sp[n++] = a->sp[i];
                break;
            }
    a->choice.sp = a->own_sp;
    a->choice.n_sp = n;
}

/* The parameters that a session will have: those of the offer, or ours. */
static struct mkt_span
chosen_params(const struct answering *a, const struct mkt_msg *offer, uint8_t policy_no)
{
    for (size_t i = 0; i < offer->n; i++)
        if (offer->pl[i].type == MKT_PL_SP && offer->pl[i].u.sp.policy_no == policy_no &&
            offer->pl[i].u.sp.prot_type == MKT_PROT_SRTP)
            return offer->pl[i].u.sp.params;
    for (size_t i = 0; i < a->n_sp; i++)
        if (a->sp[i].policy_no == policy_no)
            return a->sp[i].params;
    return mkt_span(NULL, 0);
}

/* Keys that we supply are for the sessions we send in, and for those that have none yet. */
static bool
supply(struct answering *a, const struct mkt_msg *offer, struct cli_error *err)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;
    size_t next = 0;

    if (!cli_supply_read(a->keys, a->args, offer->hdr.prf, err) || a->keys->n == 0)
        return err->code == CLI_EXIT_OK;
    if ((mkt_responder_policy_unverified(a->responder)->flags & MKT_TP_M) == 0)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--supply: the policy of the ticket forbids the responder to supply keys "
                        "(no M flag)");
    a->choice.keys = a->keys;
    mkt_map_begin(&it, &offer->hdr);
    for (size_t i = 0; i < a->choice.n_cs && mkt_map_next(&it, &cs); i++) {
        if (cs.cs_id % 2 != 0 && cs.spi.n != 0)
            continue;
        a->cs[i].spi = cli_supply_spi(a->keys, next);
        next += cs.cs_id % 2 == 0;
        if (!cli_supply_fits(a->keys, chosen_params(a, offer, a->cs[i].policy_no), err))
            return false;
    }
    return true;
}

/* The key of --spi, whoever brings it; whether there is one with that SPI is not known before the
 * ticket is open. */
static void
choose_keys(struct answering *a)
{
    for (size_t i = 0; a->spis.n > 0 && i < a->choice.n_cs; i++)
        a->cs[i].spi = cli_spis_of(&a->spis, i);
}

static bool
choose(struct answering *a, struct mkt_io *io, struct cli_error *err)
{
    const struct mkt_msg *offer = mkt_responder_offer_unverified(a->responder);
    struct mkt_err why = { 0 };

    if (!cli_srtp_policies(a->args->value[CLI_OPT_SRTP], a->args->n[CLI_OPT_SRTP], offer->hdr.prf,
                           true, a->sp, &a->n_sp, err))
        return false;
    cli_srtp_number(a->sp, a->n_sp, offer);
    if (!check_protocols(a, offer, &why) ||
        mkt_choice_default(offer, a->sp, a->n_sp, a->cs, CLI_COUNT(a->cs), &a->choice.n_cs, &why) !=
            MKT_OK)
        return refuse(a, io, &why, err);
    a->choice.cs = a->cs;
    send_policies(a, offer);
    /* They go both ways, so that the other side sees that its list arrived whole. */
    a->choice.sdp_ids = cli_sdp_ids(offer, NULL);
    if (!supply(a, offer, err) || !cli_spis_read(&a->spis, a->args, err))
        return false;
    choose_keys(a);
    return choose_ssrcs(a, err);
}

static bool
look_at(struct answering *a, struct mkt_io *io, struct cli_error *err)
{
    struct mkt_env env = cli_client_env(a->client);
    char who[CLI_IDENTITY_TEXT];

    a->responder = mkt_responder_new(&a->client->cred);
    if (a->responder == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    if (!cli_carrier_load_one(&a->carrier, cli_args_get(a->args, CLI_OPT_OFFER), &io->in, err))
        return false;
    if (mkt_responder_offered(a->responder, &env, SKEW_S, io) != MKT_NEXT_ASK) {
        struct mkt_err why = io->err;
        return refuse(a, io, &why, err);
    }
    cli_identity_text(mkt_responder_policy_unverified(a->responder)->initiator, who);
    cli_say("an offer, it seems, of %s", who);
    return choose(a, io, err);
}

static bool
resolve(struct answering *a, struct mkt_io *io, struct cli_error *err)
{
    const struct cli_kms_ask question = { "ticketresolve", CLI_EXIT_PEER, a, make, take };
    memset(&io->err, 0, sizeof io->err);
    if (cli_kms_run(a->args, a->client, &question, io, err))
        return true;
    if (err->code == CLI_EXIT_PEER)
        write_refusal(a, io->err.rc, io);
    else if (err->code == CLI_EXIT_KMS_REFUSED && io->peer_error_authentic)
        write_refusal(a, MKT_E_NOT_AUTHORISED, io);
    return false;
}

/* --- the ways to open a ticket -----------------------------------------------------------------
 */

static bool
took(struct answering *a, struct mkt_io *io, const char *opened_by, struct cli_error *err)
{
    a->opened_by = opened_by;
    if (a->next != MKT_NEXT_ABORT)
        return err->code == CLI_EXIT_OK; /* a timestamp may have failed */
    struct mkt_err why = io->err;
    return refuse(a, io, &why, err);
}

static bool
reuse(struct answering *a, struct mkt_io *io, struct cli_error *err)
{
    struct mkt_env env = cli_client_env(a->client);
    memset(&io->err, 0, sizeof io->err);
    a->next = mkt_responder_reuse(a->responder, &env, &a->choice, a->kept, io, &a->csb);
    return took(a, io, "cache", err);
}

static bool
open_ticket(struct answering *a, struct mkt_io *io, struct cli_error *err)
{
    struct mkt_env env = cli_client_env(a->client);
    memset(&io->err, 0, sizeof io->err);
    a->next = mkt_responder_open(a->responder, &env, &a->choice, &a->tpk->key.base, io, &a->csb);
    return took(a, io, "tpk", err);
}

static bool
ask_kms(struct answering *a, struct mkt_io *io, struct cli_error *err)
{
    uint8_t prf = mkt_responder_offer_unverified(a->responder)->hdr.prf;
    struct mkt_err why = { 0 };

    if (!cli_client_serves(a->client, prf, &why))
        return refuse(a, io, &why, err);
    a->opened_by = "kms";
    return resolve(a, io, err);
}

/* Whatever our keys cannot open is the KMS's to open, if we may ask one. */
static bool
open_or_ask(struct answering *a, struct mkt_io *io, struct cli_error *err)
{
    bool has_kms = cli_args_has(a->args, CLI_OPT_KMS);
    struct mkt_err why = { 0 };

    if (a->tpk->path != NULL &&
        cli_tpk_may_open(a->tpk, mkt_responder_policy_unverified(a->responder), &why) == MKT_OK)
        return open_ticket(a, io, err);
    if (has_kms)
        return ask_kms(a, io, err);
    if (a->tpk->path != NULL)
        return cli_fail_mkt(err, CLI_EXIT_USAGE,
                            "the ticket cannot be opened with --tpk, and there "
                            "is no --kms to ask",
                            &why);
    return cli_fail(err, CLI_EXIT_USAGE,
                    "nothing is kept of this ticket, so it needs --kms or --tpk");
}

static bool
establish(struct answering *a, struct mkt_io *io, struct cli_error *err)
{
    const struct mkt_msg *offer = mkt_responder_offer_unverified(a->responder);

    if (!cli_cache_open(a->cache, a->args, a->client, err) ||
        !cli_cache_resolution(&a->kept, a->cache, mkt_msg_find(offer, MKT_PL_TICKET, 0), err))
        return false;
    cli_cache_close(a->cache);
    return a->kept != NULL ? reuse(a, io, err) : open_or_ask(a, io, err);
}

/* --- what is left ------------------------------------------------------------------------------
 */

static bool
keep(const struct answering *a, struct cli_error *err)
{
    struct mkt_resolution *res = mkt_responder_take_resolution(a->responder);
    bool done = a->kept != NULL || cli_cache_keep_resolution(a->cache, res, err);
    mkt_resolution_free(res);
    return done && cli_csb_ids_add(a->cache, mkt_csb_id(a->csb), err);
}

static bool
save(const struct answering *a, const struct mkt_io *io, struct cli_error *err)
{
    const char *session = cli_args_get(a->args, CLI_OPT_SESSION);
    bool has_answer = a->next == MKT_NEXT_SEND_PEER;
    struct cli_report r;

    if (!cli_session_save(session, a->csb, a->client->crypto, err) ||
        (has_answer && !write_message(a, mkt_span(io->out, io->out_len), err)))
        return false;
    cli_report_begin(&r, stdout, cli_args_has(a->args, CLI_OPT_JSON));
    if (has_answer)
        cli_report_text(&r, "answer", cli_args_get(a->args, CLI_OPT_OUT));
    cli_report_bool(&r, "answer-expected", has_answer);
    cli_report_text(&r, "opened-by", a->opened_by);
    cli_report_text(&r, "session", session);
    cli_session_report_csb(&r, a->csb);
    cli_report_end(&r);
    return true;
}

static bool
load_tpk(struct answering *a, struct cli_error *err)
{
    const char *path = cli_args_get(a->args, CLI_OPT_TPK);

    if (path == NULL && !cli_args_has(a->args, CLI_OPT_KMS) &&
        !cli_args_has(a->args, CLI_OPT_CACHE))
        return cli_fail(err, CLI_EXIT_USAGE,
                        "how is the ticket to be opened? --kms URL asks the KMS, --tpk FILE is a "
                        "key of your own");
    return path == NULL || cli_tpk_load(a->tpk, path, a->client->file.identity, err);
}

static bool
answer(struct answering *a, struct mkt_io *io, struct cli_error *err)
{
    return load_tpk(a, err) && look_at(a, io, err) && establish(a, io, err) && keep(a, err) &&
           save(a, io, err);
}

bool
cli_cmd_answer(const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_CLIENT client;
    CLI_SCOPED_KEYS keys = { .n = 0 };
    CLI_SCOPED_TPK tpk = { .path = NULL };
    CLI_SCOPED_CACHE cache = { .lock = -1 };
    struct answering a = {
        .client = &client, .args = args, .keys = &keys, .tpk = &tpk, .cache = &cache
    };
    struct mkt_io io = { 0 };

    bool done = cli_client_open(&client, args, err) && cli_client_rooms(&client, err);
    io.out = client.out.p;
    io.cap = client.out.cap;
    done = done && answer(&a, &io, err);
    mkt_csb_free(a.csb);
    mkt_resolution_free(a.kept);
    mkt_responder_free(a.responder);
    cli_carrier_free(&a.carrier);
    return done;
}
