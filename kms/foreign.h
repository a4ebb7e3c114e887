/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline's part in tickets of other KMSs (RFC 6043 10), on both sides: a Responder of ours
 * brings a ticket that another KMS has made, and another KMS brings one of ours for a Responder of
 * its own. One hop: what comes from a KMS is never passed on, so there are no loops. */
#ifndef KMS_FOREIGN_H
#define KMS_FOREIGN_H

#include "pipeline_parts.h"

/* --- ours asks another KMS -------------------------------------------------------------------- */

/* kms_foreign_home returns the peer that must resolve the ticket of an authenticated message: NULL
 * for requests, for our own tickets, and for those of KMSs that are no peers. */
const struct kms_peer *kms_foreign_home(const struct job *j);

/* kms_foreign_resolve is the stage `issue` for such a ticket: AWAY with j->errand to ask; then, in
 * the second pass, DONE or REFUSE. */
enum verdict kms_foreign_resolve(struct job *j);

/* --- another KMS asks us ---------------------------------------------------------------------- */

/* kms_foreign_sender finds whose key it is that a message of another KMS names, and makes the
 * Responder that it names the client. */
void kms_foreign_sender(struct job *j);

/* kms_foreign_admit decides whether an authenticated sender may ask here at all: a peer with its
 * own certificate for a Responder of its own domains, and only where peers ask; everybody else only
 * elsewhere. GO or REFUSE. */
enum verdict kms_foreign_admit(struct job *j);

/* kms_foreign_reaches tells whether the tickets of a realm are resolved for the KMS that asks. */
bool kms_foreign_reaches(const struct job *j, const char *realm);

/* kms_foreign_served counts what another KMS got. */
void kms_foreign_served(const struct job *j);

#endif
