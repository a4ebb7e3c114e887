/* SPDX-License-Identifier: Apache-2.0 */
/* Steps with public keys, which steps.c checks like the others. */
#ifndef MKT_RUNNER_STEPS_H
#define MKT_RUNNER_STEPS_H

#include "runner.h"

void rn_step_pke(struct rn *r, json_t *step, const char *name);
void rn_step_sign(struct rn *r, json_t *step, const char *name);

#endif
