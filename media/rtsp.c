/* SPDX-License-Identifier: Apache-2.0 */
/* RTSP's KeyMgmt header: prot=mikey; uri="rtsp://..."; data="BASE64", several parted by commas.
 * RFC 4567 3.2 with erratum 2247, which puts the data into its grammar. Blanks are allowed after
 * ';' and around ',', as the examples of the RFC have them. */
#include <mikeyticket/media/sdp.h>

#include "base64.h"

#include <string.h>
#include <strings.h>

static const char ref[] = "RFC 4567 3.2";

struct cursor {
    struct mkt_span text;
    size_t at;
};

static void
skip_blanks(struct cursor *c)
{
    while (c->at < c->text.n && (c->text.p[c->at] == ' ' || c->text.p[c->at] == '\t'))
        c->at++;
}

static bool
skip(struct cursor *c, const char *word)
{
    size_t n = strlen(word);

    if (c->text.n - c->at < n || strncasecmp((const char *)c->text.p + c->at, word, n) != 0)
        return false;
    c->at += n;
    return true;
}

static bool
is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
is_quotable(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '"';
}

/* The run of characters that `is` allows. */
static struct mkt_span
run(struct cursor *c, bool (*is)(uint8_t))
{
    size_t begin = c->at;

    while (c->at < c->text.n && is(c->text.p[c->at]))
        c->at++;
    return mkt_span(c->text.p + begin, c->at - begin);
}

static bool
quoted(struct cursor *c, struct mkt_span *value)
{
    *value = run(c, is_quotable);
    return skip(c, "\"");
}

static enum mkt_rc
fail(const struct cursor *c, const char *what, struct mkt_err *err)
{
    return mkt_fail(err, MKT_E_FIELD, c->at, what, ref);
}

static enum mkt_rc
read_spec(struct mkt_rtsp_spec *spec, struct cursor *c, struct mkt_err *err)
{
    skip_blanks(c);
    *spec = (struct mkt_rtsp_spec){ .at = c->at };
    if (!skip(c, "prot="))
        return fail(c, "KeyMgmt: expected prot=", err);
    spec->prot = run(c, is_alnum);
    if (spec->prot.n == 0 || !skip(c, ";"))
        return fail(c, "KeyMgmt: no protocol identifier", err);
    skip_blanks(c);
    if (skip(c, "uri=\"")) {
        if (!quoted(c, &spec->uri) || spec->uri.n == 0 || !skip(c, ";"))
            return fail(c, "KeyMgmt: uri", err);
        skip_blanks(c);
    }
    if (!skip(c, "data=\"") || !quoted(c, &spec->data))
        return fail(c, "KeyMgmt: expected data=\"...\"", err);
    skip_blanks(c);
    return MKT_OK;
}

enum mkt_rc
mkt_rtsp_read(struct mkt_rtsp_spec *spec, size_t cap, size_t *n, struct mkt_span value,
              struct mkt_err *err)
{
    struct cursor c = { value, 0 };

    *n = 0;
    do {
        if (*n == cap)
            return mkt_fail(err, MKT_E_TOO_MANY, c.at, "KeyMgmt", ref);
        if (read_spec(&spec[*n], &c, err) != MKT_OK)
            return err->rc;
        ++*n;
    } while (skip(&c, ","));
    return c.at == value.n ? MKT_OK : fail(&c, "KeyMgmt: more than its specs", err);
}

static size_t
put(char *out, size_t at, const void *p, size_t n)
{
    memcpy(out + at, p, n);
    return at + n;
}

enum mkt_rc
mkt_rtsp_write(char *out, size_t cap, size_t *len, struct mkt_span uri, struct mkt_span message,
               struct mkt_err *err)
{
    static const char prot[] = "prot=mikey; ", uri_is[] = "uri=\"", data_is[] = "data=\"";
    const size_t quotes = sizeof prot + sizeof uri_is + sizeof data_is + sizeof "\"; \"";
    size_t at = 0;

    *len = 0;
    for (size_t i = 0; i < uri.n; i++)
        if (!is_quotable(uri.p[i]))
            return mkt_fail(err, MKT_E_FIELD, i, "KeyMgmt: uri", ref);
    if (message.n > MKT_MSG_MAX || uri.n > cap || quotes + mkt_base64_len(message.n) > cap - uri.n)
        return mkt_fail(err, MKT_E_NO_SPACE, 0, "KeyMgmt", ref);
    at = put(out, at, prot, sizeof prot - 1);
    if (uri.n > 0) {
        at = put(out, at, uri_is, sizeof uri_is - 1);
        at = put(out, at, uri.p, uri.n);
        at = put(out, at, "\"; ", 3);
    }
    at = put(out, at, data_is, sizeof data_is - 1);
    mkt_base64_encode(message, out + at);
    at = put(out, at + mkt_base64_len(message.n), "\"", 1);
    out[at] = '\0';
    *len = at;
    return MKT_OK;
}
