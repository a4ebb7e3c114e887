/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the crash test share: crash.c kills and judges, crash_load.c asks for tickets
 * and resolves them, crash_admin.c is the operator. */
#ifndef TESTS_KMS_CRASH_H
#define TESTS_KMS_CRASH_H

#include <pthread.h>
#include <stdatomic.h>

#include "rig.h"

#define BOB "sip:bob@example.com"
#define NAME (2 * MKT_TICKET_ID + 1)
#define CLIENTS 6
#define TICKETS_MAX (1u << 20) /* of all rounds */

/* What must hold, and how often it was looked at. */
enum claim { TICKETS, CHANGES, REPLAYS, AUDIT, READY, CLAIMS };

struct ticket {
    struct mkt_grant *grant; /* NULL: no longer looked at */
    const struct rig_user *from;
    char name[NAME];
    bool revoked; /* or nobody knows: not looked at */
};

/* A message that was sent. One that was taken must not be taken again; one that the daemon never
 * read may still be good when nothing shows that it is older than the start: with a COUNTER, or
 * stamped by a clock that is ahead. */
struct sent {
    bool resolve, ageless, answered;
    size_t at, len; /* in octets */
};

struct operator;

struct crash {
    struct rig rig;
    uint64_t random; /* state of the generator */
    struct rig_user clients[CLIENTS], bob;
    char names[CLIENTS][32];
    struct ticket *tickets;      /* it never moves: the operator looks at those of former rounds */
    size_t n_tickets, first_new; /* first_new: of this round */
    struct sent *sent;
    size_t n_sent, room_sent;
    uint8_t *octets;
    size_t n_octets, room_octets;
    struct operator* op;
    atomic_bool killed;
    int64_t kill_after_us;
    unsigned long looked[CLAIMS], failed[CLAIMS];
    unsigned long issued, resolved;
};

/* crash_random draws a number below n. */
uint64_t crash_random(struct crash *c, uint64_t n);

/* crash_hold notes whether a claim holds; a failure is printed. */
void crash_hold(struct crash *c, enum claim claim, bool holds, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* crash_grow makes room for one more of `size` octets, or aborts. */
void *crash_grow(void *p, size_t n, size_t *room, size_t size);

/* crash_ticket_name writes the name of the ticket of a grant. */
void crash_ticket_name(struct mkt_grant *g, char name[NAME]);

/* crash_request asks for a ticket as u over HTTP; NULL when there is none. crash_resolve resolves
 * it as bob: -1 when he gets the keys, else the Error no, or 99 for anything else. */
struct mkt_grant *crash_request(struct crash *c, int fd, const struct rig_user *u, const char *to);
int crash_resolve(struct crash *c, int fd, struct mkt_grant *g, const struct rig_user *from,
                  const char *to);

/* crash_load.c: asks and resolves over all channels until c->killed, from when the first answer is
 * there; *under_way is set then. crash_replay sends everything again. */
void crash_load(struct crash *c, atomic_bool *under_way);
void crash_replay(struct crash *c);

/* crash_admin.c: the operator works in a thread from begin to end; crash_operator_kill kills what
 * runs just now. crash_operator_check asks the daemon whether everything that was acknowledged
 * since the last time (all: ever) is so. crash_operator_policy is the number of the last policy
 * that was put in place. */
struct operator* crash_operator_new(struct crash *c);
void crash_operator_begin(struct crash *c);
void crash_operator_kill(struct crash *c);
void crash_operator_end(struct crash *c);
void crash_operator_check(struct crash *c, int fd, bool all);
unsigned crash_operator_policy(const struct crash *c);
void crash_operator_free(struct crash *c, unsigned long *acknowledged, unsigned long *cut_off);

#endif
