/* SPDX-License-Identifier: Apache-2.0 */
/* A progress bar on standard error, where that is a terminal. */
#ifndef KMS_PROGRESS_H
#define KMS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct kms_progress {
    const char *what; /* of things: "keys" */
    bool shown;       /* zero-initialise */
    int percent;
};

/* kms_progress_show draws the bar when it has moved; done = total ends its line. */
void kms_progress_show(struct kms_progress *p, uint64_t done, uint64_t total);

#endif
