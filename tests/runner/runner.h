/* SPDX-License-Identifier: Apache-2.0 */
/* The vector runner: one struct rn goes through everything. It counts cases, holds the JSON
 * document being run and knows which of its attributes were looked at: a vector passes when nothing
 * in it was found wrong and nothing in it was left unread. */
#ifndef MKT_RUNNER_RUNNER_H
#define MKT_RUNNER_RUNNER_H

#include <jansson.h>
#include <mikeyticket/message.h>

struct rn_doc {
    json_t *root;
    const char **used; /* set of the attribute keys looked at, by address (open addressing) */
    size_t n_used, cap_used;
    void **owned; /* memory that lives as long as the document */
    size_t n_owned, cap_owned;
};

struct rn {
    struct mkt_crypto *crypto;
    const char *file; /* as printed */
    unsigned long passed, failed, skipped;
    unsigned faults; /* found in the case that runs */
    struct rn_doc doc;
};

/* --- report.c ------------------------------------------------------------------------------- */

/* rn_fail prints one fault of the case that runs: where it is and what is wrong. */
void rn_fail(struct rn *r, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* rn_same compares octets; a difference is a fault that names the first differing octet. */
bool rn_same(struct rn *r, const char *where, struct mkt_span got, struct mkt_span want);

/* rn_same_num compares numbers. */
bool rn_same_num(struct rn *r, const char *where, uint64_t got, uint64_t want);

/* rn_fail_err reports a refusal of the library that was not expected. */
void rn_fail_err(struct rn *r, const char *where, const struct mkt_err *err);

/* rn_case_end counts the case that runs as passed or failed, and begins the next one. */
bool rn_case_end(struct rn *r);

/* --- json.c --------------------------------------------------------------------------------- */

bool rn_doc_load(struct rn *r, const char *path);
void rn_doc_free(struct rn *r);

/* rn_alloc gives n zeroed octets that live as long as the document. Ends the program when memory
 * fails: the runner has nothing to fall back on. */
void *rn_alloc(struct rn *r, size_t n);

/* rn_name formats a string that lives as long as the document. */
const char *rn_name(struct rn *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* rn_get returns the attribute and marks it as looked at; NULL when it is not there. */
json_t *rn_get(struct rn *r, json_t *obj, const char *key);

/* The same with a fault when it is absent or of another type. */
const char *rn_str(struct rn *r, json_t *obj, const char *key);
json_t *rn_obj(struct rn *r, json_t *obj, const char *key);
json_t *rn_list(struct rn *r, json_t *obj, const char *key);
bool rn_bool(struct rn *r, json_t *obj, const char *key);

/* rn_hex decodes a hexadecimal string; null and an empty string are both { NULL, 0 }. */
struct mkt_span rn_hex(struct rn *r, json_t *obj, const char *key);

/* rn_hex_text decodes text of its own. */
struct mkt_span rn_hex_text(struct rn *r, const char *where, const char *text);

/* rn_num reads an integer, or the number of an enumeration written as NAME(number). */
uint64_t rn_num(struct rn *r, json_t *obj, const char *key);

/* rn_hex_num reads a big-endian number of at most 8 octets written as hexadecimal text. */
uint64_t rn_hex_num(struct rn *r, json_t *obj, const char *key);

/* rn_info marks an attribute, and all in it, as for the reader only. */
void rn_info(struct rn *r, json_t *obj, const char *key);

/* rn_unread makes each attribute that nobody looked at a fault. */
void rn_unread(struct rn *r, json_t *value, const char *path);

/* --- kinds ---------------------------------------------------------------------------------- */

/* Each runs r->doc.root. Positive ones are one case, ended by the caller. */
void rn_run_plain(struct rn *r);       /* kdf, crypto */
void rn_run_encoding(struct rn *r);    /* encoding    */
const char *rn_run_flow(struct rn *r); /* flow, error: NULL or why it is skipped */
void rn_run_negative(struct rn *r);    /* negative: ends its own cases */

/* steps.c: recomputes every kdf, mac and encrypt step. `injected`: random and time values will be
 * fed to the roles; otherwise each random value must turn up in the document. */
void rn_check_steps(struct rn *r, json_t *steps, bool injected);

/* fields.c: decodes octets and compares with the `fields`, then encodes the fields again. */
void rn_check_message(struct rn *r, const char *where, struct mkt_span octets, json_t *fields);

/* rn_check_attributes compares outputs NAME_attribute with message NAME in base64 (RFC 4567 3.1).
 */
void rn_check_attributes(struct rn *r, json_t *outputs, json_t *messages);

/* rn_load_payload makes a payload of the fields of one. */
bool rn_load_payload(struct rn *r, const char *where, json_t *fields, struct mkt_payload *pl);

/* rn_check_payload compares two payloads of one type field by field. */
void rn_check_payload(struct rn *r, const char *where, const struct mkt_payload *got,
                      const struct mkt_payload *want);

#endif
