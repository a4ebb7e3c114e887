/* SPDX-License-Identifier: Apache-2.0 */
/* The socket where mikey-kmsctl speaks to the running daemon: docs/formats/control-socket.md. Root
 * and the daemon's own user may; the kernel says who it is. */
#ifndef KMS_CONTROL_H
#define KMS_CONTROL_H

#include "reload.h"

#define KMS_CONTROL_ERR KMS_RELOAD_ERR /* octets for an error text */
#define KMS_CONTROL_LINE 1024          /* octets of a question, with its newline */

struct kms_control; /* opaque, owned */

/* kms_control_start listens on config->control, with one thread. *control is NULL when there is
 * none. False: err says why (KMS_CONTROL_ERR octets). */
bool kms_control_start(struct kms_control **control, struct kms_service *sv, struct kms_reload *r,
                       char *err);

/* kms_control_stop ends it and removes the socket. NULL is allowed. */
void kms_control_stop(struct kms_control *control);

#endif
