/* SPDX-License-Identifier: Apache-2.0 */
/* Names of steps, found afterwards: a value is named by the place it has in the messages, a key by
 * its label, a MAC and a ciphertext by who carries them. */
#include "run.h"

#include "keys/keys.h"
#include "ticket/ticket.h"

#include <stdio.h>
#include <string.h>

static bool
equal(struct mkt_span a, struct mkt_span b)
{
    return a.n == b.n && a.n != 0 && memcmp(a.p, b.p, a.n) == 0;
}

static uint32_t
be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
put(struct mv_step *s, const char *whose, const char *what)
{
    snprintf(s->name, sizeof s->name, "%s.%s", whose, what);
}

/* --- values in messages ------------------------------------------------------------------------
 */

static const struct mkt_payload *
ticket_of(const struct mv_message *m)
{
    return mkt_msg_find(&m->m, MKT_PL_TICKET, 0);
}

static bool
in_header(struct mv_step *s, const struct mv_message *m)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;
    char what[16];
    if (s->out.n != 4)
        return false;
    uint32_t v = be32(s->out.p);
    if (m->m.hdr.csb_id == v) {
        put(s, m->name, "CSB ID");
        return true;
    }
    for (mkt_map_begin(&it, &m->m.hdr); mkt_map_next(&it, &cs);) {
        snprintf(what, sizeof what, "SSRC[%u]", cs.cs_id);
        if (!cs.has_ssrc || cs.ssrc != v)
            continue;
        put(s, m->name, what);
        return true;
    }
    return false;
}

static bool
in_payloads(struct mv_step *s, const struct mv_message *m)
{
    static const char *const rands[] = { "RAND", "RANDRi", "RANDRr", "RANDRkms" };
    for (size_t i = 0; i < m->m.n; i++) {
        const struct mkt_payload *pl = &m->m.pl[i];
        if (pl->type == MKT_PL_T && s->kind == MV_TIME && equal(pl->u.t.value, s->out)) {
            put(s, m->name, "T");
            return true;
        }
        if (pl->type == MKT_PL_RANDR && s->kind == MV_RANDOM && equal(pl->u.randr.rand, s->out)) {
            put(s, m->name, rands[pl->u.randr.role <= 3 ? pl->u.randr.role : 0]);
            return true;
        }
    }
    return false;
}

static bool
in_ticket(struct mv_step *s, const struct mv_message *m)
{
    struct mkt_ticket_data d;
    struct mkt_err err = { 0 };
    const struct mkt_payload *pl = ticket_of(m);
    if (pl == NULL || mkt_ticket_data_read(&d, pl, &err) != MKT_OK)
        return false;
    if (s->kind == MV_TIME ? !equal(d.t->u.t.value, s->out) : !equal(d.rand->u.rand.rand, s->out))
        return false;
    put(s, "ticket", s->kind == MV_TIME ? "T" : "RAND");
    return true;
}

/* Keys, salts and SPIs, in the plaintexts that were encrypted. */
static bool
in_plaintext(struct mv_step *s, const struct mv_step *encrypted)
{
    struct mkt_payload pl[MKT_KEYS_MAX];
    struct mkt_err err = { 0 };
    size_t n = 0, session = 0;
    if (mkt_chain_decode(pl, MKT_KEYS_MAX, &n, MKT_PL_KEY_DATA, encrypted->in, &err) != MKT_OK)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct mkt_pl_key_data *k = &pl[i].u.key_data;
        bool mpk = k->type == MKT_KEY_MPK;
        if (mpk && equal(k->key, s->out))
            snprintf(s->name, sizeof s->name, "MPK");
        else if (mpk && equal(k->spi, s->out))
            snprintf(s->name, sizeof s->name, "MPK.SPI");
        else if (equal(k->key, s->out))
            snprintf(s->name, sizeof s->name, "key[%zu]", session);
        else if (equal(k->salt, s->out))
            snprintf(s->name, sizeof s->name, "salt[%zu]", session);
        else if (equal(k->spi, s->out))
            snprintf(s->name, sizeof s->name, "spi[%zu]", session);
        if (s->name[0] != '\0')
            return true;
        session += !mpk;
    }
    return false;
}

static void
name_value(struct mv_run *r, struct mv_step *s)
{
    for (size_t i = 0; i < r->n && s->name[0] == '\0'; i++)
        if (in_payloads(s, &r->msg[i]) || in_ticket(s, &r->msg[i]) ||
            (s->kind == MV_RANDOM && in_header(s, &r->msg[i])))
            return;
    for (size_t i = 0; i < r->rec.n; i++)
        if (r->rec.step[i].kind == MV_ENCRYPT && in_plaintext(s, &r->rec.step[i]))
            return;
    snprintf(s->name, sizeof s->name, "value"); /* a role asks for it: it must not get lost */
}

/* --- keys by their labels ------------------------------------------------------------------------
 */

static bool
is_init(uint8_t data_type)
{
    return data_type == MKT_DT_REQUEST_INIT_PSK || data_type == MKT_DT_TRANSFER_INIT ||
           data_type == MKT_DT_RESOLVE_INIT_PSK;
}

