/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys: RSA key pairs, X.509 certificates and what makes one trusted. All objects are fixed
 * once they are made, so threads may share them. Texts may be DER, or PEM without encryption. */
#ifndef MIKEYTICKET_PK_H
#define MIKEYTICKET_PK_H

#include <mikeyticket/alg.h>
#include <mikeyticket/err.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MKT_RSA_BITS_MIN 2048
#define MKT_RSA_BITS_MAX 8192
#define MKT_RSA_MAX (MKT_RSA_BITS_MAX / 8) /* octets of a modulus, ciphertext or signature */
#define MKT_CHAIN_MAX 8                    /* certificates of one chain */

/* How the envelope key is padded in PKE. The message does not say: both ends must agree. */
enum mkt_pad { MKT_PAD_PKCS1 = 0, MKT_PAD_OAEP_SHA_1 = 1, MKT_PAD_OAEP_SHA_256 = 2 };
enum mkt_s_type { MKT_S_RSA_PKCS1 = 0, MKT_S_RSA_PSS = 1 }; /* RFC 3830 Table 6.5 */
enum mkt_cache {                                            /* C of PKE, RFC 3830 Table 6.3 */
                 MKT_CACHE_NO = 0,
                 MKT_CACHE_YES = 1,
                 MKT_CACHE_FOR_CSB = 2
};
enum mkt_cert_type { /* RFC 3830 Table 6.7.b */
                     MKT_CERT_X509 = 0,
                     MKT_CERT_URL = 1,
                     MKT_CERT_SIGN = 2,
                     MKT_CERT_ENCR = 3
};
enum mkt_purpose { MKT_FOR_SIGNING, MKT_FOR_ENCRYPTION };
enum mkt_san { MKT_SAN_URI, MKT_SAN_RFC822 }; /* kinds of subjectAltName that name a user */

/* --- private keys ----------------------------------------------------------------------------- */

struct mkt_pkey; /* an RSA private key; opaque, owned, secret */

/* mkt_pkey_new reads a private key of 2048 to 8192 bits. MKT_E_WEAK_KEY for a shorter one,
 * MKT_E_ARGUMENT for anything else that is no RSA private key, encrypted PEM included. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_pkey_new(struct mkt_pkey **key, struct mkt_span text,
                                              struct mkt_err *err);

/* mkt_pkey_free wipes and frees. NULL is allowed. */
MKT_API void mkt_pkey_free(struct mkt_pkey *key);

/* --- certificates ----------------------------------------------------------------------------- */

struct mkt_cert; /* an X.509v3 certificate with an RSA key; opaque, owned */

/* mkt_cert_next takes the first certificate off *text: all of it when it is DER (which must be
 * exact), up to its END line when it is PEM. *cert is owned by the caller; NULL with MKT_OK when
 * there is none left. MKT_E_CERT, also for keys that are not RSA of 2048 to 8192 bits. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_cert_next(struct mkt_cert **cert, struct mkt_span *text,
                                               struct mkt_err *err);

/* mkt_cert_free frees. NULL is allowed. */
MKT_API void mkt_cert_free(struct mkt_cert *cert);

/* mkt_cert_der returns the certificate as it goes into CERT; borrowed. */
MKT_API struct mkt_span mkt_cert_der(const struct mkt_cert *cert);

/* mkt_cert_fits tells whether the certificate is of that private key. */
MKT_API bool mkt_cert_fits(const struct mkt_cert *cert, const struct mkt_pkey *key);

/* mkt_cert_check tests validity at unix_time (seconds since 1970) and key usage (digitalSignature
 * or keyEncipherment, if the extension is there). It does not ask who issued it. MKT_E_CERT. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_cert_check(const struct mkt_cert *cert,
                                                enum mkt_purpose purpose, int64_t unix_time,
                                                struct mkt_err *err);

/* mkt_cert_names tells whether one of the subjectAltNames of that kind is exactly `name`. */
MKT_API bool mkt_cert_names(const struct mkt_cert *cert, enum mkt_san kind, struct mkt_span name);

/* mkt_cert_name counts the subjectAltNames of that kind. If it is just one, and fits, it is copied
 * into out (cap octets), and *len gets its length; else *len is 0. */
MKT_API size_t mkt_cert_name(const struct mkt_cert *cert, enum mkt_san kind, uint8_t *out,
                             size_t cap, size_t *len);

/* --- trust ------------------------------------------------------------------------------------ */

struct mkt_trust; /* trust anchors and CRLs; opaque, owned */

/* mkt_trust_new returns an empty store, which trusts nobody; NULL when memory fails. */
MKT_API struct mkt_trust *mkt_trust_new(void);

/* mkt_trust_free frees. NULL is allowed. */
MKT_API void mkt_trust_free(struct mkt_trust *trust);

/* mkt_trust_add makes every certificate of text an anchor: roots, but also subordinate CAs and
 * single users. MKT_E_CERT. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_trust_add(struct mkt_trust *trust, struct mkt_span text,
                                               struct mkt_err *err);

/* mkt_trust_add_crl takes every CRL of text. From then on a certificate whose issuer has a CRL here
 * must not be on it, and the CRL must be in force. MKT_E_CERT. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_trust_add_crl(struct mkt_trust *trust, struct mkt_span text,
                                                   struct mkt_err *err);

/* mkt_trust_require_crl makes it mandatory that each issuer has a CRL here. */
MKT_API void mkt_trust_require_crl(struct mkt_trust *trust);

/* mkt_trust_verify verifies chain[0..n-1] at unix_time: the user's certificate first, each
 * following one certifying the one before it directly (RFC 6043 4.2.1.3), and the last one an
 * anchor or issued by one. Signatures of CAs with SHA-1 and short keys are refused. MKT_E_CERT. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_trust_verify(const struct mkt_trust *trust,
                                                  const struct mkt_cert *const *chain, size_t n,
                                                  enum mkt_purpose purpose, int64_t unix_time,
                                                  struct mkt_err *err);

#ifdef __cplusplus
}
#endif
#endif
