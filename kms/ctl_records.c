/* SPDX-License-Identifier: Apache-2.0 */
/* Records are read as they stand in the segments. What is no record is passed over: to find damage
 * is the business of audit verify. */
#include "ctl_records.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct reading {
    const struct kms_ctl *ctl;
    const char *event;
    void (*show)(void *ctx, const json_t *record, const char *line);
    void *ctx;
    char since[40], until[40];
    char **last; /* a ring of ctl->limit lines; NULL: shown at once */
    size_t n_last, shown;
};

const char *
kms_ctl_record_text(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));

    return text == NULL ? "" : text;
}

/* "90m" is 90 minutes ago; anything else is a time as it stands in records, or its beginning. */
static const char *
read_moment(const char *text, char moment[40])
{
    static const char units[] = "smhd";
    static const int64_t seconds[] = { 1, 60, 3600, 86400 };
    size_t digits, n;
    const char *unit;

    moment[0] = '\0';
    if (text == NULL)
        return NULL;
    digits = strspn(text, "0123456789");
    n = strlen(text);
    unit = n == digits + 1 && n > 1 && n < 12 ? strchr(units, text[digits]) : NULL;
    if (unit != NULL)
        kms_ctl_time((int64_t)time(NULL) - strtoll(text, NULL, 10) * seconds[unit - units], moment);
    else if (n < 4 || n > 27 || strspn(text, "0123456789-:.TZ") != n)
        return "a time is 2026-01-02T03:04:05Z, its beginning, or 90m for 90 minutes ago";
    else
        snprintf(moment, 40, "%s", text);
    if (moment[0] != '\0' && moment[strlen(moment) - 1] == 'Z')
        moment[strlen(moment) - 1] = '\0';
    return NULL;
}

/* As identities stand in records: each octet for itself. */
static bool
names(const json_t *value, const char *who)
{
    const char *text = json_string_value(value);

    return text != NULL && strcmp(text, who) == 0;
}

static bool
is_about(const json_t *record, const char *who)
{
    const json_t *to = json_object_get(record, "to");

    for (size_t i = 0; i < json_array_size(to); i++)
        if (names(json_array_get(to, i), who))
            return true;
    return names(json_object_get(record, "who"), who) ||
           names(json_object_get(record, "claimed"), who) ||
           names(json_object_get(record, "initiator"), who);
}

static bool
equals(const json_t *record, const char *key, const char *wanted)
{
    return wanted == NULL || strcmp(kms_ctl_record_text(record, key), wanted) == 0;
}

static bool
fits(const struct reading *r, const json_t *record)
{
    const char *at = kms_ctl_record_text(record, "time");
    const struct kms_ctl *ctl = r->ctl;

    return (r->since[0] == '\0' || strcmp(at, r->since) >= 0) &&
           (r->until[0] == '\0' || strncmp(at, r->until, strlen(r->until)) <= 0) &&
           equals(record, "event", r->event) && equals(record, "event", ctl->event) &&
           (ctl->realm == NULL || equals(record, "realm", ctl->realm) ||
            equals(record, "ticket-realm", ctl->realm)) &&
           equals(record, "outcome", ctl->outcome) && equals(record, "ticket", ctl->ticket) &&
           (ctl->who == NULL || is_about(record, ctl->who));
}

static void
take_line(struct reading *r, const char *line, size_t n)
{
    json_t *record = json_loadb(line, n, 0, NULL);

    if (record != NULL && fits(r, record)) {
        if (r->last == NULL) {
            r->show(r->ctx, record, line);
            r->shown++;
        } else {
            char **slot = &r->last[r->n_last++ % r->ctl->limit];

            free(*slot);
            *slot = strdup(line);
        }
    }
    json_decref(record);
}

static void
show_last(struct reading *r)
{
    size_t n = r->n_last < r->ctl->limit ? r->n_last : r->ctl->limit;

    for (size_t i = r->n_last - n; i < r->n_last; i++) {
        char *line = r->last[i % r->ctl->limit];
        json_t *record = line == NULL ? NULL : json_loads(line, 0, NULL);

        if (record != NULL)
            r->show(r->ctx, record, line);
        json_decref(record);
        free(line);
    }
    free(r->last);
    r->last = NULL;
}

static bool
enough(const struct reading *r)
{
    return r->ctl->follow && r->ctl->limit > 0 && r->shown >= r->ctl->limit;
}

static bool
exists(const char *dir, uint64_t segment)
{
    char name[40], path[4200];
    struct stat st;

    kms_segment_name(segment, name);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0;
}

/* One segment; when following, until there is a next one. */
static bool
read_segment(struct reading *r, const char *dir, uint64_t segment, bool follow)
{
    const struct timespec nap = { 0, 100000000 };
    char name[40], path[4200], *line = NULL;
    size_t cap = 0;
    bool next = false;
    FILE *f;

    kms_segment_name(segment, name);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "re");
    if (f == NULL)
        return false;
    for (;;) {
        long at = ftell(f);
        ssize_t n = getline(&line, &cap, f);

        if (n > 0 && line[n - 1] == '\n') {
            line[n - 1] = '\0';
            take_line(r, line, (size_t)n - 1);
        } else if (!follow || next) {
            break;
        } else { /* no whole line yet */
            fseek(f, at, SEEK_SET);
            next = exists(dir, segment + 1);
            fflush(stdout);
            nanosleep(&nap, NULL);
        }
        if (enough(r))
            break;
    }
    free(line);
    fclose(f);
    return true;
}

static bool
read_folder(struct reading *r, const char *dir)
{
    uint64_t *numbers, segment;
    bool ok = true;
    size_t n;

    if (!kms_segments(dir, &numbers, &n)) {
        fprintf(stderr, "mikey-kmsctl: %s cannot be read: %s\n", dir, strerror(errno));
        return false;
    }
    for (size_t i = 0; ok && i + 1 < n; i++)
        ok = read_segment(r, dir, numbers[i], false);
    segment = n == 0 ? 0 : numbers[n - 1];
    for (bool more = n > 0; ok && more; segment++) {
        if (r->ctl->follow && r->last != NULL)
            show_last(r);
        ok = read_segment(r, dir, segment, r->ctl->follow);
        more = r->ctl->follow && !enough(r);
    }
    free(numbers);
    return ok;
}

bool
kms_ctl_records(const struct kms_ctl *ctl, const char *event,
                void (*show)(void *ctx, const json_t *record, const char *line), void *ctx)
{
    struct reading r = { .ctl = ctl, .event = event, .show = show, .ctx = ctx };
    const char *wrong = read_moment(ctl->since, r.since);
    bool ok;

    if (wrong == NULL)
        wrong = read_moment(ctl->until, r.until);
    if (wrong == NULL && ctl->config->audit_dir[0] == '\0')
        wrong = "the configuration keeps no audit in files (audit.file)";
    if (wrong != NULL) {
        fprintf(stderr, "mikey-kmsctl: %s\n", wrong);
        return false;
    }
    if (ctl->limit > 0 && !ctl->follow) {
        r.last = calloc(ctl->limit, sizeof *r.last);
        if (r.last == NULL)
            return false;
    }
    ok = read_folder(&r, ctl->config->audit_dir);
    if (r.last != NULL)
        show_last(&r);
    return ok;
}
