/* SPDX-License-Identifier: Apache-2.0 */
/* A crypto session as a libsrtp2 policy. One table holds the SRTP parameters of the SP payload: for
 * each the values that libsrtp2 carries out exactly, by cipher, and for the others the reason of
 * the refusal. A parameter that is absent has the first value of its list, SRTP's own default
 * (RFC 3830 6.10.1). Nothing is approximated: two ends that differ in one parameter lose every
 * packet, or worse, protect less than they agreed to. */
#include <mikeyticket/media/srtp.h>

#include <srtp2/crypto_types.h>
#include <string.h>

enum cipher { NULL_CIPHER, AES_CM, AES_GCM, CIPHERS };

enum sp_type { /* RFC 3830 6.10.1, RFC 4771 section 4, RFC 7714 14.3 */
               ENCR_ALG,
               ENCR_KEY_LEN,
               AUTH_ALG,
               AUTH_KEY_LEN,
               SALT_LEN,
               SRTP_PRF,
               KEY_DERIVATION_RATE,
               SRTP_ENCR_ON,
               SRTCP_ENCR_ON,
               FEC_ORDER,
               SRTP_AUTH_ON,
               AUTH_TAG_LEN,
               PREFIX_LEN,
               ROC_RATE,
               SRTP_AUTH_ALG,
               SRTCP_AUTH_ALG,
               SRTP_AUTH_KEY_LEN,
               SRTCP_AUTH_KEY_LEN,
               SRTP_AUTH_TAG_LEN,
               SRTCP_AUTH_TAG_LEN,
               AEAD_TAG_LEN,
               SP_TYPES
};

/* The values that are carried out; the first is the default. n = 0: none, the parameter has no
 * meaning for this cipher or no equal in libsrtp2. */
struct values {
    uint8_t n, v[3];
};

struct sp_rule {
    const char *refused, *twice, *length; /* what to say */
    const char *ref;
    uint8_t min_len, max_len;   /* octets of the value */
    struct values may[CIPHERS]; /* NULL cipher, AES-CM, AES-GCM */
};

#define ONE_OF(...)                         \
    {                                       \
        sizeof((uint8_t[]){ __VA_ARGS__ }), \
        {                                   \
            __VA_ARGS__                     \
        }                                   \
    }
#define NO_VALUE \
    {            \
        0,       \
        {        \
            0    \
        }        \
    }
#define ALL(values)            \
    {                          \
        values, values, values \
    }
#define PARAM(no, name, why, ref, min_len, max_len, ...)                                        \
    {                                                                                           \
        "SP parameter " #no " (" name "): " why, "SP parameter " #no " (" name ") given twice", \
            "SP parameter " #no " (" name ") of a wrong length", ref, min_len, max_len,         \
            __VA_ARGS__                                                                         \
    }

