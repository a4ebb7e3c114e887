/* SPDX-License-Identifier: Apache-2.0 */
/* The Initiator's half of Ticket Transfer that goes out: TRANSFER_INIT (RFC 6043 4.2.2.1). */
#include "role/initiator.h"

#include <string.h>

struct offer_draw {
    uint32_t csb_id;
    uint8_t rand[MKT_SECRET_MAX];
    size_t rand_len;
    uint64_t t64;
};

/* A group derives the same keys from the same CSB ID and RANDRi (9). */
static enum mkt_rc
same_as_group(struct offer_draw *d, struct mkt_span message)
{
    struct mkt_err err = { 0 };
    struct mkt_msg m;

    if (mkt_msg_parse(&m, message, &err) != MKT_OK)
        return err.rc;
    struct mkt_span rand = mkt_ex_randr(&m, MKT_RANDR_I);
    if (m.hdr.data_type != MKT_DT_TRANSFER_INIT || rand.n == 0 || rand.n > sizeof d->rand)
        return MKT_E_ARGUMENT;
    d->csb_id = m.hdr.csb_id;
    d->rand_len = rand.n;
    memcpy(d->rand, rand.p, rand.n);
    return MKT_OK;
}

static bool
csb_id_taken(uint32_t id, const struct mkt_offer *offer, const struct mkt_octets *last)
{
    for (size_t i = 0; i < offer->n_csb_ids; i++)
        if (offer->csb_ids[i] == id)
            return true;
    return last->n >= 8 && id == ((uint32_t)last->p[4] << 24 | (uint32_t)last->p[5] << 16 |
                                  (uint32_t)last->p[6] << 8 | last->p[7]);
}

/* "An Initiator MUST check for collisions when choosing the ID" (RFC 3830 6.1). */
static bool
draw_csb_id(uint32_t *id, const struct mkt_env *env, const struct mkt_offer *offer,
            const struct mkt_octets *last)
{
    uint8_t b[4];

    for (int attempts = 0; attempts < 8; attempts++) {
        if (!mkt_ex_random(env, b, sizeof b))
            return false;
        *id = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
        if (!csb_id_taken(*id, offer, last))
            return true;
    }
    return false; /* a generator that repeats itself */
}

/* RFC6043:12.1: RANDRi alone is as long as the longest key, so G may be set or not. */
static enum mkt_rc
fresh(struct offer_draw *d, const struct mkt_env *env, const struct mkt_grant *grant,
      const struct mkt_offer *offer, const struct mkt_octets *last)
{
    const unsigned types = 1U << MKT_KEY_MPK | MKT_TGK_TYPES | MKT_GTGK_TYPES;
    size_t longest = mkt_keys_longest(&grant->keys, types);

    /* Keys of our own are no longer than the suite's (check_offer). */
    d->rand_len = mkt_suite_of(grant->policy.prf)->key_len;
    if (longest > d->rand_len)
        d->rand_len = longest;
    if (!draw_csb_id(&d->csb_id, env, offer, last) || !mkt_ex_random(env, d->rand, d->rand_len))
        return MKT_E_RANDOM;
    return MKT_OK;
}

static enum mkt_rc
draw(struct offer_draw *d, const struct mkt_env *env, const struct mkt_grant *grant,
     const struct mkt_offer *offer, const struct mkt_octets *last)
{
    enum mkt_rc rc = offer->group_of.n != 0 ? same_as_group(d, offer->group_of)
                                            : fresh(d, env, grant, offer, last);
    if (rc != MKT_OK)
        return rc;
    return mkt_ts_stamp(env, offer->ts_type, &d->t64) ? MKT_OK : MKT_E_TS_TYPE;
}

static void
write_header(struct mkt_writer *w, const struct mkt_grant *grant, const struct mkt_offer *offer,
             const struct offer_draw *d)
{
    uint8_t map[8192];
    struct mkt_writer m = mkt_w_open(map, sizeof map);

    mkt_offer_map_write(&m, offer->cs, offer->n_cs);
    w->overflow |= m.overflow;
    mkt_hdr_write(w, &(struct mkt_hdr){ .version = 1,
                                        .data_type = MKT_DT_TRANSFER_INIT,
                                        .v = (grant->policy.flags & MKT_TP_F) != 0,
                                        .prf = grant->policy.prf,
                                        .csb_id = d->csb_id,
                                        .n_cs = (uint8_t)offer->n_cs,
                                        .map_type = MKT_MAP_GENERIC_ID,
                                        .map = mkt_span(map, m.len) });
}

