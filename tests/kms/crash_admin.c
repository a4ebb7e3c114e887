/* SPDX-License-Identifier: Apache-2.0 */
/* The operator: one command of mikey-kmsctl after the other while the daemon is under load. What a
 * command has reported is acknowledged; what was cut off may have happened or not, and is left out
 * from then on. Whether it is so is asked of the daemon, over its own protocol. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"
#include "hex.h"

enum standing { ABSENT, SERVED, OUT, UNKNOWN };

/* One user and one group that come, change and go. */
struct cast {
    char identity[48], psk_id[24], alias[48], group[48];
    struct rig_user user;
    enum standing standing; /* of the user */
    bool alias_added, member, unknown_group, revoked;
    struct mkt_grant *ticket; /* for the group */
    bool changed;             /* since the last check */
};

struct operator
{
    struct cast *casts;
    size_t n, room;
    unsigned step, policy;
    size_t revoke_next; /* ticket to be revoked */
    unsigned long acknowledged, cut_off;
    pthread_t thread;
    atomic_bool stop;
    pthread_mutex_t lock;
    pid_t pid; /* of the command; 0: none runs */
};

struct operator* crash_operator_new(struct crash *c)
{
    struct operator* op = calloc(1, sizeof *op);

    if (op == NULL)
        abort();
    pthread_mutex_init(&op->lock, NULL);
    c->op = op;
    return op;
}

/* --- commands -----------------------------------------------------------------------------------
 */

enum outcome { DONE, REFUSED, CUT_OFF };

static enum outcome
run(struct crash *c, const char *const *words)
{
    struct operator* op = c->op;
    const char *all[16] = { "mikey-kmsctl", "--config", "kms.yaml" };
    char said[512];
    siginfo_t ended;
    size_t n = 3;
    int code;
    pid_t pid;

    while (*words != NULL)
        all[n++] = *words++;
    all[n] = NULL;
    pthread_mutex_lock(&op->lock);
    op->pid = pid = rig_spawn(&c->rig, all);
    pthread_mutex_unlock(&op->lock);
    waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT);
    pthread_mutex_lock(&op->lock);
    op->pid = 0;
    pthread_mutex_unlock(&op->lock);
    code = rig_reap(pid);
    if (code > 0) {
        rig_read(&c->rig, "err", said, sizeof said);
        if (strstr(said, "no answer from the daemon, which may have done it") != NULL)
            code = -1;
        else
            crash_hold(c, CHANGES, false, "%s %s failed: %s", all[3], all[4], said);
    }
    op->acknowledged += code == 0;
    op->cut_off += code < 0;
    return code == 0 ? DONE : code < 0 ? CUT_OFF : REFUSED;
}
#define CTL(c, ...) run(c, (const char *const[]){ __VA_ARGS__, NULL })

static void
user_add(struct crash *c, struct cast *k)
{
    char hex[2 * MKT_SECRET_MAX + 1];

    kms_hex_write(hex, k->user.psk.key.b, k->user.psk.key.n);
    k->standing =
        CTL(c, "user", "add", k->identity, "--psk-id", k->psk_id, "--psk-hex", hex) == DONE
            ? SERVED
            : UNKNOWN;
}

static void
alias_add(struct crash *c, struct cast *k)
{
    if (k->standing == SERVED)
        k->alias_added = CTL(c, "user", "alias-add", k->identity, k->alias) == DONE;
}

static void
group_add(struct crash *c, struct cast *k)
{
    k->unknown_group = CTL(c, "group", "add", k->group) != DONE;
}

static void
member_add(struct crash *c, struct cast *k)
{
    if (!k->unknown_group)
        k->member = CTL(c, "group", "member-add", k->group, BOB) == DONE;
    k->unknown_group = !k->member;
}

static void
user_out(struct crash *c, struct cast *k)
{
    const char *how = (k - c->op->casts) % 2 == 0 ? "suspend" : "remove";

    if (k->standing == SERVED)
        k->standing = CTL(c, "user", how, k->identity) == DONE ? OUT : UNKNOWN;
}

static void
group_revoke(struct crash *c, struct cast *k)
{
    enum outcome o;

    if (k->ticket == NULL || k->revoked || k->unknown_group)
        return;
    o = CTL(c, "ticket", "revoke", "--group", k->group);
    k->revoked = o == DONE;
    k->unknown_group = o != DONE;
}

static void
ticket_revoke(struct crash *c)
{
    struct ticket *t;

    if (c->op->revoke_next >= c->first_new)
        return; /* of former rounds only: nobody else writes there */
    t = &c->tickets[c->op->revoke_next];
    c->op->revoke_next += 7;
    if (t->grant == NULL || t->revoked)
        return;
    if (CTL(c, "ticket", "revoke", "--force", t->name) == DONE) {
        t->revoked = true;
        return;
    }
    t->revoked = true;
    t->name[0] = '\0'; /* perhaps */
}

/* As an operator would: whole, on the disk, then renamed into place. */
static void
policy_put(struct crash *c)
{
    char from[128], to[128], text[64];
    int fd, n = snprintf(text, sizeof text, "rules:\n  - rule: put-%u\n", c->op->policy + 1);

    snprintf(from, sizeof from, "%s/policy.new", c->rig.dir);
    snprintf(to, sizeof to, "%s/policy.yaml", c->rig.dir);
    fd = open(from, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, text, (size_t)n) != n || fsync(fd) != 0 || close(fd) != 0 ||
        rename(from, to) != 0)
        abort();
    c->op->policy++;
}

