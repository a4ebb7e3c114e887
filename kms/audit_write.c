/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's work: numbers and hashes around the records, then the file, then the outlets. */
#include <inttypes.h>
#include <stdio.h>

#include "audit_parts.h"
#include "hex.h"

#define LINE_MORE 128 /* octets around a record: number, hash */

/* One line out of a record: number in front, hash behind. There is room. */
static bool
chain_line(struct kms_audit *a, const char *record, size_t n)
{
    char *line = a->lines.p + a->lines.n;
    int head = snprintf(line, LINE_MORE, "{\"seq\":%" PRIu64 ",", a->head.seq + 1);
    size_t len = (size_t)head;

    memcpy(line + len, record, n);
    len += n;
    if (!kms_line_hash(a->crypto, a->head.hash, mkt_span(line, len), a->head.hash))
        return false;
    memcpy(line + len, ",\"hash\":\"", 9);
    len += 9;
    kms_hex_write(line + len, a->head.hash, sizeof a->head.hash);
    len += 2 * sizeof a->head.hash;
    memcpy(line + len, "\"}\n", 3);
    a->lines.n += len + 3;
    a->head.seq++;
    return true;
}

/* The record that begins a segment: its layout is what kms_line_first reads. */
static bool
chain_segment(struct kms_audit *a)
{
    struct kms_trail *t = a->note;
    bool ok;

    t->used = t->n = 0;
    kms_trail_begin(t, "segment", kms_store_clock_ns(a->clock));
    kms_trail_text(t, "chain", a->head.chain);
    kms_trail_number(t, "segment", a->head.segment);
    kms_trail_hex(t, "former", mkt_span(a->head.hash, sizeof a->head.hash));
    kms_trail_text(t, "kms", a->config->identity);
    ok = chain_line(a, t->b + sizeof(uint16_t), t->used - sizeof(uint16_t));
    t->used = 0;
    return ok;
}

/* All lines of what is taken; on failure the chain is where it was. */
static bool
chain_taken(struct kms_audit *a)
{
    const struct kms_head before = a->head;
    bool ok;

    a->lines.n = 0;
    ok = kms_octets_reserve(&a->lines, a->taken.n + (a->n_taken + 1) * LINE_MORE + KMS_RECORD_MAX);
    if (ok && a->rotate && !a->file_failing) {
        a->head.segment = a->has_file ? a->file.segment : a->head.segment + 1;
        ok = chain_segment(a);
    }
    for (size_t at = 0; ok && at < a->taken.n;) {
        uint16_t n;

        memcpy(&n, a->taken.p + at, sizeof n);
        ok = chain_line(a, a->taken.p + at + sizeof n, n);
        at += sizeof n + n;
    }
    if (!ok)
        a->head = before;
    return ok;
}

static void
say_down(struct kms_audit *a, const char *sink, const char *why)
{
    if (!atomic_load(&a->down))
        KMS_LOG(a->log, KMS_ERROR, "audit-down", kms_text("sink", sink), kms_text("error", why),
                kms_text("effect", "no request is served until it can be written again"));
}

static bool
optional(const struct kms_audit *a, uint32_t sink)
{
    return (a->config->audit_optional >> sink & 1) != 0;
}

/* The file is not required and fails: the others go on without it. */
static bool
leave_out_file(struct kms_audit *a, const char *why)
{
    if (!optional(a, KMS_AUDIT_FILE))
        return false;
    if (!a->file_failing)
        KMS_LOG(a->log, KMS_ERROR, "audit-sink-lost", kms_text("sink", "file"),
                kms_text("error", why));
    a->file_failing = a->rotate = true;
    a->rotate_at_s = kms_steady_s() + 1; /* when it is tried again */
    a->file_lost += a->n_taken;
    return true;
}

/* The segment that the next lines go to. One that was begun and has nothing in it yet will do. */
static bool
find_segment(struct kms_audit *a, char *err)
{
    bool gone = kms_audit_file_gone(&a->file);

    if (gone && a->file.fd >= 0)
        KMS_LOG(a->log, KMS_ERROR, "audit-segment-gone", kms_text("file", a->file.path));
    a->rotate = a->rotate || gone;
    return !a->rotate || (!gone && a->file.size == 0) || kms_audit_file_next(&a->file, err);
}

static bool
file_failed(struct kms_audit *a, const char *err)
{
    if (leave_out_file(a, err))
        return false;
    say_down(a, "file", err);
    return true;
}

/* Chains what is taken and appends it to the file, if there is one. */
static bool
write_file(struct kms_audit *a)
{
    const struct kms_head before = a->head;
    char err[KMS_AUDIT_ERR] = "out of memory";

    if (a->file_failing && kms_steady_s() >= a->rotate_at_s)
        a->file_failing = false;
    if (a->has_file && !a->file_failing && !find_segment(a, err) && file_failed(a, err))
        return false;
    if (!chain_taken(a)) {
        say_down(a, "chain", "out of memory");
        return false;
    }
    if (a->has_file && !a->file_failing &&
        !kms_audit_file_write(&a->file, a->lines.p, a->lines.n, err) && file_failed(a, err)) {
        a->head = before;
        return false;
    }
    if (!a->file_failing && a->rotate) {
        a->rotate = false;
        a->rotate_at_s =
            a->config->audit_age_s == 0 ? 0 : kms_steady_s() + (int64_t)a->config->audit_age_s;
    }
    return true;
}

bool
kms_audit_outlets_done(struct kms_audit *a)
{
    bool ok = true;

    for (size_t i = 0; i < a->n_outlets; i++)
        ok = (!a->required[i] || kms_outlet_wait(a->outlets[i])) && ok;
    return ok;
}

bool
kms_audit_write(struct kms_audit *a)
{
    bool ok = true;

    if (!write_file(a))
        return false;
    for (size_t i = 0; i < a->n_outlets; i++)
        ok = kms_outlet_put(a->outlets[i], a->lines.p, a->lines.n, a->n_taken + 1) && ok;
    a->taken.n = a->n_taken = 0;
    if (a->has_file && a->file.size >= a->config->audit_size)
        a->rotate = true;
    return ok && kms_audit_outlets_done(a);
}
