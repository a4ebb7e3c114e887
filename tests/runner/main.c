/* SPDX-License-Identifier: Apache-2.0 */
/* mkt-vectors FOLDER...: runs every test vector in the folders and in the folders below them. What
 * a file is comes from its contents, never from its name. The last line is the count. */
#include "runner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Attributes of every vector that are for its reader. */
static void
read_heading(struct rn *r)
{
    static const char *const info[] = { "title", "rfc", "hidden", "notes" };
    for (size_t i = 0; i < sizeof info / sizeof info[0]; i++)
        rn_info(r, r->doc.root, info[i]);
    rn_str(r, r->doc.root, "name");
}

static void
run_positive(struct rn *r, const char *kind)
{
    const char *skipped = NULL, *suite = rn_str(r, r->doc.root, "suite");
    if (strcmp(suite, "128") != 0 && strcmp(suite, "256") != 0)
        rn_fail(r, "suite", "%s is not known", suite);
    if (strcmp(kind, "kdf") == 0 || strcmp(kind, "crypto") == 0)
        rn_run_plain(r);
    else if (strcmp(kind, "encoding") == 0)
        rn_run_encoding(r);
    else if (strcmp(kind, "flow") == 0 || strcmp(kind, "error") == 0)
        skipped = rn_run_flow(r);
    else
        rn_fail(r, "kind", "%s is not known", kind);
    if (skipped == NULL && r->faults == 0)
        rn_unread(r, r->doc.root, "");
    if (skipped == NULL || r->faults != 0) {
        if (rn_case_end(r))
            printf("ok   %s\n", r->file);
        return;
    }
    r->skipped++;
    printf("skip %s: needs %s\n", r->file, skipped);
}

/* An index is a list of what the folder holds; nothing in it is a vector. */
static bool
is_index(const struct rn *r)
{
    return json_is_array(r->doc.root);
}

static void
run_file(struct rn *r, const char *path)
{
    r->file = path;
    r->faults = 0;
    if (!rn_doc_load(r, path)) {
        rn_case_end(r);
    } else if (!is_index(r)) {
        const char *kind = rn_str(r, r->doc.root, "kind");
        read_heading(r);
        if (strcmp(kind, "negative") == 0)
            rn_run_negative(r);
        else
            run_positive(r, kind);
    }
    fflush(stdout);
    rn_doc_free(r);
}

static bool
ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool
run_path(struct rn *r, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        return false;
    }
    if (!S_ISDIR(st.st_mode)) {
        run_file(r, path);
        return true;
    }
    struct dirent **entry;
    int n = scandir(path, &entry, NULL, alphasort);
    bool ok = n >= 0;
    for (int i = 0; i < n; i++) {
        char *below;
        if (entry[i]->d_name[0] != '.' && asprintf(&below, "%s/%s", path, entry[i]->d_name) >= 0) {
            if (ends_with(below, ".json") || (stat(below, &st) == 0 && S_ISDIR(st.st_mode)))
                ok = run_path(r, below) && ok;
            free(below);
        }
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return ok;
}

int
main(int argc, char **argv)
{
    struct rn r = { .crypto = mkt_crypto_new() };
    bool ok = argc > 1 && r.crypto != NULL;
    if (argc < 2)
        fputs("usage: mkt-vectors FOLDER...\n", stderr);
    for (int i = 1; ok && i < argc; i++)
        ok = run_path(&r, argv[i]);
    mkt_crypto_free(r.crypto);
    printf("%lu passed, %lu failed, %lu skipped\n", r.passed, r.failed, r.skipped);
    /* a folder without vectors proves nothing */
    return ok && r.failed == 0 && r.passed + r.skipped != 0 ? 0 : 1;
}
