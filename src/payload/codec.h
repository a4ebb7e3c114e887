/* SPDX-License-Identifier: Apache-2.0 */
/* Payload codecs on readers and writers: what the layers above use to read and build chains. */
#ifndef MKT_PAYLOAD_CODEC_H
#define MKT_PAYLOAD_CODEC_H

#include "base/reader.h"
#include "base/writer.h"
#include <mikeyticket/payload.h>

/* Reads the common header (RFC 3830 6.1), including and checking the CS ID map info. */
enum mkt_rc mkt_hdr_read(struct mkt_reader *r, struct mkt_hdr *h);

/* Writes the header; hdr->map must be encoded already. Opens the chain: w->slot is its Next
 * Payload. */
void mkt_hdr_write(struct mkt_writer *w, const struct mkt_hdr *h);

/* Writes one GENERIC-ID block (RFC 6043 6.1.1) from cs_id, prot_type, s, policies, spi and, for
 * SRTP with has_ssrc, the three session data fields; otherwise session_data as it is. */
void mkt_cs_write(struct mkt_writer *w, const struct mkt_cs *cs);

/* Reads one payload of that type at r; fills pl wholly (type, next, at, raw, u). */
enum mkt_rc mkt_pl_read(struct mkt_reader *r, uint16_t type, struct mkt_payload *pl);

/* Begins a payload in the chain of w and writes its fields. */
void mkt_pl_write(struct mkt_writer *w, const struct mkt_payload *pl);

/* Reads the chain that starts with `first` until its end; all of r must be used. */
enum mkt_rc mkt_chain_read(struct mkt_reader *r, uint16_t first, struct mkt_payload *pl, size_t cap,
                           size_t *n);

#endif
