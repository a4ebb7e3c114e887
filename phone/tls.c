/* SPDX-License-Identifier: Apache-2.0 */
/* libre 1.1 leaves a context of OpenSSL as it finds it, which asks nobody for a certificate, and
 * knows no names once it has an address. So the context is made strict here: both sides of every
 * connection show a certificate of --tls-ca, and a server one with the name of the next hop. Its
 * callbacks say on the screen what libre has as "Protocol error" only. */
#include "tls.h"

#include "files.h"
#include "phone.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FILE_MAX 65536

struct phone_tls {
    struct tls *context;
    char name[PHONE_URI_MAX]; /* of the server that is called next; empty: nobody */
    char why[160];            /* a certificate is refused; empty: nothing to say of one */
    struct tmr after;
    void (*gone)(void *arg);
    void *arg;
};

/* --- names ------------------------------------------------------------------------------------ */

/* A certificate may name its domain as URI as well, which OpenSSL does not look at (RFC 5922 7.1).
 */
static bool
names_domain(const X509 *cert, const char *domain)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    size_t n = strlen(domain);
    bool found = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI)
            continue;
        const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
        found =
            found || (ASN1_STRING_length(uri) == (int)n + 4 &&
                      strncasecmp((const char *)ASN1_STRING_get0_data(uri), "sip:", 4) == 0 &&
                      strncasecmp((const char *)ASN1_STRING_get0_data(uri) + 4, domain, n) == 0);
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* No wildcards, and no common name of the subject (RFC 5922 7.2). */
static bool
is_named(X509 *cert, const char *name)
{
    const unsigned strict = X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;

    return name[0] != '\0' &&
           (X509_check_ip_asc(cert, name, 0) == 1 ||
            X509_check_host(cert, name, 0, strict, NULL) == 1 || names_domain(cert, name));
}

void
phone_tls_expect(struct phone_tls *t, const char *next_hop)
{
    struct uri uri;
    struct pl all;

    if (t == NULL)
        return;
    t->name[0] = '\0';
    pl_set_str(&all, next_hop);
    if (uri_decode(&uri, &all) == 0 && uri.host.l < sizeof t->name)
        (void)pl_strcpy(&uri.host, t->name, sizeof t->name);
}

/* --- callbacks of OpenSSL --------------------------------------------------------------------- */

static struct phone_tls *
tls_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static int
verified(int ok, X509_STORE_CTX *chain)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct phone_tls *t = tls_of(ssl);
    bool server = SSL_is_server(ssl) == 0;

    if (ok == 1 && server && X509_STORE_CTX_get_error_depth(chain) == 0 &&
        !is_named(X509_STORE_CTX_get_current_cert(chain), t->name)) {
        X509_STORE_CTX_set_error(chain, X509_V_ERR_HOSTNAME_MISMATCH);
        ok = 0;
    }
    if (ok != 1)
        re_snprintf(t->why, sizeof t->why, "the certificate of %s: %s",
                    server ? t->name : "who calls",
                    X509_verify_cert_error_string(X509_STORE_CTX_get_error(chain)));
    return ok;
}

/* Proxies that serve several domains choose their certificate by the name (RFC 6066 3): it is no
 * address there. */
static void
ask_for_name(SSL *ssl, const char *name)
{
    struct sa sa;

    if (name[0] != '\0' && sa_set_str(&sa, name, 0) != 0)
        (void)SSL_set_tlsext_host_name(ssl, name);
}

/* The text of an alert; OpenSSL 3.0 has none for the one that servers of TLS 1.3 send those who
 * show no certificate. */
static const char *
alert_text(int what)
{
    return (what & 0xff) == SSL_AD_CERTIFICATE_REQUIRED ? "certificate required"
                                                        : SSL_alert_desc_string_long(what);
}

static void
happened(const SSL *ssl, int where, int what)
{
    struct phone_tls *t = tls_of(ssl);

    if ((where & SSL_CB_HANDSHAKE_START) != 0) {
        t->why[0] = '\0';
        if (SSL_is_server(ssl) == 0)
            ask_for_name((SSL *)(uintptr_t)ssl, t->name);
    }
    if ((where & SSL_CB_ALERT) == 0 || what >> 8 != SSL3_AL_FATAL)
        return;
    if ((where & SSL_CB_READ) != 0)
        phone_say("tls-refused", "by the other side: %s", alert_text(what));
    else
        phone_say("tls-refused", "by us: %s", t->why[0] != '\0' ? t->why : alert_text(what));
}

/* The connection is freed. A server of TLS 1.3 that does not take our certificate says so when the
 * handshake is over for us, and libre tells nobody that it is gone. */
static void
freed(void *ssl, void *value, CRYPTO_EX_DATA *data, int index, long number, void *arg)
{
    struct phone_tls *t = tls_of(ssl);

    (void)value, (void)data, (void)index, (void)number, (void)arg;
    if (t != NULL && SSL_is_server(ssl) == 0)
        tmr_start(&t->after, 0, t->gone, t->arg); /* libre is in the middle of it */
}

/* --- the context ------------------------------------------------------------------------------ */

static bool
read_own(SSL_CTX *ctx, const struct phone_options *o, struct cli_error *err)
{
    const char *cert = o->value[PHONE_OPT_TLS_CERT], *key = o->value[PHONE_OPT_TLS_KEY];
    CLI_SCOPED_BLOB text = { 0 };

    if (cert == NULL && key == NULL)
        return true;
    if (cert == NULL || key == NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "--tls-cert and --tls-key belong together");
    if (!cli_file_read(&text, key, KEY_FILE_MAX, CLI_SECRET, err))
        return false;
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return cli_fail(err, CLI_EXIT_USAGE, "--tls-cert %.200s: no certificate in PEM", cert);
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    EVP_PKEY *own = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    bool ok = own != NULL && SSL_CTX_use_PrivateKey(ctx, own) == 1;
    EVP_PKEY_free(own);
    BIO_free(bio);
    return ok || cli_fail(err, CLI_EXIT_USAGE,
                          "--tls-key %.200s: not the key of --tls-cert, in PEM", key);
}

/* Nothing is resumed: who comes again is verified again. */
static bool
make_strict(SSL_CTX *ctx, const char *ca, struct cli_error *err)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);

    if (names == NULL || SSL_CTX_load_verify_file(ctx, ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return cli_fail(err, CLI_EXIT_USAGE, "--tls-ca %.200s: no certificates in PEM", ca);
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verified);
    SSL_CTX_set_info_callback(ctx, happened);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    return (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
            SSL_get_ex_new_index(0, NULL, NULL, NULL, freed) >= 0) ||
           cli_fail(err, CLI_EXIT_FAILURE, "OpenSSL has no TLS 1.2, or no memory");
}

bool
phone_tls_open(struct phone_tls **out, const struct phone_options *o, void (*gone)(void *arg),
               void *arg, struct cli_error *err)
{
    struct phone_tls *t = calloc(1, sizeof *t);

    *out = t;
    if (t == NULL || tls_alloc(&t->context, TLS_METHOD_SSLV23, NULL, NULL) != 0)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    t->gone = gone;
    t->arg = arg;
    SSL_CTX *ctx = tls_openssl_context(t->context);
    SSL_CTX_set_app_data(ctx, t);
    return make_strict(ctx, o->value[PHONE_OPT_TLS_CA], err) && read_own(ctx, o, err);
}

void
phone_tls_close(struct phone_tls *t)
{
    if (t == NULL)
        return;
    tmr_cancel(&t->after);
    mem_deref(t->context);
    free(t);
}

struct tls *
phone_tls_context(const struct phone_tls *t)
{
    return t->context;
}
