/* SPDX-License-Identifier: Apache-2.0 */
/* A secret that somebody types, or has in a file. */
#ifndef KMS_CTL_SECRET_H
#define KMS_CTL_SECRET_H

#include "kmsctl.h"

#define KMS_CTL_SECRET 1024 /* octets, with an end */

struct kms_ctl_words {
    char octets[KMS_CTL_SECRET];
    size_t n;
};

/* kms_ctl_secret reads the first line of the file --secret, which may be readable by its owner
 * alone, or asks: twice when it is a fresh one. 12 characters or more; to be wiped. False: it was
 * said why. */
bool kms_ctl_secret(const struct kms_ctl *ctl, const char *prompt, bool fresh,
                    struct kms_ctl_words *w);

#endif
