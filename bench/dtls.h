/* SPDX-License-Identifier: Apache-2.0 */
/* What calls are keyed with elsewhere: a DTLS-SRTP handshake (RFC 5764), as the yardstick for the
 * keys of a call. OpenSSL, DTLS 1.2, P-256 for exchange and certificates, both sides show one and
 * hold the other's against its fingerprint. No sockets and no timers: only the CPU of the two ends.
 */
#ifndef BENCH_DTLS_H
#define BENCH_DTLS_H

#include <stdbool.h>

struct dtls;

/* dtls_new makes both ends with their certificates, NULL on failure; dtls_free ends them. */
struct dtls *dtls_new(void);
void dtls_free(struct dtls *d);

/* dtls_call does one whole handshake (bench_op; ctx is a struct dtls): both ends have the same
 * SRTP keys after it. */
bool dtls_call(void *ctx);

#endif
