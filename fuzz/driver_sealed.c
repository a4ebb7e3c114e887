/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer driver for sealed objects. */
#include "sealed_object.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *broken = mkt_sealed_holds(mkt_span(data, size));
    if (broken != NULL) {
        fprintf(stderr, "sealed: does not hold: %s\n", broken);
        abort();
    }
    return 0;
}
