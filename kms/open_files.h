/* SPDX-License-Identifier: Apache-2.0 */
/* How many files may be open, and how many a configuration may need. */
#ifndef KMS_OPEN_FILES_H
#define KMS_OPEN_FILES_H

#include <stdarg.h>

#include "config.h"
#include "log.h"

/* kms_open_files_raise raises the limit (RLIMIT_NOFILE) to the most that is allowed. */
void kms_open_files_raise(void);

/* kms_open_files_check warns when that is less than full houses at all addresses would need. */
void kms_open_files_check(const struct kms_config *config, struct kms_log *log);

/* What one thread may have open above its share of http_connections, while others that gave way for
 * them end. */
#define KMS_HTTP_MORE 64

/* kms_open_files_pause is the logger of every libmicrohttpd daemon: it says nothing, and waits a
 * moment where no more files can be opened. libmicrohttpd would ask again at once, and for ever. */
void kms_open_files_pause(void *cls, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

#endif
