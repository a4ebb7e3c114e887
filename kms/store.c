/* SPDX-License-Identifier: Apache-2.0 */
/* What every kind of store shares. */
#include "store.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum kms_store_rc
kms_store_fail(struct kms_store_err *err, enum kms_store_rc rc, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    err->rc = rc;
    return rc;
}

/* tpk-1-128, tpk-1-256, tpk-2-128 ... */
bool
kms_tpk_id_reserved(const char *id)
{
    size_t digits;

    if (strncmp(id, "tpk-", 4) != 0)
        return false;
    digits = strspn(id + 4, "0123456789");
    return digits > 0 &&
           (strcmp(id + 4 + digits, "-128") == 0 || strcmp(id + 4 + digits, "-256") == 0);
}
