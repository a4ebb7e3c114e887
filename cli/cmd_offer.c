/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket offer: TRANSFER_INIT (RFC 6043 4.2.2). Odd crypto sessions are the directions we
 * send in and have our SSRCs; those of the even ones are left to the other party. */
#include "cache.h"
#include "carrier.h"
#include "csb_ids.h"
#include "files.h"
#include "session_key.h"
#include "srtp_suite.h"
#include "state.h"

#include <mikeyticket/initiator.h>
#include <string.h>

#define SESSIONS_MAX 64

/* Of a protocol in SDP: a token (RFC 4566 9). */
#define PROTOCOL_CHARS                                               \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" \
    "!#$%&'*+-.^_`{|}~"

struct offering {
    struct cli_client *client;
    struct mkt_initiator *initiator;
    struct mkt_grant *grant;
    struct cli_cache cache; /* locked until the offer is made */
    bool kept;              /* the ticket is of the cache */
    uint32_t csb_ids[CLI_CSB_IDS_MAX];
    struct mkt_keys *keys; /* supplied */
    struct cli_spis spis;
    struct cli_carrier group; /* of --group-of */
    struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX];
    struct mkt_offer_cs cs[SESSIONS_MAX];
    struct mkt_offer offer;
};

/* The SSRC of our n-th direction: given, or random. */
static bool
choose_ssrc(const struct cli_args *args, size_t n, uint32_t *ssrc, struct cli_error *err)
{
    uint64_t given;
    if (n < args->n[CLI_OPT_SSRC]) {
        if (!cli_args_uint(args, CLI_OPT_SSRC, n, 0, UINT32_MAX, &given, err))
            return false;
        *ssrc = (uint32_t)given;
        return true;
    }
    return mkt_crypto_random(NULL, (uint8_t *)ssrc, sizeof *ssrc) ||
           cli_fail(err, CLI_EXIT_FAILURE, "no random octets");
}

static bool
has_answer(const struct offering *o)
{
    return (mkt_grant_policy(o->grant)->flags & MKT_TP_F) != 0;
}

/* The SPI of the key of a session: the one of --spi, one we supply, else with an answer it is the
 * other party's to say. */
static struct mkt_span
choose_spi(const struct offering *o, size_t session)
{
    const struct mkt_keys *keys = mkt_grant_keys(o->grant);
    if (o->spis.n != 0)
        return cli_spis_of(&o->spis, session);
    if (o->keys->n != 0)
        return cli_supply_spi(o->keys, session);
    for (size_t i = 0; !has_answer(o) && i < keys->n; i++)
        if (keys->k[i].type != MKT_KEY_MPK)
            return mkt_span(keys->k[i].spi, keys->k[i].spi_len);
    return mkt_span(NULL, 0);
}

static bool
choose_sessions(struct offering *o, const struct cli_args *args, struct cli_error *err)
{
    uint64_t n = 2;
    if (cli_args_has(args, CLI_OPT_SESSIONS) &&
        !cli_args_uint(args, CLI_OPT_SESSIONS, 0, 1, SESSIONS_MAX, &n, err))
        return false;
    size_t ours = 0, every = has_answer(o) ? 2 : 1; /* RFC 4567 7.1: two CS IDs for each m-line */
    for (size_t i = 0; i < n; i++) {
        struct mkt_offer_cs *cs = &o->cs[i];
        cs->cs_id = (uint8_t)(i + 1);
        cs->prot_type = MKT_PROT_SRTP;
        cs->n_policies = (uint8_t)o->offer.n_sp;
        for (size_t p = 0; p < o->offer.n_sp; p++)
            cs->policies[p] = o->sp[p].policy_no;
        cs->spi = choose_spi(o, i);
        cs->has_ssrc = i % every == 0;
        if (cs->has_ssrc && !choose_ssrc(args, ours++, &cs->ssrc, err))
            return false;
    }
    if (args->n[CLI_OPT_SSRC] > ours)
        return cli_fail(err, CLI_EXIT_USAGE, "--ssrc: you choose it for %zu of the %zu sessions",
                        ours, (size_t)n);
    o->offer.cs = o->cs;
    o->offer.n_cs = n;
    return true;
}

/* A group may name many; only the KMS knows its members, so this is a word and no error. */
static void
warn_of_stranger(const struct offering *o)
{
    const struct mkt_policy *p = mkt_grant_policy(o->grant);
    for (size_t i = 0; i < p->n_responders; i++)
        if (mkt_identity_equal(p->responders[i], o->offer.responder))
            return;
    cli_say("the ticket does not name whom the offer is for; the KMS may refuse to resolve it");
}

static bool
has_session_key(const struct mkt_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        if (keys->k[i].type != MKT_KEY_MPK)
            return true;
    return false;
}

