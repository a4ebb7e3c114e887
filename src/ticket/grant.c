/* SPDX-License-Identifier: Apache-2.0 */
/* A granted ticket and its keys as one object, and as octets for a file. The file is a magic, a
 * TICKET payload and the keys as Key Data sub-payloads: docs/formats/ticket-file.md. */
#include "ticket/ticket.h"

#include "backend/backend.h"
#include <string.h>

#define FORMAT "docs/formats/ticket-file.md"

static const uint8_t magic[8] = { 'm', 'k', 't', 't', 'k', 't', '0', '2' };

enum { USED = 1 };

void
mkt_grant_free(struct mkt_grant *g)
{
    if (g == NULL)
        return;
    mkt_keys_wipe(&g->keys);
    mkt_be_free(g, MKT_GRANT_HEAD);
}

const struct mkt_policy *
mkt_grant_policy(const struct mkt_grant *g)
{
    return &g->policy;
}

const struct mkt_keys *
mkt_grant_keys(const struct mkt_grant *g)
{
    return &g->keys;
}

struct mkt_span
mkt_grant_ticket(const struct mkt_grant *g)
{
    return mkt_span(g->ticket, g->ticket_len);
}

enum mkt_rc
mkt_grant_make(struct mkt_grant **out, struct mkt_span ticket, struct mkt_keys *keys,
               struct mkt_err *err)
{
    struct mkt_payload pl;
    size_t used = 0;
    struct mkt_grant *g = mkt_be_alloc_head(sizeof *g + ticket.n, MKT_GRANT_HEAD);

    *out = NULL;
    if (g == NULL) {
        mkt_keys_wipe(keys);
        return mkt_fail(err, MKT_E_MEMORY, 0, "ticket", FORMAT);
    }
    g->ticket_len = ticket.n;
    memcpy(g->ticket, ticket.p, ticket.n);
    mkt_keys_copy(&g->keys, keys);
    mkt_keys_wipe(keys);
    /* GCOV_EXCL_BR_LINE: the caller made or decoded it */
    if (mkt_payload_decode(&pl, MKT_PL_TICKET, mkt_grant_ticket(g), &used, err) != MKT_OK ||
        mkt_policy_decode(&g->policy, &pl.u.ticket, true,
                          (size_t)(pl.u.ticket.tp_data.p - pl.raw.p), err) != MKT_OK) {
        mkt_grant_free(g);
        return err->rc;
    }
    *out = g;
    return MKT_OK;
}

enum mkt_rc
mkt_grant_export(const struct mkt_grant *g, uint8_t *out, size_t cap, size_t *len)
{
    struct mkt_writer w = mkt_w_open(out, cap);

    mkt_w_octets(&w, mkt_span(magic, sizeof magic));
    mkt_w_uint(&w, 1, g->used ? USED : 0U);
    mkt_w_uint(&w, 4, g->csb_id);
    mkt_w_vec(&w, 3, mkt_grant_ticket(g));
    mkt_keys_write(&w, &g->keys);
    if (w.overflow) {
        mkt_wipe(out, w.len);
        return MKT_E_NO_SPACE;
    }
    *len = w.len;
    return MKT_OK;
}

enum mkt_rc
mkt_grant_import(struct mkt_grant **g, struct mkt_span octets, struct mkt_err *err)
{
    struct mkt_reader r = mkt_r_open(octets, 0, "ticket file", FORMAT, err);
    struct mkt_span head = mkt_r_take(&r, sizeof magic);
    unsigned marks = mkt_r_uint(&r, 1);
    uint32_t csb_id = mkt_r_uint(&r, 4);
    struct mkt_span ticket = mkt_r_vec(&r, 3);
    struct mkt_keys *keys;
    struct mkt_payload pl;
    size_t used = 0;

    *g = NULL;
    if (err->rc != MKT_OK)
        return err->rc;
    if (memcmp(head.p, magic, sizeof magic) != 0)
        return mkt_fail(err, MKT_E_FIELD, 0, "ticket file: not one of ours", FORMAT);
    if (marks > USED)
        return mkt_fail(err, MKT_E_FIELD, sizeof magic, "ticket file: marks", FORMAT);
    if (mkt_payload_decode(&pl, MKT_PL_TICKET, ticket, &used, err) != MKT_OK)
        return err->rc;
    if (used != ticket.n)
        return mkt_fail(err, MKT_E_TRAILING, r.at - (ticket.n - used), "ticket file", FORMAT);
    const struct mkt_suite *suite = mkt_suite_of(pl.u.ticket.prf);
    if (suite == NULL)
        return mkt_fail(err, MKT_E_PRF, sizeof magic, "ticket file", FORMAT);
    keys = mkt_be_alloc(sizeof *keys);
    if (keys == NULL)
        return mkt_fail(err, MKT_E_MEMORY, 0, "ticket file", FORMAT);
    unsigned n_mpk = (pl.u.ticket.flags & MKT_TP_I) != 0 ? 2 : 1;
    if (mkt_keys_read(keys, mkt_span(r.p, r.left), r.at, suite, err) == MKT_OK &&
        mkt_keys_arrange(keys, n_mpk, r.at, err) == MKT_OK)
        (void)mkt_grant_make(g, ticket, keys, err);
    mkt_be_free(keys, sizeof *keys);
    if (*g != NULL) {
        (*g)->used = marks == USED;
        (*g)->csb_id = csb_id;
    }
    return err->rc;
}
