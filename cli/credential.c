/* SPDX-License-Identifier: Apache-2.0 */
/* The credential file (docs/formats/credential-file.md), as `mikey-kmsctl --psk-out` writes it, or
 * written by hand for a user with a certificate. */
#include "credential.h"

#include "files.h"
#include "flat_yaml.h"

#include <ctype.h>
#include <mikeyticket/pk.h>
#include <stdio.h>
#include <string.h>

#define CREDENTIAL_MAX 16384 /* octets of a file */

static const struct cli_yaml_key keys[] = {
    { "identity", false, true },     { "kms", false, false },
    { "psk-id", false, false },      { "psk", false, false },
    { "suite", false, true },        { "certificate", false, false },
    { "private-key", false, false }, { "kms-certificate", false, false },
    { "kms-ca", false, false },      { "padding", false, false },
    { "signature", false, false },   { "chash", false, false },
    { "sha1", false, false },
};
static const struct cli_yaml_form form = { "credential", keys, CLI_COUNT(keys), NULL };

struct mkt_identity
cli_identity(const char *text)
{
    size_t scheme = 0; /* RFC 3986 3.1 */
    while (isalnum((unsigned char)text[scheme]) ||
           (text[scheme] != '\0' && strchr("+-.", text[scheme]) != NULL))
        scheme++;
    bool uri = isalpha((unsigned char)text[0]) && text[scheme] == ':';
    return (struct mkt_identity){ uri ? MKT_ID_URI : MKT_ID_NAI, mkt_span(text, strlen(text)) };
}

bool
cli_identity_read(struct mkt_identity *id, const char *option, const char *text,
                  struct cli_error *err)
{
    size_t n = 0;
    while (text[n] > ' ' && text[n] <= '~')
        n++;
    *id = cli_identity(text);
    if (n == 0 || n > MKT_ID_MAX || text[n] != '\0' || strpbrk(text, ":@") == NULL)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--%s %.80s: expected a URI such as sip:bob@example.com, or user@realm",
                        option, text);
    return true;
}

bool
cli_suite_prf(const char *text, uint8_t *prf)
{
    if (strcmp(text, "128") == 0)
        *prf = MKT_PRF_MIKEY_1;
    else if (strcmp(text, "256") == 0)
        *prf = MKT_PRF_HMAC_SHA_256;
    else
        return false;
    return true;
}

static bool
take_identity(const struct cli_yaml *y, const char *name, char out[MKT_ID_MAX + 1],
              struct cli_error *err)
{
    if (!cli_yaml_text(y, name, out, err))
        return false;
    if (*out == '\0')
        return true; /* left out */
    if (strchr(out, ':') == NULL && strchr(out, '@') == NULL)
        return cli_yaml_fail(y, cli_yaml_get(y, CLI_YAML_TOP, name),
                             "expected a URI such as sip:alice@example.com, or user@realm", err);
    return true;
}

static bool
take_psk(const struct cli_yaml *y, struct cli_credential *c, struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, "psk");
    size_t n = 0;
    if (f == NULL)
        return true;
    if (!cli_yaml_hex(y, f, c->psk.b, sizeof c->psk.b, &n, err))
        return false;
    c->psk.n = (uint16_t)n;
    if (n < mkt_suite_of(c->prf)->key_len) /* RFC 6043 12.1 */
        return cli_yaml_fail(y, f,
                             c->prf == MKT_PRF_MIKEY_1
                                 ? "suite 128 needs a key of 16 octets (32 hex digits) or more"
                                 : "suite 256 needs a key of 32 octets (64 hex digits) or more",
                             err);
    return true;
}

static bool
take_suite(const struct cli_yaml *y, struct cli_credential *c, struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, "suite");
    return cli_suite_prf(f->value, &c->prf) || cli_yaml_fail(y, f, "expected 128 or 256", err);
}

static bool
take_path(const struct cli_yaml *y, const char *name, char out[CLI_PATH_MAX + 1],
          struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, name);
    if (f == NULL)
        return true;
    if (f->len == 0 || f->len > CLI_PATH_MAX)
        return cli_yaml_fail(y, f, "expected a file name", err);
    memcpy(out, f->value, f->len + 1);
    return true;
}

static bool
take_word(const struct cli_yaml *y, const char *name, const struct cli_word *words, size_t n,
          uint8_t *out, struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, name);
    char known[128] = "expected ";
    size_t at = strlen(known);

    for (size_t i = 0; f != NULL && i < n; i++) {
        if (strcmp(f->value, words[i].word) == 0) {
            *out = words[i].value;
            return true;
        }
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i == 0 ? "" : " or ",
                               words[i].word);
    }
    return f == NULL || cli_yaml_fail(y, f, known, err);
}

