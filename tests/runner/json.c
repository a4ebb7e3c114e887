/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that remembers what was read. An attribute is known by the address of its key, which
 * jansson keeps for the life of the object; true, false and null are shared and would not do. */
#include "runner.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
out_of_memory(void)
{
    fputs("mkt-vectors: out of memory\n", stderr);
    exit(2);
}

void *
rn_alloc(struct rn *r, size_t n)
{
    struct rn_doc *d = &r->doc;
    if (d->n_owned == d->cap_owned) {
        d->cap_owned = d->cap_owned == 0 ? 64 : 2 * d->cap_owned;
        void **bigger = realloc(d->owned, d->cap_owned * sizeof *bigger);
        if (bigger == NULL)
            out_of_memory();
        d->owned = bigger;
    }
    void *p = calloc(1, n == 0 ? 1 : n);
    if (p == NULL)
        out_of_memory();
    d->owned[d->n_owned++] = p;
    return p;
}

const char *
rn_name(struct rn *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text, *s;
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory();
    s = rn_alloc(r, (size_t)n + 1);
    memcpy(s, text, (size_t)n + 1);
    free(text);
    return s;
}

/* The slot of key in the set: where it is, or where it belongs. */
static size_t
slot_of(const struct rn_doc *d, const char *key)
{
    size_t i = (size_t)(((uintptr_t)key >> 3) * 0x9E3779B97F4A7C15U) & (d->cap_used - 1);
    while (d->used[i] != NULL && d->used[i] != key)
        i = (i + 1) & (d->cap_used - 1);
    return i;
}

static void
grow(struct rn_doc *d)
{
    struct rn_doc old = *d;
    d->cap_used = old.cap_used == 0 ? 1024 : 2 * old.cap_used;
    d->used = calloc(d->cap_used, sizeof *d->used);
    if (d->used == NULL)
        out_of_memory();
    for (size_t i = 0; i < old.cap_used; i++)
        if (old.used[i] != NULL)
            d->used[slot_of(d, old.used[i])] = old.used[i];
    free(old.used);
}

static void
mark(struct rn_doc *d, const char *key)
{
    if (2 * (d->n_used + 1) > d->cap_used)
        grow(d);
    size_t i = slot_of(d, key);
    d->n_used += d->used[i] == NULL;
    d->used[i] = key;
}

bool
rn_doc_load(struct rn *r, const char *path)
{
    json_error_t e;
    r->doc = (struct rn_doc){ 0 };
    r->doc.root = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (r->doc.root == NULL)
        rn_fail(r, "JSON", "line %d, column %d: %s", e.line, e.column, e.text);
    grow(&r->doc);
    return r->doc.root != NULL;
}

void
rn_doc_free(struct rn *r)
{
    for (size_t i = 0; i < r->doc.n_owned; i++)
        free(r->doc.owned[i]);
    free(r->doc.owned);
    free(r->doc.used);
    json_decref(r->doc.root);
    r->doc = (struct rn_doc){ 0 };
}

json_t *
rn_get(struct rn *r, json_t *obj, const char *key)
{
    void *it = json_is_object(obj) ? json_object_iter_at(obj, key) : NULL;
    if (it == NULL)
        return NULL;
    mark(&r->doc, json_object_iter_key(it));
    return json_object_iter_value(it);
}

static json_t *
need(struct rn *r, json_t *obj, const char *key, json_type type, const char *what)
{
    json_t *v = rn_get(r, obj, key);
    if (v != NULL && json_typeof(v) == type)
        return v;
    rn_fail(r, key, v == NULL ? "attribute %s is missing" : "attribute is not %s",
            v == NULL ? key : what);
    return NULL;
}

const char *
rn_str(struct rn *r, json_t *obj, const char *key)
{
    json_t *v = need(r, obj, key, JSON_STRING, "a string");
    return v == NULL ? "" : json_string_value(v);
}

