/* SPDX-License-Identifier: Apache-2.0 */
/* KEMAC contents: keys as Key Data sub-payloads, encrypted in place and never left in the clear. */
#include "ticket/ticket.h"

#include "backend/backend.h"
#include <string.h>

#define REF "RFC 6043 6.2.1"

static enum mkt_rc
read_key(struct mkt_key *k, const struct mkt_payload *pl, const struct mkt_suite *suite,
         struct mkt_err *err)
{
    const struct mkt_pl_key_data *d = &pl->u.key_data;

    if (pl->type != MKT_PL_KEY_DATA)
        return mkt_fail(err, MKT_E_KEY_DATA, pl->at, "KEMAC: another payload than Key Data", REF);
    if (d->kv != MKT_KV_SPI)
        return mkt_fail(err, MKT_E_KEY_DATA, pl->at, "Key Data: no SPI", REF);
    if (d->key.n < 16)
        return mkt_fail(err, MKT_E_WEAK_KEY, pl->at, "Key Data", "RFC 6043 12.1");
    if (d->type != MKT_KEY_MPK && d->key.n > suite->key_len)
        return mkt_fail(err, MKT_E_SUITE_MIX, pl->at, "Key Data", "RFC 6043 12.1");
    if (mkt_secret_set(&k->key, d->key) != MKT_OK || mkt_secret_set(&k->salt, d->salt) != MKT_OK)
        return mkt_fail(err, MKT_E_KEY_DATA, pl->at, "Key Data: key or salt too long", REF);
    k->type = d->type;
    k->kv = d->kv;
    k->spi_len = (uint8_t)d->spi.n;
    if (d->spi.n != 0)
        memcpy(k->spi, d->spi.p, d->spi.n);
    return MKT_OK;
}

enum mkt_rc
mkt_keys_read(struct mkt_keys *keys, struct mkt_span contents, size_t at,
              const struct mkt_suite *suite, struct mkt_err *err)
{
    struct mkt_payload pl[MKT_KEYS_MAX];
    size_t n = 0;

    mkt_keys_wipe(keys);
    if (contents.n == 0)
        return MKT_OK;
    struct mkt_reader r = mkt_r_open(contents, at, "KEMAC contents", REF, err);
    if (mkt_chain_read(&r, MKT_PL_KEY_DATA, pl, MKT_KEYS_MAX, &n) != MKT_OK)
        return err->rc;
    for (size_t i = 0; i < n; i++) {
        keys->n++;
        if (read_key(&keys->k[i], &pl[i], suite, err) != MKT_OK) {
            mkt_keys_wipe(keys);
            return err->rc;
        }
    }
    return MKT_OK;
}

static void
write_key(struct mkt_writer *w, const struct mkt_key *k)
{
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_KEY_DATA,
                                           .u.key_data = { .type = k->type,
                                                           .kv = k->kv,
                                                           .key = mkt_secret_span(&k->key),
                                                           .salt = mkt_secret_span(&k->salt),
                                                           .spi = mkt_span(k->spi, k->spi_len) } });
}

void
mkt_keys_write(struct mkt_writer *w, const struct mkt_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        write_key(w, &keys->k[i]);
}

#define KW_BLOCK 8U /* octets: RFC 3394 */

/* Encrypts what stands at `start` of w in place. False when the backend fails, or when AES key wrap
 * is asked for contents that are no multiple of 8 octets: no padding is defined (ambiguity 20). */
static bool
encrypt(struct mkt_writer *w, size_t start, struct mkt_crypto *c, const struct mkt_msg_keys *mk,
        uint32_t csb_id, uint64_t t64)
{
    struct mkt_span clear = mkt_span(w->buf + start, w->len - start);

    if (!mk->key_wrap)
        return mkt_kemac_aes_cm(c, mk, csb_id, t64, clear, w->buf + start);
    uint8_t copy[MKT_KEMAC_MAX];
    if (clear.n > sizeof copy || clear.n % KW_BLOCK != 0 || mkt_w_room(w, KW_BLOCK) == NULL)
        return false;
    memcpy(copy, clear.p, clear.n);
    bool ok = mkt_be_kw_wrap(c, mkt_span(mk->encr, mk->suite->key_len), mk->salt,
                             mkt_span(copy, clear.n), w->buf + start);
    mkt_wipe(copy, clear.n);
    return ok;
}