/* A message that has a RANDR is meant only by labels that have it too: two devices may answer one
 * offer, in one CSB. */
static bool
has_rand_of(struct mkt_span label, const struct mkt_msg *m)
{
    const struct mkt_payload *pl = mkt_msg_find(m, MKT_PL_RANDR, MKT_RANDR_R);
    return pl == NULL || memmem(label.p, label.n, pl->u.randr.rand.p, pl->u.randr.rand.n) != NULL;
}

/* The message whose keys have that CSB ID and phase (5.1.2). */
static const char *
message_of_label(const struct mv_run *r, struct mkt_span label)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->msg[i].m.hdr.csb_id == be32(label.p + 5) &&
            is_init(r->msg[i].m.hdr.data_type) == (label.p[9] == 1) &&
            has_rand_of(label, &r->msg[i].m))
            return r->msg[i].name;
    return "";
}

/* A label for one message under another key than the sender's: a receiver that has a wrong one. */
static bool
is_of_wrong_key(const struct mv_run *r, const struct mv_step *s)
{
    for (const struct mv_step *was = r->rec.step; was < s; was++)
        if (was->kind == MV_KDF && equal(was->in, s->in) && !equal(was->key, s->key))
            return true;
    return false;
}

static void
name_key(const struct mv_run *r, struct mv_step *s)
{
    static const struct {
        enum mkt_constant constant;
        const char *name;
    } keys[] = {
        { MKT_C_SESSION_TEK, "TEK" },
        { MKT_C_SESSION_AUTH, "auth_key" },
        { MKT_C_SESSION_ENCR, "encr_key" },
        { MKT_C_SESSION_SALT, "salt_key" },
        { MKT_C_ENCR, "encr_key" },
        { MKT_C_AUTH, "auth_key" },
        { MKT_C_SALT, "salt_key" },
        { MKT_C_MPKR_FORKED, "MPKr'" },
        { MKT_C_TGK_FORKED, "TGK'" },
        { MKT_C_MPKI, "MPKi" },
        { MKT_C_MPKR, "MPKr" },
    };
    size_t k = 0, n = sizeof keys / sizeof keys[0];
    char cs[8];
    while (k < n && keys[k].constant != be32(s->in.p))
        k++;
    const char *name = k < n ? keys[k].name : "key";
    switch (s->in.p[9]) { /* constant, CS ID, CSB ID, and then what the label is for */
    case 0:
    case 6:
        snprintf(s->name, sizeof s->name, "%s", name);
        break;
    case 1:
    case 2:
        if (!is_of_wrong_key(r, s))
            put(s, message_of_label(r, s->in), name);
        break;
    case 3:
        snprintf(cs, sizeof cs, "CS%u", s->in.p[4]);
        put(s, cs, name);
        break;
    case 4:
        put(s, "TRANSFER_INIT.Vr", name);
        break;
    default:
        put(s, "ticket", name);
    }
}

/* --- MACs and ciphertexts by their carriers ------------------------------------------------------
 */

static bool
carried_by(struct mv_step *s, const struct mv_message *m)
{
    struct mkt_ticket_data d;
    struct mkt_initiator_data id;
    struct mkt_err err = { 0 };
    bool mac = s->kind == MV_MAC;
    const struct mkt_payload *pl = mkt_msg_find(&m->m, mac ? MKT_PL_V : MKT_PL_KEMAC, 0);
    const struct mkt_payload *ticket = ticket_of(m);
    if (pl != NULL && equal(mac ? pl->u.v.mac : pl->u.kemac.encr_data, s->out)) {
        put(s, m->name, mac ? "V" : "KEMAC");
        return true;
    }
    if (ticket == NULL || mkt_ticket_data_read(&d, ticket, &err) != MKT_OK)
        return false;
    if (equal(mac ? d.v->u.v.mac : d.kemac->u.kemac.encr_data, s->out)) {
        put(s, "ticket", mac ? "V" : "KEMAC");
        return true;
    }
    if (!mac || ticket->u.ticket.initiator_data.n == 0 ||
        mkt_initiator_data_read(&id, ticket, &err) != MKT_OK || !equal(id.vr.u.v.mac, s->out))
        return false;
    put(s, m->name, "Vr");
    return true;
}

void
mv_name_steps(struct mv_run *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->rec.n; i++) {
        struct mv_step *s = &r->rec.step[i];
        if (s->kind == MV_RANDOM || s->kind == MV_TIME)
            name_value(r, s);
        else if (s->kind == MV_KDF)
            name_key(r, s);
        for (size_t k = 0; k < r->n && (s->kind == MV_MAC || s->kind == MV_ENCRYPT); k++)
            if (carried_by(s, &r->msg[k]))
                break;
    }
    for (size_t i = 0; i < r->rec.n; i++)
        if (r->rec.step[i].name[0] != '\0')
            r->rec.step[kept++] = r->rec.step[i];
    r->rec.n = kept;
}
