/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket answer-update: a CSB update that the other party started (RFC 6043 5.2). What is
 * refused leaves an Error message for it; the crypto sessions stay as they were. */
#include "carrier.h"
#include "client.h"
#include "files.h"
#include "session.h"
#include "session_key.h"
#include "srtp_suite.h"

#include <mikeyticket/responder.h>
#include <string.h>

#define SKEW_S 300 /* how far the clock of the update may be off */
#define OWN_POLICIES_MAX 64

struct answering {
    const struct cli_args *args;
    struct mkt_crypto *crypto;
    struct mkt_csb *csb;
    struct mkt_keys *keys;
    struct cli_carrier carrier;
    struct mkt_msg msg;
    struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX], own_sp[OWN_POLICIES_MAX]; /* taken, sent along */
    size_t n_sp;
    struct mkt_choose_cs cs[UINT8_MAX];
    struct mkt_choice choice;
    struct mkt_io io;
};

static const char *
session_path(const struct answering *a)
{
    return cli_args_get(a->args, CLI_OPT_SESSION);
}

static bool
write_message(const struct answering *a, struct cli_error *err)
{
    bool sdp = cli_args_has(a->args, CLI_OPT_SDP) || a->carrier.kind == CLI_CARRIER_SDP;
    return cli_carrier_save(cli_args_get(a->args, CLI_OPT_OUT), mkt_span(a->io.out, a->io.out_len),
                            sdp, err);
}

/* Only an update that verified is answered, and its timestamp counts as seen. */
static bool
refuse(struct answering *a, const struct mkt_err *why, struct cli_error *err)
{
    struct mkt_env env = cli_session_env(a->crypto);
    bool show_sp = why->rc == MKT_E_SP || why->rc == MKT_E_SP_PARAM; /* RFC 6043 5.4 */
    char text[256];

    mkt_err_format(why, text, sizeof text);
    memset(&a->io.err, 0, sizeof a->io.err);
    if (a->io.authentic) {
        bool made = mkt_csb_update_refuse(a->csb, &env, why->rc, a->sp, show_sp ? a->n_sp : 0,
                                          &a->io) == MKT_NEXT_SEND_PEER;
        if (!cli_session_keep(session_path(a), a->csb, err) || (made && !write_message(a, err)))
            return false;
        if (made)
            cli_say("an Error message for the other party is in %s",
                    cli_args_get(a->args, CLI_OPT_OUT));
    }
    return cli_fail(err, CLI_EXIT_PEER, "the update is refused: %s", text);
}

/* --- choosing ----------------------------------------------------------------------------------
 */

static const struct mkt_pl_sp *
offered_sp(const struct mkt_msg *m, uint8_t policy_no, uint8_t prot_type)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->pl[i].type == MKT_PL_SP && m->pl[i].u.sp.policy_no == policy_no &&
            m->pl[i].u.sp.prot_type == prot_type)
            return &m->pl[i].u.sp;
    return NULL;
}

static bool
same_suite(struct mkt_span a, struct mkt_span b)
{
    return cli_srtp_find(cli_srtp_name(a)) != NULL && cli_srtp_name(a) == cli_srtp_name(b);
}

/* A policy that the message defines must be one of our suites; one of an earlier exchange was
 * accepted then. */
static bool
takes(const struct answering *a, uint8_t policy_no, uint8_t prot_type)
{
    const struct mkt_pl_sp *sp = offered_sp(&a->msg, policy_no, prot_type);
    for (size_t i = 0; sp != NULL && i < a->n_sp; i++)
        if (same_suite(a->sp[i].params, sp->params))
            return true;
    return sp == NULL;
}

