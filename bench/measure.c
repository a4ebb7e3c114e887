/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of about 20 ms CPU time each, operation and floor in turns. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUN_US 20000.0

static double
cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

struct bench_row *
bench_add(struct bench_report *r, const char *name, const char *what)
{
    if (r->n == BENCH_ROWS_MAX)
        abort();
    struct bench_row *row = &r->row[r->n++];
    memset(row, 0, sizeof *row);
    snprintf(row->name, sizeof row->name, "%s", name);
    snprintf(row->what, sizeof row->what, "%s", what);
    return row;
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void
bench_summary(struct bench_time *t, double *sample, size_t n)
{
    qsort(sample, n, sizeof *sample, by_value);
    *t = (struct bench_time){ (sample[(n - 1) / 2] + sample[n / 2]) / 2, sample[0], sample[n - 1] };
}

static bool
run(bench_op *op, void *ctx, size_t times, double *us)
{
    double start = cpu_us();
    for (size_t i = 0; i < times; i++) {
        if (!op(ctx))
            return false;
    }
    *us = (cpu_us() - start) / (double)times;
    return true;
}

/* How often op fits into a run; warms the caches on the way. */
static bool
calibrate(bench_op *op, void *ctx, size_t *times)
{
    double us = 0;
    for (*times = 16; run(op, ctx, *times, &us); *times *= 2) {
        if (us * (double)*times >= RUN_US)
            return true;
    }
    return false;
}

bool
bench_compare(struct bench_row *row, bench_op *op, void *ctx, bench_op *floor, void *floor_ctx,
              const char *floor_what)
{
    double sample[BENCH_RUNS], floor_sample[BENCH_RUNS];
    size_t times, floor_times = 0;

    if (!calibrate(op, ctx, &times) ||
        (floor != NULL && !calibrate(floor, floor_ctx, &floor_times)))
        return false;
    for (size_t i = 0; i < BENCH_RUNS; i++) {
        if (!run(op, ctx, times, &sample[i]) ||
            (floor != NULL && !run(floor, floor_ctx, floor_times, &floor_sample[i])))
            return false;
    }
    bench_summary(&row->us, sample, BENCH_RUNS);
    if (floor != NULL) {
        bench_summary(&row->floor, floor_sample, BENCH_RUNS);
        row->floor_what = floor_what;
        row->ratio = row->us.median / row->floor.median;
    }
    return true;
}
