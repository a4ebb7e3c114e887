/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648 section 4) of HTTP bodies. */
#ifndef KMS_BASE64_H
#define KMS_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* kms_base64_decode reads n characters in place; line ends are skipped, anything else that is not
 * canonical base64 refused. *len gets the octets. */
bool kms_base64_decode(uint8_t *text, size_t n, size_t *len);

/* kms_base64_encode writes 4 * ((n + 2) / 3) characters to out and returns that number. */
size_t kms_base64_encode(char *out, const uint8_t *p, size_t n);

#endif
