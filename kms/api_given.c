/* SPDX-License-Identifier: Apache-2.0 */
/* What comes with a call, against the fields of its endpoint: nothing unknown, nothing twice,
 * nothing missing, nothing of another type or size. Endpoints read it without looking again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api_parts.h"
#include "hex.h"

static const struct kms_api_field none[] = { { 0 } };

static const struct kms_api_field *
fields_of(const struct kms_api_call *c)
{
    return c->endpoint->fields != NULL ? c->endpoint->fields : none;
}

/* GET and DELETE have no body, and octets are not JSON: then fields stand in the query. */
static bool
in_query(const struct kms_endpoint *e)
{
    return e->octets > 0 || e->method[0] == 'G' || e->method[0] == 'D';
}

static const struct kms_api_field *
field_of(const struct kms_api_call *c, const char *name)
{
    const struct kms_api_field *f = fields_of(c);

    while (f->name != NULL && strcmp(f->name, name) != 0)
        f++;
    return f->name == NULL ? NULL : f;
}

static bool
wrong(struct kms_api_call *c, const char *name, const char *what)
{
    char where[80];

    snprintf(where, sizeof where, "/%.64s", name);
    kms_api_refuse(c, KMS_API_MALFORMED, where, "%.64s: %s", name, what);
    return false;
}

char *
kms_api_decode(const char *p, size_t n, bool plus)
{
    char *text = malloc(n + 1), *to = text;

    for (size_t i = 0; text != NULL && i < n; i++) {
        int high = p[i] == '%' && i + 2 < n ? kms_hex_value(p[i + 1]) : -1;
        int low = high >= 0 ? kms_hex_value(p[i + 2]) : -1;
        char one = plus && p[i] == '+' ? ' ' : p[i];

        if (p[i] == '%') {
            if (low < 0)
                one = '\0';
            else
                one = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)one < ' ' || one == 0x7f) {
            free(text);
            return NULL;
        }
        *to++ = one;
    }
    if (text != NULL)
        *to = '\0';
    return text;
}

/* --- one value -------------------------------------------------------------------------------- */

static bool
check_text(struct kms_api_call *c, const struct kms_api_field *f, const json_t *v)
{
    const char *text = json_string_value(v);
    size_t n = json_string_length(v);

    if (text == NULL || n == 0 || n > f->max)
        return wrong(c, f->name, text == NULL ? "a text is wanted" : "empty, or too long");
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return wrong(c, f->name, "holds a control character");
    return true;
}

static bool
check_list(struct kms_api_call *c, const struct kms_api_field *f, const json_t *v)
{
    if (!json_is_array(v) || json_array_size(v) > KMS_API_LIST)
        return wrong(c, f->name, "a list of texts is wanted, 64 at most");
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!check_text(c, f, json_array_get(v, i)))
            return false;
    return true;
}

static bool
check(struct kms_api_call *c, const struct kms_api_field *f, const json_t *v)
{
    switch (f->type) {
    case KMS_API_NUMBER:
        return (json_is_integer(v) && json_integer_value(v) > 0 &&
                json_integer_value(v) <= f->max) ||
               wrong(c, f->name, "not a number, or out of range");
    case KMS_API_TRUTH:
        return json_is_boolean(v) || wrong(c, f->name, "true or false is wanted");
    case KMS_API_TEXTS:
        return check_list(c, f, v);
    default:
        return check_text(c, f, v);
    }
}

/* --- all of them ------------------------------------------------------------------------------ */

static bool
check_all(struct kms_api_call *c)
{
    const char *name;
    json_t *v;

    json_object_foreach(c->given, name, v)
    {
        const struct kms_api_field *f = field_of(c, name);

        if (f == NULL)
            return wrong(c, name, "this takes no such parameter");
        if (!check(c, f, v))
            return false;
    }
    for (const struct kms_api_field *f = fields_of(c); f->name != NULL; f++)
        if (f->required && json_object_get(c->given, f->name) == NULL)
            return wrong(c, f->name, "is missing");
    return true;
}

