/* SPDX-License-Identifier: Apache-2.0 */
/* Files to and from a web server that a mailbox has named: sealed objects, which nobody on the way
 * can read or change unseen. http and https only, and never to another place than was named. */
#ifndef MKT_CLI_WEB_H
#define MKT_CLI_WEB_H

#include "cli.h"

#include <stdatomic.h>

#define CLI_WEB_URL_MAX 512 /* octets */

/* cli_web_is_url tells whether text is a URL that may be used so. */
bool cli_web_is_url(const char *text);

/* Each of these ends within about a second once *stop is set by another thread (NULL: by nobody).
 * cli_web_put sends the file at path to url. CLI_EXIT_UNREACHABLE when it is not taken. */
MKT_MUST_USE bool cli_web_put(const char *url, const char *path, const atomic_bool *stop,
                              struct cli_error *err);

/* cli_web_get writes what is at url, at most max octets, to the file at path (mode 0600). */
MKT_MUST_USE bool cli_web_get(const char *url, const char *path, uint64_t max,
                              const atomic_bool *stop, struct cli_error *err);

/* cli_web_delete has url forgotten. */
MKT_MUST_USE bool cli_web_delete(const char *url, const atomic_bool *stop, struct cli_error *err);

#endif
