/* SPDX-License-Identifier: Apache-2.0 */
/* The libFuzzer driver of compatibility tickets at the Initiator. */
#include "compat.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *broken = mkt_compat_run(data, size);
    if (broken != NULL) {
        fprintf(stderr, "does not hold: %s\n", broken);
        abort();
    }
    return 0;
}
