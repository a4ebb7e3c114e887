/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's log: one line an event on standard error, as `time level event key=value...`
 * or as JSON. A line is written whole or not at all, and a reader that is stuck, gone, or on a full
 * disk costs lines, never the service. No octets of keys or messages come here: there is no field
 * type for them. */
#ifndef KMS_LOG_H
#define KMS_LOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <mikeyticket/base.h>

enum kms_level { KMS_DEBUG, KMS_INFO, KMS_WARN, KMS_ERROR };

struct kms_log {
    int fd;
    _Atomic enum kms_level level; /* lines below it are not written */
    _Atomic bool json;
    pthread_mutex_t lock;
    _Atomic uint64_t lost; /* lines that could not be written */
};

/* One key=value. Text when `number` is false; keys are literals of ours, text is escaped. */
struct kms_field {
    const char *key;
    bool number;
    int64_t i;
    struct mkt_span text;
};

static inline struct kms_field
kms_text(const char *key, const char *s)
{
    struct kms_field f = { key, false, 0, { (const uint8_t *)s, s == NULL ? 0 : strlen(s) } };
    return f;
}

static inline struct kms_field
kms_octets(const char *key, struct mkt_span s)
{
    struct kms_field f = { key, false, 0, s };
    return f;
}

static inline struct kms_field
kms_number(const char *key, int64_t i)
{
    struct kms_field f = { key, true, i, { NULL, 0 } };
    return f;
}

/* kms_log_init makes log write to fd. */
void kms_log_init(struct kms_log *log, int fd, enum kms_level level, bool json);

/* kms_log_line writes one event with n fields; texts are cut at 256 octets. */
void kms_log_line(struct kms_log *log, enum kms_level level, const char *event,
                  const struct kms_field *fields, size_t n);

/* KMS_LOG(log, KMS_INFO, "started", kms_text("identity", id), kms_number("workers", 2)); */
#define KMS_LOG(log, level, event, ...)                                              \
    kms_log_line((log), (level), (event), (const struct kms_field[]){ __VA_ARGS__ }, \
                 sizeof((const struct kms_field[]){ __VA_ARGS__ }) / sizeof(struct kms_field))

/* kms_level_name returns "info" and the like. */
const char *kms_level_name(enum kms_level level);

#endif
