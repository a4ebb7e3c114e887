/* SPDX-License-Identifier: Apache-2.0 */
/* Telling systemd how we are: one datagram to the socket that it names in the environment. */
#ifndef KMS_NOTIFY_H
#define KMS_NOTIFY_H

/* kms_notify sends a state such as "READY=1" to $NOTIFY_SOCKET; nothing happens without one. */
void kms_notify(const char *state);

#endif
