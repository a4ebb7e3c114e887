/* SPDX-License-Identifier: Apache-2.0 */
/* A resolved ticket as an object of its own: answered with once, kept for reuse with the same
 * modifier (RFC 6043 5.3), or passed on to others of a group (9). */
#include "role/responder.h"

#include "backend/backend.h"
#include <string.h>

#define REF "RFC 6043 4.2.3.5"

void
mkt_resolution_free(struct mkt_resolution *res)
{
    if (res == NULL)
        return;
    mkt_keys_wipe(&res->keys);
    mkt_octets_free(&res->ticket);
    mkt_octets_free(&res->idr.data);
    mkt_octets_free(&res->rand_kms);
    mkt_be_free(res, MKT_RESOLUTION_HEAD);
}

/* The TICKET payload up to the end of Ticket Data: what stays the same in all its transfers. */
static struct mkt_span
lasting(const struct mkt_payload *ticket)
{
    struct mkt_span data = ticket->u.ticket.ticket_data;
    return mkt_span(ticket->raw.p, (size_t)(data.p + data.n - ticket->raw.p));
}

bool
mkt_resolution_is_of(const struct mkt_resolution *res, const struct mkt_payload *ticket)
{
    struct mkt_span s = lasting(ticket);
    /* The first octet is the Next Payload of one message or the other. */
    return s.n == res->ticket.n - 2 && memcmp(s.p + 1, res->ticket.p + 1, s.n - 1) == 0;
}

/* Keeps the ticket with an empty Initiator Data, so that it is a whole TICKET payload. */
static enum mkt_rc
keep_ticket(struct mkt_resolution *res, struct mkt_span from, struct mkt_err *err)
{
    struct mkt_payload pl;
    size_t used = 0;

    res->ticket.n = from.n + 2;
    res->ticket.p = mkt_be_alloc(res->ticket.n + 1);
    if (res->ticket.p == NULL)
        return mkt_fail(err, MKT_E_MEMORY, 0, "ticket", REF);
    memcpy(res->ticket.p, from.p, from.n);
    /* GCOV_EXCL_START: a part of a ticket that was decoded, with an empty Initiator Data */
    if (mkt_payload_decode(&pl, MKT_PL_TICKET, mkt_octets_span(&res->ticket), &used, err) != MKT_OK)
        return err->rc;
    /* GCOV_EXCL_STOP */
    return mkt_policy_decode(&res->policy, &pl.u.ticket, true, 0, err);
}

static enum mkt_rc
make(struct mkt_resolution **out, struct mkt_span ticket, const struct mkt_keys *keys,
     struct mkt_identity idr, struct mkt_span rand_kms, struct mkt_err *err)
{
    struct mkt_resolution *res = mkt_be_alloc_head(sizeof *res, MKT_RESOLUTION_HEAD);

    if (res == NULL)
        return mkt_fail(err, MKT_E_MEMORY, 0, "ticket", REF);
    mkt_keys_copy(&res->keys, keys);
    res->idr.type = idr.type;
    if ((idr.data.p != NULL && mkt_octets_set(&res->idr.data, idr.data) != MKT_OK) ||
        (rand_kms.p != NULL && mkt_octets_set(&res->rand_kms, rand_kms) != MKT_OK))
        mkt_fail(err, MKT_E_MEMORY, 0, "ticket", REF);
    if (err->rc != MKT_OK || keep_ticket(res, ticket, err) != MKT_OK) {
        mkt_resolution_free(res);
        return err->rc;
    }
    *out = res;
    return MKT_OK;
}

/* Without forking the modifier has no use, but "MUST be sent" on when it came (4.2.2.3). */
static enum mkt_rc
check_modifier(uint16_t flags, const struct mkt_keys *keys, struct mkt_identity idr,
               struct mkt_span rand_kms, struct mkt_err *err)
{
    if ((flags & MKT_TP_I) == 0)
        return MKT_OK;
    if (idr.data.p == NULL || rand_kms.p == NULL)
        return mkt_fail(err, MKT_E_MISSING_PAYLOAD, 0, "IDRr or RANDRkms although I = 1", REF);
    if (rand_kms.n < mkt_keys_longest(keys, 1U << MKT_KEY_MPK | MKT_TGK_TYPES))
        return mkt_fail(err, MKT_E_SHORT_RAND, 0, "RANDRkms", "RFC 6043 12.1");
    return MKT_OK;
}

enum mkt_rc
mkt_resolution_make(struct mkt_resolution **res, const struct mkt_responder *r,
                    const struct mkt_keys *keys, struct mkt_identity idr, struct mkt_span rand_kms,
                    struct mkt_err *err)
{
    const struct mkt_payload *ticket = mkt_msg_find(&r->offer, MKT_PL_TICKET, 0);

    if (check_modifier(r->policy.flags, keys, idr, rand_kms, err) != MKT_OK)
        return err->rc;
    return make(res, lasting(ticket), keys, idr, rand_kms, err);
}

