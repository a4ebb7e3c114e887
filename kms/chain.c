/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a chain so that each damage is named once: after a record that does not fit, the walk
 * goes on from what that record says and from what it should have said. */
#include "chain.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"

#define HASH_KEY ",\"hash\":\""
#define HASH_KEY_LEN (sizeof HASH_KEY - 1)
#define HASH_TAIL (HASH_KEY_LEN + 2 * (size_t)KMS_CHAIN_HASH + 2) /* up to the closing brace */

static bool
read_hex(const uint8_t *p, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = kms_hex_value((char)p[2 * i]), low = kms_hex_value((char)p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    for (size_t i = 0; i < 2 * n; i++)
        if (p[i] >= 'A' && p[i] <= 'F')
            return false; /* one way to write it, so that no octet can differ unseen */
    return true;
}

/* Digits at *at; false when there are none, too many or a leading zero. */
static bool
read_number(struct mkt_span s, size_t *at, uint64_t *value)
{
    size_t from = *at;

    *value = 0;
    while (*at < s.n && *at - from < 19 && s.p[*at] >= '0' && s.p[*at] <= '9')
        *value = *value * 10 + (uint64_t)(s.p[(*at)++] - '0');
    return *at > from && s.p[from] != '0';
}

static bool
skip(struct mkt_span s, size_t *at, const char *text)
{
    size_t n = strlen(text);

    if (s.n - *at < n || memcmp(s.p + *at, text, n) != 0)
        return false;
    *at += n;
    return true;
}

bool
kms_line_read(struct kms_line *l, struct mkt_span line)
{
    size_t at = 0;
    const uint8_t *tail;

    if (line.n < HASH_TAIL || !skip(line, &at, "{\"seq\":") || !read_number(line, &at, &l->seq) ||
        !skip(line, &at, ",\"time\":\""))
        return false;
    tail = line.p + line.n - HASH_TAIL;
    l->text = mkt_span(line.p, line.n - HASH_TAIL);
    return l->text.n > at && memcmp(tail, HASH_KEY, HASH_KEY_LEN) == 0 &&
           memcmp(line.p + line.n - 2, "\"}", 2) == 0 &&
           read_hex(tail + HASH_KEY_LEN, l->hash, sizeof l->hash);
}

bool
kms_line_hash(struct mkt_crypto *c, const uint8_t former[KMS_CHAIN_HASH], struct mkt_span text,
              uint8_t hash[KMS_CHAIN_HASH])
{
    const struct mkt_span part[] = { mkt_span(former, KMS_CHAIN_HASH), text };

    return mkt_crypto_sha256(c, part, 2, hash);
}

bool
kms_line_first(struct mkt_span text, struct kms_head *head, uint8_t former[KMS_CHAIN_HASH])
{
    uint64_t seq;
    size_t at = 0;

    if (!skip(text, &at, "{\"seq\":") || !read_number(text, &at, &seq) ||
        !skip(text, &at, ",\"time\":\"") || text.n - at < 27)
        return false;
    at += 27; /* 2026-01-02T03:04:05.678901Z */
    if (!skip(text, &at, "\",\"event\":\"segment\",\"chain\":\"") || text.n - at < KMS_CHAIN_ID)
        return false;
    memcpy(head->chain, text.p + at, KMS_CHAIN_ID - 1);
    head->chain[KMS_CHAIN_ID - 1] = '\0';
    at += KMS_CHAIN_ID - 1;
    if (!skip(text, &at, "\",\"segment\":") || !read_number(text, &at, &head->segment) ||
        !skip(text, &at, ",\"former\":\"") || text.n - at < 2 * (size_t)KMS_CHAIN_HASH + 1)
        return false;
    return read_hex(text.p + at, former, KMS_CHAIN_HASH);
}

void
kms_segment_name(uint64_t segment, char name[40])
{
    snprintf(name, 40, "audit-%06" PRIu64 ".jsonl", segment);
}

static void __attribute__((format(printf, 4, 5)))
damaged(struct kms_walk *w, const char *file, uint64_t line, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    w->damages++;
    if (w->damage == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->damage(w->ctx, file, line, text);
}

static bool
fits(struct kms_walk *w, const uint8_t former[KMS_CHAIN_HASH], const struct kms_line *l)
{
    return kms_line_hash(w->crypto, former, l->text, w->other) &&
           memcmp(w->other, l->hash, sizeof l->hash) == 0;
}

/* The number of a record against the one before; false when its hash cannot be checked either. */
static bool
check_number(struct kms_walk *w, const char *file, uint64_t line, const struct kms_line *l)
{
    uint64_t last = w->head.seq;

    if (l->seq == last + 1)
        return true;
    if (l->seq <= last)
        damaged(w, file, line, "record %" PRIu64 " stands behind record %" PRIu64, l->seq, last);
    else if (l->seq == last + 2)
        damaged(w, file, line, "record %" PRIu64 " is missing", last + 1);
    else
        damaged(w, file, line, "records %" PRIu64 " to %" PRIu64 " are missing", last + 1,
                l->seq - 1);
    return false;
}

static void
check_seal(struct kms_walk *w, const char *file, uint64_t line, const struct kms_line *l)
{
    const struct kms_head *seal = w->seal;

    if (seal != NULL && l->seq == seal->seq && strcmp(seal->chain, w->head.chain) == 0 &&
        memcmp(seal->hash, l->hash, sizeof l->hash) != 0)
        damaged(w, file, line,
                "record %" PRIu64 " is not the one that the store remembers: it, or all before it, "
                "was written anew",
                l->seq);
}

/* The first record of a segment: which one it is, and what it stands behind. */
static void
check_first(struct kms_walk *w, const char *file, uint64_t segment, const struct kms_line *l)
{
    struct kms_head said = { 0 };
    uint8_t former[KMS_CHAIN_HASH];

    if (!kms_line_first(l->text, &said, former)) {
        damaged(w, file, 1, "the segment does not begin with its own record");
        return;
    }
    if (said.segment != segment)
        damaged(w, file, 1, "this is segment %" PRIu64 " of the chain", said.segment);
    if (w->head.chain[0] != '\0' && strcmp(said.chain, w->head.chain) != 0)
        damaged(w, file, 1, "this is a segment of another chain, %s", said.chain);
    if (w->head.chain[0] != '\0' && memcmp(former, w->head.hash, sizeof former) != 0 &&
        memcmp(former, w->other, sizeof former) != 0)
        damaged(w, file, 1, "the segment does not continue the one before it");
    if (w->head.chain[0] == '\0') { /* the first that is looked at */
        static const uint8_t nothing[KMS_CHAIN_HASH];

        if (!w->trust_first &&
            (said.segment != 1 || l->seq != 1 || memcmp(former, nothing, sizeof former) != 0))
            damaged(w, file, 1, "what stands before record %" PRIu64 " is missing", l->seq);
        memcpy(w->head.chain, said.chain, sizeof said.chain);
        w->head.seq = l->seq - 1;
    }
    memcpy(w->head.hash, former, sizeof former);
    memcpy(w->other, former, sizeof former);
}

static void
walk_line(struct kms_walk *w, const char *file, uint64_t segment, uint64_t number,
          struct mkt_span line)
{
    struct kms_line l;
    uint8_t before[2][KMS_CHAIN_HASH];

    if (!kms_line_read(&l, line)) {
        damaged(w, file, number, "this line is no record");
        return;
    }
    w->records++;
    if (number == 1)
        check_first(w, file, segment, &l);
    memcpy(before[0], w->head.hash, sizeof before[0]);
    memcpy(before[1], w->other, sizeof before[1]);
    if (!check_number(w, file, number, &l)) {
        if (l.seq <= w->head.seq)
            return;
        memcpy(w->other, l.hash, sizeof l.hash);
    } else if (!fits(w, before[1], &l) && !fits(w, before[0], &l)) {
        damaged(w, file, number, "record %" PRIu64 " was changed: its hash does not fit", l.seq);
    }
    check_seal(w, file, number, &l);
    w->head.seq = l.seq;
    w->head.segment = segment;
    memcpy(w->head.hash, l.hash, sizeof l.hash);
}

static FILE *
open_segment(const char *dir, uint64_t segment, char name[40])
{
    char path[4200];

    kms_segment_name(segment, name);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return fopen(path, "re");
}

bool
kms_segment_chain(const char *dir, uint64_t segment, char chain[KMS_CHAIN_ID])
{
    uint8_t former[KMS_CHAIN_HASH];
    struct kms_head head = { 0 };
    char name[40], *line = NULL;
    size_t cap = 0;
    FILE *f = open_segment(dir, segment, name);
    ssize_t n = f == NULL ? -1 : getline(&line, &cap, f);
    bool ok = n > 0 && kms_line_first(mkt_span(line, (size_t)n), &head, former);

    memcpy(chain, head.chain, sizeof head.chain);
    free(line);
    if (f != NULL)
        fclose(f);
    return ok;
}

bool
kms_walk_file(struct kms_walk *w, uint64_t segment)
{
    char name[40], *line = NULL;
    size_t cap = 0;
    uint64_t number = 0;
    ssize_t n;
    FILE *f = open_segment(w->dir, segment, name);

    if (f == NULL)
        return false;
    w->end = w->size = 0;
    while ((n = getline(&line, &cap, f)) > 0) {
        w->size += (uint64_t)n;
        if (line[n - 1] != '\n')
            break; /* torn: the end of the chain shows whether it is missed */
        walk_line(w, name, segment, ++number, mkt_span(line, (size_t)n - 1));
        w->end = w->size;
    }
    if (w->size != w->end)
        damaged(w, name, number + 1, "the last record is torn");
    if (w->size == 0)
        damaged(w, name, 0, "the segment is empty");
    free(line);
    return fclose(f) == 0;
}

void
kms_walk_end(struct kms_walk *w)
{
    char name[40];

    kms_segment_name(w->head.segment, name);
    if (w->seal != NULL && w->head.seq < w->seal->seq)
        damaged(w, name, 0,
                "the end is missing: the store remembers record %" PRIu64
                ", the last one here is %" PRIu64,
                w->seal->seq, w->head.seq);
}

static int
by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

bool
kms_segments(const char *dir, uint64_t **numbers, size_t *n)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    *numbers = NULL;
    *n = 0;
    if (d == NULL)
        return false;
    while ((e = readdir(d)) != NULL) {
        char name[40];
        uint64_t number, *grown;

        if (strncmp(e->d_name, "audit-", 6) != 0)
            continue;
        number = strtoull(e->d_name + 6, NULL, 10);
        kms_segment_name(number, name); /* whatever else the name is, it is not this */
        if (strcmp(name, e->d_name) != 0)
            continue;
        grown = realloc(*numbers, (*n + 1) * sizeof **numbers);
        if (grown == NULL) {
            closedir(d);
            free(*numbers);
            errno = ENOMEM;
            return false;
        }
        *numbers = grown;
        grown[(*n)++] = number;
    }
    closedir(d);
    if (*n > 0)
        qsort(*numbers, *n, sizeof **numbers, by_number);
    return true;
}
