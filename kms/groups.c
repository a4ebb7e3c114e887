/* SPDX-License-Identifier: Apache-2.0 */
/* Membership is looked up by bisection: four octets a member, and 17 steps among 100 000. Groups
 * within a group are walked breadth first; the store admits KMS_NESTED_MAX of them, and whatever is
 * beyond that is not looked at: then somebody is no member rather than one too many. */
#include "groups.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "pattern.h"

#define REALM_DEFAULT 1 /* the number of it */

struct group {
    unsigned owners;
    uint16_t realm;
    uint64_t number;
    char *name; /* the text that id borrows */
    struct mkt_identity id;
    uint32_t *users; /* ascending */
    uint64_t *nested;
    char **patterns;
    size_t n_users, n_nested, n_patterns;
    size_t room_users, room_nested, room_patterns;
};

struct kms_groups {
    struct group **by_number, **by_name;
    size_t n, room;
};

static void
free_group(struct group *g)
{
    if (g == NULL || --g->owners > 0)
        return;
    for (size_t i = 0; i < g->n_patterns; i++)
        free(g->patterns[i]);
    free(g->patterns);
    free(g->nested);
    free(g->users);
    free(g->name);
    free(g);
}

void
kms_groups_free(struct kms_groups *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->n; i++)
        free_group(g->by_number[i]);
    free(g->by_number);
    free(g->by_name);
    free(g);
}

/* Room for one more of `size` octets in *p; false: no memory, nothing changed. */
static bool
one_more(void **p, size_t n, size_t *room, size_t size)
{
    size_t wanted = *room == 0 ? 4 : 2 * *room;
    void *grown;

    if (n < *room)
        return true;
    grown = realloc(*p, wanted * size);
    if (grown == NULL)
        return false;
    *p = grown;
    *room = wanted;
    return true;
}

struct kms_groups *
kms_groups_new(const struct kms_groups *old)
{
    struct kms_groups *g = calloc(1, sizeof *g);
    size_t n = old == NULL ? 0 : old->n;

    if (g == NULL || n == 0)
        return g;
    g->by_number = calloc(n, sizeof(struct group *));
    if (g->by_number == NULL) {
        free(g);
        return NULL;
    }
    g->room = n;
    for (; g->n < n; g->n++) {
        g->by_number[g->n] = old->by_number[g->n];
        g->by_number[g->n]->owners++;
    }
    return g;
}

void
kms_groups_drop(struct kms_groups *g, uint64_t number)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->by_number[i]->number == number) {
            free_group(g->by_number[i]);
            g->n--;
            memmove(g->by_number + i, g->by_number + i + 1, (g->n - i) * sizeof *g->by_number);
            return;
        }
}

bool
kms_groups_take(struct kms_groups *g, const struct kms_group *row)
{
    void *list = g->by_number;
    bool ok = one_more(&list, g->n, &g->room, sizeof(struct group *));
    struct group *x;

    g->by_number = list;
    x = ok ? calloc(1, sizeof *x) : NULL;
    if (x == NULL)
        return false;
    x->owners = 1;
    x->number = row->number;
    x->realm = (uint16_t)row->realm;
    x->name = strdup(row->identity);
    g->by_number[g->n++] = x;
    if (x->name == NULL)
        return false;
    x->id = kms_identity_of(x->name);
    return true;
}

static bool
take_user(struct group *x, uint64_t number)
{
    void *list = x->users;

    if (number > UINT32_MAX)
        return true; /* beyond four thousand million users: not a member */
    if (!one_more(&list, x->n_users, &x->room_users, sizeof *x->users))
        return false;
    x->users = list;
    x->users[x->n_users++] = (uint32_t)number;
    return true;
}

static bool
take_nested(struct group *x, uint64_t number)
{
    void *list = x->nested;

    if (!one_more(&list, x->n_nested, &x->room_nested, sizeof *x->nested))
        return false;
    x->nested = list;
    x->nested[x->n_nested++] = number;
    return true;
}

static bool
take_pattern(struct group *x, const char *pattern)
{
    void *list = x->patterns;

    if (!one_more(&list, x->n_patterns, &x->room_patterns, sizeof *x->patterns))
        return false;
    x->patterns = list;
    x->patterns[x->n_patterns] = strdup(pattern);
    x->n_patterns += x->patterns[x->n_patterns] != NULL;
    return x->n_patterns > 0 && x->patterns[x->n_patterns - 1] != NULL;
}

bool
kms_groups_member(struct kms_groups *g, const struct kms_member *row)
{
    struct group *x = g->by_number[g->n - 1];

    if (row->kind == KMS_MEMBER_USER)
        return take_user(x, row->number);
    return row->kind == KMS_MEMBER_GROUP ? take_nested(x, row->number) : take_pattern(x, row->name);
}

