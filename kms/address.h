/* SPDX-License-Identifier: Apache-2.0 */
/* Where a message came from. */
#ifndef KMS_ADDRESS_H
#define KMS_ADDRESS_H

#include <netinet/in.h>

#include <mikeyticket/env.h>

#define KMS_ADDRESS_TEXT (INET6_ADDRSTRLEN + 9) /* [ADDRESS]:PORT and the zero octet */

/* kms_address_text writes ADDRESS:PORT, with brackets around IPv6. sa: AF_INET or AF_INET6. */
void kms_address_text(const struct sockaddr *sa, char out[KMS_ADDRESS_TEXT]);

/* kms_address_site gives what limits count by: an IPv4 address, or the /64 that one IPv6 site has.
 * It borrows sa. */
struct mkt_span kms_address_site(const struct sockaddr *sa);

#endif
