/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: into the caller's buffer, overflow is sticky, and the next-payload chain keeps itself.
 */
#ifndef MKT_BASE_WRITER_H
#define MKT_BASE_WRITER_H

#include <mikeyticket/base.h>
#include <string.h>

#define MKT_W_NO_SLOT SIZE_MAX

struct mkt_writer {
    uint8_t *buf;
    size_t cap, len;
    size_t slot;   /* where the pending Next Payload octet sits; MKT_W_NO_SLOT: none */
    bool overflow; /* sticky; checked once, when all is written */
};

static inline struct mkt_writer
mkt_w_open(uint8_t *buf, size_t cap)
{
    return (struct mkt_writer){ buf, cap, 0, MKT_W_NO_SLOT, false };
}

static inline uint8_t *
mkt_w_room(struct mkt_writer *w, size_t n)
{
    if (w->overflow || n > w->cap - w->len) {
        w->overflow = true;
        return NULL;
    }
    w->len += n;
    return w->buf + (w->len - n);
}

static inline void
mkt_w_uint(struct mkt_writer *w, size_t width, uint32_t v)
{
    uint8_t *p = mkt_w_room(w, width);
    for (size_t i = width; p != NULL && i-- > 0; v >>= 8)
        p[i] = (uint8_t)v;
}

static inline void
mkt_w_octets(struct mkt_writer *w, struct mkt_span s)
{
    uint8_t *p = mkt_w_room(w, s.n);
    if (p != NULL && s.n != 0)
        memcpy(p, s.p, s.n);
}

/* A length of `width` octets (at most 4), then the octets. */
static inline void
mkt_w_vec(struct mkt_writer *w, size_t width, struct mkt_span s)
{
    if ((uint64_t)s.n >> (8 * width) != 0)
        w->overflow = true; /* length field too narrow: refuse */
    mkt_w_uint(w, width, (uint32_t)s.n);
    mkt_w_octets(w, s);
}

/* Names the payload about to be written in the slot its predecessor left open, and opens its own
 * (its first octet, 0 = "Last payload" until proven otherwise). The first payload of a chain
 * without a header has no slot to fill. */
static inline void
mkt_w_begin(struct mkt_writer *w, uint8_t type)
{
    if (!w->overflow && w->slot != MKT_W_NO_SLOT)
        w->buf[w->slot] = type;
    w->slot = w->len;
    mkt_w_uint(w, 1, 0);
}

/* Reserves a length field of `width` octets that mkt_w_patch fills in. Returns its place. */
static inline size_t
mkt_w_reserve(struct mkt_writer *w, size_t width)
{
    size_t at = w->len;
    mkt_w_uint(w, width, 0);
    return at;
}

/* Fills the length field at `at` with the number of octets written behind it. */
static inline void
mkt_w_patch(struct mkt_writer *w, size_t at, size_t width)
{
    if (w->overflow)
        return;
    size_t n = w->len - at - width;
    if ((uint64_t)n >> (8 * width) != 0)
        w->overflow = true;
    for (size_t i = width; i-- > 0; n >>= 8)
        w->buf[at + i] = (uint8_t)n;
}

#endif
