/* SPDX-License-Identifier: Apache-2.0 */
/* UDP: each thread takes a batch of datagrams with one call, answers each, and sends the answers
 * with one call, once all decisions of the batch are recorded. A datagram that cannot be sent is
 * dropped: the client repeats its question and gets the answer from the retransmission table. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lane.h"
#include "net.h"
#include "settle.h"

#define BATCH 32
#define STRIDE 65600 /* of buffers: 65 535 octets and an odd number of cache lines */
#define CONTROL 64   /* octets for the address a datagram was sent to */

struct batch {
    struct mmsghdr in[BATCH], out[BATCH];
    struct iovec in_iov[BATCH], out_iov[BATCH];
    struct sockaddr_storage from[BATCH];
    _Alignas(8) uint8_t control[BATCH][CONTROL];
    uint8_t *buffers;                /* BATCH to read, BATCH to write */
    struct kms_request asked[BATCH]; /* of each answer */
    struct kms_reply replies[BATCH];
};

struct udp_thread {
    struct kms_udp *udp;
    struct kms_worker *worker;
    struct batch *batch;
    int fds[KMS_LISTENERS_MAX];
    int wake; /* readable when the lane has answers */
    pthread_mutex_t lock;
    struct kms_parcel *answers; /* from the lane; under lock */
    pthread_t thread;
    bool running;
};

struct kms_udp {
    struct kms_service *service;
    size_t n_threads, n_fds;
    const struct kms_acl *acls[KMS_LISTENERS_MAX]; /* of each socket */
    int stop;                                      /* readable when it is time to end */
    struct udp_thread threads[];
};

static struct batch *
batch_new(void)
{
    struct batch *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    b->buffers = mmap(NULL, (size_t)2 * BATCH * STRIDE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->buffers == MAP_FAILED) {
        free(b);
        return NULL;
    }
    return b;
}

static void
batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    munmap(b->buffers, (size_t)2 * BATCH * STRIDE);
    free(b);
}

static int
receive(struct batch *b, int fd)
{
    for (size_t i = 0; i < BATCH; i++) {
        b->in_iov[i] = (struct iovec){ b->buffers + i * STRIDE, MKT_MSG_MAX };
        b->in[i].msg_hdr = (struct msghdr){ .msg_name = &b->from[i],
                                            .msg_namelen = sizeof b->from[i],
                                            .msg_iov = &b->in_iov[i],
                                            .msg_iovlen = 1,
                                            .msg_control = b->control[i],
                                            .msg_controllen = CONTROL };
    }
    return recvmmsg(fd, b->in, BATCH, MSG_DONTWAIT, NULL);
}

/* The answer leaves by the address that was asked, over any interface. */
static void
any_interface(struct msghdr *h)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(h);

    if (c != NULL && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
        ((struct in_pktinfo *)(void *)CMSG_DATA(c))->ipi_ifindex = 0;
}

static struct mkt_span
source_of(const struct sockaddr_storage *from)
{
    const struct sockaddr_in *in4 = (const void *)from;
    const struct sockaddr_in6 *in6 = (const void *)from;

    if (from->ss_family == AF_INET6) /* port, flow, address */
        return mkt_span(&in6->sin6_port, 22);
    return mkt_span(&in4->sin_port, 6);
}

/* Where a datagram came in: for a request that is handed over. */
struct arrival {
    struct udp_thread *thread;
    const struct msghdr *in;
    int fd;
};

/* In a thread of the lane. */
static void
take_answer(struct kms_parcel *p)
{
    struct udp_thread *t = p->owner;

    pthread_mutex_lock(&t->lock);
    p->next = t->answers;
    t->answers = p;
    pthread_mutex_unlock(&t->lock);
    (void)eventfd_write(t->wake, 1);
}

static bool
hand_over(void *ctx, const struct kms_request *req, uint64_t tag)
{
    const struct arrival *a = ctx;
    struct kms_lane *lane = a->thread->udp->service->lane;
    struct kms_parcel *p = kms_lane_take(lane, req);

    if (p == NULL)
        return false;
    p->done = take_answer;
    p->owner = a->thread;
    p->tag = tag;
    p->fd = a->fd;
    p->control_len = a->in->msg_controllen < sizeof p->control ? a->in->msg_controllen : 0;
    memcpy(p->control, a->in->msg_control, p->control_len);
    kms_lane_put(lane, p);
    return true;
}

