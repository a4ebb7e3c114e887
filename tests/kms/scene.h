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

/* Set-ups of cmocka. scene_open makes the folder and adds the two; the state that it begins with is
 * `more` lines of the configuration, or NULL. scene_start starts the daemon as well. scene_stop
 * ends it all. */
int scene_open(void **state);
int scene_start(void **state);
int scene_stop(void **state);
#define SCENE(test, more)                                                   \
    cmocka_unit_test_prestate_setup_teardown(test, scene_start, scene_stop, \
                                             (void *)(uintptr_t)(more))
#define SCENE_OPEN(test, more)                                             \
    cmocka_unit_test_prestate_setup_teardown(test, scene_open, scene_stop, \
                                             (void *)(uintptr_t)(more))

/* scene_granted asks as alice for a ticket for somebody; NULL when there is none within ms (over
 * HTTP: at all). */
struct mkt_grant *scene_granted(const char *to, bool udp, int ms);

/* scene_resolves tells whether bob, called as `to`, gets the keys of alice's ticket. */
bool scene_resolves(struct mkt_grant *g, const char *to);

#endif
