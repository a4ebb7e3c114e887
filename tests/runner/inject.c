/* SPDX-License-Identifier: Apache-2.0 */
/* A random generator and a clock that give the recorded values in their order, and insist on it: a
 * role that asks for another size, or for random octets where it should take the time, is wrong. */
#include "world.h"

#include "keys/keys.h"

#include <string.h>

static struct rn_draw *
next_draw(struct rn_inject *in)
{
    return in->next < in->n ? &in->draw[in->next++] : NULL;
}

static bool
draw_random(void *ctx, uint8_t *out, size_t n)
{
    struct rn_inject *in = ctx;
    if (in->n == 0) {
        for (size_t i = 0; i < n; i++) /* no two draws alike, as SPIs must not collide */
            out[i] = (uint8_t)(in->filler >> 8 * (i % 4)) ^ (uint8_t)(i / 4 * 37);
        in->filler += 0x01000193;
        return true;
    }
    const struct rn_draw *d = next_draw(in);
    if (d != NULL && !d->time && d->value.n == n) {
        if (n != 0)
            memcpy(out, d->value.p, n);
        return true;
    }
    rn_fail(in->r, d == NULL ? "random" : d->name,
            d == NULL ? "%zu random octets asked for after the last recorded value"
            : d->time ? "%zu random octets asked for, the recorded step is a time"
                      : "%zu random octets asked for, another number is recorded",
            n);
    return false;
}

static uint64_t
draw_stamp(void *ctx, uint8_t ts_type)
{
    struct rn_inject *in = ctx;
    if (in->n == 0)
        return ts_type == MKT_TS_COUNTER ? ++in->filler & 0x7FFFFFFF : in->now + ++in->filler;
    const struct rn_draw *d = next_draw(in);
    if (d != NULL && d->time && d->ts_type == ts_type && d->value.n == mkt_ts_len(ts_type))
        return mkt_ts_widen(ts_type, d->value);
    rn_fail(in->r, d == NULL ? "time" : d->name,
            "timestamp of type %u asked for, not recorded here", ts_type);
    return 0;
}

static void
add(struct rn_inject *in, const char *name, bool time, uint8_t ts_type, struct mkt_span value)
{
    in->draw[in->n++] = (struct rn_draw){ name, time, ts_type, value };
}

/* The long-term keys were drawn too, before everything else. */
static bool
is_key(struct rn *r, json_t *keys, const char *name, struct mkt_span value)
{
    json_t *key = json_object_get(keys, name);
    if (!json_is_string(key))
        return false;
    rn_same(r, name, value, rn_hex(r, keys, name));
    return true;
}

void
rn_inject_steps(struct rn *r, struct rn_inject *in, json_t *steps, json_t *keys)
{
    size_t i;
    json_t *step;
    *in = (struct rn_inject){ .r = r };
    in->draw = rn_alloc(r, (json_array_size(steps) + 1) * sizeof *in->draw);
    json_array_foreach(steps, i, step)
    {
        const char *kind = rn_str(r, step, "kind"), *name = rn_str(r, step, "name");
        bool time = strcmp(kind, "time") == 0;
        if (!time && strcmp(kind, "random") != 0)
            continue;
        struct mkt_span value = rn_hex(r, step, "value");
        if (time || !is_key(r, keys, name, value))
            add(in, name, time, time ? (uint8_t)rn_num(r, step, "ts_type") : 0, value);
    }
}

static size_t
index_of(const struct rn_inject *in, struct mkt_span value)
{
    size_t i = 0;
    while (i < in->n && (in->draw[i].time || in->draw[i].value.n != value.n ||
                         memcmp(in->draw[i].value.p, value.p, value.n) != 0))
        i++;
    return i;
}

bool
rn_inject_has(const struct rn_inject *in, struct mkt_span value)
{
    return value.n != 0 && index_of(in, value) < in->n;
}

bool
rn_inject_drop(struct rn_inject *in, struct mkt_span value)
{
    if (!rn_inject_has(in, value))
        return false;
    size_t i = index_of(in, value);
    memmove(&in->draw[i], &in->draw[i + 1], (--in->n - i) * sizeof in->draw[0]);
    return true;
}

void
rn_inject_message(struct rn *r, struct rn_inject *in, const struct mkt_msg *m)
{
    uint8_t *csb_id = rn_alloc(r, 4);
    const struct mkt_payload *rand = mkt_msg_find(m, MKT_PL_RANDR, 0);
    const struct mkt_payload *t = mkt_msg_find(m, MKT_PL_T, 0);
    *in = (struct rn_inject){ .r = r, .now = in->now, .draw = rn_alloc(r, 3 * sizeof *in->draw) };
    for (size_t i = 0; i < 4; i++)
        csb_id[i] = (uint8_t)(m->hdr.csb_id >> 8 * (3 - i));
    add(in, "CSB ID", false, 0, mkt_span(csb_id, 4));
    if (rand != NULL)
        add(in, "RANDR", false, 0, rand->u.randr.rand);
    if (t != NULL)
        add(in, "T", true, t->u.t.ts_type, t->u.t.value);
}

void
rn_inject_answer(struct rn *r, struct rn_inject *in, const struct mkt_msg *m)
{
    const struct mkt_payload *rand = mkt_msg_find(m, MKT_PL_RANDR, MKT_RANDR_R);
    const struct mkt_payload *t = mkt_msg_find(m, MKT_PL_T, 0);
    *in = (struct rn_inject){ .r = r, .now = in->now, .draw = rn_alloc(r, 2 * sizeof *in->draw) };
    if (rand != NULL)
        add(in, "RANDRr", false, 0, rand->u.randr.rand);
    if (t != NULL)
        add(in, "T", true, t->u.t.ts_type, t->u.t.value);
}

void
rn_inject_filler(struct rn *r, struct rn_inject *in)
{
    *in = (struct rn_inject){ .r = r, .filler = 0x6D6B7401, .now = in->now };
}

void
rn_inject_end(struct rn *r, const char *where, const struct rn_inject *in)
{
    for (size_t i = in->next; i < in->n; i++)
        rn_fail(r, where, "nobody asked for %s", in->draw[i].name);
}

struct mkt_env
rn_env(struct rn *r, struct rn_inject *in, uint64_t now)
{
    in->now = now;
    return (struct mkt_env){
        .crypto = r->crypto, .now = now, .random = draw_random, .stamp = draw_stamp, .ctx = in
    };
}
