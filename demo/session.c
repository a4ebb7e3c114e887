/* SPDX-License-Identifier: Apache-2.0 */
/* The session file as mikey-ticket writes it (docs/formats/session-file.md): a list of crypto
 * sessions with one "key: value" a line. The demonstration needs no general YAML reader: lines it
 * does not know are passed over, and every field it needs must be there and right. */
#include "demo.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FORMAT "mikey-ticket-session-1"
#define LINE 2048

enum field { F_CS_ID, F_PROT, F_SSRC, F_ROC, F_SEQ, F_MKI, F_PARAMS, F_KEY, F_SALT, FIELDS };

static const char *const names[FIELDS] = { "cs-id", "prot", "ssrc", "roc", "seq",
                                           "mki",   "sp",   "key",  "salt" };

static bool
hex(const char *text, uint8_t *out, size_t cap, size_t *n)
{
    for (*n = 0; isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]); text += 2) {
        char digits[3] = { text[0], text[1], '\0' };
        if (*n == cap)
            return false;
        out[(*n)++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return *text == '\0';
}

static bool
hex_secret(const char *text, struct mkt_secret *s)
{
    size_t n;
    bool ok = hex(text, s->b, sizeof s->b, &n);
    s->n = (uint16_t)n;
    return ok;
}

static bool
number(const char *text, uint32_t max, uint32_t *out)
{
    char *end;
    unsigned long v = strtoul(text, &end, 0);

    *out = (uint32_t)v;
    return isdigit((unsigned char)*text) && *end == '\0' && v <= max;
}

static bool
take(struct demo_session *s, enum field f, const char *text)
{
    uint32_t v = 0;
    bool ok;

    switch (f) {
    case F_CS_ID:
    case F_PROT:
        ok = number(text, UINT8_MAX, &v);
        *(f == F_PROT ? &s->cs.prot_type : &s->cs.cs_id) = (uint8_t)v;
        return ok;
    case F_SSRC:
        s->cs.has_ssrc = true;
        return number(text, UINT32_MAX, &s->cs.ssrc);
    case F_ROC:
        return number(text, UINT32_MAX, &s->cs.roc);
    case F_SEQ:
        ok = number(text, UINT16_MAX, &v);
        s->cs.seq = (uint16_t)v;
        return ok;
    case F_MKI:
        s->cs.spi.p = s->mki;
        return hex(text, s->mki, sizeof s->mki, &s->cs.spi.n);
    case F_PARAMS:
        s->cs.params.p = s->params;
        return hex(text, s->params, sizeof s->params, &s->cs.params.n);
    case F_KEY:
        return hex_secret(text, &s->key);
    default:
        return hex_secret(text, &s->salt);
    }
}

/* Cuts "  - name: "value"" into name and value; false for any other line. */
static bool
cut(char *line, bool *item, char **name, char **value)
{
    line += strspn(line, " ");
    *item = line[0] == '-' && line[1] == ' ';
    if (*item)
        line += 2 + strspn(line + 2, " ");
    *name = line;
    *value = strstr(line, ": ");
    if (line[0] == '#' || *value == NULL)
        return false;
    **value = '\0';
    *value += 2;
    (*value)[strcspn(*value, "\r\n")] = '\0';
    size_t n = strlen(*value);
    if (n >= 2 && (*value)[0] == '"' && (*value)[n - 1] == '"') {
        (*value)[n - 1] = '\0';
        (*value)++;
    }
    return true;
}

/* Reads until the item of cs_id is complete. */
static bool
read_item(struct demo_session *s, FILE *f, uint8_t cs_id)
{
    char line[LINE], *name, *value;
    unsigned seen = 0;
    bool item, format = false, ok = true;

    while (ok && fgets(line, sizeof line, f) != NULL) {
        if (!cut(line, &item, &name, &value))
            continue;
        if (strcmp(name, "format") == 0)
            format = strcmp(value, FORMAT) == 0;
        if (item && (seen & 1u << F_CS_ID) != 0 && s->cs.cs_id == cs_id)
            break;
        if (item) {
            demo_session_wipe(s);
            seen = 0;
        }
        for (unsigned i = 0; i < FIELDS; i++)
            if (strcmp(name, names[i]) == 0) {
                ok = ok && take(s, i, value);
                seen |= 1u << i;
            }
    }
    mkt_wipe(line, sizeof line);
    return ok && format && s->cs.cs_id == cs_id && seen == (1u << FIELDS) - 1;
}

bool
demo_session_read(struct demo_session *s, const char *path, uint8_t cs_id)
{
    struct stat st;
    FILE *f = fopen(path, "r");

    demo_session_wipe(s);
    if (f == NULL || fstat(fileno(f), &st) != 0 || (st.st_mode & 077) != 0) {
        if (f != NULL)
            fclose(f);
        return demo_fail("%s: cannot be read, or others than its owner can read it", path);
    }
    setvbuf(f, NULL, _IONBF, 0); /* no copy of the keys stays in a buffer */
    bool ok = read_item(s, f, cs_id);
    fclose(f);
    if (!ok) {
        demo_session_wipe(s);
        return demo_fail("%s: crypto session %u is not there or not complete", path, cs_id);
    }
    return true;
}

void
demo_session_wipe(struct demo_session *s)
{
    mkt_wipe(s, sizeof *s);
}

srtp_t
demo_session_open(struct demo_session *s)
{
    struct mkt_srtp policy;
    struct mkt_err err = { 0 };
    srtp_t srtp = NULL;
    char why[256];

    if (mkt_srtp_policy_from(&policy, &s->cs, &s->key, &s->salt, &err) != MKT_OK ||
        mkt_srtp_create(&srtp, &policy, &err) != MKT_OK) {
        mkt_err_format(&err, why, sizeof why);
        demo_fail("crypto session %u: %s", s->cs.cs_id, why);
    }
    demo_session_wipe(s);
    return srtp;
}
