/* SPDX-License-Identifier: Apache-2.0 */
/* The two formats of a printed message: lines for a human with a capture, and JSON. Strings come
 * from peers, so both formats quote and escape every one of them. */
#include "message/print.h"

#include <stdio.h>
#include <string.h>

void
mkt_out_put(struct mkt_out *o, const char *s)
{
    o->sink(o->ctx, s, strlen(s));
}

void
mkt_out_number(struct mkt_out *o, size_t value)
{
    char buf[24];
    snprintf(buf, sizeof buf, "%zu", value);
    mkt_out_put(o, buf);
}

void
mkt_out_hex(struct mkt_out *o, struct mkt_span s)
{
    static const char digits[] = "0123456789abcdef";
    char buf[128];
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        buf[n++] = digits[s.p[i] >> 4];
        buf[n++] = digits[s.p[i] & 15];
        if (n == sizeof buf || i + 1 == s.n) {
            o->sink(o->ctx, buf, n);
            n = 0;
        }
    }
}

void
mkt_out_quoted(struct mkt_out *o, const char *s, size_t n)
{
    size_t plain = 0; /* the run before i that needs no escape */
    mkt_out_put(o, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        char buf[8];
        if (c >= 0x20 && c <= 0x7E && c != '"' && c != '\\')
            continue;
        if (c == '"' || c == '\\')
            snprintf(buf, sizeof buf, "\\%c", c);
        else
            snprintf(buf, sizeof buf, "\\u%04x", c);
        o->sink(o->ctx, s + plain, i - plain);
        mkt_out_put(o, buf);
        plain = i + 1;
    }
    o->sink(o->ctx, s + plain, n - plain);
    mkt_out_put(o, "\"");
}

/* --- text ------------------------------------------------------------------------------------ */

static void
indent(struct mkt_out *o)
{
    for (unsigned i = 0; i < o->depth; i++)
        mkt_out_put(o, "  ");
}

static void
line(struct mkt_out *o, const char *label)
{
    indent(o);
    mkt_out_put(o, label);
    mkt_out_put(o, ": ");
}

static void
text_nothing(struct mkt_out *o)
{
    (void)o;
}

static void
text_payload_begin(struct mkt_out *o, const char *name, size_t at, const char *ref)
{
    indent(o);
    mkt_out_put(o, name);
    mkt_out_put(o, " at octet ");
    mkt_out_number(o, at);
    mkt_out_put(o, " (");
    mkt_out_put(o, ref);
    mkt_out_put(o, ")\n");
    o->depth++;
}

static void
text_group_begin(struct mkt_out *o, const char *key, const char *label)
{
    (void)key;
    indent(o);
    mkt_out_put(o, label);
    mkt_out_put(o, "\n");
    o->depth++;
}

static void
text_end(struct mkt_out *o)
{
    o->depth--;
}

static void
text_number(struct mkt_out *o, const char *key, const char *label, uint32_t value, const char *name)
{
    (void)key;
    line(o, label);
    mkt_out_number(o, value);
    if (name != NULL) {
        mkt_out_put(o, " ");
        mkt_out_put(o, name);
    }
    mkt_out_put(o, "\n");
}

static void
text_truth(struct mkt_out *o, const char *key, const char *label, bool value)
{
    (void)key;
    line(o, label);
    mkt_out_put(o, value ? "1\n" : "0\n");
}

static void
text_text(struct mkt_out *o, const char *key, const char *label, const char *s, size_t n)
{
    (void)key;
    line(o, label);
    mkt_out_quoted(o, s, n);
    mkt_out_put(o, "\n");
}

static void
text_octets(struct mkt_out *o, const char *key, const char *label, struct mkt_span s)
{
    (void)key;
    line(o, label);
    mkt_out_put(o, s.n == 0 ? "empty" : "");
    mkt_out_hex(o, s);
    mkt_out_put(o, "\n");
}

