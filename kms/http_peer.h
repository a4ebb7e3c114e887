/* SPDX-License-Identifier: Apache-2.0 */
/* Where other KMSs ask: which of them a connection is from. */
#ifndef KMS_HTTP_PEER_H
#define KMS_HTTP_PEER_H

#include <microhttpd.h>

#include "peers.h"
#include "worker.h"

/* kms_http_peer returns the peers (bits, peers.h) that the certificate of the client is good for;
 * *proof, zero at first, is kept with the connection. 0: none, which is counted and logged. */
uint32_t kms_http_peer(struct kms_worker *w, struct MHD_Connection *c,
                       struct kms_peer_proof *proof);

#endif
