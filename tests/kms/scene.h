/* SPDX-License-Identifier: Apache-2.0 */
/* Where most tests of the real daemon begin: alice and bob, who have keys of suite 256, and what
 * they have asked last. */
#ifndef TESTS_KMS_SCENE_H
#define TESTS_KMS_SCENE_H

#include "rig.h"

#define ALICE "sip:alice@example.com"
#define BOB "sip:bob@example.com"
#define WAIT_MS 5000 /* for an answer that must come */

extern struct rig rig;
extern struct rig_user alice, bob;
extern struct rig_ask ask, again;
extern uint8_t out[2 * MKT_MSG_MAX]; /* the last answer */

/* The programs of the KMS in its folder; the exit code. */
#define CTL(...) RIG_RUN(&rig, "mikey-kmsctl", "--config", "kms.yaml", __VA_ARGS__)
#define KMSD() RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml")

/* Set-ups of cmocka. scene_folder makes the folder; the state that it begins with is `more` lines
 * of the configuration, or NULL. scene_open adds the two, scene_start starts the daemon as well.
 * scene_stop ends it all. */
int scene_folder(void **state);
int scene_open(void **state);
int scene_start(void **state);
int scene_stop(void **state);
#define SCENE(test, more)                                                   \
    cmocka_unit_test_prestate_setup_teardown(test, scene_start, scene_stop, \
                                             (void *)(uintptr_t)(more))
#define SCENE_FOLDER(test, more)                                             \
    cmocka_unit_test_prestate_setup_teardown(test, scene_folder, scene_stop, \
                                             (void *)(uintptr_t)(more))
#define SCENE_OPEN(test, more)                                             \
    cmocka_unit_test_prestate_setup_teardown(test, scene_open, scene_stop, \
                                             (void *)(uintptr_t)(more))

/* scene_asks asks as u for a ticket for somebody; NULL when there is none within ms (over HTTP: at
 * all). scene_granted asks as alice. */
struct mkt_grant *scene_asks(const struct rig_user *u, const char *to, bool udp, int ms);
struct mkt_grant *scene_granted(const char *to, bool udp, int ms);

/* scene_resolves tells whether bob, called as `to`, gets the keys of alice's ticket. */
bool scene_resolves(struct mkt_grant *g, const char *to);

/* scene_resolve_error returns the Error no that u gets over UDP for a ticket of alice, -1 for its
 * keys, and -2 for neither or when nobody vouches for it. */
int scene_resolve_error(const struct rig_user *u, struct mkt_grant *g);

/* scene_at_rest tells whether the octets stand anywhere in the store or its side files. */
bool scene_at_rest(struct mkt_span octets);

/* scene_text reads a file of the folder, such as "out", "err" or "log"; until the next one.
 * scene_says tells whether one holds `what`; if not, it is shown. scene_logs does so of the log, at
 * the latest in five seconds. */
const char *scene_text(const char *name);
bool scene_says(const char *name, const char *what);
bool scene_logs(const char *what);

/* scene_replace puts a file of text in place as an operator should: whole, by renaming. */
void scene_replace(const char *name, const char *text);

#endif
