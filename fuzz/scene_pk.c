/* SPDX-License-Identifier: Apache-2.0 */
/* See scene_pk.h. Who the scene is about signs; with the other paddings, what a certificate says
 * anyway is left out of the message. */
#include "scene_pk.h"

#define REVOKED_SERIAL 66 /* as many octets as that of the good ones */

static struct scene_pki pki;
static bool opened;

/* --- once a process --------------------------------------------------------------------------- */

static struct pki_cert
of_ca(enum pki_key key, const char *san)
{
    return (struct pki_cert){ .key = key, .name = "user", .san = san, .issuer_key = PKI_CA };
}

static struct pki_cert
of_sub(enum pki_key key, const char *san)
{
    struct pki_cert what = of_ca(key, san);
    what.issuer = "Sub";
    what.issuer_key = PKI_MALLORY;
    return what;
}

/* The same certificate under another number. */
static const struct mkt_cert *
revoked(struct pki_cert what)
{
    what.serial = REVOKED_SERIAL;
    return pki_make(&pki.keyring, &what);
}

static void
make_certificates(void)
{
    const struct pki_cert alice = of_ca(PKI_ALICE, "URI:sip:alice@example.com");
    const struct pki_cert bob = of_sub(PKI_BOB, "URI:sip:bob@example.com");
    const struct pki_cert kms = of_ca(PKI_KMS, "URI:sip:kms@example.com");
    const struct pki_cert kms2 = of_ca(PKI_CA, "URI:sip:kms@example.com");
    const struct pki_cert sub = {
        .key = PKI_MALLORY, .name = "Sub", .issuer_key = PKI_CA, .ca = true
    };

    pki.alice[0] = pki_make(&pki.keyring, &alice);
    pki.revoked_alice = revoked(alice);
    pki.bob[0] = pki_make(&pki.keyring, &bob);
    pki.revoked_bob = revoked(bob);
    pki.bob[1] = pki_make(&pki.keyring, &sub);
    pki.kms = pki_make(&pki.keyring, &kms);
    pki.kms_keys[0] = (struct mkt_kms_key){ pki.keyring.key[PKI_KMS], pki.kms };
    pki.kms_keys[1] =
        (struct mkt_kms_key){ pki.keyring.key[PKI_CA], pki_make(&pki.keyring, &kms2) };
}

static bool
trust_crl(enum pki_key issuer_key, const char *issuer)
{
    uint8_t der[4096];
    struct mkt_err err = { 0 };
    size_t n = pki_crl(&pki.keyring, issuer_key, issuer, REVOKED_SERIAL, SCENE_CRL_DAYS, der);

    return mkt_trust_add_crl(pki.trust, mkt_span(der, n), &err) == MKT_OK;
}

const struct scene_pki *
scene_pki(void)
{
    if (opened)
        return &pki;
    if (!pki_open(&pki.keyring, mkt_ntp_to_unix(NOW))) {
        pki_close(&pki.keyring);
        return NULL;
    }
    opened = true;
    make_certificates();
    pki.trust = pki_trust(&pki.keyring);
    if (trust_crl(PKI_CA, " CA") && trust_crl(PKI_MALLORY, "Sub"))
        return &pki;
    scene_pki_close();
    return NULL;
}

void
scene_pki_close(void)
{
    if (!opened)
        return;
    mkt_trust_free(pki.trust);
    pki_close(&pki.keyring);
    opened = false;
}

/* --- the call --------------------------------------------------------------------------------- */

bool
scene_is_kms_pk(enum mkt_handler h)
{
    return h == MKT_HANDLER_kms_request_pk || h == MKT_HANDLER_kms_resolve_pk;
}

bool
scene_is_pk(enum mkt_handler h)
{
    return scene_is_kms_pk(h) || h == MKT_HANDLER_granted_pk || h == MKT_HANDLER_refused_pk;
}

/* Puts a user with a certificate in the place of the one with a PSK. */
static bool
takes_certificates(struct scene *s, bool bob, uint8_t mode)
{
    const struct scene_pki *p = scene_pki();
    const bool pss = (mode & MKT_HANDLER_PSS) != 0;
    struct call *c = &s->c;

    if (p == NULL)
        return false;
    s->how =
        (struct mkt_kms_pk){ .trust = p->trust, .keys = p->kms_keys, .n_keys = 2, .kms = c->kms };
    c->pk = &s->how;
    s->cred = (struct mkt_pk_credential){
        .key = p->keyring.key[bob ? PKI_BOB : PKI_ALICE],
        .chain = bob ? p->bob : p->alice,
        .n_chain = bob ? 2 : 1,
        .kms = p->kms,
        .padding = pss ? MKT_PAD_OAEP_SHA_256 : MKT_PAD_PKCS1,
        .s_type = pss ? MKT_S_RSA_PSS : MKT_S_RSA_PKCS1,
        .chash = true,
        .chash_func = pss ? MKT_HASH_SHA_1 : MKT_HASH_SHA_256,
    };
    const struct mkt_credential cred = { .self = bob ? c->bob[0] : c->alice,
                                         .kms = c->kms,
                                         .pk = &s->cred,
                                         .ts_type = c->ts_type,
                                         .omit = pss ? MKT_OMIT_SELF | MKT_OMIT_KMS : 0 };
    if (bob) {
        mkt_responder_free(c->responder[0]);
        return (c->responder[0] = mkt_responder_new(&cred)) != NULL;
    }
    mkt_initiator_free(c->initiator);
    return (c->initiator = mkt_initiator_new(&cred)) != NULL;
}

/* What the KMS says to a request it believes and will not grant. */
static bool
refusal(struct scene *s, uint8_t mode)
{
    struct call *c = &s->c;
    const struct mkt_kms_signer by = {
        s->how.keys[0].key, (mode & MKT_HANDLER_PSS) != 0 ? MKT_S_RSA_PSS : MKT_S_RSA_PKCS1, false
    };
    struct mkt_io io = { .out = s->honest.b, .cap = sizeof s->honest.b };
    bool ok =
        mkt_kms_begin(c->txn, mkt_span(c->request.b, c->request.n), &io.err) == MKT_OK &&
        mkt_kms_verify_pk(c->txn, &c->env, &s->how, &io.err) == MKT_OK &&
        mkt_kms_refuse_signed(c->txn, &c->env, MKT_E_TP_PARAM, &by, &io) == MKT_NEXT_SEND_PEER;

    mkt_kms_end(c->txn);
    s->honest.n = io.out_len;
    return ok;
}

bool
scene_pk_call(struct scene *s, enum mkt_handler h, uint8_t mode)
{
    const bool bob = h == MKT_HANDLER_kms_resolve_pk;
    struct call *c = &s->c;
    const struct message *waits_for = &c->request;

    if (!takes_certificates(s, bob, mode) || call_request(c) != MKT_OK)
        return false;
    if (h == MKT_HANDLER_refused_pk)
        return refusal(s, mode);
    if (h == MKT_HANDLER_granted_pk) {
        if (call_issue(c) != MKT_OK)
            return false;
        waits_for = &c->granted;
    }
    if (bob) {
        if (call_issue(c) != MKT_OK || call_granted(c) != MKT_OK || call_offer(c) != MKT_OK ||
            call_offered(c, 0) != MKT_OK || call_accept(c, 0) != MKT_OK)
            return false;
        waits_for = &c->resolve[0];
    }
    s->honest = *waits_for;
    return true;
}
