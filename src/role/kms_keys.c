/* SPDX-License-Identifier: Apache-2.0 */
/* Fresh keys for a ticket, and the SPIs that tell them apart (RFC 6043 4.2.1.5, 6.2.1). */
#include "role/kms.h"

#include <string.h>

static bool
spi_taken(const struct mkt_keys *keys, const struct mkt_policy *p, const uint8_t spi[4])
{
    for (size_t i = 0; i < p->n_wanted; i++)
        if (p->wanted[i].kv == MKT_KV_SPI && p->wanted[i].spi.n == 4 &&
            memcmp(p->wanted[i].spi.p, spi, 4) == 0)
            return true;
    for (size_t i = 0; i < keys->n; i++)
        if (keys->k[i].spi_len == 4 && memcmp(keys->k[i].spi, spi, 4) == 0)
            return true;
    return false;
}

/* A 4-octet SPI that no other key has. */
static bool
draw_spi(struct mkt_key *k, const struct mkt_keys *others, const struct mkt_policy *p,
         const struct mkt_env *env)
{
    uint8_t spi[4];

    for (int attempts = 0; attempts < 8; attempts++) {
        if (!mkt_ex_random(env, spi, sizeof spi))
            return false;
        if (spi_taken(others, p, spi))
            continue;
        memcpy(k->spi, spi, sizeof spi);
        k->spi_len = sizeof spi;
        return true;
    }
    return false;
}

static bool
draw_key(struct mkt_keys *keys, const struct mkt_want_key *want, const struct mkt_policy *p,
         const struct mkt_env *env)
{
    struct mkt_key *k = &keys->k[keys->n];

    k->type = want->type;
    k->kv = MKT_KV_SPI;
    k->key.n = want->key_len;
    k->salt.n = want->salt_len;
    k->spi_len = 0;
    keys->n++; /* from here on wiped with the others */
    if (!mkt_ex_random(env, k->key.b, k->key.n) || !mkt_ex_random(env, k->salt.b, k->salt.n))
        return false;
    if (want->kv != MKT_KV_SPI)
        return draw_spi(k, keys, p, env);
    k->spi_len = (uint8_t)want->spi.n;
    if (want->spi.n != 0)
        memcpy(k->spi, want->spi.p, want->spi.n);
    return true;
}

/* Session keys are drawn before the MPK but stand behind it. */
bool
mkt_kms_draw_keys(struct mkt_kms_txn *t, const struct mkt_policy *granted,
                  const struct mkt_env *env)
{
    const struct mkt_want_key mpk = { .type = MKT_KEY_MPK, .key_len = t->suite->key_len };
    struct mkt_err err = { 0 };

    mkt_keys_wipe(&t->keys);
    for (size_t i = 0; i < granted->n_wanted; i++)
        if (!draw_key(&t->keys, &granted->wanted[i], granted, env))
            return false;
    return draw_key(&t->keys, &mpk, granted, env) &&
           mkt_keys_arrange(&t->keys, 1, 0, &err) == MKT_OK;
}
