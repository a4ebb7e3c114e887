/* SPDX-License-Identifier: Apache-2.0 */
/* What to answer with: a policy that is equal to one we support, and a choice that outlives its
 * maker. */
#include "role/role.h"

#include "backend/backend.h"
#include <string.h>

#define REF "RFC 6043 4.2.2.2"

/* Defaults of SRTP parameters that are left out: RFC 3830 6.10.1, RFC 7714 14.3. -1: no default. */
static const int defaults[] = {
    [0] = 1,   [1] = 16,  [2] = 1,   [3] = 20,  [4] = 14,  [5] = 0,   [6] = 0,
    [7] = 1,   [8] = 1,   [9] = 0,   [10] = 1,  [11] = 10, [12] = 0,  [13] = 1,
    [14] = -1, [15] = -1, [16] = -1, [17] = -1, [18] = -1, [19] = -1, [20] = 16,
};

enum {
    PARAMS_KNOWN = sizeof defaults / sizeof defaults[0],
    SP_ENCR_ALG = 0,
    SP_SALT_LEN = 4,
    AES_GCM = 6
};

/* A policy as a vector of values, so that "left out" and "the default" are equal. */
struct values {
    int64_t v[PARAMS_KNOWN];
};

/* False for a parameter we do not know, or a value wider than 32 bits: equal to nothing. */
static bool
read_values(struct values *out, struct mkt_span params)
{
    struct mkt_sp_param p;

    for (size_t i = 0; i < PARAMS_KNOWN; i++)
        out->v[i] = INT64_MIN;
    while (mkt_sp_next(&params, &p)) {
        if (p.type >= PARAMS_KNOWN || p.value.n > 4)
            return false;
        out->v[p.type] = 0;
        for (size_t i = 0; i < p.value.n; i++)
            out->v[p.type] = out->v[p.type] << 8 | p.value.p[i];
    }
    bool gcm = out->v[SP_ENCR_ALG] == AES_GCM;
    for (size_t i = 0; i < PARAMS_KNOWN; i++)
        if (out->v[i] == INT64_MIN)
            out->v[i] = i == SP_SALT_LEN && gcm ? 12 : defaults[i];
    return true;
}

static bool
equal(const struct mkt_pl_sp *a, const struct mkt_pl_sp *b)
{
    struct values va, vb;

    if (a->prot_type != b->prot_type)
        return false;
    if (a->prot_type != MKT_PROT_SRTP) /* parameters of another protocol: octet by octet */
        return a->params.n == b->params.n &&
               (a->params.n == 0 || memcmp(a->params.p, b->params.p, a->params.n) == 0);
    return read_values(&va, a->params) && read_values(&vb, b->params) &&
           memcmp(&va, &vb, sizeof va) == 0;
}

static bool
supports(const struct mkt_pl_sp *supported, size_t n, const struct mkt_pl_sp *sp)
{
    for (size_t i = 0; sp != NULL && i < n; i++)
        if (equal(&supported[i], sp))
            return true;
    return false;
}

/* The first policy offered that we support; ours, when the offer leaves it to us (6.1.1). */
static bool
choose_policy(uint8_t *policy_no, const struct mkt_msg *offer, const struct mkt_cs *cs,
              const struct mkt_pl_sp *supported, size_t n)
{
    for (size_t i = 0; i < cs->policies.n; i++) {
        *policy_no = cs->policies.p[i];
        if (supports(supported, n, mkt_transfer_sp(NULL, offer, *policy_no, cs->prot_type)))
            return true;
    }
    for (size_t i = 0; cs->policies.n == 0 && i < n; i++) {
        *policy_no = supported[i].policy_no;
        if (supported[i].prot_type == cs->prot_type)
            return true;
    }
    return false;
}

enum mkt_rc
mkt_choice_default(const struct mkt_msg *offer, const struct mkt_pl_sp *supported,
                   size_t n_supported, struct mkt_choose_cs *out, size_t cap, size_t *n,
                   struct mkt_err *err)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;

    *n = 0;
    mkt_map_begin(&it, &offer->hdr);
    while (mkt_map_next(&it, &cs)) {
        size_t at = (size_t)(it.rest.p - offer->octets.p);
        uint8_t policy_no = 0;
        if (*n == cap)
            return mkt_fail(err, MKT_E_TOO_MANY, at, "crypto sessions", REF);
        if (!choose_policy(&policy_no, offer, &cs, supported, n_supported))
            return mkt_fail(err, MKT_E_SP_PARAM, at, "no acceptable security policy", REF);
        out[(*n)++] = (struct mkt_choose_cs){ .cs_id = cs.cs_id,
                                              .prot_type = cs.prot_type,
                                              .policy_no = policy_no };
    }
    return MKT_OK;
}

