/* SPDX-License-Identifier: Apache-2.0 */
#include "sent.h"

bool
phone_sent_keep(struct phone_sent *s, struct mkt_span text, struct cli_error *err)
{
    struct mkt_err why = { 0 };

    if (!cli_blob_set(&s->text, text, err))
        return false;
    return mkt_sdp_read(&s->sdp, cli_blob_span(&s->text), &why) == MKT_OK ||
           cli_fail_mkt(err, CLI_EXIT_FAILURE, "our own description", &why);
}

void
phone_sent_free(struct phone_sent *s)
{
    cli_blob_free(&s->text);
}

enum mkt_sdp_next
phone_sdp_take(struct mkt_sdp_keys *keys, const struct mkt_sdp *sdp, enum mkt_sdp_kind kind,
               struct mkt_err *why)
{
    static uint8_t octets[PHONE_SDP_MAX]; /* decoded they are fewer */

    return mkt_sdp_take(keys, sdp, kind, octets, sizeof octets, why);
}

enum mkt_sdp_next
phone_sdp_take_answer(struct mkt_sdp_keys *keys, const struct mkt_sdp *offer, struct mkt_span text,
                      struct mkt_err *why)
{
    struct mkt_sdp answer;

    if (text.n > PHONE_SDP_MAX || mkt_sdp_read(&answer, text, why) != MKT_OK ||
        mkt_sdp_check_answer(offer, &answer, why) != MKT_OK)
        return MKT_SDP_REFUSE;
    return phone_sdp_take(keys, &answer, MKT_SDP_ANSWER, why);
}

static bool
refused(const struct mkt_io *io, struct cli_error *err)
{
    if (io->err.rc == MKT_E_PEER_ERROR)
        return cli_fail(err, CLI_EXIT_PEER, "the other party refused: %s (error %u%s)",
                        mkt_error_no_name(io->peer_error), io->peer_error,
                        io->peer_error_authentic ? "" : ", not authenticated");
    return cli_fail_mkt(err, CLI_EXIT_PEER, "the answer is refused", &io->err);
}

bool
phone_sent_answered(const struct phone_sent *s, struct mkt_initiator *initiator,
                    struct cli_client *client, struct mkt_span text, struct mkt_csb **csb,
                    struct cli_error *err)
{
    struct mkt_sdp_keys keys;
    struct mkt_io io = { 0 };

    *csb = NULL;
    if (phone_sdp_take_answer(&keys, &s->sdp, text, &io.err) == MKT_SDP_REFUSE)
        return refused(&io, err);
    if (keys.n != 1)
        return cli_fail(err, CLI_EXIT_PEER, "the answer has no keys");
    io.in = keys.found[0].message;
    struct mkt_env env = cli_client_env(client);
    return mkt_initiator_answered(initiator, &env, &io, csb) == MKT_NEXT_DONE || refused(&io, err);
}
