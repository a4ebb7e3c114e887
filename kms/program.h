/* SPDX-License-Identifier: Apache-2.0 */
/* What both programs share: exit codes and the hardening of a process that holds keys. */
#ifndef KMS_PROGRAM_H
#define KMS_PROGRAM_H

#include <stdbool.h>

enum kms_exit {
    KMS_EXIT_OK = 0,
    KMS_EXIT_FAILED = 1, /* at run time */
    KMS_EXIT_USAGE = 2,
    KMS_EXIT_CONFIG = 3,
    KMS_EXIT_STORE = 4,
    KMS_EXIT_LISTEN = 5,
    KMS_EXIT_REFUSED = 6 /* by the policy */
};

#define KMS_EXIT_HELP                                                      \
    "Exit codes: 0 done, 1 failure at run time, 2 wrong usage, 3 error in" \
    " the configuration,\n4 store cannot be used"

/* kms_outputs, first of all: a standard input, output or error that is closed stays so, and never
 * becomes the next file or socket, into which a key or the log would be written. */
void kms_outputs(void);

/* kms_harden: no core dumps and nobody may trace us (unless core_dumps), files are ours alone, and
 * a full disk or a closed pipe is an error code instead of a signal. */
void kms_harden(bool core_dumps);

#endif
