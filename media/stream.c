/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the master key of a running SRTP stream. srtp_update() would do it in one session, but
 * it forgets which packets it has seen: those of the old key could be replayed. So each key has a
 * session, and only the rollover counter is handed on, corrected for a sequence wrap that falls
 * into the change. */
#include <mikeyticket/media/srtp.h>

#include <srtp2/crypto_types.h>
#include <stdlib.h>
#include <string.h>

struct keyed {
    srtp_t session; /* NULL: no key */
    size_t mki_len;
    uint8_t mki[SRTP_MAX_MKI_LEN];
    size_t rtcp_tag; /* octets behind the MKI of SRTCP; none with AEAD (RFC 7714 9.1) */
    bool used;       /* a packet has passed: libsrtp2 knows the ROC itself */
};

struct mkt_srtp_stream {
    uint32_t ssrc, roc; /* roc: when the current key came */
    uint16_t seq;       /* of the newest packet */
    bool running;       /* there was one */
    struct keyed current, former;
};

static enum mkt_rc
refuse(struct mkt_err *err, enum mkt_rc rc, const char *what)
{
    return mkt_fail(err, rc, 0, what, "RFC 3711 8.1");
}

static void
forget(struct keyed *k)
{
    if (k->session != NULL)
        srtp_dealloc(k->session);
    *k = (struct keyed){ 0 };
}

/* Takes s: the session of one key. */
static enum mkt_rc
open_key(struct keyed *k, struct mkt_srtp *s, struct mkt_err *err)
{
    bool aead = s->policy.rtcp.auth_type == SRTP_NULL_AUTH;

    *k = (struct keyed){ .mki_len = s->master.mki_size,
                         .rtcp_tag = aead ? 0 : (size_t)s->policy.rtcp.auth_tag_len };
    memcpy(k->mki, s->mki, k->mki_len);
    return mkt_srtp_create(&k->session, s, err);
}

static enum mkt_rc
make(struct mkt_srtp_stream *stream, struct mkt_srtp *first, struct mkt_err *err)
{
    if (first->master.mki_size == 0)
        return refuse(err, MKT_E_KEY_DATA, "no MKI: keys could not be told apart");
    stream->ssrc = first->policy.ssrc.value;
    stream->roc = first->roc;
    return open_key(&stream->current, first, err);
}

enum mkt_rc
mkt_srtp_stream_new(struct mkt_srtp_stream **out, struct mkt_srtp *first, struct mkt_err *err)
{
    struct mkt_srtp_stream *stream = calloc(1, sizeof *stream);
    enum mkt_rc rc =
        stream != NULL ? make(stream, first, err) : refuse(err, MKT_E_MEMORY, "stream");

    mkt_srtp_wipe(first);
    if (rc != MKT_OK) {
        free(stream);
        stream = NULL;
    }
    *out = stream;
    return rc;
}

void
mkt_srtp_stream_free(struct mkt_srtp_stream *stream)
{
    if (stream == NULL)
        return;
    forget(&stream->current);
    forget(&stream->former);
    free(stream);
}

void
mkt_srtp_stream_retire(struct mkt_srtp_stream *stream)
{
    forget(&stream->former);
}

static enum mkt_rc
check_next(const struct mkt_srtp_stream *stream, const struct mkt_srtp *next, struct mkt_err *err)
{
    if (next->policy.ssrc.value != stream->ssrc)
        return refuse(err, MKT_E_SP, "another SSRC");
    if (next->master.mki_size != stream->current.mki_len)
        return refuse(err, MKT_E_KEY_DATA, "MKI of another length");
    if (memcmp(next->mki, stream->current.mki, stream->current.mki_len) == 0)
        return refuse(err, MKT_E_KEY_DATA, "MKI of the key in use");
    return MKT_OK;
}

enum mkt_rc
mkt_srtp_stream_rekey(struct mkt_srtp_stream *stream, struct mkt_srtp *next, struct mkt_err *err)
{
    struct keyed k = { 0 };
    uint32_t roc = stream->roc;

    if (check_next(stream, next, err) == MKT_OK) {
        next->roc = 0; /* set with the first packet, which tells whether SEQ has wrapped */
        open_key(&k, next, err);
    }
    mkt_srtp_wipe(next);
    if (err->rc != MKT_OK)
        return err->rc;
    if (stream->current.used &&
        srtp_get_stream_roc(stream->current.session, stream->ssrc, &roc) != srtp_err_status_ok) {
        forget(&k);
        return refuse(err, MKT_E_CRYPTO, "libsrtp2");
    }
    stream->roc = roc;
    forget(&stream->former);
    stream->former = stream->current;
    stream->current = k;
    return MKT_OK;
}