static int
by_number(const void *a, const void *b)
{
    const struct group *x = *(const struct group *const *)a, *y = *(const struct group *const *)b;

    return (x->number > y->number) - (x->number < y->number);
}

static int
compare_id(struct mkt_identity a, struct mkt_identity b)
{
    size_t n = a.data.n < b.data.n ? a.data.n : b.data.n;
    int c = n == 0 ? 0 : memcmp(a.data.p, b.data.p, n);

    if (c == 0)
        c = (a.data.n > b.data.n) - (a.data.n < b.data.n);
    return c != 0 ? c : (a.type > b.type) - (a.type < b.type);
}

static int
by_name(const void *a, const void *b)
{
    const struct group *x = *(const struct group *const *)a, *y = *(const struct group *const *)b;

    return compare_id(x->id, y->id);
}

bool
kms_groups_seal(struct kms_groups *g)
{
    if (g->n == 0)
        return true;
    g->by_name = malloc(g->n * sizeof(struct group *));
    if (g->by_name == NULL)
        return false;
    qsort(g->by_number, g->n, sizeof(struct group *), by_number);
    memcpy(g->by_name, g->by_number, g->n * sizeof(struct group *));
    qsort(g->by_name, g->n, sizeof(struct group *), by_name);
    return true;
}

/* --- questions ----------------------------------------------------------------------------------
 */

static const struct group *
find_name(const struct kms_groups *g, struct mkt_identity id)
{
    const struct group key = { .id = id }, *k = &key;
    struct group *const *found =
        g->n == 0 || id.data.p == NULL
            ? NULL
            : bsearch(&k, g->by_name, g->n, sizeof(struct group *), by_name);

    return found == NULL ? NULL : *found;
}

static const struct group *
find_number(const struct kms_groups *g, uint64_t number)
{
    const struct group key = { .number = number }, *k = &key;
    struct group *const *found = bsearch(&k, g->by_number, g->n, sizeof(struct group *), by_number);

    return found == NULL ? NULL : *found;
}

bool
kms_groups_has(const struct kms_groups *g, struct mkt_identity name)
{
    return find_name(g, name) != NULL;
}

static bool
has_user(const struct group *x, const struct kms_person *person)
{
    size_t low = 0, high = x->n_users;

    while (person != NULL && low < high) {
        size_t middle = low + (high - low) / 2;

        if (x->users[middle] == person->number)
            return true;
        if (x->users[middle] < person->number)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

bool
kms_pattern_fits(struct mkt_identity pattern, struct mkt_identity who,
                 const struct kms_person *person, struct mkt_identity *as)
{
    struct kms_item item;
    size_t at = 0;

    *as = who;
    if (kms_pattern_matches(pattern, who))
        return true;
    while (person != NULL && kms_person_item(person, &at, &item)) {
        *as = item.identity;
        if (!item.key && kms_pattern_matches(pattern, item.identity))
            return true;
    }
    return false;
}

static bool
has_member(const struct group *x, struct mkt_identity who, const struct kms_person *person,
           struct mkt_identity *as)
{
    *as = who;
    if (has_user(x, person))
        return true;
    if (x->realm != (person != NULL ? person->realm : REALM_DEFAULT))
        return false;
    for (size_t i = 0; i < x->n_patterns; i++)
        if (kms_pattern_fits(kms_identity_of(x->patterns[i]), who, person, as))
            return true;
    return false;
}

/* Enters the groups within x that are not in the list yet. */
static size_t
queue_nested(const struct kms_groups *g, const struct group *x, const struct group **list, size_t n)
{
    for (size_t i = 0; i < x->n_nested && n < KMS_NESTED_MAX; i++) {
        const struct group *next = find_number(g, x->nested[i]);
        size_t k = 0;

        while (k < n && list[k] != next)
            k++;
        if (next != NULL && k == n)
            list[n++] = next;
    }
    return n;
}

bool
kms_groups_contains(const struct kms_groups *g, struct mkt_identity name, struct mkt_identity who,
                    const struct kms_person *person, struct mkt_identity *as)
{
    const struct group *list[KMS_NESTED_MAX] = { find_name(g, name) };
    size_t n = list[0] != NULL;

    for (size_t i = 0; i < n; i++) {
        if (has_member(list[i], who, person, as))
            return true;
        n = queue_nested(g, list[i], list, n);
    }
    return false;
}

size_t
kms_groups_count(const struct kms_groups *g)
{
    return g->n;
}

size_t
kms_groups_octets(const struct kms_groups *g)
{
    size_t octets = sizeof *g + 2 * g->n * sizeof(struct group *);

    for (size_t i = 0; i < g->n; i++) {
        const struct group *x = g->by_number[i];

        octets += sizeof *x + x->id.data.n + x->room_users * sizeof *x->users +
                  x->room_nested * sizeof *x->nested + x->room_patterns * sizeof *x->patterns;
    }
    return octets;
}
