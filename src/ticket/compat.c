/* SPDX-License-Identifier: Apache-2.0 */
/* The compatibility ticket (RFC 6043 B.1): its Ticket Data is a whole RFC 3830 message under the
 * PSK of the KMS and the Responder. The KMS writes it, the Initiator sends it on without opening
 * it, and both ends derive their keys as RFC 3830 does. docs/formats/compat-ticket.md. */
#include "ticket/ticket.h"

#include <mikeyticket/message.h>

#define REF "RFC 6043 B.1"

enum {
    SESSIONS = 2, /* one for each direction */
    POLICY_NO = 0,
    SRTP_ID_LEN = 9, /* octets: Policy_no, SSRC, ROC */
    TEK_LEN = 16,
    SALT_LEN = 14
};

static enum mkt_rc
refuse(struct mkt_err *err, enum mkt_rc rc, const char *what)
{
    return mkt_fail(err, rc, 0, what, REF);
}

/* RFC 3830 6.7 has no other types. */
static bool
known_to_3830(struct mkt_identity id)
{
    return id.data.p != NULL && (id.type == MKT_ID_NAI || id.type == MKT_ID_URI);
}

enum mkt_rc
mkt_compat_policy_check(const struct mkt_policy *p, struct mkt_err *err)
{
    if (p->prf != MKT_PRF_MIKEY_1)
        return refuse(err, MKT_E_PRF, "compatibility ticket: RFC 3830 has the 128-bit suite only");
    if ((p->flags & ~(unsigned)MKT_TP_K) != (MKT_TP_D | MKT_TP_H))
        return refuse(err, MKT_E_TP_FLAGS, "compatibility ticket: flags other than D and H");
    if (p->n_responders != 1)
        return refuse(err, MKT_E_TP_PARAM, "compatibility ticket: not exactly one IDRr");
    if (p->subtype == MKT_COMPAT_IDS &&
        (!known_to_3830(p->initiator) || !known_to_3830(p->responders[0])))
        return refuse(err, MKT_E_IDENTITY, "compatibility ticket: ID type not of RFC 3830");
    return MKT_OK;
}

/* --- the KMS ---------------------------------------------------------------------------------- */

/* SSRC and ROC are 0: "not chosen by the Initiator", and the session has not started (6.1.1). */
static void
write_header(struct mkt_writer *w, uint32_t csb_id)
{
    static const uint8_t map[SESSIONS * SRTP_ID_LEN] = { POLICY_NO, [SRTP_ID_LEN] = POLICY_NO };

    mkt_hdr_write(w, &(struct mkt_hdr){ .version = 1,
                                        .data_type = MKT_DT_PSK_INIT,
                                        .prf = MKT_PRF_MIKEY_1,
                                        .csb_id = csb_id,
                                        .n_cs = SESSIONS,
                                        .map_type = MKT_MAP_SRTP_ID,
                                        .map = mkt_span(map, sizeof map) });
}

static void
write_id(struct mkt_writer *w, struct mkt_identity id)
{
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_ID, .u.id = { id.type, id.data } });
}

/* The defaults of SRTP, written out: some peers read what is there and know no defaults. */
static void
write_sp(struct mkt_writer *w)
{
    static const uint8_t params[] = {
        0,  1, 1,  /* encryption: AES-CM */
        1,  1, 16, /* session encryption (and master) key, octets */
        2,  1, 1,  /* authentication: HMAC-SHA-1 */
        3,  1, 20, /* session authentication key, octets */
        4,  1, 14, /* session salt, octets */
        7,  1, 1,  /* SRTP encryption on */
        8,  1, 1,  /* SRTCP encryption on */
        10, 1, 1,  /* SRTP authentication on */
        11, 1, 10, /* authentication tag, octets */
    };

    mkt_pl_write(w, &(struct mkt_payload){
                        .type = MKT_PL_SP,
                        .u.sp = { POLICY_NO, MKT_PROT_SRTP, mkt_span(params, sizeof params) } });
}

/* KV is Null: the one TGK needs no MKI in every packet. The octets are encrypted where they are
 * written. */
