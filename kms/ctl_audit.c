/* SPDX-License-Identifier: Apache-2.0 */
/* audit verify: the segments of a folder against themselves, and against what the store remembers.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kmsctl.h"

#define SEALS_MAX 64
#define TRIES 5 /* a daemon may be in the middle of a record */

struct verify {
    const struct kms_ctl *ctl;
    struct mkt_crypto *crypto;
    struct kms_head seals[SEALS_MAX];
    bool found[SEALS_MAX];
    size_t n_seals, n_segments;
    uint64_t records, damages;
    bool quiet; /* only counting */
};

static bool
take_seal(void *ctx, const struct kms_head *seal)
{
    struct verify *v = ctx;

    if (v->n_seals < SEALS_MAX)
        v->seals[v->n_seals++] = *seal;
    return true;
}

static void
say_damage(void *ctx, const char *file, uint64_t line, const char *text)
{
    struct verify *v = ctx;

    if (v->quiet)
        return;
    if (v->ctl->json) {
        printf("%s\n  {\"file\": ", v->damages == 0 ? "" : ",");
        kms_ctl_json(file);
        printf(", \"line\": %" PRIu64 ", \"what\": ", line);
        kms_ctl_json(text);
        putchar('}');
    } else if (line > 0) {
        printf("%s:%" PRIu64 ": %s\n", file, line, text);
    } else {
        printf("%s: %s\n", file, text);
    }
    v->damages++;
}

/* The seal of the chain that a folder holds; NULL when the store knows nothing of it. */
static const struct kms_head *
seal_of(struct verify *v, const char *dir, const uint64_t *numbers, size_t n)
{
    char chain[KMS_CHAIN_ID] = "";

    for (size_t i = 0; i < n && !kms_segment_chain(dir, numbers[i], chain); i++)
        ;
    for (size_t i = 0; i < v->n_seals; i++)
        if (strcmp(v->seals[i].chain, chain) == 0) {
            v->found[i] = true;
            return &v->seals[i];
        }
    return NULL;
}

static bool
walk(struct kms_walk *w, const uint64_t *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!kms_walk_file(w, numbers[i])) {
            fprintf(stderr, "mikey-kmsctl: segment %" PRIu64 " of %s cannot be read: %s\n",
                    numbers[i], w->dir, strerror(errno));
            return false;
        }
    kms_walk_end(w);
    return true;
}

static bool
verify_folder(struct verify *v, const char *dir)
{
    const struct timespec nap = { 0, 100000000 };
    struct kms_walk w;
    uint64_t *numbers;
    bool ok = true;
    size_t n = 0;

    if (!kms_segments(dir, &numbers, &n)) {
        fprintf(stderr, "mikey-kmsctl: %s cannot be read: %s\n", dir, strerror(errno));
        return false;
    }
    for (int tries = 0; ok && tries <= TRIES; tries++) {
        v->quiet = tries < TRIES; /* once without words, until the end is whole */
        w = (struct kms_walk){ .crypto = v->crypto,
                               .dir = dir,
                               .seal = seal_of(v, dir, numbers, n),
                               .damage = say_damage,
                               .ctx = v,
                               .trust_first = v->ctl->partial };
        ok = walk(&w, numbers, n);
        if (v->quiet && (w.size == w.end || n == 0))
            tries = TRIES - 1;
        else if (v->quiet)
            nanosleep(&nap, NULL);
    }
    free(numbers);
    v->records += w.records;
    v->n_segments += n;
    return ok;
}

/* A chain that the store remembers and that is nowhere. */
static void
miss_chains(struct verify *v)
{
    char text[128];

    for (size_t i = 0; i < v->n_seals; i++) {
        if (v->found[i])
            continue;
        snprintf(text, sizeof text, "the chain %s with %" PRIu64 " records is missing",
                 v->seals[i].chain, v->seals[i].seq);
        say_damage(v, v->ctl->config->audit_dir, 0, text);
    }
}

static enum kms_exit
verify_all(struct verify *v)
{
    bool ok = v->ctl->config->audit_dir[0] == '\0' || verify_folder(v, v->ctl->config->audit_dir);

    for (size_t i = 0; ok && i < v->ctl->n_dirs; i++)
        ok = verify_folder(v, v->ctl->dirs[i]);
    if (!ok)
        return KMS_EXIT_FAILED;
    miss_chains(v);
    return v->damages == 0 ? KMS_EXIT_OK : KMS_EXIT_FAILED;
}

enum kms_exit
kms_ctl_audit_verify(const struct kms_ctl *ctl)
{
    struct verify *v = calloc(1, sizeof *v);
    const struct kms_sink sink = { .seal = take_seal, .ctx = v };
    struct kms_store_err err = { 0 };
    enum kms_exit code = KMS_EXIT_FAILED;

    if (v == NULL)
        return code;
    v->ctl = ctl;
    v->crypto = mkt_crypto_new();
    if (ctl->json)
        printf("{\"damages\": [");
    if (v->crypto == NULL)
        fputs("mikey-kmsctl: out of memory\n", stderr);
    else if (ctl->store->ops->read(ctl->store, &sink, false, &err) != KMS_STORE_OK)
        code = kms_ctl_fail(&err);
    else
        code = verify_all(v);
    if (ctl->json)
        printf("%s], \"segments\": %zu, \"records\": %" PRIu64 "}\n", v->damages == 0 ? "" : "\n",
               v->n_segments, v->records);
    else if (code == KMS_EXIT_OK)
        printf("%" PRIu64 " records in %zu segment%s: nothing was changed and nothing is missing\n",
               v->records, v->n_segments, v->n_segments == 1 ? "" : "s");
    else if (v->damages > 0)
        fprintf(stderr, "mikey-kmsctl: the audit is damaged (%" PRIu64 ")\n", v->damages);
    mkt_crypto_free(v->crypto);
    free(v);
    return code;
}