bool
mkt_kemac_write(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_msg_keys *mk,
                uint32_t csb_id, uint64_t t64, const struct mkt_keys *keys)
{
    mkt_w_begin(w, MKT_PL_KEMAC);
    size_t chain = w->slot;
    mkt_w_uint(w, 1, mk->key_wrap ? MKT_ENCR_AES_KW_128 : mk->suite->encr);
    size_t len = mkt_w_reserve(w, 2);
    size_t start = w->len;
    w->slot = MKT_W_NO_SLOT;
    mkt_keys_write(w, keys);
    w->slot = chain;
    if (w->overflow) { /* what was written of the keys must not stay in the caller's buffer */
        mkt_wipe(w->buf + start, w->len - start);
        return true;
    }
    if (!encrypt(w, start, c, mk, csb_id, t64)) {
        mkt_wipe(w->buf + start, w->len - start);
        return false;
    }
    mkt_w_patch(w, len, 2);
    mkt_w_uint(w, 1, MKT_MAC_NULL);
    return true;
}

/* Decrypts into clear (MKT_KEMAC_MAX octets); *n gets the length. */
static bool
decrypt(uint8_t *clear, size_t *n, const struct mkt_pl_kemac *k, struct mkt_crypto *c,
        const struct mkt_msg_keys *mk, uint32_t csb_id, uint64_t t64)
{
    *n = k->encr_data.n;
    if (k->encr_alg != MKT_ENCR_AES_KW_128)
        return mkt_kemac_aes_cm(c, mk, csb_id, t64, k->encr_data, clear);
    if (*n < KW_BLOCK)
        return false;
    *n -= KW_BLOCK;
    return mkt_be_kw_unwrap(c, mkt_span(mk->encr, mk->suite->key_len), mk->salt, k->encr_data,
                            clear);
}

bool
mkt_kemac_alg_fits(uint8_t encr_alg, const struct mkt_suite *suite)
{
    return encr_alg == suite->encr ||
           (encr_alg == MKT_ENCR_AES_KW_128 && suite->encr == MKT_ENCR_AES_CM_128);
}

enum mkt_rc
mkt_kemac_read(struct mkt_keys *keys, const struct mkt_payload *pl, struct mkt_crypto *c,
               const struct mkt_msg_keys *mk, uint32_t csb_id, uint64_t t64, struct mkt_err *err)
{
    const struct mkt_pl_kemac *k = &pl->u.kemac;
    uint8_t clear[MKT_KEMAC_MAX];
    size_t n = 0;

    if (k->mac_alg != MKT_MAC_NULL)
        return mkt_fail(err, MKT_E_MAC_ALG, pl->at, "KEMAC: MAC besides V", "RFC 6043 4.2.1.5");
    if (!mkt_kemac_alg_fits(k->encr_alg, mk->suite))
        return mkt_fail(err, MKT_E_ENCR_ALG, pl->at, "KEMAC: not the suite's encryption",
                        "RFC 6043 12.1");
    if (k->encr_data.n > sizeof clear)
        return mkt_fail(err, MKT_E_TOO_MANY, pl->at, "KEMAC: contents too long", "RFC 3830 6.2");
    enum mkt_rc rc =
        decrypt(clear, &n, k, c, mk, csb_id, t64)
            ? mkt_keys_read(keys, mkt_span(clear, n), pl->at + (size_t)(k->encr_data.p - pl->raw.p),
                            mk->suite, err)
            : mkt_fail(err, MKT_E_CRYPTO, pl->at, "KEMAC", "RFC 3830 4.2.3");
    mkt_wipe(clear, n);
    return rc;
}

static void
swap_keys(struct mkt_key *a, struct mkt_key *b)
{
    struct mkt_key t = *a;
    *a = *b;
    *b = t;
    mkt_wipe(&t, sizeof t);
}

enum mkt_rc
mkt_keys_arrange(struct mkt_keys *keys, unsigned n_mpk, size_t at, struct mkt_err *err)
{
    unsigned seen = 0;

    /* Order decides which MPK is which (ambiguity 30), so each moves up past the session keys. */
    for (size_t i = 0; i < keys->n; i++) {
        if (keys->k[i].type != MKT_KEY_MPK)
            continue;
        for (size_t j = i; j > seen; j--)
            swap_keys(&keys->k[j], &keys->k[j - 1]);
        seen++;
    }
    if (seen == n_mpk)
        return MKT_OK;
    mkt_keys_wipe(keys);
    return mkt_fail(err, MKT_E_KEY_DATA, at, "KEMAC: number of MPKs", "RFC 6043 4.2.1.5");
}

