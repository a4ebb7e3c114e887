/* SPDX-License-Identifier: Apache-2.0 */
/* SDP and KeyMgmt headers of anyone's: what is taken can be written and is taken again, and what
 * is refused has a reason. */
#include "sdp.h"

#include <mikeyticket/media/sdp.h>
#include <string.h>

static uint8_t messages[(MKT_SDP_MEDIA_MAX + 1) * MKT_MSG_MAX], again[MKT_MSG_MAX];
static char value[MKT_SDP_TEXT_MAX];

/* A message as a line, and back. */
static bool
comes_back(struct mkt_span message)
{
    struct mkt_err err = { 0 };
    struct mkt_sdp sdp;
    size_t len, n;

    if (mkt_sdp_value(value, sizeof value, &len, message) != MKT_OK)
        return false;
    mkt_sdp_begin(&sdp);
    return mkt_sdp_add_line(&sdp, mkt_span(value, len), &err) == MKT_OK &&
           mkt_sdp_decode(sdp.line[0].data, again, sizeof again, &n, &err) == MKT_OK &&
           n == message.n && memcmp(again, message.p, n) == 0;
}

static const char *
look_at(const struct mkt_sdp *sdp, int level, struct mkt_span octets)
{
    static struct mkt_msg m; /* some kilobytes */
    struct mkt_err err = { 0 };
    struct mkt_sdp_map map;

    if (!comes_back(octets))
        return "a message that was taken comes back";
    if (mkt_msg_parse(&m, octets, &err) != MKT_OK)
        return NULL;
    if (mkt_sdp_check_ids(sdp, level, &m, MKT_SDP_LENIENT, &err) == MKT_OK)
        (void)mkt_sdp_ids_of(&m);
    err = (struct mkt_err){ 0 };
    if (mkt_sdp_map_offered(&map, sdp, level, &m, &err) == MKT_OK)
        for (size_t i = 0; i < sdp->n_media; i++)
            if (map.first[i] != 0 && (!sdp->media[i].used || mkt_sdp_level_of(sdp, i) != level))
                return "only m-lines in use have crypto sessions";
    return NULL;
}

static const char *
description(struct mkt_span text, enum mkt_sdp_kind kind)
{
    struct mkt_err err = { 0 };
    struct mkt_sdp_keys keys;
    struct mkt_sdp sdp;
    const char *broken = NULL;

    if (mkt_sdp_read(&sdp, text, &err) != MKT_OK)
        return err.what != NULL && err.offset <= text.n ? NULL : "a refusal has a place";
    enum mkt_sdp_next next = mkt_sdp_take(&keys, &sdp, kind, messages, sizeof messages, &err);
    if ((next == MKT_SDP_REFUSE) != (err.rc != MKT_OK))
        return "a refusal has a reason, and nothing else has";
    if ((next == MKT_SDP_KEYS && keys.n == 0) || (next == MKT_SDP_CLEAR && sdp.n_lines > 0))
        return "keys are taken when there are some";
    for (size_t i = 0; next == MKT_SDP_KEYS && broken == NULL && i < keys.n; i++)
        broken = look_at(&sdp, keys.found[i].level, keys.found[i].message);
    err = (struct mkt_err){ 0 };
    if (mkt_sdp_check_reoffer(&sdp, &sdp, &err) != MKT_OK)
        return "a description may be offered again";
    return broken;
}

static const char *
header(struct mkt_span text)
{
    struct mkt_rtsp_spec spec[4];
    struct mkt_err err = { 0 };
    size_t n, len;

    if (mkt_rtsp_read(spec, 4, &n, text, &err) != MKT_OK)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        struct mkt_rtsp_spec one;
        if (mkt_sdp_decode(spec[i].data, messages, sizeof messages, &len, &err) != MKT_OK ||
            len > MKT_MSG_MAX || spec[i].uri.n > MKT_MSG_MAX)
            return NULL;
        size_t octets = len, m = 0;
        if (mkt_rtsp_write(value, sizeof value, &len, spec[i].uri, mkt_span(messages, octets),
                           &err) != MKT_OK ||
            mkt_rtsp_read(&one, 1, &m, mkt_span(value, len), &err) != MKT_OK ||
            one.data.n != spec[i].data.n || one.uri.n != spec[i].uri.n ||
            memcmp(one.data.p, spec[i].data.p, one.data.n) != 0)
            return "a header that was read can be written and read";
    }
    return NULL;
}

const char *
mkt_sdp_holds(struct mkt_span octets)
{
    const char *broken = description(octets, MKT_SDP_OFFER);
    if (broken == NULL)
        broken = description(octets, MKT_SDP_ANSWER);
    return broken != NULL ? broken : header(octets);
}
