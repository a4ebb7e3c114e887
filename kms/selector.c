/* SPDX-License-Identifier: Apache-2.0 */
/* Making and comparing patterns. */
#include "selector.h"

#include <string.h>

#include "config.h"

#define STARS_MAX 8

static const char *
make_name(struct kms_selector *p, enum kms_selector_kind kind, const char *text)
{
    const char *name = strchr(text, ':') + 1;

    p->kind = (uint8_t)kind;
    p->name = (uint32_t)(name - text);
    if (strlen(name) > MKT_ID_MAX)
        return "the name is too long";
    p->least = (uint16_t)strlen(name);
    for (const char *s = name; *s != '\0'; s++)
        if (*s <= ' ' || *s == 0x7f)
            return "a name holds no spaces";
    if (*name == '\0')
        return "the name is missing";
    p->id_type = kms_identity_of(name).type;
    if (kind == KMS_SELECTOR_GROUP && kms_identity_of(name).data.p == NULL)
        return "a group is called by an identity, such as group:sip:board@example.com";
    return NULL;
}

/* At most eight octets up to `end`, at the end of a word; zeros before them. */
static uint64_t
word_before(const uint8_t *end, size_t n)
{
    uint8_t octets[8] = { 0 };
    uint64_t word;

    n = n < 8 ? n : 8;
    memcpy(octets + 8 - n, end - n, n);
    memcpy(&word, octets, sizeof word);
    return word;
}

static uint64_t
word_from(const uint8_t *p, size_t n)
{
    uint8_t octets[8] = { 0 };
    uint64_t word;

    memcpy(octets, p, n < 8 ? n : 8);
    memcpy(&word, octets, sizeof word);
    return word;
}

/* The words of a text that begins with head (n octets) and ends with tail. */
static struct kms_words
words_of(struct mkt_span head, struct mkt_span tail)
{
    struct kms_words w = { .first = word_from(head.p, head.n),
                           .last = word_before(tail.p + tail.n, tail.n) };

    if (tail.n > 8)
        w.before = word_before(tail.p + tail.n - 8, tail.n - 8);
    return w;
}

static uint32_t
count_ats(struct mkt_span s)
{
    uint32_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '@';
    return n;
}

/* The domain of sip:alice@example.com;transport=tls is example.com. Only the first @ counts: what
 * follows in parameters is anyone's to choose. */
static struct mkt_span
domain_of(struct mkt_span s)
{
    const uint8_t *at = memchr(s.p, '@', s.n), *end = s.p + s.n;
    size_t n = 0;

    if (at == NULL)
        return mkt_span(s.p, 0);
    for (at++; at + n < end && memchr(":;?>", at[n], 4) == NULL; n++)
        ;
    return mkt_span(at, n);
}

struct kms_who
kms_who_of(struct mkt_identity id)
{
    static const uint8_t none;
    struct kms_who who = { .id = id };

    if (id.data.n == 0)
        id.data = mkt_span(&none, 0);
    who.words = words_of(id.data, id.data);
    who.ats = count_ats(id.data);
    if (who.ats > 0)
        who.domain = domain_of(id.data);
    return who;
}

/* What the words of everybody meant are. They are the whole truth when head and tail fit. */
static void
note_words(struct kms_selector *p)
{
    static const uint8_t ones[16] = { 255, 255, 255, 255, 255, 255, 255, 255,
                                      255, 255, 255, 255, 255, 255, 255, 255 };
    struct mkt_span all = mkt_span(p->text, strlen(p->text)), head = all, tail = all;

    if (p->kind != KMS_SELECTOR_EXACT) {
        head.n = p->head;
        tail = mkt_span(p->text + all.n - p->tail, p->tail);
    }
    p->is = words_of(head, tail);
    p->mask = words_of(mkt_span(ones, head.n < 8 ? head.n : 8),
                       mkt_span(ones, tail.n < 16 ? tail.n : 16));
    p->ats = count_ats(all);
    p->least = p->most = (uint16_t)all.n; /* at most MKT_ID_MAX */
    p->quick = all.n <= 8 + 16;
    if (p->kind != KMS_SELECTOR_EXACT) {
        p->least--;
        p->most = UINT16_MAX;
        p->quick = p->kind == KMS_SELECTOR_ONE && head.n <= 8 && tail.n <= 16;
    }
}

