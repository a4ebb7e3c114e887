/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of https addresses: certificates, keys and the authority that clients must come from, read
 * from files and again when they change. A connection keeps what it began with; the next one gets
 * what is there then, so that a change drops nobody. */
#ifndef KMS_TLS_H
#define KMS_TLS_H

#include "config.h"
#include "files.h"
#include "log.h"

#define KMS_TLS_ERR KMS_FILES_ERR /* octets for an error text */

/* TLS 1.2 and 1.3 with forward secrecy and authenticated encryption, in GnuTLS's words. */
#define KMS_TLS_PRIORITIES                                                       \
    "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-" \
    "RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:%SERVER_PRECEDENCE"

struct kms_tls;     /* opaque, owned; any number of threads, one that refreshes */
struct kms_tls_set; /* what one reading of the files gave; counted */

/* What a kind of address serves with. Borrows. */
struct kms_tls_files {
    const struct kms_files *certificate, *private_key, *client_ca;
    bool optional; /* a client may come without a certificate; who looks at it verifies it */
};

/* kms_tls_port is that of the key-management port, kms_tls_api of the admin API. */
struct kms_tls_files kms_tls_port(const struct kms_config *config);
struct kms_tls_files kms_tls_api(const struct kms_config *config);

/* kms_tls_open reads the files, which it keeps track of. *tls is NULL when there is no certificate
 * among them. False: err says which file and why. */
bool kms_tls_open(struct kms_tls **tls, const struct kms_tls_files *files, char err[KMS_TLS_ERR]);

/* kms_tls_none is for MHD_OPTION_HTTPS_CERT_CALLBACK: until kms_tls_begin a session has no
 * certificate, and fails. */
extern void *const kms_tls_none;

/* kms_tls_names gives each name of the certificate that the client of a session has shown, if it is
 * verified now: those of its subjectAltName, or, without any, its subject. False: there is no such
 * certificate, or `each` was false. */
bool kms_tls_names(void *session, bool (*each)(void *ctx, const char *name), void *ctx);

/* kms_tls_close frees; connections may still hold sets. NULL is allowed. */
void kms_tls_close(struct kms_tls *tls);

/* kms_tls_begin gives a new session (gnutls_session_t) the certificates of now. any_client: who has
 * no certificate is refused, but whose it is is looked at later (peers.h). The set is to be
 * given to kms_tls_end after the session; NULL: the session must not go on. */
struct kms_tls_set *kms_tls_begin(struct kms_tls *tls, void *session, bool any_client);
void kms_tls_end(struct kms_tls_set *set);

/* kms_tls_refresh reads the files again if one has changed, or anyway, and says so in the log.
 * Files that cannot be used leave those read before. NULL is allowed. */
void kms_tls_refresh(struct kms_tls *tls, struct kms_log *log, bool anyway);

/* kms_tls_not_after returns when the first of our certificates runs out, seconds since 1970; 0
 * without TLS. NULL is allowed. */
int64_t kms_tls_not_after(struct kms_tls *tls);

#endif