enum mkt_rc
mkt_keys_supply(struct mkt_keys *keys, const struct mkt_keys *extra,
                const struct mkt_policy *policy, uint16_t may, struct mkt_err *err)
{
    static const char ref[] = "RFC 6043 6.10";

    if ((policy->flags & may) == 0)
        return mkt_fail(err, MKT_E_KEY_DATA, 0, "KEMAC although L or M forbids it", ref);
    if (extra->n > MKT_KEYS_MAX - keys->n)
        return mkt_fail(err, MKT_E_TOO_MANY, 0, "KEMAC: keys", ref);
    for (size_t i = 0; i < extra->n; i++) {
        const struct mkt_key *k = &extra->k[i];
        if (k->type == MKT_KEY_MPK)
            return mkt_fail(err, MKT_E_KEY_DATA, 0, "KEMAC: MPK", "RFC 6043 5.2");
        if (mkt_keys_find(keys, mkt_span(k->spi, k->spi_len)) >= 0)
            return mkt_fail(err, MKT_E_KEY_DATA, 0, "KEMAC: SPI of another key", "RFC 6043 6.2.1");
        keys->k[keys->n++] = *k;
    }
    return MKT_OK;
}

static bool
has_salt(uint8_t type)
{
    return type == MKT_KEY_TGK_SALT || type == MKT_KEY_TEK_SALT || type == MKT_KEY_GTGK_SALT;
}

static bool
spi_before(const struct mkt_key *own, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (own[j].spi_len == own[i].spi_len && memcmp(own[j].spi, own[i].spi, own[i].spi_len) == 0)
            return true;
    return false;
}

enum mkt_rc
mkt_keys_check_own(const struct mkt_key *own, size_t n, const struct mkt_suite *suite,
                   struct mkt_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct mkt_key *k = &own[i];
        if (k->type > MKT_KEY_GTGK_SALT || has_salt(k->type) != (k->salt.n != 0))
            return mkt_fail(err, MKT_E_KEY_DATA, 0, "session key: type", REF);
        if (k->kv != MKT_KV_SPI || k->spi_len == 0)
            return mkt_fail(err, MKT_E_KEY_DATA, 0, "session key: no SPI", REF);
        if (spi_before(own, i))
            return mkt_fail(err, MKT_E_KEY_DATA, 0, "session key: SPI of another key", REF);
        if (k->key.n < 16)
            return mkt_fail(err, MKT_E_WEAK_KEY, 0, "session key", "RFC 6043 12.1");
        if (k->key.n > suite->key_len)
            return mkt_fail(err, MKT_E_SUITE_MIX, 0, "session key", "RFC 6043 12.1");
    }
    return MKT_OK;
}

int
mkt_keys_find(const struct mkt_keys *keys, struct mkt_span spi)
{
    for (int i = 0; i < keys->n; i++)
        if (keys->k[i].type != MKT_KEY_MPK && keys->k[i].spi_len == spi.n && spi.n != 0 &&
            memcmp(keys->k[i].spi, spi.p, spi.n) == 0)
            return i;
    return -1;
}

size_t
mkt_keys_longest(const struct mkt_keys *keys, unsigned types)
{
    size_t longest = 0;
    for (size_t i = 0; i < keys->n; i++)
        if ((types & 1U << keys->k[i].type) != 0 && keys->k[i].key.n > longest)
            longest = keys->k[i].key.n;
    return longest;
}

bool
mkt_keys_have_tgk(const struct mkt_keys *keys)
{
    return mkt_keys_longest(keys, MKT_TGK_TYPES) != 0;
}

bool
mkt_keys_fork(struct mkt_keys *keys, struct mkt_crypto *c, uint8_t prf_func,
              struct mkt_span id_data, struct mkt_span rand_kms)
{
    for (size_t i = 0; i < keys->n; i++)
        if ((MKT_TGK_TYPES & 1U << keys->k[i].type) != 0 &&
            !mkt_fork_key(&keys->k[i].key, c, prf_func, MKT_C_TGK_FORKED, id_data, rand_kms))
            return false;
    return true;
}
