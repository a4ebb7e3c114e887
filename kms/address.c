/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include <arpa/inet.h>
#include <stdio.h>

void
kms_address_text(const struct sockaddr *sa, char out[KMS_ADDRESS_TEXT])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *in4 = (const void *)sa;
    const struct sockaddr_in6 *in6 = (const void *)sa;

    if (sa->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
        snprintf(out, KMS_ADDRESS_TEXT, "[%s]:%u", ip, ntohs(in6->sin6_port));
    } else {
        inet_ntop(AF_INET, &in4->sin_addr, ip, sizeof ip);
        snprintf(out, KMS_ADDRESS_TEXT, "%s:%u", ip, ntohs(in4->sin_port));
    }
}

struct mkt_span
kms_address_site(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET6)
        return mkt_span(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 8);
    return mkt_span(&((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
}
