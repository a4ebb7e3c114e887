/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP: POST <prefix>/keymanagement?requesttype=ticketrequest|ticketresolve, application/mikey. A
 * body begins with 0x01 when raw, which no base64 text does; the answer comes in kind. One
 * libmicrohttpd daemon with one thread, one listening socket and one worker each.
 *
 * The path and the query follow what is known of 3GPP TS 33.328, whose text was not available: all
 * of the mapping is in this file. */
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "base64.h"
#include "guests.h"
#include "http_peer.h"
#include "http_plain.h"
#include "lane.h"
#include "net.h"
#include "open_files.h"
#include "settle.h"

#define SPARE_MAX 64 /* exchanges kept for re-use by one server */
#define RESOURCE "/keymanagement"
#define TEXT_CAP (4 * ((MKT_MSG_MAX + 2) / 3) + 1) /* of the longest answer, with its end */

/* One request being received. */
struct exchange {
    struct exchange *next; /* in the list of spares */
    unsigned status;       /* already decided; 0: not yet */
    enum kms_want want;
    bool raw;                  /* not base64 */
    uint32_t proven;           /* where peers ask: who the certificate says it is */
    struct kms_parcel *parcel; /* handed over to the lane: the answer is in it */
    /* Held until it is recorded: */
    struct kms_audit_wait wait;
    struct MHD_Connection *connection;
    bool held, recorded;
    struct kms_reply reply;
    uint8_t *answer;  /* owned */
    size_t len, seen; /* octets kept and received */
    uint8_t body[];   /* max_body octets */
};

struct connection {
    struct kms_guest guest;      /* first member */
    struct kms_tls_set *tls;     /* what its session began with; NULL: no TLS */
    struct kms_peer_proof proof; /* where peers ask */
};

static const struct kms_request over_http = { .transport = KMS_HTTP };

struct server {
    struct server *next;
    struct kms_worker *worker;
    const struct kms_listener *listener;
    struct MHD_Daemon *mhd;
    struct exchange *spares;
    size_t n_spares;
    struct kms_guests *guests; /* shared with the sweeper */
    struct kms_http_plain plain;
    uint8_t out[MKT_MSG_MAX];
    char text[TEXT_CAP];
};

struct kms_http {
    struct server *servers; /* a list */
};

static struct exchange *
exchange_new(struct server *s)
{
    struct exchange *x = s->spares;

    if (x != NULL) {
        s->spares = x->next;
        s->n_spares--;
    } else {
        x = malloc(sizeof *x + s->worker->service->config->max_body);
    }
    if (x != NULL)
        memset(x, 0, sizeof *x);
    return x;
}

/* What was held leaves, or does not; also when its client is gone. */
static void
settle(struct server *s, struct exchange *x)
{
    if (!x->held)
        return;
    x->held = false;
    if (x->recorded && x->answer != NULL)
        kms_release(s->worker, &over_http, &x->reply);
    else
        kms_withhold(s->worker, &over_http, &x->reply);
}

static void
exchange_end(struct server *s, struct exchange *x)
{
    settle(s, x);
    kms_parcel_free(x->parcel);
    free(x->answer);
    if (s->n_spares == SPARE_MAX) {
        free(x);
        return;
    }
    x->next = s->spares;
    s->spares = x;
    s->n_spares++;
}

static bool
is_mikey_type(const char *type)
{
    static const char mikey[] = "application/mikey";
    size_t n = sizeof mikey - 1;

    return type != NULL && strncasecmp(type, mikey, n) == 0 &&
           (type[n] == '\0' || type[n] == ';' || type[n] == ' ');
}

/* What the head of the request already decides: a status, or 0 to go on. */
static unsigned
check_head(struct server *s, struct MHD_Connection *c, const char *path, const char *method,
           enum kms_want *want)
{
    const char *prefix = s->listener->prefix, *type, *kind, *length;
    size_t n = strlen(prefix);

    length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length != NULL && strtoull(length, NULL, 10) > s->worker->service->config->max_body)
        return MHD_HTTP_CONTENT_TOO_LARGE;
    if (strncmp(path, prefix, n) != 0 || strcmp(path + n, RESOURCE) != 0)
        return MHD_HTTP_NOT_FOUND;
    if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    type = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (!is_mikey_type(type))
        return MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
    kind = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "requesttype");
    if (kind != NULL && strcmp(kind, "ticketrequest") == 0)
        *want = KMS_WANT_REQUEST;
    else if (kind != NULL && strcmp(kind, "ticketresolve") == 0)
        *want = KMS_WANT_RESOLVE;
    else
        return MHD_HTTP_BAD_REQUEST;
    return 0;
}

