/* SPDX-License-Identifier: Apache-2.0 */
/* A progress bar on standard error, where that is a terminal. */
#ifndef KMS_PROGRESS_H
#define KMS_PROGRESS_H

#include <stdint.h>

struct kms_progress {
    const char *what; /* "sealing" */
    unsigned shown;   /* percent and 1; zero-initialise */
};

/* kms_progress_show draws the bar of a struct kms_progress when it has moved; done = all ends its
 * line. */
void kms_progress_show(void *progress, uint64_t done, uint64_t all);

#endif
