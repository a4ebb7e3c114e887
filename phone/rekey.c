/* SPDX-License-Identifier: Apache-2.0 */
/* New keys during a call: a later offer whose MIKEY message is a CSB update (RFC 4567 4.1.2, RFC
 * 6043 5.2). The caller brings them, and the callee may, as the ticket allows (L and M flags). */
#include "keys.h"

#include "session_key.h"

#include <stdlib.h>
#include <string.h>

#define POLICY_FIRST 128 /* Policy_nos of updates; offers count from 0 */
#define SESSIONS 2       /* of one m-line */

/* --- who offers ------------------------------------------------------------------------------- */

/* Every session gets the new key and keeps the rest. */
static size_t
change_sessions(const struct mkt_csb *csb, const struct mkt_keys *keys, struct mkt_pl_sp *sp,
                struct mkt_offer_cs *cs)
{
    struct mkt_session s;
    size_t n = 0;

    while (n < SESSIONS && mkt_csb_session(csb, n, &s) == MKT_OK) {
        sp[n] = (struct mkt_pl_sp){ (uint8_t)(POLICY_FIRST + n), s.prot_type, s.params };
        cs[n] = (struct mkt_offer_cs){ .cs_id = s.cs_id,
                                       .prot_type = s.prot_type,
                                       .n_policies = 1,
                                       .policies = { sp[n].policy_no },
                                       .has_ssrc = true,
                                       .ssrc = s.ssrc,
                                       .spi = cli_supply_spi(keys, n) };
        n++;
    }
    return n;
}

bool
phone_rekey_value(struct mkt_csb *csb, struct cli_client *client, char *value, size_t cap,
                  struct cli_error *err)
{
    static const struct cli_args args = { .value = { [CLI_OPT_SUPPLY] = { "TGK" } },
                                          .n = { [CLI_OPT_SUPPLY] = 1 } };
    CLI_SCOPED_KEYS keys = { .n = 0 };
    struct mkt_pl_sp sp[SESSIONS];
    struct mkt_offer_cs cs[SESSIONS];
    size_t len;

    if (!cli_supply_read(&keys, &args, mkt_csb_policy(csb)->prf, err) ||
        !cli_client_rooms(client, err))
        return false;
    size_t n = change_sessions(csb, &keys, sp, cs);
    const struct mkt_update update = {
        .cs = cs, .n_cs = n, .sp = sp, .n_sp = n, .keys = &keys, .answer = true
    };
    struct mkt_env env = cli_client_env(client);
    struct mkt_io io = { .out = client->out.p, .cap = client->out.cap };
    if (mkt_csb_update(csb, &env, &update, &io) != MKT_NEXT_SEND_PEER)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot make new keys", &io.err);
    return mkt_sdp_value(value, cap, &len, mkt_span(client->out.p, io.out_len)) == MKT_OK ||
           cli_fail(err, CLI_EXIT_FAILURE, "the update is too long");
}

bool
phone_rekey_answered(struct mkt_csb *csb, struct cli_client *client, const struct mkt_sdp *offer,
                     struct mkt_span text, struct cli_error *err)
{
    struct mkt_sdp_keys keys;
    struct mkt_io io = { 0 };

    if (phone_sdp_take_answer(&keys, offer, text, &io.err) != MKT_SDP_KEYS)
        return cli_fail_mkt(err, CLI_EXIT_PEER, "the answer to new keys is refused", &io.err);
    io.in = keys.found[0].message;
    struct mkt_env env = cli_client_env(client);
    return mkt_csb_updated(csb, &env, &io) == MKT_NEXT_DONE ||
           cli_fail_mkt(err, CLI_EXIT_PEER, "the answer to new keys is refused", &io.err);
}

/* --- who is offered --------------------------------------------------------------------------- */