/* clang-format off */
static const struct sp_rule sp_rules[SP_TYPES] = {
    /* ENCR_ALG selects the column; its own values are looked up in cipher_of(). */
    [ENCR_ALG] = PARAM(0, "encryption algorithm",
        "libsrtp2 has NULL, AES-CM and AES-GCM; not AES-F8, SEED or ARIA", "RFC 3830 6.10.1", 1, 1,
        { ONE_OF(0), ONE_OF(1), ONE_OF(6) }),
    /* Also the master key length. The NULL cipher still derives its authentication key with AES-128. */
    [ENCR_KEY_LEN] = PARAM(1, "session encryption key length",
        "16, 24 or 32 octets with AES-CM, 16 or 32 with AES-GCM, 16 with NULL", "RFC 3830 6.10.1", 1, 1,
        { ONE_OF(16), ONE_OF(16, 24, 32), ONE_OF(16, 32) }),
    /* NULL here would leave SRTCP unauthenticated too, which RFC 3711 3.4 forbids. */
    [AUTH_ALG] = PARAM(2, "authentication algorithm",
        "HMAC-SHA-1, or NULL with AES-GCM; to send SRTP without, parameters 10 or 14",
        "RFC 3711 3.4", 1, 1, { ONE_OF(1), ONE_OF(1), ONE_OF(0) }),
    [AUTH_KEY_LEN] = PARAM(3, "session authentication key length",
        "20 octets, or 0 with AES-GCM", "RFC 3711 5.2", 1, 1, { ONE_OF(20), ONE_OF(20), ONE_OF(0) }),
    [SALT_LEN] = PARAM(4, "session salt key length",
        "14 octets, 12 with AES-GCM", "RFC 7714 12", 1, 1, { ONE_OF(14), ONE_OF(14), ONE_OF(12) }),
    [SRTP_PRF] = PARAM(5, "SRTP pseudo-random function",
        "only AES-CM", "RFC 3830 6.10.1", 1, 1, ALL(ONE_OF(0))),
    [KEY_DERIVATION_RATE] = PARAM(6, "key derivation rate",
        "libsrtp2 derives session keys once, only 0", "RFC 3711 4.3.1", 1, 4, ALL(ONE_OF(0))),
    [SRTP_ENCR_ON] = PARAM(7, "SRTP encryption off/on",
        "0 or 1, only 1 with AES-GCM", "RFC 7714 8.2", 1, 1,
        { ONE_OF(1, 0), ONE_OF(1, 0), ONE_OF(1) }),
    [SRTCP_ENCR_ON] = PARAM(8, "SRTCP encryption off/on",
        "0 or 1", "RFC 3830 6.10.1", 1, 1, ALL(ONE_OF(1, 0))),
    [FEC_ORDER] = PARAM(9, "sender's FEC order",
        "only 0, FEC before SRTP", "RFC 3830 6.10.1", 1, 1, ALL(ONE_OF(0))),
    [SRTP_AUTH_ON] = PARAM(10, "SRTP authentication off/on",
        "0 or 1, only 1 with AES-GCM", "RFC 3830 6.10.1", 1, 1,
        { ONE_OF(1, 0), ONE_OF(1, 0), ONE_OF(1) }),
    /* 4 is for SRTP alone: RFC 3711 5.2 forbids tags under 80 bits in SRTCP. */
    [AUTH_TAG_LEN] = PARAM(11, "authentication tag length",
        "10 or 4 octets, none beside AES-GCM", "RFC 3711 5.2", 1, 1,
        { ONE_OF(10, 4), ONE_OF(10, 4), ONE_OF(0) }),
    [PREFIX_LEN] = PARAM(12, "SRTP prefix length",
        "only 0", "RFC 3711 4.2.1", 1, 1, ALL(ONE_OF(0))),
    [ROC_RATE] = PARAM(13, "ROC transmission rate",
        "libsrtp2 has no ROC-carrying transform", "RFC 4771 4", 2, 2, ALL(NO_VALUE)),
    [SRTP_AUTH_ALG] = PARAM(14, "SRTP authentication algorithm",
        "HMAC-SHA-1 or NULL, only NULL with AES-GCM", "RFC 4771 4", 1, 1,
        { ONE_OF(1, 0), ONE_OF(1, 0), ONE_OF(0) }),
    [SRTCP_AUTH_ALG] = PARAM(15, "SRTCP authentication algorithm",
        "HMAC-SHA-1, or NULL with AES-GCM", "RFC 3711 3.4", 1, 1,
        { ONE_OF(1), ONE_OF(1), ONE_OF(0) }),
    [SRTP_AUTH_KEY_LEN] = PARAM(16, "SRTP session authentication key length",
        "20 octets, or 0 with AES-GCM", "RFC 4771 4", 1, 1, { ONE_OF(20), ONE_OF(20), ONE_OF(0) }),
    [SRTCP_AUTH_KEY_LEN] = PARAM(17, "SRTCP session authentication key length",
        "20 octets, or 0 with AES-GCM", "RFC 3711 5.2", 1, 1, { ONE_OF(20), ONE_OF(20), ONE_OF(0) }),
    [SRTP_AUTH_TAG_LEN] = PARAM(18, "SRTP authentication tag length",
        "10 or 4 octets, none beside AES-GCM", "RFC 4771 4", 1, 1,
        { ONE_OF(10, 4), ONE_OF(10, 4), ONE_OF(0) }),
    [SRTCP_AUTH_TAG_LEN] = PARAM(19, "SRTCP authentication tag length",
        "10 octets, none beside AES-GCM", "RFC 3711 5.2", 1, 1,
        { ONE_OF(10), ONE_OF(10), ONE_OF(0) }),
    [AEAD_TAG_LEN] = PARAM(20, "AEAD authentication tag length",
        "16 octets, only with AES-GCM", "RFC 7714 14.3", 1, 1, { NO_VALUE, NO_VALUE, ONE_OF(16) }),
};
/* clang-format on */

