/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: the TRANSFER_INIT may be days old, so its time is only told; that the ticket still
 * stands, and that we may open it, the KMS says now. Nothing of the content has a name before all
 * of it has verified. */
#include "seal.h"

#include "big_endian.h"
#include "files.h"
#include "kms.h"
#include "progress.h"
#include "tpk.h"

#include <errno.h>
#include <fcntl.h>
#include <mikeyticket/responder.h>
#include <string.h>
#include <unistd.h>

#define SKEW_S 300 /* how far the clock of the sealer may be ahead of ours */

struct unsealing {
    struct cli_unsealed *u;
    const struct cli_args *args;
    struct cli_client *client;
    struct cli_tpk *tpk; /* path NULL: no --tpk */
    const char *from;
    int fd;
    struct cli_draft *draft;
    struct mkt_responder *responder;
    struct mkt_choose_cs cs;
    struct mkt_choice choice;
    uint8_t digest[CLI_DIGEST]; /* what the message vouches for */
    struct mkt_csb *csb;
    struct mkt_progress bar;
};

/* --- the message ------------------------------------------------------------------------------ */

static bool
refuse(const struct mkt_err *why, struct cli_error *err)
{
    return cli_fail_mkt(err, CLI_EXIT_PEER,
                        why->rc == MKT_E_TICKET_EXPIRED
                            ? "the sealed object cannot be opened at this time"
                            : "the sealed object is refused",
                        why);
}

static bool
refuse_for(struct cli_error *err, enum mkt_rc rc, const char *what, const char *ref)
{
    struct mkt_err why = { 0 };
    (void)!mkt_fail(&why, rc, 0, what, ref);
    return refuse(&why, err);
}

/* Of one session of our protocol, with the digest and the one policy there is. */
static bool
take_session(struct unsealing *o, const struct mkt_msg *m, struct cli_error *err)
{
    struct mkt_err why = { 0 };
    struct mkt_map_iter it;
    struct mkt_cs cs;
    size_t n = 0;

    mkt_map_begin(&it, &m->hdr);
    if (!mkt_map_next(&it, &cs) || m->hdr.n_cs != 1 || cs.prot_type != CLI_SEALED_PROT ||
        cs.session_data.n != sizeof o->digest)
        return refuse_for(err, MKT_E_FIELD, "CS ID map: not that of a sealed object",
                          "RFC 6043 6.1.1");
    memcpy(o->digest, cs.session_data.p, sizeof o->digest);
    if (mkt_choice_default(m, &cli_sealed_policy, 1, &o->cs, 1, &n, &why) != MKT_OK)
        return refuse(&why, err);
    o->choice = (struct mkt_choice){ .cs = &o->cs, .n_cs = 1 };
    return true;
}

/* The sealer's word; one that lies ahead of us is a clock that is wrong. */
static bool
take_time(struct unsealing *o, const struct mkt_msg *m, uint64_t now, struct cli_error *err)
{
    const struct mkt_payload *t = mkt_msg_find(m, MKT_PL_T, 0);

    if (t->u.t.ts_type != MKT_TS_NTP_UTC || t->u.t.value.n != 8)
        return refuse_for(err, MKT_E_TS_TYPE, "T", "RFC 3830 6.6");
    o->u->sealed_at = mkt_be_get(t->u.t.value.p, 8);
    if (mkt_ntp_to_unix(o->u->sealed_at) - mkt_ntp_to_unix(now) > SKEW_S)
        return refuse_for(err, MKT_E_STALE, "T: sealed in the future", "RFC 3830 5.4");
    return true;
}

/* With key forking only who asked for the ticket can have made the message, and the KMS has looked
 * (RFC 6043 5.1.1); without, all who may open the ticket can: then there must be nobody but us. */
static bool
take_sealer(struct unsealing *o, const struct mkt_policy *p, struct cli_error *err)
{
    const struct mkt_identity self = o->client->cred.self;

    if ((p->flags & MKT_TP_F) != 0)
        return refuse_for(err, MKT_E_TP_FLAGS, "the ticket wants an answer (F)", "RFC 6043 6.10");
    if ((p->flags & MKT_TP_I) == 0 &&
        (p->n_responders != 1 || !mkt_identity_equal(p->responders[0], self)))
        return refuse_for(err, MKT_E_TP_FLAGS,
                          "nobody vouches for who sealed it: several may open its ticket (no I)",
                          "RFC 6043 5.1.1");
    if (p->initiator.data.p == NULL || p->initiator.data.n > MKT_ID_MAX)
        return refuse_for(err, MKT_E_IDENTITY, "the ticket names nobody who sealed it",
                          "RFC 6043 6.10");
    o->u->sealer_type = p->initiator.type;
    o->u->sealer_len = p->initiator.data.n;
    memcpy(o->u->sealer, p->initiator.data.p, p->initiator.data.n);
    return true;
}