static enum mkt_rc
take_update(struct phone_answer *a, struct cli_client *client, const struct mkt_sdp *sdp, int level,
            const struct mkt_msg *message, struct mkt_err *why, struct cli_error *err)
{
    struct mkt_choose_cs cs[2 * MKT_SDP_MEDIA_MAX];
    struct mkt_choice choice = { .cs = cs };
    struct mkt_sdp_map map = a->map;
    struct mkt_io io = { .in = message->octets, .out = client->out.p, .cap = client->out.cap };
    struct mkt_env env = cli_client_env(client);

    if (mkt_csb_update_offered(a->csb, &env, PHONE_SKEW_S, &io) != MKT_NEXT_ASK) {
        *why = io.err;
        return mkt_fail(why, MKT_E_STATE, 0, "an update without an answer", "RFC 4567 4.1.2");
    }
    if (mkt_choice_default(message, a->sp, a->n_sp, cs, CLI_COUNT(cs), &choice.n_cs, why) != MKT_OK)
        return why->rc;
    if (mkt_csb_update_accept(a->csb, &env, &choice, &io) != MKT_NEXT_SEND_PEER) {
        *why = io.err;
        return why->rc;
    }
    if (!cli_blob_set(&a->out, mkt_span(io.out, io.out_len), err))
        return MKT_E_MEMORY;
    if (mkt_sdp_map_updated(&map, sdp, level, a->csb, why) == MKT_OK)
        a->map = map;
    return why->rc;
}

static enum mkt_rc
look_at(struct phone_answer *a, struct cli_client *client, struct mkt_span text,
        enum phone_again *what, struct mkt_err *why, struct cli_error *err)
{
    static struct mkt_msg message; /* some kilobytes */
    struct mkt_sdp_keys keys;
    struct mkt_sdp sdp;
    enum mkt_rc rc;

    if (!cli_client_rooms(client, err))
        return MKT_E_MEMORY;
    if (mkt_sdp_read(&sdp, text, why) != MKT_OK ||
        mkt_sdp_check_reoffer(&a->sdp, &sdp, why) != MKT_OK)
        return why->rc;
    enum mkt_sdp_next next = phone_sdp_take(&keys, &sdp, MKT_SDP_OFFER, why);
    *what = PHONE_AGAIN_SILENT;
    if (next == MKT_SDP_KEEP)
        return MKT_OK;
    if (next != MKT_SDP_KEYS || keys.n != 1)
        return mkt_fail(why, MKT_E_FIELD, 0, "later offer: not one bundle of keys",
                        "RFC 4567 4.1.2");
    if (mkt_msg_parse(&message, keys.found[0].message, why) != MKT_OK)
        return why->rc;
    *what = PHONE_AGAIN_SAME;
    switch (mkt_sdp_renewal(&message, a->csb, cli_blob_span(&a->last))) {
    case MKT_SDP_SAME:
        return MKT_OK;
    case MKT_SDP_UPDATE:
        *what = PHONE_AGAIN_NEW;
        rc = take_update(a, client, &sdp, keys.found[0].level, &message, why, err);
        return rc == MKT_OK && !cli_blob_set(&a->last, message.octets, err) ? MKT_E_MEMORY : rc;
    default: /* another ticket would be another call */
        return mkt_fail(why, MKT_E_DATA_TYPE, 0, "later offer: not an update of this call",
                        "RFC 4567 4.1.2");
    }
}

struct phone_answer *
phone_answer_of_caller(struct mkt_csb *csb, const struct phone_offer *offer)
{
    struct phone_answer *a = calloc(1, sizeof *a);

    if (a == NULL)
        return NULL;
    a->csb = csb;
    memcpy(a->sp, offer->sp, sizeof a->sp);
    a->n_sp = offer->n_sp;
    a->map = offer->map;
    a->sdp = offer->sent.sdp;
    a->sdp.n_lines = 0;
    return a;
}

bool
phone_answer_again(struct phone_answer *a, struct cli_client *client, struct mkt_span text,
                   enum phone_again *what, enum mkt_rc *rc, struct cli_error *err)
{
    struct mkt_err why = { 0 };

    *rc = text.n <= PHONE_SDP_MAX
              ? look_at(a, client, text, what, &why, err)
              : mkt_fail(&why, MKT_E_TOO_MANY, 0, "octets of the description", "RFC 4567 3.1");
    if (*rc == MKT_OK)
        return true;
    return err->code != CLI_EXIT_OK
               ? false
               : cli_fail_mkt(err, CLI_EXIT_PEER, "the later offer is refused", &why);
}
