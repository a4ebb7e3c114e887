/* SPDX-License-Identifier: Apache-2.0 */
/* backup, restore and verify. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <mikeyticket/env.h>
#include <mikeyticket/secret.h>

#include "audit_folder.h"
#include "backup.h"
#include "ctl_call.h"
#include "ctl_secret.h"
#include "instant.h"
#include "kmsctl.h"
#include "progress.h"

static enum kms_exit
fail(const char *text)
{
    fprintf(stderr, "mikey-kmsctl: %s\n", text);
    return KMS_EXIT_FAILED;
}

/* --- commands --------------------------------------------------------------------------------- */

/* What there is now: a file, or a store; and the moment that it is of. */
static void
tell_json(const char *what, const char *name, int64_t created)
{
    char at[32];

    kms_instant_write(created, at);
    kms_ctl_result(json_pack("{s:s, s:s}", what, name, "created", at));
}

enum kms_exit
kms_ctl_backup(const struct kms_ctl *ctl)
{
    struct mkt_progress taking = { "reading", 0 }, writing = { "sealing", 0 };
    struct kms_store_err store_err = { 0 };
    enum kms_exit code = KMS_EXIT_FAILED;
    char err[KMS_BACKUP_ERR];
    struct kms_snapshot s = { 0 };
    struct kms_ctl_words w = { .n = 0 };
    const int64_t now = time(NULL);

    if (ctl->out == NULL)
        return kms_ctl_misuse("--out FILE is needed");
    if (!kms_ctl_secret(ctl, "Passphrase of the backup", true, &w))
        goto done;
    if (kms_snapshot_take(&s, ctl->config->store, mkt_progress_show, &taking, &store_err) !=
        KMS_STORE_OK)
        code = kms_ctl_fail(&store_err);
    else if ((code = kms_ctl_note(ctl, "backup", ctl->out)) != KMS_EXIT_OK)
        (void)code; /* it was said why */
    else if (!kms_backup_write(ctl->out, &s, mkt_span(w.octets, w.n), now, mkt_progress_show,
                               &writing, err))
        code = fail(err);
    else
        code = KMS_EXIT_OK;
    if (code == KMS_EXIT_OK && ctl->json)
        tell_json("file", ctl->out, now);
    else if (code == KMS_EXIT_OK)
        printf("%s holds the store as it is now, sealed. Without its secret it is worth nothing.\n",
               ctl->out);
done:
    kms_snapshot_free(&s);
    mkt_wipe(&w, sizeof w);
    return code;
}

/* A daemon without a control socket is known by its audit. */
static bool
audit_is_written(const char *path)
{
    struct kms_audit_folder f = { path, -1 };
    char err[KMS_AUDIT_ERR];
    bool taken =
        path[0] != '\0' && !kms_audit_folder_take(&f, false, err) && strstr(err, KMS_AUDIT_TAKEN);

    kms_audit_folder_close(&f);
    return taken;
}

static bool
daemon_runs(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool runs = false;

    if (fd >= 0 && path[0] != '\0' && strlen(path) < sizeof to.sun_path) {
        memcpy(to.sun_path, path, strlen(path) + 1);
        runs = connect(fd, (const struct sockaddr *)&to, sizeof to) == 0;
    }
    if (fd >= 0)
        close(fd);
    return runs;
}

static enum kms_exit
open_backup(const struct kms_ctl *ctl, struct kms_snapshot *s, int64_t *created)
{
    struct mkt_progress reading = { "opening", 0 };
    char err[KMS_BACKUP_ERR];
    struct kms_ctl_words w = { .n = 0 };
    enum kms_exit code = KMS_EXIT_FAILED;

    if (kms_ctl_secret(ctl, "Passphrase of the backup", false, &w))
        code = kms_backup_read(ctl->identity, s, mkt_span(w.octets, w.n), created,
                               mkt_progress_show, &reading, err)
                   ? KMS_EXIT_OK
                   : fail(err);
    mkt_wipe(&w, sizeof w);
    return code;
}

static void
ignore_table(void *ctx, const char *name, int64_t rows)
{
    (void)ctx;
    (void)name;
    (void)rows;
}

enum kms_exit
kms_ctl_restore(const struct kms_ctl *ctl)
{
    struct mkt_progress writing = { "writing", 0 };
    struct kms_store_err err = { 0 };
    struct kms_snapshot s = { 0 };
    enum kms_exit code;
    int64_t created;
    char at[32];

    if (daemon_runs(ctl->config->control) || audit_is_written(ctl->config->audit_dir))
        return fail("the daemon runs: stop it first");
    code = open_backup(ctl, &s, &created);
    if (code == KMS_EXIT_OK && (kms_snapshot_check(&s, ignore_table, NULL, &err) != KMS_STORE_OK ||
                                kms_snapshot_put(&s, ctl->config->store, mkt_progress_show,
                                                 &writing, &err) != KMS_STORE_OK))
        code = kms_ctl_fail(&err);
    kms_snapshot_free(&s);
    if (code != KMS_EXIT_OK)
        return code;
    kms_instant_write(created, at);
    if (ctl->json)
        tell_json("store", ctl->config->store, created);
    else
        printf("%s is as it was at %s\n", ctl->config->store, at);
    return kms_ctl_note(ctl, "restore", ctl->identity); /* there was no store before */
}

static void
tell_table(void *ctx, const char *name, int64_t rows)
{
    const struct kms_ctl *ctl = ctx;

    if (ctl->json) {
        putchar(',');
        kms_ctl_json(name);
        printf(":%lld", (long long)rows);
    } else {
        printf("%-20s %lld\n", name, (long long)rows);
    }
}

enum kms_exit
kms_ctl_verify(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    struct kms_snapshot s = { 0 };
    int64_t created;
    char at[32];
    enum kms_exit code = open_backup(ctl, &s, &created);

    if (code != KMS_EXIT_OK)
        return code;
    kms_instant_write(created, at);
    printf(ctl->json ? "{\"created\":\"%s\"" : "created              %s\n", at);
    if (kms_snapshot_check(&s, tell_table, (void *)(uintptr_t)ctl, &err) != KMS_STORE_OK)
        code = kms_ctl_fail(&err);
    if (ctl->json)
        printf(",\"sound\":%s}\n", code == KMS_EXIT_OK ? "true" : "false");
    else if (code == KMS_EXIT_OK)
        puts("the backup is whole and sound");
    kms_snapshot_free(&s);
    return code;
}
