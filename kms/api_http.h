/* SPDX-License-Identifier: Apache-2.0 */
/* The admin API over HTTP: on the control socket, where the kernel says who asks, and over TLS,
 * where a certificate or a token does. Never in clear over a network. */
#ifndef KMS_API_HTTP_H
#define KMS_API_HTTP_H

#include "api.h"
#include "reload.h"

#define KMS_API_ERR KMS_RELOAD_ERR /* octets for an error text */

struct kms_api_http; /* opaque, owned */

/* kms_api_http_start serves on config->control and on `tls`, which gets its real port, as far as
 * they are configured. slot: of the vault, for this alone. The service must serve already. False:
 * err says why. */
bool kms_api_http_start(struct kms_api_http **http, struct kms_service *sv, struct kms_reload *r,
                        struct kms_listener *tls, size_t slot, char *err);

/* kms_control_fits tells whether a socket can have that path. False: err (KMS_API_ERR) says so. */
bool kms_control_fits(const char *path, char *err);

/* kms_api_http_stop ends it and removes the socket. NULL is allowed. */
void kms_api_http_stop(struct kms_api_http *http);

#endif
