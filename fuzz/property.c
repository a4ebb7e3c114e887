/* SPDX-License-Identifier: Apache-2.0 */
/* Properties instead of a hunt for crashes: what is accepted can be said again in the same octets,
 * and what is refused is refused with a code, a place inside the message, a name and a clause. */
#include "property.h"
#include "json.h"
#include "message/message.h"

#include <stdlib.h>

#define NEED(condition)        \
    do {                       \
        if (!(condition))      \
            return #condition; \
    } while (0)

#define PRINT_MAX (1 << 20)

static uint8_t again[MKT_MSG_MAX + 1];
static struct mkt_msg msg;
static char printed[PRINT_MAX];
static size_t printed_n;

/* A refusal explains itself. */
static const char *
refused(enum mkt_rc rc, const struct mkt_err *err, size_t n)
{
    char line[200];
    NEED(rc != MKT_OK && rc < MKT_RC_COUNT);
    NEED(err->rc == rc);
    NEED(err->offset <= n);
    NEED(err->what != NULL && err->what[0] != '\0');
    NEED(err->ref != NULL && strncmp(err->ref, "RFC ", 4) == 0);
    NEED(mkt_err_format(err, line, sizeof line) < sizeof line);
    return NULL;
}

const char *
mkt_prop_payload(uint16_t type, const uint8_t *data, size_t n)
{
    struct mkt_err err = { 0 };
    struct mkt_payload pl;
    size_t used, len;
    if (n > MKT_MSG_MAX)
        return NULL;
    enum mkt_rc rc = mkt_payload_decode(&pl, type, mkt_span(data, n), &used, &err);
    if (rc != MKT_OK) {
        NEED(used == 0);
        return refused(rc, &err, n);
    }
    NEED(used >= 1 && used <= n);
    NEED(pl.type == type && pl.raw.p == data && pl.raw.n == used);
    NEED(mkt_payload_encode(&pl, again, used, &len) == MKT_OK);
    NEED(len == used && memcmp(again, data, used) == 0);
    NEED(mkt_payload_encode(&pl, again, used - 1, &len) == MKT_E_NO_SPACE && len == 0);
    return NULL;
}

static const char *
rewritten(const struct mkt_msg *m)
{
    struct mkt_writer w = mkt_w_open(again, m->octets.n);
    mkt_hdr_write(&w, &m->hdr);
    for (size_t i = 0; i < m->n; i++)
        mkt_pl_write(&w, &m->pl[i]);
    NEED(!w.overflow && w.len == m->octets.n);
    NEED(memcmp(again, m->octets.p, w.len) == 0);
    return NULL;
}

static const char *
map_rewritten(const struct mkt_hdr *h)
{
    struct mkt_writer w = mkt_w_open(again, sizeof again);
    struct mkt_map_iter it;
    struct mkt_cs cs;
    size_t n = 0;
    for (mkt_map_begin(&it, h); mkt_map_next(&it, &cs); n++)
        if (h->map_type == MKT_MAP_GENERIC_ID)
            mkt_cs_write(&w, &cs);
    NEED(n == (h->map_type == MKT_MAP_EMPTY ? 0 : h->n_cs));
    NEED(h->map_type != MKT_MAP_GENERIC_ID || w.len == h->map.n);
    NEED(!w.overflow && (w.len == 0 || memcmp(again, h->map.p, w.len) == 0));
    return NULL;
}

/* The parts lie in the message, one after the other, and leave out the MAC and at most one hole. */
static const char *
covered(const struct mkt_msg *m)
{
    static const uint8_t identity[] = "alice";
    const struct mkt_span tail[2] = { mkt_span(identity, 5), mkt_span(identity, 3) };
    struct mkt_span part[MKT_COVER_MAX];
    size_t n = mkt_cover(m, tail, 2, part), pieces = n - 2;
    const uint8_t *from = m->octets.p, *end = m->octets.p + m->octets.n;
    NEED(n >= 3 && n <= MKT_COVER_MAX);
    NEED(part[0].p == m->octets.p);
    NEED(pieces ==
         (m->hdr.data_type == MKT_DT_TRANSFER_INIT && mkt_msg_find(m, MKT_PL_TICKET, 0) != NULL
              ? 2
              : 1));
    for (size_t i = 0; i < pieces; i++) {
        NEED(part[i].p >= from && part[i].p <= end && part[i].n <= (size_t)(end - part[i].p));
        from = part[i].p + part[i].n;
    }
    NEED(part[n - 2].p == identity && part[n - 1].n == 3);
    return NULL;
}

