/* SPDX-License-Identifier: Apache-2.0 */
/* See pki.h. */
#include "pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- private keys, which are files ---------------------------------------------------------- */

static struct mkt_span
file_octets(struct rn *r, const char *path)
{
    struct mkt_span s = { NULL, 0 };
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return s;
    uint8_t *octets = rn_alloc(r, 65536);
    s = mkt_span(octets, fread(octets, 1, 65536, f));
    fclose(f);
    return s;
}

static struct mkt_pkey *
load_key(struct rn *r, const char *name)
{
    static const char *const places[] = { "pki", "../pki" };
    const char *base = strrchr(name, '/'), *slash = strrchr(r->file, '/');
    int dir = slash == NULL ? 0 : (int)(slash - r->file + 1);
    struct mkt_err err = { 0 };
    struct mkt_pkey *key = NULL;
    struct mkt_span text = { NULL, 0 };

    base = base == NULL ? name : base + 1;
    for (size_t i = 0; text.n == 0 && i < sizeof places / sizeof places[0]; i++)
        text = file_octets(r, rn_name(r, "%.*s%s/%s", dir, r->file, places[i], base));
    if (mkt_pkey_new(&key, text, &err) != MKT_OK)
        rn_fail_err(r, name, &err);
    return key;
}

/* --- certificates --------------------------------------------------------------------------- */

static void
add_cert(struct rn *r, struct rn_holder *h, const char *where, struct mkt_span der)
{
    struct mkt_err err = { 0 };
    if (h->n == MKT_CHAIN_MAX || mkt_cert_next(&h->own[h->n], &der, &err) != MKT_OK ||
        h->own[h->n] == NULL) {
        rn_fail_err(r, where, &err);
        return;
    }
    h->chain[h->n] = h->own[h->n];
    h->n++;
}

static void
load_chain(struct rn *r, struct rn_holder *h, json_t *certificates, const char *name)
{
    size_t i;
    json_t *item, *list = rn_list(r, certificates, name);
    json_array_foreach(list, i, item)
        add_cert(r, h, name, rn_hex_text(r, name, json_string_value(item)));
}

static void
load_settings(struct rn *r, struct rn_pki *pki, json_t *settings)
{
    json_t *pk = settings == NULL ? NULL : rn_get(r, settings, "pk");
    json_t *opts = settings == NULL ? NULL : json_object_get(settings, "opts");
    static const char *const paddings[] = { [MKT_PAD_PKCS1] = "pkcs1v15",
                                            [MKT_PAD_OAEP_SHA_1] = "oaep-sha1",
                                            [MKT_PAD_OAEP_SHA_256] = "oaep-sha256" };
    if (opts != NULL && json_object_get(opts, "pk_error_auth") != NULL)
        pki->sign_errors = strcmp(rn_str(r, opts, "pk_error_auth"), "sign") == 0;
    if (pk == NULL)
        return;
    if (json_object_get(pk, "sign_type") != NULL)
        pki->s_type = (uint8_t)rn_num(r, pk, "sign_type");
    pki->chash = json_object_get(pk, "chash") != NULL;
    if (pki->chash)
        pki->chash_func = (uint8_t)rn_num(r, pk, "chash");
    if (json_object_get(pk, "padding") == NULL)
        return;
    const char *padding = rn_str(r, pk, "padding");
    while (pki->padding < 3 && strcmp(padding, paddings[pki->padding]) != 0)
        pki->padding++;
    if (pki->padding == 3)
        rn_fail(r, "settings.pk.padding", "%s is not known", padding);
}

void
rn_pki_load(struct rn *r, struct rn_pki *pki, json_t *inputs)
{
    json_t *certificates = rn_get(r, inputs, "certificates");
    struct mkt_err err = { 0 };

    *pki = (struct rn_pki){ 0 };
    pki->has = certificates != NULL && !json_is_null(certificates);
    if (!pki->has)
        return;
    json_t *keys = rn_obj(r, certificates, "private_keys");
    pki->trust = mkt_trust_new();
    if (pki->trust == NULL ||
        mkt_trust_add(pki->trust, rn_hex(r, certificates, "anchor"), &err) != MKT_OK)
        rn_fail_err(r, "anchor", &err);
    add_cert(r, &pki->kms, "kms", rn_hex(r, certificates, "kms"));
    load_chain(r, &pki->initiator, certificates, "initiator_chain");
    load_chain(r, &pki->responder, certificates, "responder_chain");
    pki->kms.key = load_key(r, rn_str(r, keys, "kms"));
    pki->initiator.key = load_key(r, rn_str(r, keys, "initiator"));
    pki->responder.key = load_key(r, rn_str(r, keys, "responder"));
    pki->kms_key = (struct mkt_kms_key){ pki->kms.key, pki->kms.chain[0] };
    load_settings(r, pki, json_object_get(inputs, "settings"));
}

void
rn_pki_free(struct rn_pki *pki)
{
    struct rn_holder *const holders[] = { &pki->initiator, &pki->responder, &pki->kms };
    for (size_t i = 0; i < 3; i++) {
        mkt_pkey_free(holders[i]->key);
        for (size_t k = 0; k < holders[i]->n; k++)
            mkt_cert_free(holders[i]->own[k]);
    }
    mkt_trust_free(pki->trust);
    *pki = (struct rn_pki){ 0 };
}

const struct rn_holder *
rn_holder_of(const struct rn_pki *pki, const char *party)
{
    return !pki->has                         ? NULL
           : strcmp(party, "initiator") == 0 ? &pki->initiator
           : strcmp(party, "responder") == 0 ? &pki->responder
           : strcmp(party, "kms") == 0       ? &pki->kms
                                             : NULL;
}

void
rn_pk_credential(const struct rn_pki *pki, const struct rn_holder *who, const struct mkt_msg *m,
                 struct mkt_pk_credential *pk)
{
    *pk = (struct mkt_pk_credential){
        .key = who->key,
        .chain = who->chain,
        .kms = pki->kms.chain[0],
        .padding = pki->padding,
        .s_type = pki->s_type,
        .chash = pki->chash,
        .chash_func = pki->chash_func,
        .sha1 = m->hdr.prf == MKT_PRF_MIKEY_1,
    };
    if (mkt_msg_find(m, MKT_PL_CERT, 0) != NULL)
        pk->n_chain = who->n;
}
