/* SPDX-License-Identifier: Apache-2.0 */
/* The credential file that mikey-kmsctl writes and mikey-ticket reads: five lines of flat YAML. */
#ifndef KMS_CREDFILE_H
#define KMS_CREDFILE_H

#include <stdbool.h>
#include <stddef.h>

#include <mikeyticket/secret.h>

struct kms_credfile {
    const char *identity, *kms, *psk_id;
    const struct mkt_secret *psk;
};

#define KMS_CREDFILE_MAX 4096 /* octets of the text */

/* kms_credfile_format writes the text to buf (KMS_CREDFILE_MAX octets, holds a key: wipe it) and
 * returns its length. */
size_t kms_credfile_format(char *buf, const struct kms_credfile *c);

/* kms_credfile_write makes a new file of mode 0600 and waits until it is on disk. False: errno
 * says why, and no file is left behind. A file that exists is never touched. */
bool kms_credfile_write(const char *path, const struct kms_credfile *c);

#endif
