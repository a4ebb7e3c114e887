/* SPDX-License-Identifier: Apache-2.0 */
/* A progress bar on standard error, where that is a terminal. */
#ifndef MKT_COMMON_PROGRESS_H
#define MKT_COMMON_PROGRESS_H

#include <stdint.h>

struct mkt_progress {
    const char *what; /* "sealing" */
    unsigned shown;   /* percent and 1; zero-initialise */
};

/* mkt_progress_show draws the bar of a struct mkt_progress when it has moved; done = all ends its
 * line. */
void mkt_progress_show(void *progress, uint64_t done, uint64_t all);

#endif
