/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer driver for crypto attributes. */
#include "sdes.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *broken = mkt_sdes_holds(mkt_span(data, size));
    if (broken != NULL) {
        fprintf(stderr, "sdes: does not hold: %s\n", broken);
        abort();
    }
    return 0;
}
