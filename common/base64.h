/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648 4), strictly: one text for each run of octets, so that what was compared as text
 * is also equal as octets. Tickets and keys pass through here: no branch or index depends on what a
 * digit is. */
#ifndef MKT_COMMON_BASE64_H
#define MKT_COMMON_BASE64_H

#include <stdbool.h>

#include <mikeyticket/base.h>

/* mkt_base64_len returns the characters that n octets take, without terminator. */
static inline size_t
mkt_base64_len(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* mkt_base64_encode writes mkt_base64_len(octets.n) characters and a terminator; it returns how
 * many, without that. */
size_t mkt_base64_encode(struct mkt_span octets, char *out);

/* mkt_base64_decode reads n characters into out (cap octets), which may be where they stand: whole
 * quartets, at least one, padding only at the end, unused bits zero. *len gets the octets. */
MKT_MUST_USE bool mkt_base64_decode(const char *text, size_t n, uint8_t *out, size_t cap,
                                    size_t *len);

/* mkt_base64_decode_lines reads n characters where they stand, as mkt_base64_decode does, but skips
 * line ends, and none at all is no octets. */
MKT_MUST_USE bool mkt_base64_decode_lines(uint8_t *text, size_t n, size_t *len);

#endif
