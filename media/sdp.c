/* SPDX-License-Identifier: Apache-2.0 */
/* What a description asks of key management, and what an answer or a later offer may change. The
 * rules are those of a user who wants SRTP or nothing: whatever is not understood is refused as a
 * whole (RFC 4567 4.1.2), and no step leads from SRTP to plain RTP. */
#include <mikeyticket/media/sdp.h>

#include "base64.h"

#include <string.h>

#define MIKEY "mikey"

static const char exchange[] = "RFC 4567 4.1.2";
static const char bidding[] = "RFC 4567 4.1.4";

static bool
is_mikey(const struct mkt_sdp_line *line)
{
    return line->prot.n == strlen(MIKEY) && memcmp(line->prot.p, MIKEY, line->prot.n) == 0;
}

static bool
is_srtp(const struct mkt_sdp_media *m)
{
    return m->profile != MKT_SDP_OTHER;
}

static enum mkt_sdp_next
refuse(struct mkt_err *err, enum mkt_rc rc, size_t at, const char *what)
{
    mkt_fail(err, rc, at, what, exchange);
    return MKT_SDP_REFUSE;
}

/* --- taking messages -------------------------------------------------------------------------- */

static bool
is_kind(struct mkt_span message, enum mkt_sdp_kind kind)
{
    if (message.n < 2 || message.p[0] != 1)
        return false;
    uint8_t type = message.p[1];
    return kind == MKT_SDP_OFFER ? type == MKT_DT_TRANSFER_INIT
                                 : type == MKT_DT_TRANSFER_RESP || type == MKT_DT_ERROR;
}

/* The error counts from the beginning of the text. */
static enum mkt_rc
decode(const struct mkt_sdp_line *line, uint8_t *buf, size_t cap, size_t *n, struct mkt_err *err)
{
    struct mkt_err why = { 0 };

    if (mkt_sdp_decode(line->data, buf, cap < MKT_MSG_MAX ? cap : MKT_MSG_MAX, n, &why) == MKT_OK)
        return MKT_OK;
    return mkt_fail(err, why.rc, line->at + why.offset, why.what, why.ref);
}

/* The first line of a level that is a message of that kind. */
static enum mkt_rc
find_message(struct mkt_sdp_keys *keys, const struct mkt_sdp *sdp, int level,
             enum mkt_sdp_kind kind, uint8_t *buf, size_t cap, struct mkt_err *err)
{
    for (size_t i = 0; i < sdp->n_lines; i++) {
        const struct mkt_sdp_line *line = &sdp->line[i];
        size_t n;
        if (line->level != level || !is_mikey(line))
            continue;
        if (decode(line, buf, cap, &n, err) != MKT_OK)
            return err->rc;
        if (!is_kind(mkt_span(buf, n), kind))
            continue;
        keys->found[keys->n].level = level;
        keys->found[keys->n].line = i;
        keys->found[keys->n++].message = mkt_span(buf, n);
        return MKT_OK;
    }
    return mkt_fail(err, MKT_E_DATA_TYPE, 0, "key-mgmt: no MIKEY message that is understood here",
                    exchange);
}

static bool
is_found(const struct mkt_sdp_keys *keys, int level)
{
    for (size_t i = 0; i < keys->n; i++)
        if (keys->found[i].level == level)
            return true;
    return false;
}

enum mkt_sdp_next
mkt_sdp_take(struct mkt_sdp_keys *keys, const struct mkt_sdp *sdp, enum mkt_sdp_kind kind,
             uint8_t *buf, size_t cap, struct mkt_err *err)
{
    size_t bare = 0, used = 0;

    *keys = (struct mkt_sdp_keys){ 0 };
    for (size_t i = 0; i < sdp->n_media; i++) {
        int level = mkt_sdp_level_of(sdp, i);
        if (!sdp->media[i].used)
            continue;
        if (!is_srtp(&sdp->media[i])) {
            if (level == (int)i)
                return refuse(err, MKT_E_FIELD, 0,
                              "key-mgmt for an m-line that is not RTP/SAVP(F)");
            continue;
        }
        bare += level == MKT_SDP_NOWHERE;
        if (level == MKT_SDP_NOWHERE || is_found(keys, level))
            continue;
        if (find_message(keys, sdp, level, kind, buf + used, cap - used, err) != MKT_OK)
            return MKT_SDP_REFUSE;
        used += keys->found[keys->n - 1].message.n;
    }
    if (keys->n > 0)
        return bare == 0 ? MKT_SDP_KEYS
                         : refuse(err, MKT_E_FIELD, 0, "an RTP/SAVP(F) m-line without key-mgmt");
    if (bare > 0)
        return MKT_SDP_KEEP;
    if (sdp->n_lines > 0)
        return refuse(err, MKT_E_FIELD, 0, "key-mgmt, but no m-line in use is RTP/SAVP(F)");
    return MKT_SDP_CLEAR;
}

