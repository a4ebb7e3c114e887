/* SPDX-License-Identifier: Apache-2.0 */
/* The inkey whose octets are in memory, and the small things every key needs. */
#include "keys/keys.h"

#define KEY_MIN 16 /* octets: "128 bits or more" (RFC 6043 12.1) */

static bool
mem_prf(const struct mkt_inkey *k, struct mkt_crypto *c, uint8_t prf_func,
        const struct mkt_derive *d, size_t n)
{
    const struct mkt_inkey_mem *mem = (const struct mkt_inkey_mem *)k;
    return mkt_prf_run(c, prf_func, mkt_secret_span(&mem->key), d, n);
}

enum mkt_rc
mkt_inkey_mem_init(struct mkt_inkey_mem *k, struct mkt_span key)
{
    k->base = (struct mkt_inkey){ 0, mem_prf };
    enum mkt_rc rc = key.n < KEY_MIN ? MKT_E_WEAK_KEY : mkt_secret_set(&k->key, key);
    if (rc != MKT_OK)
        mkt_secret_wipe(&k->key); /* an empty inkey: every derivation from it fails */
    k->base.len = k->key.n;
    return rc;
}

void
mkt_inkey_mem_wipe(struct mkt_inkey_mem *k)
{
    mkt_secret_wipe(&k->key);
    k->base.len = 0;
}

void
mkt_keys_copy(struct mkt_keys *to, const struct mkt_keys *from)
{
    size_t n = from->n < MKT_KEYS_MAX ? from->n : MKT_KEYS_MAX;
    memcpy(to->k, from->k, n * sizeof from->k[0]);
    to->n = from->n;
}

void
mkt_keys_wipe(struct mkt_keys *keys)
{
    size_t n = keys->n < MKT_KEYS_MAX ? keys->n : MKT_KEYS_MAX;
    mkt_wipe(keys->k, n * sizeof keys->k[0]);
    keys->n = 0;
}

const char *
mkt_key_type_name(uint8_t type)
{
    static const char *const names[] = { "TGK",  "TGK+SALT",  "TEK", "TEK+SALT",
                                         "GTGK", "GTGK+SALT", "MPK" };
    return type < sizeof names / sizeof names[0] ? names[type] : "unassigned";
}
