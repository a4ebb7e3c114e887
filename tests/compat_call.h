/* SPDX-License-Identifier: Apache-2.0 */
/* A call of tests/three_party.h that asks for a compatibility ticket (RFC 6043 B.1). */
#ifndef MKT_TESTS_COMPAT_CALL_H
#define MKT_TESTS_COMPAT_CALL_H

#include "three_party.h"

#define PSK_MAX 40
extern const uint8_t compat_psk[PSK_MAX]; /* of the KMS and Bob; tests use a part of it */

/* Makes a call whose KMS shares psk_len octets of that PSK with the first Bob, and whose Alice
 * wishes a compatibility ticket of that subtype for him. False when memory fails; compat_close is
 * due all the same. */
bool compat_call_open(struct call *c, uint8_t subtype, size_t psk_len);

/* Adds one key to what Alice wishes. */
void compat_want_key(struct call *c, uint8_t type, uint16_t key_len, uint16_t salt_len);

#endif