static bool
write_kemac(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_msg_keys *mk,
            const struct mkt_compat_ticket *t)
{
    mkt_w_begin(w, MKT_PL_KEMAC);
    mkt_w_uint(w, 1, mk->suite->encr);
    size_t len = mkt_w_reserve(w, 2), start = w->len;
    w->slot = MKT_W_NO_SLOT;
    mkt_pl_write(w,
                 &(struct mkt_payload){ .type = MKT_PL_KEY_DATA,
                                        .u.key_data = { .type = t->tgk->type,
                                                        .kv = MKT_KV_NULL,
                                                        .key = mkt_secret_span(&t->tgk->key),
                                                        .salt = mkt_secret_span(&t->tgk->salt) } });
    struct mkt_span clear = mkt_span(w->buf + start, w->len - start);
    if (w->overflow || !mkt_kemac_aes_cm(c, mk, t->csb_id, t->t64, clear, w->buf + start)) {
        mkt_wipe(w->buf + start, clear.n);
        return w->overflow;
    }
    mkt_w_patch(w, len, 2);
    mkt_w_uint(w, 1, mk->suite->mac);
    return true;
}

/* I_MESSAGE = HDR, T, RAND, [IDi], [IDr], {SP}, KEMAC (RFC 3830 3.1). */
static bool
write_message(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_inkey *psk,
              const struct mkt_policy *granted, const struct mkt_compat_ticket *t)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    const struct mkt_suite *suite = mkt_suite_of(MKT_PRF_MIKEY_1);
    const struct mkt_label label = { .use = MKT_USE_3830_MESSAGE,
                                     .csb_id = t->csb_id,
                                     .nonce1 = t->rand };
    uint8_t ts[8];
    size_t start = w->len, ts_len = mkt_ts_narrow(MKT_TS_NTP_UTC, t->t64, ts);

    if (!mkt_derive_msg_keys(&mk, psk, c, suite, &label, MKT_WANT_ALL))
        return false;
    write_header(w, t->csb_id);
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_T,
                                           .u.t = { MKT_TS_NTP_UTC, mkt_span(ts, ts_len) } });
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_RAND, .u.rand = { t->rand } });
    if (granted->subtype == MKT_COMPAT_IDS) {
        write_id(w, granted->initiator);
        write_id(w, granted->responders[0]);
    }
    write_sp(w);
    if (!write_kemac(w, c, &mk, t))
        return false;
    /* "over the entire MIKEY message, except the MAC field" (RFC 3830 5.2) */
    const struct mkt_span covered = mkt_span(w->buf + start, w->len - start);
    uint8_t *mac = mkt_w_room(w, suite->auth_len);
    return mac == NULL || mkt_mac_run(c, &mk, &covered, 1, mac);
}

bool
mkt_compat_ticket_write(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_inkey *psk,
                        const struct mkt_policy *granted, const struct mkt_compat_ticket *t)
{
    mkt_granted_policy_write(w, granted);
    size_t outer = w->slot, len = mkt_w_reserve(w, 2);
    if (!write_message(w, c, psk, granted, t))
        return false;
    mkt_w_patch(w, len, 2);
    w->slot = outer;
    mkt_w_uint(w, 2, 0); /* no Initiator Data: nobody resolves this ticket */
    return true;
}

/* --- the Initiator ---------------------------------------------------------------------------- */

/* The payloads of the message that the Initiator needs. */
struct compat_message {
    struct mkt_msg m;
    struct mkt_span rand;
};

static enum mkt_rc
check_message(struct compat_message *cm, const struct mkt_policy *p, struct mkt_err *err)
{
    const struct mkt_msg *m = &cm->m;
    const struct mkt_payload *rand = mkt_msg_find(m, MKT_PL_RAND, 0);
    const struct mkt_payload *kemac = mkt_msg_find(m, MKT_PL_KEMAC, 0);
    const struct mkt_payload *id = mkt_msg_find(m, MKT_PL_ID, 0);

    if (m->hdr.data_type != MKT_DT_PSK_INIT || m->hdr.v || m->hdr.prf != MKT_PRF_MIKEY_1 ||
        m->hdr.map_type != MKT_MAP_SRTP_ID || m->hdr.n_cs == 0)
        return refuse(err, MKT_E_TICKET, "Ticket Data: HDR of the RFC 3830 message");
    if (mkt_msg_find(m, MKT_PL_T, 0) == NULL || rand == NULL || rand->u.rand.rand.n < 16)
        return refuse(err, MKT_E_TICKET, "Ticket Data: T or RAND of the RFC 3830 message");
    if ((id != NULL) != (p->subtype == MKT_COMPAT_IDS))
        return refuse(err, MKT_E_TICKET, "Ticket Data: ID payloads are not as the subtype says");
    if (kemac == NULL || kemac != &m->pl[m->n - 1] ||
        kemac->u.kemac.encr_alg != MKT_ENCR_AES_CM_128 ||
        kemac->u.kemac.mac_alg != MKT_MAC_HMAC_SHA_1_160)
        return refuse(err, MKT_E_TICKET, "Ticket Data: KEMAC of the RFC 3830 message");
    cm->rand = rand->u.rand.rand;
    return MKT_OK;
}

