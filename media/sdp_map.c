/* SPDX-License-Identifier: Apache-2.0 */
/* Which crypto sessions belong to which m-line: two consecutive CS IDs each, the first for what the
 * bundle's Initiator sends (RFC 4567 7.1). The text gives the numbers by an example only, so ours
 * follow the example, and those of others are taken in the order in which they come. */
#include <mikeyticket/media/sdp.h>

#define CS_MAX UINT8_MAX

static const char ref[] = "RFC 4567 7.1";

struct ids { /* CS IDs in their order */
    size_t n;
    uint8_t id[CS_MAX];
};

/* The m-line has sessions of its own in the bundle of `level`. */
static bool
is_keyed(const struct mkt_sdp *sdp, size_t i, int level)
{
    return sdp->media[i].used && sdp->media[i].profile != MKT_SDP_OTHER &&
           mkt_sdp_level_of(sdp, i) == level;
}

static bool
is_taken(const struct mkt_sdp_map *map, uint8_t id)
{
    for (size_t i = 0; i < MKT_SDP_MEDIA_MAX; i++)
        if (map->first[i] != 0 && (map->first[i] == id || map->first[i] + 1 == id))
            return true;
    return false;
}

static bool
is_there(const struct ids *ids, uint8_t id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (ids->id[i] == id)
            return true;
    return false;
}

/* The next pair that no m-line has. */
static bool
take_pair(uint8_t *first, const struct mkt_sdp_map *map, const struct ids *ids)
{
    size_t i = 0;

    while (i < ids->n && is_taken(map, ids->id[i]))
        i++;
    if (i + 1 >= ids->n || ids->id[i] == 0 || ids->id[i + 1] != ids->id[i] + 1)
        return false;
    *first = ids->id[i];
    return true;
}

static enum mkt_rc
assign(struct mkt_sdp_map *map, const struct mkt_sdp *sdp, int level, const struct ids *ids,
       struct mkt_err *err)
{
    struct mkt_sdp_map next = *map;

    for (size_t i = 0; i < sdp->n_media; i++) {
        if (!is_keyed(sdp, i, level))
            continue;
        if (next.first[i] == 0 && !take_pair(&next.first[i], &next, ids))
            return mkt_fail(err, MKT_E_MAP, 0, "an m-line without two crypto sessions", ref);
        if (!is_there(ids, next.first[i]) || !is_there(ids, (uint8_t)(next.first[i] + 1)))
            return mkt_fail(err, MKT_E_MAP, 0, "an m-line has lost its crypto sessions", ref);
    }
    for (size_t i = 0; i < ids->n; i++)
        if (!is_taken(&next, ids->id[i]))
            return mkt_fail(err, MKT_E_MAP, 0, "a crypto session without an m-line", ref);
    *map = next;
    return MKT_OK;
}

enum mkt_rc
mkt_sdp_map_offered(struct mkt_sdp_map *map, const struct mkt_sdp *sdp, int level,
                    const struct mkt_msg *message, struct mkt_err *err)
{
    struct ids ids = { 0 };
    struct mkt_map_iter it;
    struct mkt_cs cs;

    *map = (struct mkt_sdp_map){ 0 };
    mkt_map_begin(&it, &message->hdr);
    while (ids.n < CS_MAX && mkt_map_next(&it, &cs)) {
        if (cs.prot_type != MKT_PROT_SRTP)
            return mkt_fail(err, MKT_E_MAP, 0, "a crypto session that is not SRTP", ref);
        ids.id[ids.n++] = cs.cs_id;
    }
    return assign(map, sdp, level, &ids, err);
}

enum mkt_rc
mkt_sdp_map_updated(struct mkt_sdp_map *map, const struct mkt_sdp *sdp, int level,
                    const struct mkt_csb *csb, struct mkt_err *err)
{
    struct ids ids = { 0 };
    struct mkt_session s;

    while (ids.n < CS_MAX && mkt_csb_session(csb, ids.n, &s) == MKT_OK)
        ids.id[ids.n++] = s.cs_id;
    return assign(map, sdp, level, &ids, err);
}

enum mkt_rc
mkt_sdp_offer_cs(const struct mkt_sdp *sdp, int level, const struct mkt_offer_cs *like,
                 const uint32_t ssrc[MKT_SDP_MEDIA_MAX], struct mkt_offer_cs *cs, size_t cap,
                 size_t *n, struct mkt_sdp_map *map, struct mkt_err *err)
{
    *n = 0;
    *map = (struct mkt_sdp_map){ 0 };
    for (size_t i = 0; i < sdp->n_media; i++) {
        /* Before the message exists there are no lines to tell the level by. */
        bool ours = level == MKT_SDP_SESSION || level == (int)i;
        if (!ours || !sdp->media[i].used || sdp->media[i].profile == MKT_SDP_OTHER)
            continue;
        if (cap < 2 || *n > cap - 2)
            return mkt_fail(err, MKT_E_TOO_MANY, 0, "crypto sessions", ref);
        map->first[i] = (uint8_t)(level == MKT_SDP_SESSION ? 2 * i + 1 : 1);
        for (unsigned k = 0; k < 2; k++) {
            struct mkt_offer_cs *c = &cs[(*n)++];
            *c = *like;
            c->cs_id = (uint8_t)(map->first[i] + k);
            c->has_ssrc = k == 0;
            c->ssrc = k == 0 ? ssrc[i] : 0;
        }
    }
    return *n > 0
               ? MKT_OK
               : mkt_fail(err, MKT_E_FIELD, 0, "no m-line in use is RTP/SAVP(F)", "RFC 4567 5.1");
}