enum mkt_rc
mkt_csb_check_policies(const struct mkt_csb *csb, const struct mkt_pl_sp *supported,
                       size_t n_supported, struct mkt_err *err)
{
    for (size_t i = 0; i < csb->n; i++) {
        const struct mkt_session *s = &csb->sessions[i].s;
        const struct mkt_pl_sp sp = { .prot_type = s->prot_type, .params = s->params };
        if (!supports(supported, n_supported, &sp))
            return mkt_fail(err, MKT_E_SP_PARAM, 0, "a security policy that is not supported",
                            "RFC 6043 4.2.2.4");
    }
    return MKT_OK;
}

/* --- the choice, kept between accept and resolved -------------------------------------------- */

void
mkt_choice_free(struct mkt_own_choice *o)
{
    mkt_be_free(o->cs, o->n_cs * sizeof *o->cs);
    mkt_be_free(o->sp, o->n_sp * sizeof *o->sp);
    mkt_octets_free(&o->blob);
    if (o->keys != NULL)
        mkt_keys_wipe(o->keys);
    mkt_be_free(o->keys, sizeof *o->keys);
    *o = (struct mkt_own_choice){ 0 };
}

static struct mkt_span
keep(struct mkt_writer *w, struct mkt_span s)
{
    size_t at = w->len;
    mkt_w_octets(w, s);
    return mkt_span(w->buf + at, s.n);
}

static size_t
blob_size(const struct mkt_choice *choice)
{
    size_t n = choice->sdp_ids.n;
    for (size_t i = 0; i < choice->n_cs; i++)
        n += choice->cs[i].session_data.n + choice->cs[i].spi.n;
    for (size_t i = 0; i < choice->n_sp; i++)
        n += choice->sp[i].params.n;
    return n;
}

/* Every session offered, with the first of its policies. One that offers none has policy 0 chosen,
 * which the making of the CSB refuses unless an SP with that number exists. */
static void
choose_all(struct mkt_choose_cs *out, size_t n, const struct mkt_msg *offer)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;

    mkt_map_begin(&it, &offer->hdr);
    for (size_t i = 0; i < n && mkt_map_next(&it, &cs); i++)
        out[i] = (struct mkt_choose_cs){ .cs_id = cs.cs_id,
                                         .prot_type = cs.prot_type,
                                         .policy_no = cs.policies.n != 0 ? cs.policies.p[0] : 0 };
}

static enum mkt_rc
allocate(struct mkt_own_choice *o, const struct mkt_choice *choice, size_t n_cs)
{
    o->cs = n_cs != 0 ? mkt_be_alloc(n_cs * sizeof *o->cs) : NULL;
    o->n_cs = o->cs != NULL ? n_cs : 0;
    o->sp = choice->n_sp != 0 ? mkt_be_alloc(choice->n_sp * sizeof *o->sp) : NULL;
    o->n_sp = o->sp != NULL ? choice->n_sp : 0;
    o->blob.n = blob_size(choice);
    o->blob.p = mkt_be_alloc(o->blob.n + 1);
    if (choice->keys != NULL)
        o->keys = mkt_be_alloc(sizeof *o->keys);
    if ((o->keys == NULL) != (choice->keys == NULL) || o->n_cs != n_cs || o->n_sp != choice->n_sp ||
        o->blob.p == NULL) {
        mkt_choice_free(o);
        return MKT_E_MEMORY;
    }
    return MKT_OK;
}

enum mkt_rc
mkt_choice_copy(struct mkt_own_choice *out, const struct mkt_choice *choice,
                const struct mkt_msg *offer)
{
    struct mkt_own_choice o = { 0 };
    size_t n_cs = choice->n_cs != 0 ? choice->n_cs : offer->hdr.n_cs;

    if (n_cs > UINT8_MAX)
        return MKT_E_TOO_MANY;
    if (allocate(&o, choice, n_cs) != MKT_OK)
        return MKT_E_MEMORY;
    struct mkt_writer w = mkt_w_open(o.blob.p, o.blob.n);
    if (choice->n_cs == 0)
        choose_all(o.cs, n_cs, offer);
    for (size_t i = 0; i < choice->n_cs; i++) {
        o.cs[i] = choice->cs[i];
        o.cs[i].session_data = keep(&w, choice->cs[i].session_data);
        o.cs[i].spi = keep(&w, choice->cs[i].spi);
    }
    for (size_t i = 0; i < choice->n_sp; i++) {
        o.sp[i] = choice->sp[i];
        o.sp[i].params = keep(&w, choice->sp[i].params);
    }
    o.sdp_ids = keep(&w, choice->sdp_ids);
    if (o.keys != NULL)
        mkt_keys_copy(o.keys, choice->keys);
    mkt_choice_free(out);
    *out = o;
    return MKT_OK;
}
