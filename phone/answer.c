/* SPDX-License-Identifier: Apache-2.0 */
/* The callee's keys: a look at the offer, its ticket to the KMS, and an answer when everything
 * verifies. */
#include "keys.h"

#include "kms.h"

#include <stdlib.h>
#include <string.h>

struct asking {
    struct phone_answer *answer;
    struct cli_client *client;
};

static enum mkt_next
make(void *ctx, struct mkt_io *io)
{
    struct asking *a = ctx;
    struct mkt_env env = cli_client_env(a->client);
    return mkt_responder_accept(a->answer->responder, &env, &a->answer->choice, io);
}

static enum mkt_next
take(void *ctx, struct mkt_io *io)
{
    struct asking *a = ctx;
    struct mkt_env env = cli_client_env(a->client);
    return mkt_responder_resolved(a->answer->responder, &env, io, &a->answer->csb);
}

/* In the worker. */
static void
ask(struct phone_job *job, struct cli_client *client, const struct cli_args *args)
{
    struct asking a = { (struct phone_answer *)job, client };
    const struct cli_kms_ask question = { "ticketresolve", CLI_EXIT_PEER, &a, make, take };
    struct mkt_io io = { 0 };

    if (cli_kms_run(args, client, &question, &io, &job->err))
        (void)!cli_blob_set(&a.answer->out, mkt_span(io.out, io.out_len), &job->err);
    else if (job->err.code == CLI_EXIT_PEER)
        a.answer->refused = io.err.rc;
    else if (job->err.code == CLI_EXIT_KMS_REFUSED)
        a.answer->refused = MKT_E_NOT_AUTHORISED;
}

/* What we say in a group: an SSRC of our own drawing, whatever was offered, since somebody may have
 * sent the same offer to two of our phones (RFC 3711 9.1); and a SEQ that leaves time to hear of
 * it. */
static enum mkt_rc
choose_own(struct phone_answer *a, struct mkt_err *why)
{
    struct mkt_choose_cs *own = &a->cs[1];

    if (a->choice.n_cs < 2)
        return mkt_fail(why, MKT_E_MAP, 8, "a group call without a session of ours",
                        "RFC 6043 6.1.1");
    if (!mkt_crypto_random(NULL, (uint8_t *)&own->ssrc, sizeof own->ssrc) ||
        !mkt_crypto_random(NULL, (uint8_t *)&own->seq, sizeof own->seq))
        return mkt_fail(why, MKT_E_RANDOM, 0, "SSRC", "RFC 3550 8");
    own->seq &= 0x7fff;
    own->has_ssrc = own->s = true;
    return MKT_OK;
}

static enum mkt_rc
choose(struct phone_answer *a, const struct mkt_msg *offer, struct mkt_err *why)
{
    static struct mkt_choose_cs cs[UINT8_MAX];
    size_t n;

    cli_srtp_number(a->sp, a->n_sp, offer); /* the first goes along with what has none */
    if (mkt_choice_default(offer, a->sp, a->n_sp, cs, CLI_COUNT(cs), &n, why) != MKT_OK)
        return why->rc;
    a->cs = calloc(n + 1, sizeof *cs);
    if (a->cs == NULL)
        return mkt_fail(why, MKT_E_MEMORY, 0, "sessions", "RFC 6043 6.1.1");
    memcpy(a->cs, cs, n * sizeof *cs);
    a->choice.cs = a->cs;
    a->choice.n_cs = n;
    if (a->choice.n_cs > 0 && !cli_srtp_defines(offer, a->cs[0].policy_no)) {
        a->choice.sp = a->sp;
        a->choice.n_sp = 1;
    }
    a->choice.sdp_ids = mkt_sdp_ids_of(offer); /* so that they see that the list arrived whole */
    return a->group ? choose_own(a, why) : MKT_OK;
}

bool
phone_seen_has(const struct phone_seen *seen, const struct phone_answer *a)
{
    for (size_t i = 0; i < seen->n; i++)
        if (memcmp(seen->digest[i], a->digest, sizeof a->digest) == 0)
            return true;
    return false;
}

