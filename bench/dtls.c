/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends in one thread, with memory between them: see dtls.h. */
#include "dtls.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#define SUITE "ECDHE-ECDSA-AES128-GCM-SHA256"
#define PROFILE "SRTP_AES128_CM_SHA1_80"
#define LABEL "EXTRACTOR-dtls_srtp" /* RFC 5764 4.2 */
#define SRTP_KEYS 60                /* two keys of 16 octets, two salts of 14 */
#define FINGERPRINT 32
#define FLIGHTS_MAX 16
#define DATAGRAM 1400

struct end {
    SSL_CTX *ctx;
    X509 *certificate;
    uint8_t fingerprint[FINGERPRINT]; /* what SDP would carry (RFC 8122) */
};

struct dtls {
    struct end end[2]; /* client and server */
};

/* The certificate is nobody's: who it is of is what the fingerprint says. */
static int
any_certificate(int ok, X509_STORE_CTX *x)
{
    (void)ok;
    (void)x;
    return 1;
}

static X509 *
self_signed(EVP_PKEY *key)
{
    X509 *c = X509_new();
    if (c == NULL)
        return NULL;
    X509_NAME *name = X509_get_subject_name(c);
    if (ASN1_INTEGER_set(X509_get_serialNumber(c), 1) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(c), -60) != NULL &&
        X509_gmtime_adj(X509_getm_notAfter(c), 86400) != NULL && X509_set_pubkey(c, key) == 1 &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"bench", -1, -1, 0) ==
            1 &&
        X509_set_issuer_name(c, name) == 1 && X509_sign(c, key, EVP_sha256()) > 0)
        return c;
    X509_free(c);
    return NULL;
}

static bool
configure(SSL_CTX *x)
{
    SSL_CTX_set_verify(x, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, any_certificate);
    SSL_CTX_set_session_cache_mode(x, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(x, SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU);
    return SSL_CTX_set_min_proto_version(x, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(x, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(x, SUITE) == 1 && SSL_CTX_set1_groups_list(x, "P-256") == 1 &&
           SSL_CTX_set_tlsext_use_srtp(x, PROFILE) == 0; /* 0 is success here */
}

static bool
open_end(struct end *e)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    unsigned n = 0;

    e->ctx = SSL_CTX_new(DTLS_method());
    e->certificate = key != NULL ? self_signed(key) : NULL;
    bool ok = e->ctx != NULL && e->certificate != NULL && configure(e->ctx) &&
              SSL_CTX_use_certificate(e->ctx, e->certificate) == 1 &&
              SSL_CTX_use_PrivateKey(e->ctx, key) == 1 &&
              X509_digest(e->certificate, EVP_sha256(), e->fingerprint, &n) == 1 &&
              n == FINGERPRINT;
    EVP_PKEY_free(key);
    return ok;
}

struct dtls *
dtls_new(void)
{
    struct dtls *d = calloc(1, sizeof *d);
    if (d != NULL && open_end(&d->end[0]) && open_end(&d->end[1]))
        return d;
    dtls_free(d);
    return NULL;
}

void
dtls_free(struct dtls *d)
{
    for (size_t i = 0; d != NULL && i < 2; i++) {
        SSL_CTX_free(d->end[i].ctx);
        X509_free(d->end[i].certificate);
    }
    free(d);
}

/* A connection of one end, which owns what it reads from and borrows what it writes to. */
static SSL *
connection(const struct end *e, BIO *reads, BIO *writes)
{
    SSL *s = SSL_new(e->ctx);
    if (s == NULL)
        return NULL;
    BIO_up_ref(reads);
    BIO_up_ref(writes);
    SSL_set_bio(s, reads, writes);
    SSL_set_mtu(s, DATAGRAM);
    return s;
}

static bool
handshake(SSL *client, SSL *server)
{
    bool done[2] = { false, false };

    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (unsigned i = 0; i < FLIGHTS_MAX && !(done[0] && done[1]); i++) {
        SSL *s = i % 2 == 0 ? client : server;
        done[i % 2] = SSL_do_handshake(s) == 1;
    }
    return done[0] && done[1];
}

/* What an end does when it is over: holds the other's certificate against the fingerprint, and
 * exports the keys. */
static bool
finish(SSL *s, const uint8_t *fingerprint, uint8_t keys[SRTP_KEYS])
{
    uint8_t shown[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    X509 *peer = SSL_get1_peer_certificate(s);
    bool ok = peer != NULL && X509_digest(peer, EVP_sha256(), shown, &n) == 1 && n == FINGERPRINT &&
              memcmp(shown, fingerprint, FINGERPRINT) == 0 &&
              SSL_get_selected_srtp_profile(s) != NULL &&
              SSL_export_keying_material(s, keys, SRTP_KEYS, LABEL, strlen(LABEL), NULL, 0, 0) == 1;
    X509_free(peer);
    return ok;
}

bool
dtls_call(void *ctx)
{
    struct dtls *d = ctx;
    BIO *there = BIO_new(BIO_s_mem()), *back = BIO_new(BIO_s_mem());
    uint8_t keys[2][SRTP_KEYS] = { { 0 }, { 0 } };
    SSL *client = NULL, *server = NULL;
    bool ok = there != NULL && back != NULL;

    if (ok) {
        BIO_set_mem_eof_return(there, -1);
        BIO_set_mem_eof_return(back, -1);
        client = connection(&d->end[0], back, there);
        server = connection(&d->end[1], there, back);
    }
    ok = ok && client != NULL && server != NULL && handshake(client, server) &&
         finish(client, d->end[1].fingerprint, keys[0]) &&
         finish(server, d->end[0].fingerprint, keys[1]) && memcmp(keys[0], keys[1], SRTP_KEYS) == 0;
    SSL_free(client);
    SSL_free(server);
    BIO_free(there);
    BIO_free(back);
    return ok;
}