static struct cast *
cast_new(struct crash *c)
{
    struct operator* op = c->op;
    struct cast *k;

    op->casts = crash_grow(op->casts, op->n, &op->room, sizeof *k);
    k = &op->casts[op->n++];
    memset(k, 0, sizeof *k);
    snprintf(k->identity, sizeof k->identity, "sip:guest%zu@example.com", op->n);
    snprintf(k->psk_id, sizeof k->psk_id, "guest%zu", op->n);
    snprintf(k->alias, sizeof k->alias, "tel:+43%zu", op->n);
    snprintf(k->group, sizeof k->group, "sip:team%zu@example.com", op->n);
    rig_user_init(&k->user, NULL, NULL, MKT_PRF_HMAC_SHA_256);
    return k;
}

static void
act(struct crash *c, unsigned step)
{
    struct operator* op = c->op;
    struct cast *k = step % 8 == 0 ? cast_new(c) : &op->casts[op->n - 1];

    if (step % 8 >= 4 && op->n > 3)
        k = &op->casts[op->n - 1 - step % 3]; /* and older ones */
    k->changed = true;
    switch (step % 8) {
    case 0:
        user_add(c, k);
        break;
    case 1:
        alias_add(c, k);
        break;
    case 2:
        group_add(c, k);
        break;
    case 3:
        member_add(c, k);
        break;
    case 4:
        ticket_revoke(c);
        break;
    case 5:
        user_out(c, k);
        break;
    case 6:
        group_revoke(c, k);
        break;
    case 7:
        policy_put(c);
        if (step % 64 == 7)
            (void)CTL(c, "tpk", "rotate");
        break;
    }
}

static void *
work(void *arg)
{
    struct crash *c = arg;

    while (!atomic_load(&c->op->stop))
        act(c, c->op->step++);
    return NULL;
}

void
crash_operator_begin(struct crash *c)
{
    atomic_store(&c->op->stop, false);
    if (pthread_create(&c->op->thread, NULL, work, c) != 0)
        abort();
}

void
crash_operator_kill(struct crash *c)
{
    struct operator* op = c->op;

    pthread_mutex_lock(&op->lock);
    if (op->pid != 0)
        kill(op->pid, SIGKILL);
    pthread_mutex_unlock(&op->lock);
}

void
crash_operator_end(struct crash *c)
{
    atomic_store(&c->op->stop, true);
    pthread_join(c->op->thread, NULL);
}

/* --- is it so? ----------------------------------------------------------------------------------
 */

static bool
is_served(struct crash *c, int fd, struct cast *k, const char *identity)
{
    struct mkt_grant *g;

    k->user.identity = identity;
    k->user.psk_id = k->psk_id;
    g = crash_request(c, fd, &k->user, BOB);
    mkt_grant_free(g);
    return g != NULL;
}

static void
check_group(struct crash *c, int fd, struct cast *k)
{
    const struct rig_user *alice = &c->clients[0];

    if (k->ticket == NULL) {
        k->ticket = crash_request(c, fd, alice, k->group);
        crash_hold(c, CHANGES, k->ticket != NULL, "no ticket for %s", k->group);
    }
    if (k->ticket != NULL)
        crash_hold(c, CHANGES,
                   crash_resolve(c, fd, k->ticket, alice, k->group) ==
                       (k->revoked ? MKT_ERR_INVALID_TICKET : -1),
                   "the ticket for %s, which was %s, is not treated so", k->group,
                   k->revoked ? "revoked" : "granted to a member");
}

static void
check(struct crash *c, int fd, struct cast *k)
{
    if (k->standing == SERVED || k->standing == OUT)
        crash_hold(c, CHANGES, is_served(c, fd, k, k->identity) == (k->standing == SERVED),
                   "%s was %s", k->identity, k->standing == SERVED ? "added" : "put out");
    if (k->standing == SERVED && k->alias_added)
        crash_hold(c, CHANGES, is_served(c, fd, k, k->alias), "%s was added", k->alias);
    if (k->member && !k->unknown_group)
        check_group(c, fd, k);
}

void
crash_operator_check(struct crash *c, int fd, bool all)
{
    for (size_t i = 0; i < c->op->n; i++) {
        struct cast *k = &c->op->casts[i];

        if (all || k->changed)
            check(c, fd, k);
        k->changed = false;
    }
    for (size_t i = 0; i < c->first_new; i++) {
        struct ticket *t = &c->tickets[i];

        if (t->grant == NULL || !t->revoked || t->name[0] == '\0')
            continue;
        crash_hold(c, CHANGES,
                   crash_resolve(c, fd, t->grant, t->from, BOB) == MKT_ERR_INVALID_TICKET,
                   "the ticket %s was revoked", t->name);
        if (!all) { /* a sample stays until the end */
            mkt_grant_free(i % 5 == 0 ? NULL : t->grant);
            t->grant = i % 5 == 0 ? t->grant : NULL;
        }
    }
}

unsigned
crash_operator_policy(const struct crash *c)
{
    return c->op->policy;
}

void
crash_operator_free(struct crash *c, unsigned long *acknowledged, unsigned long *cut_off)
{
    struct operator* op = c->op;

    *acknowledged = op->acknowledged;
    *cut_off = op->cut_off;
    for (size_t i = 0; i < op->n; i++)
        mkt_grant_free(op->casts[i].ticket);
    free(op->casts);
    pthread_mutex_destroy(&op->lock);
    free(op);
}
