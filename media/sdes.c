/* SPDX-License-Identifier: Apache-2.0 */
/* a=crypto, read from left to right by the grammar of RFC 4568 9.1. A reader that guesses would be
 * worse than none: two ends that differ in a parameter lose every packet. */
#include <mikeyticket/media/sdes.h>

#include "base64.h"

#include <mikeyticket/media/sdp.h>
#include <stdio.h>
#include <string.h>

#define INLINE "inline:"
#define TAG_DIGITS 9
#define LIFETIME_LOG_MAX 48 /* SRTP: 2^48 packets (RFC 3711 9.2) */
#define NUMBER_DIGITS 19    /* fit 64 bits */
#define LEN_DIGITS 3

static const char ref[] = "RFC 4568 9.1";

static const struct mkt_sdes_suite suites[] = {
    { "AES_CM_128_HMAC_SHA1_80", 16, 14 }, { "AES_CM_128_HMAC_SHA1_32", 16, 14 },
    { "AES_256_CM_HMAC_SHA1_80", 32, 14 }, { "AES_256_CM_HMAC_SHA1_32", 32, 14 },
    { "AEAD_AES_128_GCM", 16, 12 },        { "AEAD_AES_256_GCM", 32, 12 },
};

const struct mkt_sdes_suite *
mkt_sdes_suite(struct mkt_span name)
{
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        if (name.n == strlen(suites[i].name) && memcmp(name.p, suites[i].name, name.n) == 0)
            return &suites[i];
    return NULL;
}

void
mkt_sdes_wipe(struct mkt_sdes *s)
{
    mkt_wipe(s, sizeof *s);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct text { /* what is left of a value */
    struct mkt_span all;
    size_t at;
    struct mkt_err *err;
};

static enum mkt_rc
fail(const struct text *t, enum mkt_rc rc, const char *what)
{
    return mkt_fail(t->err, rc, t->at, what, ref);
}

/* Takes what stands before one of `ends`, or the end. */
static struct mkt_span
until(struct text *t, const char *ends)
{
    size_t from = t->at;

    while (t->at < t->all.n && (t->all.p[t->at] == '\0' || strchr(ends, t->all.p[t->at]) == NULL))
        t->at++;
    return mkt_span(t->all.p + from, t->at - from);
}

static bool
take(struct text *t, char c)
{
    if (t->at == t->all.n || t->all.p[t->at] != (uint8_t)c)
        return false;
    t->at++;
    return true;
}

static bool
take_blanks(struct text *t)
{
    if (!take(t, ' ') && !take(t, '\t'))
        return false;
    while (take(t, ' ') || take(t, '\t'))
        ;
    return true;
}

/* Decimal, without leading zeros: every number has one spelling. */
static bool
number(struct mkt_span digits, size_t max, uint64_t *v)
{
    *v = 0;
    if (digits.n == 0 || digits.n > max || (digits.p[0] == '0' && digits.n > 1))
        return false;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return false;
        *v = *v * 10 + (uint64_t)(digits.p[i] - '0');
    }
    return true;
}

static enum mkt_rc
read_key(struct mkt_sdes *s, struct text *t)
{
    uint8_t both[MKT_SECRET_MAX];
    size_t from = t->at, n = 0, want = (size_t)s->suite->key_len + s->suite->salt_len;
    struct mkt_span key = until(t, "|; \t");
    struct mkt_err why = { 0 };

    enum mkt_rc rc = mkt_sdp_decode(key, both, sizeof both, &n, &why);
    if (rc != MKT_OK)
        rc = mkt_fail(t->err, MKT_E_FIELD, from + why.offset, "crypto: key: no base64", ref);
    else if (n != want)
        rc = mkt_fail(t->err, MKT_E_FIELD, from,
                      "crypto: key and salt of another length than the suite's", "RFC 4568 6.1");
    else if (mkt_secret_set(&s->key, mkt_span(both, s->suite->key_len)) != MKT_OK ||
             mkt_secret_set(&s->salt, mkt_span(both + s->suite->key_len, s->suite->salt_len)) !=
                 MKT_OK)
        rc = fail(t, MKT_E_KEY_DATA, "crypto: key");
    mkt_wipe(both, sizeof both);
    return rc;
}

/* "2^20" or a number of packets. */
static enum mkt_rc
read_lifetime(struct mkt_sdes *s, struct text *t, struct mkt_span text)
{
    bool power = text.n > 2 && text.p[0] == '2' && text.p[1] == '^';
    uint64_t v;

    if (!number(power ? mkt_span(text.p + 2, text.n - 2) : text, power ? 2 : NUMBER_DIGITS, &v) ||
        (power ? v > LIFETIME_LOG_MAX : v == 0 || v > UINT64_C(1) << LIFETIME_LOG_MAX))
        return fail(t, MKT_E_FIELD, "crypto: lifetime");
    s->lifetime = power ? UINT64_C(1) << v : v;
    return MKT_OK;
}

/* "1:4": the number, and the octets that it takes in each packet. */
static enum mkt_rc
read_mki(struct mkt_sdes *s, struct text *t, struct mkt_span text)
{
    const uint8_t *colon = memchr(text.p, ':', text.n);
    size_t left = (size_t)(colon - text.p);
    uint64_t v, len;

    if (!number(mkt_span(text.p, left), NUMBER_DIGITS, &v) ||
        !number(mkt_span(colon + 1, text.n - left - 1), LEN_DIGITS, &len) || v == 0 || len == 0 ||
        len > MKT_SDES_MKI_MAX || (len < sizeof v && v >> (8 * len) != 0))
        return fail(t, MKT_E_FIELD, "crypto: MKI");
    s->mki_len = (uint8_t)len;
    for (size_t i = 0; i < len && i < sizeof v; i++)
        s->mki[len - 1 - i] = (uint8_t)(v >> (8 * i));
    return MKT_OK;
}

