/* SPDX-License-Identifier: Apache-2.0 */
/* SRTP cipher suites by the names of RFC 4568, RFC 6188 and RFC 7714. One table maps them to SP
 * parameters; the same table names the parameters of a session. The AEAD suites leave out the
 * authentication parameters, which have no meaning there (RFC 7714 15). A tag of 4 octets is for
 * SRTP alone: SRTCP keeps 10 (RFC 3711 5.2). */
#include "srtp_suite.h"

#include <mikeyticket/alg.h>
#include <string.h>

enum { ENCR_ALG = 0, KEY_LEN = 1, AUTH_ALG = 2, AUTH_KEY_LEN = 3, SALT_LEN = 4 };
enum { TAG_LEN = 11, AEAD_TAG_LEN = 20, PARAMS = 21 };
enum { AES_CM = 1, AES_GCM = 6, HMAC_SHA1 = 1 };

#define AES_CM_HMAC(key, tag)                                                              \
    18,                                                                                    \
    {                                                                                      \
        ENCR_ALG, 1, AES_CM, KEY_LEN, 1, key, AUTH_ALG, 1, HMAC_SHA1, AUTH_KEY_LEN, 1, 20, \
            SALT_LEN, 1, 14, TAG_LEN, 1, tag                                               \
    }
#define AES_GCM_AEAD(key)                                                           \
    12,                                                                             \
    {                                                                               \
        ENCR_ALG, 1, AES_GCM, KEY_LEN, 1, key, SALT_LEN, 1, 12, AEAD_TAG_LEN, 1, 16 \
    }

/* The first of each key length is the default of its suite. */
static const struct cli_srtp_suite suites[] = {
    { "AES_CM_128_HMAC_SHA1_80", false, AES_CM_HMAC(16, 10) },
    { "AES_256_CM_HMAC_SHA1_80", true, AES_CM_HMAC(32, 10) },
    { "AES_CM_128_HMAC_SHA1_32", false, AES_CM_HMAC(16, 4) },
    { "AES_256_CM_HMAC_SHA1_32", true, AES_CM_HMAC(32, 4) },
    { "AEAD_AES_128_GCM", false, AES_GCM_AEAD(16) },
    { "AEAD_AES_256_GCM", true, AES_GCM_AEAD(32) },
};

const struct cli_srtp_suite *
cli_srtp_find(const char *name)
{
    for (size_t i = 0; i < CLI_COUNT(suites); i++)
        if (strcasecmp(suites[i].name, name) == 0)
            return &suites[i];
    return NULL;
}

/* Parameters with their defaults (RFC 3830 6.10.1); -1: not of one octet, or not known here. */
static bool
fill(struct mkt_span params, int value[PARAMS])
{
    static const struct {
        uint8_t type;
        int common, gcm;
    } defaults[] = {
        { ENCR_ALG, AES_CM, AES_GCM },
        { KEY_LEN, 16, 16 },
        { AUTH_ALG, HMAC_SHA1, 0 },
        { AUTH_KEY_LEN, 20, 0 },
        { SALT_LEN, 14, 12 },
        { 7, 1, 1 },
        { 8, 1, 1 },
        { 10, 1, 1 },
        { TAG_LEN, 10, 0 },
        { AEAD_TAG_LEN, 0, 16 },
    };
    struct mkt_span rest = params;
    struct mkt_sp_param p;
    bool gcm = false;
    while (mkt_sp_next(&rest, &p))
        gcm = gcm || (p.type == ENCR_ALG && p.value.n == 1 && p.value.p[0] == AES_GCM);
    memset(value, 0, PARAMS * sizeof *value);
    for (size_t i = 0; i < CLI_COUNT(defaults); i++)
        value[defaults[i].type] = gcm ? defaults[i].gcm : defaults[i].common;
    while (mkt_sp_next(&params, &p)) {
        if (p.type >= PARAMS || p.value.n != 1)
            return false;
        value[p.type] = p.value.p[0];
    }
    return true;
}

const char *
cli_srtp_name(struct mkt_span params)
{
    int given[PARAMS], listed[PARAMS];
    if (fill(params, given))
        for (size_t i = 0; i < CLI_COUNT(suites); i++)
            if (fill(mkt_span(suites[i].params, suites[i].n), listed) &&
                memcmp(given, listed, sizeof given) == 0)
                return suites[i].name;
    return "not a named suite";
}

bool
cli_srtp_lengths(struct mkt_span params, size_t *key_len, size_t *salt_len)
{
    int value[PARAMS];
    if (!fill(params, value))
        return false;
    *key_len = (size_t)value[KEY_LEN];
    *salt_len = (size_t)value[SALT_LEN];
    return true;
}

static void
add(struct mkt_pl_sp *sp, size_t *n, const struct cli_srtp_suite *suite)
{
    sp[*n] = (struct mkt_pl_sp){ .policy_no = (uint8_t)*n,
                                 .prot_type = MKT_PROT_SRTP,
                                 .params = mkt_span(suite->params, suite->n) };
    (*n)++;
}

static bool
add_named(const char *name, uint8_t prf, struct mkt_pl_sp *sp, size_t *n, struct cli_error *err)
{
    const struct cli_srtp_suite *suite = cli_srtp_find(name);
    if (suite == NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "--srtp %s: no such suite; known: %s", name,
                        cli_srtp_list());
    if (suite->long_key && prf == MKT_PRF_MIKEY_1)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--srtp %s: a 256-bit key needs a ticket of suite 256 (RFC 6043 12.1)",
                        name);
    if (*n == CLI_SRTP_LIST_MAX)
        return cli_fail(err, CLI_EXIT_USAGE, "--srtp is given more than %d times",
                        CLI_SRTP_LIST_MAX);
    add(sp, n, suite);
    return true;
}

bool
cli_srtp_policies(const char *const *names, size_t n, uint8_t prf, bool all,
                  struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX], size_t *n_sp, struct cli_error *err)
{
    *n_sp = 0;
    for (size_t i = 0; i < n; i++)
        if (!add_named(names[i], prf, sp, n_sp, err))
            return false;
    for (size_t i = 0; n == 0 && i < CLI_COUNT(suites); i++)
        if (suites[i].long_key == (prf != MKT_PRF_MIKEY_1) && (all || *n_sp == 0))
            add(sp, n_sp, &suites[i]);
    return true;
}

bool
cli_srtp_defines(const struct mkt_msg *offer, unsigned policy_no)
{
    for (size_t i = 0; i < offer->n; i++)
        if (offer->pl[i].type == MKT_PL_SP && offer->pl[i].u.sp.policy_no == policy_no)
            return true;
    return false;
}

void
cli_srtp_number(struct mkt_pl_sp *sp, size_t n, const struct mkt_msg *offer)
{
    unsigned next = 0;

    for (size_t i = 0; i < n; i++) {
        while (next < UINT8_MAX && cli_srtp_defines(offer, next))
            next++;
        sp[i].policy_no = (uint8_t)next++;
    }
}

const char *
cli_srtp_list(void)
{
    return "AES_CM_128_HMAC_SHA1_80 AES_CM_128_HMAC_SHA1_32 AEAD_AES_128_GCM "
           "AES_256_CM_HMAC_SHA1_80 AES_256_CM_HMAC_SHA1_32 AEAD_AES_256_GCM";
}