static const struct cli_word paddings[] = { { "pkcs1", MKT_PAD_PKCS1 },
                                            { "oaep-sha1", MKT_PAD_OAEP_SHA_1 },
                                            { "oaep-sha256", MKT_PAD_OAEP_SHA_256 } };
static const struct cli_word signatures[] = { { "pkcs1", MKT_S_RSA_PKCS1 },
                                              { "pss", MKT_S_RSA_PSS } };
static const struct cli_word yes_no[] = { { "no", 0 }, { "yes", 1 } };

/* What only a credential with a certificate may say, and what it must. */
static bool
check_pk(const struct cli_yaml *y, const struct cli_credential *c, struct cli_error *err)
{
    static const char *const others[] = { "private-key", "kms-certificate", "kms-ca", "padding",
                                          "signature",   "chash",           "sha1" };
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, "certificate");

    if (f != NULL && c->psk.n != 0)
        return cli_yaml_fail(y, f, "there is a psk already: take one of them", err);
    if (f != NULL && (*c->private_key == '\0' || *c->kms_certificate == '\0' || *c->kms == '\0'))
        return cli_yaml_fail(y, f, "needs private-key, kms-certificate and kms, too", err);
    for (size_t i = 0; f == NULL && i < CLI_COUNT(others); i++)
        if (cli_yaml_get(y, CLI_YAML_TOP, others[i]) != NULL)
            return cli_yaml_fail(y, cli_yaml_get(y, CLI_YAML_TOP, others[i]),
                                 "there is no certificate", err);
    return true;
}

static bool
take_pk(const struct cli_yaml *y, struct cli_credential *c, struct cli_error *err)
{
    uint8_t chash = 0, sha1 = 0;

    if (!take_path(y, "certificate", c->certificate, err) ||
        !take_path(y, "private-key", c->private_key, err) ||
        !take_path(y, "kms-certificate", c->kms_certificate, err) ||
        !take_path(y, "kms-ca", c->kms_ca, err) ||
        !take_word(y, "padding", paddings, CLI_COUNT(paddings), &c->padding, err) ||
        !take_word(y, "signature", signatures, CLI_COUNT(signatures), &c->s_type, err) ||
        !take_word(y, "chash", yes_no, CLI_COUNT(yes_no), &chash, err) ||
        !take_word(y, "sha1", yes_no, CLI_COUNT(yes_no), &sha1, err))
        return false;
    c->chash = chash != 0;
    c->sha1 = sha1 != 0;
    return check_pk(y, c, err);
}

/* A KMS and a key for it, or neither: then the credential is a name, for tickets that no KMS sees.
 */
static bool
check_kms(const struct cli_yaml *y, const struct cli_credential *c, struct cli_error *err)
{
    const struct cli_yaml_field *kms = cli_yaml_get(y, CLI_YAML_TOP, "kms");

    if (kms == NULL && c->psk.n != 0)
        return cli_yaml_fail(y, cli_yaml_get(y, CLI_YAML_TOP, "psk"), "of which kms?", err);
    return kms == NULL || c->psk.n != 0 || *c->certificate != '\0' ||
           cli_yaml_fail(y, kms,
                         "needs a psk or a certificate. Where no KMS is asked, leave it out", err);
}

bool
cli_credential_read(struct cli_credential *c, const char *path, struct mkt_span text,
                    struct cli_error *err)
{
    CLI_SCOPED_YAML y = { 0 };
    *c = (struct cli_credential){ 0 };
    return cli_yaml_read(&y, &form, path, text, err) &&
           take_identity(&y, "identity", c->identity, err) &&
           take_identity(&y, "kms", c->kms, err) && cli_yaml_text(&y, "psk-id", c->psk_id, err) &&
           take_suite(&y, c, err) && take_psk(&y, c, err) && take_pk(&y, c, err) &&
           check_kms(&y, c, err);
}

bool
cli_credential_load(struct cli_credential *c, const char *path, struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    return cli_file_read(&text, path, CREDENTIAL_MAX, CLI_SECRET, err) &&
           cli_credential_read(c, path, cli_blob_span(&text), err);
}

void
cli_credential_wipe(struct cli_credential *c)
{
    mkt_wipe(c, sizeof *c);
}
