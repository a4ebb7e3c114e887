/* SPDX-License-Identifier: Apache-2.0 */
#include "instant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void
kms_instant_write(int64_t seconds, char text[KMS_INSTANT])
{
    time_t t = (time_t)seconds;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(text, KMS_INSTANT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(text, KMS_INSTANT, "%" PRId64, seconds);
}

/* strptime takes more than it should: what it read is written again and compared. */
bool
kms_instant_read(const char *text, int64_t *seconds)
{
    struct tm tm = { 0 };
    char whole[KMS_INSTANT], again[KMS_INSTANT];
    size_t n = strlen(text);

    *seconds = 0;
    if (strcmp(text, "never") == 0)
        return true;
    if (n != 10 && n != 20)
        return false;
    snprintf(whole, sizeof whole, "%s%s", text, n == 10 ? "T00:00:00Z" : "");
    if (strptime(whole, "%Y-%m-%dT%H:%M:%SZ", &tm) == NULL)
        return false;
    *seconds = timegm(&tm);
    kms_instant_write(*seconds, again);
    return *seconds > 0 && strcmp(again, whole) == 0;
}
