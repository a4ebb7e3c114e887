/* SPDX-License-Identifier: Apache-2.0 */
/* One libmicrohttpd thread: a scrape never runs on a thread that serves requests. */
#include "admin.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "metrics.h"
#include "open_files.h"

#define CONNECTIONS 16
#define TIMEOUT_S 10
#define BEAT_MAX_S 30 /* far longer than reading a store of a million users */

struct kms_admin {
    struct kms_service *service;
    struct MHD_Daemon *mhd;
};

const char *
kms_health(const struct kms_service *sv, int64_t now_s)
{
    if (now_s - atomic_load(&sv->state.beat_s) > BEAT_MAX_S)
        return "the thread that watches the store stands still";
    return NULL;
}

const char *
kms_readiness(const struct kms_service *sv)
{
    if (!atomic_load(&sv->state.ready))
        return "not serving";
    if (kms_store_clock_astray(&sv->clock, sv->config->clock_window_s))
        return KMS_CLOCK_ASTRAY;
    if (kms_audit_failing(sv->audit))
        return "the audit cannot be written";
    return NULL;
}

static void
put_verdict(FILE *out, const char *wrong)
{
    fprintf(out, "%s\n", wrong == NULL ? "ok" : wrong);
}

/* Each writes its page and returns the status. */
static unsigned
get_metrics(FILE *out, struct kms_service *sv)
{
    kms_metrics_write(out, sv);
    return MHD_HTTP_OK;
}

static unsigned
get_health(FILE *out, struct kms_service *sv)
{
    const char *wrong = kms_health(sv, kms_steady_s());

    put_verdict(out, wrong);
    return wrong == NULL ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned
get_ready(FILE *out, struct kms_service *sv)
{
    const char *wrong = kms_readiness(sv);

    put_verdict(out, wrong);
    return wrong == NULL ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static const struct page {
    const char *path, *type;
    unsigned (*get)(FILE *out, struct kms_service *sv);
} pages[] = {
    { "/metrics", KMS_METRICS_TYPE, get_metrics },
    { "/health", "text/plain; charset=utf-8", get_health },
    { "/ready", "text/plain; charset=utf-8", get_ready },
};

/* Takes text, which is on the heap or NULL. */
static enum MHD_Result
answer(struct MHD_Connection *c, unsigned status, const char *type, char *text, size_t n)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result rc;

    if (r == NULL) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (type != NULL)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, MHD_HTTP_METHOD_GET);
    rc = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result
answer_page(struct MHD_Connection *c, const struct page *p, struct kms_service *sv)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    unsigned status;
    bool bad;

    if (out == NULL)
        return MHD_NO;
    status = p->get(out, sv);
    bad = ferror(out) != 0;
    if (fclose(out) != 0 || bad) {
        free(text);
        return MHD_NO;
    }
    return answer(c, status, p->type, text, n);
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *c, const char *path, const char *method,
           const char *version, const char *data, size_t *n, void **context)
{
    static int seen;
    struct kms_admin *a = cls;

    (void)version;
    (void)data;
    if (*context == NULL) {
        *context = &seen;
        return MHD_YES;
    }
    if (*n > 0)
        return MHD_NO; /* nobody sends a body here */
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (strcmp(path, pages[i].path) != 0)
            continue;
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
            return answer(c, MHD_HTTP_METHOD_NOT_ALLOWED, NULL, NULL, 0);
        return answer_page(c, &pages[i], a->service);
    }
    return answer(c, MHD_HTTP_NOT_FOUND, NULL, NULL, 0);
}

bool
kms_admin_start(struct kms_admin **admin, struct kms_service *sv, struct kms_listener *at,
                char *err)
{
    struct kms_admin *a;
    int fd;

    *admin = NULL;
    if (at->url[0] == '\0')
        return true;
    if (!kms_listen_sockets(at, &fd, 1, err))
        return false;
    a = calloc(1, sizeof *a);
    if (a != NULL) {
        a->service = sv;
        a->mhd = MHD_start_daemon(
            MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL,
            on_request, a, MHD_OPTION_EXTERNAL_LOGGER, kms_open_files_pause, NULL,
            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_END);
    }
    if (a == NULL || a->mhd == NULL) {
        close(fd);
        free(a);
        snprintf(err, KMS_NET_ERR, "cannot start the admin listener: no memory or no threads");
        return false;
    }
    *admin = a;
    return true;
}

void
kms_admin_stop(struct kms_admin *admin)
{
    if (admin == NULL)
        return;
    MHD_stop_daemon(admin->mhd);
    free(admin);
}