json_t *
rn_obj(struct rn *r, json_t *obj, const char *key)
{
    return need(r, obj, key, JSON_OBJECT, "an object");
}

json_t *
rn_list(struct rn *r, json_t *obj, const char *key)
{
    return need(r, obj, key, JSON_ARRAY, "a list");
}

bool
rn_bool(struct rn *r, json_t *obj, const char *key)
{
    json_t *v = rn_get(r, obj, key);
    if (!json_is_boolean(v))
        rn_fail(r, key, "attribute is not true or false");
    return json_is_true(v);
}

static int
hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = c == 0 ? NULL : strchr(digits, c);
    return p == NULL ? -1 : (int)(p - digits);
}

struct mkt_span
rn_hex_text(struct rn *r, const char *where, const char *text)
{
    size_t n = strlen(text);
    uint8_t *out = rn_alloc(r, n / 2);
    for (size_t i = 0; i + 1 < n; i += 2) {
        int hi = hex_digit(text[i]), lo = hex_digit(text[i + 1]);
        if (hi < 0 || lo < 0) {
            rn_fail(r, where, "not hexadecimal at character %zu", i);
            return mkt_span(NULL, 0);
        }
        out[i / 2] = (uint8_t)(hi << 4 | lo);
    }
    if (n % 2 != 0)
        rn_fail(r, where, "half an octet");
    return n / 2 == 0 ? mkt_span(NULL, 0) : mkt_span(out, n / 2);
}

struct mkt_span
rn_hex(struct rn *r, json_t *obj, const char *key)
{
    json_t *v = rn_get(r, obj, key);
    if (json_is_null(v))
        return mkt_span(NULL, 0);
    if (!json_is_string(v)) {
        rn_fail(r, key, "attribute %s is missing or not a string", key);
        return mkt_span(NULL, 0);
    }
    return rn_hex_text(r, key, json_string_value(v));
}

uint64_t
rn_num(struct rn *r, json_t *obj, const char *key)
{
    json_t *v = rn_get(r, obj, key);
    if (json_is_integer(v) && json_integer_value(v) >= 0)
        return (uint64_t)json_integer_value(v);
    const char *text = json_string_value(v);
    const char *open = text == NULL ? NULL : strrchr(text, '(');
    char *end = NULL;
    unsigned long long n = open == NULL ? 0 : strtoull(open + 1, &end, 10);
    if (end == NULL || end == open + 1 || strcmp(end, ")") != 0)
        rn_fail(r, key, "attribute %s is missing or not a number", key);
    return n;
}

uint64_t
rn_hex_num(struct rn *r, json_t *obj, const char *key)
{
    struct mkt_span s = rn_hex(r, obj, key);
    uint64_t v = 0;
    if (s.n > 8)
        rn_fail(r, key, "number of %zu octets", s.n);
    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | s.p[i];
    return v;
}

static void
mark_all(struct rn *r, json_t *v)
{
    size_t i;
    json_t *item;
    const char *key;
    if (json_is_array(v)) {
        json_array_foreach(v, i, item) mark_all(r, item);
    } else if (json_is_object(v)) {
        json_object_foreach(v, key, item)
        {
            mark(&r->doc, key);
            mark_all(r, item);
        }
    }
}

void
rn_info(struct rn *r, json_t *obj, const char *key)
{
    mark_all(r, rn_get(r, obj, key));
}

void
rn_unread(struct rn *r, json_t *value, const char *path)
{
    size_t i;
    json_t *item;
    const char *key;
    if (json_is_array(value)) {
        json_array_foreach(value, i, item) rn_unread(r, item, rn_name(r, "%s[%zu]", path, i));
    } else if (json_is_object(value)) {
        json_object_foreach(value, key, item)
        {
            const char *at = rn_name(r, "%s.%s", path, key);
            if (r->doc.used[slot_of(&r->doc, key)] == NULL)
                rn_fail(r, at, "attribute was never looked at");
            else
                rn_unread(r, item, at);
        }
    }
}
