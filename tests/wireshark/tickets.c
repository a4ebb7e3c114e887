/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with tickets of the types that no vector has, as JSON in the form of the vectors: whole
 * ones, and each with one octet of its Ticket Data altered. Two decoders are compared over them. */
#include "../compat_call.h"

#include <stdio.h>

static void
put_octets(const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        putchar(digits[p[i] >> 4]);
        putchar(digits[p[i] & 15]);
    }
}

static void
put_message(const char *before, const char *name, size_t at, const struct message *m)
{
    printf("%s\n  {\"stage\": \"altered\", \"name\": \"%s %zu\", \"hex\": \"", before, name, at);
    put_octets(m->b, m->n);
    printf("\"}");
}

struct sample {
    const char *name;
    struct message m;
};

static struct sample samples[8];
static size_t n_samples;

static void
take(const char *name, const struct message *m)
{
    samples[n_samples++] = (struct sample){ name, *m };
}

/* The answers of the KMS with compatibility tickets. */
static bool
take_compat(uint8_t subtype, const char *name)
{
    struct call c;
    bool ok = compat_call_open(&c, subtype, 16) && call_until_grant(&c) == MKT_OK;
    if (ok)
        take(name, &c.granted);
    call_close(&c);
    return ok;
}

/* A reference ticket on its whole way. */
static bool
take_reference(void)
{
    struct call c;
    bool ok = call_open(&c, MKT_PRF_HMAC_SHA_256, MKT_TS_NTP_UTC);
    c.rules.keeps_keys = true;
    c.want.ticket_type = MKT_TICKET_TYPE_REFERENCE;
    ok = ok && call_until_offer(&c) == MKT_OK && call_offered(&c, 0) == MKT_OK &&
         call_accept(&c, 0) == MKT_OK;
    if (ok) {
        take("reference REQUEST_RESP", &c.granted);
        take("reference TRANSFER_INIT", &c.init);
        take("reference RESOLVE_INIT", &c.resolve[0]);
    }
    call_close(&c);
    return ok;
}

/* Where the Ticket Data of a message is; n = 0 when there is none. */
static struct mkt_span
ticket_data(const struct message *m)
{
    static struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    const struct mkt_payload *ticket = NULL;
    if (mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err) == MKT_OK)
        ticket = mkt_msg_find(&parsed, MKT_PL_TICKET, 0);
    return ticket == NULL ? mkt_span(NULL, 0) : ticket->u.ticket.ticket_data;
}

int
main(void)
{
    size_t altered = 0;
    if (!take_compat(MKT_COMPAT_IDS, "compat REQUEST_RESP") ||
        !take_compat(MKT_COMPAT_NO_IDS, "compat without IDs REQUEST_RESP") || !take_reference())
        return 1;
    printf("{\"kind\": \"tickets\", \"messages\": [");
    for (size_t i = 0; i < n_samples; i++)
        put_message(i == 0 ? "" : ",", samples[i].name, 0, &samples[i].m);
    printf("\n], \"variants\": [");
    for (size_t i = 0; i < n_samples; i++) {
        struct message *m = &samples[i].m;
        const struct mkt_span data = ticket_data(m);
        if (data.n == 0)
            return 1;
        for (size_t at = (size_t)(data.p - m->b), end = at + data.n; at < end; at++) {
            m->b[at] ^= 0x15;
            put_message(altered++ == 0 ? "" : ",", samples[i].name, at, m);
            m->b[at] ^= 0x15;
        }
    }
    printf("\n]}\n");
    return 0;
}
