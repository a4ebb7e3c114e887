/* SPDX-License-Identifier: Apache-2.0 */
#include "transfer.h"

/* libcurl asks once a second at least; other than 0 ends the transfer. */
static int
is_stopped(void *stop, curl_off_t down, curl_off_t downloaded, curl_off_t up, curl_off_t uploaded)
{
    (void)down, (void)downloaded, (void)up, (void)uploaded;
    return stop != NULL && atomic_load((const atomic_bool *)stop);
}

bool
cli_transfer_set_up(CURL *c, char why[CURL_ERROR_SIZE], const atomic_bool *stop)
{
    return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, is_stopped) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFODATA, (void *)stop) == CURLE_OK;
}
