/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever knows a URL may use it: to leave one message, once; or to take and remove one. */
#include "box.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct box_web {
    struct MHD_Daemon *daemon;
    const char *dir;
};

/* A message on its way in. */
struct upload {
    const struct box_web *web;
    char name[BOX_NAME_MAX + 1], token[BOX_TOKEN + 1];
    int fd;
    size_t octets;
    bool failed, done;
};

static enum MHD_Result
answer(struct MHD_Connection *c, unsigned status)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result done = r != NULL ? MHD_queue_response(c, status, r) : MHD_NO;

    if (r != NULL)
        MHD_destroy_response(r);
    return done;
}

/* /USER/TOKEN */
static bool
read_url(const char *url, char name[BOX_NAME_MAX + 1], char token[BOX_TOKEN + 1])
{
    const char *slash = *url == '/' ? strchr(url + 1, '/') : NULL;
    size_t n = slash != NULL ? (size_t)(slash - url) - 1 : 0;

    if (n == 0 || n > BOX_NAME_MAX || strlen(slash + 1) != BOX_TOKEN)
        return false;
    memcpy(name, url + 1, n);
    name[n] = '\0';
    memcpy(token, slash + 1, BOX_TOKEN + 1);
    return box_store_name(name);
}

/* --- leaving ---------------------------------------------------------------------------------- */

static enum MHD_Result
begin(const struct box_web *web, struct MHD_Connection *c, const char *url, void **state)
{
    struct upload *u = calloc(1, sizeof *u);

    if (u == NULL)
        return MHD_NO;
    u->web = web;
    u->fd = -1;
    *state = u;
    if (read_url(url, u->name, u->token))
        u->fd = box_store_begin(web->dir, u->name, u->token);
    return u->fd >= 0 ? MHD_YES : answer(c, MHD_HTTP_NOT_FOUND);
}

static void
add(struct upload *u, const char *octets, size_t n)
{
    u->octets += n;
    u->failed = u->failed || u->octets > BOX_OCTETS_MAX;
    while (!u->failed && n > 0) {
        ssize_t put = write(u->fd, octets, n);
        u->failed = put <= 0;
        octets += put > 0 ? put : 0;
        n -= put > 0 ? (size_t)put : 0;
    }
}

static enum MHD_Result
end(struct upload *u, struct MHD_Connection *c)
{
    bool whole = !u->failed && u->octets > 0 && fsync(u->fd) == 0;

    u->done = true;
    if (box_store_end(u->web->dir, u->name, u->token, whole))
        return answer(c, MHD_HTTP_CREATED);
    return answer(c, u->octets > BOX_OCTETS_MAX ? MHD_HTTP_CONTENT_TOO_LARGE
                     : u->octets == 0           ? MHD_HTTP_BAD_REQUEST
                                                : MHD_HTTP_INTERNAL_SERVER_ERROR);
}

/* Called when the request is over, however. */
static void
over(void *ctx, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    struct upload *u = *state;

    (void)ctx, (void)c, (void)why;
    if (u == NULL)
        return;
    if (u->fd >= 0 && !u->done)
        (void)box_store_end(u->web->dir, u->name, u->token, false);
    if (u->fd >= 0)
        close(u->fd);
    free(u);
    *state = NULL;
}

/* --- taking ----------------------------------------------------------------------------------- */

static enum MHD_Result
give(const struct box_web *web, struct MHD_Connection *c, const char *url)
{
    char name[BOX_NAME_MAX + 1], token[BOX_TOKEN + 1];
    uint64_t size = 0;
    int fd = read_url(url, name, token) ? box_store_open(web->dir, name, token, &size) : -1;

    if (fd < 0)
        return answer(c, MHD_HTTP_NOT_FOUND);
    struct MHD_Response *r = MHD_create_response_from_fd64(size, fd); /* closes it */
    if (r == NULL) {
        close(fd);
        return MHD_NO;
    }
    enum MHD_Result done = MHD_queue_response(c, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return done;
}

static enum MHD_Result
forget(const struct box_web *web, struct MHD_Connection *c, const char *url)
{
    char name[BOX_NAME_MAX + 1], token[BOX_TOKEN + 1];

    return answer(c, read_url(url, name, token) && box_store_remove(web->dir, name, token)
                         ? MHD_HTTP_NO_CONTENT
                         : MHD_HTTP_NOT_FOUND);
}

static enum MHD_Result
handle(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
       const char *version, const char *octets, size_t *n, void **state)
{
    const struct box_web *web = ctx;

    (void)version;
    if (strcmp(method, "GET") == 0)
        return give(web, c, url);
    if (strcmp(method, "DELETE") == 0)
        return forget(web, c, url);
    if (strcmp(method, "PUT") != 0)
        return answer(c, MHD_HTTP_METHOD_NOT_ALLOWED);
    if (*state == NULL)
        return begin(web, c, url, state);
    if (*n == 0)
        return end(*state, c);
    add(*state, octets, *n);
    *n = 0;
    return MHD_YES;
}

/* --- the server ------------------------------------------------------------------------------- */

struct box_web *
box_web_start(const struct sa *at, const char *dir, uint16_t *port)
{
    struct box_web *web = calloc(1, sizeof *web);

    if (web == NULL)
        return NULL;
    web->dir = dir;
    web->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | (sa_af(at) == AF_INET6 ? MHD_USE_IPv6 : 0), 0, NULL, NULL,
        handle, web, MHD_OPTION_SOCK_ADDR, &at->u.sa, MHD_OPTION_NOTIFY_COMPLETED, over, NULL,
        MHD_OPTION_CONNECTION_TIMEOUT, 30U, MHD_OPTION_CONNECTION_LIMIT, 64U, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        web->daemon != NULL ? MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (info != NULL) {
        *port = info->port;
        return web;
    }
    box_web_stop(web);
    return NULL;
}

void
box_web_stop(struct box_web *web)
{
    if (web == NULL)
        return;
    if (web->daemon != NULL)
        MHD_stop_daemon(web->daemon);
    free(web);
}