/* The keys of --supply, and whether there is any key at all. */
static bool
supply(struct offering *o, const struct cli_args *args, struct cli_error *err)
{
    const struct mkt_policy *p = mkt_grant_policy(o->grant);

    if (!cli_supply_read(o->keys, args, p->prf, err))
        return false;
    if (o->keys->n != 0 && (p->flags & MKT_TP_L) == 0)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--supply: the policy of the ticket forbids the initiator to supply keys "
                        "(no L flag); ask for a ticket with L in --flags");
    if (o->keys->n == 0 && !has_session_key(mkt_grant_keys(o->grant)) && (p->flags & MKT_TP_M) == 0)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "the ticket holds no session key, and the responder may not supply one: "
                        "give one with --supply");
    o->offer.keys = o->keys->n != 0 ? o->keys : NULL;
    return cli_spis_read(&o->spis, args, err) &&
           cli_spis_known(&o->spis, mkt_grant_keys(o->grant), o->keys, err);
}

static bool
choose_suites(struct offering *o, const struct cli_args *args, struct cli_error *err)
{
    if (!has_answer(o) && args->n[CLI_OPT_SRTP] > 1)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--srtp: the ticket wants no answer, so nobody could choose among suites");
    if (!cli_srtp_policies(args->value[CLI_OPT_SRTP], args->n[CLI_OPT_SRTP],
                           mkt_grant_policy(o->grant)->prf, false, o->sp, &o->offer.n_sp, err))
        return false;
    for (size_t i = 0; i < o->offer.n_sp; i++)
        if (!cli_supply_fits(o->keys, o->sp[i].params, err))
            return false;
    return true;
}

/* All protocols of the SDP that the offer goes into; without --sdp-ids it is the only one. */
static bool
name_protocols(struct offering *o, const struct cli_args *args, struct cli_error *err)
{
    const char *list = cli_args_get(args, CLI_OPT_SDP_IDS);
    bool named = false;

    if (list == NULL) {
        if (cli_args_has(args, CLI_OPT_SDP))
            o->offer.sdp_ids = mkt_span("mikey", 5); /* RFC 4567 4.1.4 */
        return true;
    }
    for (const char *id = list; id != NULL; id = *id == ';' ? id + 1 : NULL) {
        size_t n = strspn(id, PROTOCOL_CHARS);
        named = named || (n == 5 && strncasecmp(id, "mikey", n) == 0);
        id += n;
        if (n == 0 || (*id != ';' && *id != '\0'))
            return cli_fail(err, CLI_EXIT_USAGE,
                            "--sdp-ids %.80s: expected the protocols of the SDP in their order, "
                            "such as mikey;other (RFC 4567 4.1.4)",
                            list);
    }
    o->offer.sdp_ids = mkt_span(list, strlen(list));
    return named || cli_fail(err, CLI_EXIT_USAGE, "--sdp-ids %.80s: mikey is not among them", list);
}

/* All members of a group derive the same keys from one offer (RFC 6043 9). */
static bool
join_group(struct offering *o, const struct cli_args *args, struct cli_error *err)
{
    const char *path = cli_args_get(args, CLI_OPT_GROUP_OF);
    static struct mkt_msg m; /* some kilobytes */
    struct mkt_err why = { 0 };

    if (path == NULL)
        return true;
    if (!cli_carrier_load_one(&o->group, path, &o->offer.group_of, err))
        return false;
    if (mkt_msg_parse(&m, o->offer.group_of, &why) != MKT_OK ||
        m.hdr.data_type != MKT_DT_TRANSFER_INIT)
        return cli_fail(err, CLI_EXIT_USAGE, "--group-of %s: expected an offer", path);
    if ((mkt_grant_policy(o->grant)->flags & MKT_TP_G) != 0)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--group-of: each member would add random octets of its own (G flag), and "
                        "so have keys of its own (RFC 6043 9); ask for a ticket without, such as "
                        "--flags DEFHNO --key GTGK");
    if ((mkt_grant_policy(o->grant)->flags & MKT_TP_I) != 0)
        cli_say(
            "keys of this ticket fork: what comes from a TGK in it differs from member to member "
            "(RFC 6043 9.1)");
    return true;
}

static bool
prepare(struct offering *o, const struct cli_args *args, struct cli_error *err)
{
    warn_of_stranger(o);
    o->offer.ts_type = o->client->cred.ts_type;
    o->offer.sp = o->sp;
    o->offer.csb_ids = o->csb_ids;
    return name_protocols(o, args, err) && join_group(o, args, err) &&
           cli_csb_ids_load(o->csb_ids, &o->offer.n_csb_ids, &o->cache, err) &&
           supply(o, args, err) && choose_suites(o, args, err) && choose_sessions(o, args, err);
}

static void
report(const struct offering *o, const struct cli_args *args, size_t octets)
{
    struct cli_report r;
    cli_report_begin(&r, stdout, cli_args_has(args, CLI_OPT_JSON));
    cli_report_text(&r, "offer", cli_args_get(args, CLI_OPT_OUT));
    cli_report_text(&r, "state", cli_args_get(args, CLI_OPT_STATE));
    cli_report_identity(&r, "to", o->offer.responder);
    if (cli_args_has(args, CLI_OPT_CACHE))
        cli_report_bool(&r, "from-cache", o->kept);
    cli_report_uint(&r, "octets", octets);
    cli_report_bool(&r, "answer-expected", has_answer(o));
    cli_report_list(&r, "suites");
    for (size_t i = 0; i < o->offer.n_sp; i++)
        cli_report_text(&r, NULL, cli_srtp_name(o->sp[i].params));
    cli_report_close(&r);
    cli_report_list(&r, "sessions");
    for (size_t i = 0; i < o->offer.n_cs; i++) {
        cli_report_item(&r);
        cli_report_uint(&r, "cs-id", o->cs[i].cs_id);
        cli_report_text(&r, "sender", i % 2 == 0 ? "initiator" : "responder");
        if (o->cs[i].has_ssrc)
            cli_report_uint(&r, "ssrc", o->cs[i].ssrc);
        cli_report_close(&r);
    }
    cli_report_close(&r);
    cli_report_end(&r);
}