enum mkt_rc
mkt_resolution_copy(struct mkt_resolution **res, const struct mkt_resolution *from,
                    struct mkt_err *err)
{
    return make(res, mkt_span(from->ticket.p, from->ticket.n - 2), &from->keys,
                (struct mkt_identity){ from->idr.type, mkt_octets_span(&from->idr.data) },
                mkt_octets_span(&from->rand_kms), err);
}

const struct mkt_policy *
mkt_resolution_policy(const struct mkt_resolution *res)
{
    return &res->policy;
}

enum mkt_rc
mkt_resolution_grant(struct mkt_grant **g, const struct mkt_resolution *res, struct mkt_err *err)
{
    MKT_SCOPED_KEYS keys;

    *g = NULL;
    mkt_keys_copy(&keys, &res->keys);
    if ((res->policy.flags & MKT_TP_I) != 0)
        return mkt_fail(err, MKT_E_TP_PARAM, 0, "a forked ticket is its owner's alone (I)",
                        "RFC 6043 9.1");
    return mkt_grant_make(g, mkt_octets_span(&res->ticket), &keys, err);
}

/* --- as octets for a file ----------------------------------------------------------------------
 */

#define FORMAT "docs/formats/resolution-file.md"

static const uint8_t magic[8] = { 'm', 'k', 't', 'r', 'e', 's', '0', '1' };

enum { HAS_IDR = 1, HAS_RAND_KMS = 2 };

enum mkt_rc
mkt_resolution_export(const struct mkt_resolution *res, uint8_t *out, size_t cap, size_t *len)
{
    struct mkt_writer w = mkt_w_open(out, cap);

    mkt_w_octets(&w, mkt_span(magic, sizeof magic));
    mkt_w_vec(&w, 3, mkt_octets_span(&res->ticket));
    mkt_w_uint(&w, 1,
               (res->idr.data.p != NULL ? HAS_IDR : 0U) |
                   (res->rand_kms.p != NULL ? HAS_RAND_KMS : 0U));
    mkt_w_uint(&w, 1, res->idr.type);
    mkt_w_vec(&w, 2, mkt_octets_span(&res->idr.data));
    mkt_w_vec(&w, 1, mkt_octets_span(&res->rand_kms));
    mkt_keys_write(&w, &res->keys);
    if (w.overflow) {
        mkt_wipe(out, w.len);
        return MKT_E_NO_SPACE;
    }
    *len = w.len;
    return MKT_OK;
}

struct resolution_file {
    struct mkt_payload ticket;
    struct mkt_identity idr;
    struct mkt_span rand_kms;
};

/* Everything but the keys, which are what is left of r. */
static enum mkt_rc
read_head(struct resolution_file *f, struct mkt_reader *r)
{
    struct mkt_span head = mkt_r_take(r, sizeof magic), ticket = mkt_r_vec(r, 3);
    unsigned has = mkt_r_uint(r, 1);
    size_t used = 0;

    f->idr.type = (uint8_t)mkt_r_uint(r, 1);
    f->idr.data = mkt_r_vec(r, 2);
    f->rand_kms = mkt_r_vec(r, 1);
    if (r->err->rc != MKT_OK)
        return r->err->rc;
    if (memcmp(head.p, magic, sizeof magic) != 0 || has > (HAS_IDR | HAS_RAND_KMS) ||
        ((has & HAS_IDR) == 0 && f->idr.data.n != 0) ||
        ((has & HAS_RAND_KMS) == 0 && f->rand_kms.n != 0))
        return mkt_fail(r->err, MKT_E_FIELD, 0, "resolution file", FORMAT);
    if ((has & HAS_IDR) == 0)
        f->idr.data.p = NULL;
    if ((has & HAS_RAND_KMS) == 0)
        f->rand_kms.p = NULL;
    if (mkt_payload_decode(&f->ticket, MKT_PL_TICKET, ticket, &used, r->err) != MKT_OK)
        return r->err->rc;
    if (used != ticket.n || f->ticket.u.ticket.initiator_data.n != 0 ||
        mkt_suite_of(f->ticket.u.ticket.prf) == NULL)
        return mkt_fail(r->err, MKT_E_FIELD, sizeof magic, "resolution file: TICKET", FORMAT);
    return MKT_OK;
}

enum mkt_rc
mkt_resolution_import(struct mkt_resolution **res, struct mkt_span octets, struct mkt_err *err)
{
    struct mkt_reader r = mkt_r_open(octets, 0, "resolution file", FORMAT, err);
    struct resolution_file f = { 0 };
    MKT_SCOPED_KEYS keys;

    keys.n = 0;
    *res = NULL;
    if (read_head(&f, &r) != MKT_OK)
        return err->rc;
    const struct mkt_pl_ticket *t = &f.ticket.u.ticket;
    unsigned n_mpk = (t->flags & MKT_TP_I) != 0 ? 2 : 1;
    if (mkt_keys_read(&keys, mkt_span(r.p, r.left), r.at, mkt_suite_of(t->prf), err) != MKT_OK ||
        mkt_keys_arrange(&keys, n_mpk, r.at, err) != MKT_OK ||
        check_modifier(t->flags, &keys, f.idr, f.rand_kms, err) != MKT_OK)
        return err->rc;
    return make(res, lasting(&f.ticket), &keys, f.idr, f.rand_kms, err);
}
