/* SPDX-License-Identifier: Apache-2.0 */
/* A strict reader for the client's own files on top of libyaml's events: no anchors, no tags, no
 * nesting but the one list, every key declared, none twice. libyaml's buffers are wiped before
 * they are freed, because the files hold keys. */
#include "flat_yaml.h"

#include "encode.h"

#include <errno.h>
#include <mikeyticket/secret.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool have_event;
    struct cli_yaml *y;
    struct cli_error *err;
};

static void
wipe_event(struct reader *r)
{
    if (!r->have_event)
        return;
    if (r->event.type == YAML_SCALAR_EVENT)
        mkt_wipe(r->event.data.scalar.value, r->event.data.scalar.length);
    yaml_event_delete(&r->event);
    r->have_event = false;
}

static void
reader_close(struct reader *r)
{
    wipe_event(r);
    mkt_wipe(r->parser.raw_buffer.start,
             (size_t)(r->parser.raw_buffer.end - r->parser.raw_buffer.start));
    mkt_wipe(r->parser.buffer.start, (size_t)(r->parser.buffer.end - r->parser.buffer.start));
    yaml_parser_delete(&r->parser);
}

static bool
fail_here(struct reader *r, const char *why, const char *name)
{
    return cli_fail(r->err, CLI_EXIT_FAILURE, "%s:%zu:%zu: %s%s", r->y->path,
                    r->event.start_mark.line + 1, r->event.start_mark.column + 1, why, name);
}

static bool
next_event(struct reader *r)
{
    wipe_event(r);
    if (yaml_parser_parse(&r->parser, &r->event)) {
        r->have_event = true;
        return true;
    }
    const char *problem = r->parser.problem != NULL ? r->parser.problem : "cannot be read";
    return cli_fail(r->err, CLI_EXIT_FAILURE, "%s:%zu:%zu: %s", r->y->path,
                    r->parser.problem_mark.line + 1, r->parser.problem_mark.column + 1, problem);
}

static bool
expect(struct reader *r, yaml_event_type_t type, const char *why)
{
    return next_event(r) && (r->event.type == type || fail_here(r, why, ""));
}

static bool
is_plain(const yaml_event_t *e)
{
    return e->data.scalar.anchor == NULL && e->data.scalar.tag == NULL;
}

static struct cli_yaml_field *
add_field(struct reader *r)
{
    struct cli_yaml *y = r->y;
    if (y->n == y->cap) { /* values are allocated apart, so growing copies no secret */
        size_t cap = y->cap == 0 ? 16 : 2 * y->cap;
        struct cli_yaml_field *more = realloc(y->fields, cap * sizeof *more);
        if (more == NULL) {
            cli_fail(r->err, CLI_EXIT_FAILURE, "out of memory");
            return NULL;
        }
        y->fields = more;
        y->cap = cap;
    }
    struct cli_yaml_field *f = &y->fields[y->n++];
    *f = (struct cli_yaml_field){ 0 };
    return f;
}

static const struct cli_yaml_key *
find_key(const struct cli_yaml_form *form, const char *name, bool in_item)
{
    for (size_t i = 0; i < form->n; i++)
        if (form->keys[i].in_item == in_item && strcmp(form->keys[i].name, name) == 0)
            return &form->keys[i];
    return NULL;
}

/* The current event is the key; reads the value. */
static bool
read_field(struct reader *r, const struct cli_yaml_key *key, size_t item)
{
    if (cli_yaml_get(r->y, item, key->name) != NULL)
        return fail_here(r, "key given twice: ", key->name);
    struct cli_yaml_field *f = add_field(r);
    if (f == NULL)
        return false;
    f->key = key;
    f->item = item;
    if (!expect(r, YAML_SCALAR_EVENT, "expected one value"))
        return false;
    size_t len = r->event.data.scalar.length;
    const yaml_char_t *value = r->event.data.scalar.value;
    if (!is_plain(&r->event) || memchr(value, 0, len) != NULL)
        return fail_here(r, "tags, anchors and NUL are not allowed", "");
    f->line = r->event.start_mark.line + 1;
    f->col = r->event.start_mark.column + 1;
    f->value = malloc(len + 1);
    if (f->value == NULL)
        return cli_fail(r->err, CLI_EXIT_FAILURE, "out of memory");
    f->len = len;
    memcpy(f->value, value, len);
    f->value[len] = '\0';
    return true;
}

static bool
check_required(struct reader *r, size_t item)
{
    const struct cli_yaml_form *form = r->y->form;
    for (size_t i = 0; i < form->n; i++)
        if (form->keys[i].required && form->keys[i].in_item == (item != CLI_YAML_TOP) &&
            cli_yaml_get(r->y, item, form->keys[i].name) == NULL)
            return fail_here(r, "missing before this point: ", form->keys[i].name);
    return true;
}

static bool
unknown_key(struct reader *r, bool in_item)
{
    char known[256] = "";
    size_t at = 0;
    const struct cli_yaml_form *form = r->y->form;
    for (size_t i = 0; i < form->n && at < sizeof known; i++)
        if (form->keys[i].in_item == in_item)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", at == 0 ? "" : ", ",
                                   form->keys[i].name);
    return fail_here(r, "unknown key; known here: ", known);
}

static bool read_list(struct reader *r);

