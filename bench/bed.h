/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon with a store of so many users, the configuration at its defaults
 * but for the audit; messages that some of
 * the users send; and bare servers beside it, which give an answer of the same size. */
#ifndef BENCH_BED_H
#define BENCH_BED_H

#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

#include <mikeyticket/env.h>
#include <mikeyticket/key.h>
#include <mikeyticket/message.h>

#include "load.h"

#define BED_SENDERS 50000 /* users who send; all if they are fewer */

struct bed_user {
    char identity[64], psk_id[40];
    struct mkt_inkey_mem psk;
};

/* How keys stand in the store, and where they are opened. */
enum bed_keys { BED_CLEAR, BED_SEALED, BED_VAULT };

struct bed {
    uint8_t prf;
    enum bed_keys keys;
    bool audit; /* as by default: each record on the disk before its answer leaves */
    struct mkt_env env;
    size_t n_users;
    struct bed_user *senders;
    struct load load;
    char dir[PATH_MAX], program[PATH_MAX];
    struct sockaddr_in udp, http, echo, fixed;
    pid_t daemon, echo_pid, fixed_pid;
    uint8_t answer[MKT_MSG_MAX]; /* what the bare servers say */
    size_t answer_len;
};

/* bed_open fills a store with users and starts a daemon with it, with the audit or without. Close
 * it in any case. */
bool bed_open(struct bed *b, uint8_t prf, size_t n_users, bool audit, enum bed_keys keys);
void bed_close(struct bed *b);

/* bed_messages makes n REQUEST_INIT_PSK, in place of those made before. */
bool bed_messages(struct bed *b, size_t n);

/* bed_bare starts the bare servers. */
bool bed_bare(struct bed *b);

#endif
