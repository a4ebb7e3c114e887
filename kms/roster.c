/* SPDX-License-Identifier: Apache-2.0 */
/* Looking somebody up. Nothing but an exact name, number or token is anybody. */
#include "roster.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <mikeyticket/env.h>
#include <mikeyticket/secret.h>

const char *
kms_role_word(enum kms_role role)
{
    static const char *const words[] = { "none", "read", "operate", "security-officer" };

    return words[role];
}

static bool __attribute__((format(printf, 3, 4)))
is(struct kms_caller *who, const struct kms_roster_row *p, const char *badge, ...)
{
    va_list ap;

    if (p->name[0] != '\0')
        snprintf(who->name, sizeof who->name, "%s", p->name);
    va_start(ap, badge);
    vsnprintf(who->badge, sizeof who->badge, badge, ap);
    va_end(ap);
    who->role = p->role;
    return true;
}

static bool
in_group(const struct kms_roster_row *p, const gid_t *groups, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (groups[i] == p->id)
            return true;
    return false;
}

bool
kms_roster_user(const struct kms_roster *r, uid_t own, uid_t uid, const gid_t *groups, size_t n,
                struct kms_caller *who)
{
    const struct kms_roster_row officer = { .role = KMS_ROLE_OFFICER }, *best = NULL;

    memset(who, 0, sizeof *who);
    snprintf(who->name, sizeof who->name, uid == 0 ? "root" : "uid:%u", (unsigned)uid);
    for (size_t i = 0; i < r->n; i++) {
        const struct kms_roster_row *p = &r->people[i];

        if (p->badge == KMS_BADGE_USER && p->id == uid)
            return is(who, p, "uid %u", (unsigned)uid);
        if (p->badge == KMS_BADGE_GROUP && in_group(p, groups, n) &&
            (best == NULL || p->role > best->role))
            best = p;
    }
    if (uid == 0 || uid == own)
        best = &officer;
    return best != NULL && is(who, best, "uid %u", (unsigned)uid);
}

bool
kms_roster_certificate(const struct kms_roster *r, const char *subject, struct kms_caller *who)
{
    memset(who, 0, sizeof *who);
    for (size_t i = 0; i < r->n; i++) {
        const struct kms_roster_row *p = &r->people[i];

        if (p->badge == KMS_BADGE_CERTIFICATE && strcmp(p->subject, subject) == 0)
            return is(who, p, "certificate %s", p->subject);
    }
    return false;
}

bool
kms_roster_token(const struct kms_roster *r, const uint8_t hash[KMS_TOKEN_HASH],
                 struct kms_caller *who)
{
    const struct kms_roster_row *found = NULL;

    memset(who, 0, sizeof *who);
    for (size_t i = 0; i < r->n; i++) {
        const struct kms_roster_row *p = &r->people[i];

        if (p->badge == KMS_BADGE_TOKEN &&
            mkt_ct_equal(mkt_span(p->token, KMS_TOKEN_HASH), mkt_span(hash, KMS_TOKEN_HASH)))
            found = p;
    }
    return found != NULL && is(who, found, "token");
}

bool
kms_roster_has(const struct kms_roster *r, enum kms_badge badge)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->people[i].badge == badge)
            return true;
    return false;
}

bool
kms_token_hash(const char *token, uint8_t hash[KMS_TOKEN_HASH])
{
    const size_t prefix = sizeof KMS_TOKEN_PREFIX - 1;
    const struct mkt_span whole = mkt_span(token, strlen(token));
    struct mkt_crypto *c;
    bool ok;

    if (whole.n != prefix + KMS_TOKEN_DIGITS || strncmp(token, KMS_TOKEN_PREFIX, prefix) != 0 ||
        strspn(token + prefix, "0123456789abcdef") != KMS_TOKEN_DIGITS)
        return false;
    c = mkt_crypto_new();
    ok = c != NULL && mkt_crypto_sha256(c, &whole, 1, hash);
    mkt_crypto_free(c);
    return ok;
}
