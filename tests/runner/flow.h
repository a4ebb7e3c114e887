/* SPDX-License-Identifier: Apache-2.0 */
/* One whole run: the messages of the vector and the roles that make them again. */
#ifndef MKT_RUNNER_FLOW_H
#define MKT_RUNNER_FLOW_H

#include "world.h"

struct sent { /* a message of the vector */
    const char *name, *from, *to;
    struct mkt_span octets;
    struct mkt_msg *m;
};

struct flow {
    struct rn *r;
    struct rn_world w;
    struct rn_inject inject;
    struct mkt_env env;
    json_t *steps;
    struct sent *msg;
    size_t n;
    struct mkt_initiator *initiator;
    struct mkt_responder *responder;
    struct mkt_grant *grant;
    struct mkt_csb *csb_i, *csb_r;
    struct mkt_span reaction; /* what the Responder made of RESOLVE_RESP */
    uint64_t offered_at;      /* clock when TRANSFER_INIT was made */
    enum mkt_rc refused;      /* why the last Error message was sent */
};

/* rn_sent_of_type returns the first message of that data type, or NULL. */
const struct sent *rn_sent_of_type(const struct flow *f, uint8_t data_type);

/* rn_check_outputs compares what the run gave with `outputs` and the `session` steps. */
void rn_check_outputs(struct flow *f);

#endif
