/* SPDX-License-Identifier: Apache-2.0 */
/* The m-lines and key-mgmt lines of a description. Whoever has an SDP library adds them one by one;
 * whoever has the text lets it be read here. Strict where keys are concerned: a key-mgmt line that
 * is not of the grammar is refused and never passed over, since the list of protocols is part of
 * what is authenticated. */
#include <mikeyticket/media/sdp.h>

#include <string.h>

#define KEY_MGMT "a=key-mgmt"

static const char grammar[] = "RFC 4567 3.1";
static const char m_line[] = "RFC 4566 5.14";

static bool
is(struct mkt_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static bool
starts(struct mkt_span s, const char *text)
{
    return s.n >= strlen(text) && memcmp(s.p, text, strlen(text)) == 0;
}

static struct mkt_span
from(struct mkt_span s, size_t at)
{
    return mkt_span(s.p + at, s.n - at);
}

static bool
is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

void
mkt_sdp_begin(struct mkt_sdp *sdp)
{
    *sdp = (struct mkt_sdp){ 0 };
}

enum mkt_rc
mkt_sdp_add_media(struct mkt_sdp *sdp, struct mkt_span transport, uint32_t port,
                  struct mkt_err *err)
{
    if (sdp->n_media == MKT_SDP_MEDIA_MAX)
        return mkt_fail(err, MKT_E_TOO_MANY, 0, "m-lines", m_line);
    sdp->media[sdp->n_media++] = (struct mkt_sdp_media){
        .profile = is(transport, "RTP/SAVP")    ? MKT_SDP_SAVP
                   : is(transport, "RTP/SAVPF") ? MKT_SDP_SAVPF
                                                : MKT_SDP_OTHER,
        .used = port != 0,
    };
    return MKT_OK;
}

/* 0*1SP KMPID SP data. `at` is for errors: of the value in the text. */
static enum mkt_rc
add_line(struct mkt_sdp *sdp, struct mkt_span value, size_t at, struct mkt_err *err)
{
    size_t begin = value.n > 0 && value.p[0] == ' ', end = begin;

    if (sdp->n_lines == MKT_SDP_LINES_MAX)
        return mkt_fail(err, MKT_E_TOO_MANY, at, "key-mgmt lines", grammar);
    while (end < value.n && is_alnum(value.p[end]))
        end++;
    if (end == begin)
        return mkt_fail(err, MKT_E_FIELD, at + begin, "key-mgmt: no protocol identifier", grammar);
    if (end + 1 >= value.n || value.p[end] != ' ')
        return mkt_fail(err, MKT_E_FIELD, at + end, "key-mgmt: no data after the protocol",
                        grammar);
    sdp->line[sdp->n_lines++] = (struct mkt_sdp_line){
        .level = sdp->n_media > 0 ? (int)sdp->n_media - 1 : MKT_SDP_SESSION,
        .prot = mkt_span(value.p + begin, end - begin),
        .data = from(value, end + 1),
        .at = at + end + 1,
    };
    return MKT_OK;
}

enum mkt_rc
mkt_sdp_add_line(struct mkt_sdp *sdp, struct mkt_span value, struct mkt_err *err)
{
    return add_line(sdp, value, 0, err);
}

/* --- text ------------------------------------------------------------------------------------- */

/* Takes the word up to the next blank off s. Empty: there is none. */
static struct mkt_span
word(struct mkt_span *s)
{
    const uint8_t *blank = s->n > 0 ? memchr(s->p, ' ', s->n) : NULL;
    size_t n = blank != NULL ? (size_t)(blank - s->p) : s->n;
    struct mkt_span w = mkt_span(s->p, n);

    *s = from(*s, blank != NULL ? n + 1 : n);
    return w;
}

/* PORT or PORT/NUMBER; false when it is neither. */
static bool
port_of(struct mkt_span w, uint32_t *port)
{
    const uint8_t *slash = w.n > 0 ? memchr(w.p, '/', w.n) : NULL;
    size_t n = slash != NULL ? (size_t)(slash - w.p) : w.n;

    *port = 0;
    for (size_t i = 0; i < w.n; i++)
        if (i != n && (w.p[i] < '0' || w.p[i] > '9'))
            return false;
    for (size_t i = 0; i < n; i++)
        *port = *port * 10 + (w.p[i] - '0');
    return n > 0 && n <= 5 && *port <= UINT16_MAX && (slash == NULL || n + 1 < w.n);
}

/* m=MEDIA PORT TRANSPORT FORMAT... */
static enum mkt_rc
read_media(struct mkt_sdp *sdp, struct mkt_span line, size_t at, struct mkt_err *err)
{
    struct mkt_span rest = from(line, 2);
    struct mkt_span type = word(&rest);
    uint32_t port;

    if (type.n == 0 || !port_of(word(&rest), &port))
        return mkt_fail(err, MKT_E_FIELD, at, "m-line: no media or port", m_line);
    struct mkt_span transport = word(&rest);
    if (transport.n == 0 || rest.n == 0)
        return mkt_fail(err, MKT_E_FIELD, at, "m-line: no transport or format", m_line);
    if (sdp->n_media == MKT_SDP_MEDIA_MAX)
        return mkt_fail(err, MKT_E_TOO_MANY, at, "m-lines", m_line);
    return mkt_sdp_add_media(sdp, transport, port, err);
}

static enum mkt_rc
read_line(struct mkt_sdp *sdp, struct mkt_span line, size_t at, struct mkt_err *err)
{
    size_t name = strlen(KEY_MGMT);

    if (starts(line, "m="))
        return read_media(sdp, line, at, err);
    if (!starts(line, KEY_MGMT) || (line.n > name && is_alnum(line.p[name])) ||
        (line.n > name && line.p[name] == '-'))
        return MKT_OK;
    if (line.n == name || line.p[name] != ':')
        return mkt_fail(err, MKT_E_FIELD, at, "key-mgmt: no value", grammar);
    return add_line(sdp, from(line, name + 1), at + name + 1, err);
}

enum mkt_rc
mkt_sdp_read(struct mkt_sdp *sdp, struct mkt_span text, struct mkt_err *err)
{
    mkt_sdp_begin(sdp);
    if (text.n > MKT_SDP_TEXT_MAX)
        return mkt_fail(err, MKT_E_TOO_MANY, 0, "octets of the description", grammar);
    for (size_t at = 0; at < text.n;) {
        const uint8_t *end = memchr(text.p + at, '\n', text.n - at);
        size_t n = end != NULL ? (size_t)(end - text.p) - at : text.n - at;
        size_t cr = n > 0 && text.p[at + n - 1] == '\r';

        if (read_line(sdp, mkt_span(text.p + at, n - cr), at, err) != MKT_OK)
            return err->rc;
        at += n + 1;
    }
    return MKT_OK;
}

/* --- levels ----------------------------------------------------------------------------------- */

static bool
has_lines(const struct mkt_sdp *sdp, int level)
{
    for (size_t i = 0; i < sdp->n_lines; i++)
        if (sdp->line[i].level == level)
            return true;
    return false;
}

int
mkt_sdp_level_of(const struct mkt_sdp *sdp, size_t media)
{
    if (media < sdp->n_media && has_lines(sdp, (int)media))
        return (int)media;
    return has_lines(sdp, MKT_SDP_SESSION) ? MKT_SDP_SESSION : MKT_SDP_NOWHERE;
}

enum mkt_rc
mkt_sdp_ids(const struct mkt_sdp *sdp, int level, char ids[MKT_SDP_IDS_MAX], struct mkt_err *err)
{
    size_t n = 0;

    ids[0] = '\0';
    for (size_t i = 0; i < sdp->n_lines; i++) {
        const struct mkt_span id = sdp->line[i].prot;
        if (sdp->line[i].level != level)
            continue;
        if (n + 1 + id.n >= MKT_SDP_IDS_MAX)
            return mkt_fail(err, MKT_E_NO_SPACE, sdp->line[i].at, "list of protocols",
                            "RFC 4567 4.1.4");
        if (n > 0)
            ids[n++] = ';';
        memcpy(ids + n, id.p, id.n);
        n += id.n;
        ids[n] = '\0';
    }
    return MKT_OK;
}
