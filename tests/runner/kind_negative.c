/* SPDX-License-Identifier: Apache-2.0 */
/* Kind `negative`: the party that receives a message is put in the state just before it, by the
 * valid messages and the values in them; then a changed message is delivered. What was refused must
 * have changed nothing: the valid message still works afterwards. Each message is a case. */
#include "world.h"

#include <stdio.h>
#include <string.h>

enum stage_no {
    REQUEST_INIT,
    REQUEST_RESP,
    TRANSFER_INIT,
    RESOLVE_INIT,
    RESOLVE_RESP,
    TRANSFER_RESP,
    UPDATE_INIT,
    UPDATE_RESP,
    STAGES
};

struct stage {
    const char *name, *receiver;
    struct mkt_span octets;
    struct mkt_msg *m; /* NULL: the file has no such stage */
};

/* One run of one stage, up to the message in question. */
struct trial {
    struct rn *r;
    const struct stage *stage;
    struct rn_world w;
    struct rn_inject inject, filler;
    struct mkt_env env;
    struct mkt_initiator *initiator;
    struct mkt_responder *responder;
    struct mkt_grant *grant;
    struct mkt_csb *csb;
    uint8_t *out;
};

enum outcome { REFUSED, TAKEN };

/* --- setting a role up ---------------------------------------------------------------------- */

static struct mkt_io
io_with(struct trial *t, struct mkt_span in)
{
    return (struct mkt_io){ .in = in, .out = t->out, .cap = MKT_MSG_MAX };
}

/* A role has sent s again, from the values in it. */
static bool
sent_again(struct trial *t, const struct stage *s, enum mkt_next next, const struct mkt_io *io)
{
    if (next == MKT_NEXT_ABORT)
        rn_fail_err(t->r, rn_name(t->r, "set-up: %s", s->name), &io->err);
    return next != MKT_NEXT_ABORT && rn_same(t->r, rn_name(t->r, "set-up: %s", s->name),
                                             mkt_span(io->out, io->out_len), s->octets);
}

static bool
setup_request(struct trial *t)
{
    const struct stage *s = &t->stage[REQUEST_INIT];
    const struct rn_party *who = rn_party_named(t->r, &t->w, "initiator");
    const struct mkt_payload *tp = mkt_msg_find(s->m, MKT_PL_TP, 0);
    struct mkt_policy want;
    struct mkt_credential cred;
    struct mkt_io io = io_with(t, mkt_span(NULL, 0));
    rn_credential_of(t->r, &t->w, who, &who->psk.base, s->m, &cred);
    rn_inject_message(t->r, &t->inject, s->m);
    t->initiator = mkt_initiator_new(&cred);
    if (t->initiator == NULL || tp == NULL ||
        mkt_policy_decode(&want, &tp->u.ticket, false, tp->at, &io.err) != MKT_OK) {
        rn_fail(t->r, s->name, "cannot be set up");
        return false;
    }
    return sent_again(t, s, mkt_initiator_request(t->initiator, &t->env, &want, &io), &io);
}

static bool
setup_offer(struct trial *t)
{
    const struct stage *s = &t->stage[TRANSFER_INIT];
    struct mkt_offer offer;
    struct mkt_io io = io_with(t, t->stage[REQUEST_RESP].octets);
    if (!setup_request(t))
        return false;
    if (mkt_initiator_granted(t->initiator, &t->env, &io, &t->grant) != MKT_NEXT_DONE) {
        rn_fail_err(t->r, "set-up: REQUEST_RESP", &io.err);
        return false;
    }
    rn_inject_message(t->r, &t->inject, s->m);
    rn_offer_of(t->r, s->m, rn_party_named(t->r, &t->w, "responder")->id, &offer);
    io = io_with(t, mkt_span(NULL, 0));
    return sent_again(t, s, mkt_initiator_offer(t->initiator, &t->env, t->grant, &offer, &io), &io);
}

