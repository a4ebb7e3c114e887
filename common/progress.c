/* SPDX-License-Identifier: Apache-2.0 */
/* Drawn on one line, again only when a percent has passed: a terminal must not slow the work. */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#define WIDTH 40 /* characters */

void
mkt_progress_show(void *progress, uint64_t done, uint64_t all)
{
    struct mkt_progress *p = progress;
    unsigned percent = all == 0 ? 100 : (unsigned)(done * 100 / all), full = percent * WIDTH / 100;

    if (p->shown == percent + 1 || isatty(STDERR_FILENO) != 1)
        return;
    p->shown = percent + 1;
    fprintf(stderr, "\r%-9s [%.*s%*s] %3u %%", p->what, (int)full,
            "########################################", (int)(WIDTH - full), "", percent);
    if (percent == 100)
        fputc('\n', stderr);
}
