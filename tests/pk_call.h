/* SPDX-License-Identifier: Apache-2.0 */
/* The call of three_party.h with certificates in place of PSKs: alice's is issued by the CA, bob's
 * by a CA under it. Each test has them to itself, and changes what it is about. */
#ifndef MKT_TESTS_PK_CALL_H
#define MKT_TESTS_PK_CALL_H

#include "pki.h"
#include "three_party.h"

extern struct call call;
extern struct pki keyring;
extern struct mkt_trust *trust;
extern const struct mkt_cert *alice, *bob, *kms, *kms2, *sub;
extern const struct mkt_cert *alice_chain[2], *bob_chain[2];
extern struct mkt_kms_key kms_keys[2];                /* the KMS has the first */
extern struct mkt_pk_credential cred_alice, cred_bob; /* taken by alice_signs, bob_signs */
extern struct mkt_kms_pk how;                         /* what the KMS accepts */

/* For cmocka: the key pairs once, and a call of the 256-bit suite for each test. */
int open_pki(void **state);
int close_pki(void **state);
int open_a_call(void **state);
int close_the_call(void **state);
bool open_call(uint8_t prf);

/* What a certificate of a user of the CA says, to be altered. */
struct pki_cert user_cert(enum pki_key key, const char *san);

/* Puts an Initiator or Responder with a certificate in the place of the one with a PSK. */
void alice_signs(unsigned omit);
void bob_signs(unsigned omit);

/* The KMS verifies `in`, and leaves the transaction open; or answers it. */
enum mkt_rc kms_verify(const struct message *in, struct mkt_err *err);
enum mkt_rc kms_answers(const struct message *in, struct message *out);

#endif
