/* SPDX-License-Identifier: Apache-2.0 */
/* A MIKEY message in whatever it came. What it is in is told from the text alone: a raw message
 * begins with octet 1 (the version), hex of one with "01", base64 with "AQ", and SDP names itself.
 */
#include "carrier.h"

#include "base64.h"
#include "encode.h"
#include "files.h"
#include "sealed.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIKEY_LINE "a=key-mgmt:"

struct line { /* one line of a text, without its end */
    struct mkt_span text;
    size_t number;
};

static bool
next_line(struct mkt_span *rest, struct line *l)
{
    if (rest->n == 0)
        return false;
    const uint8_t *end = memchr(rest->p, '\n', rest->n);
    size_t n = end != NULL ? (size_t)(end - rest->p) : rest->n;
    l->text = mkt_span(rest->p, n);
    l->number++;
    size_t used = end != NULL ? n + 1 : n;
    *rest = mkt_span(rest->p + used, rest->n - used);
    while (l->text.n > 0 && isspace(l->text.p[l->text.n - 1]))
        l->text.n--;
    while (l->text.n > 0 && isspace(l->text.p[0]))
        l->text = mkt_span(l->text.p + 1, l->text.n - 1);
    return true;
}

/* Takes the word off the start of s, letters in either case. */
static bool
skip(struct mkt_span *s, const char *word)
{
    size_t n = strlen(word);
    if (s->n < n || strncasecmp((const char *)s->p, word, n) != 0)
        return false;
    *s = mkt_span(s->p + n, s->n - n);
    return true;
}

static bool
has(struct mkt_span text, const char *word)
{
    for (size_t i = 0; i + strlen(word) <= text.n; i++)
        if (strncasecmp((const char *)text.p + i, word, strlen(word)) == 0)
            return true;
    return false;
}

static bool
take_base64(struct cli_carrier *c, struct mkt_span text, size_t line, const char *name,
            struct cli_error *err)
{
    if (c->n == CLI_CARRIER_MAX)
        return cli_fail(err, CLI_EXIT_FAILURE, "%s:%zu: more than %d messages", name, line,
                        CLI_CARRIER_MAX);
    size_t len = 0;
    if (!mkt_base64_decode((const char *)text.p, text.n, c->octets.p + c->octets.n,
                           c->octets.cap - c->octets.n, &len))
        return cli_fail(err, CLI_EXIT_MALFORMED, "%s:%zu: the key management data is not base64",
                        name, line);
    c->msg[c->n].at = c->octets.n;
    c->msg[c->n].len = len;
    c->msg[c->n++].line = line;
    c->octets.n += len;
    return true;
}

static void
add_protocol(struct cli_carrier *c, struct mkt_span id)
{
    size_t have = strlen(c->protocols);
    if (have + 1 + id.n >= sizeof c->protocols)
        return; /* a list this long never equals the one in a message */
    if (have > 0)
        c->protocols[have++] = ';';
    memcpy(c->protocols + have, id.p, id.n);
    c->protocols[have + id.n] = '\0';
}

static size_t
word_length(struct mkt_span s)
{
    size_t n = 0;
    while (n < s.n && !isspace(s.p[n]))
        n++;
    return n;
}

/* Session level first, then each media description: "m=" begins another list of protocols. The
 * list that counts is the one of the level on which the first MIKEY line stands. */
static bool
open_sdp(struct cli_carrier *c, struct mkt_span text, const char *name, struct cli_error *err)
{
    struct line l = { .number = 0 };
    bool listed = false; /* that level is over */
    c->kind = CLI_CARRIER_SDP;
    while (next_line(&text, &l)) {
        struct mkt_span rest = l.text;
        if (skip(&rest, "m=")) {
            listed = c->n > 0;
            if (!listed)
                c->protocols[0] = '\0';
        }
        if (!skip(&rest, MIKEY_LINE))
            continue;
        struct mkt_span id = mkt_span(rest.p, word_length(rest));
        if (!listed)
            add_protocol(c, id);
        if (!skip(&rest, "mikey") || id.n != strlen("mikey"))
            continue;
        while (rest.n > 0 && isspace(rest.p[0]))
            rest = mkt_span(rest.p + 1, rest.n - 1);
        if (!take_base64(c, rest, l.number, name, err))
            return false;
    }
    return true;
}

