/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake only makes sure that there is a certificate and that its key is there; whose it is
 * is asked of the peers of now, so that a change counts for connections that are open already. */
#include "http_peer.h"

#include "address.h"
#include "clock.h"

#define LINES_PER_S 1 /* log lines about strangers of one worker */

static void
log_unknown(struct kms_worker *w, struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char from[KMS_ADDRESS_TEXT];

    if (info == NULL || !kms_bucket_take(&w->lines, LINES_PER_S, 10, kms_steady_ns()))
        return;
    kms_address_text(info->client_addr, from);
    KMS_LOG(w->service->log, KMS_WARN, "peer-unknown", kms_text("source", from),
            kms_text("effect", "its certificate is of no KMS that is configured"));
}

uint32_t
kms_http_peer(struct kms_worker *w, struct MHD_Connection *c, struct kms_peer_proof *proof)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    uint32_t peers =
        info != NULL ? kms_peers_prove(w->service->peers, w->slot, info->tls_session, proof) : 0;

    if (peers != 0)
        return peers;
    kms_count(&w->tally.outcomes[KMS_HTTP][KMS_DENIED], 1);
    log_unknown(w, c);
    return 0;
}