/* A lifetime, an MKI, or one after the other. */
static enum mkt_rc
read_rest(struct mkt_sdes *s, struct text *t)
{
    while (take(t, '|')) {
        struct mkt_span part = until(t, "|; \t");
        bool mki = part.n > 0 && memchr(part.p, ':', part.n) != NULL;
        if (s->mki_len != 0 || (s->lifetime != 0 && !mki))
            return fail(t, MKT_E_FIELD, "crypto: lifetime and MKI in this order, once");
        if ((mki ? read_mki(s, t, part) : read_lifetime(s, t, part)) != MKT_OK)
            return t->err->rc;
    }
    if (t->at == t->all.n)
        return MKT_OK;
    if (t->all.p[t->at] == ';')
        return fail(t, MKT_E_FIELD, "crypto: several keys are not taken");
    return mkt_fail(t->err, MKT_E_FIELD, t->at, "crypto: session parameters are not taken",
                    "RFC 4568 6.3");
}

static enum mkt_rc
read_all(struct mkt_sdes *s, struct text *t)
{
    uint64_t tag;

    if (t->all.n >= MKT_SDES_VALUE_MAX)
        return fail(t, MKT_E_TOO_MANY, "crypto: octets");
    if (!number(until(t, " \t"), TAG_DIGITS, &tag) || tag == 0 || !take_blanks(t))
        return fail(t, MKT_E_FIELD, "crypto: tag");
    s->tag = (uint32_t)tag;
    size_t from = t->at;
    s->suite = mkt_sdes_suite(until(t, " \t"));
    if (s->suite == NULL)
        return mkt_fail(t->err, MKT_E_SP, from, "crypto: suite", "RFC 4568 6.2");
    if (!take_blanks(t) || t->all.n - t->at < strlen(INLINE) ||
        memcmp(t->all.p + t->at, INLINE, strlen(INLINE)) != 0)
        return fail(t, MKT_E_FIELD, "crypto: key method: only \"inline\"");
    t->at += strlen(INLINE);
    return read_key(s, t) == MKT_OK ? read_rest(s, t) : t->err->rc;
}

enum mkt_rc
mkt_sdes_read(struct mkt_sdes *s, struct mkt_span value, struct mkt_err *err)
{
    struct text t = { .all = value, .err = err };

    mkt_sdes_wipe(s);
    enum mkt_rc rc = read_all(s, &t);
    if (rc != MKT_OK)
        mkt_sdes_wipe(s);
    return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

enum mkt_rc
mkt_sdes_make(struct mkt_sdes *s, uint32_t tag, const struct mkt_sdes_suite *suite)
{
    mkt_sdes_wipe(s);
    s->tag = tag;
    s->suite = suite;
    s->key.n = suite->key_len;
    s->salt.n = suite->salt_len;
    if (mkt_crypto_random(NULL, s->key.b, s->key.n) &&
        mkt_crypto_random(NULL, s->salt.b, s->salt.n))
        return MKT_OK;
    mkt_sdes_wipe(s);
    return MKT_E_RANDOM;
}

/* Up to 64 bits: what was read was no longer. */
static uint64_t
mki_number(const struct mkt_sdes *s)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s->mki_len; i++)
        v = v << 8 | s->mki[i];
    return v;
}

enum mkt_rc
mkt_sdes_write(char *out, size_t cap, size_t *len, const struct mkt_sdes *s)
{
    uint8_t both[2 * MKT_SECRET_MAX];
    char key[(2 * MKT_SECRET_MAX + 2) / 3 * 4 + 1], lifetime[24] = "", mki[32] = "";
    size_t n = (size_t)s->key.n + s->salt.n;

    memcpy(both, s->key.b, s->key.n);
    memcpy(both + s->key.n, s->salt.b, s->salt.n);
    mkt_base64_encode(mkt_span(both, n), key);
    if (s->lifetime != 0)
        snprintf(lifetime, sizeof lifetime, "|%llu", (unsigned long long)s->lifetime);
    if (s->mki_len != 0)
        snprintf(mki, sizeof mki, "|%llu:%u", (unsigned long long)mki_number(s), s->mki_len);
    int m =
        snprintf(out, cap, "%u %s " INLINE "%s%s%s", s->tag, s->suite->name, key, lifetime, mki);
    mkt_wipe(both, sizeof both);
    mkt_wipe(key, sizeof key);
    *len = m > 0 ? (size_t)m : 0;
    if (m > 0 && *len < cap)
        return MKT_OK;
    mkt_wipe(out, cap);
    *len = 0;
    return MKT_E_NO_SPACE;
}

bool
mkt_sdes_same(const struct mkt_sdes *a, const struct mkt_sdes *b)
{
    return a->tag == b->tag && a->suite == b->suite && a->lifetime == b->lifetime &&
           a->mki_len == b->mki_len && memcmp(a->mki, b->mki, a->mki_len) == 0 &&
           mkt_ct_equal(mkt_secret_span(&a->key), mkt_secret_span(&b->key)) &&
           mkt_ct_equal(mkt_secret_span(&a->salt), mkt_secret_span(&b->salt));
}
