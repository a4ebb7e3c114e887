/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd with a thread for each connection: an operator's pace, and operations that wait for
 * the disk. Whoever does not complete a request in time is cut off, whether silent or slow. */
#include "api_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api_parts.h"
#include "api_who.h"
#include "clock.h"
#include "export.h"
#include "net.h"
#include "octets.h"
#include "open_files.h"
#include "worker.h"

#define CONNECTIONS 32
#define CONNECTIONS_OF_ONE 16 /* address */
#define TICK_MS 500
#define NEVER INT64_MAX

/* One request being received. */
struct exchange {
    struct kms_api_call call;
    bool begun, refused; /* its head was looked at, and is enough to say no */
    bool too_long;       /* the target */
    size_t seen;         /* octets of the body that were passed over */
    struct kms_octets body;
    char target[KMS_API_TARGET + 1];
};

struct connection {
    struct connection *prev, *next;
    struct kms_tls_set *tls; /* what its session began with; NULL: no TLS */
    int fd;
    _Atomic int64_t deadline_s; /* of the request that is under way or comes next */
};

struct kms_api_http {
    struct kms_api api;
    struct kms_service *service;
    struct MHD_Daemon *local, *remote; /* NULL: not served */
    struct sockaddr_un at;
    mode_t mode;          /* of the socket, as set last */
    pthread_mutex_t lock; /* of the list */
    struct connection *connections;
    int stop;
    bool sweeping;
    pthread_t sweeper;
};

/* --- answers ---------------------------------------------------------------------------------- */

static enum MHD_Result
answer(struct MHD_Connection *c, struct exchange *x)
{
    char *text = kms_api_answer_text(&x->call);
    struct MHD_Response *r;
    enum MHD_Result rc;

    if (text == NULL)
        return MHD_NO;
    r = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (r == NULL) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
                            x->call.status < 300 ? "application/json" : KMS_API_PROBLEM);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (x->call.status == KMS_API_UNAUTHORIZED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (x->call.status == KMS_API_NO_METHOD)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, x->call.allow);
    rc = MHD_queue_response(c, x->call.status, r);
    MHD_destroy_response(r);
    return rc;
}

static size_t
body_max(const struct exchange *x)
{
    return !x->refused && x->call.endpoint->octets > 0 ? x->call.endpoint->octets : KMS_API_BODY;
}

/* What the head of a request says of its body. */
static bool
check_type(struct MHD_Connection *c, struct exchange *x)
{
    const char *length =
        MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *type =
        MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    bool some = length != NULL ? strcmp(length, "0") != 0
                               : MHD_lookup_connection_value(
                                     c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;

    if (some && x->call.endpoint->octets == 0 &&
        (type == NULL || strcasecmp(type, "application/json") != 0))
        kms_api_limit(&x->call, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "a body here is application/json");
    else
        return true;
    return false;
}

static bool
too_long(struct MHD_Connection *c, const struct exchange *x)
{
    const char *length =
        MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return length != NULL && strtoull(length, NULL, 10) > body_max(x);
}

/* Who, what, and may they: before any of the body is kept. A short body is waited for, so that its
 * sender reads the answer instead of a broken pipe. */
static enum MHD_Result
begin(struct kms_api_http *h, struct MHD_Connection *c, struct exchange *x, const char *method)
{
    struct kms_caller who;
    const char *why = "the path is too long";

    x->begun = true;
    if (x->too_long || !kms_api_who(&who, h->api.reload, c, &why))
        kms_api_stranger(&x->call, &h->api, method, x->target, why);
    x->refused = x->call.status != 0 ||
                 !kms_api_begin(&x->call, &h->api, &who, method, x->target) || !check_type(c, x);
    if (!too_long(c, x))
        return MHD_YES;
    if (!x->refused)
        kms_api_limit(&x->call, KMS_API_TOO_LARGE, "the body is too long");
    return answer(c, x);
}

static enum MHD_Result
take_body(struct exchange *x, const char *data, size_t n)
{
    x->seen += n;
    if (x->seen > body_max(x))
        return MHD_NO; /* chunks without an end: nothing can be answered in the middle of them */
    if (x->refused)
        return MHD_YES;
    return kms_octets_append(&x->body, data, n) ? MHD_YES : MHD_NO;
}

static struct connection *
connection_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info == NULL ? NULL : info->socket_context;
}

/* For a whole request, and for reading an answer. */
static int64_t
deadline(const struct kms_api_http *h)
{
    return kms_steady_s() + h->service->config->http_timeout_s;
}

static void
set_deadline(struct MHD_Connection *c, int64_t deadline_s)
{
    struct connection *k = connection_of(c);

    if (k != NULL)
        atomic_store(&k->deadline_s, deadline_s);
}

