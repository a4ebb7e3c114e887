/* SPDX-License-Identifier: Apache-2.0 */
/* What every transfer of ours with libcurl has, whoever is asked. */
#ifndef MKT_CLI_TRANSFER_H
#define MKT_CLI_TRANSFER_H

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>

/* cli_transfer_set_up has c go where it is sent and nowhere else, by http or https with TLS 1.2 at
 * least, leave signals alone, write into `why` what failed, and end within about a second once
 * *stop is set by another thread (NULL: by nobody). False: libcurl cannot. */
bool cli_transfer_set_up(CURL *c, char why[CURL_ERROR_SIZE], const atomic_bool *stop);

#endif
