/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's multi interface keeps connections for re-use and the time of each question. */
#include "courier.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define POLL_MS 1000
#define IDLE_MAX 256L /* connections kept open, to all peers; by itself libcurl closes too many */

struct kms_courier {
    CURLM *multi;
    struct kms_lane *lane;
    pthread_mutex_t lock;
    struct kms_errand *fresh;     /* under lock */
    struct kms_errand *under_way; /* of the thread */
    bool stopping;                /* under lock */
    pthread_t thread;
};

/* --- a question ------------------------------------------------------------------------------- */

static size_t
take_answer(char *p, size_t size, size_t n, void *ctx)
{
    struct kms_errand *e = ctx;

    n *= size;
    if (n > MKT_MSG_MAX - e->answer_len)
        return 0; /* no message is so long: the transfer fails */
    memcpy(e->answer + e->answer_len, p, n);
    e->answer_len += n;
    return n;
}

/* Each setting may fail for want of memory; then the question must not be asked. */
static bool
prepare_tls(CURL *c, const struct kms_peer_option *o)
{
    return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CAINFO, o->ca) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CAPATH, NULL) == CURLE_OK &&         /* no other authority */
           curl_easy_setopt(c, CURLOPT_CA_CACHE_TIMEOUT, 0L) == CURLE_OK && /* those of now */
           (o->crl[0] == '\0' || curl_easy_setopt(c, CURLOPT_CRLFILE, o->crl) == CURLE_OK) &&
           curl_easy_setopt(c, CURLOPT_SSLCERT, o->certificate) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SSLKEY, o->private_key) == CURLE_OK;
}

/* Seconds. A connection that is older than our reading of the peer's files is used for three
 * seconds more at most: what it was opened by may no longer hold. libcurl compares whole seconds,
 * and 0 is no bound to it. */
static long
age_allowed(const struct kms_peer *p)
{
    long read = (long)((kms_steady_ns() - p->read_ns) / 1000000000);

    return read > 2 ? read - 1 : 1;
}

/* QUICK_EXIT: libcurl would else wait for a name server that does not answer. */
static bool
prepare_way(CURL *c, const struct kms_peer *p, const struct kms_errand *e)
{
    const struct kms_peer_option *o = &p->option;

    return curl_easy_setopt(c, CURLOPT_URL, o->target) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CONNECT_TO, e->connect) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_MAXLIFETIME_CONN, age_allowed(p)) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)o->timeout_s) == CURLE_OK;
}

static bool
prepare_post(CURL *c, struct kms_errand *e)
{
    _Static_assert(sizeof e->curl_error >= CURL_ERROR_SIZE, "room for what libcurl says");
    return curl_easy_setopt(c, CURLOPT_HTTPHEADER, e->headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POSTFIELDS, (char *)e->message) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)e->len) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_answer) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, e) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PRIVATE, e) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, e->curl_error) == CURLE_OK;
}

/* Adds a line to a list. False: no memory. */
static bool
add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer != NULL)
        *list = longer;
    return longer != NULL;
}

static bool
prepare(struct kms_errand *e, const struct kms_peer *p)
{
    e->curl = curl_easy_init();
    return e->curl != NULL && add_line(&e->headers, "Content-Type: application/mikey") &&
           add_line(&e->headers, "Expect:") && /* no round of "100 Continue" */
           add_line(&e->connect, p->option.connect) && prepare_tls(e->curl, &p->option) &&
           prepare_way(e->curl, p, e) && prepare_post(e->curl, e);
}

struct kms_errand *
kms_errand_new(struct kms_peers *peers, const struct kms_peer *p, struct kms_log *log)
{
    struct kms_errand *e = calloc(1, sizeof *e);

    if (e == NULL) {
        kms_peer_release(peers, p->state, KMS_ASKED_BUSY, "out of memory", log);
        return NULL;
    }
    e->peers = peers;
    e->state = p->state;
    e->log = log;
    e->how = KMS_ASKED_BUSY; /* until it is known better */
    return e;
}

bool
kms_errand_pack(struct kms_errand *e, const struct kms_peer *p, struct mkt_span message)
{
    e->message = malloc(message.n);
    e->answer = malloc(MKT_MSG_MAX);
    if (e->message == NULL || e->answer == NULL)
        return false;
    memcpy(e->message, message.p, message.n);
    e->len = message.n;
    return prepare(e, p);
}

void
kms_errand_count(struct kms_errand *e)
{
    if (e->state != NULL)
        kms_peer_release(e->peers, e->state, e->how, e->error, e->log);
    e->state = NULL;
}

