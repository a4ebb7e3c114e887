/* SPDX-License-Identifier: Apache-2.0 */
/* A writer of JSON that cannot fail: what does not fit is left out, whole. */
#include "trail.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hex.h"

#define TAIL 2 /* octets kept free for what closes a field */

/* The room of the present record; its length stands in front of it. */
static size_t
room(const struct kms_trail *t)
{
    return t->begun + sizeof(uint16_t) + KMS_RECORD_MAX - t->used;
}

static bool
put(struct kms_trail *t, const void *p, size_t n)
{
    if (room(t) < n + TAIL)
        return false;
    memcpy(t->b + t->used, p, n);
    t->used += n;
    return true;
}

static bool
put_text(struct kms_trail *t, const char *s)
{
    return put(t, s, strlen(s));
}

static bool
put_key(struct kms_trail *t, const char *key)
{
    return put(t, ",\"", 2) && put_text(t, key) && put(t, "\":", 2);
}

/* Everything that is not printable ASCII is escaped: no message can forge a field or a record. */
static bool
put_quoted(struct kms_trail *t, struct mkt_span s)
{
    const uint8_t *at = s.p, *end = s.p + (s.n > KMS_TRAIL_TEXT ? KMS_TRAIL_TEXT : s.n), *from;
    char esc[8];
    bool ok = put(t, "\"", 1);

    while (ok && at < end) {
        for (from = at; at < end && *at >= ' ' && *at < 0x7f && *at != '"' && *at != '\\'; at++)
            ;
        ok = put(t, from, (size_t)(at - from));
        if (ok && at < end) {
            uint8_t c = *at++;

            snprintf(esc, sizeof esc, "\\u%04x", c);
            ok = put_text(t, esc);
        }
    }
    return ok && put(t, "\"", 1);
}

/* Takes the field back when it did not fit. */
static void
settle(struct kms_trail *t, size_t before, bool ok)
{
    if (!ok)
        t->used = before;
}

static void
write_second(int64_t seconds, char text[24])
{
    time_t at = (time_t)seconds;
    struct tm tm;

    if (gmtime_r(&at, &tm) == NULL || strftime(text, 24, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        memcpy(text, "1970-01-01T00:00:00", 20);
}

void
kms_trail_begin(struct kms_trail *t, const char *event, int64_t unix_ns)
{
    int64_t second = unix_ns / 1000000000;
    char fraction[16];

    if (second != t->second || t->time[0] == '\0')
        write_second(second, t->time);
    t->second = second;
    t->begun = t->used;
    t->used += sizeof(uint16_t);
    snprintf(fraction, sizeof fraction, ".%06uZ\"", (unsigned)(unix_ns % 1000000000 / 1000));
    (void)(put(t, "\"time\":\"", 8) && put_text(t, t->time) && put_text(t, fraction));
    kms_trail_text(t, "event", event);
}

void
kms_trail_end(struct kms_trail *t)
{
    uint16_t n = (uint16_t)(t->used - t->begun - sizeof n);

    memcpy(t->b + t->begun, &n, sizeof n);
    t->n++;
}

void
kms_trail_text(struct kms_trail *t, const char *key, const char *text)
{
    kms_trail_octets(t, key, mkt_span(text, text == NULL ? 0 : strlen(text)));
}

void
kms_trail_octets(struct kms_trail *t, const char *key, struct mkt_span octets)
{
    size_t before = t->used;

    if (octets.p != NULL)
        settle(t, before, put_key(t, key) && put_quoted(t, octets));
}

void
kms_trail_number(struct kms_trail *t, const char *key, uint64_t value)
{
    size_t before = t->used;
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    settle(t, before, put_key(t, key) && put_text(t, text));
}

void
kms_trail_hex(struct kms_trail *t, const char *key, struct mkt_span octets)
{
    char text[2 * 64 + 1];

    if (octets.n == 0 || octets.n > 64)
        return;
    kms_hex_write(text, octets.p, octets.n);
    kms_trail_text(t, key, text);
}

void
kms_trail_time(struct kms_trail *t, const char *key, int64_t seconds)
{
    size_t before = t->used;
    char text[24];

    write_second(seconds, text);
    settle(t, before, put_key(t, key) && put(t, "\"", 1) && put_text(t, text) && put(t, "Z\"", 2));
}

void
kms_trail_list(struct kms_trail *t, const char *key,
               struct mkt_span (*next)(const void *ctx, size_t i), const void *ctx)
{
    size_t before = t->used;
    bool ok = put_key(t, key) && put(t, "[", 1);
    struct mkt_span s;

    for (size_t i = 0; ok && (s = next(ctx, i)).p != NULL; i++)
        ok = (i == 0 || put(t, ",", 1)) && put_quoted(t, s);
    settle(t, before, ok && put(t, "]", 1));
}
