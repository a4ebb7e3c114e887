/* SPDX-License-Identifier: Apache-2.0 */
/* Server processes and their CPU time: the daemon measured, and the bare servers that are the floor
 * of its transports. */
#ifndef BENCH_SERVERS_H
#define BENCH_SERVERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Servers that give the same answer to everything, with the calls that the daemon makes: recvmmsg
 * and sendmmsg, libmicrohttpd with epoll in its own thread. Return the process, or -1. */
pid_t server_udp_echo(const struct sockaddr_in *addr, const uint8_t *answer, size_t n);
pid_t server_http_fixed(const struct sockaddr_in *addr, const uint8_t *answer, size_t n);

/* server_cpu_us is the CPU time a process has used, user and system, all threads; -1 when gone. */
double server_cpu_us(pid_t pid);

/* server_family_cpu_us does so with the child that the server has, if it has one. */
double server_family_cpu_us(pid_t pid);

/* server_stop ends a server and waits for it. */
void server_stop(pid_t pid);

#endif
