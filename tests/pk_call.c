/* SPDX-License-Identifier: Apache-2.0 */
/* See pk_call.h. */
#include "pk_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SUB_CA_SERIAL 7

struct call call;
struct pki keyring;
struct mkt_trust *trust;
const struct mkt_cert *alice, *bob, *kms, *kms2, *sub;
const struct mkt_cert *alice_chain[2], *bob_chain[2];
struct mkt_kms_key kms_keys[2];
struct mkt_pk_credential cred_alice, cred_bob;
struct mkt_kms_pk how;

struct pki_cert
user_cert(enum pki_key key, const char *san)
{
    return (struct pki_cert){ .key = key, .name = "user", .san = san, .issuer_key = PKI_CA };
}

int
open_pki(void **state)
{
    (void)state;
    if (!pki_open(&keyring, mkt_ntp_to_unix(NOW)))
        return -1;
    struct pki_cert b = user_cert(PKI_BOB, "URI:sip:bob@example.com");
    b.issuer = "Sub";
    b.issuer_key = PKI_MALLORY;
    alice_chain[0] = alice =
        pki_make(&keyring, &(struct pki_cert){ .key = PKI_ALICE,
                                               .name = "alice",
                                               .san = "URI:sip:alice@example.com",
                                               .issuer_key = PKI_CA });
    bob_chain[0] = bob = pki_make(&keyring, &b);
    bob_chain[1] = sub = pki_make(&keyring, &(struct pki_cert){ .key = PKI_MALLORY,
                                                                .name = "Sub",
                                                                .issuer_key = PKI_CA,
                                                                .ca = true,
                                                                .serial = SUB_CA_SERIAL });
    struct pki_cert k = user_cert(PKI_KMS, "URI:sip:kms@example.com");
    kms = pki_make(&keyring, &k);
    k.key = PKI_CA; /* any other key pair */
    kms2 = pki_make(&keyring, &k);
    kms_keys[0] = (struct mkt_kms_key){ keyring.key[PKI_KMS], kms };
    kms_keys[1] = (struct mkt_kms_key){ keyring.key[PKI_CA], kms2 };
    return 0;
}

int
close_pki(void **state)
{
    (void)state;
    pki_close(&keyring);
    return 0;
}

bool
open_call(uint8_t prf)
{
    trust = pki_trust(&keyring);
    cred_alice = (struct mkt_pk_credential){
        .key = keyring.key[PKI_ALICE], .chain = alice_chain, .n_chain = 1, .kms = kms
    };
    cred_bob = (struct mkt_pk_credential){
        .key = keyring.key[PKI_BOB], .chain = bob_chain, .n_chain = 2, .kms = kms
    };
    how = (struct mkt_kms_pk){ .trust = trust, .keys = kms_keys, .n_keys = 1 };
    bool ok = call_open(&call, prf, MKT_TS_NTP_UTC);
    how.kms = call.kms;
    return ok;
}

int
open_a_call(void **state)
{
    (void)state;
    return open_call(MKT_PRF_HMAC_SHA_256) ? 0 : -1;
}

int
close_the_call(void **state)
{
    (void)state;
    call_close(&call);
    mkt_trust_free(trust);
    return 0;
}

/* --- users with certificates in place of those with PSKs ------------------------------------- */

void
alice_signs(unsigned omit)
{
    const struct mkt_credential cred = {
        .self = call.alice, .kms = call.kms, .pk = &cred_alice, .omit = omit
    };
    mkt_initiator_free(call.initiator);
    call.initiator = mkt_initiator_new(&cred);
    assert_non_null(call.initiator);
}

void
bob_signs(unsigned omit)
{
    const struct mkt_credential cred = {
        .self = call.bob[0], .kms = call.kms, .pk = &cred_bob, .omit = omit
    };
    mkt_responder_free(call.responder[0]);
    call.responder[0] = mkt_responder_new(&cred);
    assert_non_null(call.responder[0]);
}

static struct mkt_io
io_for(const struct message *in, struct message *out)
{
    return (struct mkt_io){ .in = mkt_span(in->b, in->n), .out = out->b, .cap = sizeof out->b };
}

/* The KMS's part; leaves the transaction open, so that a test can look into it. */
enum mkt_rc
kms_verify(const struct message *in, struct mkt_err *err)
{
    if (mkt_kms_begin(call.txn, mkt_span(in->b, in->n), err) != MKT_OK)
        return err->rc;
    return mkt_kms_verify_pk(call.txn, &call.env, &how, err);
}

enum mkt_rc
kms_answers(const struct message *in, struct message *out)
{
    const struct mkt_kms_ask *ask = mkt_kms_ask(call.txn);
    const struct mkt_tpk tpk = { .id = mkt_span("tpk", 3), .key = &call.tpk.base };
    struct mkt_io io = io_for(in, out);
    struct mkt_policy granted;

    out->n = 0;
    if (kms_verify(in, &io.err) != MKT_OK)
        return io.err.rc;
    if (!ask->resolve) {
        if (mkt_policy_grant(&granted, ask->policy, &call.rules, ask->client, call.kms,
                             call.env.now, &io.err) != MKT_OK)
            return io.err.rc;
        (void)!mkt_kms_issue(call.txn, &call.env, &granted, &tpk, mkt_span(NULL, 0), &io);
    } else if (mkt_kms_open(call.txn, &call.env, &tpk, &io.err) == MKT_OK) {
        (void)!mkt_kms_resolve(call.txn, &call.env, ask->client, &io);
    }
    out->n = io.out_len;
    mkt_kms_end(call.txn);
    return io.err.rc;
}
