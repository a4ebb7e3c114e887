/* SPDX-License-Identifier: Apache-2.0 */
/* See audit_rig.h. */
#include "audit_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_NS 1790000000000000000 /* some moment of 2026 */

int
audit_rig_open(void **state)
{
    struct audit_rig *r = calloc(1, sizeof *r);
    const char *tmp = getenv("TMPDIR");

    *state = r;
    snprintf(r->dir, sizeof r->dir, "%.40s/mikey-audit-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(r->dir));
    snprintf(r->folder, sizeof r->folder, "%s/audit", r->dir);
    r->config = (struct kms_config){ .identity = "sip:kms@example.com",
                                     .audit_size = 1 << 20,
                                     .audit_sync = 1,
                                     .audit_timeout_s = 1 };
    memcpy(r->config.audit_dir, r->folder, sizeof r->folder);
    assert_int_equal(pipe(r->log_pipe), 0);
    kms_log_init(&r->log, r->log_pipe[1], KMS_DEBUG, false);
    r->store = kms_store_open_memory(NULL);
    r->crypto = mkt_crypto_new();
    assert_true(r->store != NULL && r->crypto != NULL);
    return 0;
}

int
audit_rig_close(void **state)
{
    struct audit_rig *r = *state;
    char path[200];

    audit_rig_stop(r);
    for (uint64_t i = 0; i < 64; i++) {
        audit_rig_path(r, i, path);
        unlink(path);
    }
    rmdir(r->folder);
    assert_int_equal(rmdir(r->dir), 0);
    r->store->ops->close(r->store);
    mkt_crypto_free(r->crypto);
    close(r->log_pipe[0]);
    close(r->log_pipe[1]);
    free(r);
    return 0;
}

void
audit_rig_start(struct audit_rig *r)
{
    char err[KMS_AUDIT_ERR];

    if (!kms_audit_open(&r->audit, &r->config, &r->log, r->store, &r->clock, err))
        fail_msg("%s", err);
}

void
audit_rig_stop(struct audit_rig *r)
{
    kms_audit_close(r->audit, NULL);
    r->audit = NULL;
}

bool
audit_rig_note(struct audit_rig *r)
{
    kms_trail_begin(&r->trail, "test", NOW_NS + r->number);
    kms_trail_number(&r->trail, "number", ++r->number);
    kms_trail_octets(&r->trail, "who", mkt_span("a\"\\\n\xff", 5));
    kms_trail_end(&r->trail);
    return kms_audit_commit(r->audit, &r->trail);
}

void
audit_rig_notes(struct audit_rig *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_true(audit_rig_note(r));
}

bool
audit_rig_resumes(struct audit_rig *r)
{
    for (int i = 0; i < 500; i++) {
        if (!kms_audit_down(r->audit))
            return audit_rig_note(r);
        poll(NULL, 0, 10);
    }
    return false;
}

static void
note_damage(void *ctx, const char *file, uint64_t line, const char *text)
{
    struct audit_rig *r = ctx;

    (void)file;
    (void)line;
    if (r->damage[0] == '\0')
        snprintf(r->damage, sizeof r->damage, "%s", text);
}

static bool
take_seal(void *ctx, const struct kms_head *seal)
{
    *(struct kms_head *)ctx = *seal;
    return true;
}

uint64_t
audit_rig_damages(struct audit_rig *r)
{
    struct kms_head seal = { 0 };
    const struct kms_sink sink = { .seal = take_seal, .ctx = &seal };
    struct kms_walk w = {
        .crypto = r->crypto, .dir = r->folder, .seal = &seal, .damage = note_damage, .ctx = r
    };
    struct kms_store_err err;
    uint64_t *numbers;
    size_t n;

    r->damage[0] = '\0';
    assert_int_equal(r->store->ops->read(r->store, &sink, false, &err), KMS_STORE_OK);
    assert_true(kms_segments(r->folder, &numbers, &n));
    for (size_t i = 0; i < n; i++)
        assert_true(kms_walk_file(&w, numbers[i]));
    kms_walk_end(&w);
    free(numbers);
    return w.damages;
}

void
audit_rig_path(const struct audit_rig *r, uint64_t segment, char path[200])
{
    char name[40];

    kms_segment_name(segment, name);
    snprintf(path, 200, "%s/%s", r->folder, name);
}

size_t
audit_rig_read(struct audit_rig *r, uint64_t segment)
{
    char path[200];
    size_t n;
    FILE *f;

    audit_rig_path(r, segment, path);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(r->text, 1, sizeof r->text - 1, f);
    fclose(f);
    r->text[n] = '\0';
    return n;
}

void
audit_rig_write(struct audit_rig *r, uint64_t segment, const char *p, size_t n)
{
    char path[200];
    FILE *f;

    audit_rig_path(r, segment, path);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

const char *
audit_rig_logged(struct audit_rig *r)
{
    ssize_t n;

    assert_int_equal(write(r->log_pipe[1], "", 1), 1);
    n = read(r->log_pipe[0], r->logged, sizeof r->logged - 1);
    assert_true(n > 0);
    r->logged[n] = '\0';
    return r->logged;
}