/* Called for the head, for every part of the body, and once more at its end. */
static enum MHD_Result
on_request(void *cls, struct MHD_Connection *c, const char *path, const char *method,
           const char *version, const char *data, size_t *n, void **context)
{
    struct kms_api_http *h = cls;
    struct exchange *x = *context;

    (void)path;
    (void)version;
    if (x == NULL)
        return MHD_NO;
    if (!x->begun)
        return begin(h, c, x, method);
    if (*n > 0) {
        enum MHD_Result rc = take_body(x, data, *n);

        *n = 0;
        return rc;
    }
    if (x->refused)
        return answer(c, x);
    set_deadline(c, NEVER); /* an import takes what it takes */
    kms_api_run(&x->call, x->body.p, x->body.n);
    set_deadline(c, deadline(h));
    return answer(c, x);
}

/* The target as it came: nothing is decoded before its parts are known. */
static void *
on_target(void *cls, const char *target, struct MHD_Connection *c)
{
    struct exchange *x = calloc(1, sizeof *x);

    (void)cls;
    (void)c;
    if (x == NULL)
        return NULL;
    x->too_long = strlen(target) > KMS_API_TARGET;
    if (!x->too_long)
        memcpy(x->target, target, strlen(target) + 1);
    return x;
}

static size_t
keep_encoded(void *cls, struct MHD_Connection *c, char *text)
{
    (void)cls;
    (void)c;
    return strlen(text);
}

static void
on_completed(void *cls, struct MHD_Connection *c, void **context,
             enum MHD_RequestTerminationCode code)
{
    struct kms_api_http *h = cls;
    struct exchange *x = *context;

    (void)code;
    set_deadline(c, deadline(h));
    *context = NULL;
    if (x == NULL)
        return;
    kms_api_end(&x->call);
    mkt_wipe(x->body.p, x->body.n);
    free(x->body.p);
    free(x);
}

/* --- connections ------------------------------------------------------------------------------ */

static void
begin_tls(struct kms_api_http *h, struct MHD_Connection *c, struct connection *k)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    if (info != NULL && info->tls_session != NULL)
        k->tls = kms_tls_begin(h->service->api_tls, info->tls_session, false);
}

static void
on_connection(void *cls, struct MHD_Connection *c, void **context,
              enum MHD_ConnectionNotificationCode code)
{
    struct kms_api_http *h = cls;
    struct connection *k = *context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        k = calloc(1, sizeof *k);
        *context = k;
        if (k == NULL)
            return; /* the idle timeout holds */
        k->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        atomic_init(&k->deadline_s, deadline(h));
        begin_tls(h, c, k);
        pthread_mutex_lock(&h->lock);
        k->next = h->connections;
        if (k->next != NULL)
            k->next->prev = k;
        h->connections = k;
        pthread_mutex_unlock(&h->lock);
    } else if (k != NULL) {
        pthread_mutex_lock(&h->lock);
        *(k->prev != NULL ? &k->prev->next : &h->connections) = k->next;
        if (k->next != NULL)
            k->next->prev = k->prev;
        pthread_mutex_unlock(&h->lock);
        *context = NULL;
        kms_tls_end(k->tls);
        free(k);
    }
}

/* Others than root and our own user can reach the socket when the roster names some; who they are
 * is asked again for each request. */
static void
open_socket(struct kms_api_http *h)
{
    struct kms_roster *r = malloc(sizeof *r);
    mode_t wanted = 0600;

    if (r == NULL)
        return;
    kms_reload_roster(h->api.reload, r);
    if (kms_roster_has(r, KMS_BADGE_USER) || kms_roster_has(r, KMS_BADGE_GROUP))
        wanted = 0666;
    if (wanted != h->mode && chmod(h->at.sun_path, wanted) == 0)
        h->mode = wanted;
    free(r);
}

static void *
sweep(void *arg)
{
    struct kms_api_http *h = arg;
    struct pollfd stop = { .fd = h->stop, .events = POLLIN };

    do {
        int64_t now = kms_steady_s();

        if (h->local != NULL)
            open_socket(h);
        pthread_mutex_lock(&h->lock);
        for (struct connection *k = h->connections; k != NULL; k = k->next)
            if (atomic_load(&k->deadline_s) < now)
                shutdown(k->fd, SHUT_RDWR);
        pthread_mutex_unlock(&h->lock);
    } while (poll(&stop, 1, TICK_MS) <= 0);
    return NULL;
}

/* --- listening -------------------------------------------------------------------------------- */