void
kms_errand_free(struct kms_errand *e)
{
    if (e == NULL)
        return;
    kms_errand_count(e);
    curl_easy_cleanup(e->curl);
    curl_slist_free_all(e->headers);
    curl_slist_free_all(e->connect);
    mkt_kms_forward_free(e->forward);
    free(e->message);
    free(e->answer);
    free(e);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void
judge(struct kms_errand *e, CURLcode rc)
{
    long status = 0;

    if (rc == CURLE_OPERATION_TIMEDOUT) {
        e->how = KMS_ASKED_TIMEOUT;
    } else if (rc == CURLE_WRITE_ERROR) {
        e->how = KMS_ASKED_UNUSABLE;
        snprintf(e->error, sizeof e->error, "the answer is longer than a message may be");
        return;
    } else if (rc != CURLE_OK) {
        e->how = KMS_ASKED_UNREACHABLE;
    }
    if (rc != CURLE_OK) {
        snprintf(e->error, sizeof e->error, "%s",
                 e->curl_error[0] != '\0' ? e->curl_error : curl_easy_strerror(rc));
        return;
    }
    curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
    e->how = status == 200 && e->answer_len > 0 ? KMS_ASKED_ANSWERED : KMS_ASKED_UNUSABLE;
    if (e->how == KMS_ASKED_UNUSABLE)
        snprintf(e->error, sizeof e->error, "HTTP status %ld, %zu octets", status, e->answer_len);
}

/* Back to the lane, with whatever there is. */
static void
deliver(struct kms_courier *c, struct kms_errand *e)
{
    struct kms_errand **at = &c->under_way;

    while (*at != NULL && *at != e)
        at = &(*at)->next;
    if (*at == e)
        *at = e->next;
    e->done = true;
    kms_lane_back(c->lane, e->parcel);
}

static void
fail(struct kms_courier *c, struct kms_errand *e, const char *why)
{
    e->how = KMS_ASKED_BUSY;
    snprintf(e->error, sizeof e->error, "%s", why);
    deliver(c, e);
}

static void
set_out(struct kms_courier *c, struct kms_errand *e)
{
    e->next = c->under_way;
    c->under_way = e;
    if (curl_multi_add_handle(c->multi, e->curl) != CURLM_OK)
        fail(c, e, "libcurl cannot take another question");
}

static void
collect(struct kms_courier *c)
{
    struct CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
        struct kms_errand *e = NULL;
        CURLcode rc = m->data.result;

        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&e);
        curl_multi_remove_handle(c->multi, e->curl);
        judge(e, rc);
        deliver(c, e);
    }
}

static void *
run(void *arg)
{
    struct kms_courier *c = arg;
    bool stopping = false;

    while (!stopping) {
        struct kms_errand *fresh, *next;
        int running;

        pthread_mutex_lock(&c->lock);
        fresh = c->fresh;
        c->fresh = NULL;
        stopping = c->stopping;
        pthread_mutex_unlock(&c->lock);
        for (; fresh != NULL; fresh = next) {
            next = fresh->next;
            set_out(c, fresh);
        }
        (void)curl_multi_perform(c->multi, &running);
        collect(c);
        if (!stopping)
            (void)curl_multi_poll(c->multi, NULL, 0, POLL_MS, NULL);
    }
    while (c->under_way != NULL) {
        struct kms_errand *e = c->under_way;

        curl_multi_remove_handle(c->multi, e->curl);
        fail(c, e, "this KMS is stopping");
    }
    return NULL;
}

struct kms_courier *
kms_courier_start(struct kms_lane *lane)
{
    struct kms_courier *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->lane = lane;
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    c->multi = curl_multi_init();
    pthread_mutex_init(&c->lock, NULL);
    if (c->multi != NULL)
        curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, IDLE_MAX);
    if (c->multi != NULL && pthread_create(&c->thread, NULL, run, c) == 0)
        return c;
    curl_multi_cleanup(c->multi);
    pthread_mutex_destroy(&c->lock);
    free(c);
    return NULL;
}

void
kms_courier_send(struct kms_courier *c, struct kms_parcel *p)
{
    struct kms_errand *e = p->req.errand;
    bool stopping;

    e->parcel = p;
    pthread_mutex_lock(&c->lock);
    stopping = c->stopping;
    if (!stopping) {
        e->next = c->fresh;
        c->fresh = e;
    }
    pthread_mutex_unlock(&c->lock);
    if (stopping) {
        e->done = true;
        kms_lane_back(c->lane, p);
    } else {
        (void)curl_multi_wakeup(c->multi);
    }
}

void
kms_courier_stop(struct kms_courier *c)
{
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_mutex_unlock(&c->lock);
    (void)curl_multi_wakeup(c->multi);
    pthread_join(c->thread, NULL);
}

void
kms_courier_free(struct kms_courier *c)
{
    if (c == NULL)
        return;
    curl_multi_cleanup(c->multi);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