static enum mkt_rc
open_message(struct compat_message *cm, const struct mkt_grant *g, const struct mkt_env *env,
             struct mkt_err *err)
{
    const struct mkt_ticket_type *type = mkt_ticket_type_of_policy(&g->policy);
    struct mkt_err inner = { 0 };
    struct mkt_payload ticket;
    size_t used = 0;

    cm->m.hdr.n_cs = 0;
    cm->rand = mkt_span(NULL, 0);
    if (type == NULL || type->kind != MKT_TICKET_COMPAT)
        return refuse(err, MKT_E_TICKET_TYPE, "not a compatibility ticket");
    if (mkt_compat_policy_check(&g->policy, err) != MKT_OK ||
        mkt_policy_valid_at(&g->policy, env->now, err) != MKT_OK ||
        mkt_payload_decode(&ticket, MKT_PL_TICKET, mkt_grant_ticket(g), &used, err) != MKT_OK)
        return err->rc;
    if (mkt_msg_parse(&cm->m, ticket.u.ticket.ticket_data, &inner) != MKT_OK)
        return mkt_fail(err, MKT_E_TICKET, inner.offset, inner.what, inner.ref);
    if (g->keys.n != 2 ||
        (g->keys.k[1].type != MKT_KEY_TGK && g->keys.k[1].type != MKT_KEY_TGK_SALT))
        return refuse(err, MKT_E_KEY_DATA, "compatibility ticket: not exactly one TGK");
    return check_message(cm, &g->policy, err);
}

enum mkt_rc
mkt_grant_compat(const struct mkt_grant *g, const struct mkt_env *env, struct mkt_compat *compat,
                 struct mkt_err *err)
{
    struct compat_message cm;

    *compat = (struct mkt_compat){ .n_cs = 0 };
    if (open_message(&cm, g, env, err) != MKT_OK)
        return err->rc;
    *compat = (struct mkt_compat){ cm.m.octets, cm.m.hdr.csb_id, cm.m.hdr.n_cs };
    return MKT_OK;
}

enum mkt_rc
mkt_grant_compat_derive(const struct mkt_grant *g, const struct mkt_env *env, uint8_t cs_id,
                        struct mkt_secret *tek, struct mkt_secret *salt, struct mkt_err *err)
{
    const struct mkt_key *tgk = &g->keys.k[1];
    struct compat_message cm;

    tek->n = salt->n = 0;
    if (open_message(&cm, g, env, err) != MKT_OK)
        return err->rc;
    if (cs_id == 0 || cs_id > cm.m.hdr.n_cs) /* the first stream is number 1 (6.1.1) */
        return refuse(err, MKT_E_ARGUMENT, "compatibility ticket: CS ID");
    const struct mkt_label label = {
        .use = MKT_USE_3830_SESSION, .cs_id = cs_id, .csb_id = cm.m.hdr.csb_id, .nonce1 = cm.rand
    };
    /* "SHALL use the salt key carried in the Key data sub-payload ..., when present" (4.1.3) */
    bool carried = tgk->type == MKT_KEY_TGK_SALT;
    if (carried)
        *salt = tgk->salt;
    else
        salt->n = SALT_LEN;
    tek->n = TEK_LEN;
    struct mkt_secret *const out[] = { tek, salt };
    const enum mkt_constant constant[] = { MKT_C_SESSION_TEK, MKT_C_SESSION_SALT };
    if (mkt_derive_secrets(out, constant, carried ? 1 : 2, env->crypto, MKT_PRF_MIKEY_1, &tgk->key,
                           &label))
        return MKT_OK;
    mkt_secret_wipe(tek);
    mkt_secret_wipe(salt);
    return refuse(err, MKT_E_CRYPTO, "TEK, salt");
}
