/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the chain, told to the store once a second: what is cut off afterwards is missed. In a
 * thread of its own, since the store may let us wait for others who write into it, and answers must
 * not. */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "audit_parts.h"

#define PERIOD_MS 1000

void
kms_audit_seal(struct kms_audit *a)
{
    struct kms_store_err err = { 0 };
    struct kms_head head;
    bool ok;

    kms_audit_begin_writing(a);
    head = a->head;
    ok = head.seq == a->sealed.seq || atomic_load(&a->down) || !a->has_file || a->file.sync ||
         a->file.fd < 0 || fdatasync(a->file.fd) == 0;
    kms_audit_end_writing(a);
    if (!ok || head.seq == a->sealed.seq || atomic_load(&a->down))
        return;
    ok = a->store->ops->audit_seal(a->store, &head, &err) == KMS_STORE_OK;
    if (ok)
        a->sealed = head;
    if (!ok && !a->seal_failing)
        KMS_LOG(a->log, KMS_ERROR, "audit-unsealed", kms_text("error", err.text),
                kms_text("effect", "records cut off the end would not be missed"));
    a->seal_failing = !ok;
}

static void *
run(void *arg)
{
    struct kms_audit *a = arg;
    struct pollfd p = { .fd = a->seal_stop, .events = POLLIN };

    while (poll(&p, 1, PERIOD_MS) == 0 || (p.revents == 0 && errno == EINTR))
        kms_audit_seal(a);
    return NULL;
}

bool
kms_audit_seal_start(struct kms_audit *a)
{
    a->seal_stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return a->seal_stop >= 0 && pthread_create(&a->sealer, NULL, run, a) == 0;
}

void
kms_audit_seal_stop(struct kms_audit *a)
{
    (void)eventfd_write(a->seal_stop, 1);
    pthread_join(a->sealer, NULL);
}
