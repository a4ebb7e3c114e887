/* SPDX-License-Identifier: Apache-2.0 */
/* Who is meant: identities with wildcards, groups and realms, as an operator writes them. Made
 * once, matched without allocation. Comparison is by octets, as everywhere with identities. */
#ifndef KMS_SELECTOR_H
#define KMS_SELECTOR_H

#include <string.h>

#include "directory.h"

#define KMS_SELECTOR_HELP                                                 \
    "an identity (sip:bob@example.com), one with * (sip:*@example.com), " \
    "group:IDENTITY, realm:NAME or any"

enum kms_selector_kind {
    KMS_SELECTOR_ANY,   /* anybody; an identity that is absent too */
    KMS_SELECTOR_EXACT, /* no * */
    KMS_SELECTOR_ONE,   /* one * */
    KMS_SELECTOR_MANY,  /* several */
    KMS_SELECTOR_GROUP,
    KMS_SELECTOR_REALM
};

/* Some octets of a text as words: the first eight, the last eight and the eight before those. */
struct kms_words {
    uint64_t first, before, last;
};

/* An identity that is asked about, looked at once for all patterns. */
struct kms_who {
    struct mkt_identity id;
    struct kms_words words;
    struct mkt_span domain; /* behind the first @, up to parameters; n = 0: none */
    uint32_t ats;           /* how many @ */
};

/* kms_who_of prepares an identity, borrowed. */
struct kms_who kms_who_of(struct mkt_identity id);

/* kms_who_realm returns the name of the realm that somebody is in, or, where nobody knows realms
 * (people NULL), the domain; n = 0: none. */
struct mkt_span kms_who_realm(const struct kms_who *who, const struct kms_directory *people);

struct kms_selector {
    uint8_t kind;              /* enum kms_selector_kind */
    uint8_t id_type;           /* enum mkt_id_type, of EXACT, ONE and MANY */
    bool quick;                /* words, ats and lengths tell everything */
    uint16_t least, most;      /* octets of who may be meant, or of the name */
    uint16_t head, tail;       /* octets of text before the first * and behind the last */
    uint32_t ats, name;        /* how many @; GROUP, REALM: where the name begins in text */
    struct kms_words is, mask; /* what the words must be, and of which bits */
    const char *text;          /* as written; borrowed */
};

/* kms_selector_make reads text, which must outlive p. NULL, or what is wrong with it. */
const char *kms_selector_make(struct kms_selector *p, const char *text);

/* kms_selector_compare is kms_selector_match octet by octet. */
bool kms_selector_compare(const struct kms_selector *p, const struct kms_who *who,
                          const struct kms_directory *people);

/* kms_selector_match tells whether `who` is meant. A * stands for any octets but @, none included,
 * so that what is written before and after the @ of a pattern stays there: when there are as many
 * @ as in the pattern, the * has none. people may be NULL. */
static inline bool
kms_selector_match(const struct kms_selector *p, const struct kms_who *who,
                   const struct kms_directory *people)
{
    const struct kms_words *w = &who->words;

    if ((((w->last ^ p->is.last) & p->mask.last) | ((w->before ^ p->is.before) & p->mask.before) |
         ((w->first ^ p->is.first) & p->mask.first)) != 0)
        return false;
    if (!p->quick)
        return kms_selector_compare(p, who, people);
    return who->ats == p->ats && who->id.data.n >= p->least && who->id.data.n <= p->most &&
           who->id.type == p->id_type;
}

#endif
