/* SPDX-License-Identifier: Apache-2.0 */
/* The open connections of an HTTP server: how long each may take, and who gives way when there are
 * too many. Connections come, are served and go in one thread; the sweeper is another. */
#ifndef KMS_GUESTS_H
#define KMS_GUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mikeyticket/secret.h>

struct kms_guests; /* opaque, owned */

/* A connection; part of what its owner knows of it. */
struct kms_guest {
    struct kms_guest *older, *newer; /* by when they came or were served last */
    int fd;
    uint8_t origin; /* where from, as far as it matters */
    bool leaving;
    int64_t deadline_s; /* of the request that is under way or comes next */
};

/* kms_guests_new makes an empty list for at most `limit` connections, each with `timeout_s` seconds
 * for its next request. NULL: no memory. kms_guests_free takes one on which nobody is left. */
struct kms_guests *kms_guests_new(unsigned limit, uint32_t timeout_s);
void kms_guests_free(struct kms_guests *g);

/* kms_guest_enter enters a connection. When there are too many, another is shut down: of the origin
 * that has the most, the one that was served longest ago. site: octets of its address. */
void kms_guest_enter(struct kms_guests *g, struct kms_guest *guest, int fd, struct mkt_span site);
void kms_guest_leave(struct kms_guests *g, struct kms_guest *guest);

/* kms_guest_served gives a connection that was answered its time for the next request. */
void kms_guest_served(struct kms_guests *g, struct kms_guest *guest);

/* kms_guests_sweep shuts down those who have taken too long. Any thread. */
void kms_guests_sweep(struct kms_guests *g);

#endif