/* The policy that a session has; for a new one the first of ours. */
static bool
own_params(const struct answering *a, const struct mkt_cs *cs, struct mkt_span *params)
{
    struct mkt_session s;
    for (size_t i = 0; mkt_csb_session(a->csb, i, &s) == MKT_OK; i++)
        if (s.cs_id == cs->cs_id && s.prot_type == cs->prot_type) {
            *params = s.params;
            return true;
        }
    if (cs->prot_type == MKT_PROT_SRTP)
        *params = a->sp[0].params;
    return cs->prot_type == MKT_PROT_SRTP;
}

/* A session that names no policy leaves it to us (RFC 6043 6.1.1): the answer defines it, under a
 * number that the message does not use. */
static bool
choose_own(struct answering *a, const struct mkt_cs *cs, uint8_t *policy_no)
{
    struct mkt_span params;
    unsigned no = UINT8_MAX;

    if (!own_params(a, cs, &params))
        return false;
    for (size_t i = 0; i < a->choice.n_sp; i++) {
        const struct mkt_pl_sp *sp = &a->own_sp[i];
        no = sp->policy_no - 1U; /* counted down */
        if (sp->prot_type != cs->prot_type || sp->params.n != params.n ||
            (params.n != 0 && memcmp(sp->params.p, params.p, params.n) != 0))
            continue;
        *policy_no = sp->policy_no;
        return true;
    }
    while (no > 0 && offered_sp(&a->msg, (uint8_t)no, cs->prot_type) != NULL)
        no--;
    if (no == 0 || a->choice.n_sp == OWN_POLICIES_MAX)
        return false;
    *policy_no = (uint8_t)no;
    a->own_sp[a->choice.n_sp++] =
        (struct mkt_pl_sp){ .policy_no = *policy_no, .prot_type = cs->prot_type, .params = params };
    return true;
}

static bool
choose_policy(struct answering *a, const struct mkt_cs *cs, uint8_t *policy_no)
{
    for (size_t i = 0; i < cs->policies.n; i++)
        if (takes(a, cs->policies.p[i], cs->prot_type)) {
            *policy_no = cs->policies.p[i];
            return true;
        }
    return cs->policies.n == 0 && choose_own(a, cs, policy_no);
}

static bool
choose_policies(struct answering *a, struct mkt_err *why)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;

    a->choice.sp = a->own_sp;
    mkt_map_begin(&it, &a->msg.hdr);
    while (mkt_map_next(&it, &cs)) {
        struct mkt_choose_cs *ch = &a->cs[a->choice.n_cs++];
        *ch = (struct mkt_choose_cs){ .cs_id = cs.cs_id, .prot_type = cs.prot_type };
        if (!choose_policy(a, &cs, &ch->policy_no))
            return mkt_fail(why, MKT_E_SP_PARAM, 0, "no acceptable security policy",
                            "RFC 6043 5.2") == MKT_OK;
    }
    a->choice.cs = a->cs;
    return true;
}

/* As in an answer to an offer: for what we send, and what has no key yet. */
static bool
supply(struct answering *a, struct cli_error *err)
{
    bool initiator = mkt_csb_is_initiator(a->csb);
    struct mkt_map_iter it;
    struct mkt_cs cs;
    size_t next = 0;

    if (a->keys->n == 0)
        return true;
    a->choice.keys = a->keys;
    mkt_map_begin(&it, &a->msg.hdr);
    for (size_t i = 0; i < a->choice.n_cs && mkt_map_next(&it, &cs); i++) {
        bool ours = (cs.cs_id % 2 != 0) == initiator;
        const struct mkt_pl_sp *sp = offered_sp(&a->msg, a->cs[i].policy_no, cs.prot_type);
        if (!ours && cs.spi.n != 0)
            continue;
        a->cs[i].spi = cli_supply_spi(a->keys, next);
        next += ours;
        if (sp != NULL && !cli_supply_fits(a->keys, sp->params, err))
            return false;
    }
    return true;
}