static bool
setup_responder(struct trial *t)
{
    const struct stage *s = &t->stage[RESOLVE_INIT];
    const struct rn_party *who = rn_party_named(t->r, &t->w, "responder");
    struct mkt_credential cred;
    rn_credential_of(t->r, &t->w, who, &who->psk.base, s->m, &cred);
    t->responder = mkt_responder_new(&cred);
    if (t->responder == NULL)
        rn_fail(t->r, s->name, "out of memory");
    return t->responder != NULL;
}

static bool
setup_chosen(struct trial *t, const struct mkt_choice *choice)
{
    const struct stage *s = &t->stage[RESOLVE_INIT];
    struct mkt_io io = io_with(t, t->stage[TRANSFER_INIT].octets);
    if (!setup_responder(t))
        return false;
    if (mkt_responder_offered(t->responder, &t->env, RN_SKEW_S, &io) != MKT_NEXT_ASK) {
        rn_fail_err(t->r, "set-up: TRANSFER_INIT", &io.err);
        return false;
    }
    rn_inject_message(t->r, &t->inject, s->m);
    io = io_with(t, mkt_span(NULL, 0));
    if (!sent_again(t, s, mkt_responder_accept(t->responder, &t->env, choice, &io), &io))
        return false;
    rn_inject_filler(t->r, &t->inject); /* for the TRANSFER_RESP */
    return true;
}

static bool
setup_resolve(struct trial *t)
{
    return setup_chosen(t, &(struct mkt_choice){ 0 });
}

/* The Responder has answered; an update reaches its CSB. */
static bool
setup_updatable(struct trial *t)
{
    const struct stage *s = &t->stage[TRANSFER_RESP];
    struct mkt_choice choice;
    rn_whole_choice_of(t->r, s->m, &choice);
    if (!setup_chosen(t, &choice))
        return false;
    rn_inject_answer(t->r, &t->inject, s->m);
    struct mkt_io io = io_with(t, t->stage[RESOLVE_RESP].octets);
    enum mkt_next next = mkt_responder_resolved(t->responder, &t->env, &io, &t->csb);
    if (!sent_again(t, s, next, &io))
        return false;
    rn_inject_filler(t->r, &t->inject); /* for the answer to the update */
    return true;
}

/* The Initiator has sent an update in its CSB. */
static bool
setup_updating(struct trial *t)
{
    const struct stage *s = &t->stage[UPDATE_INIT];
    struct mkt_offer offer;
    if (!setup_offer(t))
        return false;
    struct mkt_io io = io_with(t, t->stage[TRANSFER_RESP].octets);
    if (mkt_initiator_answered(t->initiator, &t->env, &io, &t->csb) != MKT_NEXT_DONE) {
        rn_fail_err(t->r, "set-up: TRANSFER_RESP", &io.err);
        return false;
    }
    rn_offer_of(t->r, s->m, rn_party_named(t->r, &t->w, "responder")->id, &offer);
    const struct mkt_update update = {
        .cs = offer.cs,
        .n_cs = offer.n_cs,
        .sp = offer.sp,
        .n_sp = offer.n_sp,
        .answer = s->m->hdr.v,
        .identities = mkt_msg_find(s->m, MKT_PL_IDR, MKT_IDR_I) != NULL,
    };
    rn_inject_answer(t->r, &t->inject, s->m);
    io = io_with(t, mkt_span(NULL, 0));
    return sent_again(t, s, mkt_csb_update(t->csb, &t->env, &update, &io), &io);
}

static bool
setup_kms(struct trial *t)
{
    rn_inject_filler(t->r, &t->inject);
    return true;
}

/* --- delivering a message ------------------------------------------------------------------- */

static enum outcome
deliver_kms(struct trial *t, struct mkt_span in)
{
    struct mkt_io io = io_with(t, in);
    bool error = in.n > 1 && in.p[1] == MKT_DT_ERROR;
    enum mkt_rc rc = rn_kms_answer(t->r, &t->w, &t->env, NULL, &io);
    if (error && io.out_len != 0)
        rn_fail(t->r, "KMS", "answers an Error message");
    return rc == MKT_OK ? TAKEN : REFUSED;
}