/* Where other KMSs ask, a connection is of one of them or of nobody. */
static unsigned
check_peer(struct server *s, struct MHD_Connection *c, uint32_t *proven)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *k = info != NULL ? info->socket_context : NULL;

    if (!s->listener->for_peers)
        return 0;
    *proven = k != NULL ? kms_http_peer(s->worker, c, &k->proof) : 0;
    return *proven != 0 ? 0 : MHD_HTTP_FORBIDDEN;
}

static enum MHD_Result
answer_mikey(struct server *s, struct MHD_Connection *c, uint8_t *out, size_t len, bool raw)
{
    struct MHD_Response *r;
    enum MHD_Result rc;

    if (raw) {
        r = MHD_create_response_from_buffer(len, out, MHD_RESPMEM_MUST_COPY);
    } else {
        size_t n = mkt_base64_encode(mkt_span(out, len), s->text);

        r = MHD_create_response_from_buffer(n, s->text, MHD_RESPMEM_MUST_COPY);
    }
    if (r == NULL)
        return kms_http_plain_answer(&s->plain, c, MHD_HTTP_SERVICE_UNAVAILABLE);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/mikey");
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    rc = MHD_queue_response(c, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result
answer_reply(struct server *s, struct MHD_Connection *c, struct kms_reply reply, uint8_t *out,
             bool raw)
{
    static const unsigned statuses[KMS_OUTCOME_COUNT] = {
        [KMS_MALFORMED] = MHD_HTTP_BAD_REQUEST,
        [KMS_REFUSED] = MHD_HTTP_TOO_MANY_REQUESTS, /* no more Errors for strangers just now */
        [KMS_LIMITED] = MHD_HTTP_TOO_MANY_REQUESTS,
        [KMS_DENIED] = MHD_HTTP_FORBIDDEN, /* at the connection already */
        [KMS_BUSY] = MHD_HTTP_SERVICE_UNAVAILABLE,
        [KMS_ANSWERED] = MHD_HTTP_SERVICE_UNAVAILABLE,
        [KMS_REPEATED] = MHD_HTTP_SERVICE_UNAVAILABLE,
    };

    if (reply.len > 0)
        return answer_mikey(s, c, out, reply.len, raw);
    return kms_http_plain_answer(&s->plain, c, statuses[reply.outcome]);
}

/* A request that is being answered: for one that is handed over. */
struct arrival {
    struct server *server;
    struct MHD_Connection *connection;
    struct exchange *exchange;
};

/* In a thread of the lane: on_request is called once more. */
static void
resume(struct kms_parcel *p)
{
    MHD_resume_connection(p->owner);
}

static bool
hand_over(void *ctx, const struct kms_request *req, uint64_t tag)
{
    const struct arrival *a = ctx;
    struct kms_lane *lane = a->server->worker->service->lane;
    struct kms_parcel *p = kms_lane_take(lane, req);

    (void)tag;
    if (p == NULL)
        return false;
    p->done = resume;
    p->owner = a->connection;
    a->exchange->parcel = p;
    MHD_suspend_connection(a->connection);
    kms_lane_put(lane, p);
    return true;
}

/* In the thread of the audit, or in this one: on_request is called once more. */
static void
recorded(struct kms_audit_wait *w, bool ok)
{
    struct exchange *x = (struct exchange *)(void *)((char *)w - offsetof(struct exchange, wait));

    x->recorded = ok;
    MHD_resume_connection(x->connection);
}

/* The connection waits, the thread goes on: so one write serves many answers. */
static enum MHD_Result
hold(struct server *s, struct MHD_Connection *c, struct exchange *x, struct kms_reply reply)
{
    struct kms_audit *audit = s->worker->service->audit;

    x->held = true;
    x->connection = c;
    x->reply = reply;
    x->answer = malloc(reply.len + 1);
    x->wait.done = recorded;
    if (x->answer != NULL)
        memcpy(x->answer, s->out, reply.len);
    MHD_suspend_connection(c);
    if (!kms_audit_later(audit, s->worker->trail, &x->wait))
        recorded(&x->wait, kms_settle(s->worker));
    return MHD_YES;
}

static enum MHD_Result
answer_held(struct server *s, struct MHD_Connection *c, struct exchange *x)
{
    settle(s, x);
    return answer_reply(s, c, x->reply, x->answer, x->raw);
}

static enum MHD_Result
answer_body(struct server *s, struct MHD_Connection *c, struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct arrival arrival = { s, c, x };
    struct kms_request req = { .transport = KMS_HTTP,
                               .want = x->want,
                               .out = s->out,
                               .from_peer = s->listener->for_peers,
                               .proven = x->proven,
                               .defer = hand_over,
                               .defer_ctx = &arrival };
    struct kms_reply reply;

    x->raw = x->len > 0 && x->body[0] == 0x01;
    if (!x->raw && !mkt_base64_decode_lines(x->body, x->len, &x->len))
        x->len = 0; /* the pipeline counts and logs it as malformed */
    req.in = mkt_span(x->body, x->len);
    req.from = info->client_addr;
    kms_worker_clock(s->worker);
    reply = kms_handle(s->worker, &req);
    if (reply.deferred)
        return MHD_YES;
    if (s->worker->trail != NULL && s->worker->trail->n > 0)
        return hold(s, c, x, reply);
    kms_release(s->worker, &req, &reply);
    return answer_reply(s, c, reply, s->out, x->raw);
}

static enum MHD_Result
take_body(struct server *s, struct exchange *x, const char *data, size_t n)
{
    size_t max = s->worker->service->config->max_body;

    x->seen += n;
    if (x->seen > 16 * max)
        return MHD_NO; /* a sender without Content-Length that does not stop */
    if (x->seen > max) {
        x->status = MHD_HTTP_CONTENT_TOO_LARGE;
    } else if (x->status == 0) {
        memcpy(x->body + x->len, data, n);
        x->len += n;
    }
    return MHD_YES;
}

/* Called for the head, for every part of the body, and once more at its end. */
static enum MHD_Result
on_request(void *cls, struct MHD_Connection *c, const char *path, const char *method,
           const char *version, const char *data, size_t *n, void **context)
{
    struct server *s = cls;
    struct exchange *x = *context;

    (void)version;
    if (x == NULL) {
        x = exchange_new(s);
        if (x == NULL)
            return MHD_NO;
        *context = x;
        x->status = check_peer(s, c, &x->proven);
        if (x->status == 0)
            x->status = check_head(s, c, path, method, &x->want);
        if (x->status == MHD_HTTP_CONTENT_TOO_LARGE)
            return kms_http_plain_answer(&s->plain, c, x->status); /* before the body is read */
        return MHD_YES;
    }
    if (*n > 0) {
        enum MHD_Result rc = take_body(s, x, data, *n);

        *n = 0;
        return rc;
    }
    if (x->held)
        return answer_held(s, c, x);
    if (x->parcel != NULL)
        return answer_reply(s, c, x->parcel->reply, x->parcel->out, x->raw);
    return x->status != 0 ? kms_http_plain_answer(&s->plain, c, x->status) : answer_body(s, c, x);
}

static void
on_completed(void *cls, struct MHD_Connection *c, void **context,
             enum MHD_RequestTerminationCode code)
{
    struct server *s = cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    (void)code;
    if (info != NULL && info->socket_context != NULL)
        kms_guest_served(s->guests, info->socket_context);
    if (*context != NULL)
        exchange_end(s, *context);
    *context = NULL;
}

/* Without certificates a session fails at its first message. */
static void
begin(struct server *s, struct MHD_Connection *c, struct connection *k)
{
    const union MHD_ConnectionInfo *tls = MHD_get_connection_info(
                                       c, MHD_CONNECTION_INFO_GNUTLS_SESSION),
                                   *from = MHD_get_connection_info(
                                       c, MHD_CONNECTION_INFO_CLIENT_ADDRESS),
                                   *fd = MHD_get_connection_info(c,
                                                                 MHD_CONNECTION_INFO_CONNECTION_FD);

    if (s->listener->tls && tls != NULL)
        k->tls = kms_tls_begin(s->worker->service->tls, tls->tls_session, s->listener->for_peers);
    kms_guest_enter(s->guests, &k->guest, fd->connect_fd, kms_address_site(from->client_addr));
}

static void
on_connection(void *cls, struct MHD_Connection *c, void **context,
              enum MHD_ConnectionNotificationCode code)
{
    struct server *s = cls;
    struct connection *k = *context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = k = calloc(1, sizeof *k);
        if (k != NULL) /* or served without a deadline of its own; the idle timeout holds */
            begin(s, c, k);
    } else if (k != NULL) {
        kms_guest_leave(s->guests, &k->guest);
        *context = NULL;
        kms_tls_end(k->tls);
        free(k);
    }
}

void
kms_http_sweep(struct kms_http *http)
{
    for (struct server *s = http == NULL ? NULL : http->servers; s != NULL; s = s->next)
        kms_guests_sweep(s->guests);
}

/* Before the handshake of TLS, which would cost more than the request. */
static enum MHD_Result
may_connect(void *cls, const struct sockaddr *from, socklen_t n)
{
    struct server *s = cls;

    (void)n;
    if (kms_acl_allows(&s->listener->acl, from))
        return MHD_YES;
    kms_count(&s->worker->tally.outcomes[KMS_HTTP][KMS_DENIED], 1);
    return MHD_NO;
}

static void
server_free(struct server *s)
{
    struct exchange *next;

    if (s->mhd != NULL)
        MHD_stop_daemon(s->mhd);
    for (struct exchange *x = s->spares; x != NULL; x = next) {
        next = x->next;
        free(x);
    }
    kms_http_plain_free(&s->plain);
    kms_guests_free(s->guests);
    kms_worker_free(s->worker);
    free(s);
}

/* Takes fd in every case. */
static struct server *
server_new(struct kms_service *sv, const struct kms_listener *l, int fd, size_t slot)
{
    const struct kms_config *config = sv->config;
    unsigned limit = (config->http_connections + config->workers - 1) / config->workers;
    const struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_CERT_CALLBACK, 0, kms_tls_none },
        { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)KMS_TLS_PRIORITIES },
        { MHD_OPTION_END, 0, NULL },
    };
    struct server *s = calloc(1, sizeof *s);

    if (s == NULL) {
        close(fd);
        return NULL;
    }
    s->listener = l;
    s->guests = kms_guests_new(limit, config->http_timeout_s);
    s->worker = kms_worker_new(sv, slot, KMS_HTTP);
    if (s->guests != NULL && s->worker != NULL && kms_http_plain_init(&s->plain))
        s->mhd = MHD_start_daemon(
            MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG |
                MHD_ALLOW_SUSPEND_RESUME | (l->tls ? MHD_USE_TLS : 0),
            0, may_connect, s, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, kms_open_files_pause,
            NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, limit + KMS_HTTP_MORE,
            MHD_OPTION_CONNECTION_TIMEOUT, config->http_timeout_s, MHD_OPTION_NOTIFY_COMPLETED,
            on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_ARRAY,
            l->tls ? tls : tls + 2, MHD_OPTION_END);
    if (s->mhd == NULL) {
        close(fd);
        server_free(s);
        return NULL;
    }
    return s;
}

