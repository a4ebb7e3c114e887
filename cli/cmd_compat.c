/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket compat: the RFC 3830 message in a compatibility ticket, for a Responder that knows
 * nothing newer, and the keys that it gives (RFC 6043 B.1, docs/formats/compat-ticket.md). Nobody
 * answers, so the session file is written at once. */
#include "carrier.h"
#include "clock.h"
#include "credential.h"
#include "encode.h"
#include "files.h"
#include "flat_yaml.h"
#include "options.h"
#include "report.h"
#include "srtp_suite.h"
#include "state.h"

#include <inttypes.h>
#include <mikeyticket/message.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX 65536 /* octets: 255 crypto sessions of 200 */

struct taking {
    struct mkt_grant *grant;
    struct mkt_env env;
    struct mkt_compat compat;
    struct mkt_span params; /* of SRTP, as the message has them */
};

static bool
take(struct taking *t, const char *path, struct cli_error *err)
{
    static struct mkt_msg m; /* some kilobytes */
    struct mkt_err why = { 0 };

    t->env = (struct mkt_env){ .crypto = mkt_crypto_new(),
                               .now = cli_clock_ntp(),
                               .random = mkt_crypto_random };
    if (t->env.crypto == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    if (mkt_grant_compat(t->grant, &t->env, &t->compat, &why) != MKT_OK ||
        mkt_msg_parse(&m, t->compat.message, &why) != MKT_OK)
        return cli_fail_mkt(err, why.rc == MKT_E_TICKET_TYPE ? CLI_EXIT_USAGE : CLI_EXIT_FAILURE,
                            path, &why);
    const struct mkt_payload *sp = mkt_msg_find(&m, MKT_PL_SP, 0);
    if (sp == NULL || sp->u.sp.prot_type != MKT_PROT_SRTP)
        return cli_fail(err, CLI_EXIT_FAILURE, "%s: its message has no policy for SRTP", path);
    t->params = sp->u.sp.params;
    return true;
}

/* --- the session file: docs/formats/session-file.md ------------------------------------------- */

static bool
print_session(struct cli_blob *b, const struct taking *t, uint8_t cs_id, struct cli_error *err)
{
    struct mkt_err why = { 0 };
    MKT_SCOPED_SECRET
    tek = { 0 };
    MKT_SCOPED_SECRET
    salt = { 0 };

    if (mkt_grant_compat_derive(t->grant, &t->env, cs_id, &tek, &salt, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot derive the keys", &why);
    return (cli_blob_print(b, "  - cs-id: %u\n    prot: %u\n    suite: \"%s\"\n    mki: \"\"\n",
                           cs_id, MKT_PROT_SRTP, cli_srtp_name(t->params)) &&
            cli_yaml_print_hex(b, "    ", "sp", t->params) &&
            cli_yaml_print_hex(b, "    ", "key", mkt_secret_span(&tek)) &&
            cli_yaml_print_hex(b, "    ", "salt", mkt_secret_span(&salt))) ||
           cli_fail(err, CLI_EXIT_FAILURE, "too many crypto sessions for a session file");
}

/* Nobody vouches for who took the message: it has no answer. */
static bool
print_head(struct cli_blob *b, const struct taking *t, struct cli_error *err)
{
    const struct mkt_policy *p = mkt_grant_policy(t->grant);
    char peer[CLI_IDENTITY_TEXT], end[CLI_TIME_TEXT];

    cli_identity_text(p->responders[0], peer);
    if (p->end.has)
        cli_clock_format(p->end.value, end);
    return (cli_blob_print(b, "# Keys of a call. Keep this file secret.\n"
                              "format: mikey-ticket-session-1\nrole: initiator\n") &&
            cli_yaml_print(b, "", "peer", mkt_span(peer, strlen(peer))) &&
            cli_blob_print(b, "peer-vouched: no\ncsb-id: %" PRIu32 "\n", t->compat.csb_id) &&
            (!p->end.has || cli_blob_print(b, "expires: \"%s\"\n", end)) &&
            cli_blob_print(b, "sessions:\n")) ||
           cli_fail(err, CLI_EXIT_FAILURE, "session file too long");
}

static bool
save_session(const struct taking *t, const char *path, struct cli_error *err)
{
    CLI_SCOPED_BLOB b = { 0 };

    if (!cli_blob_alloc(&b, FILE_MAX, err) || !print_head(&b, t, err))
        return false;
    for (unsigned cs_id = 1; cs_id <= t->compat.n_cs; cs_id++)
        if (!print_session(&b, t, (uint8_t)cs_id, err))
            return false;
    return cli_file_write(path, CLI_SECRET, cli_blob_span(&b), err);
}

static void
report(const struct taking *t, const struct cli_args *args)
{
    struct cli_report r;

    cli_report_begin(&r, stdout, cli_args_has(args, CLI_OPT_JSON));
    cli_report_text(&r, "message", cli_args_get(args, CLI_OPT_OUT));
    cli_report_text(&r, "session", cli_args_get(args, CLI_OPT_SESSION));
    cli_report_identity(&r, "to", mkt_grant_policy(t->grant)->responders[0]);
    cli_report_uint(&r, "octets", t->compat.message.n);
    cli_report_uint(&r, "csb-id", t->compat.csb_id);
    cli_report_uint(&r, "crypto-sessions", t->compat.n_cs);
    cli_report_text(&r, "suite", cli_srtp_name(t->params));
    cli_report_end(&r);
}

bool
cli_cmd_compat(const struct cli_args *args, struct cli_error *err)
{
    const char *path = cli_args_get(args, CLI_OPT_TICKET);
    struct taking t = { .grant = NULL };
    bool done = cli_grant_load(&t.grant, path, err) && take(&t, path, err) &&
                save_session(&t, cli_args_get(args, CLI_OPT_SESSION), err) &&
                cli_carrier_save(cli_args_get(args, CLI_OPT_OUT), t.compat.message,
                                 cli_args_has(args, CLI_OPT_SDP), err);
    if (done)
        report(&t, args);
    mkt_grant_free(t.grant);
    mkt_crypto_free(t.env.crypto);
    return done;
}
