/* SPDX-License-Identifier: Apache-2.0 */
/* A group call over IP multicast: the address in SDP, and the socket that hears it. */
#ifndef MKT_PHONE_GROUP_MULTICAST_H
#define MKT_PHONE_GROUP_MULTICAST_H

#include <mikeyticket/base.h>
#include <re.h>

struct group_address {
    struct sa sa; /* IPv4; not set: media goes through the initiator */
    uint8_t ttl;
};

/* group_address_read reads ADDR:PORT[/TTL] (TTL 1 if there is none); false for what is no multicast
 * group. */
MKT_MUST_USE bool group_address_read(struct group_address *a, const char *text);

/* group_address_write adds the TTL to the address of a description (RFC 4566 5.7), which libre
 * leaves out. False when memory fails. */
MKT_MUST_USE bool group_address_write(struct mbuf *description, const struct group_address *a);

/* group_address_find takes the multicast group of a description, which libre does not read; its
 * port is `port`. False when there is none. */
bool group_address_find(struct group_address *a, const struct mbuf *description, uint16_t port);

struct group_multicast;

/* group_multicast_join hears what is sent to the group, through the interface of ip, and has
 * packets of `sender` leave there, with the TTL. Errno. *out is owned by the caller, mem_deref. */
int group_multicast_join(struct group_multicast **out, const struct group_address *a,
                         const struct sa *ip, struct udp_sock *sender, udp_recv_h *arrived,
                         void *arg);

#endif
