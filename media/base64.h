/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 for messages in SDP and RTSP. They are public: no care for timing. */
#ifndef MKT_MEDIA_BASE64_H
#define MKT_MEDIA_BASE64_H

#include <mikeyticket/base.h>

/* mkt_base64_len returns the length of n octets as base64. */
size_t mkt_base64_len(size_t n);

/* mkt_base64_encode writes mkt_base64_len(octets.n) characters and an end. */
void mkt_base64_encode(struct mkt_span octets, char *out);

#endif
