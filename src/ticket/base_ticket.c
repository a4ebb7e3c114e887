/* SPDX-License-Identifier: Apache-2.0 */
/* The MIKEY base ticket (RFC 6043 Appendix A): made in place in the message, opened by the TPK. */
#include "ticket/ticket.h"

#include <string.h>

#define REF "RFC 6043 A.1"
#define NO_CSB 0xFFFFFFFFU /* A.1: "If CSB ID is needed ... it SHALL be set to '0xFFFFFFFF'" */

static struct mkt_label
tpk_label(struct mkt_span rand)
{
    return (struct mkt_label){ .use = MKT_USE_FROM_TPK, .nonce1 = rand };
}

/* Ticket Data = THDR, T, RAND, KEMAC, [IDRpsk], V without its MAC. A reference ticket has no KEMAC.
 */
static bool
write_ticket_data(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_msg_keys *mk,
                  const struct mkt_base_ticket *t)
{
    w->slot = mkt_w_reserve(w, 1); /* THDR has no number of its own, just a Next Payload */
    mkt_w_vec(w, 2, t->thdr);
    mkt_ts_write(w, t->ts_type, t->t64);
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_RAND, .u.rand = { t->rand } });
    if (t->keys != NULL && !mkt_kemac_write(w, c, mk, NO_CSB, t->t64, t->keys))
        return false;
    if (t->tpk_id.n != 0)
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_IDR,
                                               .u.idr = { MKT_IDR_PSK, MKT_ID_BYTES, t->tpk_id } });
    mkt_w_begin(w, MKT_PL_V);
    mkt_w_uint(w, 1, mk->suite->mac);
    return true;
}

bool
mkt_base_ticket_write(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_inkey *tpk,
                      const struct mkt_policy *granted, const struct mkt_base_ticket *t)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    const struct mkt_suite *suite = mkt_suite_of(granted->prf);
    struct mkt_label label = tpk_label(t->rand);
    size_t start = w->len;

    if (suite == NULL || !mkt_derive_msg_keys(&mk, tpk, c, suite, &label, MKT_WANT_ALL))
        return false;
    mk.key_wrap = t->key_wrap;
    mkt_granted_policy_write(w, granted);
    size_t outer = w->slot;
    size_t len = mkt_w_reserve(w, 2);
    if (!write_ticket_data(w, c, &mk, t))
        return false;
    size_t mac_at = w->len;
    uint8_t *mac = mkt_w_room(w, suite->auth_len);
    mkt_w_patch(w, len, 2);
    w->slot = outer;
    mkt_w_uint(w, 2, 0); /* Initiator Data length: the Initiator's to fill (6.10) */
    if (mac == NULL)
        return true;
    /* Everything but the Next Payload octet of TICKET, the MAC and the Initiator Data. */
    struct mkt_span covered = mkt_span(w->buf + start + 1, mac_at - start - 1);
    return mkt_mac_run(c, &mk, &covered, 1, mac);
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum mkt_rc
damaged(struct mkt_err *err, size_t at, const char *what)
{
    return mkt_fail(err, MKT_E_TICKET, at, what, REF);
}

/* Puts the payload into its slot; a second one of a kind makes the ticket ambiguous. */
static bool
place(struct mkt_ticket_data *d, const struct mkt_payload *pl)
{
    const struct mkt_payload **slot = NULL;

    switch (pl->type) {
    case MKT_PL_THDR:
        slot = &d->thdr;
        break;
    case MKT_PL_T:
        slot = &d->t;
        break;
    case MKT_PL_RAND:
        slot = &d->rand;
        break;
    case MKT_PL_KEMAC:
        slot = &d->kemac;
        break;
    case MKT_PL_V:
        slot = &d->v;
        break;
    case MKT_PL_IDR:
        if (pl->u.idr.role == MKT_IDR_PSK)
            slot = &d->psk_id;
        break;
    default:
        break; /* unexpected: ignored (Appendix A) */
    }
    if (slot == NULL)
        return true;
    if (*slot != NULL)
        return false;
    *slot = pl;
    return true;
}

enum mkt_rc
mkt_ticket_data_read(struct mkt_ticket_data *d, const struct mkt_payload *ticket,
                     struct mkt_err *err)
{
    const struct mkt_pl_ticket *tk = &ticket->u.ticket;
    size_t at = ticket->at + (size_t)(tk->ticket_data.p - ticket->raw.p);
    struct mkt_err inner = { 0 };
    struct mkt_reader r = mkt_r_open(tk->ticket_data, at, "Ticket Data", REF, &inner);

    const struct mkt_ticket_type *type =
        mkt_ticket_type_of(tk->ticket_type, tk->subtype, tk->version);

    if (type == NULL || type->kind == MKT_TICKET_COMPAT)
        return mkt_fail(err, MKT_E_TICKET_TYPE, ticket->at, "TICKET: not of a type that is opened",
                        "RFC 6043 6.10");
    bool by_reference = type->kind == MKT_TICKET_REFERENCE;
    d->thdr = d->t = d->rand = d->kemac = d->psk_id = d->v = NULL;
    if (mkt_chain_read(&r, MKT_PL_THDR, d->pl, sizeof d->pl / sizeof d->pl[0], &d->n) != MKT_OK)
        return damaged(err, inner.offset, inner.what);
    for (size_t i = 0; i < d->n; i++)
        if (!place(d, &d->pl[i]))
            return damaged(err, d->pl[i].at, "Ticket Data: a payload twice");
    if (d->t == NULL || d->rand == NULL || d->v == NULL)
        return damaged(err, at, "Ticket Data: T, RAND or V missing");
    if ((d->kemac == NULL) != by_reference)
        return damaged(err, at, "Ticket Data: KEMAC missing, or beside a reference");
    if (by_reference && d->thdr->u.thdr.data.n != MKT_REFERENCE_LEN)
        return damaged(err, at, "Ticket Data: reference");
    if (d->v != &d->pl[d->n - 1])
        return damaged(err, d->v->at, "Ticket Data: V is not last");
    return MKT_OK;
}

