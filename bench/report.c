/* SPDX-License-Identifier: Apache-2.0 */
/* The result as a table for people and as JSON for comparison over time. */
#include "bench.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include <openssl/crypto.h>

bool
bench_met(const struct bench_row *row)
{
    return (row->bar_us <= 0 || row->us.median <= row->bar_us) &&
           (row->bar_ratio <= 0 || row->ratio <= row->bar_ratio);
}

static void
bar_text(const struct bench_row *row, char *buf, size_t cap)
{
    const char *met = bench_met(row) ? "met" : "MISSED";
    if (row->bar_us > 0)
        snprintf(buf, cap, "%.0f us: %s", row->bar_us, met);
    else if (row->bar_ratio > 0)
        snprintf(buf, cap, "ratio %.3g: %s", row->bar_ratio, met);
    else
        buf[0] = '\0';
}

void
bench_table(const struct bench_report *r, FILE *out)
{
    fprintf(out, "%-22s %9s %19s %9s %6s  %-18s %s\n", "CPU us per operation", "median",
            "(min - max)", "floor", "ratio", "bar", "what");
    for (size_t i = 0; i < r->n; i++) {
        const struct bench_row *row = &r->row[i];
        char bar[32];
        bar_text(row, bar, sizeof bar);
        fprintf(out, "%-22s %9.2f (%8.2f-%8.2f) ", row->name, row->us.median, row->us.min,
                row->us.max);
        if (row->floor_what != NULL)
            fprintf(out, "%9.2f %6.3g", row->floor.median, row->ratio);
        else
            fprintf(out, "%9s %6s", "", "");
        fprintf(out, "  %-18s %s%s%s\n", bar, row->what, row->floor_what ? "; floor: " : "",
                row->floor_what ? row->floor_what : "");
    }
}

/* Names and texts are ours and hold neither quotes nor backslashes; the CPU's name is not. */
static void
string_out(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s != '\0'; s++) {
        if (*s >= ' ' && *s != '"' && *s != '\\')
            fputc(*s, out);
    }
    fputc('"', out);
}

static void
cpu_name(char *buf, size_t cap)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    snprintf(buf, cap, "unknown");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            snprintf(buf, cap, "%s", colon + 2);
            buf[strcspn(buf, "\n")] = '\0';
            break;
        }
    }
    if (f != NULL)
        fclose(f);
}

static void
time_out(FILE *out, const char *name, const struct bench_time *t)
{
    fprintf(out, ", \"%s\": { \"median\": %.3f, \"min\": %.3f, \"max\": %.3f }", name, t->median,
            t->min, t->max);
}

static void
row_out(FILE *out, const struct bench_row *row)
{
    fputs("    { \"name\": ", out);
    string_out(out, row->name);
    fputs(", \"what\": ", out);
    string_out(out, row->what);
    time_out(out, "cpu_us", &row->us);
    if (row->floor_what != NULL) {
        time_out(out, "floor_us", &row->floor);
        fputs(", \"floor\": ", out);
        string_out(out, row->floor_what);
        fprintf(out, ", \"ratio\": %.4f", row->ratio);
    }
    if (row->bar_us > 0)
        fprintf(out, ", \"bar_us\": %.1f", row->bar_us);
    if (row->bar_ratio > 0)
        fprintf(out, ", \"bar_ratio\": %.4f", row->bar_ratio);
    fprintf(out, ", \"met\": %s }", bench_met(row) ? "true" : "false");
}

bool
bench_json(const struct bench_report *r, FILE *out)
{
    char cpu[128], date[32];
    struct utsname u = { 0 };
    time_t now = time(NULL);
    struct tm tm;

    cpu_name(cpu, sizeof cpu);
    uname(&u);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    fputs("{\n  \"cpu\": ", out);
    string_out(out, cpu);
    fputs(",\n  \"kernel\": ", out);
    string_out(out, u.release);
    fputs(",\n  \"libcrypto\": ", out);
    string_out(out, OpenSSL_version(OPENSSL_VERSION));
    fprintf(out, ",\n  \"version\": \"%s\",\n  \"date\": \"%s\",\n", MKT_VERSION, date);
    fprintf(out, "  \"runs\": %d,\n  \"results\": [\n", BENCH_RUNS);
    for (size_t i = 0; i < r->n; i++) {
        row_out(out, &r->row[i]);
        fputs(i + 1 < r->n ? ",\n" : "\n", out);
    }
    fputs("  ]\n}\n", out);
    return ferror(out) == 0;
}