static enum outcome
deliver_grant(struct trial *t, struct mkt_span in)
{
    struct mkt_io io = io_with(t, in);
    struct mkt_grant *grant = NULL;
    enum mkt_next next = mkt_initiator_granted(t->initiator, &t->env, &io, &grant);
    if ((next == MKT_NEXT_DONE) != (grant != NULL))
        rn_fail(t->r, "Initiator", "says %d, and gives %s grant", (int)next,
                grant == NULL ? "no" : "a");
    mkt_grant_free(grant);
    return next == MKT_NEXT_DONE ? TAKEN : REFUSED;
}

static enum outcome
deliver_answer(struct trial *t, struct mkt_span in)
{
    struct mkt_io io = io_with(t, in);
    struct mkt_csb *csb = NULL;
    enum mkt_next next = mkt_initiator_answered(t->initiator, &t->env, &io, &csb);
    if ((next == MKT_NEXT_DONE) != (csb != NULL))
        rn_fail(t->r, "Initiator", "says %d, and gives %s CSB", (int)next,
                csb == NULL ? "no" : "a");
    mkt_csb_free(csb);
    return next == MKT_NEXT_DONE ? TAKEN : REFUSED;
}

static enum outcome
deliver_resolved(struct trial *t, struct mkt_span in)
{
    struct mkt_io io = io_with(t, in);
    struct mkt_csb *csb = NULL;
    enum mkt_next next = mkt_responder_resolved(t->responder, &t->env, &io, &csb);
    bool aborted = next == MKT_NEXT_ABORT;
    if (aborted != (csb == NULL) || (aborted && io.out_len != 0))
        rn_fail(t->r, "Responder", "says %d, and gives %s CSB", (int)next,
                csb == NULL ? "no" : "a");
    mkt_csb_free(csb);
    return aborted ? REFUSED : TAKEN;
}

/* An offer is taken when the KMS resolves it and everything verifies with the keys it sends. */
static enum outcome
deliver_offer(struct trial *t, struct mkt_span in)
{
    struct mkt_io io = io_with(t, in);
    struct mkt_choice choice = { 0 };
    if (mkt_responder_offered(t->responder, &t->env, RN_SKEW_S, &io) != MKT_NEXT_ASK)
        return REFUSED;
    io = io_with(t, mkt_span(NULL, 0));
    if (mkt_responder_accept(t->responder, &t->env, &choice, &io) != MKT_NEXT_SEND_KMS)
        return REFUSED;
    uint8_t *request = rn_alloc(t->r, io.out_len);
    memcpy(request, io.out, io.out_len);
    struct mkt_io kms = { .in = mkt_span(request, io.out_len), .out = t->out, .cap = MKT_MSG_MAX };
    rn_kms_answer(t->r, &t->w, &t->env, NULL, &kms);
    uint8_t *reply = rn_alloc(t->r, kms.out_len);
    memcpy(reply, kms.out, kms.out_len);
    return deliver_resolved(t, mkt_span(reply, kms.out_len));
}

/* An update is taken when it can be accepted; one that was refused cannot. */
static enum outcome
deliver_update(struct trial *t, struct mkt_span in)
{
    struct mkt_io io = io_with(t, in);
    struct mkt_choice choice = { 0 };
    size_t n = mkt_csb_count(t->csb);
    enum mkt_next next = mkt_csb_update_offered(t->csb, &t->env, RN_SKEW_S, &io);
    if (next == MKT_NEXT_DONE)
        return TAKEN;
    io = io_with(t, mkt_span(NULL, 0));
    bool accepted = mkt_csb_update_accept(t->csb, &t->env, &choice, &io) == MKT_NEXT_SEND_PEER;
    if (next == MKT_NEXT_ABORT && (accepted || mkt_csb_count(t->csb) != n))
        rn_fail(t->r, "Responder", "takes an update that it refused");
    return accepted ? TAKEN : REFUSED;
}

