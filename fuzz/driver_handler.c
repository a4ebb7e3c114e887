/* SPDX-License-Identifier: Apache-2.0 */
/* The libFuzzer driver of whole handlers. It is compiled once for each party, with two handlers to
 * choose from. */
#include "handler.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool other = size != 0 && (data[0] & MKT_HANDLER_OTHER) != 0;
    const char *broken = mkt_handler_run(other ? MKT_FUZZ_SECOND : MKT_FUZZ_FIRST, data, size);
    if (broken != NULL) {
        fprintf(stderr, "does not hold: %s\n", broken);
        abort();
    }
    return 0;
}
