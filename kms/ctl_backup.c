/* SPDX-License-Identifier: Apache-2.0 */
/* backup, restore and verify. The secret comes from a file, or is asked for at the terminal; it is
 * never an argument, which other users of the machine could see. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <mikeyticket/env.h>
#include <mikeyticket/secret.h>

#include "backup.h"
#include "instant.h"
#include "kmsctl.h"
#include "progress.h"

#define SECRET_MIN 12
#define SECRET_MAX 1024

struct words {
    char octets[SECRET_MAX];
    size_t n;
};

/* --- the secret ------------------------------------------------------------------------------- */

static enum kms_exit
fail(const char *text)
{
    fprintf(stderr, "mikey-kmsctl: %s\n", text);
    return KMS_EXIT_FAILED;
}

/* Up to the first newline. */
static bool
take_line(int fd, struct words *w)
{
    ssize_t got = 1;
    char *newline = NULL;

    for (w->n = 0; newline == NULL && w->n < sizeof w->octets && got > 0;) {
        got = read(fd, w->octets + w->n, sizeof w->octets - w->n);
        if (got > 0)
            w->n += (size_t)got;
        newline = memchr(w->octets, '\n', w->n);
    }
    if (newline != NULL)
        w->n = (size_t)(newline - w->octets);
    return got >= 0 && w->n < sizeof w->octets;
}

static bool
secret_of_file(const char *path, struct words *w)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    bool ok = fd >= 0 && fstat(fd, &st) == 0;

    if (!ok)
        fprintf(stderr, "mikey-kmsctl: %s: %s\n", path, strerror(errno));
    else if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
        ok = fail("the secret can be read by others: chmod 600 its file") == KMS_EXIT_OK;
    else if (!take_line(fd, w))
        ok = fail("the secret cannot be read, or is longer than 1023 octets") == KMS_EXIT_OK;
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool
ask_once(int tty, const char *prompt, struct words *w)
{
    struct termios shown, hidden;
    bool ok;

    if (tcgetattr(tty, &shown) != 0)
        return false;
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(tty, TCSAFLUSH, &hidden); /* before the prompt: what was typed earlier is dropped */
    dprintf(tty, "%s: ", prompt);
    ok = take_line(tty, w);
    tcsetattr(tty, TCSADRAIN, &shown);
    dprintf(tty, "\n");
    return ok;
}

static bool
secret_of_terminal(bool twice, struct words *w)
{
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct words again = { .n = 0 };
    bool ok = tty >= 0 && ask_once(tty, "Passphrase of the backup", w);

    if (!ok) {
        fail("there is no terminal to ask for the passphrase: give --secret FILE");
    } else if (twice &&
               (!ask_once(tty, "Once more", &again) || again.n != w->n ||
                !mkt_ct_equal(mkt_span(again.octets, again.n), mkt_span(w->octets, w->n)))) {
        ok = fail("the passphrases differ") == KMS_EXIT_OK;
    }
    mkt_wipe(&again, sizeof again);
    if (tty >= 0)
        close(tty);
    return ok;
}

static bool
take_secret(const struct kms_ctl *ctl, bool fresh, struct words *w)
{
    if (ctl->secret != NULL ? !secret_of_file(ctl->secret, w) : !secret_of_terminal(fresh, w))
        return false;
    return w->n >= SECRET_MIN || fail("a secret has at least 12 characters") == KMS_EXIT_OK;
}

/* --- commands --------------------------------------------------------------------------------- */

enum kms_exit
kms_ctl_backup(const struct kms_ctl *ctl)
{
    struct kms_progress taking = { "reading", 0 }, writing = { "sealing", 0 };
    struct kms_store_err store_err = { 0 };
    enum kms_exit code = KMS_EXIT_FAILED;
    char err[KMS_BACKUP_ERR];
    struct kms_snapshot s = { 0 };
    struct words w = { .n = 0 };

    if (ctl->out == NULL)
        return kms_ctl_misuse("--out FILE is needed");
    if (!take_secret(ctl, true, &w))
        goto done;
    if (kms_snapshot_take(&s, ctl->config->store, kms_progress_show, &taking, &store_err) !=
        KMS_STORE_OK)
        code = kms_ctl_fail(&store_err);
    else if (!kms_backup_write(ctl->out, &s, mkt_span(w.octets, w.n), time(NULL), kms_progress_show,
                               &writing, err))
        code = fail(err);
    else
        code = KMS_EXIT_OK;
    if (code == KMS_EXIT_OK)
        printf("%s holds the store as it is now, sealed. Without its secret it is worth nothing.\n",
               ctl->out);
done:
    kms_snapshot_free(&s);
    mkt_wipe(&w, sizeof w);
    return code;
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
    struct kms_progress reading = { "opening", 0 };
    char err[KMS_BACKUP_ERR];
    struct words w = { .n = 0 };
    enum kms_exit code = KMS_EXIT_FAILED;

    if (take_secret(ctl, false, &w))
        code = kms_backup_read(ctl->identity, s, mkt_span(w.octets, w.n), created,
                               kms_progress_show, &reading, err)
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
    struct kms_progress writing = { "writing", 0 };
    struct kms_store_err err = { 0 };
    struct kms_snapshot s = { 0 };
    enum kms_exit code;
    int64_t created;
    char at[32];

    if (daemon_runs(ctl->config->control))
        return fail("the daemon runs: stop it first");
    code = open_backup(ctl, &s, &created);
    if (code == KMS_EXIT_OK && (kms_snapshot_check(&s, ignore_table, NULL, &err) != KMS_STORE_OK ||
                                kms_snapshot_put(&s, ctl->config->store, kms_progress_show,
                                                 &writing, &err) != KMS_STORE_OK))
        code = kms_ctl_fail(&err);
    kms_snapshot_free(&s);
    if (code != KMS_EXIT_OK)
        return code;
    kms_instant_write(created, at);
    printf("%s is as it was at %s\n", ctl->config->store, at);
    return KMS_EXIT_OK;
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
