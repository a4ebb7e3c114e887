/* SPDX-License-Identifier: Apache-2.0 */
/* Identities that stand for many: everybody of one domain, "sip:*@team.example.com" (a URI) or
 * "*@team.example.com" (a NAI). The star is the whole part before the @; what stands before and
 * after it must be equal octet for octet. A star anywhere else is only a character: RFC 3261 allows
 * it in the name of a user. */
#ifndef KMS_PATTERN_H
#define KMS_PATTERN_H

#include <mikeyticket/policy.h>

/* kms_pattern_is tells whether text is such a pattern; kms_is_pattern whether an identity is. */
bool kms_pattern_is(const char *text);
bool kms_is_pattern(struct mkt_identity id);

/* kms_pattern_matches tells whether `pattern` stands for `who`, among others. */
bool kms_pattern_matches(struct mkt_identity pattern, struct mkt_identity who);

#endif
