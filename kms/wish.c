/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of people, each refused with what is wrong with it. */
#include "wish.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"

static const char *
take_flags(struct mkt_policy *want, const char *letters)
{
    struct mkt_err err = { 0 };

    if (letters == NULL)
        return NULL;
    want->flags = 0;
    for (; *letters != '\0'; letters++) {
        char c = (char)(*letters & ~0x20);

        if (c < 'D' || c > 'O' || c == 'K')
            return "--flags are letters of DEFGHIJLMNO (RFC 6043 6.10)";
        want->flags |= (uint16_t)(MKT_TP_D >> (c - 'D'));
    }
    return mkt_policy_check(want->flags, false, &err) == MKT_OK ? NULL : err.what;
}

/* A compatibility ticket is used at once or not at all, so none is made in advance. */
static const char *
take_type(struct mkt_policy *want, const char *word)
{
    if (word == NULL || strcmp(word, "base") == 0)
        return NULL;
    want->ticket_type = MKT_TICKET_TYPE_REFERENCE;
    return strcmp(word, "reference") == 0 ? NULL : "--ticket-type is base or reference";
}

/* Seconds, or with s, m, h, d. */
static bool
read_duration(const char *text, uint32_t *seconds)
{
    static const char units[] = "smhd";
    static const uint32_t factors[] = { 1, 60, 3600, 86400 };
    size_t digits = strspn(text, "0123456789");
    const char *unit = text[digits] == '\0' ? units : strchr(units, text[digits]);
    uint64_t n;

    if (digits == 0 || digits > 10 || unit == NULL ||
        (text[digits] != '\0' && text[digits + 1] != '\0'))
        return false;
    n = strtoull(text, NULL, 10) * factors[unit - units];
    *seconds = (uint32_t)n;
    return n > 0 && n <= UINT32_MAX / 2;
}

static const char *
take_validity(struct mkt_policy *want, const struct kms_wish *w, uint64_t now)
{
    uint32_t seconds = w->max_validity_s;

    if (w->validity != NULL && !read_duration(w->validity, &seconds))
        return "--validity is a time such as 90s, 15m, 1h or 30d";
    seconds += (uint32_t)(now >> 32); /* wraps into the next era, RFC 4330 3 */
    want->end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, (uint64_t)seconds << 32 };
    return NULL;
}

static bool
take_number(const char **text, uint16_t *out)
{
    size_t digits;

    if (**text == '\0')
        return true;
    if (**text != ':')
        return false;
    digits = strspn(++*text, "0123456789");
    if (digits == 0 || digits > 4)
        return false;
    *out = (uint16_t)strtoul(*text, NULL, 10);
    *text += digits;
    return true;
}

/* TYPE[:OCTETS[:SALT OCTETS]] */
static bool
read_key(struct mkt_want_key *k, const char *text, uint8_t key_len)
{
    static const uint8_t types[] = { MKT_KEY_TGK,      MKT_KEY_TGK_SALT, MKT_KEY_TEK,
                                     MKT_KEY_TEK_SALT, MKT_KEY_GTGK,     MKT_KEY_GTGK_SALT };
    size_t n = strcspn(text, ":");

    for (size_t i = 0; i < sizeof types; i++) {
        const char *name = mkt_key_type_name(types[i]), *rest = text + n;
        bool salted = i % 2 == 1;

        if (strlen(name) != n || strncasecmp(name, text, n) != 0)
            continue;
        *k = (struct mkt_want_key){ .type = types[i], .kv = MKT_KV_NULL, .key_len = key_len };
        k->salt_len = salted ? 14 : 0;
        return take_number(&rest, &k->key_len) && (!salted || take_number(&rest, &k->salt_len)) &&
               *rest == '\0';
    }
    return false;
}

static const char *
take_keys(struct mkt_policy *want, const struct kms_wish *w)
{
    want->has_kemac = w->n_keys > 0;
    want->n_wanted = (uint8_t)w->n_keys;
    for (size_t i = 0; i < w->n_keys; i++)
        if (!read_key(&want->wanted[i], w->keys[i], mkt_suite_of(want->prf)->key_len))
            return "--key is TGK, TEK or GTGK, maybe +SALT, maybe :OCTETS, maybe :OCTETS of the "
                   "salt";
    return NULL;
}

static const char *
take_responders(struct mkt_policy *want, const struct kms_wish *w)
{
    for (size_t i = 0; i < w->n_to; i++) {
        want->responders[i] = kms_identity_of(w->to[i]);
        if (want->responders[i].data.p == NULL)
            return "--to is a URI (sip:bob@example.com) or a NAI (bob@example.com)";
    }
    want->n_responders = (uint8_t)w->n_to;
    return w->n_to == 0 ? "--to IDENTITY is needed" : NULL;
}

const char *
kms_wish_read(struct mkt_policy *want, const struct kms_wish *w, uint64_t now)
{
    bool suite_128 = w->suite != NULL && strcmp(w->suite, "128") == 0;
    const char *wrong;

    if (w->suite != NULL && !suite_128 && strcmp(w->suite, "256") != 0)
        return "--suite is 128 or 256";
    mkt_policy_init(want, suite_128 ? MKT_PRF_MIKEY_1 : MKT_PRF_HMAC_SHA_256);
    wrong = take_type(want, w->type);
    if (wrong == NULL)
        wrong = take_flags(want, w->flags);
    if (wrong == NULL)
        wrong = take_responders(want, w);
    if (wrong == NULL)
        wrong = take_validity(want, w, now);
    return wrong != NULL ? wrong : take_keys(want, w);
}
