/* SPDX-License-Identifier: Apache-2.0 */
/* A file for each realm, of the records about it and of no others, so that a tenant can be given
 * the evidence of its own (docs/formats/audit.md). Files are opened for each batch: one that
 * logrotate has renamed is simply not the one that is opened next. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit_outlet.h"
#include "chain.h"
#include "octets.h"
#include "realm.h"
#include "trail.h"
#include "write_all.h"

#define TENANTS_MAX 64                /* files open at once */
#define TAIL_MAX (2 * KMS_RECORD_MAX) /* octets: more than any line */
#define DIGITS (2 * KMS_CHAIN_HASH)   /* of a hash */
#define FORMER ",\"former\":\""

struct tenant {
    const char *name; /* in the lines */
    size_t n;
    int fd;
    off_t before; /* octets of the file before this batch */
};

struct realms_sink {
    struct kms_audit_folder folder;
    bool sync;
    uint64_t seq;        /* of the last record that went by; 0: none yet */
    char former[DIGITS]; /* its hash */
    struct tenant tenants[TENANTS_MAX];
    size_t n_tenants;
    struct kms_octets text; /* for one file */
    char tail[TAIL_MAX];
};

static void *
realms_open(const struct kms_config *config, char err[KMS_AUDIT_ERR])
{
    struct realms_sink *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->folder = (struct kms_audit_folder){ config->audit_realms, -1 };
    s->sync = config->audit_sync == 1;
    memset(s->former, '0', sizeof s->former); /* what stands before the first record of a chain */
    if (strcmp(config->audit_realms, config->audit_dir) == 0)
        snprintf(err, KMS_AUDIT_ERR, "audit.realms: that is the folder of audit.file");
    else if (kms_audit_folder_take(&s->folder, true, err))
        return s;
    free(s);
    return NULL;
}

static void
realms_close(void *self)
{
    struct realms_sink *s = self;

    kms_audit_folder_close(&s->folder);
    free(s->text.p);
    free(s);
}

/* --- whose a record is ------------------------------------------------------------------------ */

/* Quotes are escaped in every text of a record, so that only a key of ours looks like one. */
static const char *
find(const char *line, size_t n, const char *key, size_t key_len, size_t *len)
{
    const char *at = memmem(line, n, key, key_len), *end;

    if (at == NULL)
        return NULL;
    at += key_len;
    end = memchr(at, '"', (size_t)(line + n - at));
    *len = end == NULL ? 0 : (size_t)(end - at);
    return at;
}

/* The realms of a record: who sent the message, and whose key the ticket is under if it is another.
 * Number i, or NULL. */
static const char *
realm_of(const char *line, size_t n, int i, size_t *len)
{
    static const char own[] = ",\"realm\":\"", ticket[] = ",\"ticket-realm\":\"";

    return i == 0 ? find(line, n, own, sizeof own - 1, len)
                  : find(line, n, ticket, sizeof ticket - 1, len);
}

static bool
is_about(const char *line, size_t n, const struct tenant *t)
{
    size_t len;

    for (int i = 0; i < 2; i++) {
        const char *name = realm_of(line, n, i, &len);

        if (name != NULL && len == t->n && memcmp(name, t->name, len) == 0)
            return true;
    }
    return false;
}

/* Adds the realms of a line; false when there is no room, or the name is none. */
static bool
add_tenants(struct realms_sink *s, const char *line, size_t n, char *err)
{
    for (int i = 0; i < 2; i++) {
        size_t len, k = 0;
        const char *name = realm_of(line, n, i, &len);

        if (name == NULL)
            continue;
        if (!kms_realm_valid(name, len)) {
            snprintf(err, KMS_AUDIT_ERR, "the name of a realm is none for a file: %.*s",
                     len < 128 ? (int)len : 128, name);
            return false;
        }
        while (k < s->n_tenants &&
               (s->tenants[k].n != len || memcmp(s->tenants[k].name, name, len) != 0))
            k++;
        if (k == TENANTS_MAX)
            return false;
        if (k == s->n_tenants)
            s->tenants[s->n_tenants++] = (struct tenant){ .name = name, .n = len, .fd = -1 };
    }
    return true;
}

/* --- what its file gets ----------------------------------------------------------------------- */

/* A record as it stands in the chain, and behind it the hash before it, if that went by here. */
static bool
put_line(struct kms_octets *o, const char *line, size_t n, const char *former)
{
    static const char end[] = "\"}\n";

    if (former == NULL)
        return kms_octets_append(o, line, n) && kms_octets_append(o, "\n", 1);
    return kms_octets_append(o, line, n - 1) && /* its } */
           kms_octets_append(o, FORMER, sizeof FORMER - 1) &&
           kms_octets_append(o, former, DIGITS) && kms_octets_append(o, end, sizeof end - 1);
}

/* Goes over n octets of lines and gathers those of a tenant in s->text; with NULL, remembers where
 * the chain has come to. False: no memory. */
