/* SPDX-License-Identifier: Apache-2.0 */
/* Records are read as they stand in the segments. What is no record is passed over: to find damage
 * is the business of audit verify. */
#include "records.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain.h"
#include "instant.h"

#define PART (64 << 20) /* octets that are read at a time, when not only the last ones count */

struct reading {
    const struct kms_records *want;
    char since[40], until[40];
    uint64_t segment; /* the place: behind this octet of this segment */
    long at;
    size_t given, seen; /* records; octets */
    json_t **last;      /* a ring of want->last records; NULL: they are given at once */
    size_t n_last;
    bool full, failed;
};

const char *
kms_record_text(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));

    return text == NULL ? "" : text;
}

/* "90m" is 90 minutes ago; anything else is a time as it stands in records, or its beginning. */
static bool
read_moment(const char *text, char moment[40])
{
    static const char units[] = "smhd";
    static const int64_t seconds[] = { 1, 60, 3600, 86400 };
    size_t digits, n;
    const char *unit;

    moment[0] = '\0';
    if (text == NULL)
        return true;
    digits = strspn(text, "0123456789");
    n = strlen(text);
    unit = n == digits + 1 && n > 1 && n < 12 ? strchr(units, text[digits]) : NULL;
    if (unit != NULL)
        kms_instant_write((int64_t)time(NULL) - strtoll(text, NULL, 10) * seconds[unit - units],
                          moment);
    else if (n < 4 || n > 27 || strspn(text, "0123456789-:.TZ") != n)
        return false;
    else
        snprintf(moment, 40, "%s", text);
    if (moment[0] != '\0' && moment[strlen(moment) - 1] == 'Z')
        moment[strlen(moment) - 1] = '\0';
    return true;
}

bool
kms_records_moment(const char *text)
{
    char moment[40];

    return read_moment(text, moment);
}

/* --- one record ------------------------------------------------------------------------------- */

/* As identities stand in records: each octet for itself. */
static bool
names(const json_t *value, const char *who)
{
    const char *text = json_string_value(value);

    return text != NULL && strcmp(text, who) == 0;
}

/* "identity=sip:alice@example.com": what an administrator gave. */
static bool
gives(const json_t *value, const char *who)
{
    const char *text = json_string_value(value), *is = text == NULL ? NULL : strchr(text, '=');

    return is != NULL && strcmp(is + 1, who) == 0;
}

static bool
is_about(const json_t *record, const char *who)
{
    static const char *const lists[] = { "to", "target" };
    const json_t *list = json_object_get(record, "with");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (gives(json_array_get(list, i), who))
            return true;

    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
        list = json_object_get(record, lists[k]);
        for (size_t i = 0; i < json_array_size(list); i++)
            if (names(json_array_get(list, i), who))
                return true;
    }
    return names(json_object_get(record, "who"), who) ||
           names(json_object_get(record, "claimed"), who) ||
           names(json_object_get(record, "initiator"), who);
}

static bool
equals(const json_t *record, const char *key, const char *wanted)
{
    return wanted == NULL || strcmp(kms_record_text(record, key), wanted) == 0;
}

static bool
fits(const struct reading *r, const json_t *record)
{
    const struct kms_records *want = r->want;
    const char *at = kms_record_text(record, "time");

    return (r->since[0] == '\0' || strcmp(at, r->since) >= 0) &&
           (r->until[0] == '\0' || strncmp(at, r->until, strlen(r->until)) <= 0) &&
           equals(record, "event", want->event) && equals(record, "outcome", want->outcome) &&
           equals(record, "ticket", want->ticket) &&
           (want->realm == NULL || equals(record, "realm", want->realm) ||
            equals(record, "ticket-realm", want->realm)) &&
           (want->who == NULL || is_about(record, want->who));
}

static void
take_line(struct reading *r, const char *line, size_t n)
{
    json_t *record = json_loadb(line, n, 0, NULL), **slot;

    if (record != NULL && fits(r, record)) {
        if (r->last == NULL) {
            r->failed = r->failed || !r->want->each(r->want->ctx, record);
            r->given++;
        } else {
            slot = &r->last[r->n_last++ % r->want->last];
            json_decref(*slot);
            *slot = json_incref(record);
        }
    }
    json_decref(record);
}

