/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people write them, in UTC. */
#ifndef KMS_INSTANT_H
#define KMS_INSTANT_H

#include <stdbool.h>
#include <stdint.h>

#define KMS_INSTANT 32 /* octets of the text */
#define KMS_INSTANT_FORM "a time is written 2026-01-31, 2026-01-31T18:00:00Z (UTC) or never"

/* kms_instant_write writes seconds since 1970 as "2026-01-02T03:04:05Z". */
void kms_instant_write(int64_t seconds, char text[KMS_INSTANT]);

/* kms_instant_read reads such a time, or a date ("2026-01-02"), or "never" (0). */
bool kms_instant_read(const char *text, int64_t *seconds);

#endif
