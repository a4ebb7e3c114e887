/* SPDX-License-Identifier: Apache-2.0 */
/* A KMS that has a ticket resolved by the one that issued it (RFC 6043 10). */
#include "flow.h"

#include <string.h>

static bool
has_name(const struct rn_party *p, const char *name)
{
    return p != NULL && strcmp(p->name, name) == 0;
}

bool
rn_is_leg(const struct flow *f, const struct sent *s)
{
    return has_name(f->w.peer, s->from) || has_name(f->w.peer, s->to);
}

/* A RESOLVE_INIT of a Responder that is addressed to the other KMS. */
bool
rn_is_for_peer(const struct flow *f, const struct sent *s)
{
    const struct mkt_payload *kms = mkt_msg_find(s->m, MKT_PL_IDR, MKT_IDR_KMS);
    return f->w.peer != NULL && s->m->hdr.data_type == MKT_DT_RESOLVE_INIT_PSK && kms != NULL &&
           !rn_is_leg(f, s) &&
           mkt_identity_equal((struct mkt_identity){ kms->u.idr.id_type, kms->u.idr.data },
                              f->w.peer->id);
}

void
rn_order_legs(struct flow *f)
{
    struct sent *main = rn_alloc(f->r, (f->n + 1) * sizeof *main);
    struct sent *leg = rn_alloc(f->r, (f->n + 1) * sizeof *leg);
    size_t n_main = 0, n_leg = 0, n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (rn_is_leg(f, &f->msg[i]))
            leg[n_leg++] = f->msg[i];
        else
            main[n_main++] = f->msg[i];
    for (size_t i = 0, k = 0; i < n_main; i++) {
        f->msg[n++] = main[i];
        if (!rn_is_for_peer(f, &main[i]))
            continue;
        for (size_t end = k + 2; k < n_leg && k < end; k++) /* question and answer */
            f->msg[n++] = leg[k];
    }
    if (n != f->n)
        rn_fail(f->r, "messages", "%zu between KMSs belong to no RESOLVE_INIT", f->n - n);
}

void
rn_peer_forwards(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i], *asked = &f->msg[i - 1];
    const struct mkt_payload *idr = mkt_msg_find(s->m, MKT_PL_IDR, MKT_IDR_R);
    struct mkt_credential cred;
    struct mkt_err err = { 0 };
    struct mkt_io io = rn_io_with(f, mkt_span(NULL, 0));
    rn_credential_of(f->r, &f->w, f->w.peer, &f->w.peer->psk.base, s->m, &cred);
    if (idr != NULL)
        cred.self = (struct mkt_identity){ idr->u.idr.id_type, idr->u.idr.data };
    mkt_kms_txn_free(f->peer_txn);
    mkt_kms_forward_free(f->forward);
    f->peer_txn = mkt_kms_txn_new();
    f->forward = mkt_kms_forward_new(&cred);
    if (f->peer_txn == NULL || f->forward == NULL ||
        mkt_kms_begin(f->peer_txn, asked->octets, &err) != MKT_OK) {
        rn_fail_err(f->r, rn_name(f->r, "%s at the other KMS", asked->name), &err);
        return;
    }
    const struct rn_party *client = rn_client_of(&f->w, mkt_kms_ask(f->peer_txn));
    if (client == NULL)
        rn_fail(f->r, asked->name, "names a client that the other KMS does not know");
    else if (mkt_kms_verify(f->peer_txn, &f->env, &client->psk.base, client->id, f->w.peer->id,
                            &err) != MKT_OK)
        rn_fail_err(f->r, rn_name(f->r, "%s at the other KMS", asked->name), &err);
    else
        rn_made(f, s, mkt_kms_forward(f->forward, f->peer_txn, &f->env, &io), MKT_NEXT_SEND_KMS,
                &io);
}

void
rn_peer_answers(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    struct mkt_io io = rn_io_with(f, mkt_span(NULL, 0));
    if (f->peer_txn == NULL)
        rn_fail(f->r, s->name, "the other KMS has forwarded nothing");
    else
        rn_made(f, s,
                mkt_kms_forwarded(f->forward, f->peer_txn, &f->env, f->msg[i - 1].octets, &io),
                MKT_NEXT_SEND_PEER, &io);
}