/* Everything up to the end of Ticket Data; the TICKET payload ends with Initiator Data, which its
 * own message's MAC must know. */
static void
write_until_ticket(struct mkt_writer *w, const struct mkt_initiator *i,
                   const struct mkt_grant *grant, const struct mkt_offer *offer,
                   const struct offer_draw *d)
{
    write_header(w, grant, offer, d);
    mkt_ts_write(w, offer->ts_type, d->t64);
    mkt_ex_write_randr(w, MKT_RANDR_I, mkt_span(d->rand, d->rand_len));
    if ((offer->omit & MKT_OMIT_SELF) == 0)
        mkt_ex_write_idr(w, MKT_IDR_I, i->own.cred.self);
    if ((offer->omit & MKT_OMIT_PEER) == 0)
        mkt_ex_write_idr(w, MKT_IDR_R, offer->responder);
    for (size_t k = 0; k < offer->n_sp; k++)
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_SP, .u.sp = offer->sp[k] });
    if (offer->sdp_ids.n != 0)
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_GENERAL_EXT,
                                               .u.ext = { MKT_EXT_SDP_IDS, offer->sdp_ids } });
    struct mkt_payload ticket;
    struct mkt_err err = { 0 };
    size_t used = 0;
    /* GCOV_EXCL_START: the grant was made of a ticket that decodes */
    if (mkt_payload_decode(&ticket, MKT_PL_TICKET, mkt_grant_ticket(grant), &used, &err) !=
        MKT_OK) {
        w->overflow = true;
        return;
    }
    /* GCOV_EXCL_STOP */
    const struct mkt_span data = ticket.u.ticket.ticket_data;
    mkt_w_begin(w, MKT_PL_TICKET);
    mkt_w_octets(w, mkt_span(ticket.raw.p + 1, (size_t)(data.p + data.n - ticket.raw.p) - 1));
}

/* What follows TICKET: a KEMAC of the Initiator's own keys, under MPKi (4.2.2.1). */
static bool
write_keys(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_msg_keys *mk,
           const struct offer_draw *d, const struct mkt_offer *offer)
{
    return offer->keys == NULL || mkt_kemac_write(w, c, mk, d->csb_id, d->t64, offer->keys);
}

/* Length and Initiator Data, which end the TICKET payload. */
static bool
write_initiator_data(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_grant *grant,
                     struct mkt_span mac)
{
    size_t len = mkt_w_reserve(w, 2);

    if (mkt_policy_mpks(&grant->policy) == 2 &&
        !mkt_initiator_data_write(w, c, mkt_suite_of(grant->policy.prf), &grant->keys.k[1].key,
                                  mac))
        return false;
    mkt_w_patch(w, len, 2);
    return true;
}

/* V first, then Initiator Data is inserted, V stays (ambiguity 9). */
static bool
seal_offer(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_grant *grant,
           const struct offer_draw *d, const struct mkt_offer *offer, const struct mkt_span tail[2])
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_inkey_ref inkey;
    const struct mkt_suite *suite = mkt_suite_of(grant->policy.prf);
    const struct mkt_label label =
        mkt_transfer_label(false, d->csb_id, mkt_span(d->rand, d->rand_len), mkt_span(NULL, 0));
    uint8_t octets[MKT_MAC_MAX];
    const struct mkt_span mac = mkt_span(octets, suite->auth_len);
    const size_t ticket_end = w->len, ticket_slot = w->slot;

    mkt_inkey_ref_init(&inkey, &grant->keys.k[0].key);
    if (!mkt_derive_msg_keys(&mk, &inkey.base, c, suite, &label,
                             offer->keys != NULL ? MKT_WANT_ALL : MKT_WANT_AUTH) ||
        !write_keys(w, c, &mk, d, offer) || !mkt_ex_seal(w, c, &mk, tail, 2))
        return false;
    if (w->overflow)
        return true;
    memcpy(octets, w->buf + w->len - mac.n, mac.n);
    w->len = ticket_end;
    w->slot = ticket_slot;
    if (!write_initiator_data(w, c, grant, mac) || !write_keys(w, c, &mk, d, offer))
        return false;
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_V, .u.v = { suite->mac, mac } });
    return true;
}

/* When memory fails, the offer before stays open. */
static enum mkt_rc
remember_offer(struct mkt_initiator *i, struct mkt_grant *grant, struct mkt_span message,
               struct mkt_identity responder)
{
    struct mkt_octets offer = { NULL, 0 }, who = { NULL, 0 };