static bool
add_listener(struct kms_http *h, struct kms_service *sv, struct kms_listener *l, size_t *slot,
             char *err)
{
    size_t n = sv->config->workers, i;
    int fds[256];

    if (!kms_listen_sockets(l, fds, n, err))
        return false;
    for (i = 0; i < n; i++) {
        struct server *s = server_new(sv, l, fds[i], (*slot)++);

        if (s == NULL)
            break;
        s->next = h->servers;
        h->servers = s;
    }
    if (i == n)
        return true;
    while (++i < n)
        close(fds[i]);
    snprintf(err, KMS_NET_ERR, "cannot start an HTTP worker: no memory or no threads");
    return false;
}

bool
kms_http_start(struct kms_http **http, struct kms_service *sv, struct kms_listener *listen,
               size_t n_listen, size_t *slot, char *err)
{
    size_t n_http = 0;

    *http = NULL;
    for (size_t i = 0; i < n_listen; i++)
        n_http += listen[i].transport == KMS_HTTP;
    if (n_http == 0)
        return true;
    *http = calloc(1, sizeof **http);
    if (*http == NULL) {
        snprintf(err, KMS_NET_ERR, "out of memory");
        return false;
    }
    for (size_t i = 0; i < n_listen; i++)
        if (listen[i].transport == KMS_HTTP && !add_listener(*http, sv, &listen[i], slot, err))
            return false;
    return true;
}

void
kms_http_stop(struct kms_http *http)
{
    struct server *next;

    if (http == NULL)
        return;
    for (struct server *s = http->servers; s != NULL; s = next) {
        next = s->next;
        MHD_stop_daemon(s->mhd);
        s->mhd = NULL;
        server_free(s);
    }
    free(http);
}