static void
give_last(struct reading *r)
{
    size_t n = r->n_last < r->want->last ? r->n_last : r->want->last;

    for (size_t i = r->n_last - n; i < r->n_last; i++) {
        json_t *record = r->last[i % r->want->last];

        r->failed = r->failed || !r->want->each(r->want->ctx, record);
        json_decref(record);
    }
    free(r->last);
    r->last = NULL;
}

/* --- the segments ----------------------------------------------------------------------------- */

static bool
enough(const struct reading *r)
{
    return r->failed || (r->last == NULL && (r->given >= r->want->limit || r->seen >= PART));
}

/* From the place on, whole lines only. One that cannot be opened was moved away meanwhile. */
static void
read_segment(struct reading *r)
{
    char name[40], path[4200], *line = NULL;
    size_t cap = 0;
    ssize_t n;
    FILE *f;

    kms_segment_name(r->segment, name);
    snprintf(path, sizeof path, "%s/%s", r->want->dir, name);
    f = fopen(path, "re");
    if (f == NULL || fseek(f, r->at, SEEK_SET) != 0) {
        if (f != NULL)
            fclose(f);
        return;
    }
    while (!enough(r) && (n = getline(&line, &cap, f)) > 0 && line[n - 1] == '\n') {
        take_line(r, line, (size_t)n - 1);
        r->at += n;
        r->seen += (size_t)n;
    }
    free(line);
    fclose(f);
}

static bool
read_folder(struct reading *r, char *err)
{
    uint64_t *numbers;
    size_t n;

    if (!kms_segments(r->want->dir, &numbers, &n)) {
        snprintf(err, KMS_RECORDS_ERR, "%s cannot be read: %s", r->want->dir, strerror(errno));
        return false;
    }
    for (size_t i = 0; i < n && !enough(r); i++) {
        if (numbers[i] < r->segment)
            continue;
        if (numbers[i] > r->segment)
            r->at = 0;
        r->segment = numbers[i];
        read_segment(r);
    }
    free(numbers);
    r->full = enough(r);
    return true;
}

/* "3:8192": behind that octet of that segment. */
static bool
read_place(struct reading *r, const char *text)
{
    size_t n = strspn(text, "0123456789");
    size_t m = text[n] == ':' ? strspn(text + n + 1, "0123456789") : 0;

    if (n == 0 || n > 18 || m == 0 || m > 18 || text[n + 1 + m] != '\0')
        return false;
    r->segment = strtoull(text, NULL, 10);
    r->at = strtol(text + n + 1, NULL, 10);
    return true;
}

static const char *
begin(struct reading *r)
{
    if (!read_moment(r->want->since, r->since) || !read_moment(r->want->until, r->until))
        return KMS_RECORDS_MOMENT;
    if (r->want->after != NULL && !read_place(r, r->want->after))
        return "no such place in the audit";
    if (r->want->dir[0] == '\0')
        return "the configuration keeps no audit in files (audit.file)";
    if (r->want->last > 0)
        r->last = calloc(r->want->last, sizeof *r->last);
    return r->want->last > 0 && r->last == NULL ? "out of memory" : NULL;
}

bool
kms_records_read(const struct kms_records *want, char place[KMS_RECORDS_PLACE], bool *more,
                 char err[KMS_RECORDS_ERR])
{
    struct reading r = { .want = want };
    const char *wrong = begin(&r);
    bool ok;

    snprintf(err, KMS_RECORDS_ERR, "%s", wrong == NULL ? "" : wrong);
    if (wrong != NULL)
        return false;
    ok = read_folder(&r, err);
    if (r.last != NULL)
        give_last(&r);
    snprintf(place, KMS_RECORDS_PLACE, "%" PRIu64 ":%ld", r.segment, r.at);
    *more = r.full;
    if (r.failed)
        snprintf(err, KMS_RECORDS_ERR, "out of memory");
    return ok && !r.failed;
}
