/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket complete: one answer to an offer (RFC 6043 4.2.2.3). The state is only read, so
 * every device that answers can be completed, in any order. */
#include "carrier.h"
#include "client.h"
#include "session.h"
#include "srtp_suite.h"
#include "state.h"

#include <mikeyticket/initiator.h>
#include <stdio.h>
#include <string.h>

struct completing {
    struct cli_client *client;
    struct cli_state state;
    struct cli_carrier carrier;
    struct mkt_initiator *initiator;
    struct mkt_csb *csb;
};

static bool
resume(struct completing *c, const struct cli_args *args, struct cli_error *err)
{
    const char *path = cli_args_get(args, CLI_OPT_STATE);
    struct mkt_err why = { 0 };

    if (!cli_state_load(&c->state, path, err))
        return false;
    c->initiator = mkt_initiator_new(&c->client->cred);
    if (c->initiator == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    struct mkt_env env = cli_client_env(c->client);
    if (mkt_initiator_resume(c->initiator, &env, c->state.grant, cli_blob_span(&c->state.offer),
                             cli_identity(c->state.to), &why) == MKT_OK)
        return true;
    char text[256];
    mkt_err_format(&why, text, sizeof text);
    return cli_fail(err, CLI_EXIT_FAILURE, "%s does not go with the credential of %s: %s", path,
                    c->client->file.identity, text);
}

/* The suites the other party names in its Error message. */
static void
list_suites(struct mkt_span octets, char *out, size_t cap)
{
    static struct mkt_msg m;
    struct mkt_err ignored = { 0 };
    size_t at = 0;
    *out = '\0';
    if (mkt_msg_parse(&m, octets, &ignored) != MKT_OK)
        return;
    for (size_t i = 0; i < m.n && at < cap; i++)
        if (m.pl[i].type == MKT_PL_SP)
            at += (size_t)snprintf(out + at, cap - at, "%s%s", at == 0 ? "; it supports " : ", ",
                                   cli_srtp_name(m.pl[i].u.sp.params));
}

static bool
refused(const struct mkt_io *io, const char *path, struct cli_error *err)
{
    char suites[256];
    if (io->err.rc != MKT_E_PEER_ERROR) {
        char text[256];
        mkt_err_format(&io->err, text, sizeof text);
        return cli_fail(err, CLI_EXIT_PEER, "the answer %s is refused: %s. The offer stays open",
                        path, text);
    }
    list_suites(io->in, suites, sizeof suites);
    return cli_fail(err, CLI_EXIT_PEER, "the other party refused the offer%s: %s (error %u)%s",
                    io->peer_error_authentic ? "" : ", says a message that is not authenticated",
                    mkt_error_no_name(io->peer_error), io->peer_error, suites);
}

/* What a Responder brings in must be one of our own offers or a suite of the ticket's level (RFC
 * 6043 4.2.2.4). */
static bool
acceptable(const struct completing *c, const char *path, struct cli_error *err)
{
    static struct mkt_msg offer;
    struct mkt_pl_sp sp[2 * CLI_SRTP_LIST_MAX];
    size_t n = 0;
    struct mkt_err why = { 0 };

    if (!cli_srtp_policies(NULL, 0, mkt_grant_policy(c->state.grant)->prf, true, sp, &n, err))
        return false;
    if (mkt_msg_parse(&offer, cli_blob_span(&c->state.offer), &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot read the offer", &why);
    for (size_t i = 0; i < offer.n && n < CLI_COUNT(sp); i++)
        if (offer.pl[i].type == MKT_PL_SP)
            sp[n++] = offer.pl[i].u.sp;
    if (mkt_csb_check_policies(c->csb, sp, n, &why) == MKT_OK)
        return true;
    return cli_fail(err, CLI_EXIT_PEER,
                    "the answer %s is refused: its security policy is not supported (RFC 6043 "
                    "4.2.2.4). The offer stays open",
                    path);
}

/* RFC 4567 4.1.4, the other way: an answer that names the protocols names those of our offer. One
 * that names none may be of a party that knows no better. */
static bool
check_sdp_ids(const struct completing *c, struct mkt_span octets, const char *path,
              struct cli_error *err)
{
    static struct mkt_msg offer, answer;
    struct mkt_err ignored = { 0 };

    if (mkt_msg_parse(&offer, cli_blob_span(&c->state.offer), &ignored) != MKT_OK ||
        mkt_msg_parse(&answer, octets, &ignored) != MKT_OK)
        return true; /* the library says what is wrong */
    struct mkt_span sent = cli_sdp_ids(&offer, NULL), got = cli_sdp_ids(&answer, NULL);
    return got.p == NULL || (sent.p != NULL && cli_sdp_ids_equal(sent, got)) ||
           cli_fail(err, CLI_EXIT_PEER,
                    "the answer %s is refused: its SDP IDs differ from those of the offer "
                    "(RFC 4567 4.1.4). The offer stays open",
                    path);
}

static bool
take_answer(struct completing *c, const char *path, struct cli_error *err)
{
    struct mkt_io io = { .cap = 0 };
    struct mkt_env env = cli_client_env(c->client);

    if (!cli_carrier_load_one(&c->carrier, path, &io.in, err))
        return false;
    if (mkt_initiator_answered(c->initiator, &env, &io, &c->csb) != MKT_NEXT_DONE)
        return refused(&io, path, err);
    return check_sdp_ids(c, io.in, path, err) && acceptable(c, path, err);
}

static bool
establish(struct completing *c, struct cli_error *err)
{
    struct mkt_err why = { 0 };
    struct mkt_env env = cli_client_env(c->client);
    if ((mkt_grant_policy(c->state.grant)->flags & MKT_TP_F) != 0)
        return cli_fail(err, CLI_EXIT_USAGE, "the ticket wants an answer: give it with --answer");
    return mkt_initiator_established(c->initiator, &env, &c->csb, &why) == MKT_OK ||
           cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot complete the offer", &why);
}

static bool
save(const struct completing *c, const struct cli_args *args, struct cli_error *err)
{
    const char *session = cli_args_get(args, CLI_OPT_SESSION);
    struct cli_report r;

    if (!cli_session_save(session, c->csb, c->client->crypto, err))
        return false;
    cli_report_begin(&r, stdout, cli_args_has(args, CLI_OPT_JSON));
    cli_report_text(&r, "session", session);
    cli_session_report_csb(&r, c->csb);
    cli_report_end(&r);
    return true;
}

bool
cli_cmd_complete(const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_CLIENT client;
    struct completing c = { .client = &client };
    const char *answer = cli_args_get(args, CLI_OPT_ANSWER);

    bool done = cli_client_open(&client, args, err) && resume(&c, args, err) &&
                (answer != NULL ? take_answer(&c, answer, err) : establish(&c, err)) &&
                save(&c, args, err);
    mkt_csb_free(c.csb);
    mkt_initiator_free(c.initiator);
    cli_state_close(&c.state);
    cli_carrier_free(&c.carrier);
    return done;
}