/* In a query everything is text. */
static json_t *
value_of(const struct kms_api_field *f, const char *text)
{
    if (f != NULL && f->type == KMS_API_TRUTH && strcmp(text, "true") == 0)
        return json_true();
    if (f != NULL && f->type == KMS_API_TRUTH && strcmp(text, "false") == 0)
        return json_false();
    if (f != NULL && f->type == KMS_API_NUMBER && text[0] != '\0' && strlen(text) < 16 &&
        strspn(text, "0123456789") == strlen(text))
        return json_integer(strtoll(text, NULL, 10));
    return json_string(text);
}

static bool
take_pair(struct kms_api_call *c, const char *p, size_t n)
{
    const char *equals = memchr(p, '=', n);
    char *name, *text;
    json_t *v;
    bool ok;

    if (equals == NULL)
        return wrong(c, "query", "a parameter is NAME=VALUE");
    name = kms_api_decode(p, (size_t)(equals - p), true);
    text = kms_api_decode(equals + 1, n - (size_t)(equals - p) - 1, true);
    if (name == NULL || text == NULL) {
        ok = wrong(c, "query", "not well encoded");
    } else if (json_object_get(c->given, name) != NULL) {
        ok = wrong(c, name, "is given twice");
    } else {
        v = value_of(field_of(c, name), text);
        ok = (v != NULL && json_object_set_new(c->given, name, v) == 0) ||
             wrong(c, name, "is not UTF-8");
    }
    free(name);
    free(text);
    return ok;
}

bool
kms_api_take_query(struct kms_api_call *c, const char *query)
{
    c->given = json_object();
    if (c->given == NULL)
        return wrong(c, "query", "out of memory");
    if (!in_query(c->endpoint))
        return query[0] == '\0' || wrong(c, "query", "this takes none");
    while (*query == '?' || *query == '&') {
        size_t n = strcspn(++query, "&");

        if (!take_pair(c, query, n))
            return false;
        query += n;
    }
    return check_all(c);
}

bool
kms_api_take_body(struct kms_api_call *c, const char *body, size_t n)
{
    json_error_t e;

    if (c->endpoint->octets > 0) {
        c->body = body;
        c->n_body = n;
        return true;
    }
    if (in_query(c->endpoint) || n == 0)
        return n == 0 ? check_all(c) : wrong(c, "body", "this takes none");
    json_decref(c->given);
    c->given = json_loadb(body, n, JSON_REJECT_DUPLICATES, &e);
    if (json_is_object(c->given))
        return check_all(c);
    kms_api_refuse(c, KMS_API_MALFORMED, "/", "line %d, column %d: %s", e.line, e.column,
                   c->given == NULL ? e.text : "a JSON object is wanted");
    return false;
}

/* --- for the endpoints ------------------------------------------------------------------------ */

const char *
kms_api_given(const struct kms_api_call *c, const char *name)
{
    return json_string_value(json_object_get(c->given, name));
}

uint64_t
kms_api_number(const struct kms_api_call *c, const char *name, uint64_t otherwise)
{
    const json_t *v = json_object_get(c->given, name);

    return v == NULL ? otherwise : (uint64_t)json_integer_value(v);
}

bool
kms_api_truth(const struct kms_api_call *c, const char *name)
{
    return json_is_true(json_object_get(c->given, name));
}

void
kms_api_put(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value == NULL ? json_null() : value);
}

json_t *
kms_api_words(const char *text)
{
    json_t *v = json_string(text);
    char *copy;

    if (v != NULL)
        return v;
    copy = strdup(text);
    for (char *p = copy; p != NULL && *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    v = copy == NULL ? NULL : json_string(copy);
    free(copy);
    return v;
}

json_t *
kms_api_time(int64_t seconds)
{
    time_t t = (time_t)seconds;
    char text[32];
    struct tm tm;

    if (seconds == 0 || gmtime_r(&t, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return json_null();
    return json_string(text);
}
