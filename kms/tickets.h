/* SPDX-License-Identifier: Apache-2.0 */
/* Reference tickets as the service has them: their keys are in the store and nowhere else, sealed,
 * and each resolution reads them there. So removing the row revokes the ticket at once, in every
 * daemon. */
#ifndef KMS_TICKETS_H
#define KMS_TICKETS_H

#include <mikeyticket/kms.h>

#include "store.h"
#include "vault.h"

struct kms_tickets; /* opaque, owned; any number of threads */

/* kms_tickets_new takes a store that must outlive it and belong to it alone, and the vault that
 * seals what is kept; NULL when memory fails. */
struct kms_tickets *kms_tickets_new(struct kms_store *store, struct kms_vault *vault);
void kms_tickets_free(struct kms_tickets *t);

/* kms_ticket_keep stores what a transaction that has issued a ticket under `granted` wants kept
 * (mkt_kms_kept), and waits until it is on disk; nothing is kept for tickets of other types. */
enum kms_store_rc kms_ticket_keep(struct kms_store *store, struct kms_vault *vault,
                                  const struct mkt_kms_txn *txn, const struct mkt_policy *granted,
                                  struct kms_store_err *err);

/* kms_tickets_keep does so with the store of t. */
enum kms_store_rc kms_tickets_keep(struct kms_tickets *t, const struct mkt_kms_txn *txn,
                                   const struct mkt_policy *granted, struct kms_store_err *err);

/* kms_tickets_recall gives a verified transaction the keys of the reference ticket in it. False:
 * MKT_E_TICKET, when it was revoked or is over; MKT_E_STATE when the store cannot be read. */
bool kms_tickets_recall(struct kms_tickets *t, struct mkt_kms_txn *txn, struct mkt_err *err);

#endif
