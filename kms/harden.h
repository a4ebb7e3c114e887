/* SPDX-License-Identifier: Apache-2.0 */
/* What a process that holds keys does without: core dumps, tracers, swap, the rights it was started
 * with, and most system calls. Each is an option with a safe default
 * (docs/decisions/0022-hardening.md). */
#ifndef KMS_HARDEN_H
#define KMS_HARDEN_H

#include "config.h"
#include "program.h"

#define KMS_HARDEN_ERR 512 /* octets for an error text */

/* kms_lock_memory keeps all memory, present and future, out of swap as far as `lock_memory` asks
 * for it. False: err says what stands against it. kms_memory_locked tells what came of it. */
bool kms_lock_memory(const struct kms_config *config, char err[KMS_HARDEN_ERR]);
bool kms_memory_locked(void);

/* kms_account_known tells whether this machine has `user` and `group`. False: err says which not.
 */
bool kms_account_known(const struct kms_config *config, char err[KMS_HARDEN_ERR]);

/* kms_drop_privileges becomes `user` and `group` for good. */
bool kms_drop_privileges(const struct kms_config *config, char err[KMS_HARDEN_ERR]);

/* Which system calls are left. */
enum kms_filter {
    KMS_FILTER_DAEMON,
    KMS_FILTER_VAULT, /* memory and one socket */
    KMS_FILTER_TOKEN, /* a vault that goes on using a PKCS#11 token */
    KMS_FILTER_BOTH   /* a daemon that does */
};

/* kms_filter_install leaves this process, all threads, with those: any other ends it with SIGSYS,
 * after a line on standard error. Nothing happens with `seccomp: false`. */
bool kms_filter_install(const struct kms_config *config, enum kms_filter which,
                        char err[KMS_HARDEN_ERR]);

#endif
