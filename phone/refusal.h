/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller is told when its offer is not taken. What the user is told is more, and said
 * elsewhere. */
#ifndef MKT_PHONE_REFUSAL_H
#define MKT_PHONE_REFUSAL_H

#include "cli.h"

#include <mikeyticket/media/sdp.h>
#include <re.h>

/* phone_refusal_keys refuses keys for that reason; `err` tells whether it was the KMS that could
 * not be asked. */
struct mkt_sdp_refusal phone_refusal_keys(enum mkt_rc rc, const struct cli_error *err);

/* phone_refusal_media refuses an offer without speech that we could carry, phone_refusal_body one
 * that is no SDP. */
struct mkt_sdp_refusal phone_refusal_media(void);
struct mkt_sdp_refusal phone_refusal_body(void);

/* phone_refuse answers msg with it. */
void phone_refuse(struct sip *sip, const struct sip_msg *msg, const struct mkt_sdp_refusal *r);

/* phone_refusal_print writes the headers behind the others of a refusal and the end of the message,
 * for "%H". */
int phone_refusal_print(struct re_printf *pf, const struct mkt_sdp_refusal *r);

#endif
