/* SPDX-License-Identifier: Apache-2.0 */
/* What the walk over a message (print.c) needs of a format. A format knows nothing of MIKEY, and
 * the walk nothing of commas and indentation. `key` is the name in JSON, `label` the RFC's words.
 */
#ifndef MKT_MESSAGE_PRINT_H
#define MKT_MESSAGE_PRINT_H

#include <mikeyticket/message.h>

struct mkt_out {
    const struct mkt_format *format;
    mkt_sink *sink;
    void *ctx;
    unsigned depth;
    bool comma; /* JSON: something stands before in this object or list */
};

struct mkt_format {
    void (*begin)(struct mkt_out *o);
    void (*end)(struct mkt_out *o);
    /* A payload: an element of the list it stands in. */
    void (*payload_begin)(struct mkt_out *o, const char *name, size_t at, const char *ref);
    /* Fields that belong together; key is NULL for an element of a list. */
    void (*group_begin)(struct mkt_out *o, const char *key, const char *label);
    void (*group_end)(struct mkt_out *o); /* ends a payload, too */
    void (*list_begin)(struct mkt_out *o, const char *key, const char *label);
    void (*list_end)(struct mkt_out *o);
    /* name: of a registered value, or NULL. */
    void (*number)(struct mkt_out *o, const char *key, const char *label, uint32_t value,
                   const char *name);
    void (*truth)(struct mkt_out *o, const char *key, const char *label, bool value);
    void (*text)(struct mkt_out *o, const char *key, const char *label, const char *s, size_t n);
    void (*octets)(struct mkt_out *o, const char *key, const char *label, struct mkt_span s);
    void (*hidden)(struct mkt_out *o, const char *key, const char *label, size_t n);
};

extern const struct mkt_format mkt_format_text, mkt_format_json;

/* What both formats are written with. */
void mkt_out_put(struct mkt_out *o, const char *s);
void mkt_out_number(struct mkt_out *o, size_t value);
void mkt_out_hex(struct mkt_out *o, struct mkt_span s);
/* Between quotes, with backslashes before what JSON wants escaped. */
void mkt_out_quoted(struct mkt_out *o, const char *s, size_t n);

#endif
