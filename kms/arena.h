/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is taken piece by piece and given back at once. */
#ifndef KMS_ARENA_H
#define KMS_ARENA_H

#include <stddef.h>

struct kms_arena; /* opaque, owned */

/* kms_arena_new returns an empty one, or NULL when memory fails. */
struct kms_arena *kms_arena_new(void);
void kms_arena_free(struct kms_arena *a);

/* kms_arena_take returns n octets of zero, or NULL when memory fails. */
void *kms_arena_take(struct kms_arena *a, size_t n);

/* kms_arena_text returns a copy of a terminated string, or NULL. */
char *kms_arena_text(struct kms_arena *a, const char *text);

#endif
