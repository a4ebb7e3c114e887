/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the audit on their way: each worker writes down what it decided as one JSON object a
 * decision, and hands all of a batch over at once (audit.h). The number and the hash are put around
 * a record when it is written (docs/formats/audit.md). There is no kind of field for keys. */
#ifndef KMS_TRAIL_H
#define KMS_TRAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mikeyticket/base.h>

#define KMS_RECORD_MAX 8192 /* octets of a record */
#define KMS_TRAIL_MAX 65536
#define KMS_TRAIL_TEXT 1024 /* octets of a text; what is longer is cut */

struct kms_trail {
    size_t used;    /* octets of b: records, each behind its length (uint16_t) */
    size_t begun;   /* where the present record begins */
    uint32_t n;     /* records */
    uint64_t last;  /* of the records handed over, as audit.c counts them */
    uint64_t epoch; /* of audit.c, when they were handed over */
    bool open;      /* some were handed over and not waited for */
    bool refused;   /* and some of them were not taken */
    int64_t second; /* that `time` stands for */
    char time[24];  /* "2026-01-02T03:04:05" */
    char b[KMS_TRAIL_MAX];
};

/* kms_trail_room tells whether another record fits. */
static inline bool
kms_trail_room(const struct kms_trail *t)
{
    return sizeof t->b - t->used >= KMS_RECORD_MAX + sizeof(uint16_t);
}

/* kms_trail_begin begins a record about an event, a literal of ours, at a time in nanoseconds since
 * 1970. There must be room. kms_trail_end ends it. */
void kms_trail_begin(struct kms_trail *t, const char *event, int64_t unix_ns);
void kms_trail_end(struct kms_trail *t);

/* Fields. Keys are literals of ours; octets are escaped, and a field that would make the record too
 * long is left out. kms_trail_octets leaves out what is absent (p NULL). */
void kms_trail_text(struct kms_trail *t, const char *key, const char *text);
void kms_trail_octets(struct kms_trail *t, const char *key, struct mkt_span octets);
void kms_trail_number(struct kms_trail *t, const char *key, uint64_t value);
void kms_trail_hex(struct kms_trail *t, const char *key, struct mkt_span octets);
void kms_trail_time(struct kms_trail *t, const char *key, int64_t seconds);
/* A list of texts: `next` gives number i, or p NULL at the end. */
void kms_trail_list(struct kms_trail *t, const char *key,
                    struct mkt_span (*next)(const void *ctx, size_t i), const void *ctx);

#endif