static uint32_t
csb_id_of(struct mkt_span m)
{
    return (uint32_t)m.p[4] << 24 | (uint32_t)m.p[5] << 16 | (uint32_t)m.p[6] << 8 | m.p[7];
}

/* The mark of its use in the ticket first (5.3), then the state: an offer whose state is lost
 * cannot be completed. A ticket of the cache may be used again and needs no mark. */
static bool
save(const struct offering *o, const struct cli_args *args, const struct mkt_io *io,
     struct cli_error *err)
{
    struct mkt_span message = mkt_span(io->out, io->out_len);
    if (!o->kept && !cli_grant_save(cli_args_get(args, CLI_OPT_TICKET), o->grant, err))
        return false;
    return cli_csb_ids_add(&o->cache, csb_id_of(message), err) &&
           cli_state_save(cli_args_get(args, CLI_OPT_STATE), cli_args_get(args, CLI_OPT_TO),
                          o->grant, message, err) &&
           cli_carrier_save(cli_args_get(args, CLI_OPT_OUT), message,
                            cli_args_has(args, CLI_OPT_SDP), err);
}

static bool
refused(const struct mkt_err *why, struct cli_error *err)
{
    if (why->rc == MKT_E_TICKET)
        return cli_fail(
            err, CLI_EXIT_FAILURE,
            "the ticket has been offered already, and is for one offer (no J flag, RFC "
            "6043 5.3). Get a new one with mikey-ticket request, and with --reuse if it "
            "shall serve several offers");
    return cli_fail_mkt(err, CLI_EXIT_FAILURE,
                        why->rc == MKT_E_TICKET_EXPIRED
                            ? "cannot make the offer; get a new ticket with mikey-ticket request"
                            : "cannot make the offer",
                        why);
}

static bool
make(struct offering *o, const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_BLOB out = { 0 };
    if (!cli_blob_alloc(&out, MKT_MSG_MAX, err) || !prepare(o, args, err))
        return false;
    o->initiator = mkt_initiator_new(&o->client->cred);
    if (o->initiator == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    struct mkt_io io = { .out = out.p, .cap = out.cap };
    struct mkt_env env = cli_client_env(o->client);
    if (mkt_initiator_offer(o->initiator, &env, o->grant, &o->offer, &io) != MKT_NEXT_SEND_PEER)
        return refused(&io.err, err);
    if (err->code != CLI_EXIT_OK || !save(o, args, &io, err))
        return false;
    report(o, args, io.out_len);
    return true;
}

static bool
take_kept(struct offering *o, const struct cli_args *args, struct cli_error *err)
{
    if (!cli_cache_open(&o->cache, args, o->client, err) ||
        !cli_cache_ticket_to(&o->grant, &o->cache, o->offer.responder, err))
        return false;
    o->kept = o->grant != NULL;
    return o->kept || cli_fail(err, CLI_EXIT_FAILURE,
                               "%s holds no ticket for %s that may be used again; get one with "
                               "mikey-ticket request --reuse --cache",
                               o->cache.path, cli_args_get(args, CLI_OPT_TO));
}

/* The ticket file stays locked until it has its mark: two offers at once are two uses. */
static bool
take_ticket(struct offering *o, int *lock, const struct cli_args *args, struct cli_error *err)
{
    const char *path = cli_args_get(args, CLI_OPT_TICKET);

    if (!cli_identity_read(&o->offer.responder, "to", cli_args_get(args, CLI_OPT_TO), err))
        return false;
    if ((path != NULL) == cli_args_has(args, CLI_OPT_CACHE))
        return cli_fail(err, CLI_EXIT_USAGE, "either --ticket or --cache is needed");
    if (path == NULL)
        return take_kept(o, args, err);
    return cli_file_lock(lock, path, err) && cli_grant_load(&o->grant, path, err);
}

bool
cli_cmd_offer(const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_CLIENT client;
    CLI_SCOPED_KEYS keys = { .n = 0 };
    CLI_SCOPED_LOCK lock = -1;
    static struct offering o; /* some kilobytes */

    o = (struct offering){ .client = &client, .cache = { .lock = -1 }, .keys = &keys };
    bool done = cli_client_open(&client, args, err) && take_ticket(&o, &lock, args, err) &&
                make(&o, args, err);
    mkt_initiator_free(o.initiator);
    mkt_grant_free(o.grant);
    cli_cache_close(&o.cache);
    cli_carrier_free(&o.group);
    return done;
}
