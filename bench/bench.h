/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring CPU time: medians of several runs, taken in turns with the floor they are compared
 * with, since the machine's speed moves more from minute to minute than the figures differ. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define BENCH_RUNS 25
#define BENCH_ROWS_MAX 64

/* CPU time of one operation in microseconds. */
struct bench_time {
    double median, min, max;
};

/* One line of the result. */
struct bench_row {
    char name[40];
    char what[112];
    struct bench_time us;
    struct bench_time floor; /* median 0: there is none */
    const char *floor_what;  /* static string */
    double ratio;            /* us.median / floor.median, 0: no floor */
    double bar_us;           /* must not be exceeded; 0: no bar */
    double bar_ratio;        /* likewise, of the ratio */
};

struct bench_report {
    size_t n;
    struct bench_row row[BENCH_ROWS_MAX];
};

/* One operation; false stops the benchmark: a figure for something that failed is worth nothing. */
typedef bool bench_op(void *ctx);

/* bench_add makes an empty row, for the caller to complete. */
struct bench_row *bench_add(struct bench_report *r, const char *name, const char *what);

/* bench_compare measures op against floor (NULL: none) in turns and fills row. */
bool bench_compare(struct bench_row *row, bench_op *op, void *ctx, bench_op *floor, void *floor_ctx,
                   const char *floor_what);

/* bench_summary sorts n samples and fills t. */
void bench_summary(struct bench_time *t, double *sample, size_t n);

/* bench_met tells whether the bars of row are met. */
bool bench_met(const struct bench_row *row);

void bench_table(const struct bench_report *r, FILE *out);
bool bench_json(const struct bench_report *r, FILE *out);

/* bench_recorded measures op, which works in env, against the cryptography it consists of: one run
 * is recorded and done again, bare. Where there is RSA, the floor is that alone. */
struct mkt_env;
bool bench_recorded(struct bench_report *r, const char *name, double bar, bench_op *op, void *ctx,
                    struct mkt_env *env);

/* The parts; each adds its rows. False when something did not work. */
bool bench_primitives(struct bench_report *r);
bool bench_policy(struct bench_report *r);
bool bench_kms_ops(struct bench_report *r);
bool bench_kms_pk(struct bench_report *r);
bool bench_daemon(struct bench_report *r);
bool bench_users(struct bench_report *r);
bool bench_vault(struct bench_report *r);
bool bench_call(struct bench_report *r);

#endif
