/* SPDX-License-Identifier: Apache-2.0 */
/* How a call stands, now: printed when the user asks, or on a screen that is drawn again and again.
 */
#ifndef MKT_PHONE_STATUS_H
#define MKT_PHONE_STATUS_H

#include "phone.h"

/* phone_status_say prints it, one "status: ..." for each thing. */
void phone_status_say(const struct phone *p);

/* phone_screen_open takes the terminal: what phone_say says goes there from now on, below how the
 * call stands. CLI_EXIT_USAGE where standard output is none. phone_screen_close leaves the last
 * picture. */
MKT_MUST_USE bool phone_screen_open(const struct phone *p, struct cli_error *err);
void phone_screen_close(void);

/* phone_screen_take takes a line that is said. False: there is no screen. */
bool phone_screen_take(const char *key, const char *text);

#endif
