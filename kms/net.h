/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: one for each worker and address, so that the kernel spreads the load (SO_REUSEPORT) and
 * no worker waits for another. */
#ifndef KMS_NET_H
#define KMS_NET_H

#include "worker.h"

#define KMS_NET_ERR 512 /* octets for an error text */

/* kms_listen_sockets makes n sockets bound to l (and listening, for HTTP) in fds. With port 0 the
 * first one chooses, and l is updated: address and URL. False: err says why, nothing is open. */
bool kms_listen_sockets(struct kms_listener *l, int *fds, size_t n, char *err);

/* kms_listen_bind makes the sockets of l already, n of them, for kms_listen_sockets to take: so
 * that privileges can be dropped in between. kms_listen_close closes those that nobody took. */
bool kms_listen_bind(struct kms_listener *l, size_t n, char *err);
void kms_listen_close(struct kms_listener *l);

struct kms_udp; /* opaque, owned: the UDP threads */

/* kms_udp_start starts config->workers threads, each with its own socket on every UDP listener of
 * `listen`, which get their real ports. Reader slots from *slot on are used. *udp is NULL when
 * there is no UDP listener. */
bool kms_udp_start(struct kms_udp **udp, struct kms_service *sv, struct kms_listener *listen,
                   size_t n_listen, size_t *slot, char *err);

/* kms_udp_stop ends the threads and frees. NULL is allowed. */
void kms_udp_stop(struct kms_udp *udp);

struct kms_http; /* opaque, owned: the HTTP threads */

/* kms_http_start, kms_http_stop: likewise for HTTP. */
bool kms_http_start(struct kms_http **http, struct kms_service *sv, struct kms_listener *listen,
                    size_t n_listen, size_t *slot, char *err);
void kms_http_stop(struct kms_http *http);

/* kms_http_sweep closes connections whose client has not completed a request in time. To be called
 * a few times a second, from any one thread. NULL is allowed. */
void kms_http_sweep(struct kms_http *http);

#endif