/* KeyMgmt: prot=mikey; uri="..."; data="...", with several specs parted by commas. */
static bool
open_rtsp(struct cli_carrier *c, struct mkt_span text, const char *name, struct cli_error *err)
{
    struct line l = { .number = 0 };
    c->kind = CLI_CARRIER_RTSP;
    while (next_line(&text, &l)) {
        bool mikey = false;
        for (struct mkt_span s = l.text; s.n > 0;) {
            if (skip(&s, "prot=")) {
                mikey = skip(&s, "mikey");
            } else if (skip(&s, "data=\"")) {
                const uint8_t *end = memchr(s.p, '"', s.n);
                size_t n = end != NULL ? (size_t)(end - s.p) : s.n;
                if (mikey && n > 0 && !take_base64(c, mkt_span(s.p, n), l.number, name, err))
                    return false;
                s = mkt_span(s.p + n, s.n - n);
            } else {
                s = mkt_span(s.p + 1, s.n - 1);
            }
        }
    }
    return true;
}

static void
set_one(struct cli_carrier *c, enum cli_carrier_kind kind, size_t len, size_t line)
{
    c->kind = kind;
    c->n = 1;
    c->msg[0].at = 0;
    c->msg[0].len = len;
    c->msg[0].line = line;
    c->octets.n = len;
}

static bool
is_text(struct mkt_span octets)
{
    for (size_t i = 0; i < octets.n; i++)
        if (!isprint(octets.p[i]) && !isspace(octets.p[i]))
            return false;
    return true;
}

/* Hex or base64, with white space (and between hex digits colons) anywhere. */
static bool
open_encoded(struct cli_carrier *c, struct mkt_span text, const char *name, struct cli_error *err)
{
    CLI_SCOPED_BLOB packed = { 0 };
    if (!cli_blob_alloc(&packed, text.n + 1, err))
        return false;
    bool hex = true;
    for (size_t i = 0; i < text.n; i++) {
        if (isspace(text.p[i]) || (hex && text.p[i] == ':'))
            continue;
        hex = hex && isxdigit(text.p[i]);
        packed.p[packed.n++] = text.p[i];
    }
    size_t len = 0;
    const char *digits = (const char *)packed.p;
    if (hex && cli_hex_decode(digits, packed.n, c->octets.p, c->octets.cap, &len) && len > 0)
        set_one(c, CLI_CARRIER_HEX, len, 1);
    else if (mkt_base64_decode(digits, packed.n, c->octets.p, c->octets.cap, &len) && len > 0)
        set_one(c, CLI_CARRIER_BASE64, len, 1);
    else
        return cli_fail(err, CLI_EXIT_MALFORMED,
                        "%s is not a MIKEY message in octets, hex or base64, and has no "
                        "a=key-mgmt:mikey line",
                        name);
    return true;
}

bool
cli_carrier_open(struct cli_carrier *c, struct mkt_span text, const char *name,
                 struct cli_error *err)
{
    *c = (struct cli_carrier){ 0 };
    if (!cli_blob_alloc(&c->octets, text.n + 1, err))
        return false;
    if (text.n > 0 && (text.p[0] == 1 || !is_text(text))) {
        memcpy(c->octets.p, text.p, text.n);
        set_one(c, CLI_CARRIER_RAW, text.n, 0);
        return true;
    }
    bool sdp = has(text, MIKEY_LINE), rtsp = has(text, "keymgmt:");
    if (!sdp && !rtsp)
        return open_encoded(c, text, name, err);
    if (sdp ? !open_sdp(c, text, name, err) : !open_rtsp(c, text, name, err))
        return false;
    return c->n > 0 || cli_fail(err, CLI_EXIT_MALFORMED,
                                "%s offers key management, but none of it is MIKEY", name);
}

/* The message alone: what it is in front of may be of any size. */
static bool
open_sealed(struct cli_carrier *c, struct mkt_span octets, struct cli_error *err)
{
    struct mkt_span m;

    *c = (struct cli_carrier){ 0 };
    if (!cli_sealed_message(octets, &m, err) || !cli_blob_set(&c->octets, m, err))
        return false;
    set_one(c, CLI_CARRIER_SEALED, m.n, 0);
    return true;
}

