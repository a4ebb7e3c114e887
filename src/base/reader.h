/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: borrowed views, one sticky first failure that knows its octet and clause. After a
 * failure the reader is empty, so loops end and decoders need one check, at the end. */
#ifndef MKT_BASE_READER_H
#define MKT_BASE_READER_H

#include <mikeyticket/err.h>

struct mkt_reader {
    const uint8_t *p;    /* next unread octet */
    size_t left;         /* forced to 0 by the first failure */
    size_t at;           /* offset of p in the whole message */
    const char *what;    /* payload being read, for the error */
    const char *ref;     /* its clause, for the error */
    struct mkt_err *err; /* shared by sub-readers */
};

static inline struct mkt_reader
mkt_r_open(struct mkt_span octets, size_t at, const char *what, const char *ref,
           struct mkt_err *err)
{
    return (struct mkt_reader){ octets.p, octets.n, at, what, ref, err };
}

/* Fails at the octet `back` before the next unread one. */
static inline enum mkt_rc
mkt_r_fail(struct mkt_reader *r, enum mkt_rc rc, size_t back)
{
    mkt_fail(r->err, rc, r->at - back, r->what, r->ref);
    r->left = 0;
    return r->err->rc;
}

static inline struct mkt_span
mkt_r_take(struct mkt_reader *r, size_t n)
{
    if (r->err->rc != MKT_OK || n > r->left) {
        mkt_r_fail(r, MKT_E_TRUNCATED, 0);
        return (struct mkt_span){ NULL, 0 };
    }
    struct mkt_span s = { r->p, n };
    if (n != 0) /* NULL + 0 is undefined in C11 */
        r->p += n;
    r->left -= n;
    r->at += n;
    return s;
}

/* A big-endian unsigned integer of width 1 to 4 octets; 0 after a failure. */
static inline uint32_t
mkt_r_uint(struct mkt_reader *r, size_t width)
{
    struct mkt_span s = mkt_r_take(r, width);
    uint32_t v = 0;
    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | s.p[i];
    return v;
}

/* A length of `width` octets, then that many octets. */
static inline struct mkt_span
mkt_r_vec(struct mkt_reader *r, size_t width)
{
    return mkt_r_take(r, mkt_r_uint(r, width));
}

/* Every decoder of a whole ends with this: nothing may be left over. */
static inline enum mkt_rc
mkt_r_end(struct mkt_reader *r)
{
    return r->err->rc == MKT_OK && r->left != 0 ? mkt_r_fail(r, MKT_E_TRAILING, 0) : r->err->rc;
}

#endif
