/* SPDX-License-Identifier: Apache-2.0 */
/* Files as they were just before they were read: a change of one is seen, also while it is read,
 * and also when it was not there. */
#ifndef KMS_STAMPS_H
#define KMS_STAMPS_H

#include <stdbool.h>
#include <stddef.h>

struct kms_stamp; /* opaque */

struct kms_stamps {
    struct kms_stamp *at; /* owned */
    size_t n;
    bool lost; /* memory failed: whatever there is counts as changed */
};

/* kms_stamps_note looks at a file that is about to be read. False: no memory. */
bool kms_stamps_note(struct kms_stamps *s, const char *path);

/* kms_stamps_again tells whether the file noted last was noted before, by whatever name. */
bool kms_stamps_again(const struct kms_stamps *s);

/* kms_stamps_changed tells whether a file is another than it was. */
bool kms_stamps_changed(const struct kms_stamps *s);

/* kms_stamps_free frees and empties. */
void kms_stamps_free(struct kms_stamps *s);

#endif
