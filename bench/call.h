/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of one call from the first octet to the last: what the phone of the caller, the phone of
 * the callee and the KMS do, with the code that they do it with (phone/keys.h). Between the phones
 * go whole descriptions; only the SIP around them is left out. */
#ifndef BENCH_CALL_H
#define BENCH_CALL_H

#include "bed.h"
#include "client.h"

#define CALL_TEXT_MAX 16384

/* A caller, a callee, and how they ask their KMS. Must not be moved. */
struct call {
    struct cli_client alice, bob;
    struct cli_args args;
    char kms_url[64];
    char value[CALL_TEXT_MAX], text[CALL_TEXT_MAX]; /* key-mgmt attribute, description */
    size_t text_len;
};

/* call_open makes two users into a caller and a callee of suite prf, who ask the KMS at addr over
 * UDP. The users outlive it. Close it in any case. */
bool call_open(struct call *c, uint8_t prf, const struct bed_user *alice,
               const struct bed_user *bob, const struct sockaddr_in *addr);
void call_close(struct call *c);

/* call_make makes one call (bench_op; ctx is a struct call): REQUEST_INIT to RESP, TRANSFER_INIT to
 * RESP in SDP, RESOLVE_INIT to RESP, and the SRTP keys of both directions at both ends, which must
 * be the same. False when a step fails; says why on stderr. */
bool call_make(void *ctx);

#endif
