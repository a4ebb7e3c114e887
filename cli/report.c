/* SPDX-License-Identifier: Apache-2.0 */
/* Results on standard output. A command says each thing once; here it becomes a line of text or a
 * member of a JSON object, so that the two never differ. Identities come from strangers and are
 * escaped. */
#include "report.h"

#include "encode.h"

#include <inttypes.h>
#include <mikeyticket/secret.h>
#include <string.h>

static void
json_string(FILE *out, const char *text)
{
    putc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20 || c > 0x7E)
            fprintf(out, "\\u%04x", c);
        else
            putc(c, out);
    }
    putc('"', out);
}

static void
json_key(struct cli_report *r, const char *key)
{
    fprintf(r->out, "%s\n%*s", r->begun[r->depth] ? "," : "", 2 * (r->depth + 1), "");
    if (key == NULL)
        return;
    putc('"', r->out);
    for (; *key != '\0'; key++)
        putc(*key == '-' ? '_' : *key, r->out);
    fputs("\": ", r->out);
}

/* In text the first line of an item carries the dash. */
static void
text_key(struct cli_report *r, const char *key)
{
    int in = r->depth;
    bool dash = r->list[in] || (in > 0 && r->list[in - 1] && !r->begun[in]);
    int indent = 2 * in - (dash && !r->list[in] ? 2 : 0);
    fprintf(r->out, "%*s%s", indent, "", dash ? "- " : "");
    if (key != NULL)
        fprintf(r->out, "%s:", key);
}

static void
begin_entry(struct cli_report *r, const char *key)
{
    if (r->json)
        json_key(r, key);
    else
        text_key(r, key);
    r->begun[r->depth] = true;
}

static void
begin_value(struct cli_report *r, const char *key)
{
    begin_entry(r, key);
    if (!r->json && key != NULL)
        putc(' ', r->out);
}

static void
end_entry(struct cli_report *r)
{
    if (!r->json)
        putc('\n', r->out);
}

static void
open_level(struct cli_report *r, bool list)
{
    r->depth++;
    r->list[r->depth] = list;
    r->begun[r->depth] = false;
}

void
cli_report_begin(struct cli_report *r, FILE *out, bool json)
{
    *r = (struct cli_report){ .out = out, .json = json };
    if (json)
        putc('{', out);
}

void
cli_report_end(struct cli_report *r)
{
    if (r->json)
        fputs("\n}\n", r->out);
    fflush(r->out);
}

void
cli_report_list(struct cli_report *r, const char *key)
{
    begin_entry(r, key);
    putc(r->json ? '[' : '\n', r->out);
    open_level(r, true);
}

void
cli_report_item(struct cli_report *r)
{
    if (r->json) {
        begin_entry(r, NULL);
        putc('{', r->out);
    }
    open_level(r, false);
}

void
cli_report_close(struct cli_report *r)
{
    bool list = r->list[r->depth], begun = r->begun[r->depth];
    r->depth--;
    if (!r->json)
        return;
    if (begun)
        fprintf(r->out, "\n%*s", 2 * (r->depth + 1), "");
    putc(list ? ']' : '}', r->out);
}

void
cli_report_text(struct cli_report *r, const char *key, const char *text)
{
    begin_value(r, key);
    if (r->json)
        json_string(r->out, text);
    else
        fputs(text, r->out);
    end_entry(r);
}

void
cli_report_uint(struct cli_report *r, const char *key, uint64_t value)
{
    begin_value(r, key);
    fprintf(r->out, "%" PRIu64, value);
    end_entry(r);
}

void
cli_report_bool(struct cli_report *r, const char *key, bool value)
{
    begin_value(r, key);
    fputs(r->json ? (value ? "true" : "false") : (value ? "yes" : "no"), r->out);
    end_entry(r);
}

void
cli_report_hex(struct cli_report *r, const char *key, struct mkt_span octets)
{
    char text[2 * 256 + 1]; /* SPIs and keys: 255 octets at most */
    if (octets.n > 255)
        octets.n = 255;
    cli_hex_encode(octets, text);
    cli_report_text(r, key, text);
    mkt_wipe(text, sizeof text);
}

void
cli_report_identity(struct cli_report *r, const char *key, struct mkt_identity id)
{
    char text[CLI_IDENTITY_TEXT];
    cli_identity_text(id, text);
    cli_report_text(r, key, text);
}

void
cli_identity_text(struct mkt_identity id, char out[CLI_IDENTITY_TEXT])
{
    size_t at = 0;
    for (size_t i = 0; i < id.data.n && i < MKT_ID_MAX; i++) {
        uint8_t c = id.data.p[i];
        bool plain = c >= 0x20 && c < 0x7F && c != '\\';
        if (plain)
            out[at++] = (char)c;
        else {
            memcpy(out + at, "\\x", 2);
            cli_hex_encode(mkt_span(&c, 1), out + at + 2);
            at += 4;
        }
    }
    out[at] = '\0';
}
