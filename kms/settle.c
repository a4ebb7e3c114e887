/* SPDX-License-Identifier: Apache-2.0 */
/* A reply is counted as what became of it, so that no counter ever goes back. */
#include "settle.h"

static void
count(struct kms_worker *w, enum kms_transport transport, const struct kms_reply *r)
{
    struct kms_tally *t = &w->tally;

    kms_count(&t->outcomes[transport][r->outcome], 1);
    if (r->outcome == KMS_ANSWERED || r->outcome == KMS_REPEATED)
        return;
    kms_count(&t->ended_at[r->stage], 1);
    kms_count(&t->reasons[r->reason], 1);
}

bool
kms_settle(struct kms_worker *w)
{
    return kms_audit_commit(w->service->audit, w->trail);
}

void
kms_withhold(struct kms_worker *w, const struct kms_request *req, struct kms_reply *r)
{
    *r = (struct kms_reply){ .outcome = KMS_BUSY, .stage = 0, .reason = MKT_E_STATE };
    count(w, req->transport, r);
}

void
kms_release(struct kms_worker *w, const struct kms_request *req, const struct kms_reply *r)
{
    count(w, req->transport, r);
    if (w->again != NULL && r->keep)
        kms_retransmit_keep(w->again, r->tag, req->source, req->in, mkt_span(req->out, r->len),
                            w->steady_ns / 1000000000);
}
