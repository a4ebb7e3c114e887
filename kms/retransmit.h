/* SPDX-License-Identifier: Apache-2.0 */
/* Answers kept for repeated datagrams: the same octets from the same source within 30 seconds get
 * the same octets back, with no cryptography (RFC 3830 5.4 treats such a repeat as one message).
 * Only answers to authenticated messages are kept, so that a stranger cannot push them out. One for
 * each UDP worker: SO_REUSEPORT keeps a source on one worker. */
#ifndef KMS_RETRANSMIT_H
#define KMS_RETRANSMIT_H

#include <stdbool.h>
#include <stdint.h>

#include <mikeyticket/base.h>

#define KMS_RETRANSMIT_S 30

struct kms_retransmit; /* opaque, owned; one thread */

/* kms_retransmit_new makes a table of `octets` of memory; the oldest answers give way. */
struct kms_retransmit *kms_retransmit_new(uint32_t octets);
void kms_retransmit_free(struct kms_retransmit *t);

/* kms_retransmit_find returns the answer to these octets from this source, borrowed until the next
 * call; n = 0: none. `tag` gets what kms_retransmit_keep needs. now_s: any clock, seconds. */
struct mkt_span kms_retransmit_find(struct kms_retransmit *t, struct mkt_span source,
                                    struct mkt_span request, int64_t now_s, uint64_t *tag);

/* kms_retransmit_keep keeps an answer. */
void kms_retransmit_keep(struct kms_retransmit *t, uint64_t tag, struct mkt_span source,
                         struct mkt_span request, struct mkt_span answer, int64_t now_s);

#endif
