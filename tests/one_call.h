/* SPDX-License-Identifier: Apache-2.0 */
/* One call for each test, of the 128-bit suite. */
#ifndef MKT_TESTS_ONE_CALL_H
#define MKT_TESTS_ONE_CALL_H

#include "three_party.h"

static struct call c;

/* Set-up and tear-down of cmocka. */
static inline int
open_a_call(void **state)
{
    (void)state;
    return call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC) ? 0 : -1;
}

static inline int
close_the_call(void **state)
{
    (void)state;
    call_close(&c);
    return 0;
}

#endif
