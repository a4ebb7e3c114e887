/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder. A receiver derives and checks again what the sender did: such repetitions are not
 * recorded, so that each value stands where it was made first. */
#include "record.h"

#include "keys/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mv_record *recording; /* the wrapped functions have no other way to find it */

bool __wrap_mkt_prf_run(struct mkt_crypto *c, uint8_t prf_func, struct mkt_span inkey,
                        const struct mkt_derive *d, size_t n);
bool __real_mkt_prf_run(struct mkt_crypto *c, uint8_t prf_func, struct mkt_span inkey,
                        const struct mkt_derive *d, size_t n);
bool __wrap_mkt_mac_run(struct mkt_crypto *c, const struct mkt_msg_keys *keys,
                        const struct mkt_span *part, size_t n, uint8_t out[MKT_MAC_MAX]);
bool __real_mkt_mac_run(struct mkt_crypto *c, const struct mkt_msg_keys *keys,
                        const struct mkt_span *part, size_t n, uint8_t out[MKT_MAC_MAX]);
bool __wrap_mkt_kemac_aes_cm(struct mkt_crypto *c, const struct mkt_msg_keys *keys, uint32_t csb_id,
                             uint64_t t64, struct mkt_span in, uint8_t *out);
bool __real_mkt_kemac_aes_cm(struct mkt_crypto *c, const struct mkt_msg_keys *keys, uint32_t csb_id,
                             uint64_t t64, struct mkt_span in, uint8_t *out);

static void *
own(struct mv_record *rec, size_t n)
{
    void *p = malloc(n + 1);
    if (p == NULL || rec->n_owned == sizeof rec->owned / sizeof rec->owned[0]) {
        fputs("mkt-make-vectors: out of memory\n", stderr);
        exit(1);
    }
    rec->owned[rec->n_owned++] = p;
    return p;
}

void
mv_record_begin(struct mv_record *rec, uint64_t seed, uint64_t now)
{
    memset(rec, 0, sizeof *rec);
    rec->seed = seed;
    rec->now = now;
    recording = rec;
}

void
mv_record_end(struct mv_record *rec)
{
    for (size_t i = 0; i < rec->n_owned; i++)
        free(rec->owned[i]);
    rec->n_owned = rec->n = 0;
    recording = NULL;
}

struct mkt_span
mv_keep(struct mv_record *rec, struct mkt_span s)
{
    uint8_t *copy = own(rec, s.n);
    if (s.n != 0)
        memcpy(copy, s.p, s.n);
    return mkt_span(copy, s.n);
}

