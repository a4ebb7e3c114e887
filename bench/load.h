/* SPDX-License-Identifier: Apache-2.0 */
/* Load over UDP and HTTP with messages made beforehand, a fixed number of them under way, and
 * every answer looked at. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_WINDOW 16 /* messages under way, or connections with one each */

/* Messages one behind the other. */
struct load {
    uint8_t *octets;
    size_t *end; /* where each ends */
    size_t n;
};

/* load_range is a part of l, borrowed: messages [first, first + n). */
struct load_range {
    const struct load *l;
    size_t first, n;
};

/* Sends the messages and waits for as many answers of the data type. False when one is lost for two
 * seconds or another kind of answer comes; says so on stderr. */
bool load_udp(const struct sockaddr_in *to, struct load_range m, uint8_t data_type);
bool load_http(const struct sockaddr_in *to, struct load_range m, uint8_t data_type);

/* load_port finds a free port of the loopback interface for SOCK_DGRAM or SOCK_STREAM. */
bool load_port(int type, struct sockaddr_in *addr);

#endif
