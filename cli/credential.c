/* SPDX-License-Identifier: Apache-2.0 */
/* The credential file (docs/formats/credential-file.md), as `mikey-kmsctl --psk-out` writes it. */
#include "credential.h"

#include "files.h"
#include "flat_yaml.h"

#include <ctype.h>
#include <string.h>

#define CREDENTIAL_MAX 16384 /* octets of a file */

static const struct cli_yaml_key keys[] = {
    { "identity", false, true }, { "kms", false, true },   { "psk-id", false, false },
    { "psk", false, true },      { "suite", false, true },
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
take_text(const struct cli_yaml *y, const char *name, char out[MKT_ID_MAX + 1],
          struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, name);
    if (f == NULL)
        return true; /* an optional key; the reader has checked the others */
    if (f->len == 0 || f->len > MKT_ID_MAX)
        return cli_yaml_fail(y, f, "expected 1 to 1024 octets", err);
    memcpy(out, f->value, f->len + 1);
    return true;
}

static bool
take_identity(const struct cli_yaml *y, const char *name, char out[MKT_ID_MAX + 1],
              struct cli_error *err)
{
    if (!take_text(y, name, out, err))
        return false;
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

bool
cli_credential_read(struct cli_credential *c, const char *path, struct mkt_span text,
                    struct cli_error *err)
{
    CLI_SCOPED_YAML y = { 0 };
    *c = (struct cli_credential){ 0 };
    return cli_yaml_read(&y, &form, path, text, err) &&
           take_identity(&y, "identity", c->identity, err) &&
           take_identity(&y, "kms", c->kms, err) && take_text(&y, "psk-id", c->psk_id, err) &&
           take_suite(&y, c, err) && take_psk(&y, c, err);
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
