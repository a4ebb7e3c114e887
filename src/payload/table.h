/* SPDX-License-Identifier: Apache-2.0 */
/* What the codec and the printer know of each payload: its name, its clause, and its fields. A
 * regular payload is nothing but its fields; an irregular one has functions for the rest of it. */
#ifndef MKT_PAYLOAD_TABLE_H
#define MKT_PAYLOAD_TABLE_H

#include "payload/codec.h"
#include "payload/registry.h"

enum mkt_field_kind {
    MKT_F_U8,
    MKT_F_U16,
    MKT_F_VEC8,   /* a length of 8 bits, then the octets */
    MKT_F_VEC16,  /* a length of 16 bits, then the octets */
    MKT_F_IMPLIED /* octets whose number follows from the 8-bit field just before them */
};

struct mkt_field {
    enum mkt_field_kind kind;
    uint16_t at;         /* where it is in struct mkt_payload */
    uint16_t of;         /* IMPLIED: where the field is that gives the length */
    enum mkt_reg reg;    /* names of the value; IMPLIED: lengths */
    enum mkt_rc unknown; /* IMPLIED: the refusal when the registry has no length */
    const char *what;    /* payload and field, for errors */
    const char *label;   /* the field in the words of the RFC */
    const char *key;     /* the field as a JSON name */
};

struct mkt_pl_type {
    const char *name; /* NULL: not assigned */
    const char *ref;
    enum mkt_rc refuse; /* not MKT_OK: known by name only, its framing belongs to another mode */
    bool final;         /* has no Next Payload octet: it ends the chain */
    uint8_t n_fields;
    const struct mkt_field *fields;
    /* What follows the fields; NULL: nothing. */
    void (*read_rest)(struct mkt_reader *r, struct mkt_payload *pl);
    void (*write_rest)(struct mkt_writer *w, const struct mkt_payload *pl);
};

/* The row of a payload type; its name is NULL for a type that is not assigned. */
const struct mkt_pl_type *mkt_pl_type(uint16_t type);

/* Reads and writes the fields of the table. */
void mkt_fields_read(struct mkt_reader *r, const struct mkt_pl_type *t, struct mkt_payload *pl);
void mkt_fields_write(struct mkt_writer *w, const struct mkt_pl_type *t,
                      const struct mkt_payload *pl);

/* Names the field being read and returns r: an error then says which one it was. */
static inline struct mkt_reader *
mkt_r_at(struct mkt_reader *r, const char *what)
{
    r->what = what;
    return r;
}

/* packed.c */
void mkt_pke_read(struct mkt_reader *r, struct mkt_payload *pl);
void mkt_pke_write(struct mkt_writer *w, const struct mkt_payload *pl);
void mkt_sign_read(struct mkt_reader *r, struct mkt_payload *pl);
void mkt_sign_write(struct mkt_writer *w, const struct mkt_payload *pl);

/* validity.c */
void mkt_dh_read(struct mkt_reader *r, struct mkt_payload *pl);
void mkt_dh_write(struct mkt_writer *w, const struct mkt_payload *pl);
void mkt_key_data_read(struct mkt_reader *r, struct mkt_payload *pl);
void mkt_key_data_write(struct mkt_writer *w, const struct mkt_payload *pl);
bool mkt_key_has_salt(uint8_t key_type);

/* sp.c */
void mkt_sp_check(struct mkt_reader *r, struct mkt_payload *pl);

/* ticket.c */
void mkt_tp_read(struct mkt_reader *r, struct mkt_payload *pl);
void mkt_tp_write(struct mkt_writer *w, const struct mkt_payload *pl);
void mkt_ticket_read(struct mkt_reader *r, struct mkt_payload *pl);
void mkt_ticket_write(struct mkt_writer *w, const struct mkt_payload *pl);

#endif
