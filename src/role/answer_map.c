/* SPDX-License-Identifier: Apache-2.0 */
/* CS ID map info (RFC 6043 6.1.1) of offers and answers. */
#include "role/role.h"

void
mkt_offer_map_write(struct mkt_writer *w, const struct mkt_offer_cs *cs, size_t n)
{
    w->overflow |= n > UINT8_MAX;
    for (size_t i = 0; i < n; i++)
        mkt_cs_write(w, &(struct mkt_cs){ .cs_id = cs[i].cs_id,
                                          .prot_type = cs[i].prot_type,
                                          .s = cs[i].s,
                                          .policies = mkt_span(cs[i].policies, cs[i].n_policies),
                                          .session_data = cs[i].session_data,
                                          .spi = cs[i].spi,
                                          .has_ssrc = cs[i].has_ssrc,
                                          .ssrc = cs[i].ssrc,
                                          .roc = cs[i].roc,
                                          .seq = cs[i].seq });
}

struct mkt_span
mkt_first_spi(const struct mkt_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        if (keys->k[i].type != MKT_KEY_MPK)
            return mkt_span(keys->k[i].spi, keys->k[i].spi_len);
    return mkt_span(NULL, 0);
}

static void
offered_cs(const struct mkt_msg *offer, uint8_t cs_id, struct mkt_cs *cs)
{
    struct mkt_map_iter it;

    mkt_map_begin(&it, &offer->hdr);
    while (mkt_map_next(&it, cs))
        if (cs->cs_id == cs_id)
            return;
    *cs = (struct mkt_cs){ .cs_id = cs_id };
}

static bool
complete_cs(struct mkt_cs *cs, const struct mkt_choose_cs *ch, struct mkt_span default_spi,
            const struct mkt_env *env)
{
    uint8_t ssrc[4];

    cs->prot_type = ch->prot_type;
    cs->policies = mkt_span(&ch->policy_no, 1);
    if (ch->spi.n != 0)
        cs->spi = ch->spi;
    else if (cs->spi.n == 0)
        cs->spi = default_spi;
    if (ch->session_data.n != 0)
        cs->session_data = ch->session_data;
    if (ch->prot_type != MKT_PROT_SRTP)
        return true;
    if (ch->has_ssrc) {
        cs->s = ch->s;
        cs->ssrc = ch->ssrc;
        cs->roc = ch->roc;
        cs->seq = ch->seq;
    } else if (!cs->has_ssrc) {
        if (!mkt_ex_random(env, ssrc, sizeof ssrc))
            return false;
        cs->s = false;
        cs->ssrc =
            (uint32_t)ssrc[0] << 24 | (uint32_t)ssrc[1] << 16 | (uint32_t)ssrc[2] << 8 | ssrc[3];
    }
    cs->has_ssrc = true;
    return true;
}

bool
mkt_answer_map_write(struct mkt_writer *w, const struct mkt_msg *offer,
                     const struct mkt_own_choice *choice, struct mkt_span default_spi,
                     const struct mkt_env *env)
{
    struct mkt_cs cs;

    for (size_t i = 0; i < choice->n_cs; i++) {
        offered_cs(offer, choice->cs[i].cs_id, &cs);
        if (!complete_cs(&cs, &choice->cs[i], default_spi, env))
            return false;
        mkt_cs_write(w, &cs);
    }
    return true;
}