static bool
read_keys(struct answering *a, struct cli_error *err)
{
    bool initiator = mkt_csb_is_initiator(a->csb);
    const struct mkt_policy *p = mkt_csb_policy(a->csb);

    if (!cli_supply_read(a->keys, a->args, p->prf, err))
        return false;
    return a->keys->n == 0 || (p->flags & (initiator ? MKT_TP_L : MKT_TP_M)) != 0 ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "--supply: the policy of the ticket forbids the %s to supply keys (no %c flag)",
                    initiator ? "initiator" : "responder", initiator ? 'L' : 'M');
}

/* --- the steps ---------------------------------------------------------------------------------
 */

static bool
accept(struct answering *a, struct cli_error *err)
{
    struct mkt_env env = cli_session_env(a->crypto);
    struct mkt_err why = { 0 };

    if (!choose_policies(a, &why))
        return refuse(a, &why, err);
    if (!supply(a, err))
        return false;
    if (mkt_csb_update_accept(a->csb, &env, &a->choice, &a->io) == MKT_NEXT_SEND_PEER)
        return cli_session_save(session_path(a), a->csb, a->crypto, err) && write_message(a, err);
    why = a->io.err;
    return refuse(a, &why, err);
}

static bool
take_update(struct answering *a, struct cli_error *err)
{
    const char *path = cli_args_get(a->args, CLI_OPT_UPDATE);
    struct mkt_env env = cli_session_env(a->crypto);
    struct mkt_err why = { 0 };

    if (!cli_carrier_load_update(&a->carrier, path, &a->io.in, err))
        return false;
    if (mkt_msg_parse(&a->msg, a->io.in, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_MALFORMED, path, &why);
    /* What takes effect at once cannot be refused after it. */
    if (!a->msg.hdr.v && !cli_session_check_policies(a->csb, a->io.in, path, err))
        return false;
    switch (mkt_csb_update_offered(a->csb, &env, SKEW_S, &a->io)) {
    case MKT_NEXT_ASK:
        return accept(a, err);
    case MKT_NEXT_DONE:
        return cli_session_save(session_path(a), a->csb, a->crypto, err);
    default:
        why = a->io.err;
        return refuse(a, &why, err);
    }
}

static void
report(const struct answering *a)
{
    struct cli_report r;
    cli_report_begin(&r, stdout, cli_args_has(a->args, CLI_OPT_JSON));
    if (a->msg.hdr.v)
        cli_report_text(&r, "answer", cli_args_get(a->args, CLI_OPT_OUT));
    cli_report_bool(&r, "answer-expected", a->msg.hdr.v);
    cli_report_uint(&r, "new-keys", a->keys->n);
    cli_report_text(&r, "session", session_path(a));
    cli_session_report_csb(&r, a->csb);
    cli_report_end(&r);
}

static bool
answer(struct answering *a, struct cli_error *err)
{
    uint8_t prf = mkt_csb_policy(a->csb)->prf;
    return cli_srtp_policies(a->args->value[CLI_OPT_SRTP], a->args->n[CLI_OPT_SRTP], prf, true,
                             a->sp, &a->n_sp, err) &&
           read_keys(a, err) && take_update(a, err);
}

bool
cli_cmd_answer_update(const struct cli_args *args, struct cli_error *err)
{
    static struct answering a; /* some kilobytes */
    CLI_SCOPED_KEYS keys = { .n = 0 };
    CLI_SCOPED_BLOB out = { 0 };
    CLI_SCOPED_LOCK lock = -1;

    a = (struct answering){ .args = args, .keys = &keys, .io = { .cap = MKT_MSG_MAX } };
    bool done = cli_crypto_open(&a.crypto, err) && cli_blob_alloc(&out, MKT_MSG_MAX, err) &&
                cli_session_open(&a.csb, &lock, cli_args_get(args, CLI_OPT_SESSION), err);
    a.io.out = out.p;
    done = done && answer(&a, err);
    if (done)
        report(&a);
    mkt_csb_free(a.csb);
    mkt_crypto_free(a.crypto);
    cli_carrier_free(&a.carrier);
    return done;
}
