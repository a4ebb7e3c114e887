/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of keys at rest, of the vault and of the hardening share: alice and bob at a real
 * daemon whose store is wrapped, and SQL on the side. */
#ifndef TESTS_KMS_KEYS_RIG_H
#define TESTS_KMS_KEYS_RIG_H

#include "scene.h"

/* Set-up of cmocka: the folder with alice and bob, whose keys are wrapped by keys_wrap. The state
 * that it begins with is `more` lines of the configuration. */
int keys_open(void **state);
#define KEYS(test, more) \
    cmocka_unit_test_prestate_setup_teardown(test, keys_open, scene_stop, (void *)(uintptr_t)(more))

/* keys_wrap configures `kek: file:kms.kek` and `more` lines, and runs kek init. */
void keys_wrap(const char *more);

/* keys_ticket asks for a ticket as u over HTTP. keys_call makes a whole call: alice's ticket over
 * UDP, resolved by bob over HTTP. */
bool keys_ticket(const struct rig_user *u);
bool keys_call(void);

/* keys_vault finds the vault of a daemon: its one child. */
pid_t keys_vault(pid_t daemon);

/* keys_sql executes SQL in the store. */
void keys_sql(const char *sql);

#endif
