/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of kinds `pke` and `sign`: made again with the recorded random values, and then read as the
 * receiver reads them. */
#include "pki.h"
#include "steps.h"
#include "world.h"

#include "keys/pk.h"

#include <string.h>

/* What was drawn for a step, in one value: zero octets of a PKCS#1 padding are gone already. */
struct drawn {
    struct mkt_span value;
    bool wrong;
};

static bool
draw(void *ctx, uint8_t *out, size_t n)
{
    struct drawn *d = ctx;
    d->wrong = d->wrong || n != d->value.n;
    if (!d->wrong && n != 0)
        memcpy(out, d->value.p, n);
    return !d->wrong;
}

static const char *
sender_of(const char *step)
{
    return strncmp(step, "REQUEST_INIT", 12) == 0   ? "initiator"
           : strncmp(step, "RESOLVE_INIT", 12) == 0 ? "responder"
                                                    : "kms";
}

void
rn_step_pke(struct rn *r, json_t *step, const char *name)
{
    static const struct {
        const char *name, *drawn;
        uint8_t padding;
    } paddings[] = { { "pkcs1v15", "ps", MKT_PAD_PKCS1 },
                     { "oaep-sha1", "seed", MKT_PAD_OAEP_SHA_1 },
                     { "oaep-sha256", "seed", MKT_PAD_OAEP_SHA_256 } };
    struct mkt_span want = rn_hex(r, step, "data"), key = rn_hex(r, step, "env_key");
    const char *padding = rn_str(r, step, "padding");
    struct rn_pki pki;
    uint8_t out[MKT_RSA_MAX], opened[MKT_SECRET_MAX];
    size_t i = 0;
    while (i < 3 && strcmp(padding, paddings[i].name) != 0)
        i++;
    if (i == 3) {
        rn_fail(r, name, "padding %s is not known", padding);
        return;
    }
    struct drawn d = { .value = rn_hex(r, step, paddings[i].drawn) };
    const struct mkt_env env = { .crypto = r->crypto, .random = draw, .ctx = &d };
    rn_pki_load(r, &pki, rn_obj(r, r->doc.root, "inputs"));
    if (pki.kms.n == 0 || pki.kms.key == NULL)
        rn_fail(r, name, "no key of the KMS");
    else if (mkt_pke_seal(&env, pki.kms.chain[0], paddings[i].padding, key, out) != MKT_OK)
        rn_fail(r, name, "cannot be made again");
    else {
        rn_same(r, name, mkt_span(out, (mkt_be_cert_bits(pki.kms.chain[0]) + 7) / 8), want);
        if (!mkt_pke_open(r->crypto, pki.kms.key, 7, want, key.n, opened))
            rn_fail(r, name, "does not open");
        else
            rn_same(r, rn_name(r, "%s, opened", name), mkt_span(opened, key.n), key);
    }
    rn_pki_free(&pki);
}

void
rn_step_sign(struct rn *r, json_t *step, const char *name)
{
    struct mkt_span in = rn_hex(r, step, "sign_input"), want = rn_hex(r, step, "signature");
    struct drawn d = { .value = rn_hex(r, step, "salt") };
    const struct mkt_env env = { .crypto = r->crypto, .random = draw, .ctx = &d };
    const char *hash = rn_str(r, step, "hash");
    uint8_t s_type = (uint8_t)rn_num(r, step, "sign_type"), out[MKT_RSA_MAX];
    uint8_t func = strcmp(hash, "sha1") == 0 ? MKT_HASH_SHA_1 : MKT_HASH_SHA_256;
    struct rn_pki pki;
    rn_pki_load(r, &pki, rn_obj(r, r->doc.root, "inputs"));
    const struct rn_holder *by = rn_holder_of(&pki, sender_of(name));
    if (func == MKT_HASH_SHA_256 && strcmp(hash, "sha256") != 0)
        rn_fail(r, name, "hash %s is not known", hash);
    if (by == NULL || by->n == 0 || by->key == NULL)
        rn_fail(r, name, "no key of the signer");
    else if (mkt_rsa_sign(&env, by->key, s_type, func, &in, 1, out) != MKT_OK)
        rn_fail(r, name, "cannot be made again");
    else {
        rn_same(r, name, mkt_span(out, (mkt_be_pkey_bits(by->key) + 7) / 8), want);
        if (!mkt_rsa_verify(r->crypto, by->chain[0], s_type, func, &in, 1, want))
            rn_fail(r, name, "does not verify");
    }
    rn_pki_free(&pki);
}
