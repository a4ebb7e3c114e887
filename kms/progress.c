/* SPDX-License-Identifier: Apache-2.0 */
/* Drawn on one line, again only when a percent has passed: a terminal must not slow the work. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define WIDTH 40

void
kms_progress_show(struct kms_progress *p, uint64_t done, uint64_t total)
{
    static const char bar[] = "########################################"
                              "........................................";
    int percent = total == 0 ? 100 : (int)(100 * done / total), filled = percent * WIDTH / 100;

    if (!isatty(STDERR_FILENO) || (p->shown && percent == p->percent && done != total))
        return;
    p->shown = true;
    p->percent = percent;
    fprintf(stderr, "\r[%.*s] %3d %% of %" PRIu64 " %s%s", WIDTH, bar + WIDTH - filled, percent,
            total, p->what, done == total ? "\n" : "");
}
