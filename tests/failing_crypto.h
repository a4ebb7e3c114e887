/* SPDX-License-Identifier: Apache-2.0 */
/* A libcrypto that fails when a test wants it to, for the calls that the library makes and that
 * have no reason to fail but a broken provider: the linker puts failing_crypto.c between
 * (-Wl,--wrap). Memory that fails is in failing_alloc.h. */
#ifndef MKT_TESTS_FAILING_CRYPTO_H
#define MKT_TESTS_FAILING_CRYPTO_H

/* Calls of libcrypto that work before one fails; -1: none does, and what it is after that one. */
extern long crypto_left;

/* The same for digests and ciphers whose output is wrong in one bit while all looks well. */
extern long crypto_right;

#endif