/* A socket that nobody listens on is left over from a daemon that was killed. */
static bool
clear_way(const struct sockaddr_un *at, char *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof *at) == 0;
    struct stat st;

    if (fd >= 0)
        close(fd);
    if (alive)
        return kms_files_fail(err, "%s: another daemon listens there", at->sun_path);
    if (stat(at->sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return kms_files_fail(err, "%s: is there, and is not a socket", at->sun_path);
    if (unlink(at->sun_path) != 0 && errno != ENOENT)
        return kms_files_fail(err, "%s: %s", at->sun_path, strerror(errno));
    return true;
}

bool
kms_control_fits(const char *path, char *err)
{
    if (strlen(path) < sizeof((struct sockaddr_un *)NULL)->sun_path)
        return true;
    return kms_files_fail(err,
                          "%.200s: the path of a socket has at most 107 octets: name "
                          "another one with \"control\"",
                          path);
}

static bool
listen_local(struct kms_api_http *h, const char *path, int *fd, char *err)
{
    if (!kms_control_fits(path, err))
        return false;
    h->at.sun_family = AF_UNIX;
    memcpy(h->at.sun_path, path, strlen(path) + 1);
    if (!clear_way(&h->at, err))
        return false;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd >= 0 && bind(*fd, (const struct sockaddr *)&h->at, sizeof h->at) == 0 &&
        listen(*fd, 64) == 0)
        return true;
    kms_files_fail(err, "%s: %s", path, strerror(errno));
    if (*fd >= 0)
        close(*fd);
    return false;
}

/* Takes fd in every case. */
static bool
serve(struct kms_api_http *h, struct MHD_Daemon **mhd, int fd, bool tls, char *err)
{
    const struct MHD_OptionItem more[] = {
        { MHD_OPTION_HTTPS_CERT_CALLBACK, 0, kms_tls_none },
        { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)KMS_TLS_PRIORITIES },
        { MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_OF_ONE, NULL },
        { MHD_OPTION_END, 0, NULL },
    };

    *mhd = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC |
            MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0),
        0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, kms_open_files_pause, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, 2u * h->service->config->http_timeout_s,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        h, MHD_OPTION_URI_LOG_CALLBACK, on_target, h, MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded,
        NULL, MHD_OPTION_ARRAY, tls ? more : more + 3, MHD_OPTION_END);
    if (*mhd != NULL)
        return true;
    close(fd);
    return kms_files_fail(err, "cannot start the admin API: no memory or no threads");
}

static bool
start(struct kms_api_http *h, struct kms_listener *tls, char *err)
{
    const struct kms_config *config = h->service->config;
    int fd = -1;

    if (config->control[0] != '\0' &&
        (!listen_local(h, config->control, &fd, err) || !serve(h, &h->local, fd, false, err)))
        return false;
    if (tls->url[0] != '\0' &&
        (!kms_listen_sockets(tls, &fd, 1, err) || !serve(h, &h->remote, fd, true, err)))
        return false;
    if (h->local != NULL)
        open_socket(h);
    h->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    h->sweeping = h->stop >= 0 && pthread_create(&h->sweeper, NULL, sweep, h) == 0;
    return h->sweeping || kms_files_fail(err, "cannot start a thread of the admin API");
}

bool
kms_api_http_start(struct kms_api_http **http, struct kms_service *sv, struct kms_reload *r,
                   struct kms_listener *tls, size_t slot, char *err)
{
    struct kms_api_http *h;

    *http = NULL;
    if (sv->config->control[0] == '\0' && tls->url[0] == '\0')
        return true;
    h = calloc(1, sizeof *h);
    if (h == NULL)
        return kms_files_fail(err, "out of memory");
    kms_api_memory();
    h->api.config = sv->config;
    h->api.audit = sv->audit;
    h->api.clock = &sv->clock;
    h->api.service = h->service = sv;
    h->api.reload = r;
    h->api.vault = sv->vault;
    h->api.slot = slot;
    pthread_mutex_init(&h->api.keys, NULL);
    pthread_mutex_init(&h->api.picture, NULL);
    pthread_mutex_init(&h->api.policy, NULL);
    h->api.desk = kms_export_desk_new();
    h->stop = -1;
    pthread_mutex_init(&h->lock, NULL);
    sv->api = &h->api;
    if (h->api.desk != NULL ? start(h, tls, err) : kms_files_fail(err, "out of memory")) {
        *http = h;
        return true;
    }
    kms_api_http_stop(h);
    return false;
}

void
kms_api_http_stop(struct kms_api_http *h)
{
    if (h == NULL)
        return;
    h->service->api = NULL;
    if (h->sweeping) {
        (void)eventfd_write(h->stop, 1);
        pthread_join(h->sweeper, NULL);
    }
    if (h->remote != NULL)
        MHD_stop_daemon(h->remote);
    if (h->local != NULL) {
        MHD_stop_daemon(h->local);
        unlink(h->at.sun_path);
    }
    if (h->stop >= 0)
        close(h->stop);
    kms_export_desk_free(h->api.desk);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
