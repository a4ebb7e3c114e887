/* SPDX-License-Identifier: Apache-2.0 */
/* Speech over SRTP. One socket a call; one stream for each party that has answered the offer, each
 * with keys of its own (forking), told apart by SSRC. There is no other way to send or to hear:
 * without keys there is no stream. */
#ifndef MKT_PHONE_MEDIA_H
#define MKT_PHONE_MEDIA_H

#include "codec.h"
#include "device.h"
#include "reports.h"

#include <mikeyticket/media/srtp.h>
#include <re.h>

#define PHONE_FRAME_MS 20 /* of speech in a packet */

struct phone_media;

/* phone_media_open binds a socket at ip. `speech` (n = 0: silence) is borrowed and
 * said once; `played` is called at its end, if not NULL, with arg. *m is owned by the caller.
 * Returns an errno. */
int phone_media_open(struct phone_media **m, const struct sa *ip, const struct audio *speech,
                     void (*played)(void *arg), void *arg);

/* phone_media_devices has the call use sound cards from its beginning on: a microphone in the place
 * of the speech, a loudspeaker for who is talked to; NULL: none. The names are borrowed. `failed`
 * is called, once, when one does not work. */
void phone_media_devices(struct phone_media *m, const char *mic, const char *speaker,
                         void (*failed)(enum audio_side side, const char *why, void *arg));

/* phone_media_close ends its streams too. NULL is allowed. */
void phone_media_close(struct phone_media *m);

uint16_t phone_media_port(const struct phone_media *m);

struct phone_stream;

/* phone_stream_open gives a party a stream under the keys of csb: crypto session `sends` is ours,
 * `hears` is theirs. Owned by m. */
MKT_MUST_USE enum mkt_rc phone_stream_open(struct phone_stream **s, struct phone_media *m,
                                           const struct mkt_csb *csb, uint8_t sends, uint8_t hears,
                                           struct mkt_crypto *crypto, struct mkt_err *err);

/* What two descriptions have agreed on. */
struct phone_agreed {
    const struct audio_codec *codec;
    uint8_t says, hears; /* payload types of what we send, and of what we take */
    bool reports;        /* RTCP goes over the port of RTP (RFC 5761) */
};

/* phone_stream_speak changes from G.711 mu-law without reports, with which a stream begins, to what
 * was agreed on; before phone_stream_start. False when memory fails. */
MKT_MUST_USE bool phone_stream_speak(struct phone_stream *s, const struct phone_agreed *agreed);
/* phone_stream_open_sdes gives one a stream under keys that were not agreed by MIKEY: whatever SSRC
 * comes first under theirs is the party's. Both policies are wiped. */
MKT_MUST_USE enum mkt_rc phone_stream_open_sdes(struct phone_stream **s, struct phone_media *m,
                                                struct mkt_srtp *send, struct mkt_srtp *receive,
                                                struct mkt_err *err);

/* phone_stream_hear takes packets under the new key of csb too, phone_stream_say sends under it:
 * the one who offered new keys says with them once they are answered, the other once that is
 * acknowledged, so that nothing arrives before its key (RFC 4567 4.1.2). */
MKT_MUST_USE enum mkt_rc phone_stream_hear(struct phone_stream *s, const struct mkt_csb *csb,
                                           struct mkt_crypto *crypto, struct mkt_err *err);
MKT_MUST_USE enum mkt_rc phone_stream_say(struct phone_stream *s, const struct mkt_csb *csb,
                                          struct mkt_crypto *crypto, struct mkt_err *err);

/* phone_stream_early says `speech` (borrowed) to `to` while it rings: early media. */
void phone_stream_early(struct phone_stream *s, const struct sa *to, const struct audio *speech);

/* phone_stream_start begins to talk to `to`, and to nobody else; what was early is over. */
void phone_stream_start(struct phone_stream *s, const struct sa *to);

/* phone_stream_aim goes on to talk to `to`. */
void phone_stream_aim(struct phone_stream *s, const struct sa *to);

/* phone_media_pause says nothing, and goes on where it was. */
void phone_media_pause(struct phone_media *m, bool pause);

struct phone_counts {
    uint64_t sent, heard, lost;
    uint64_t refused; /* not authentic, replayed, or no speech */
};

/* phone_stream_counts returns what has happened; `refused` has packets of strangers in it. */
struct phone_counts phone_stream_counts(const struct phone_stream *s);

/* phone_stream_authentic counts what has come from the other side, speech and reports. */
uint64_t phone_stream_authentic(const struct phone_stream *s);

/* phone_stream_reported returns what the other side has last said of what we send. */
struct phone_reported phone_stream_reported(const struct phone_stream *s);

/* phone_stream_heard ends the hearing and borrows what was heard, in the form of the codec. What
 * was lost is silence in G.711, and a guess in Opus. */
struct audio phone_stream_heard(struct phone_stream *s);

#endif