static uint16_t
seq_of(const uint8_t *packet)
{
    return (uint16_t)(packet[2] << 8 | packet[3]);
}

/* RFC 3711 3.3.1: the ROC of a packet by its distance from the newest one. */
static uint32_t
roc_of(const struct mkt_srtp_stream *stream, uint16_t seq)
{
    if (!stream->running)
        return stream->roc;
    if (stream->seq >= 0x8000 && seq < stream->seq - 0x8000)
        return stream->roc + 1;
    if (stream->seq < 0x8000 && seq > stream->seq + 0x8000 && stream->roc != 0)
        return stream->roc - 1;
    return stream->roc;
}

typedef srtp_err_status_t run_fn(srtp_t session, uint8_t *packet, int *len);

static srtp_err_status_t
run_protect(srtp_t session, uint8_t *packet, int *len)
{
    return srtp_protect_mki(session, packet, len, 1, 0);
}

static srtp_err_status_t
run_unprotect(srtp_t session, uint8_t *packet, int *len)
{
    return srtp_unprotect_mki(session, packet, len, 1);
}

static srtp_err_status_t
run(struct mkt_srtp_stream *stream, struct keyed *k, run_fn *fn, uint8_t *packet, int *len)
{
    uint16_t seq = seq_of(packet);

    if (!k->used && k == &stream->current) {
        srtp_err_status_t status =
            srtp_set_stream_roc(k->session, stream->ssrc, roc_of(stream, seq));
        if (status != srtp_err_status_ok)
            return status;
    }
    srtp_err_status_t status = fn(k->session, packet, len);
    if (status != srtp_err_status_ok)
        return status;
    k->used = true;
    if (!stream->running || (uint16_t)(seq - stream->seq) < 0x8000)
        stream->seq = seq;
    stream->running = true;
    return status;
}

srtp_err_status_t
mkt_srtp_stream_protect(struct mkt_srtp_stream *stream, uint8_t *packet, int *len)
{
    if (*len < 12)
        return srtp_err_status_bad_param;
    return run(stream, &stream->current, run_protect, packet, len);
}

srtp_err_status_t
mkt_srtp_stream_unprotect(struct mkt_srtp_stream *stream, uint8_t *packet, int *len)
{
    if (*len < 12)
        return srtp_err_status_bad_param;
    srtp_err_status_t status = run(stream, &stream->current, run_unprotect, packet, len);
    if (status == srtp_err_status_bad_mki && stream->former.session != NULL)
        status = run(stream, &stream->former, run_unprotect, packet, len);
    return status;
}

/* --- RTCP: each key has an index of its own, so nothing is handed on ----------------------------
 */

#define RTCP_MIN 8 /* a header and the SSRC of who sends it */

srtp_err_status_t
mkt_srtp_stream_protect_rtcp(struct mkt_srtp_stream *stream, uint8_t *packet, int *len)
{
    if (*len < RTCP_MIN)
        return srtp_err_status_bad_param;
    return srtp_protect_rtcp_mki(stream->current.session, packet, len, stream->current.mki_len != 0,
                                 0);
}

/* libsrtp2 looks for the MKI where it is in front of a tag as long as SRTP's, and so misses it
 * where that is shorter (2.5). It is in front of the tag, and not authenticated itself (RFC
 * 3711 3.4): it is read and taken out here. */
static srtp_err_status_t
unprotect_rtcp(const struct keyed *k, uint8_t *packet, int *len)
{
    int mki_len = (int)k->mki_len, at = *len - (int)k->rtcp_tag - mki_len;

    if (at < RTCP_MIN || memcmp(packet + at, k->mki, k->mki_len) != 0)
        return srtp_err_status_bad_mki;
    memmove(packet + at, packet + at + mki_len, k->rtcp_tag);
    *len -= mki_len;
    return srtp_unprotect_rtcp(k->session, packet, len);
}

srtp_err_status_t
mkt_srtp_stream_unprotect_rtcp(struct mkt_srtp_stream *stream, uint8_t *packet, int *len)
{
    srtp_err_status_t status = unprotect_rtcp(&stream->current, packet, len);

    if (status == srtp_err_status_bad_mki && stream->former.session != NULL)
        status = unprotect_rtcp(&stream->former, packet, len);
    return status;
}