const char *
kms_selector_make(struct kms_selector *p, const char *text)
{
    struct mkt_identity id = kms_identity_of(text);
    const char *star = strchr(text, '*');
    size_t stars = 0;

    *p = (struct kms_selector){ .kind = KMS_SELECTOR_ANY, .text = text };
    if (strcmp(text, "any") == 0 || strcmp(text, "*") == 0)
        return NULL;
    if (strncmp(text, "group:", 6) == 0)
        return make_name(p, KMS_SELECTOR_GROUP, text);
    if (strncmp(text, "realm:", 6) == 0)
        return make_name(p, KMS_SELECTOR_REALM, text);
    if (id.data.p == NULL)
        return "not " KMS_SELECTOR_HELP;
    for (const char *s = star; s != NULL; s = strchr(s + 1, '*'))
        stars++;
    if (stars > STARS_MAX)
        return "too many * (8 at most)";
    p->id_type = id.type;
    p->kind = stars == 0 ? KMS_SELECTOR_EXACT : stars == 1 ? KMS_SELECTOR_ONE : KMS_SELECTOR_MANY;
    if (stars > 0) {
        p->head = (uint16_t)(star - text);
        p->tail = (uint16_t)strlen(strrchr(text, '*') + 1);
    }
    note_words(p);
    return NULL;
}

static bool
match_one(const struct kms_selector *p, struct mkt_span s)
{
    size_t ends = (size_t)p->head + p->tail;

    return s.n >= ends && memcmp(s.p, p->text, p->head) == 0 &&
           memcmp(s.p + s.n - p->tail, p->text + p->head + 1, p->tail) == 0 &&
           memchr(s.p + p->head, '@', s.n - ends) == NULL;
}

/* The last * is the only one worth coming back to: each later one may take the place of it. */
static bool
match_many(const char *pattern, struct mkt_span s)
{
    size_t i = 0, j = 0, star = SIZE_MAX, from = 0;

    while (j < s.n) {
        if (pattern[i] == '*') {
            star = i++;
            from = j;
        } else if (pattern[i] != '\0' && (uint8_t)pattern[i] == s.p[j]) {
            i++;
            j++;
        } else if (star != SIZE_MAX && s.p[from] != '@') {
            i = star + 1;
            j = ++from;
        } else {
            return false;
        }
    }
    while (pattern[i] == '*')
        i++;
    return pattern[i] == '\0';
}

struct mkt_span
kms_who_realm(const struct kms_who *who, const struct kms_directory *people)
{
    const char *name;

    if (people == NULL || people->realm_of == NULL || who->id.data.p == NULL)
        return who->domain;
    name = people->realm_of(people->ctx, who->id);
    return mkt_span(name, strlen(name));
}

bool
kms_selector_compare(const struct kms_selector *p, const struct kms_who *who,
                     const struct kms_directory *people)
{
    struct mkt_identity as;
    struct mkt_span id = who->id.data, name = { (const uint8_t *)p->text + p->name, p->least };
    struct mkt_span realm;

    if (p->kind == KMS_SELECTOR_ANY)
        return true;
    if (id.p == NULL)
        return false;
    if (p->kind == KMS_SELECTOR_GROUP)
        return people != NULL && people->stands_for != NULL &&
               people->stands_for(people->ctx, (struct mkt_identity){ p->id_type, name }, who->id,
                                  &as);
    if (p->kind == KMS_SELECTOR_REALM) {
        realm = kms_who_realm(who, people);
        return realm.n == name.n && memcmp(realm.p, name.p, name.n) == 0;
    }
    if (who->id.type != p->id_type)
        return false;
    if (p->kind == KMS_SELECTOR_EXACT)
        return id.n == p->least && memcmp(id.p, p->text, id.n) == 0;
    return p->kind == KMS_SELECTOR_ONE ? match_one(p, id) : match_many(p->text, id);
}