static void
send_parcel(struct udp_thread *t, struct kms_parcel *p)
{
    struct iovec iov = { p->out, p->reply.len };
    struct msghdr h = { .msg_name = &p->from,
                        .msg_namelen = p->from.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                     : sizeof(struct sockaddr_in),
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = p->control_len > 0 ? p->control : NULL,
                        .msg_controllen = p->control_len };

    any_interface(&h);
    if (p->reply.keep)
        kms_retransmit_keep(t->worker->again, p->tag, p->req.source, p->req.in,
                            mkt_span(p->out, p->reply.len), t->worker->steady_ns / 1000000000);
    (void)sendmsg(p->fd, &h, MSG_DONTWAIT); /* lost: the client repeats its question */
}

static void
send_late_answers(struct udp_thread *t)
{
    struct kms_parcel *p, *next;
    eventfd_t n;

    (void)eventfd_read(t->wake, &n);
    pthread_mutex_lock(&t->lock);
    p = t->answers;
    t->answers = NULL;
    pthread_mutex_unlock(&t->lock);
    kms_worker_clock(t->worker);
    for (; p != NULL; p = next) {
        next = p->next;
        if (p->reply.len > 0)
            send_parcel(t, p);
        kms_parcel_free(p);
    }
}

/* Answers message i of the batch from a socket; the answer becomes number n. Returns the new n. */
static size_t
answer(struct udp_thread *t, size_t socket, size_t i, size_t n)
{
    struct batch *b = t->batch;
    const struct msghdr *in = &b->in[i].msg_hdr;
    struct arrival arrival = { t, in, t->fds[socket] };
    struct kms_request req = { .transport = KMS_UDP,
                               .want = KMS_WANT_ANY,
                               .in = mkt_span(b->in_iov[i].iov_base, b->in[i].msg_len),
                               .from = (const struct sockaddr *)&b->from[i],
                               .source = source_of(&b->from[i]),
                               .out = b->buffers + (BATCH + n) * STRIDE,
                               .acl = t->udp->acls[socket],
                               .defer = hand_over,
                               .defer_ctx = &arrival };
    struct kms_reply reply = kms_handle(t->worker, &req);

    if (reply.len == 0) {
        if (!reply.deferred)
            kms_release(t->worker, &req, &reply); /* nothing that could leave */
        return n;
    }
    b->asked[n] = req;
    b->replies[n] = reply;
    b->out_iov[n] = (struct iovec){ req.out, reply.len };
    b->out[n].msg_hdr = *in;
    b->out[n].msg_hdr.msg_iov = &b->out_iov[n];
    b->out[n].msg_hdr.msg_flags = 0;
    any_interface(&b->out[n].msg_hdr);
    return n + 1;
}

static void
send_answers(struct batch *b, int fd, size_t n)
{
    size_t done = 0;

    while (done < n) {
        int sent = sendmmsg(fd, b->out + done, (unsigned)(n - done), MSG_DONTWAIT);

        if (sent > 0)
            done += (size_t)sent;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        else if (errno != EINTR)
            done++; /* this one cannot be sent; the others may */
    }
}

/* The first n answers leave, or none does. */
static void
settle(struct udp_thread *t, int fd, size_t n)
{
    struct batch *b = t->batch;
    bool recorded = kms_settle(t->worker);

    for (size_t i = 0; i < n; i++)
        if (recorded)
            kms_release(t->worker, &b->asked[i], &b->replies[i]);
        else
            kms_withhold(t->worker, &b->asked[i], &b->replies[i]);
    if (recorded)
        send_answers(b, fd, n);
}

/* Returns false when nothing was waiting. */
static bool
serve(struct udp_thread *t, size_t socket)
{
    size_t n = 0;
    int got;

    kms_audit_gather(t->udp->service->audit);
    got = receive(t->batch, t->fds[socket]);
    if (got <= 0)
        return got < 0 && errno == EINTR;
    kms_worker_clock(t->worker);
    for (int i = 0; i < got; i++)
        n = answer(t, socket, (size_t)i, n);
    settle(t, t->fds[socket], n);
    return true;
}