/* The parameters of an SP payload as they were given. */
struct sp {
    enum cipher cipher;
    bool given[SP_TYPES];
    uint32_t value[SP_TYPES];
    size_t at[SP_TYPES]; /* offset in the parameters */
};

/* Takes the parameters apart. They may come from a file: no length is trusted. */
static enum mkt_rc
sp_read(struct sp *sp, struct mkt_span params, struct mkt_err *err)
{
    for (size_t at = 0; at < params.n;) {
        size_t left = params.n - at;
        if (left < 2 || params.p[at + 1] > left - 2)
            return mkt_fail(err, MKT_E_TRUNCATED, at, "SP parameter", "RFC 3830 6.10");
        uint8_t type = params.p[at], len = params.p[at + 1];
        if (type >= SP_TYPES)
            return mkt_fail(err, MKT_E_SP_PARAM, at, "SP parameter of a type unknown for SRTP",
                            "RFC 3830 6.10.1");
        const struct sp_rule *rule = &sp_rules[type];
        if (sp->given[type])
            return mkt_fail(err, MKT_E_SP_PARAM, at, rule->twice, "RFC 3830 6.10");
        if (len < rule->min_len || len > rule->max_len)
            return mkt_fail(err, MKT_E_SP_PARAM, at, rule->length, rule->ref);
        sp->given[type] = true;
        sp->at[type] = at;
        for (at += 2; len > 0; len--)
            sp->value[type] = sp->value[type] << 8 | params.p[at++];
    }
    return MKT_OK;
}

static bool
one_of(const struct values *values, uint32_t v)
{
    for (size_t i = 0; i < values->n; i++)
        if (values->v[i] == v)
            return true;
    return false;
}

static enum mkt_rc
sp_refuse(const struct sp *sp, enum sp_type type, struct mkt_err *err)
{
    return mkt_fail(err, MKT_E_SP_PARAM, sp->at[type], sp_rules[type].refused, sp_rules[type].ref);
}

/* The encryption algorithm selects the column; CIPHERS when there is none. */
static enum cipher
cipher_of(const struct sp *sp)
{
    enum cipher c = NULL_CIPHER;

    if (!sp->given[ENCR_ALG])
        return AES_CM;
    while (c < CIPHERS && !one_of(&sp_rules[ENCR_ALG].may[c], sp->value[ENCR_ALG]))
        c++;
    return c;
}

/* Every parameter given must be in the list of its cipher; those that are absent get the default.
 */
static enum mkt_rc
sp_check(struct sp *sp, struct mkt_err *err)
{
    sp->cipher = cipher_of(sp);
    if (sp->cipher == CIPHERS)
        return sp_refuse(sp, ENCR_ALG, err);
    for (unsigned type = 0; type < SP_TYPES; type++) {
        const struct values *may = &sp_rules[type].may[sp->cipher];
        if (!sp->given[type])
            sp->value[type] = may->v[0];
        else if (!one_of(may, sp->value[type]))
            return sp_refuse(sp, type, err);
    }
    return MKT_OK;
}

/* The separate parameters of RFC 4771 replace the common ones for SRTP. */
static uint32_t
sp_srtp(const struct sp *sp, enum sp_type separate, enum sp_type common)
{
    return sp->value[sp->given[separate] ? separate : common];
}

