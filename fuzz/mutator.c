/* SPDX-License-Identifier: Apache-2.0 */
/* Mutates the inputs of handlers. Octets changed anywhere mostly make something that is no message,
 * which nobody seals; so most changes stay within one payload, and each payload is as likely as the
 * next, whether it holds a flag or a certificate. And what was refused once mostly is again; so
 * every other input begins as a true message. */
#include "handler.h"

#include "message/message.h"

#include <string.h>

#define STRETCH 16    /* octets changed at once */
#define CHANGES 3     /* at most, of an input */
#define MODES 256     /* the first octet */
#define TRUE_MAX 4096 /* octets of a true message */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static size_t
draw(uint64_t *state, size_t below)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(*state >> 33) % below;
}

/* The true message of one of the handlers in some mode, mostly one where it may be believed. 0: it
 * is too long. */
static size_t
begin(uint8_t *data, size_t max_size, uint64_t *state)
{
    static struct {
        uint8_t b[TRUE_MAX];
        size_t n;
    } made[MODES];
    size_t mode = draw(state, MODES);

    if (draw(state, 4) != 0)
        mode &= ~(size_t)(MKT_HANDLER_RAW | MKT_HANDLER_REVOKED | MKT_HANDLER_LATE);
    if (made[mode].n == 0)
        made[mode].n =
            mkt_handler_seed((mode & MKT_HANDLER_OTHER) != 0 ? MKT_FUZZ_SECOND : MKT_FUZZ_FIRST,
                             (uint8_t)mode, made[mode].b, TRUE_MAX);
    if (made[mode].n > max_size)
        return 0;
    memcpy(data, made[mode].b, made[mode].n);
    return made[mode].n;
}

/* Changes some octets among n, and no length. */
static void
change(uint8_t *part, size_t n, uint64_t *state)
{
    uint8_t octets[STRETCH];
    size_t at = draw(state, n), len = 1 + draw(state, STRETCH);

    len = len < n - at ? len : n - at;
    memcpy(octets, part + at, len);
    len = LLVMFuzzerMutate(octets, len, len); /* or fewer */
    memcpy(part + at, octets, len);
}

/* False when the input is no message. */
static bool
change_payload(uint8_t *data, size_t size, uint64_t *state)
{
    struct mkt_msg m;
    struct mkt_err err = { 0 };

    if (size < 2 || mkt_msg_parse(&m, mkt_span(data + 1, size - 1), &err) != MKT_OK || m.n == 0)
        return false;
    size_t which = draw(state, m.n + 1);
    if (which == m.n)
        change(data + 1, m.pl[0].at, state); /* the header */
    else
        change(data + 1 + m.pl[which].at, m.pl[which].raw.n, state);
    return true;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint64_t state = seed;
    size_t fresh = 0, n = 0;

    (void)draw(&state, 1); /* of the seeds, the low bits alone differ */
    if (draw(&state, 8) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    if (draw(&state, 2) == 0)
        fresh = begin(data, max_size, &state);
    size = fresh != 0 ? fresh : size;
    for (size_t changes = 1 + draw(&state, CHANGES); n < changes; n++)
        if (!change_payload(data, size, &state))
            break;
    return n != 0 ? size : LLVMFuzzerMutate(data, size, max_size);
}
