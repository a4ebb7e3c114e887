/* SPDX-License-Identifier: Apache-2.0 */
/* The message of a handler, sealed as the party would seal it that holds the keys. */
#ifndef MKT_FUZZ_SEALING_H
#define MKT_FUZZ_SEALING_H

#include "scene.h"

/* Seals octets in place. False when they are no message that can be: they stay a forgery. */
bool sealing_run(uint8_t *octets, size_t n, struct scene *s, enum mkt_handler h);

/* The KEMACs and PKE of a true message in the clear: they are encrypted again when it is sealed. */
void sealing_reveal(uint8_t *octets, size_t n, struct scene *s, enum mkt_handler h);

#endif