static srtp_cipher_type_id_t
cipher_id(const struct sp *sp)
{
    bool gcm = sp->cipher == AES_GCM;

    if (sp->cipher == NULL_CIPHER)
        return SRTP_NULL_CIPHER;
    switch (sp->value[ENCR_KEY_LEN]) {
    case SRTP_AES_128_KEY_LEN:
        return gcm ? SRTP_AES_GCM_128 : SRTP_AES_ICM_128;
    case SRTP_AES_192_KEY_LEN:
        return SRTP_AES_ICM_192;
    default:
        return gcm ? SRTP_AES_GCM_256 : SRTP_AES_ICM_256;
    }
}

/* One direction of the policy, RTP or RTCP. */
static srtp_crypto_policy_t
crypto_policy(const struct sp *sp, bool encrypt, bool authenticate, uint32_t tag_len)
{
    bool aead = sp->cipher == AES_GCM;
    unsigned services = (encrypt && sp->cipher != NULL_CIPHER ? sec_serv_conf : sec_serv_none) |
                        (authenticate ? sec_serv_auth : sec_serv_none);
    srtp_crypto_policy_t p = {
        .cipher_type = cipher_id(sp),
        .cipher_key_len = (int)(sp->value[ENCR_KEY_LEN] + sp->value[SALT_LEN]),
        .auth_type = authenticate && !aead ? SRTP_HMAC_SHA1 : SRTP_NULL_AUTH,
        .auth_key_len = authenticate ? (int)sp->value[AUTH_KEY_LEN] : 0,
        .auth_tag_len = authenticate ? (int)tag_len : 0,
        .sec_serv = (srtp_sec_serv_t)services,
    };
    return p;
}

static enum mkt_rc
sp_map(srtp_policy_t *policy, const struct sp *sp, struct mkt_err *err)
{
    bool aead = sp->cipher == AES_GCM;
    bool authenticate =
        aead || (sp->value[SRTP_AUTH_ON] != 0 && sp_srtp(sp, SRTP_AUTH_ALG, AUTH_ALG) != 0);
    uint32_t aead_tag = sp->value[AEAD_TAG_LEN];

    policy->rtp = crypto_policy(sp, sp->value[SRTP_ENCR_ON] != 0, authenticate,
                                aead ? aead_tag : sp_srtp(sp, SRTP_AUTH_TAG_LEN, AUTH_TAG_LEN));
    policy->rtcp = crypto_policy(sp, sp->value[SRTCP_ENCR_ON] != 0, true,
                                 aead ? aead_tag : sp->value[SRTCP_AUTH_TAG_LEN]);
    if (policy->rtp.sec_serv == sec_serv_none)
        return mkt_fail(err, MKT_E_SP_PARAM, 0, "SP with neither encryption nor authentication",
                        "RFC 3711 9.5.1");
    return MKT_OK;
}

/* The master key is TEK || salt. A TEK without salt has the NULL salt, zero octets (RFC 3711
 * 3.2.1); AES-GCM needs a real one, its IV is made of it (RFC 7714 8.1). */
static enum mkt_rc
key_map(struct mkt_srtp *s, const struct sp *sp, const struct mkt_secret *tek,
        const struct mkt_secret *salt, struct mkt_err *err)
{
    size_t key_len = sp->value[ENCR_KEY_LEN], salt_len = sp->value[SALT_LEN];
    bool null_salt = salt->n == 0 && sp->cipher != AES_GCM;

    _Static_assert(SRTP_MAX_KEY_LEN >= 32 + 14, "the longest key and salt fit");
    if (tek->n != key_len)
        return mkt_fail(err, MKT_E_KEY_DATA, 0, "TEK: not of the session encryption key length",
                        "RFC 3830 6.10.1");
    if (salt->n != salt_len && !null_salt)
        return mkt_fail(err, MKT_E_KEY_DATA, 0, "salt: not of the session salt key length",
                        sp->cipher == AES_GCM ? "RFC 7714 12" : "RFC 3711 5.1");
    memcpy(s->key, tek->b, key_len);
    if (!null_salt)
        memcpy(s->key + key_len, salt->b, salt_len);
    return MKT_OK;
}