static bool
look_at(struct unsealing *o, struct mkt_span transfer_init, struct cli_error *err)
{
    struct mkt_env env = cli_client_env(o->client);
    struct mkt_io io = { .in = transfer_init };

    o->responder = mkt_responder_new(&o->client->cred);
    if (o->responder == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    if (mkt_responder_offered(o->responder, &env, 0, &io) != MKT_NEXT_ASK)
        return refuse(&io.err, err);
    const struct mkt_msg *m = mkt_responder_offer_unverified(o->responder);
    return take_session(o, m, err) && take_time(o, m, env.now, err) &&
           take_sealer(o, mkt_responder_policy_unverified(o->responder), err);
}

/* --- its keys --------------------------------------------------------------------------------- */

static enum mkt_next
make(void *ctx, struct mkt_io *io)
{
    struct unsealing *o = ctx;
    struct mkt_env env = cli_client_env(o->client);
    return mkt_responder_accept(o->responder, &env, &o->choice, io);
}

static enum mkt_next
take(void *ctx, struct mkt_io *io)
{
    struct unsealing *o = ctx;
    struct mkt_env env = cli_client_env(o->client);
    return mkt_responder_resolved(o->responder, &env, io, &o->csb);
}

static bool
ask_kms(struct unsealing *o, struct mkt_io *io, struct cli_error *err)
{
    const struct cli_kms_ask question = { "ticketresolve", CLI_EXIT_PEER, o, make, take };

    struct mkt_err why = { 0 };

    if (!cli_client_serves(o->client, mkt_responder_offer_unverified(o->responder)->hdr.prf, &why))
        return refuse(&why, err);
    o->u->vouched_by = "kms";
    return cli_kms_run(o->args, o->client, &question, io, err);
}

static bool
open_ticket(struct unsealing *o, struct mkt_io *io, struct cli_error *err)
{
    struct mkt_env env = cli_client_env(o->client);

    o->u->vouched_by = "tpk";
    return mkt_responder_open(o->responder, &env, &o->choice, &o->tpk->key.base, io, &o->csb) !=
               MKT_NEXT_ABORT ||
           refuse(&io->err, err);
}

static bool
resolve(struct unsealing *o, struct cli_sealed_keys *keys, struct cli_error *err)
{
    const struct mkt_policy *p = mkt_responder_policy_unverified(o->responder);
    struct mkt_io io = { .cap = MKT_MSG_MAX };
    struct mkt_err why = { 0 };
    CLI_SCOPED_BLOB out = { 0 };

    if (!cli_blob_alloc(&out, MKT_MSG_MAX, err))
        return false;
    io.out = out.p;
    bool ours = o->tpk->path != NULL && cli_tpk_may_open(o->tpk, p, &why) == MKT_OK;
    bool done = false;
    if (ours)
        done = open_ticket(o, &io, err);
    else if (cli_args_has(o->args, CLI_OPT_KMS))
        done = ask_kms(o, &io, err);
    else
        return cli_fail(err, CLI_EXIT_USAGE,
                        o->tpk->path != NULL
                            ? "the ticket cannot be opened with --tpk, and there is no --kms to ask"
                            : "how is the ticket to be opened? --kms URL asks the KMS, --tpk FILE "
                              "is a key of your own");
    return done && cli_seal_keys(keys, o->csb, o->client->crypto, err);
}

/* --- the content ------------------------------------------------------------------------------ */

static ssize_t
read_file(void *ctx, uint8_t *to, size_t n, struct cli_error *err)
{
    struct unsealing *o = ctx;
    return cli_fd_read(o->fd, o->from, to, n, err);
}

static bool
write_file(void *ctx, struct mkt_span octets, struct cli_error *err)
{
    struct unsealing *o = ctx;
    return cli_draft_add(o->draft, octets, err);
}

static void
moved(void *ctx, uint64_t octets)
{
    struct unsealing *o = ctx;
    if (!cli_quiet && o->u->info.size >= CLI_SEAL_BAR_MIN)
        mkt_progress_show(&o->bar, octets, o->u->info.size);
}

static bool
unseal(struct unsealing *o, const char *out, struct cli_error *err)
{
    const struct cli_stream stream = {
        .read = read_file, .write = write_file, .moved = moved, .ctx = o
    };
    struct mkt_span transfer_init = { NULL, 0 };
    CLI_SCOPED_SEALED_KEYS keys = { .key = { 0 } };
    CLI_SCOPED_BLOB head = { 0 };

    return cli_sealed_head_read(&head, &transfer_init, &stream, err) &&
           look_at(o, transfer_init, err) && resolve(o, &keys, err) &&
           cli_draft_open(o->draft, out, err) &&
           cli_sealed_read(&stream, cli_blob_span(&head), &keys, &o->u->info, o->digest, err) &&
           cli_draft_keep(o->draft, CLI_SECRET, err);
}

bool
cli_unseal_file(struct cli_unsealed *u, const struct cli_args *args, struct cli_client *client,
                const char *from, const char *out, struct cli_error *err)
{
    const char *tpk_path = cli_args_get(args, CLI_OPT_TPK);
    CLI_SCOPED_TPK tpk = { .path = NULL };
    CLI_SCOPED_DRAFT draft = { .fd = -1 };
    struct unsealing o = { .u = u,
                           .args = args,
                           .client = client,
                           .tpk = &tpk,
                           .from = from,
                           .draft = &draft,
                           .bar = { .what = "opening" } };

    *u = (struct cli_unsealed){ .vouched_by = NULL };
    o.fd = strcmp(from, "-") == 0 ? STDIN_FILENO : open(from, O_RDONLY | O_CLOEXEC);
    bool done =
        o.fd >= 0 || cli_fail(err, CLI_EXIT_FAILURE, "cannot open %s: %s", from, strerror(errno));
    done = done && (tpk_path == NULL || cli_tpk_load(&tpk, tpk_path, client->file.identity, err)) &&
           unseal(&o, out, err);
    mkt_csb_free(o.csb);
    mkt_responder_free(o.responder);
    if (o.fd > STDERR_FILENO)
        close(o.fd);
    return done;
}