static void
text_hidden(struct mkt_out *o, const char *key, const char *label, size_t n)
{
    (void)key;
    line(o, label);
    mkt_out_number(o, n);
    mkt_out_put(o, " octets, not shown\n");
}

const struct mkt_format mkt_format_text = {
    .begin = text_nothing,
    .end = text_nothing,
    .payload_begin = text_payload_begin,
    .group_begin = text_group_begin,
    .group_end = text_end,
    .list_begin = text_group_begin,
    .list_end = text_end,
    .number = text_number,
    .truth = text_truth,
    .text = text_text,
    .octets = text_octets,
    .hidden = text_hidden,
};

/* --- JSON ------------------------------------------------------------------------------------ */

static void
json_key(struct mkt_out *o, const char *key, const char *suffix)
{
    mkt_out_put(o, o->comma ? "," : "");
    o->comma = true;
    if (key != NULL) {
        mkt_out_put(o, "\"");
        mkt_out_put(o, key);
        mkt_out_put(o, suffix);
        mkt_out_put(o, "\":");
    }
}

static void
json_begin(struct mkt_out *o)
{
    mkt_out_put(o, "{");
}

static void
json_message_end(struct mkt_out *o)
{
    mkt_out_put(o, "}\n");
}

static void
json_group_begin(struct mkt_out *o, const char *key, const char *label)
{
    (void)label;
    json_key(o, key, "");
    mkt_out_put(o, "{");
    o->comma = false;
}

static void
json_group_end(struct mkt_out *o)
{
    mkt_out_put(o, "}");
    o->comma = true;
}

static void
json_list_begin(struct mkt_out *o, const char *key, const char *label)
{
    (void)label;
    json_key(o, key, "");
    mkt_out_put(o, "[");
    o->comma = false;
}

static void
json_list_end(struct mkt_out *o)
{
    mkt_out_put(o, "]");
    o->comma = true;
}

static void
json_text_as(struct mkt_out *o, const char *key, const char *suffix, const char *s, size_t n)
{
    json_key(o, key, suffix);
    mkt_out_quoted(o, s, n);
}

static void
json_number(struct mkt_out *o, const char *key, const char *label, uint32_t value, const char *name)
{
    (void)label;
    json_key(o, key, "");
    mkt_out_number(o, value);
    if (name != NULL)
        json_text_as(o, key, "_name", name, strlen(name));
}

static void
json_payload_begin(struct mkt_out *o, const char *name, size_t at, const char *ref)
{
    json_group_begin(o, NULL, NULL);
    json_text_as(o, "payload", "", name, strlen(name));
    json_key(o, "offset", "");
    mkt_out_number(o, at);
    json_text_as(o, "ref", "", ref, strlen(ref));
}

static void
json_truth(struct mkt_out *o, const char *key, const char *label, bool value)
{
    (void)label;
    json_key(o, key, "");
    mkt_out_put(o, value ? "true" : "false");
}

static void
json_text(struct mkt_out *o, const char *key, const char *label, const char *s, size_t n)
{
    (void)label;
    json_text_as(o, key, "", s, n);
}

static void
json_octets(struct mkt_out *o, const char *key, const char *label, struct mkt_span s)
{
    (void)label;
    json_key(o, key, "_hex");
    mkt_out_put(o, "\"");
    mkt_out_hex(o, s);
    mkt_out_put(o, "\"");
}

static void
json_hidden(struct mkt_out *o, const char *key, const char *label, size_t n)
{
    (void)label;
    json_key(o, key, "_octets");
    mkt_out_number(o, n);
    json_text_as(o, key, "", "not shown", strlen("not shown"));
}

const struct mkt_format mkt_format_json = {
    .begin = json_begin,
    .end = json_message_end,
    .payload_begin = json_payload_begin,
    .group_begin = json_group_begin,
    .group_end = json_group_end,
    .list_begin = json_list_begin,
    .list_end = json_list_end,
    .number = json_number,
    .truth = json_truth,
    .text = json_text,
    .octets = json_octets,
    .hidden = json_hidden,
};