static void
collect(void *ctx, const char *text, size_t n)
{
    (void)ctx;
    if (n <= PRINT_MAX - printed_n)
        memcpy(printed + printed_n, text, n);
    printed_n += n;
}

static const char *
printable(const struct mkt_msg *m)
{
    printed_n = 0;
    mkt_msg_print(m, MKT_PRINT_JSON, collect, NULL);
    NEED(printed_n > PRINT_MAX || mkt_json_valid(printed, printed_n));
    printed_n = 0;
    mkt_msg_print(m, MKT_PRINT_TEXT, collect, NULL);
    NEED(printed_n != 0 && (printed_n > PRINT_MAX || printed[printed_n - 1] == '\n'));
    return NULL;
}

const char *
mkt_prop_message(const uint8_t *data, size_t n)
{
    const char *broken = mkt_prop_wire(data, n);
    return broken != NULL ? broken : printable(&msg); /* so can what was read before a failure */
}

const char *
mkt_prop_wire(const uint8_t *data, size_t n)
{
    struct mkt_err err = { 0 };
    enum mkt_rc rc = mkt_msg_parse(&msg, mkt_span(data, n), &err);
    if (rc != MKT_OK)
        return refused(rc, &err, n);
    const char *broken = rewritten(&msg);
    broken = broken != NULL ? broken : map_rewritten(&msg.hdr);
    broken = broken != NULL ? broken : covered(&msg);
    for (size_t i = 0; i < msg.n && broken == NULL; i++)
        broken = mkt_prop_payload(msg.pl[i].type, msg.pl[i].raw.p, msg.pl[i].raw.n);
    if (broken == NULL && (rc = mkt_msg_check(&msg, &err)) != MKT_OK)
        broken = refused(rc, &err, n);
    return broken;
}

const char *
mkt_prop_message_of(uint8_t data_type, const uint8_t *data, size_t n)
{
    static uint8_t copy[MKT_MSG_MAX];
    if (n < 2 || n > sizeof copy)
        return NULL;
    memcpy(copy, data, n);
    copy[0] = 1;
    copy[1] = data_type;
    return mkt_prop_message(copy, n);
}

const char *
mkt_prop_map(const uint8_t *data, size_t n)
{
    struct mkt_err err = { 0 };
    struct mkt_hdr h;
    if (n < 2 || n > MKT_MSG_MAX - 10)
        return NULL;
    /* An allocation of the exact size lets the sanitizer see one octet too many. */
    uint8_t *hdr = malloc(8 + n);
    if (hdr == NULL)
        return NULL;
    memcpy(hdr, "\x01\x0e\x00\x00\x00\x00\x00\x01", 8);
    hdr[8] = data[1];
    hdr[9] = data[0];
    memcpy(hdr + 10, data + 2, n - 2);
    struct mkt_reader r = mkt_r_open(mkt_span(hdr, 8 + n), 0, "HDR", "RFC 3830 6.1", &err);
    enum mkt_rc rc = mkt_hdr_read(&r, &h);
    const char *broken = rc != MKT_OK ? refused(rc, &err, 8 + n) : map_rewritten(&h);
    free(hdr);
    return broken;
}

const char *
mkt_prop_run(enum mkt_prop kind, uint16_t value, const uint8_t *data, size_t n)
{
    switch (kind) {
    case MKT_PROP_PAYLOAD:
        return mkt_prop_payload(value, data, n);
    case MKT_PROP_MESSAGE:
        return mkt_prop_message_of((uint8_t)value, data, n);
    case MKT_PROP_MAP:
        return mkt_prop_map(data, n);
    }
    return "unknown kind of property";
}
