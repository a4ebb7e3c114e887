/* SPDX-License-Identifier: Apache-2.0 */
/* How mikey-kmsctl has something done: by the running daemon over its control socket, or where none
 * runs by the same table of endpoints in this process. */
#ifndef KMS_CTL_CALL_H
#define KMS_CTL_CALL_H

#include <jansson.h>

#include "kmsctl.h"

#define KMS_CTL_TARGET 16384 /* octets of a path with its query */

/* kms_ctl_target writes a path whose {} are replaced by the texts, percent-encoded. False: too
 * long. kms_ctl_parameter adds one of the query; text NULL: not. */
bool kms_ctl_target(char target[KMS_CTL_TARGET], const char *path, const char *first,
                    const char *second);
bool kms_ctl_parameter(char target[KMS_CTL_TARGET], const char *name, const char *text);

/* kms_ctl_call has it done; body, which it takes, may be NULL. OK: *answer, to be decref'd, is what
 * came. Else it was said why not; unless status is given: it gets the status (0: nobody answered,
 * which was said), and *answer the problem. */
enum kms_exit kms_ctl_call(const struct kms_ctl *ctl, const char *method, const char *target,
                           json_t *body, json_t **answer, unsigned *status);

/* kms_ctl_octets is a call with n octets of a type as its body. progress may be NULL. */
enum kms_exit kms_ctl_octets(const struct kms_ctl *ctl, const char *method, const char *target,
                             const char *type, const char *octets, size_t n,
                             void (*progress)(void *ctx, uint64_t done, uint64_t all), void *ctx,
                             json_t **answer);

/* kms_ctl_dump and kms_ctl_compact print JSON between two texts. kms_ctl_call_end gives back what
 * calls in this process have taken. */
void kms_ctl_dump(const json_t *v, const char *before, const char *after);
void kms_ctl_compact(const json_t *v, const char *before, const char *after);

/* kms_ctl_result prints what was done as a line of JSON, and takes it. */
void kms_ctl_result(json_t *v);
void kms_ctl_call_end(void);

/* kms_ctl_note puts on record what is done to files of this machine: not OK, and it was said why,
 * when it must not be done. */
enum kms_exit kms_ctl_note(const struct kms_ctl *ctl, const char *what, const char *which);

/* kms_ctl_wish makes a body of --as, --to, --flags, --validity, --key, --suite and --ticket-type.
 */
json_t *kms_ctl_wish(const struct kms_ctl *ctl);

/* kms_ctl_daemon tells whether a daemon listens. */
bool kms_ctl_daemon(const struct kms_ctl *ctl);

/* kms_ctl_put adds a text to a body, unless it is NULL. */
void kms_ctl_put(json_t *body, const char *key, const char *text);

/* kms_ctl_change has something changed that an answer says little about: prints the four parts of
 * `done`, and ", as before" when nothing was; or the answer as JSON. body may be NULL. */
enum kms_exit kms_ctl_change(const struct kms_ctl *ctl, const char *method, const char *path,
                             const char *first, const char *second, json_t *body,
                             const char *const done[4]);
#define KMS_CTL_SAY(...) ((const char *const[4]){ __VA_ARGS__ })

/* kms_ctl_text gives a text of an object, "" when there is none. */
const char *kms_ctl_text(const json_t *object, const char *key);

/* kms_ctl_needs_daemon says when none listens; the exit code. */
enum kms_exit kms_ctl_needs_daemon(const struct kms_ctl *ctl);

/* kms_ctl_pages gets all pages of a list and calls `show` for each row with its number, oldest
 * first. */
enum kms_exit kms_ctl_pages(const struct kms_ctl *ctl, const char *target, const char *name,
                            void (*show)(void *ctx, const json_t *row, size_t i), void *ctx,
                            size_t *n);

#endif
