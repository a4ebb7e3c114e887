/* SPDX-License-Identifier: Apache-2.0 */
/* Beginning and end of the audit: the chain of the run before is read, held against what the store
 * remembers of it, and continued. */
#include <errno.h> /* program_invocation_short_name */
#include <inttypes.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "audit_parts.h"
#include "hex.h"

static void
wake_keeper(void *ctx)
{
    struct kms_audit *a = ctx;

    (void)eventfd_write(a->wake, 1);
}

static const struct kms_outlet_kind *const outlet_kinds[KMS_OUTLETS] = { &kms_outlet_syslog,
                                                                         &kms_outlet_http,
                                                                         &kms_outlet_realms };

static bool
open_outlets(struct kms_audit *a, char *err)
{
    for (size_t k = 0; k < KMS_OUTLETS; k++) {
        const struct kms_outlet_kind *kind = outlet_kinds[k];
        size_t i = a->n_outlets;

        if (((const char *)a->config)[kind->target] == '\0')
            continue;
        a->required[i] = (a->config->audit_optional >> kind->sink & 1) == 0;
        a->outlets[i] = kms_outlet_open(kind, a->config, a->required[i], wake_keeper, a, err);
        if (a->outlets[i] == NULL)
            return false;
        a->n_outlets++;
    }
    return true;
}

/* Whether there is any sink. */
static bool
wanted(const struct kms_config *config)
{
    bool any = config->audit_dir[0] != '\0';

    for (size_t k = 0; k < KMS_OUTLETS; k++)
        any = any || ((const char *)config)[outlet_kinds[k]->target] != '\0';
    return any;
}

/* The seal of a chain, or of any when the name is "". */
static bool
take_seal(void *ctx, const struct kms_head *seal)
{
    struct kms_head *wanted = ctx;

    if (wanted->chain[0] == '\0' || strcmp(wanted->chain, seal->chain) == 0)
        *wanted = *seal;
    return true;
}

/* The chain of the folder, which the store may know; "" when there is none. */
static void
peek_chain(const char *dir, char chain[KMS_CHAIN_ID])
{
    uint64_t *numbers;
    size_t n;

    chain[0] = '\0';
    if (!kms_segments(dir, &numbers, &n))
        return;
    while (n > 0 && !kms_segment_chain(dir, numbers[--n], chain))
        ;
    free(numbers);
}

/* What is wrong with the records of the run before, in one line; "" when nothing is. */
static void
judge(const struct kms_head *seal, const struct kms_audit_found *found, char text[512])
{
    text[0] = '\0';
    if (found->damages > 0)
        snprintf(text, 512, "%s", found->first);
    else if (found->head.chain[0] == '\0' && seal->chain[0] != '\0')
        snprintf(text, 512, "the chain %s with %" PRIu64 " records is not in the folder",
                 seal->chain, seal->seq);
    else if (found->head.seq < seal->seq && strcmp(found->head.chain, seal->chain) == 0)
        snprintf(text, 512, "the end is missing: records %" PRIu64 " to %" PRIu64,
                 found->head.seq + 1, seal->seq);
}

static bool
new_chain(struct kms_audit *a)
{
    uint8_t id[16];

    memset(&a->head, 0, sizeof a->head);
    a->rotate = true;
    if (!mkt_crypto_random(NULL, id, sizeof id))
        return false;
    kms_hex_write(a->head.chain, id, sizeof id);
    return true;
}

static void
note_start(struct kms_audit *a, const struct kms_audit_found *found, const char *damage)
{
    struct kms_trail *t = a->note;

    kms_trail_begin(t, "start", kms_store_clock_ns(a->clock));
    kms_trail_text(t, "program", program_invocation_short_name);
    kms_trail_text(t, "version", mkt_version());
    kms_trail_text(t, "kms", a->config->identity);
    if (found->torn > 0)
        kms_trail_number(t, "torn", found->torn);
    if (damage[0] != '\0')
        kms_trail_text(t, "damage", damage);
    kms_trail_end(t);
    kms_audit_note(a, t);
    if (found->torn > 0)
        KMS_LOG(a->log, KMS_WARN, "audit-repaired", kms_text("file", a->file.path),
                kms_number("octets", (int64_t)found->torn));
    if (damage[0] != '\0')
        KMS_LOG(a->log, KMS_ERROR, "audit-damaged", kms_text("what", damage),
                kms_text("hint", "mikey-kmsctl audit verify"));
}