static enum outcome
deliver_updated(struct trial *t, struct mkt_span in)
{
    struct mkt_io io = io_with(t, in);
    size_t n = mkt_csb_count(t->csb);
    enum mkt_next next = mkt_csb_updated(t->csb, &t->env, &io);
    if (next != MKT_NEXT_DONE && mkt_csb_count(t->csb) != n)
        rn_fail(t->r, "Initiator", "takes an answer that it refused");
    return next == MKT_NEXT_DONE ? TAKEN : REFUSED;
}

static bool
setup_offered(struct trial *t)
{
    rn_inject_filler(t->r, &t->inject);
    return setup_responder(t);
}

static const struct {
    const char *name, *receiver;
    uint8_t data_type;
    bool (*setup)(struct trial *t);
    enum outcome (*deliver)(struct trial *t, struct mkt_span in);
    unsigned needs; /* stages before this one */
} stages[STAGES] = {
    [REQUEST_INIT] = { "REQUEST_INIT", "kms", MKT_DT_REQUEST_INIT_PSK, setup_kms, deliver_kms, 0 },
    [REQUEST_RESP] = { "REQUEST_RESP", "initiator", MKT_DT_REQUEST_RESP, setup_request,
                       deliver_grant, 1U << REQUEST_INIT },
    [TRANSFER_INIT] = { "TRANSFER_INIT", "responder", MKT_DT_TRANSFER_INIT, setup_offered,
                        deliver_offer, 1U << RESOLVE_INIT },
    [RESOLVE_INIT] = { "RESOLVE_INIT", "kms", MKT_DT_RESOLVE_INIT_PSK, setup_kms, deliver_kms, 0 },
    [RESOLVE_RESP] = { "RESOLVE_RESP", "responder", MKT_DT_RESOLVE_RESP, setup_resolve,
                       deliver_resolved, 1U << TRANSFER_INIT | 1U << RESOLVE_INIT },
    [TRANSFER_RESP] = { "TRANSFER_RESP", "initiator", MKT_DT_TRANSFER_RESP, setup_offer,
                        deliver_answer,
                        1U << REQUEST_INIT | 1U << REQUEST_RESP | 1U << TRANSFER_INIT },
    [UPDATE_INIT] = { "UPDATE_INIT", "responder", MKT_DT_TRANSFER_INIT, setup_updatable,
                      deliver_update,
                      1U << TRANSFER_INIT | 1U << RESOLVE_INIT | 1U << RESOLVE_RESP |
                          1U << TRANSFER_RESP },
    [UPDATE_RESP] = { "UPDATE_RESP", "initiator", MKT_DT_TRANSFER_RESP, setup_updating,
                      deliver_updated,
                      1U << REQUEST_INIT | 1U << REQUEST_RESP | 1U << TRANSFER_INIT |
                          1U << TRANSFER_RESP | 1U << UPDATE_INIT },
};

/* --- one case ------------------------------------------------------------------------------- */

struct expect {
    const char *name; /* as printed */
    bool accept, reject;
    bool twice; /* the second delivery is the one in question */
};

static void
trial_end(struct trial *t)
{
    mkt_csb_free(t->csb);
    mkt_grant_free(t->grant);
    mkt_initiator_free(t->initiator);
    mkt_responder_free(t->responder);
    t->csb = NULL;
    t->grant = NULL;
    t->initiator = NULL;
    t->responder = NULL;
    t->w.n_seen = 0;
}

/* The octets are handed over in a block of their own size, so that a sanitizer sees every octet
 * read beyond the end. */
static void
run_case(struct trial *t, enum stage_no no, struct mkt_span in, const struct expect *e)
{
    uint8_t *copy = malloc(in.n == 0 ? 1 : in.n);
    if (copy != NULL && in.n != 0)
        memcpy(copy, in.p, in.n);
    if (copy != NULL && stages[no].setup(t)) {
        struct mkt_span exact = mkt_span(copy, in.n);
        enum outcome first = stages[no].deliver(t, exact);
        enum outcome got = e->twice ? stages[no].deliver(t, exact) : first;
        if (e->twice && first == REFUSED)
            rn_fail(t->r, e->name, "is refused the first time");
        if (e->reject && got == TAKEN)
            rn_fail(t->r, e->name, "is accepted, should be refused");
        if (e->accept && got == REFUSED)
            rn_fail(t->r, e->name, "is refused, should be accepted");
        if (got == REFUSED && !e->twice && stages[no].deliver(t, t->stage[no].octets) == REFUSED)
            rn_fail(t->r, e->name, "is refused, but the valid message after it is refused too");
    }
    free(copy);
    trial_end(t);
    rn_case_end(t->r);
}