static enum mkt_rc
verify(const struct mkt_payload *ticket, const struct mkt_ticket_data *d, struct mkt_crypto *c,
       const struct mkt_msg_keys *mk, struct mkt_err *err)
{
    const struct mkt_pl_v *v = &d->v->u.v;
    uint8_t mac[MKT_MAC_MAX];
    struct mkt_span covered = mkt_span(ticket->raw.p + 1, (size_t)(v->mac.p - ticket->raw.p) - 1);

    if (v->auth_alg != mk->suite->mac)
        return damaged(err, d->v->at, "Ticket Data: V is not of the suite");
    if (!mkt_mac_run(c, mk, &covered, 1, mac))
        return mkt_fail(err, MKT_E_CRYPTO, d->v->at, "Ticket Data: V", REF);
    if (!mkt_ct_equal(mkt_span(mac, mk->suite->auth_len), v->mac))
        return damaged(err, d->v->at, "Ticket Data: V does not verify");
    return MKT_OK;
}

/* MPKr gets the SPI of the MPK with the last bit flipped (ambiguity 30). */
bool
mkt_mpk_split(struct mkt_keys *keys, const struct mkt_policy *policy, struct mkt_crypto *c,
              struct mkt_span rand)
{
    MKT_SCOPED_SECRET
    mpk = keys->k[0].key;
    MKT_SCOPED_SECRET
    mpk_r = { 0 };

    if (!mkt_derive_mpks(&keys->k[0].key, &mpk_r, c, policy->prf, &mpk, rand))
        return false;
    if (mkt_policy_mpks(policy) == 1)
        return true;
    for (size_t i = keys->n++; i > 1; i--)
        keys->k[i] = keys->k[i - 1];
    keys->k[1] = keys->k[0];
    keys->k[1].key = mpk_r;
    if (keys->k[1].spi_len != 0)
        keys->k[1].spi[keys->k[1].spi_len - 1] ^= 1;
    return true;
}

/* The MPK and session keys: from the KEMAC, or as the KMS kept them. */
static enum mkt_rc
find_keys(struct mkt_keys *keys, const struct mkt_ticket_data *d, struct mkt_crypto *c,
          const struct mkt_msg_keys *mk, struct mkt_err *err)
{
    const struct mkt_pl_t *t = &d->t->u.t;
    uint64_t t64 = mkt_ts_widen(t->ts_type, t->value);

    if (d->kemac != NULL && mkt_kemac_read(keys, d->kemac, c, mk, NO_CSB, t64, err) != MKT_OK)
        return err->rc;
    return mkt_keys_arrange(keys, 1, d->v->at, err);
}

static enum mkt_rc
open_keys(struct mkt_keys *keys, const struct mkt_ticket_data *d, const struct mkt_policy *policy,
          struct mkt_crypto *c, const struct mkt_msg_keys *mk, struct mkt_err *err)
{
    struct mkt_span rand = d->rand->u.rand.rand;
    struct mkt_err inner = { 0 };

    if (find_keys(keys, d, c, mk, &inner) != MKT_OK)
        return inner.rc == MKT_E_CRYPTO ? mkt_fail(err, inner.rc, inner.offset, inner.what, REF)
                                        : damaged(err, inner.offset, inner.what);
    if (rand.n < keys->k[0].key.n) /* RFC6043:12.1 */
        return damaged(err, d->rand->at, "Ticket Data: RAND shorter than the MPK");
    if (keys->n > MKT_KEYS_MAX + 1 - mkt_policy_mpks(policy))
        return damaged(err, d->v->at, "Ticket Data: no room for MPKr");
    if (!mkt_mpk_split(keys, policy, c, rand))
        return mkt_fail(err, MKT_E_CRYPTO, d->rand->at, "MPK", "RFC 6043 A.2.2");
    return MKT_OK;
}

enum mkt_rc
mkt_base_ticket_open(struct mkt_keys *keys, const struct mkt_payload *ticket,
                     const struct mkt_ticket_data *d, const struct mkt_policy *policy,
                     struct mkt_crypto *c, const struct mkt_inkey *tpk, struct mkt_err *err)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    const struct mkt_suite *suite = mkt_suite_of(policy->prf);
    struct mkt_label label = tpk_label(d->rand->u.rand.rand);

    if (suite == NULL)
        return damaged(err, ticket->at, "TICKET: PRF Func");
    if (d->rand->u.rand.rand.n < tpk->len)
        return damaged(err, d->rand->at, "Ticket Data: RAND shorter than the TPK");
    if (!mkt_derive_msg_keys(&mk, tpk, c, suite, &label, MKT_WANT_ALL))
        return mkt_fail(err, MKT_E_CRYPTO, ticket->at, "TPK", "RFC 6043 A.2.1");
    if (verify(ticket, d, c, &mk, err) != MKT_OK)
        return err->rc;
    if (open_keys(keys, d, policy, c, &mk, err) != MKT_OK)
        mkt_keys_wipe(keys);
    return err->rc;
}