bool
cli_carrier_load(struct cli_carrier *c, const char *path, struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };

    if (!cli_file_begin(&text, path, CLI_CARRIER_TEXT_MAX + 1, err))
        return false;
    if (cli_sealed_begins(cli_blob_span(&text)))
        return open_sealed(c, cli_blob_span(&text), err);
    if (text.n > CLI_CARRIER_TEXT_MAX)
        return cli_file_too_long(path, CLI_CARRIER_TEXT_MAX, err);
    return cli_carrier_open(c, cli_blob_span(&text), path, err);
}

bool
cli_carrier_operand(struct cli_carrier *c, const char *operand, struct cli_error *err)
{
    if (operand == NULL || strcmp(operand, "-") == 0 || access(operand, F_OK) == 0)
        return cli_carrier_load(c, operand != NULL ? operand : "-", err);
    if (errno != ENOENT && errno != ENAMETOOLONG && errno != ENOTDIR)
        return cli_fail(err, CLI_EXIT_FAILURE, "cannot open %s: %s", operand, strerror(errno));
    char name[128];
    snprintf(name, sizeof name, "%.60s (no such file, so taken as text)", operand);
    return cli_carrier_open(c, mkt_span(operand, strlen(operand)), name, err);
}

static bool
load_checked(struct cli_carrier *c, const char *path, bool update, struct mkt_span *octets,
             struct cli_error *err)
{
    static struct mkt_msg m; /* some kilobytes; only its verdict is used */
    struct mkt_err why = { 0 };
    if (!cli_carrier_load(c, path, err))
        return false;
    if (c->n > 1)
        cli_say("%s holds %zu messages; the first is taken", path, c->n);
    *octets = cli_carrier_message(c, 0);
    if (mkt_msg_parse(&m, *octets, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_MALFORMED, path, &why);
    update = update && m.hdr.data_type != MKT_DT_ERROR;
    if ((update ? mkt_msg_check_update(&m, &why) : mkt_msg_check(&m, &why)) == MKT_OK)
        return true;
    return cli_fail_mkt(err, CLI_EXIT_MALFORMED, path, &why);
}

bool
cli_carrier_load_one(struct cli_carrier *c, const char *path, struct mkt_span *octets,
                     struct cli_error *err)
{
    return load_checked(c, path, false, octets, err);
}

bool
cli_carrier_load_update(struct cli_carrier *c, const char *path, struct mkt_span *octets,
                        struct cli_error *err)
{
    return load_checked(c, path, true, octets, err);
}

struct mkt_span
cli_carrier_message(const struct cli_carrier *c, size_t index)
{
    return mkt_span(c->octets.p + c->msg[index].at, c->msg[index].len);
}

struct mkt_span
cli_sdp_ids(const struct mkt_msg *m, size_t *at)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct mkt_payload *p = &m->pl[i];
        if (p->type != MKT_PL_GENERAL_EXT || p->u.ext.ext_type != MKT_EXT_SDP_IDS)
            continue;
        if (at != NULL)
            *at = p->at;
        return p->u.ext.data;
    }
    return mkt_span(NULL, 0);
}

bool
cli_sdp_ids_equal(struct mkt_span a, struct mkt_span b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0);
}

void
cli_carrier_free(struct cli_carrier *c)
{
    cli_blob_free(&c->octets);
}

const char *
cli_carrier_kind_name(enum cli_carrier_kind kind)
{
    static const char *const names[] = {
        [CLI_CARRIER_RAW] = "octets",    [CLI_CARRIER_HEX] = "hex",
        [CLI_CARRIER_BASE64] = "base64", [CLI_CARRIER_SDP] = "SDP",
        [CLI_CARRIER_RTSP] = "RTSP",     [CLI_CARRIER_SEALED] = "sealed object",
    };
    return names[kind];
}

bool
cli_carrier_save(const char *path, struct mkt_span message, bool sdp, struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    if (!cli_blob_alloc(&text, mkt_base64_len(message.n) + 32, err))
        return false;
    if (sdp && !cli_blob_print(&text, "%smikey ", MIKEY_LINE))
        return cli_fail(err, CLI_EXIT_FAILURE, "message too long");
    mkt_base64_encode(message, (char *)text.p + text.n);
    text.n += mkt_base64_len(message.n);
    text.p[text.n++] = '\n';
    return cli_file_write(path, CLI_PUBLIC, cli_blob_span(&text), err);
}
