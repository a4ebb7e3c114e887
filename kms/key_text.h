/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and their ids as texts, on their way in. */
#ifndef KMS_KEY_TEXT_H
#define KMS_KEY_TEXT_H

#include "keyfile.h"

/* kms_key_read reads n hexadecimal digits. suite is "128", "256" or NULL: 16 octets belong to the
 * 128-bit suite, 32 and more to the other (RFC 6043 12.1: the levels are not mixed). NULL, or what
 * is wrong. */
const char *kms_key_read(struct mkt_secret *key, const char *hex, size_t n, const char *suite);

/* kms_key_id_check returns NULL, or what is wrong with an id. */
const char *kms_key_id_check(const char *id, enum kms_key_kind kind);

#endif