    if (mkt_octets_set(&offer, message) != MKT_OK ||
        mkt_octets_set(&who, responder.data) != MKT_OK) {
        mkt_octets_free(&offer);
        return MKT_E_MEMORY;
    }
    mkt_octets_free(&i->offer);
    mkt_octets_free(&i->responder);
    i->offer = offer;
    i->responder = who;
    i->responder_type = responder.type;
    i->grant = grant;
    return MKT_OK;
}

/* RFC6043:5.3: "If the Ticket Policy forbids reuse (J flag), the ticket MUST NOT be reused". Giving
 * one group key to several members is one use (ambiguity 51). */
static enum mkt_rc
check_use(const struct mkt_grant *grant, const struct mkt_offer *offer, const struct offer_draw *d,
          struct mkt_err *err)
{
    bool same_use = offer->group_of.n != 0 && d->csb_id == grant->csb_id;

    if (!grant->used || same_use || (grant->policy.flags & MKT_TP_J) != 0)
        return MKT_OK;
    return mkt_fail(err, MKT_E_TICKET, 0, "ticket may not be reused (J)", "RFC 6043 5.3");
}

static enum mkt_rc
check_offer(const struct mkt_env *env, const struct mkt_grant *grant, const struct mkt_offer *offer,
            struct mkt_err *err)
{
    const struct mkt_ticket_type *type = mkt_ticket_type_of_policy(&grant->policy);

    if (type != NULL && type->kind == MKT_TICKET_COMPAT) /* RFC6043:6.10-12 */
        return mkt_fail(err, MKT_E_TICKET_TYPE, 0,
                        "compatibility ticket (N = 0): its message is sent by itself",
                        "RFC 6043 B.1");
    if (mkt_policy_valid_at(&grant->policy, env->now, err) != MKT_OK)
        return err->rc;
    if (offer->keys == NULL)
        return MKT_OK;
    if (mkt_keys_check_own(offer->keys->k, offer->keys->n, mkt_suite_of(grant->policy.prf), err) !=
        MKT_OK)
        return err->rc;
    MKT_SCOPED_KEYS all;
    all = grant->keys;
    return mkt_keys_supply(&all, offer->keys, &grant->policy, MKT_TP_L, err);
}

enum mkt_next
mkt_initiator_offer(struct mkt_initiator *i, const struct mkt_env *env, struct mkt_grant *grant,
                    const struct mkt_offer *offer, struct mkt_io *io)
{
    static const char ref[] = "RFC 6043 4.2.2.1";
    struct mkt_writer w = mkt_w_open(io->out, io->cap);
    const struct mkt_span tail[2] = { i->own.cred.self.data, offer->responder.data };
    struct offer_draw d;

    io->out_len = 0;
    if (check_offer(env, grant, offer, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    enum mkt_rc rc = draw(&d, env, grant, offer, &i->offer);
    if (rc != MKT_OK)
        return mkt_ex_abort(io, rc, "CSB ID, RANDRi, T", ref);
    if (check_use(grant, offer, &d, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    write_until_ticket(&w, i, grant, offer, &d);
    if (!seal_offer(&w, env->crypto, grant, &d, offer, tail))
        return mkt_ex_abort(io, MKT_E_CRYPTO, "V", "RFC 6043 5.5");
    if (!w.overflow && remember_offer(i, grant, mkt_span(w.buf, w.len), offer->responder) != MKT_OK)
        return mkt_ex_abort(io, MKT_E_MEMORY, "message", ref);
    if (!w.overflow) {
        grant->used = true;
        grant->csb_id = d.csb_id;
    }
    return mkt_ex_done(io, &w, MKT_NEXT_SEND_PEER);
}

enum mkt_rc
mkt_initiator_resume(struct mkt_initiator *i, const struct mkt_env *env, struct mkt_grant *grant,
                     struct mkt_span transfer_init, struct mkt_identity responder,
                     struct mkt_err *err)
{
    struct mkt_msg m;

    if (mkt_msg_parse(&m, transfer_init, err) != MKT_OK || mkt_msg_check(&m, err) != MKT_OK)
        return err->rc;
    if (m.hdr.data_type != MKT_DT_TRANSFER_INIT || m.hdr.prf != grant->policy.prf)
        return mkt_fail(err, MKT_E_DATA_TYPE, 1, "HDR", "RFC 6043 6.1");
    if (mkt_transfer_verify_init(&m, env->crypto, &grant->keys.k[0].key, i->own.cred.self,
                                 responder, err) != MKT_OK)
        return err->rc;
    if (remember_offer(i, grant, transfer_init, responder) != MKT_OK)
        return mkt_fail(err, MKT_E_MEMORY, 0, "offer", "RFC 6043 4.2.2");
    return MKT_OK;
}
