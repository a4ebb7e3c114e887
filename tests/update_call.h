/* SPDX-License-Identifier: Apache-2.0 */
/* CSB updates between the two ends of a call, for the tests of them: steps, and messages forged by
 * someone who has the keys of the CSB. */
#ifndef MKT_TESTS_UPDATE_CALL_H
#define MKT_TESTS_UPDATE_CALL_H

#include "three_party.h"

#include "role/role.h"

#define TGK_LEN 16

/* An update as a test describes it. */
struct change {
    struct mkt_offer_cs cs[2];
    struct mkt_pl_sp sp;
    struct mkt_keys keys, answer_keys;
    struct mkt_update update;
    struct mkt_choice choice;
    struct message init, resp;
};

/* A call of one Bob with L and M, established. */
bool updatable_open(struct call *c, uint8_t prf, uint8_t ts_type, uint16_t set, uint16_t clear);

/* Makes an update that changes crypto session 1 and adds session `cs_id`; `key` != 0: with a new
 * TGK whose SPI is made of it, for both. */
void change_init(struct change *u, const struct call *c, uint8_t cs_id, uint8_t key);

struct mkt_csb *end_of(struct call *c, bool alice);

/* The steps, from one side to the other. Each returns MKT_OK or the reason. */
enum mkt_rc change_send(struct call *c, struct change *u, bool by_alice);
enum mkt_rc change_offered(struct call *c, const struct change *u, bool by_alice);
enum mkt_rc change_accept(struct call *c, struct change *u, bool by_alice);
enum mkt_rc change_refuse(struct call *c, struct change *u, bool by_alice, enum mkt_rc why);
enum mkt_rc change_answered(struct call *c, const struct change *u, bool by_alice);

/* All of them. */
enum mkt_rc change_whole(struct call *c, struct change *u, bool by_alice);

/* What of a CSB must not change when something fails: its sessions, keys and the time of rekeying.
 */
struct mkt_secret csb_digest(struct call *c, const struct mkt_csb *csb);

/* A call with an update and what its CSBs were before. */
struct update_case {
    struct call c;
    struct change u;
    struct mkt_secret alice, bob; /* digests */
};

/* Makes a call with flags set and cleared, and an update that is not sent yet (change_init).
 * Asserts that it works. */
void update_case_begin(struct update_case *t, uint16_t set, uint16_t clear, uint8_t key);

void assert_nothing_changed(struct update_case *t);

/* Writes message m anew, with its V made by one who has the keys of csb: `edit` may change header
 * and payloads before that. tail: the message it answers, or NULL for a TRANSFER_INIT. */
void forge(struct call *c, const struct mkt_csb *csb, struct message *m,
           void (*edit)(struct mkt_msg *m, const void *arg), const void *arg,
           const struct message *answers);

/* The T of a message as 64 bits, made comparable. */
uint64_t time_of(const struct message *m);

#endif
