/* SPDX-License-Identifier: Apache-2.0 */
/* A second opinion on the messages of a call: labels, MACs and KEMACs put together from the text of
 * RFC 6043 5.1.2 and 5.5 and RFC 3830 4.2.3, without the code that makes the messages. It also
 * seals messages that a test has altered, so that the MAC is not what refuses them. */
#ifndef MKT_TESTS_WITNESS_H
#define MKT_TESTS_WITNESS_H

#include "three_party.h"

/* The messages of a call with Bob k = 0, in their order. */
enum sent {
    REQUEST_INIT,
    REQUEST_RESP,
    TRANSFER_INIT,
    RESOLVE_INIT,
    RESOLVE_RESP,
    TRANSFER_RESP,
    SENT_COUNT
};

const char *sent_name(enum sent s);
struct message *sent_message(struct call *c, enum sent s);

/* Takes the call to where message s has been sent and not yet received; or hands it over. */
enum mkt_rc call_up_to(struct call *c, enum sent s);
enum mkt_rc call_take(struct call *c, enum sent s);

/* A clock for c->env.stamp that ticks whenever it is read: NTP a second, COUNTER one. */
uint64_t call_tick(void *call, uint8_t ts_type);

/* What a message is protected with: inkey, the phase octet of the label, its RANDs, and the octets
 * that follow the message in the MAC. */
struct protection {
    uint8_t prf, phase;
    uint32_t csb_id;
    struct mkt_secret inkey;
    struct mkt_span rand_i, rand_r, tail[2];
};

/* The protection of message s of the call, as 5.1.2 and 5.5 have it. False when a message that it
 * rests on does not parse. */
bool protection_of(struct protection *p, struct call *c, enum sent s);

/* A key of message s: the constant of RFC 3830 4.1.4, n octets. */
bool derive(uint8_t *out, size_t n, uint32_t constant, const struct protection *p, struct call *c);

/* Computes the MAC at the end of m anew. With key forking a TRANSFER_INIT gets Vi and Vr too. */
bool seal(struct message *m, const struct protection *p, struct call *c);

/* True when message s has the MAC that `seal` would give it. */
bool sealed_as_said(struct call *c, enum sent s);

/* Decrypts the KEMAC of m into clear (1024 octets) under p; returns its length, 0 for a failure. */
size_t open_kemac(uint8_t *clear, const struct message *m, const struct protection *p,
                  struct call *c);

/* Puts a payload in front of payload number `before` of m; its MAC is wrong then. */
bool insert(struct message *m, const struct mkt_payload *extra, size_t before);

#endif