/* Reads pairs up to the end of the mapping whose start was read already. */
static bool
read_mapping(struct reader *r, size_t item)
{
    for (;;) {
        if (!next_event(r))
            return false;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return check_required(r, item);
        if (r->event.type != YAML_SCALAR_EVENT || !is_plain(&r->event))
            return fail_here(r, "expected KEY: VALUE", "");
        const char *name = (const char *)r->event.data.scalar.value;
        const char *list = r->y->form->list;
        const struct cli_yaml_key *key = find_key(r->y->form, name, item != CLI_YAML_TOP);
        if (key != NULL) {
            if (!read_field(r, key, item))
                return false;
        } else if (item == CLI_YAML_TOP && list != NULL && strcmp(name, list) == 0) {
            if (!read_list(r))
                return false;
        } else {
            return unknown_key(r, item != CLI_YAML_TOP);
        }
    }
}

static bool
read_list(struct reader *r)
{
    if (r->y->items != 0)
        return fail_here(r, "key given twice: ", r->y->form->list);
    if (!expect(r, YAML_SEQUENCE_START_EVENT, "expected a list"))
        return false;
    for (;;) {
        if (!next_event(r))
            return false;
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return true;
        if (r->event.type != YAML_MAPPING_START_EVENT)
            return fail_here(r, "expected an item of the form KEY: VALUE", "");
        if (!read_mapping(r, r->y->items++))
            return false;
    }
}

static bool
read_file(struct reader *r)
{
    return expect(r, YAML_STREAM_START_EVENT, "expected text") &&
           expect(r, YAML_DOCUMENT_START_EVENT, "the file is empty") &&
           expect(r, YAML_MAPPING_START_EVENT, "expected lines of the form KEY: VALUE") &&
           read_mapping(r, CLI_YAML_TOP) &&
           expect(r, YAML_DOCUMENT_END_EVENT, "expected the end") &&
           expect(r, YAML_STREAM_END_EVENT, "expected the end; only one document is allowed");
}

bool
cli_yaml_read(struct cli_yaml *y, const struct cli_yaml_form *form, const char *path,
              struct mkt_span text, struct cli_error *err)
{
    *y = (struct cli_yaml){ .path = path, .form = form };
    struct reader r = { .y = y, .err = err };
    if (!yaml_parser_initialize(&r.parser))
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, text.p, text.n);
    bool done = read_file(&r);
    reader_close(&r);
    return done;
}

void
cli_yaml_free(struct cli_yaml *y)
{
    for (size_t i = 0; i < y->n; i++) {
        mkt_wipe(y->fields[i].value, y->fields[i].len);
        free(y->fields[i].value);
    }
    free(y->fields);
    *y = (struct cli_yaml){ 0 };
}

const struct cli_yaml_field *
cli_yaml_get(const struct cli_yaml *y, size_t item, const char *name)
{
    for (size_t i = 0; i < y->n; i++)
        if (y->fields[i].item == item && strcmp(y->fields[i].key->name, name) == 0)
            return &y->fields[i];
    return NULL;
}

bool
cli_yaml_fail(const struct cli_yaml *y, const struct cli_yaml_field *f, const char *why,
              struct cli_error *err)
{
    return cli_fail(err, CLI_EXIT_FAILURE, "%s:%zu:%zu: %s: %s", y->path, f->line, f->col,
                    f->key->name, why);
}

bool
cli_yaml_text(const struct cli_yaml *y, const char *name, char out[MKT_ID_MAX + 1],
              struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, name);
    if (f == NULL)
        return true; /* an optional key; the reader has checked the others */
    if (f->len == 0 || f->len > MKT_ID_MAX)
        return cli_yaml_fail(y, f, "expected 1 to 1024 octets", err);
    memcpy(out, f->value, f->len + 1);
    return true;
}

bool
cli_yaml_uint(const struct cli_yaml *y, const struct cli_yaml_field *f, uint64_t max, uint64_t *out,
              struct cli_error *err)
{
    if (f->len == 0 || f->len > 19 || strspn(f->value, "0123456789") != f->len)
        return cli_yaml_fail(y, f, "expected a decimal number", err);
    *out = strtoull(f->value, NULL, 10);
    return *out <= max || cli_yaml_fail(y, f, "the number is too large", err);
}

bool
cli_yaml_hex(const struct cli_yaml *y, const struct cli_yaml_field *f, uint8_t *out, size_t cap,
             size_t *len, struct cli_error *err)
{
    return cli_hex_decode(f->value, f->len, out, cap, len) ||
           cli_yaml_fail(y, f,
                         f->len / 2 > cap ? "more hex digits than this field takes"
                                          : "expected pairs of hex digits",
                         err);
}

bool
cli_yaml_print(struct cli_blob *b, const char *indent, const char *key, struct mkt_span value)
{
    if (!cli_blob_print(b, "%s%s: \"", indent, key))
        return false;
    for (size_t i = 0; i < value.n; i++) {
        int c = value.p[i];
        if ((c == '"' || c == '\\') && !cli_blob_print(b, "\\"))
            return false;
        if (!cli_blob_print(b, "%c", c))
            return false;
    }
    return cli_blob_print(b, "\"\n");
}

bool
cli_yaml_print_hex(struct cli_blob *b, const char *indent, const char *key, struct mkt_span octets)
{
    if (!cli_blob_print(b, "%s%s: \"", indent, key) || b->cap - b->n < 2 * octets.n + 1)
        return false;
    cli_hex_encode(octets, (char *)b->p + b->n);
    b->n += 2 * octets.n;
    return cli_blob_print(b, "\"\n");
}
