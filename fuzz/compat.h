/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold when an Initiator takes the RFC 3830 message out of a compatibility ticket, which
 * nobody has authenticated for it. An input is an octet of modes, then the Ticket Data or a whole
 * ticket file. */
#ifndef MKT_FUZZ_COMPAT_H
#define MKT_FUZZ_COMPAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mkt_compat_mode {                        /* bits of the first octet */
                       MKT_COMPAT_FILE = 1,   /* a ticket file; else the Ticket Data */
                       MKT_COMPAT_SECOND = 2, /* in a ticket of the second subtype */
                       MKT_COMPAT_SALTED = 4, /* whose TGK has a salt of its own */
                       MKT_COMPAT_LATE = 8,   /* after its validity */
                       MKT_COMPAT_MODES = 0x0F
};

/* Returns NULL when everything holds, else what was broken (static string). */
const char *mkt_compat_run(const uint8_t *data, size_t n);

/* Tells whether the last run gave a message to send. */
bool mkt_compat_believed(void);

/* Writes the true input of a mode; returns its length, 0 when it does not fit into cap octets. */
size_t mkt_compat_seed(uint8_t mode, uint8_t *out, size_t cap);

/* Frees what the runs share. */
void mkt_compat_close(void);

#endif