/* --- bidding down ----------------------------------------------------------------------------- */

static const struct mkt_payload *
find_ids(const struct mkt_msg *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->pl[i].type == MKT_PL_GENERAL_EXT && m->pl[i].u.ext.ext_type == MKT_EXT_SDP_IDS)
            return &m->pl[i];
    return NULL;
}

struct mkt_span
mkt_sdp_ids_of(const struct mkt_msg *message)
{
    const struct mkt_payload *p = find_ids(message);
    return p != NULL ? p->u.ext.data : mkt_span(NULL, 0);
}

enum mkt_rc
mkt_sdp_check_ids(const struct mkt_sdp *sdp, int level, const struct mkt_msg *message,
                  enum mkt_sdp_strictness how, struct mkt_err *err)
{
    const struct mkt_payload *p = find_ids(message);
    char listed[MKT_SDP_IDS_MAX];

    if (mkt_sdp_ids(sdp, level, listed, err) != MKT_OK)
        return err->rc;
    if (p == NULL && (how == MKT_SDP_STRICT || strcmp(listed, MIKEY) != 0))
        return mkt_fail(err, MKT_E_MISSING_PAYLOAD, 0, "SDP IDs", bidding);
    if (p != NULL && (p->u.ext.data.n != strlen(listed) ||
                      memcmp(p->u.ext.data.p, listed, p->u.ext.data.n) != 0))
        return mkt_fail(err, MKT_E_FIELD, p->at,
                        "SDP IDs differ from the protocols that the SDP lists", bidding);
    return MKT_OK;
}

/* --- answers and later offers ----------------------------------------------------------------- */

static bool
has_mikey(const struct mkt_sdp *sdp, int level)
{
    for (size_t i = 0; i < sdp->n_lines; i++)
        if (sdp->line[i].level == level && is_mikey(&sdp->line[i]))
            return true;
    return false;
}

static enum mkt_rc
check_lines(const struct mkt_sdp *offer, const struct mkt_sdp *answer, struct mkt_err *err)
{
    for (size_t i = 0; i < answer->n_lines; i++) {
        const struct mkt_sdp_line *line = &answer->line[i];
        if (!is_mikey(line))
            return mkt_fail(err, MKT_E_FIELD, line->at, "answer: another protocol than MIKEY",
                            exchange);
        if (!has_mikey(offer, line->level))
            return mkt_fail(err, MKT_E_FIELD, line->at, "answer: key-mgmt where none was offered",
                            exchange);
        if (i > 0 && answer->line[i - 1].level == line->level)
            return mkt_fail(err, MKT_E_FIELD, line->at, "answer: several key-mgmt lines", exchange);
    }
    return MKT_OK;
}

enum mkt_rc
mkt_sdp_check_answer(const struct mkt_sdp *offer, const struct mkt_sdp *answer, struct mkt_err *err)
{
    if (answer->n_media != offer->n_media)
        return mkt_fail(err, MKT_E_FIELD, 0, "answer: another number of m-lines", "RFC 3264 6");
    for (size_t i = 0; i < answer->n_media; i++) {
        if (!answer->media[i].used)
            continue;
        if (!offer->media[i].used)
            return mkt_fail(err, MKT_E_FIELD, 0, "answer: an m-line that was not offered",
                            "RFC 3264 6");
        if (answer->media[i].profile != offer->media[i].profile)
            return mkt_fail(err, MKT_E_FIELD, 0, "answer: an m-line of another profile",
                            "RFC 3264 6.1");
        if (is_srtp(&answer->media[i]) && mkt_sdp_level_of(answer, i) != mkt_sdp_level_of(offer, i))
            return mkt_fail(err, MKT_E_FIELD, 0, "answer: key-mgmt missing, or on another level",
                            exchange);
    }
    return check_lines(offer, answer, err);
}

