/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of payloads and of messages have in common. */
#ifndef MKT_TESTS_WIRE_H
#define MKT_TESTS_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hex.h"
#include <mikeyticket/payload.h>

#define assert_refused(err, code, at, name, clause)         \
    do {                                                    \
        assert_string_equal(mkt_rc_name((err)->rc), #code); \
        assert_int_equal((err)->offset, at);                \
        assert_string_equal((err)->what, name);             \
        assert_string_equal((err)->ref, clause);            \
    } while (0)

/* The span holds these octets. */
static inline void
assert_octets(struct mkt_span s, const char *hex)
{
    static uint8_t want[4096];
    size_t n = hex_octets(hex, want, sizeof want);
    assert_int_equal(s.n, n);
    if (n != 0)
        assert_memory_equal(s.p, want, n);
}

#endif
