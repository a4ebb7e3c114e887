/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a connection of the admin API. */
#ifndef KMS_API_WHO_H
#define KMS_API_WHO_H

#include "reload.h"

struct MHD_Connection;

/* kms_api_who asks, anew for each request: on the control socket the kernel; over TLS the token of
 * the request, or where it has none the certificate of the connection. False: *why says why they
 * are nobody. */
bool kms_api_who(struct kms_caller *who, struct kms_reload *r, struct MHD_Connection *c,
                 const char **why);

#endif
