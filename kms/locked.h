/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for secrets that live long: whole pages, locked as far as the system allows, not in core
 * dumps, wiped when they go. */
#ifndef KMS_LOCKED_H
#define KMS_LOCKED_H

#include <stdbool.h>
#include <stddef.h>

/* kms_locked_new returns n zero octets, or NULL. kms_locked_free wipes them; NULL is allowed. */
void *kms_locked_new(size_t n);
void kms_locked_free(void *p, size_t n);

#endif
