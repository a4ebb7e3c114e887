/* SPDX-License-Identifier: Apache-2.0 */
/* Keys by their RFC names: a label, an inkey, an outkey. All keys that come from one inkey are
 * asked for in one call, so that a vault is asked once and the HMAC is keyed once. */
#include "keys/keys.h"

#include <string.h>

/* Writes a label into buf and says what to derive with it. False when the label is refused. */
static bool
plan(struct mkt_derive *d, uint8_t buf[MKT_LABEL_MAX], enum mkt_constant constant,
     const struct mkt_label *l, uint8_t *out, size_t out_len)
{
    struct mkt_writer w = mkt_w_open(buf, MKT_LABEL_MAX);
    mkt_label_write(&w, constant, l);
    *d = (struct mkt_derive){ mkt_span(buf, w.len), out, out_len };
    return !w.overflow;
}

void
mkt_msg_keys_wipe(struct mkt_msg_keys *k)
{
    mkt_wipe(k, sizeof *k);
}

bool
mkt_derive_msg_keys(struct mkt_msg_keys *out, const struct mkt_inkey *k, struct mkt_crypto *c,
                    const struct mkt_suite *suite, const struct mkt_label *l, enum mkt_which which)
{
    uint8_t label[3][MKT_LABEL_MAX];
    struct mkt_derive d[3];
    size_t n = 0;
    bool ok = true;

    memset(out, 0, sizeof *out);
    out->suite = suite;
    if (which & MKT_WANT_AUTH) {
        ok = plan(&d[n], label[n], MKT_C_AUTH, l, out->auth, suite->auth_len);
        n++;
    }
    if (which & MKT_WANT_ENCR) {
        ok = plan(&d[n], label[n], MKT_C_ENCR, l, out->encr, suite->key_len) && ok;
        n++;
        ok = plan(&d[n], label[n], MKT_C_SALT, l, out->salt, sizeof out->salt) && ok;
        n++;
    }
    ok = ok && n != 0 && k->prf(k, c, suite->prf, d, n);
    if (!ok)
        mkt_msg_keys_wipe(out);
    return ok;
}

bool
mkt_derive_secrets(struct mkt_secret *const out[], const enum mkt_constant constant[], size_t n,
                   struct mkt_crypto *c, uint8_t prf_func, const struct mkt_secret *inkey,
                   const struct mkt_label *l)
{
    uint8_t label[MKT_DERIVED_MAX][MKT_LABEL_MAX];
    struct mkt_derive d[MKT_DERIVED_MAX];
    bool ok = n <= MKT_DERIVED_MAX;

    for (size_t i = 0; ok && i < n; i++)
        ok = out[i]->n != 0 && out[i]->n <= sizeof out[i]->b &&
             plan(&d[i], label[i], constant[i], l, out[i]->b, out[i]->n);
    ok = ok && mkt_prf_run(c, prf_func, mkt_secret_span(inkey), d, n);
    for (size_t i = 0; !ok && i < n; i++)
        mkt_secret_wipe(out[i]);
    return ok;
}

bool
mkt_derive_secret(struct mkt_secret *out, struct mkt_crypto *c, uint8_t prf_func,
                  const struct mkt_secret *inkey, enum mkt_constant constant,
                  const struct mkt_label *l)
{
    return mkt_derive_secrets(&out, &constant, 1, c, prf_func, inkey, l);
}

bool
mkt_derive_mpks(struct mkt_secret *mpk_i, struct mkt_secret *mpk_r, struct mkt_crypto *c,
                uint8_t prf_func, const struct mkt_secret *mpk, struct mkt_span rand)
{
    const struct mkt_label l = { .use = MKT_USE_FROM_MPK, .nonce1 = rand };
    const enum mkt_constant constant[] = { MKT_C_MPKI, MKT_C_MPKR };
    struct mkt_secret *const out[] = { mpk_i, mpk_r };

    mpk_i->n = mpk_r->n = mpk->n; /* "outkey_len SHALL be equal to inkey_len" (A.2.2) */
    return mkt_derive_secrets(out, constant, 2, c, prf_func, mpk, &l);
}

bool
mkt_fork_key(struct mkt_secret *key, struct mkt_crypto *c, uint8_t prf_func,
             enum mkt_constant constant, struct mkt_span id_data, struct mkt_span rand_kms)
{
    const struct mkt_label l = { .use = MKT_USE_FORK, .nonce1 = id_data, .nonce2 = rand_kms };
    MKT_SCOPED_SECRET
    forked = { .n = key->n }; /* as long as the inkey (5.1.1) */
    bool ok = mkt_derive_secret(&forked, c, prf_func, key, constant, &l);
    if (ok)
        memcpy(key->b, forked.b, forked.n);
    else
        mkt_secret_wipe(key);
    return ok;
}

static bool
ref_prf(const struct mkt_inkey *k, struct mkt_crypto *c, uint8_t prf_func,
        const struct mkt_derive *d, size_t n)
{
    const struct mkt_inkey_ref *ref = (const struct mkt_inkey_ref *)k;
    return mkt_prf_run(c, prf_func, mkt_secret_span(ref->key), d, n);
}

void
mkt_inkey_ref_init(struct mkt_inkey_ref *r, const struct mkt_secret *key)
{
    *r = (struct mkt_inkey_ref){ { key->n, ref_prf }, key };
}
