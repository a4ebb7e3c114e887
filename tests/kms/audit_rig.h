/* SPDX-License-Identifier: Apache-2.0 */
/* A real audit in a folder of its own, without a daemon around it. */
#ifndef TESTS_KMS_AUDIT_RIG_H
#define TESTS_KMS_AUDIT_RIG_H

#include "audit.h"

struct audit_rig {
    char dir[64], folder[96]; /* folder: of the audit, in dir */
    struct kms_config config;
    struct kms_log log;
    struct kms_store *store;
    struct kms_store_clock clock;
    struct kms_audit *audit;
    struct kms_trail trail;
    struct mkt_crypto *crypto;
    int log_pipe[2];
    char text[65536], logged[65536];
    unsigned number;  /* of the last record */
    char damage[256]; /* the first that a walk found */
};

/* audit_rig_open and audit_rig_close set up and tear down a test; *state is a struct audit_rig with
 * a folder and a store, and no audit yet. */
int audit_rig_open(void **state);
int audit_rig_close(void **state);

/* audit_rig_start starts the audit as it is configured, audit_rig_stop ends it in order. */
void audit_rig_start(struct audit_rig *r);
void audit_rig_stop(struct audit_rig *r);

/* audit_rig_note commits a record; audit_rig_notes n of them, which must succeed. */
bool audit_rig_note(struct audit_rig *r);
void audit_rig_notes(struct audit_rig *r, unsigned n);

/* audit_rig_resumes waits until records can be committed again: false after five seconds. */
bool audit_rig_resumes(struct audit_rig *r);

/* audit_rig_damages walks all segments against the store's seal and returns what is wrong. */
uint64_t audit_rig_damages(struct audit_rig *r);

/* audit_rig_read reads a segment into r->text and returns its length; audit_rig_write writes one.
 */
size_t audit_rig_read(struct audit_rig *r, uint64_t segment);
void audit_rig_write(struct audit_rig *r, uint64_t segment, const char *p, size_t n);
void audit_rig_path(const struct audit_rig *r, uint64_t segment, char path[200]);

/* audit_rig_logged returns what was logged since the last call. */
const char *audit_rig_logged(struct audit_rig *r);

#endif
