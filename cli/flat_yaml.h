/* SPDX-License-Identifier: Apache-2.0 */
/* The client's own files: a YAML mapping of scalars, and at most one list of such mappings. Every
 * key is declared, so a typo is an error with line and column, never a silent default. */
#ifndef MKT_CLI_YAML_H
#define MKT_CLI_YAML_H

#include "cli.h"

#include <mikeyticket/policy.h>

struct cli_yaml_key {
    const char *name;
    bool in_item; /* belongs to the items of the list */
    bool required;
};

struct cli_yaml_form { /* what a kind of file may hold */
    const char *what;  /* "credential" */
    const struct cli_yaml_key *keys;
    size_t n;
    const char *list; /* key of the list; NULL: none */
};

struct cli_yaml_field {
    const struct cli_yaml_key *key;
    size_t item; /* number of the item, from 0; CLI_YAML_TOP outside the list */
    size_t line, col;
    char *value; /* terminated; may be secret */
    size_t len;
};
#define CLI_YAML_TOP SIZE_MAX

struct cli_yaml {
    const char *path; /* for errors; borrowed */
    const struct cli_yaml_form *form;
    size_t items;
    struct cli_yaml_field *fields;
    size_t n, cap;
};

/* cli_yaml_read parses text. y is freed by the caller in every case. */
MKT_MUST_USE bool cli_yaml_read(struct cli_yaml *y, const struct cli_yaml_form *form,
                                const char *path, struct mkt_span text, struct cli_error *err);

/* cli_yaml_free wipes and frees the values. */
void cli_yaml_free(struct cli_yaml *y);

#define CLI_SCOPED_YAML __attribute__((cleanup(cli_yaml_free))) struct cli_yaml

/* cli_yaml_get returns the field of that name in item (CLI_YAML_TOP: outside the list), or NULL. */
const struct cli_yaml_field *cli_yaml_get(const struct cli_yaml *y, size_t item, const char *name);

/* cli_yaml_fail records "FILE:LINE:COL: KEY: why". Returns false. */
bool cli_yaml_fail(const struct cli_yaml *y, const struct cli_yaml_field *f, const char *why,
                   struct cli_error *err);

/* cli_yaml_text copies the value of that name outside the list, of 1 to MKT_ID_MAX octets; without
 * one out is left alone. */
MKT_MUST_USE bool cli_yaml_text(const struct cli_yaml *y, const char *name,
                                char out[MKT_ID_MAX + 1], struct cli_error *err);

/* cli_yaml_uint reads f as a decimal number of at most max. */
MKT_MUST_USE bool cli_yaml_uint(const struct cli_yaml *y, const struct cli_yaml_field *f,
                                uint64_t max, uint64_t *out, struct cli_error *err);

/* cli_yaml_hex reads f as hex into out (cap octets). */
MKT_MUST_USE bool cli_yaml_hex(const struct cli_yaml *y, const struct cli_yaml_field *f,
                               uint8_t *out, size_t cap, size_t *len, struct cli_error *err);

/* cli_yaml_print appends `KEY: "VALUE"` after indent; value is printable ASCII. cli_yaml_print_hex
 * does so with octets as hex. False when b is full. */
MKT_MUST_USE bool cli_yaml_print(struct cli_blob *b, const char *indent, const char *key,
                                 struct mkt_span value);
MKT_MUST_USE bool cli_yaml_print_hex(struct cli_blob *b, const char *indent, const char *key,
                                     struct mkt_span octets);

#endif
