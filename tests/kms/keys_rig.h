/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of keys at rest, of the vault and of the hardening share: alice and bob at a real
 * daemon whose store is wrapped, and SQL on the side. */
#ifndef TESTS_KMS_KEYS_RIG_H
#define TESTS_KMS_KEYS_RIG_H

#include "rig.h"

#define KEYS_WAIT_MS 5000

extern struct rig rig;
extern struct rig_user alice, bob;

/* keys_open opens the rig with `kek: file:kms.kek`, `more` lines, alice and bob, and runs kek init.
 */
void keys_open(const char *more);

/* keys_config writes the configuration anew. */
void keys_config(const char *more);

/* keys_ticket asks for a ticket as u over HTTP. keys_call makes a whole call: alice's ticket over
 * UDP, resolved by bob over HTTP. */
bool keys_ticket(const struct rig_user *u);
bool keys_call(void);

/* keys_text reads "out", "err" or "log". keys_says tells whether it holds a text. */
const char *keys_text(const char *name);
bool keys_says(const char *name, const char *what);

/* keys_sql executes SQL in the store. */
void keys_sql(const char *sql);

#define CTL(...) RIG_RUN(&rig, "mikey-kmsctl", "--config", "kms.yaml", __VA_ARGS__)
#define KMSD() RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml")

#endif