enum mkt_rc
mkt_sdp_check_reoffer(const struct mkt_sdp *agreed, const struct mkt_sdp *offer,
                      struct mkt_err *err)
{
    if (offer->n_media < agreed->n_media)
        return mkt_fail(err, MKT_E_FIELD, 0, "later offer: an m-line is missing", "RFC 3264 8");
    for (size_t i = 0; i < agreed->n_media; i++)
        if (is_srtp(&agreed->media[i]) && offer->media[i].used && !is_srtp(&offer->media[i]))
            return mkt_fail(err, MKT_E_FIELD, 0, "later offer: an m-line is RTP/SAVP(F) no more",
                            exchange);
    return MKT_OK;
}

enum mkt_sdp_renewal
mkt_sdp_renewal(const struct mkt_msg *message, const struct mkt_csb *csb, struct mkt_span last)
{
    struct mkt_span m = message->octets;

    if (last.n > 0 && m.n == last.n && memcmp(m.p, last.p, m.n) == 0)
        return MKT_SDP_SAME;
    if (mkt_msg_find(message, MKT_PL_TICKET, 0) != NULL)
        return MKT_SDP_TICKET;
    return message->hdr.csb_id == mkt_csb_id(csb) ? MKT_SDP_UPDATE : MKT_SDP_ALIEN;
}

/* --- writing ---------------------------------------------------------------------------------- */

size_t
mkt_sdp_value_len(size_t n)
{
    return strlen(MIKEY " ") + mkt_base64_len(n);
}

enum mkt_rc
mkt_sdp_value(char *out, size_t cap, size_t *len, struct mkt_span message)
{
    *len = 0;
    if (message.n > MKT_MSG_MAX || mkt_sdp_value_len(message.n) >= cap)
        return MKT_E_NO_SPACE;
    memcpy(out, MIKEY " ", strlen(MIKEY " "));
    mkt_base64_encode(message, out + strlen(MIKEY " "));
    *len = mkt_sdp_value_len(message.n);
    return MKT_OK;
}

enum tell { AS_IT_IS, UNSUPPORTED, NOTHING };

/* What was not understood is said, so that the other party can offer something else. What did not
 * verify is nobody's business (RFC 6043 5.4), nor is what went wrong here. */
static enum tell
tell(enum mkt_rc rc)
{
    switch (rc) {
    case MKT_E_DATA_TYPE:
    case MKT_E_UNKNOWN_PAYLOAD:
    case MKT_E_FOREIGN_PAYLOAD:
    case MKT_E_MAP:
    case MKT_E_TS_TYPE:
    case MKT_E_PRF:
    case MKT_E_MAC_ALG:
    case MKT_E_ENCR_ALG:
    case MKT_E_HASH:
    case MKT_E_SP:
    case MKT_E_SP_PARAM:
    case MKT_E_TICKET_TYPE:
    case MKT_E_TP_PARAM:
        return UNSUPPORTED;
    case MKT_E_AUTH:
    case MKT_E_REPLAY:
    case MKT_E_IDENTITY:
    case MKT_E_NOT_AUTHORISED:
    case MKT_E_TICKET:
    case MKT_E_CERT:
    case MKT_E_STATE:
    case MKT_E_ARGUMENT:
    case MKT_E_NO_SPACE:
    case MKT_E_RANDOM:
    case MKT_E_MEMORY:
    case MKT_E_CRYPTO:
        return NOTHING;
    default:
        return AS_IT_IS;
    }
}

struct mkt_sdp_refusal
mkt_sdp_refusal(enum mkt_rc rc, bool renewal)
{
    struct mkt_sdp_refusal r = { .status = 488, .reason = "Not Acceptable Here" };
    enum tell how = tell(rc);

    if (renewal || how == UNSUPPORTED) {
        r.warning[r.n].code = 306;
        r.warning[r.n++].text = "Attribute not understood: key-mgmt";
    }
    r.warning[r.n].code = 399;
    r.warning[r.n++].text = how == NOTHING ? "Key management was refused" : mkt_strerror(rc);
    return r;
}
