/* SPDX-License-Identifier: Apache-2.0 */
/* A MIKEY message in whatever it came: raw octets, hex, base64, SDP (RFC 4567 3.1), an RTSP KeyMgmt
 * header (3.2), or in front of a sealed object. */
#ifndef MKT_CLI_CARRIER_H
#define MKT_CLI_CARRIER_H

#include "cli.h"

#include <mikeyticket/message.h>

#define CLI_CARRIER_MAX 16          /* messages in one text */
#define CLI_CARRIER_TEXT_MAX 262144 /* octets of a text that is read */
#define CLI_PROTOCOLS_MAX 256       /* octets of a list of key management protocols */

enum cli_carrier_kind {
    CLI_CARRIER_RAW,
    CLI_CARRIER_HEX,
    CLI_CARRIER_BASE64,
    CLI_CARRIER_SDP,
    CLI_CARRIER_RTSP,
    CLI_CARRIER_SEALED
};

/* cli_carrier holds the messages found, decoded into one blob. */
struct cli_carrier {
    enum cli_carrier_kind kind;
    size_t n;
    struct {
        size_t at, len; /* in octets */
        size_t line;    /* of the text, from 1; 0 for raw octets */
    } msg[CLI_CARRIER_MAX];
    struct cli_blob octets;
    /* SDP: the protocols offered on the level of the first MIKEY line, as "mikey;other": what its
     * SDP IDs must equal (RFC 4567 4.1.4). Terminated. */
    char protocols[CLI_PROTOCOLS_MAX];
};

/* cli_carrier_open finds the messages in text; c is freed by the caller in every case. `name` is
 * used in errors: CLI_EXIT_MALFORMED when there is none. */
MKT_MUST_USE bool cli_carrier_open(struct cli_carrier *c, struct mkt_span text, const char *name,
                                   struct cli_error *err);

/* cli_carrier_load reads the public file at path ("-": standard input) and opens it. */
MKT_MUST_USE bool cli_carrier_load(struct cli_carrier *c, const char *path, struct cli_error *err);

/* cli_carrier_operand opens the file at operand ("-" or NULL: standard input), or where there is
 * none of that name, the operand itself as text. */
MKT_MUST_USE bool cli_carrier_operand(struct cli_carrier *c, const char *operand,
                                      struct cli_error *err);

/* cli_carrier_load_one loads the file at path and tests its first message: CLI_EXIT_MALFORMED when
 * it is not a whole message of RFC 6043. *octets borrows from c. */
MKT_MUST_USE bool cli_carrier_load_one(struct cli_carrier *c, const char *path,
                                       struct mkt_span *octets, struct cli_error *err);

/* cli_carrier_load_update is the same for a message of a CSB update (RFC 6043 5.2), or an Error
 * message about one. */
MKT_MUST_USE bool cli_carrier_load_update(struct cli_carrier *c, const char *path,
                                          struct mkt_span *octets, struct cli_error *err);

/* cli_carrier_message borrows message `index`, from 0. */
struct mkt_span cli_carrier_message(const struct cli_carrier *c, size_t index);

/* cli_sdp_ids returns the General Extension "SDP IDs" of a message (RFC 4567 4.1.4), wherever it
 * stands among others; data.p NULL: it has none. *at, if not NULL, gets its offset. */
struct mkt_span cli_sdp_ids(const struct mkt_msg *m, size_t *at);

/* cli_sdp_ids_equal compares two lists of protocols: letters in either case. */
bool cli_sdp_ids_equal(struct mkt_span a, struct mkt_span b);

/* cli_carrier_free releases c. */
void cli_carrier_free(struct cli_carrier *c);

#define CLI_SCOPED_CARRIER __attribute__((cleanup(cli_carrier_free))) struct cli_carrier

/* cli_carrier_kind_name returns "base64" and the like (static). */
const char *cli_carrier_kind_name(enum cli_carrier_kind kind);

/* cli_carrier_save writes message to path as one line of base64, or of SDP. */
MKT_MUST_USE bool cli_carrier_save(const char *path, struct mkt_span message, bool sdp,
                                   struct cli_error *err);

#endif
