/* SPDX-License-Identifier: Apache-2.0 */
/* The one libFuzzer driver. It is compiled once for each target, with MKT_FUZZ_TARGET set. */
#include "targets.h"

#include <stdio.h>
#include <stdlib.h>

#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mkt_target *t = &mkt_targets[GLUE(MKT_TARGET_, MKT_FUZZ_TARGET)];
    const char *broken = mkt_prop_run(t->kind, t->value, data, size);
    if (broken != NULL) {
        fprintf(stderr, "%s: does not hold: %s\n", t->name, broken);
        abort();
    }
    return 0;
}
