/* SPDX-License-Identifier: Apache-2.0 */
/* What a KMS remembers of a ticket: its name, and the keys of a reference ticket. */
#include "role/kms.h"

#include <string.h>

struct mkt_span
mkt_kms_ticket_id(const struct mkt_kms_txn *t)
{
    return mkt_span(t->ticket_id, t->has_ticket_id ? sizeof t->ticket_id : 0);
}

void
mkt_kms_name_ticket(struct mkt_kms_txn *t, const uint8_t *end)
{
    memcpy(t->ticket_id, end - MKT_TICKET_ID, MKT_TICKET_ID);
    t->has_ticket_id = true;
}

struct mkt_span
mkt_kms_kept(const struct mkt_kms_txn *t, struct mkt_span *reference)
{
    *reference = mkt_span(t->reference, t->kept_len != 0 ? sizeof t->reference : 0);
    return mkt_span(t->kept, t->kept_len);
}

enum mkt_rc
mkt_kms_recall(struct mkt_kms_txn *t, struct mkt_span kept, struct mkt_err *err)
{
    if (t->stage != MKT_KMS_VERIFIED || t->ask.reference.n == 0)
        return mkt_fail(err, MKT_E_STATE, 0, "recall for no reference", "RFC 6043 11");
    return mkt_keys_read(&t->keys, kept, 0, t->suite, err);
}
