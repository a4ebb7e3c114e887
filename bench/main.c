/* SPDX-License-Identifier: Apache-2.0 */
/* mkt-bench: measures, prints a table, writes JSON. */
#include "bench.h"

#include <getopt.h>
#include <string.h>

static const struct {
    const char *name;
    bool (*run)(struct bench_report *r);
    const char *what;
} parts[] = {
    { "primitives", bench_primitives, "HMAC, PRF, AES-CM and random octets" },
    { "policy", bench_policy, "the decision of 100 rules" },
    { "kms", bench_kms_ops, "one Ticket Request and one Ticket Resolve at the KMS" },
    { "pk", bench_kms_pk, "one Ticket Request signed with RSA, at the KMS" },
    { "daemon", bench_daemon, "mikey-kmsd under load, over UDP and HTTP" },
    { "users", bench_users, "mikey-kmsd with a million users against a thousand" },
    { "vault", bench_vault, "mikey-kmsd with keys in clear, sealed, and in a vault process" },
    { "call", bench_call, "the keys of a call against a DTLS-SRTP handshake" },
};

static int
usage(FILE *out, int status)
{
    fputs("usage: mkt-bench [--json FILE] [--check] [PART...]\n"
          "Measures CPU time and prints a table.\n"
          "  --json FILE  write the figures as JSON as well; - is standard output, without table\n"
          "  --check      exit 1 when a bar is missed\n"
          "parts, all of them by default:\n",
          out);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        fprintf(out, "  %-12s %s\n", parts[i].name, parts[i].what);
    return status;
}

static bool
wanted(const char *name, int argc, char **argv)
{
    if (argc == 0)
        return true;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return false;
}

static bool
write_json(const struct bench_report *r, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (f == NULL) {
        perror(path);
        return false;
    }
    bool ok = bench_json(r, f);
    if (f != stdout)
        ok = fclose(f) == 0 && ok;
    return ok;
}

static bool
all_met(const struct bench_report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (!bench_met(&r->row[i]))
            return false;
    }
    return true;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = { { "json", required_argument, NULL, 'j' },
                                             { "check", no_argument, NULL, 'c' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    static struct bench_report report;
    const char *json = NULL;
    bool check = false;

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'h')
            return usage(stdout, 0);
        if (o == 'j')
            json = optarg;
        else if (o == 'c')
            check = true;
        else
            return usage(stderr, 2);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (wanted(parts[i].name, argc - optind, argv + optind) && !parts[i].run(&report)) {
            fprintf(stderr, "mkt-bench: %s: something failed, no figures\n", parts[i].name);
            return 1;
        }
    }
    if (report.n == 0)
        return usage(stderr, 2);
    if (json == NULL || strcmp(json, "-") != 0)
        bench_table(&report, stdout);
    if (json != NULL && !write_json(&report, json))
        return 1;
    return check && !all_met(&report) ? 1 : 0;
}