/* --- the file ------------------------------------------------------------------------------- */

static int
stage_of(struct rn *r, const char *name)
{
    (void)r;
    for (int i = 0; i < STAGES; i++)
        if (strcmp(stages[i].name, name) == 0)
            return i;
    return -1;
}

/* A stage is built when the message is one this library handles and the ones before it are there.
 */
static bool
is_built(const struct stage *list, int no)
{
    if (no < 0 || list[no].m == NULL)
        return false;
    /* The KMS takes the public-key variants too. Their senders drew what no message shows, so the
     * stages behind them cannot be set up. */
    uint8_t type = list[no].m->hdr.data_type;
    if (type != stages[no].data_type && !(no == REQUEST_INIT && type == MKT_DT_REQUEST_INIT_PK) &&
        !(no == RESOLVE_INIT && type == MKT_DT_RESOLVE_INIT_PK))
        return false;
    for (unsigned i = 0; i < STAGES; i++)
        if ((stages[no].needs >> i & 1) != 0 &&
            (list[i].m == NULL || list[i].m->hdr.data_type != stages[i].data_type))
            return false;
    return true;
}

static void
load_stages(struct rn *r, json_t *json, struct stage *list)
{
    const char *name;
    json_t *item;
    json_object_foreach(json, name, item)
    {
        int no = stage_of(r, name);
        struct mkt_err err = { 0 };
        struct mkt_span octets;
        item = rn_obj(r, json, name);
        octets = rn_hex(r, item, "hex");
        rn_info(r, item, "auth_inkey"); /* for those who want to make more variants */
        rn_info(r, item, "auth_label");
        const char *receiver = rn_str(r, item, "receiver");
        if (no < 0)
            continue;
        if (strcmp(receiver, stages[no].receiver) != 0)
            rn_fail(r, name, "goes to %s, should go to %s", receiver, stages[no].receiver);
        list[no] = (struct stage){ name, receiver, octets, rn_alloc(r, sizeof(struct mkt_msg)) };
        if (mkt_msg_parse(list[no].m, octets, &err) != MKT_OK)
            rn_fail_err(r, name, &err);
    }
}

static void
run_variants(struct trial *t, const struct stage *list, json_t *variants, unsigned long *skipped)
{
    static const char *const info[] = { "why", "ref", "oracle", "oracle_reason" };
    size_t i;
    json_t *v;
    json_array_foreach(variants, i, v)
    {
        const char *stage = rn_str(t->r, v, "stage"), *expect = rn_str(t->r, v, "expect");
        struct expect e = { .name = rn_name(t->r, "%s %s", stage, rn_str(t->r, v, "name")) };
        int no = stage_of(t->r, stage);
        json_t *op = rn_get(t->r, v, "op");
        for (size_t k = 0; k < sizeof info / sizeof info[0]; k++)
            rn_info(t->r, v, info[k]);
        e.accept = strcmp(expect, "accept") == 0;
        e.reject = strcmp(expect, "reject") == 0;
        e.twice = op != NULL && rn_bool(t->r, op, "twice");
        struct mkt_span in = e.twice ? mkt_span(NULL, 0) : rn_hex(t->r, v, "hex");
        if (!e.accept && !e.reject && strcmp(expect, "either") != 0)
            rn_fail(t->r, e.name, "expect is %s", expect);
        if (!is_built(list, no)) {
            (*skipped)++;
            continue;
        }
        run_case(t, (enum stage_no)no, e.twice ? list[no].octets : in, &e);
    }
}