/* Continues the chain of the folder, or begins one. */
static bool
open_file(struct kms_audit *a, char *err)
{
    const struct kms_sink sink = { .seal = take_seal, .ctx = &a->sealed };
    struct kms_store_err store_err = { 0 };
    struct kms_audit_found found = { 0 };
    char damage[512];

    a->has_file = a->config->audit_dir[0] != '\0';
    if (a->has_file)
        peek_chain(a->config->audit_dir, a->sealed.chain);
    if (a->store->ops->read(a->store, &sink, false, &store_err) != KMS_STORE_OK) {
        snprintf(err, KMS_AUDIT_ERR, "%s", store_err.text);
        return false;
    }
    if (a->has_file && !kms_audit_file_open(&a->file, a->config->audit_dir, a->config->audit_sync,
                                            a->crypto, &a->sealed, &found, err))
        return false;
    a->former_ns = found.latest_ns;
    judge(&a->sealed, &found, damage);
    if (found.head.chain[0] == '\0') {
        if (!new_chain(a))
            return false;
        memset(&a->sealed, 0, sizeof a->sealed);
    } else {
        a->head = found.head;
        a->rotate = damage[0] != '\0';
        if (a->sealed.seq > a->head.seq)
            a->head.seq = a->sealed.seq; /* numbers are not given twice: the gap stays seen */
    }
    if (!a->has_file)
        damage[0] = '\0';
    note_start(a, &found, damage);
    return true;
}

int64_t
kms_audit_former(const struct kms_audit *a)
{
    return a == NULL ? 0 : a->former_ns;
}

static void
free_audit(struct kms_audit *a)
{
    for (size_t i = 0; i < a->n_outlets; i++) {
        const char *name = kms_outlet_name(a->outlets[i]);

        if (kms_outlet_close(a->outlets[i]) > 0)
            KMS_LOG(a->log, KMS_ERROR, "audit-unsent", kms_text("sink", name));
    }
    if (a->has_file)
        kms_audit_file_close(&a->file);
    if (a->wake >= 0)
        close(a->wake);
    if (a->seal_stop >= 0)
        close(a->seal_stop);
    mkt_crypto_free(a->crypto);
    pthread_cond_destroy(&a->moved);
    pthread_mutex_destroy(&a->lock);
    free(a->pending.p);
    free(a->taken.p);
    free(a->lines.p);
    free(a->note);
    free(a);
}

static void
stop_keeper(struct kms_audit *a)
{
    atomic_store(&a->stopping, true);
    (void)eventfd_write(a->wake, 1);
    pthread_join(a->keeper, NULL);
}

bool
kms_audit_open(struct kms_audit **audit, const struct kms_config *config, struct kms_log *log,
               struct kms_store *store, const struct kms_store_clock *clock,
               char err[KMS_AUDIT_ERR])
{
    struct kms_audit *a;
    bool ok;

    *audit = NULL;
    if (!wanted(config))
        return true;
    snprintf(err, KMS_AUDIT_ERR, "no memory or no threads");
    a = calloc(1, sizeof *a);
    if (a == NULL)
        return false;
    a->config = config;
    a->log = log;
    a->store = store;
    a->clock = clock;
    a->crypto = mkt_crypto_new();
    a->note = calloc(1, sizeof *a->note);
    a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    a->seal_stop = -1;
    a->file = (struct kms_audit_file){ .folder = { NULL, -1 }, .fd = -1 };
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->moved, NULL);
    ok = a->crypto != NULL && a->note != NULL && a->wake >= 0 && open_file(a, err) &&
         open_outlets(a, err);
    if (ok) {
        pthread_mutex_lock(&a->lock);
        kms_audit_lead(
            a); /* the first record; when it fails, requests are refused until it does not */
        pthread_mutex_unlock(&a->lock);
        ok = pthread_create(&a->keeper, NULL, kms_audit_keep, a) == 0;
        if (ok && !kms_audit_seal_start(a)) {
            stop_keeper(a);
            ok = false;
        }
    }
    if (!ok)
        free_audit(a);
    else
        *audit = a;
    return ok;
}

void
kms_audit_close(struct kms_audit *a, struct kms_trail *note)
{
    if (a == NULL)
        return;
    kms_audit_seal_stop(a);
    stop_keeper(a);
    if (atomic_load(&a->down))
        kms_audit_resume(a);
    if (note != NULL && !atomic_load(&a->down)) {
        pthread_mutex_lock(&a->lock);
        kms_audit_note(a, note);
        kms_audit_lead(a);
        pthread_mutex_unlock(&a->lock);
    }
    kms_audit_seal(a);
    free_audit(a);
}
