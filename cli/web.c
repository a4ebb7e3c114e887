/* SPDX-License-Identifier: Apache-2.0 */
/* One request with libcurl, whose body streams from or into a file. Redirections are not followed:
 * the mailbox has said where. */
#include "web.h"

#include "files.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECT_S 10L
#define STALLED_S 30L /* without an octet */

struct transfer {
    CURL *curl;
    const char *url, *path;
    const atomic_bool *stop; /* set by another thread: end soon; or NULL */
    int fd;                  /* of what is sent */
    struct cli_draft *draft; /* of what comes */
    uint64_t left;           /* octets that may still come */
    struct cli_error *err;
    char why[CURL_ERROR_SIZE];
};

bool
cli_web_is_url(const char *text)
{
    bool named = strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;

    if (!named || strlen(text) >= CLI_WEB_URL_MAX)
        return false;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static size_t
give(char *to, size_t one, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    ssize_t got = cli_fd_read(t->fd, t->path, (uint8_t *)to, one * n, t->err);
    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static size_t
take(char *octets, size_t one, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    size_t all = one * n;

    if (t->draft == NULL)
        return all; /* words about what became of it */
    if (all > t->left) {
        cli_fail(t->err, CLI_EXIT_PEER, "%s holds more than a message may", t->url);
        return 0;
    }
    t->left -= all;
    return cli_draft_add(t->draft, mkt_span(octets, all), t->err) ? all : 0;
}

static bool
set_up(struct transfer *t)
{
    CURL *c = t->curl;

    return c != NULL && cli_transfer_set_up(c, t->why, t->stop) &&
           curl_easy_setopt(c, CURLOPT_URL, t->url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALLED_S) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_READFUNCTION, give) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_READDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK;
}

static bool
perform(struct transfer *t)
{
    long status = 0;
    CURLcode rc = curl_easy_perform(t->curl);

    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc != CURLE_OK)
        return cli_fail(t->err, CLI_EXIT_UNREACHABLE, "cannot reach the mailbox at %s: %s", t->url,
                        *t->why != '\0' ? t->why : curl_easy_strerror(rc));
    return status / 100 == 2 ||
           cli_fail(t->err, CLI_EXIT_UNREACHABLE, "the mailbox answers with HTTP status %ld at %s",
                    status, t->url);
}

/* Sets up, does, and ends. `more` sets what is special of the method. */
static bool
request(struct transfer *t, bool (*more)(struct transfer *t))
{
    if (!cli_web_is_url(t->url))
        return cli_fail(t->err, CLI_EXIT_PEER, "the mailbox names no http or https URL");
    t->curl = curl_easy_init();
    bool done = (set_up(t) && (more == NULL || more(t))) ||
                cli_fail(t->err, CLI_EXIT_FAILURE, "libcurl cannot be set up");
    done = done && perform(t);
    curl_easy_cleanup(t->curl);
    return done;
}

static bool
as_upload(struct transfer *t)
{
    struct stat st;

    return fstat(t->fd, &st) == 0 && curl_easy_setopt(t->curl, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
           curl_easy_setopt(t->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size) == CURLE_OK;
}

bool
cli_web_put(const char *url, const char *path, const atomic_bool *stop, struct cli_error *err)
{
    struct transfer t = { .url = url, .path = path, .stop = stop, .err = err };

    t.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (t.fd < 0)
        return cli_fail(err, CLI_EXIT_FAILURE, "cannot open %s: %s", path, strerror(errno));
    bool done = request(&t, as_upload);
    close(t.fd);
    return done;
}

bool
cli_web_get(const char *url, const char *path, uint64_t max, const atomic_bool *stop,
            struct cli_error *err)
{
    CLI_SCOPED_DRAFT draft = { .fd = -1 };
    struct transfer t = {
        .url = url, .path = path, .stop = stop, .draft = &draft, .left = max, .err = err
    };

    return cli_draft_open(&draft, path, err) && request(&t, NULL) &&
           cli_draft_keep(&draft, CLI_SECRET, err);
}

static bool
as_delete(struct transfer *t)
{
    return curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, "DELETE") == CURLE_OK;
}

bool
cli_web_delete(const char *url, const atomic_bool *stop, struct cli_error *err)
{
    struct transfer t = { .url = url, .path = "", .stop = stop, .err = err };
    return request(&t, as_delete);
}
