/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and private key. What cannot work is said here, in words, and not learnt from a KMS
 * that refuses. */
#include "pk.h"

#include "clock.h"
#include "files.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEM_MAX 262144 /* octets of a file */

/* Reads the file that the credential at `path` calls `name`. */
static bool
load(struct cli_blob *out, const char *path, const char *name, enum cli_privacy privacy,
     struct cli_error *err)
{
    if (*name == '/')
        return cli_file_read(out, name, PEM_MAX, privacy, err);
    char *copy = strdup(path), full[4096];
    if (copy == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    int n = snprintf(full, sizeof full, "%s/%s", dirname(copy), name);
    free(copy);
    if (n < 0 || (size_t)n >= sizeof full)
        return cli_fail(err, CLI_EXIT_FAILURE, "the file name %.60s... is too long", name);
    return cli_file_read(out, full, PEM_MAX, privacy, err);
}

static bool
load_chain(struct mkt_cert *chain[MKT_CHAIN_MAX], size_t *n, const char *path, const char *name,
           struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    struct mkt_err why = { 0 };

    if (!load(&text, path, name, CLI_PUBLIC, err))
        return false;
    struct mkt_span rest = cli_blob_span(&text);
    while (*n < MKT_CHAIN_MAX) {
        if (mkt_cert_next(&chain[*n], &rest, &why) != MKT_OK)
            return cli_fail_mkt(err, CLI_EXIT_FAILURE, name, &why);
        if (chain[*n] == NULL)
            return *n > 0 || cli_fail(err, CLI_EXIT_FAILURE, "%s holds no certificate", name);
        (*n)++;
    }
    return cli_fail(err, CLI_EXIT_FAILURE, "%s holds more certificates than %d", name,
                    MKT_CHAIN_MAX - 1);
}

static bool
load_key(struct cli_pk *pk, const char *path, const char *name, struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    struct mkt_err why = { 0 };

    if (!load(&text, path, name, CLI_SECRET, err))
        return false;
    return mkt_pkey_new(&pk->key, cli_blob_span(&text), &why) == MKT_OK ||
           cli_fail_mkt(err, CLI_EXIT_FAILURE, name, &why);
}

/* The identity of a certificate is a subjectAltName: a URI, or an address for an NAI. */
static bool
names(const struct mkt_cert *cert, const char *identity)
{
    struct mkt_identity id = cli_identity(identity);
    return mkt_cert_names(cert, id.type == MKT_ID_URI ? MKT_SAN_URI : MKT_SAN_RFC822, id.data);
}

static bool
check_own(const struct cli_pk *pk, const struct cli_credential *c, int64_t now,
          struct cli_error *err)
{
    struct mkt_err why = { 0 };

    if (!mkt_cert_fits(pk->chain[0], pk->key))
        return cli_fail(err, CLI_EXIT_FAILURE, "%s is not the key of the first certificate in %s",
                        c->private_key, c->certificate);
    if (!names(pk->chain[0], c->identity))
        return cli_fail(err, CLI_EXIT_FAILURE,
                        "the first certificate in %s does not name %s (subjectAltName)",
                        c->certificate, c->identity);
    return mkt_cert_check(pk->chain[0], MKT_FOR_SIGNING, now, &why) == MKT_OK ||
           cli_fail_mkt(err, CLI_EXIT_FAILURE, c->certificate, &why);
}

static bool
verify_kms(const struct cli_pk *pk, const struct cli_credential *c, const char *path, int64_t now,
           struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    struct mkt_err why = { 0 };
    struct mkt_trust *trust = mkt_trust_new();
    bool done = trust != NULL || cli_fail(err, CLI_EXIT_FAILURE, "out of memory");

    done = done && load(&text, path, c->kms_ca, CLI_PUBLIC, err);
    if (done && (mkt_trust_add(trust, cli_blob_span(&text), &why) != MKT_OK ||
                 mkt_trust_verify(trust, (const struct mkt_cert *const *)pk->kms, pk->n_kms,
                                  MKT_FOR_ENCRYPTION, now, &why) != MKT_OK))
        done = cli_fail_mkt(err, CLI_EXIT_FAILURE, c->kms_certificate, &why);
    mkt_trust_free(trust);
    return done;
}

static bool
check_kms(const struct cli_pk *pk, const struct cli_credential *c, const char *path, int64_t now,
          struct cli_error *err)
{
    struct mkt_err why = { 0 };

    if (!names(pk->kms[0], c->kms))
        return cli_fail(err, CLI_EXIT_FAILURE,
                        "the first certificate in %s does not name %s (subjectAltName)",
                        c->kms_certificate, c->kms);
    if (mkt_cert_check(pk->kms[0], MKT_FOR_ENCRYPTION, now, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, c->kms_certificate, &why);
    return *c->kms_ca == '\0' || verify_kms(pk, c, path, now, err);
}

bool
cli_pk_open(struct cli_pk *pk, const struct cli_credential *c, const char *path,
            struct cli_error *err)
{
    int64_t now = mkt_ntp_to_unix(cli_clock_ntp());

    if (!load_key(pk, path, c->private_key, err) ||
        !load_chain(pk->chain, &pk->n_chain, path, c->certificate, err) ||
        !load_chain(pk->kms, &pk->n_kms, path, c->kms_certificate, err) ||
        !check_own(pk, c, now, err) || !check_kms(pk, c, path, now, err))
        return false;
    pk->cred = (struct mkt_pk_credential){ .key = pk->key,
                                           .chain = (const struct mkt_cert *const *)pk->chain,
                                           .n_chain = pk->n_chain,
                                           .kms = pk->kms[0],
                                           .padding = c->padding,
                                           .s_type = c->s_type,
                                           .chash_func = MKT_HASH_SHA_256,
                                           .chash = c->chash,
                                           .sha1 = c->sha1 };
    return true;
}

void
cli_pk_close(struct cli_pk *pk)
{
    mkt_pkey_free(pk->key);
    for (size_t i = 0; i < pk->n_chain; i++)
        mkt_cert_free(pk->chain[i]);
    for (size_t i = 0; i < pk->n_kms; i++)
        mkt_cert_free(pk->kms[i]);
}
