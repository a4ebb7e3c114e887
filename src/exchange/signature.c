/* SPDX-License-Identifier: Apache-2.0 */
/* SIGN at the end of a message (RFC 3830 6.5, RFC 6043 5.5), and which hashes it may be made with:
 * the message does not say, so the level does (ambiguity 64). And whose certificate is whose: an
 * identity of a message is a subjectAltName (ambiguity 66). */
#include "exchange/exchange.h"

#include "keys/pk.h"

#define REF "RFC 6043 5.5"

static const struct {
    uint8_t id_type;
    enum mkt_san san;
} name_kinds[] = { { MKT_ID_URI, MKT_SAN_URI }, { MKT_ID_NAI, MKT_SAN_RFC822 } };

#define NAME_KINDS (sizeof name_kinds / sizeof name_kinds[0])

bool
mkt_ex_cert_is_of(const struct mkt_cert *cert, struct mkt_identity id)
{
    for (size_t i = 0; i < NAME_KINDS; i++)
        if (name_kinds[i].id_type == id.type)
            return mkt_cert_names(cert, name_kinds[i].san, id.data);
    return false;
}

struct mkt_identity
mkt_ex_cert_identity(const struct mkt_cert *cert, uint8_t *out)
{
    for (size_t i = 0; i < NAME_KINDS; i++) {
        size_t len, n = mkt_cert_name(cert, name_kinds[i].san, out, MKT_ID_MAX, &len);
        if (len != 0)
            return (struct mkt_identity){ name_kinds[i].id_type, mkt_span(out, len) };
        if (n != 0)
            break; /* several: nobody knows which is meant */
    }
    return (struct mkt_identity){ 0, { NULL, 0 } };
}

enum mkt_rc
mkt_ex_sign(struct mkt_writer *w, const struct mkt_env *env, const struct mkt_ex_signer *by,
            const struct mkt_span *tail, size_t n_tail)
{
    static const uint8_t zeros[MKT_RSA_MAX];
    struct mkt_span part[MKT_COVER_MAX];
    size_t k = (mkt_be_pkey_bits(by->key) + 7) / 8;

    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_SIGN,
                                           .u.sign = { by->s_type, mkt_span(zeros, k) } });
    if (w->overflow)
        return MKT_OK; /* the caller's to report */
    part[0] = mkt_span(w->buf, w->len - k);
    for (size_t i = 0; i < n_tail; i++)
        part[1 + i] = tail[i];
    return mkt_rsa_sign(env, by->key, by->s_type, by->sha1 ? MKT_HASH_SHA_1 : MKT_HASH_SHA_256,
                        part, 1 + n_tail, w->buf + w->len - k);
}

enum mkt_rc
mkt_ex_verify_sign(const struct mkt_msg *m, struct mkt_crypto *c, const struct mkt_cert *cert,
                   bool sha1, const struct mkt_span *tail, size_t n_tail, struct mkt_err *err)
{
    const struct mkt_payload *pl = &m->pl[m->n - 1];
    const struct mkt_suite *suite = mkt_suite_of(m->hdr.prf);
    struct mkt_span part[MKT_COVER_MAX];

    if (pl->type != MKT_PL_SIGN || pl->u.sign.s_type > MKT_S_RSA_PSS)
        return mkt_fail(err, MKT_E_AUTH, pl->at, "SIGN: S type", "RFC 3830 6.5");
    size_t n = mkt_cover(m, tail, n_tail, part);
    uint8_t s_type = pl->u.sign.s_type;
    struct mkt_span signature = pl->u.sign.signature;
    bool ok = mkt_rsa_verify(c, cert, s_type, MKT_HASH_SHA_256, part, n, signature);
    if (!ok && sha1 && suite != NULL && suite->prf == MKT_PRF_MIKEY_1)
        ok = mkt_rsa_verify(c, cert, s_type, MKT_HASH_SHA_1, part, n, signature);
    return ok ? MKT_OK : mkt_fail(err, MKT_E_AUTH, pl->at, "SIGN", REF);
}
