/* SPDX-License-Identifier: Apache-2.0 */
/* Octet spans and the export macros every other header builds on. */
#ifndef MIKEYTICKET_BASE_H
#define MIKEYTICKET_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MKT_API __attribute__((visibility("default")))
#define MKT_MUST_USE __attribute__((warn_unused_result))
#else
#define MKT_API
#define MKT_MUST_USE
#endif

/* mkt_span is a borrowed run of octets. It is never freed through this type, and
 * lives as long as the buffer it was cut from. An absent field is { NULL, 0 }. */
struct mkt_span {
    const uint8_t *p;
    size_t n; /* octets */
};

static inline struct mkt_span
mkt_span(const void *p, size_t n)
{
    struct mkt_span s;
    s.p = (const uint8_t *)p;
    s.n = n;
    return s;
}

/* mkt_version returns the version of the library as "MAJOR.MINOR.PATCH" (static). */
MKT_API const char *mkt_version(void);

#ifdef __cplusplus
}
#endif
#endif
