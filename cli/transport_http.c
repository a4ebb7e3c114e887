/* SPDX-License-Identifier: Apache-2.0 */
/* MIKEY over HTTP: one POST an exchange. The path, the query and the meaning of the status stand
 * here and nowhere else (docs/decisions, design 6): a MIKEY message is taken as the answer whatever
 * the status, 429 and 503 are tried again with a new message, any other status is the end. */
#include "kms.h"

#include "carrier.h"
#include "transfer.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define MEDIA_TYPE "application/mikey"
#define BODY_MAX (MKT_MSG_MAX / 3 * 4 + 8) /* a message in base64 */

struct http {
    CURL *curl;
    struct curl_slist *headers;
    struct cli_blob body;
    bool have_body; /* an answer not handed out yet */
    char why[CURL_ERROR_SIZE];
};

static size_t
take_body(char *octets, size_t one, size_t n, void *ctx)
{
    struct http *h = ctx;
    if (one * n > h->body.cap - h->body.n)
        return 0; /* ends the transfer */
    memcpy(h->body.p + h->body.n, octets, one * n);
    h->body.n += one * n;
    return one * n;
}

static bool
set_files(CURL *c, const struct cli_args *args)
{
    static const struct {
        enum cli_option option;
        CURLoption to;
    } files[] = {
        { CLI_OPT_CACERT, CURLOPT_CAINFO },
        { CLI_OPT_TLS_CERT, CURLOPT_SSLCERT },
        { CLI_OPT_TLS_KEY, CURLOPT_SSLKEY },
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *path = cli_args_get(args, files[i].option);
        if (path != NULL && curl_easy_setopt(c, files[i].to, path) != CURLE_OK)
            return false;
    }
    return true;
}

static bool
set_up(struct http *h, const struct cli_args *args)
{
    CURL *c = h->curl;
    h->headers = curl_slist_append(NULL, "Content-Type: " MEDIA_TYPE);
    struct curl_slist *more = curl_slist_append(h->headers, "Accept: " MEDIA_TYPE);
    if (more != NULL)
        more = curl_slist_append(more, "Expect:");
    return more != NULL && curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, h) == CURLE_OK && set_files(c, args);
}

static bool
http_open(struct cli_link *l, const struct cli_args *args, struct cli_error *err)
{
    struct http *h = calloc(1, sizeof *h);

    l->state = h;
    if (h == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    if (strpbrk(l->url, "?#") != NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "--kms %s: give host, port and prefix only", l->url);
    h->curl = curl_easy_init();
    if (h->curl == NULL || !cli_transfer_set_up(h->curl, h->why, l->timer->stop) ||
        !set_up(h, args))
        return cli_fail(err, CLI_EXIT_FAILURE, "libcurl cannot be set up");
    return cli_blob_alloc(&h->body, BODY_MAX, err);
}

static void
http_close(struct cli_link *l)
{
    struct http *h = l->state;
    if (h == NULL)
        return;
    curl_easy_cleanup(h->curl);
    curl_slist_free_all(h->headers);
    cli_blob_free(&h->body);
    free(h);
}

static bool
set_url(struct http *h, const char *base, const char *type, struct cli_error *err)
{
    char url[2048];
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/')
        n--;
    int len = snprintf(url, sizeof url, "%.*s/keymanagement?requesttype=%s", (int)n, base, type);
    return (len > 0 && (size_t)len < sizeof url &&
            curl_easy_setopt(h->curl, CURLOPT_URL, url) == CURLE_OK) ||
           cli_fail(err, CLI_EXIT_USAGE, "--kms: the URL is too long");
}

static bool
is_mikey(CURL *curl)
{
    char *type = NULL;
    size_t n = strlen(MEDIA_TYPE);
    return curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type != NULL &&
           strncasecmp(type, MEDIA_TYPE, n) == 0 && (type[n] == '\0' || strchr("; \t", type[n]));
}

/* No MIKEY message in the answer: the status says whether to try again. */
static enum cli_got
judge_status(struct cli_link *l, struct cli_error *err)
{
    struct http *h = l->state;
    long status = 0;
    curl_off_t after = 0;
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 429 || status == 503) {
        curl_easy_getinfo(h->curl, CURLINFO_RETRY_AFTER, &after);
        if (after > 0 && after < 3600)
            l->timer->next = cli_clock_ms() + after * 1000;
        cli_say("%s is busy (HTTP status %ld)", l->url, status);
        return CLI_GOT_NOTHING;
    }
    cli_fail(err, CLI_EXIT_UNREACHABLE,
             "%s answered with HTTP status %ld and no MIKEY message; is this the address of a KMS?",
             l->url, status);
    return CLI_GOT_NEVER;
}

static enum cli_got
http_send(struct cli_link *l, const char *type, struct mkt_span message, struct cli_error *err)
{
    struct http *h = l->state;
    int64_t left = l->timer->end - cli_clock_ms();

    h->body.n = 0;
    if (!set_url(h, l->url, type, err))
        return CLI_GOT_NEVER;
    curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE, (long)message.n);
    curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, message.p);
    curl_easy_setopt(h->curl, CURLOPT_TIMEOUT_MS, (long)(left > 1 ? left : 1));
    CURLcode rc = curl_easy_perform(h->curl);
    if (rc == CURLE_WRITE_ERROR) {
        cli_fail(err, CLI_EXIT_UNREACHABLE, "%s answered with more octets than a MIKEY message has",
                 l->url);
        return CLI_GOT_NEVER;
    }
    if (rc != CURLE_OK) {
        cli_fail(err, CLI_EXIT_UNREACHABLE, "cannot reach the KMS at %s: %s", l->url,
                 *h->why != '\0' ? h->why : curl_easy_strerror(rc));
        return CLI_GOT_NEVER;
    }
    h->have_body = is_mikey(h->curl) && h->body.n > 0;
    return h->have_body ? CLI_GOT_MESSAGE : judge_status(l, err);
}

static enum cli_got
http_receive(struct cli_link *l, struct cli_blob *answer, struct cli_error *err)
{
    struct http *h = l->state;
    struct cli_error ignored = { 0 };
    CLI_SCOPED_CARRIER c = { 0 };

    if (!h->have_body) { /* busy: wait for the next attempt */
        for (int left; (left = cli_timer_left(l->timer)) > 0;)
            poll(NULL, 0, left);
        return CLI_GOT_NOTHING;
    }
    h->have_body = false;
    /* Octets, or base64 of them: a KMS answers in kind, a proxy in between may not. */
    if (!cli_carrier_open(&c, cli_blob_span(&h->body), l->url, &ignored) || c.n != 1 ||
        cli_carrier_message(&c, 0).n > answer->cap) {
        cli_fail(err, CLI_EXIT_UNREACHABLE, "the answer of %s is not a MIKEY message", l->url);
        return CLI_GOT_NEVER;
    }
    struct mkt_span m = cli_carrier_message(&c, 0);
    memcpy(answer->p, m.p, m.n);
    answer->n = m.n;
    return CLI_GOT_MESSAGE;
}

const struct cli_transport cli_transport_http = {
    .scheme = "http://",
    .open = http_open,
    .close = http_close,
    .send = http_send,
    .receive = http_receive,
};

const struct cli_transport cli_transport_https = {
    .scheme = "https://",
    .open = http_open,
    .close = http_close,
    .send = http_send,
    .receive = http_receive,
};
