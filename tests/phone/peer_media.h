/* SPDX-License-Identifier: Apache-2.0 */
/* Speech of a test peer: a socket and a thread of its own, G.711 mu-law over libsrtp2. */
#ifndef TESTS_PHONE_PEER_MEDIA_H
#define TESTS_PHONE_PEER_MEDIA_H

#include "wav.h"

#include <mikeyticket/csb.h>
#include <netinet/in.h>

struct peer_media;

/* peer_media_open binds a socket of 127.0.0.1. speech is borrowed and said once. NULL on failure.
 */
struct peer_media *peer_media_open(const struct audio *speech);
uint16_t peer_media_port(const struct peer_media *m);

/* peer_media_start talks to `to` under the keys of csb: crypto session `sends` is ours, `hears`
 * theirs. */
bool peer_media_start(struct peer_media *m, const struct mkt_csb *csb, uint8_t sends, uint8_t hears,
                      const struct sockaddr_in *to, struct mkt_crypto *crypto);

/* peer_media_played tells whether the speech is said; false before the start. */
bool peer_media_played(const struct peer_media *m);

struct peer_counts {
    unsigned sent, heard, refused;
};

/* peer_media_stop ends the thread; the speech that was heard is in *heard, borrowed until close. */
struct peer_counts peer_media_stop(struct peer_media *m, struct audio *heard);
void peer_media_close(struct peer_media *m);

#endif