static bool
gather(struct realms_sink *s, const struct tenant *t, const char *lines, size_t n)
{
    uint64_t seq = s->seq;
    const char *former = s->former, *end;
    bool ok = true;

    s->text.n = 0;
    for (const char *at = lines; ok && at < lines + n; at = end + 1) {
        struct kms_line l;

        end = memchr(at, '\n', (size_t)(lines + n - at));
        end = end == NULL ? lines + n : end;
        if (!kms_line_read(&l, mkt_span(at, (size_t)(end - at))))
            continue;
        if (t != NULL && is_about(at, (size_t)(end - at), t))
            ok = put_line(&s->text, at, (size_t)(end - at), l.seq == seq + 1 ? former : NULL);
        seq = l.seq;
        former = end - 2 - DIGITS;
    }
    if (t == NULL && former != s->former) {
        memcpy(s->former, former, DIGITS);
        s->seq = seq;
    }
    return ok;
}

/* The octets of a file up to the end of its last whole line; -1: it has no lines. */
static off_t
whole_lines(struct realms_sink *s, int fd, off_t size)
{
    size_t n = size < TAIL_MAX ? (size_t)size : TAIL_MAX;
    const char *last;

    if (pread(fd, s->tail, n, size - (off_t)n) != (ssize_t)n)
        return -1;
    last = memrchr(s->tail, '\n', n);
    if (last == NULL)
        return (off_t)n == size ? 0 : -1;
    return size - (off_t)n + (last - s->tail) + 1;
}

/* Opens the file of a tenant, and cuts off what a crash has left of a line. */
static bool
open_file(struct realms_sink *s, struct tenant *t, char *path, size_t cap)
{
    struct stat st;

    snprintf(path, cap, "%s/%.*s.jsonl", s->folder.path, (int)t->n, t->name);
    t->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (t->fd < 0 || fstat(t->fd, &st) != 0)
        return false;
    errno = EINVAL;
    t->before = S_ISREG(st.st_mode) ? whole_lines(s, t->fd, st.st_size) : -1;
    if (t->before < 0 || (t->before < st.st_size && ftruncate(t->fd, t->before) != 0))
        return false;
    if (st.st_size > 0)
        return true;
    return kms_audit_give_away(path) && (!s->sync || fsync(s->folder.fd) == 0);
}

static bool
write_file(struct realms_sink *s, struct tenant *t, const char *lines, size_t n, char *err)
{
    char path[KMS_PATH_MAX + KMS_REALM_MAX + 16];

    if (!gather(s, t, lines, n)) {
        snprintf(err, KMS_AUDIT_ERR, "out of memory");
        return false;
    }
    if (!open_file(s, t, path, sizeof path))
        return kms_audit_fail(err, "%s cannot be opened", path);
    if (mkt_write_all(t->fd, s->text.p, s->text.n) && (!s->sync || fdatasync(t->fd) == 0))
        return true;
    return kms_audit_fail(err, "%s cannot be written", path);
}

/* Closes all files; when the batch failed, none of them keeps any of it. */
static void
close_files(struct realms_sink *s, bool ok)
{
    for (size_t i = 0; i < s->n_tenants; i++) {
        const struct tenant *t = &s->tenants[i];

        if (t->fd < 0)
            continue;
        if (!ok && t->before >= 0)
            (void)!ftruncate(t->fd, t->before); /* else it has some of them twice */
        close(t->fd);
    }
    s->n_tenants = 0;
}

/* As many lines as there are files for; *n is what they have. */
static bool
choose(struct realms_sink *s, const char *lines, size_t *n, char *err)
{
    size_t taken = 0;

    while (taken < *n) {
        const char *end = memchr(lines + taken, '\n', *n - taken);
        size_t line = end == NULL ? *n - taken : (size_t)(end - lines) - taken;
        size_t before = s->n_tenants;

        if (!add_tenants(s, lines + taken, line, err)) {
            s->n_tenants = before;
            break;
        }
        taken += line + (end != NULL);
    }
    *n = taken;
    return taken > 0;
}

static size_t
realms_send(void *self, const char *lines, size_t n, char err[KMS_AUDIT_ERR])
{
    struct realms_sink *s = self;
    size_t taken = 0;
    bool ok = true;

    if (!kms_audit_folder_ours(&s->folder) && !kms_audit_folder_take(&s->folder, false, err))
        return 0;
    while (ok && taken < n) {
        size_t some = n - taken;

        ok = choose(s, lines + taken, &some, err);
        for (size_t i = 0; ok && i < s->n_tenants; i++)
            ok = write_file(s, &s->tenants[i], lines + taken, some, err);
        close_files(s, ok);
        if (ok) {
            (void)gather(s, NULL, lines + taken, some);
            taken += some;
        }
    }
    return taken;
}

const struct kms_outlet_kind kms_outlet_realms = {
    "realms",    KMS_AUDIT_REALMS, offsetof(struct kms_config, audit_realms),
    realms_open, realms_send,      realms_close
};
