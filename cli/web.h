/* SPDX-License-Identifier: Apache-2.0 */
/* Files to and from a web server that a mailbox has named: sealed objects, which nobody on the way
 * can read or change unseen. http and https only, and never to another place than was named. */
#ifndef MKT_CLI_WEB_H
#define MKT_CLI_WEB_H

#include "cli.h"

#define CLI_WEB_URL_MAX 512 /* octets */

/* cli_web_is_url tells whether text is a URL that may be used so. */
bool cli_web_is_url(const char *text);

/* cli_web_put sends the file at path to url. CLI_EXIT_UNREACHABLE when it is not taken. */
MKT_MUST_USE bool cli_web_put(const char *url, const char *path, struct cli_error *err);

/* cli_web_get writes what is at url, at most max octets, to the file at path (mode 0600). */
MKT_MUST_USE bool cli_web_get(const char *url, const char *path, uint64_t max,
                              struct cli_error *err);

/* cli_web_stop ends what is under way, in any thread, and what would come: the program ends. */
void cli_web_stop(void);

/* cli_web_delete has url forgotten. */
MKT_MUST_USE bool cli_web_delete(const char *url, struct cli_error *err);

#endif