static bool
equal(struct mkt_span a, struct mkt_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static struct mv_step *
add(enum mv_kind kind, uint8_t alg)
{
    struct mv_record *rec = recording;
    if (rec->n == MV_STEPS_MAX) {
        fputs("mkt-make-vectors: too many steps\n", stderr);
        exit(1);
    }
    struct mv_step *s = &rec->step[rec->n++];
    *s = (struct mv_step){ .kind = kind, .alg = alg };
    return s;
}

/* True when the same was recorded, or when it undoes what was recorded. */
static bool
is_repetition(enum mv_kind kind, struct mkt_span key, struct mkt_span in)
{
    for (size_t i = 0; i < recording->n; i++) {
        const struct mv_step *s = &recording->step[i];
        if (s->kind == kind && equal(s->key, key) &&
            (equal(s->in, in) || (kind == MV_ENCRYPT && equal(s->out, in))))
            return true;
    }
    return false;
}

/* --- values drawn ----------------------------------------------------------------------------- */

void
mv_fill(struct mv_record *rec, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n;
         i++) { /* splitmix64: enough to look random, and the same everywhere */
        rec->seed += 0x9E3779B97F4A7C15;
        uint64_t z = (rec->seed ^ rec->seed >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        out[i] = (uint8_t)(z >> 56);
    }
}

static bool
draw(void *ctx, uint8_t *out, size_t n)
{
    struct mv_record *rec = ctx;
    mv_fill(rec, out, n);
    add(MV_RANDOM, 0)->out = mv_keep(rec, mkt_span(out, n));
    return true;
}

static uint64_t
stamp(void *ctx, uint8_t ts_type)
{
    struct mv_record *rec = ctx;
    uint64_t n = ++rec->stamps, t64 = rec->now + (n << 32 | n << 28);
    uint8_t wire[8];
    if (ts_type == MKT_TS_COUNTER)
        t64 = n;
    size_t len = mkt_ts_narrow(ts_type, t64, wire);
    add(MV_TIME, ts_type)->out = mv_keep(rec, mkt_span(wire, len));
    return t64;
}

struct mkt_env
mv_env(struct mv_record *rec, struct mkt_crypto *crypto)
{
    return (struct mkt_env){
        .crypto = crypto, .now = rec->now, .random = draw, .stamp = stamp, .ctx = rec
    };
}

/* --- the wrapped functions -------------------------------------------------------------------- */

bool
__wrap_mkt_prf_run(struct mkt_crypto *c, uint8_t prf_func, struct mkt_span inkey,
                   const struct mkt_derive *d, size_t n)
{
    if (!__real_mkt_prf_run(c, prf_func, inkey, d, n))
        return false;
    for (size_t i = 0; recording != NULL && i < n; i++) {
        if (is_repetition(MV_KDF, inkey, d[i].label))
            continue;
        struct mv_step *s = add(MV_KDF, prf_func);
        s->key = mv_keep(recording, inkey);
        s->in = mv_keep(recording, d[i].label);
        s->out = mv_keep(recording, mkt_span(d[i].out, d[i].out_len));
    }
    return true;
}

bool
__wrap_mkt_mac_run(struct mkt_crypto *c, const struct mkt_msg_keys *keys,
                   const struct mkt_span *part, size_t n, uint8_t out[MKT_MAC_MAX])
{
    uint8_t all[4 * MKT_MSG_MAX];
    size_t len = 0;
    if (!__real_mkt_mac_run(c, keys, part, n, out))
        return false;
    for (size_t i = 0; recording != NULL && i < n; i++) {
        if (part[i].n > sizeof all - len)
            return false;
        if (part[i].n != 0)
            memcpy(all + len, part[i].p, part[i].n);
        len += part[i].n;
    }
    struct mkt_span key = mkt_span(keys->auth, keys->suite->auth_len);
    if (recording == NULL || is_repetition(MV_MAC, key, mkt_span(all, len)))
        return true;
    struct mv_step *s = add(MV_MAC, keys->suite->mac);
    s->key = mv_keep(recording, key);
    s->in = mv_keep(recording, mkt_span(all, len));
    s->out = mv_keep(recording, mkt_span(out, (size_t)mkt_mac_len(keys->suite->mac)));
    return true;
}

bool
__wrap_mkt_kemac_aes_cm(struct mkt_crypto *c, const struct mkt_msg_keys *keys, uint32_t csb_id,
                        uint64_t t64, struct mkt_span in, uint8_t *out)
{
    struct mkt_span key = mkt_span(keys->encr, keys->suite->key_len);
    struct mv_step *s = NULL;
    if (recording != NULL && !is_repetition(MV_ENCRYPT, key, in)) {
        s = add(MV_ENCRYPT, keys->suite->encr);
        s->key = mv_keep(recording, key);
        s->salt = mv_keep(recording, mkt_span(keys->salt, sizeof keys->salt));
        s->in = mv_keep(recording, in); /* before `out`, which may be the same octets */
        s->csb_id = csb_id;
        s->t64 = t64;
    }
    if (!__real_mkt_kemac_aes_cm(c, keys, csb_id, t64, in, out))
        return false;
    if (s != NULL)
        s->out = mv_keep(recording, mkt_span(out, in.n));
    return true;
}

void
mv_session(struct mv_record *rec, uint8_t cs_id, struct mkt_span tek, struct mkt_span salt)
{
    struct mv_step *s = add(MV_SESSION, 0);
    s->key = mv_keep(rec, tek);
    s->salt = mv_keep(rec, salt);
    snprintf(s->name, sizeof s->name, "CS%u", cs_id);
}