/* raw_rules: every truncation, one flipped bit for each octet, trailing zero octets. */
static void
run_raw(struct trial *t, enum stage_no no, struct mkt_span valid)
{
    static const size_t trailing[] = { 1, 2, 3, 255 };
    struct expect e = { .reject = true };
    uint8_t *copy = rn_alloc(t->r, valid.n + 255);
    memcpy(copy, valid.p, valid.n);
    for (size_t n = 0; n < valid.n; n++) {
        e.name = rn_name(t->r, "%s cut to %zu octets", stages[no].name, n);
        run_case(t, no, mkt_span(copy, n), &e);
    }
    for (size_t i = 0; i < valid.n; i++) {
        e.name = rn_name(t->r, "%s with a bit of octet %zu flipped", stages[no].name, i);
        copy[i] ^= (uint8_t)(1U << i % 8);
        run_case(t, no, mkt_span(copy, valid.n), &e);
        copy[i] ^= (uint8_t)(1U << i % 8);
    }
    for (size_t k = 0; k < sizeof trailing / sizeof trailing[0]; k++) {
        e.name = rn_name(t->r, "%s with %zu octets behind it", stages[no].name, trailing[k]);
        run_case(t, no, mkt_span(copy, valid.n + trailing[k]), &e);
    }
}

/* The rules are fixed here; a file with others is not understood. */
static void
check_raw_rules(struct rn *r, json_t *rules)
{
    static const char *const want[][2] = {
        { "truncate", "every shorter prefix" },
        { "flip", "for every offset i, bit 1 << (i % 8)" },
        { "append", "1, 2, 3 or 255 zero bytes" },
        { "expect", "reject" },
        { "stages", "all" },
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        if (strcmp(rn_str(r, rules, want[i][0]), want[i][1]) != 0)
            rn_fail(r, "raw_rules", "%s is another rule than the runner's", want[i][0]);
}

static void
run_all(struct trial *t, struct stage *list)
{
    struct rn *r = t->r;
    unsigned long skipped = 0, raw = 0, passed = r->passed, failed = r->failed;
    const char *name;
    json_t *item, *json = rn_obj(r, r->doc.root, "stages");
    json_t *rules = rn_obj(r, r->doc.root, "raw_rules");
    check_raw_rules(r, rules);
    run_variants(t, list, rn_list(r, r->doc.root, "variants"), &skipped);
    json_object_foreach(json, name, item)
    {
        int no = stage_of(r, name);
        unsigned long n = 2 * (strlen(json_string_value(json_object_get(item, "hex"))) / 2) + 4;
        raw += n;
        if (is_built(list, no))
            run_raw(t, (enum stage_no)no, list[no].octets);
        else
            skipped += n;
        if (!is_built(list, no))
            printf("skip %s: stage %s needs a stage before it that is missing\n", r->file, name);
    }
    rn_same_num(r, "raw_count", raw, rn_num(r, r->doc.root, "raw_count"));
    rn_unread(r, r->doc.root, "");
    if (r->faults != 0)
        rn_case_end(r);
    r->skipped += skipped;
    const char *how = r->failed != failed ? "FAIL" : r->passed != passed ? "ok  " : "skip";
    printf("%s %s: %lu passed, %lu failed, %lu skipped\n", how, r->file, r->passed - passed,
           r->failed - failed, skipped);
}

void
rn_run_negative(struct rn *r)
{
    struct stage list[STAGES] = { 0 };
    struct trial t = { .r = r, .stage = list };
    json_t *inputs = rn_obj(r, r->doc.root, "inputs");
    rn_str(r, r->doc.root, "suite");
    rn_str(r, r->doc.root, "flags");
    load_stages(r, rn_obj(r, r->doc.root, "stages"), list);
    rn_world_load(r, &t.w, inputs);
    t.env = rn_env(r, &t.inject, t.w.now);
    t.out = rn_alloc(r, MKT_MSG_MAX);
    if (r->faults == 0 && t.w.kms != NULL)
        run_all(&t, list);
    else
        rn_case_end(r);
    rn_world_free(&t.w);
}
