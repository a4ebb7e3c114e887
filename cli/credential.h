/* SPDX-License-Identifier: Apache-2.0 */
/* The credential file: who we are to which KMS, and by what: a pre-shared key, a certificate, or
 * nothing at all for tickets that need no KMS (docs/formats/credential-file.md). */
#ifndef MKT_CLI_CREDENTIAL_H
#define MKT_CLI_CREDENTIAL_H

#include "cli.h"

#include <mikeyticket/policy.h>
#include <mikeyticket/secret.h>

#define CLI_PATH_MAX 1024 /* octets of a file name in a credential */

struct cli_credential {
    char identity[MKT_ID_MAX + 1];
    char kms[MKT_ID_MAX + 1];    /* empty: no KMS */
    char psk_id[MKT_ID_MAX + 1]; /* empty: none is sent */
    uint8_t prf;                 /* enum mkt_prf */
    struct mkt_secret psk;       /* n = 0: none */
    /* With a certificate; file names as they stand in the file. */
    char certificate[CLI_PATH_MAX + 1]; /* empty: the user has none */
    char private_key[CLI_PATH_MAX + 1];
    char kms_certificate[CLI_PATH_MAX + 1];
    char kms_ca[CLI_PATH_MAX + 1]; /* empty: the KMS's certificate is trusted as it is */
    uint8_t padding, s_type;       /* enum mkt_pad, enum mkt_s_type */
    bool chash, sha1;
};

/* cli_credential_read parses text; path names it in errors. */
MKT_MUST_USE bool cli_credential_read(struct cli_credential *c, const char *path,
                                      struct mkt_span text, struct cli_error *err);

/* cli_credential_load reads the file at path, which must be private. */
MKT_MUST_USE bool cli_credential_load(struct cli_credential *c, const char *path,
                                      struct cli_error *err);

/* cli_credential_wipe clears c. */
void cli_credential_wipe(struct cli_credential *c);

/* A mapping of words to numbers, for a key of a file. */
struct cli_word {
    const char *word;
    uint8_t value;
};

/* cli_identity makes an identity of text, borrowed: a URI when it begins with a scheme and a
 * colon, else an NAI (RFC 3830 6.7). */
struct mkt_identity cli_identity(const char *text);

/* cli_identity_read is cli_identity for what a user typed: 1 to 1024 printable ASCII characters.
 * `option` names it in the error. */
MKT_MUST_USE bool cli_identity_read(struct mkt_identity *id, const char *option, const char *text,
                                    struct cli_error *err);

/* cli_suite_prf reads "128" or "256". */
MKT_MUST_USE bool cli_suite_prf(const char *text, uint8_t *prf);

#endif
