/* SPDX-License-Identifier: Apache-2.0 */
/* An outlet carries records to others: to syslog, to a collector over HTTP, or to the files of
 * tenants. Each has a thread and a queue, so that one that is slow or hangs holds up nobody but
 * those who choose to wait for it. */
#ifndef KMS_AUDIT_OUTLET_H
#define KMS_AUDIT_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit_folder.h"
#include "config.h"

#define KMS_OUTLET_QUEUE (4u << 20) /* octets kept for an outlet that does not take them */

/* A kind of outlet. */
struct kms_outlet_kind {
    const char *name;
    enum kms_audit_sink sink;
    size_t target; /* in struct kms_config: the text that says where to; "": there is none */
    /* open makes what `send` needs; NULL: err says why. Nothing need be reachable yet. config
     * outlives it. */
    void *(*open)(const struct kms_config *config, char err[KMS_AUDIT_ERR]);
    /* send hands whole lines over within audit_timeout_s; returns the octets that were taken. Less
     * than n: err says why. */
    size_t (*send)(void *self, const char *lines, size_t n, char err[KMS_AUDIT_ERR]);
    void (*close)(void *self);
};
extern const struct kms_outlet_kind kms_outlet_syslog, kms_outlet_http, kms_outlet_realms;

#define KMS_OUTLETS 3 /* kinds */

struct kms_outlet; /* opaque, owned */

/* kms_outlet_open starts the thread. wake is called from it when it begins to fail, and when it
 * works again. NULL: err says why. */
struct kms_outlet *kms_outlet_open(const struct kms_outlet_kind *kind,
                                   const struct kms_config *config, bool required,
                                   void (*wake)(void *ctx), void *ctx, char err[KMS_AUDIT_ERR]);

/* kms_outlet_name returns the name of its kind. */
const char *kms_outlet_name(const struct kms_outlet *o);

/* kms_outlet_put appends n_records records. What an outlet that is not required has no room for is
 * counted and lost. False when there is no memory, or no room in a required one. */
bool kms_outlet_put(struct kms_outlet *o, const char *lines, size_t n, uint32_t n_records);

/* kms_outlet_wait waits until all is sent; false as soon as sending fails. */
bool kms_outlet_wait(struct kms_outlet *o);

/* What an outlet has to report since the last call. */
struct kms_outlet_news {
    const char *name;
    bool required, failing, changed; /* changed: begins to fail, or works again */
    uint64_t lost;                   /* records, when it works again */
    char err[KMS_AUDIT_ERR];
};
void kms_outlet_news(struct kms_outlet *o, struct kms_outlet_news *news);

/* kms_outlet_close waits until all is sent or a try fails, ends the thread and frees. Returns the
 * octets that were not sent. NULL is allowed. */
size_t kms_outlet_close(struct kms_outlet *o);

#endif
