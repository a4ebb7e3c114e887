/* SPDX-License-Identifier: Apache-2.0 */
/* The only place that reads a clock: time of day for timestamps, monotonic for retries. */
#include "clock.h"

#include <errno.h>
#include <mikeyticket/env.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FIRST_RETRY_MS 500
#define LOOK_MS 200 /* between looks at whether it was given up */

uint64_t
cli_clock_ntp(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return mkt_ntp_from_unix(t.tv_sec, (uint32_t)t.tv_nsec);
}

int64_t
cli_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
cli_clock_format(uint64_t ntp, char out[CLI_TIME_TEXT])
{
    time_t seconds = (time_t)mkt_ntp_to_unix(ntp);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL || strftime(out, CLI_TIME_TEXT, "%FT%TZ", &tm) == 0)
        snprintf(out, CLI_TIME_TEXT, "unreadable");
}

bool
cli_clock_duration(const char *text, uint32_t *seconds)
{
    static const struct {
        char letter;
        uint32_t seconds;
    } units[] = { { '\0', 1 }, { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };

    if (*text < '0' || *text > '9')
        return false;
    char *rest;
    errno = 0;
    unsigned long long n = strtoull(text, &rest, 10);
    for (size_t i = 0; errno == 0 && i < CLI_COUNT(units); i++) {
        bool ends = *rest == '\0' || rest[1] == '\0';
        if (*rest == units[i].letter && ends && n >= 1 && n <= UINT32_MAX / units[i].seconds) {
            *seconds = (uint32_t)n * units[i].seconds;
            return true;
        }
    }
    return false;
}

bool
cli_clock_parse(const char *text, uint32_t *seconds)
{
    struct tm tm = { 0 };
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (rest == NULL || *rest != '\0')
        return false;
    *seconds = (uint32_t)(mkt_ntp_from_unix(timegm(&tm), 0) >> 32);
    return true;
}

void
cli_timer_start(struct cli_timer *t, int64_t total)
{
    t->end = cli_clock_ms() + total;
    t->next = t->end;
    t->step = FIRST_RETRY_MS;
}

void
cli_timer_sent(struct cli_timer *t)
{
    t->next = cli_clock_ms() + t->step;
    t->step *= 2;
}

int
cli_timer_left(const struct cli_timer *t)
{
    int64_t left = (t->next < t->end ? t->next : t->end) - cli_clock_ms();

    if (left < 0 || cli_timer_stopped(t))
        return 0;
    return (int)(t->stop != NULL && left > LOOK_MS ? LOOK_MS : left);
}

bool
cli_timer_stopped(const struct cli_timer *t)
{
    return t->stop != NULL && atomic_load(t->stop);
}

bool
cli_timer_over(const struct cli_timer *t)
{
    return cli_timer_stopped(t) || cli_clock_ms() >= t->end;
}
