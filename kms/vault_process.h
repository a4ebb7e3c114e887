/* SPDX-License-Identifier: Apache-2.0 */
/* The vault as a process of its own: the daemon then never holds a long-term key, nor the KEK. */
#ifndef KMS_VAULT_PROCESS_H
#define KMS_VAULT_PROCESS_H

#include "config.h"
#include "vault.h"

/* kms_vault_process starts the vault process for n slots, with the KEK of the configuration; call
 * it before there are threads. NULL: err says why it did not start. */
struct kms_vault *kms_vault_process(const struct kms_config *config, size_t n_slots,
                                    char err[KMS_KEK_ERR]);

/* kms_vault_process_watch calls gone(ctx, how), once and from another thread, when the vault ends
 * by itself. From then on every derivation fails. False when there is no thread. */
bool kms_vault_process_watch(struct kms_vault *v, void (*gone)(void *ctx, const char *how),
                             void *ctx);

/* kms_vault_process_id returns its process id. */
int kms_vault_process_id(const struct kms_vault *v);

#endif