/* libsrtp2 takes a key either alone or in a list with its MKI. */
static enum mkt_rc
mki_map(struct mkt_srtp *s, struct mkt_span spi, struct mkt_err *err)
{
    if (spi.n > sizeof s->mki)
        return mkt_fail(err, MKT_E_KEY_DATA, 0, "SPI: libsrtp2 takes an MKI of 128 octets at most",
                        "RFC 6043 6.1.1");
    if (spi.n == 0) {
        s->policy.key = s->key;
        return MKT_OK;
    }
    memcpy(s->mki, spi.p, spi.n);
    s->master = (srtp_master_key_t){ s->key, s->mki, (unsigned)spi.n };
    s->masters[0] = &s->master;
    s->policy.keys = s->masters;
    s->policy.num_master_keys = 1;
    return MKT_OK;
}

static enum mkt_rc
session_map(struct mkt_srtp *s, const struct mkt_session *cs, const struct mkt_secret *tek,
            const struct mkt_secret *salt, struct mkt_err *err)
{
    struct sp sp = { 0 };

    if (cs->prot_type != MKT_PROT_SRTP)
        return mkt_fail(err, MKT_E_SP, 0, "Prot type", "RFC 3830 6.10");
    if (!cs->has_ssrc)
        return mkt_fail(err, MKT_E_FIELD, 0, "Session Data: SSRC", "RFC 6043 6.1.1");
    s->policy.ssrc.type = ssrc_specific;
    s->policy.ssrc.value = cs->ssrc;
    s->roc = cs->roc;
    s->seq = cs->seq;
    if (sp_read(&sp, cs->params, err) != MKT_OK || sp_check(&sp, err) != MKT_OK ||
        sp_map(&s->policy, &sp, err) != MKT_OK || mki_map(s, cs->spi, err) != MKT_OK)
        return err->rc;
    return key_map(s, &sp, tek, salt, err);
}

enum mkt_rc
mkt_srtp_policy_from(struct mkt_srtp *s, const struct mkt_session *cs, const struct mkt_secret *tek,
                     const struct mkt_secret *salt, struct mkt_err *err)
{
    *s = (struct mkt_srtp){ 0 };
    enum mkt_rc rc = session_map(s, cs, tek, salt, err);
    if (rc != MKT_OK)
        mkt_srtp_wipe(s);
    return rc;
}

enum mkt_rc
mkt_srtp_policy(struct mkt_srtp *s, const struct mkt_csb *csb, struct mkt_crypto *c, size_t index,
                struct mkt_err *err)
{
    struct mkt_session cs;
    MKT_SCOPED_SECRET
    tek = { 0 };
    MKT_SCOPED_SECRET
    salt = { 0 };

    mkt_srtp_wipe(s);
    enum mkt_rc rc = mkt_csb_session(csb, index, &cs);
    if (rc != MKT_OK)
        return mkt_fail(err, rc, 0, "index of the crypto session", "RFC 6043 6.1.1");
    rc = mkt_csb_derive(csb, c, index, &tek, &salt, err);
    return rc != MKT_OK ? rc : mkt_srtp_policy_from(s, &cs, &tek, &salt, err);
}

enum mkt_rc
mkt_srtp_create(srtp_t *out, struct mkt_srtp *s, struct mkt_err *err)
{
    srtp_t session = NULL;
    srtp_err_status_t status = srtp_create(&session, &s->policy);

    *out = NULL;
    if (status == srtp_err_status_ok && s->roc != 0) {
        status = srtp_set_stream_roc(session, s->policy.ssrc.value, s->roc);
        if (status != srtp_err_status_ok)
            srtp_dealloc(session);
    }
    mkt_srtp_wipe(s);
    if (status != srtp_err_status_ok)
        return mkt_fail(err, MKT_E_CRYPTO, 0, "libsrtp2", "RFC 3711 3.3");
    *out = session;
    return MKT_OK;
}

void
mkt_srtp_wipe(struct mkt_srtp *s)
{
    mkt_wipe(s, sizeof *s);
}
