/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP: records go to a collector as lines of JSON (application/x-ndjson), many in one POST. A 2xx
 * says that it has them. What it did not say so of comes again: the number and the hash of a record
 * tell it apart. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_outlet.h"

struct http_sink {
    CURL *curl;
    struct curl_slist *headers;
    char url[KMS_AUDIT_ERR];
    char error[CURL_ERROR_SIZE];
};

/* What a collector says is of no interest. */
static size_t
ignore(char *p, size_t size, size_t n, void *ctx)
{
    (void)p;
    (void)ctx;
    return size * n;
}

static void
http_close(void *self)
{
    struct http_sink *s = self;

    curl_slist_free_all(s->headers);
    curl_easy_cleanup(s->curl);
    free(s);
}

static void *
http_open(const struct kms_config *config, char err[KMS_AUDIT_ERR])
{
    struct http_sink *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    snprintf(s->url, sizeof s->url, "%.511s", config->audit_http);
    s->curl = curl_easy_init();
    s->headers = curl_slist_append(NULL, "Content-Type: application/x-ndjson");
    if (s->headers != NULL) { /* no round of "100 Continue" */
        struct curl_slist *more = curl_slist_append(s->headers, "Expect:");

        s->headers = more != NULL ? more : s->headers;
    }
    if (s->curl == NULL || s->headers == NULL ||
        curl_easy_setopt(s->curl, CURLOPT_URL, s->url) != CURLE_OK ||
        curl_easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK) {
        snprintf(err, KMS_AUDIT_ERR, "audit.http: libcurl cannot use it");
        http_close(s);
        return NULL;
    }
    curl_easy_setopt(s->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
    curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, s->error);
    curl_easy_setopt(s->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(s->curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(s->curl, CURLOPT_TIMEOUT, (long)config->audit_timeout_s);
    return s;
}

static size_t
http_send(void *self, const char *lines, size_t n, char err[KMS_AUDIT_ERR])
{
    struct http_sink *s = self;
    long status = 0;
    CURLcode rc;

    s->error[0] = '\0';
    curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, lines);
    curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
    rc = curl_easy_perform(s->curl);
    if (rc == CURLE_OK)
        curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc == CURLE_OK && status / 100 == 2)
        return n;
    if (rc == CURLE_OK)
        snprintf(err, KMS_AUDIT_ERR, "%.256s: status %ld", s->url, status);
    else
        snprintf(err, KMS_AUDIT_ERR, "%.256s: %.200s", s->url,
                 s->error[0] != '\0' ? s->error : curl_easy_strerror(rc));
    return 0;
}

const struct kms_outlet_kind kms_outlet_http = {
    "http",    KMS_AUDIT_HTTP, offsetof(struct kms_config, audit_http),
    http_open, http_send,      http_close
};
