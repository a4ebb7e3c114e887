/* SPDX-License-Identifier: Apache-2.0 */
/* The credential as the library wants it, and the environment of its calls: system clock, system
 * generator, and for COUNTER timestamps the counter file beside the credential. */
#include "client.h"

#include "clock.h"
#include "counter.h"

#include <stdio.h>
#include <string.h>

static bool
read_timestamp(const struct cli_args *args, uint8_t *ts_type, struct cli_error *err)
{
    static const struct {
        const char *name;
        uint8_t type;
    } types[] = { { "ntp-utc", MKT_TS_NTP_UTC },
                  { "ntp", MKT_TS_NTP },
                  { "counter", MKT_TS_COUNTER },
                  { "ntp-utc-32", MKT_TS_NTP_UTC_32 } };
    const char *name = cli_args_get(args, CLI_OPT_TIMESTAMP);
    for (size_t i = 0; i < CLI_COUNT(types); i++)
        if (strcmp(name != NULL ? name : types[0].name, types[i].name) == 0) {
            *ts_type = types[i].type;
            return true;
        }
    return cli_fail(err, CLI_EXIT_USAGE,
                    "--timestamp %s: expected ntp-utc, ntp, ntp-utc-32 or counter", name);
}

static bool
read_suite(struct cli_client *c, const struct cli_args *args, struct cli_error *err)
{
    const char *suite = cli_args_get(args, CLI_OPT_SUITE);
    if (suite != NULL && !cli_suite_prf(suite, &c->file.prf))
        return cli_fail(err, CLI_EXIT_USAGE, "--suite %s: expected 128 or 256", suite);
    if (c->file.psk.n != 0 && c->file.psk.n < mkt_suite_of(c->file.prf)->key_len)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--suite 256 needs a key of 32 octets; that of the credential has %u",
                        c->file.psk.n);
    return true;
}

bool
cli_crypto_open(struct mkt_crypto **crypto, struct cli_error *err)
{
    *crypto = mkt_crypto_new();
    if (*crypto == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "OpenSSL does not offer the algorithms needed");
    return mkt_crypto_selftest(*crypto) ||
           cli_fail(err, CLI_EXIT_FAILURE, "an algorithm of OpenSSL fails its self-test");
}

static bool
open_keys(struct cli_client *c, const char *path, struct cli_error *err)
{
    if (*c->file.certificate != '\0')
        return cli_pk_open(&c->pk, &c->file, path, err);
    if (c->file.psk.n == 0)
        return true;
    enum mkt_rc rc = mkt_inkey_mem_init(&c->psk, mkt_secret_span(&c->file.psk));
    return rc == MKT_OK || cli_fail(err, CLI_EXIT_FAILURE, "psk: %s", mkt_strerror(rc));
}

bool
cli_client_open(struct cli_client *c, const struct cli_args *args, struct cli_error *err)
{
    const char *path = cli_args_get(args, CLI_OPT_CREDENTIALS);
    uint8_t ts_type = 0;

    memset(c, 0, sizeof *c);
    c->err = err;
    int n = snprintf(c->counter, sizeof c->counter, "%s.counter", path);
    if (n < 0 || (size_t)n >= sizeof c->counter)
        return cli_fail(err, CLI_EXIT_FAILURE, "the file name %.60s... is too long", path);
    if (!read_timestamp(args, &ts_type, err) || !cli_credential_load(&c->file, path, err) ||
        !read_suite(c, args, err) || !cli_crypto_open(&c->crypto, err) || !open_keys(c, path, err))
        return false;
    c->cred = (struct mkt_credential){
        .self = cli_identity(c->file.identity),
        .kms = cli_identity(c->file.kms),
        .psk_id = mkt_span(c->file.psk_id, strlen(c->file.psk_id)),
        .psk = c->file.psk.n != 0 ? &c->psk.base : NULL,
        .pk = *c->file.certificate != '\0' ? &c->pk.cred : NULL,
        .ts_type = ts_type,
    };
    return true;
}

bool
cli_client_check_kms(const struct cli_client *c, struct cli_error *err)
{
    return c->cred.psk != NULL || c->cred.pk != NULL ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "the credential of %s has neither a psk nor a certificate, so no KMS can be "
                    "asked with it",
                    c->file.identity);
}

bool
cli_client_serves(const struct cli_client *c, uint8_t prf, struct mkt_err *why)
{
    return c->file.psk.n == 0 || c->file.psk.n >= mkt_suite_of(prf)->key_len ||
           mkt_fail(why, MKT_E_PRF, 0, "of suite 256, the psk of the credential of suite 128",
                    "RFC 6043 12.1") == MKT_OK;
}

bool
cli_client_rooms(struct cli_client *c, struct cli_error *err)
{
    return (c->out.p != NULL || cli_blob_alloc(&c->out, MKT_MSG_MAX, err)) &&
           (c->answer.p != NULL || cli_blob_alloc(&c->answer, MKT_MSG_MAX, err));
}

void
cli_client_close(struct cli_client *c)
{
    cli_blob_free(&c->out);
    cli_blob_free(&c->answer);
    mkt_wipe(&c->random, sizeof c->random);
    cli_pk_close(&c->pk);
    mkt_crypto_free(c->crypto);
    mkt_inkey_mem_wipe(&c->psk);
    cli_credential_wipe(&c->file);
}

static bool
draw(void *ctx, uint8_t *out, size_t n)
{
    struct cli_client *c = ctx;
    return mkt_pool_random(&c->random, out, n);
}

static uint64_t
stamp(void *ctx, uint8_t ts_type)
{
    struct cli_client *c = ctx;
    uint32_t counter = 0;
    if (ts_type != MKT_TS_COUNTER)
        return cli_clock_ntp();
    return cli_counter_next(c->counter, &counter, c->err) ? counter : 0;
}

struct mkt_env
cli_client_env(struct cli_client *c)
{
    return (struct mkt_env){
        .crypto = c->crypto, .now = cli_clock_ntp(), .random = draw, .stamp = stamp, .ctx = c
    };
}
