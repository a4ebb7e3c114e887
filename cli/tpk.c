/* SPDX-License-Identifier: Apache-2.0 */
/* The TPK file. Whoever has a TPK can write any name into the tickets it protects, so a key is good
 * for the tickets of one other party only: the KMS that `kms` names, or the user that `peer` names
 * (RFC 6043 4.1.1, 12.4). */
#include "tpk.h"

#include "credential.h"
#include "files.h"
#include "flat_yaml.h"

#include <string.h>

#define TPK_FILE_MAX 16384 /* octets of a file */

static const struct cli_yaml_key keys[] = {
    { "identity", false, true }, { "kms", false, false }, { "peer", false, false },
    { "tpk-id", false, false },  { "tpk", false, true },  { "suite", false, true },
};
static const struct cli_yaml_form form = { "ticket protection key", keys, CLI_COUNT(keys), NULL };

static bool
take_key(struct cli_tpk *t, const struct cli_yaml *y, struct cli_error *err)
{
    const struct cli_yaml_field *suite = cli_yaml_get(y, CLI_YAML_TOP, "suite");
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, "tpk");
    MKT_SCOPED_SECRET
    key = { 0 };
    size_t n = 0;

    if (!cli_suite_prf(suite->value, &t->prf))
        return cli_yaml_fail(y, suite, "expected 128 or 256", err);
    if (!cli_yaml_hex(y, f, key.b, sizeof key.b, &n, err))
        return false;
    key.n = (uint16_t)n;
    if (n < mkt_suite_of(t->prf)->key_len) /* RFC 6043 12.1 */
        return cli_yaml_fail(y, f, "too short for the suite", err);
    enum mkt_rc rc = mkt_inkey_mem_init(&t->key, mkt_secret_span(&key));
    return rc == MKT_OK || cli_yaml_fail(y, f, mkt_strerror(rc), err);
}

static bool
read_tpk(struct cli_tpk *t, const struct cli_yaml *y, const char *identity, struct cli_error *err)
{
    if (!cli_yaml_text(y, "identity", t->identity, err) || !cli_yaml_text(y, "kms", t->kms, err) ||
        !cli_yaml_text(y, "peer", t->peer, err) || !cli_yaml_text(y, "tpk-id", t->id, err) ||
        !take_key(t, y, err))
        return false;
    if (strcmp(t->identity, identity) != 0)
        return cli_fail(err, CLI_EXIT_USAGE, "%s is a key of %.200s, the credential is of %.200s",
                        t->path, t->identity, identity);
    return (*t->kms != '\0') != (*t->peer != '\0') ||
           cli_fail(err, CLI_EXIT_FAILURE,
                    "%s must say who else has the key: either kms (modes 2 and 3) or peer (mode 4)",
                    t->path);
}

bool
cli_tpk_load(struct cli_tpk *t, const char *path, const char *identity, struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    CLI_SCOPED_YAML y = { 0 };

    memset(t, 0, sizeof *t);
    t->path = path;
    return cli_file_read(&text, path, TPK_FILE_MAX, CLI_SECRET, err) &&
           cli_yaml_read(&y, &form, path, cli_blob_span(&text), err) &&
           read_tpk(t, &y, identity, err);
}

void
cli_tpk_wipe(struct cli_tpk *t)
{
    mkt_inkey_mem_wipe(&t->key);
    mkt_wipe(t, sizeof *t);
}

static bool
is(struct mkt_identity id, const char *text)
{
    return *text != '\0' && mkt_identity_equal(id, cli_identity(text));
}

bool
cli_tpk_may_make(const struct cli_tpk *t, const struct mkt_policy *want, struct cli_error *err)
{
    if ((want->flags & MKT_TP_E) != 0)
        return *t->kms != '\0' ||
               cli_fail(err, CLI_EXIT_USAGE,
                        "%s is not shared with a KMS, so none could open the ticket (E flag). To "
                        "let %.200s open it: --no-resolve",
                        t->path, t->peer);
    if (*t->peer == '\0')
        return cli_fail(err, CLI_EXIT_USAGE,
                        "%s is shared with the KMS, not with who answers, so the ticket needs the "
                        "E flag",
                        t->path);
    return (want->n_responders == 1 && is(want->responders[0], t->peer)) ||
           cli_fail(
               err, CLI_EXIT_USAGE,
               "%s is shared with %.200s: a ticket without the E flag can be for that one only",
               t->path, t->peer);
}

enum mkt_rc
cli_tpk_may_open(const struct cli_tpk *t, const struct mkt_policy *policy, struct mkt_err *why)
{
    if ((policy->flags & MKT_TP_E) != 0)
        return mkt_fail(why, MKT_E_TP_PARAM, 0, "only the KMS may open this ticket (E is set)",
                        "RFC 6043 6.10");
    if ((policy->flags & MKT_TP_D) == 0)
        return is(policy->initiator, t->peer)
                   ? MKT_OK
                   : mkt_fail(why, MKT_E_IDENTITY, 0,
                              "the maker of the ticket is not who shares the ticket key (peer)",
                              "RFC 6043 4.1.1");
    if (*t->kms != '\0' && (policy->kms.data.p == NULL || is(policy->kms, t->kms)))
        return MKT_OK;
    return mkt_fail(why, MKT_E_IDENTITY, 0,
                    "the KMS that made the ticket is not who shares the ticket key (kms)",
                    "RFC 6043 4.1.1");
}