static void *
run(void *arg)
{
    struct udp_thread *t = arg;
    size_t n = t->udp->n_fds;
    struct pollfd p[KMS_LISTENERS_MAX + 2];

    for (size_t i = 0; i < n; i++)
        p[i] = (struct pollfd){ .fd = t->fds[i], .events = POLLIN };
    p[n] = (struct pollfd){ .fd = t->udp->stop, .events = POLLIN };
    p[n + 1] = (struct pollfd){ .fd = t->wake, .events = POLLIN };
    for (;;) {
        if (poll(p, n + 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (p[n].revents != 0)
            return NULL;
        if (p[n + 1].revents != 0)
            send_late_answers(t);
        for (size_t i = 0; i < n; i++)
            if (p[i].revents != 0)
                (void)serve(t, i);
    }
}

/* Sockets of all threads on listener number k among the UDP ones. */
static bool
add_listener(struct kms_udp *u, struct kms_listener *l, char *err)
{
    int fds[256];

    if (!kms_listen_sockets(l, fds, u->n_threads, err))
        return false;
    for (size_t i = 0; i < u->n_threads; i++)
        u->threads[i].fds[u->n_fds] = fds[i];
    u->acls[u->n_fds] = &l->acl;
    u->n_fds++;
    return true;
}

static bool
start_threads(struct kms_udp *u, size_t *slot, char *err)
{
    for (size_t i = 0; i < u->n_threads; i++) {
        struct udp_thread *t = &u->threads[i];

        t->udp = u;
        t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        pthread_mutex_init(&t->lock, NULL);
        t->batch = batch_new();
        t->worker = kms_worker_new(u->service, (*slot)++, KMS_UDP);
        if (t->batch == NULL || t->worker == NULL || t->wake < 0 ||
            pthread_create(&t->thread, NULL, run, t) != 0) {
            snprintf(err, KMS_NET_ERR, "cannot start a UDP worker: no memory or no threads");
            return false;
        }
        t->running = true;
    }
    return true;
}

bool
kms_udp_start(struct kms_udp **udp, struct kms_service *sv, struct kms_listener *listen,
              size_t n_listen, size_t *slot, char *err)
{
    size_t n = sv->config->workers, n_udp = 0;
    struct kms_udp *u;
    bool ok;

    *udp = NULL;
    for (size_t i = 0; i < n_listen; i++)
        n_udp += listen[i].transport == KMS_UDP;
    if (n_udp == 0)
        return true;
    u = calloc(1, sizeof *u + n * sizeof u->threads[0]);
    if (u == NULL) {
        snprintf(err, KMS_NET_ERR, "out of memory");
        return false;
    }
    u->service = sv;
    u->n_threads = n;
    u->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *udp = u;
    ok = u->stop >= 0;
    if (!ok)
        snprintf(err, KMS_NET_ERR, "cannot start UDP: %s", strerror(errno));
    for (size_t i = 0; ok && i < n_listen; i++)
        if (listen[i].transport == KMS_UDP)
            ok = add_listener(u, &listen[i], err);
    return ok && start_threads(u, slot, err);
}

/* The lane is stopped: nothing comes from it any more. */
static void
end_thread(struct udp_thread *t)
{
    struct kms_parcel *next;

    for (struct kms_parcel *p = t->answers; p != NULL; p = next) {
        next = p->next;
        kms_parcel_free(p);
    }
    if (t->wake >= 0)
        close(t->wake);
    pthread_mutex_destroy(&t->lock);
}

void
kms_udp_stop(struct kms_udp *u)
{
    if (u == NULL)
        return;
    (void)eventfd_write(u->stop, 1);
    for (size_t i = 0; i < u->n_threads; i++) {
        struct udp_thread *t = &u->threads[i];

        if (t->running)
            pthread_join(t->thread, NULL);
        for (size_t k = 0; k < u->n_fds; k++)
            close(t->fds[k]);
        if (t->udp != NULL)
            end_thread(t);
        kms_worker_free(t->worker);
        batch_free(t->batch);
    }
    if (u->stop >= 0)
        close(u->stop);
    free(u);
}
