/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a realm: also of its file of evidence, and in front of the names of its rules. So it
 * holds no slash, no space and nothing that needs quotes. */
#ifndef KMS_REALM_H
#define KMS_REALM_H

#include <stdbool.h>
#include <stddef.h>

#define KMS_REALM_MAX 63            /* octets of a realm's name */
#define KMS_REALM_DEFAULT "default" /* the realm of those of whom none is said */
#define KMS_REALM_FORM "the name of a realm has 1 to 63 of a-z, 0-9, -, . and _"

/* kms_realm_valid tells whether n octets may be the name of a realm. */
static inline bool
kms_realm_valid(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= '0' && name[i] <= '9') &&
            name[i] != '-' && name[i] != '.' && name[i] != '_')
            return false;
    return n > 0 && n <= KMS_REALM_MAX;
}

#endif
