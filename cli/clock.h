/* SPDX-License-Identifier: Apache-2.0 */
/* The only place that reads a clock. */
#ifndef MKT_CLI_CLOCK_H
#define MKT_CLI_CLOCK_H

#include "cli.h"

#include <stdatomic.h>

/* cli_clock_ntp returns the time as 32.32 NTP-UTC. */
uint64_t cli_clock_ntp(void);

/* cli_clock_ms returns milliseconds of a clock that is never set back. */
int64_t cli_clock_ms(void);

#define CLI_TIME_TEXT 32
/* cli_clock_format writes an NTP-UTC time as "2026-02-03T04:05:06Z". */
void cli_clock_format(uint64_t ntp, char out[CLI_TIME_TEXT]);

/* cli_clock_duration reads "90", "90s", "15m", "1h" or "7d" as seconds, 1 to 4294967295. */
MKT_MUST_USE bool cli_clock_duration(const char *text, uint32_t *seconds);

/* cli_clock_parse reads what cli_clock_format writes, as the seconds of NTP-UTC. */
MKT_MUST_USE bool cli_clock_parse(const char *text, uint32_t *seconds);

/* A retry timer: half a second, then twice as long each time (RFC 6043 leaves it to the
 * transport), and an end after which nothing is sent any more. */
struct cli_timer {
    int64_t end;             /* cli_clock_ms at which to give up */
    int64_t next;            /* cli_clock_ms at which to send again */
    int64_t step;            /* ms from the last message to the next */
    const atomic_bool *stop; /* somebody else's word that it is over now; NULL: nobody's */
};

/* cli_timer_start begins a run of `total` ms; `stop` stays as it is. */
void cli_timer_start(struct cli_timer *t, int64_t total);

/* cli_timer_sent notes that a message goes out now: sets `next`. */
void cli_timer_sent(struct cli_timer *t);

/* cli_timer_left returns the ms until `next` or `end`, whichever is first, or until it is time to
 * look at `stop` again; 0 when there is nothing left to wait for. */
int cli_timer_left(const struct cli_timer *t);

/* cli_timer_stopped tells whether somebody has given up what it is for. */
bool cli_timer_stopped(const struct cli_timer *t);

/* cli_timer_over tells whether the end is reached, or given up. */
bool cli_timer_over(const struct cli_timer *t);

#endif
