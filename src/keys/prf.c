/* SPDX-License-Identifier: Apache-2.0 */
/* The PRF of RFC 3830 4.1.2 and its sibling with HMAC-SHA-256 (RFC 6043 6.1). The inkey is cut
 * into blocks of 256 bits for both, and the P streams of the blocks are XORed. A block is keyed
 * once and then serves every key wanted, since keying costs half a derivation. */
#include "keys/keys.h"

#include "backend/backend.h"

#define INKEY_BLOCK 32 /* octets: the 256 bits of "let n = inkey_len / 256" */

static uint8_t
mac_of_prf(uint8_t prf_func)
{
    const struct mkt_suite *suite = mkt_suite_of(prf_func);
    return suite == NULL ? MKT_MAC_NULL : suite->mac;
}

/* XORs P(s, label, m), s being the key set, onto d->out. `last`: s is not needed any more. */
static bool
xor_p(struct mkt_crypto *c, uint8_t mac, size_t hash_len, const struct mkt_derive *d, bool last)
{
    uint8_t a[MKT_MAC_MAX], p[MKT_MAC_MAX];
    struct mkt_span a_label[] = { mkt_span(a, hash_len), d->label };
    bool ok = mkt_be_hmac(c, mac, &d->label, 1, a); /* A_1 = HMAC(s, A_0), A_0 = label */

    for (size_t at = 0; ok && at < d->out_len; at += hash_len) {
        if (at != 0)
            ok = mkt_be_hmac(c, mac, a_label, 1, a); /* A_i = HMAC(s, A_(i-1)) */
        bool done = last && d->out_len - at <= hash_len;
        ok = ok && (done ? mkt_be_hmac_last : mkt_be_hmac)(c, mac, a_label, 2, p);
        size_t n = d->out_len - at < hash_len ? d->out_len - at : hash_len;
        for (size_t i = 0; ok && i < n; i++)
            d->out[at + i] ^= p[i];
    }
    mkt_wipe(a, sizeof a);
    mkt_wipe(p, sizeof p);
    return ok;
}

static void
clear_all(const struct mkt_derive *d, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mkt_wipe(d[i].out, d[i].out_len);
}

bool
mkt_prf_run(struct mkt_crypto *c, uint8_t prf_func, struct mkt_span inkey,
            const struct mkt_derive *d, size_t n)
{
    uint8_t mac = mac_of_prf(prf_func);
    bool ok = mac != MKT_MAC_NULL && inkey.n != 0;

    clear_all(d, n);
    for (size_t at = 0; ok && at < inkey.n; at += INKEY_BLOCK) {
        size_t len = inkey.n - at < INKEY_BLOCK ? inkey.n - at : INKEY_BLOCK;
        ok = mkt_be_hmac_key(c, mac, mkt_span(inkey.p + at, len));
        for (size_t i = 0; ok && i < n; i++)
            ok = xor_p(c, mac, (size_t)mkt_mac_len(mac), &d[i], i + 1 == n);
    }
    mkt_be_hmac_forget(c, mac);
    if (!ok)
        clear_all(d, n);
    return ok;
}
