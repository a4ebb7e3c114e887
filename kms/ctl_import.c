/* SPDX-License-Identifier: Apache-2.0 */
/* import: the file goes to who has the store. It may hold keys, so that its octets are wiped. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "ctl_call.h"
#include "progress.h"

static enum kms_exit
fail(const char *path, const char *why)
{
    fprintf(stderr, "mikey-kmsctl: %s: %s\n", path, why);
    return KMS_EXIT_FAILED;
}

/* The whole file, to be wiped; NULL with errno. */
static char *
read_all(FILE *f, size_t n)
{
    char *octets = malloc(n + 1);

    setvbuf(f, NULL, _IONBF, 0);
    if (octets == NULL || fread(octets, 1, n, f) == n)
        return octets;
    mkt_wipe(octets, n);
    free(octets);
    errno = EIO;
    return NULL;
}

static long long
number(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static void
report(const struct kms_ctl *ctl, const json_t *n)
{
    printf(
        "%s%lld entries: %lld users, %lld credentials, %lld aliases, %lld groups and %lld members "
        "%sadded, %lld users changed",
        ctl->dry_run ? "dry run, nothing was changed: " : "", number(n, "entries"),
        number(n, "users"), number(n, "credentials"), number(n, "aliases"), number(n, "groups"),
        number(n, "members"), ctl->dry_run ? "would be " : "", number(n, "users-changed"));
    if (number(n, "passed-over") > 0)
        printf("; %lld entries without an identity passed over", number(n, "passed-over"));
    puts("");
}

static enum kms_exit
send_file(const struct kms_ctl *ctl, const char *octets, const struct stat *st)
{
    struct mkt_progress bar = { .what = "importing" };
    char target[KMS_CTL_TARGET];
    enum kms_exit code;
    json_t *answer;

    if (!kms_ctl_target(target, "/v1/import", NULL, NULL) ||
        !kms_ctl_parameter(target, "name", ctl->identity) ||
        !kms_ctl_parameter(target, "dry-run", ctl->dry_run ? "true" : NULL) ||
        !kms_ctl_parameter(target, "shared", (st->st_mode & 077) != 0 ? "true" : NULL))
        return kms_ctl_misuse("the name of the file is too long");
    code = kms_ctl_octets(ctl, "POST", target, "application/octet-stream", octets,
                          (size_t)st->st_size, mkt_progress_show, &bar, &answer);
    if (code == KMS_EXIT_OK && ctl->json)
        kms_ctl_dump(answer, "", "\n");
    else if (code == KMS_EXIT_OK)
        report(ctl, answer);
    json_decref(answer);
    return code == KMS_EXIT_USAGE ? KMS_EXIT_FAILED : code; /* the file is wrong, not the command */
}

/* The file as it is, open. NULL: *why says why not. */
static FILE *
open_file(const char *path, struct stat *st, const char **why)
{
    FILE *f = fopen(path, "re");

    *why = NULL;
    if (f == NULL || fstat(fileno(f), st) != 0)
        *why = strerror(errno);
    else if (!S_ISREG(st->st_mode))
        *why = "is not a file";
    else if (st->st_size > KMS_API_IMPORT)
        *why = "is longer than 256 MiB: divide it";
    if (*why == NULL || f == NULL)
        return f;
    fclose(f);
    return NULL;
}

enum kms_exit
kms_ctl_import(const struct kms_ctl *ctl)
{
    const char *why;
    enum kms_exit code;
    struct stat st;
    char *octets;
    FILE *f = open_file(ctl->identity, &st, &why);

    if (f == NULL)
        return fail(ctl->identity, why);
    octets = read_all(f, (size_t)st.st_size);
    fclose(f);
    if (octets == NULL)
        return fail(ctl->identity, strerror(errno));
    code = send_file(ctl, octets, &st);
    mkt_wipe(octets, (size_t)st.st_size);
    free(octets);
    return code;
}