void
phone_seen_add(struct phone_seen *seen, const struct phone_answer *a)
{
    memcpy(seen->digest[seen->next], a->digest, sizeof a->digest);
    seen->next = (seen->next + 1) % PHONE_SEEN;
    seen->n += seen->n < PHONE_SEEN;
}

static enum mkt_rc
look_at(struct phone_answer *a, struct cli_client *client, const struct cli_args *args,
        struct mkt_span text, struct mkt_err *why, struct cli_error *err)
{
    static struct mkt_sdp_keys keys;
    struct mkt_sdp sdp;

    if (mkt_sdp_read(&sdp, text, why) != MKT_OK ||
        phone_sdp_take(&keys, &sdp, MKT_SDP_OFFER, why) == MKT_SDP_REFUSE)
        return why->rc;
    if (keys.n != 1)
        return mkt_fail(why, MKT_E_MISSING_PAYLOAD, 0,
                        keys.n == 0 ? "key-mgmt: calls without keys are not taken"
                                    : "key-mgmt: messages on several levels are not taken",
                        "RFC 4567 4.1.2");
    struct mkt_env env = cli_client_env(client);
    struct mkt_io io = { .in = keys.found[0].message };
    if (mkt_responder_offered(a->responder, &env, PHONE_SKEW_S, &io) != MKT_NEXT_ASK) {
        *why = io.err;
        return why->rc;
    }
    const struct mkt_msg *offer = mkt_responder_offer_unverified(a->responder);
    if (mkt_sdp_check_ids(&sdp, keys.found[0].level, offer, MKT_SDP_STRICT, why) != MKT_OK ||
        (!a->group &&
         mkt_sdp_map_offered(&a->map, &sdp, keys.found[0].level, offer, why) != MKT_OK))
        return why->rc;
    if (!cli_srtp_policies(args->value[CLI_OPT_SRTP], args->n[CLI_OPT_SRTP], offer->hdr.prf, true,
                           a->sp, &a->n_sp, err))
        return MKT_E_ARGUMENT;
    if (!mkt_crypto_sha256(client->crypto, &io.in, 1, a->digest))
        return mkt_fail(why, MKT_E_CRYPTO, 0, "digest of the offer", "RFC 3830 5.4");
    if (!cli_blob_set(&a->last, io.in, err))
        return MKT_E_MEMORY;
    a->sdp = sdp;
    a->sdp.n_lines = 0; /* they borrow */
    return choose(a, offer, why);
}

bool
phone_answer_new(struct phone_answer **out, struct cli_client *client, const struct cli_args *args,
                 struct mkt_span text, bool group, void (*done)(struct phone_job *job), void *call,
                 enum mkt_rc *rc, struct cli_error *err)
{
    struct phone_answer *a = calloc(1, sizeof *a);
    struct mkt_err why = { 0 };

    *out = NULL;
    *rc = MKT_E_MEMORY;
    if (a == NULL || (a->responder = mkt_responder_new(&client->cred)) == NULL) {
        free(a);
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    }
    a->job.run = ask;
    a->job.done = done;
    a->call = call;
    a->group = group;
    *rc = text.n <= PHONE_SDP_MAX
              ? look_at(a, client, args, text, &why, err)
              : mkt_fail(&why, MKT_E_TOO_MANY, 0, "octets of the description", "RFC 4567 3.1");
    if (*rc == MKT_OK) {
        *out = a;
        return true;
    }
    phone_answer_free(a);
    return err->code != CLI_EXIT_OK
               ? false
               : cli_fail_mkt(err, CLI_EXIT_PEER, "the offer is refused", &why);
}

void
phone_answer_free(struct phone_answer *a)
{
    if (a == NULL)
        return;
    mkt_responder_free(a->responder);
    mkt_csb_free(a->csb);
    cli_blob_free(&a->last);
    cli_blob_free(&a->out);
    free(a->cs);
    free(a);
}

bool
phone_answer_value(const struct phone_answer *a, char *value, size_t cap)
{
    size_t len;
    return mkt_sdp_value(value, cap, &len, cli_blob_span(&a->out)) == MKT_OK;
}
