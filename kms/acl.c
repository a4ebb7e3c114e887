/* SPDX-License-Identifier: Apache-2.0 */
/* Every address is one of IPv6 here, so that there is one comparison. */
#include "acl.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void
map_ipv4(uint8_t address[16], const void *ipv4)
{
    memcpy(address, mapped, sizeof mapped);
    memcpy(address + sizeof mapped, ipv4, 4);
}

static bool
is_within(const uint8_t address[16], const struct kms_net *net)
{
    size_t whole = net->bits / 8, rest = net->bits % 8;

    return memcmp(address, net->address, whole) == 0 &&
           (rest == 0 || ((address[whole] ^ net->address[whole]) >> (8 - rest)) == 0);
}

static bool
has_host_bits(const struct kms_net *net)
{
    for (size_t bit = net->bits; bit < 128; bit++)
        if ((net->address[bit / 8] >> (7 - bit % 8) & 1) != 0)
            return true;
    return false;
}

const char *
kms_net_parse(struct kms_net *net, const char *text)
{
    const char *slash = strchr(text, '/'), *bits = slash == NULL ? "" : slash + 1;
    size_t n = slash == NULL ? strlen(text) : (size_t)(slash - text), digits = strlen(bits);
    char address[INET6_ADDRSTRLEN];
    unsigned most = 128, given;
    struct in_addr in4;

    if (n >= sizeof address)
        return "a network is ADDRESS or ADDRESS/BITS";
    memcpy(address, text, n);
    address[n] = '\0';
    if (inet_pton(AF_INET, address, &in4) == 1) {
        map_ipv4(net->address, &in4);
        most = 32;
    } else if (inet_pton(AF_INET6, address, net->address) != 1) {
        return "a network is ADDRESS or ADDRESS/BITS";
    }
    if (slash != NULL && (digits == 0 || digits > 3 || strspn(bits, "0123456789") != digits ||
                          strtoul(bits, NULL, 10) > most))
        return "the bits of a network are 0 to 32 (IPv4) or 0 to 128 (IPv6)";
    given = slash == NULL ? most : (unsigned)strtoul(bits, NULL, 10);
    net->bits = (uint8_t)(given + 128 - most);
    return has_host_bits(net) ? "the address has bits outside of its network" : NULL;
}

bool
kms_acl_allows(const struct kms_acl *acl, const struct sockaddr *from)
{
    uint8_t address[16];

    if (acl->n_allow == 0 && acl->n_deny == 0)
        return true;
    if (from->sa_family == AF_INET6)
        memcpy(address, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    else
        map_ipv4(address, &((const struct sockaddr_in *)(const void *)from)->sin_addr);
    for (size_t i = 0; i < acl->n_deny; i++)
        if (is_within(address, &acl->deny[i]))
            return false;
    for (size_t i = 0; i < acl->n_allow; i++)
        if (is_within(address, &acl->allow[i]))
            return true;
    return acl->n_allow == 0;
}
