/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a vector, recomputed one by one: labels are taken apart and built again, keys
 * derived, MACs and ciphertexts made from the recorded inputs. */
#include "steps.h"
#include "runner.h"

#include "backend/backend.h"
#include "base/reader.h"
#include "keys/keys.h"

#include <string.h>

#define OUTKEY_MAX 4096

static const uint32_t constants[] = {
    MKT_C_SESSION_TEK, MKT_C_SESSION_AUTH, MKT_C_SESSION_ENCR, MKT_C_SESSION_SALT,
    MKT_C_ENCR,        MKT_C_AUTH,         MKT_C_SALT,         MKT_C_MPKR_FORKED,
    MKT_C_TGK_FORKED,  MKT_C_MPKI,         MKT_C_MPKR,
};

/* What follows `constant || CS ID || CSB ID || tag` for each tag (RFC 6043 5.1, 6.10, A.2): the
 * widths of the length fields of the two nonces; 0: there is none. */
static const struct {
    enum mkt_use use;
    uint8_t width1, width2;
} shapes[] = {
    { MKT_USE_FORK, 2, 1 },     { MKT_USE_INIT, 1, 1 },           { MKT_USE_RESP, 1, 1 },
    { MKT_USE_SESSION, 1, 1 },  { MKT_USE_INITIATOR_DATA, 0, 0 }, { MKT_USE_FROM_TPK, 1, 0 },
    { MKT_USE_FROM_MPK, 1, 0 },
};

/* Takes a label behind its constant apart; false when it has not the shape of RFC 6043. */
static bool
label_read(struct mkt_label *l, struct mkt_span label)
{
    struct mkt_err err = { 0 };
    struct mkt_reader rd = mkt_r_open(label, 0, "label", "RFC 6043 5.1", &err);
    l->cs_id = (uint8_t)mkt_r_uint(&rd, 1);
    l->csb_id = mkt_r_uint(&rd, 4);
    uint32_t tag = mkt_r_uint(&rd, 1);
    if (err.rc != MKT_OK || tag >= sizeof shapes / sizeof shapes[0])
        return false;
    l->use = shapes[tag].use;
    if (shapes[tag].width1 != 0)
        l->nonce1 = mkt_r_vec(&rd, shapes[tag].width1);
    if (shapes[tag].width2 != 0)
        l->nonce2 = mkt_r_vec(&rd, shapes[tag].width2);
    return mkt_r_end(&rd) == MKT_OK;
}

/* A label with one of the constants of the RFCs must be of a shape of RFC 6043, and the library
 * must write the same octets from its parts. Others are test data for the PRF alone. */
static void
check_label(struct rn *r, const char *name, uint32_t constant, struct mkt_span label)
{
    bool known = false;
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
        known = known || constants[i] == constant;
    if (!known)
        return;
    struct mkt_label parts = { 0 };
    if (!label_read(&parts, mkt_span(label.p + 4, label.n - 4))) {
        rn_fail(r, name, "label is not one of RFC 6043");
        return;
    }
    uint8_t out[MKT_LABEL_MAX];
    struct mkt_writer w = mkt_w_open(out, sizeof out);
    mkt_label_write(&w, (enum mkt_constant)constant, &parts);
    rn_same(r, rn_name(r, "%s.label", name), mkt_span(out, w.len), label);
}

static void
step_kdf(struct rn *r, json_t *step, const char *name)
{
    struct mkt_span label = rn_hex(r, step, "label"), inkey = rn_hex(r, step, "inkey");
    struct mkt_span want = rn_hex(r, step, "outkey"), constant = rn_hex(r, step, "constant");
    uint8_t prf = (uint8_t)rn_num(r, step, "prf"), out[OUTKEY_MAX];
    rn_same_num(r, rn_name(r, "%s.inkey_bits", name), rn_num(r, step, "inkey_bits"), 8 * inkey.n);
    rn_same_num(r, rn_name(r, "%s.outkey_bits", name), rn_num(r, step, "outkey_bits"), 8 * want.n);
    if (label.n < 4 || want.n > sizeof out) {
        rn_fail(r, name, "label too short or outkey too long");
        return;
    }
    rn_same(r, rn_name(r, "%s.constant", name), mkt_span(label.p, 4), constant);
    check_label(r, name,
                (uint32_t)label.p[0] << 24 | (uint32_t)label.p[1] << 16 |
                    (uint32_t)label.p[2] << 8 | label.p[3],
                label);
    struct mkt_derive d = { label, out, want.n };
    if (!mkt_prf_run(r->crypto, prf, inkey, &d, 1))
        rn_fail(r, name, "PRF failed");
    else
        rn_same(r, name, mkt_span(out, want.n), want);
}

static const struct mkt_suite *
suite_with_mac(uint8_t alg)
{
    for (uint8_t prf = 0; prf < 2; prf++)
        if (mkt_suite_of(prf) != NULL && mkt_suite_of(prf)->mac == alg)
            return mkt_suite_of(prf);
    return NULL;
}

static void
step_mac(struct rn *r, json_t *step, const char *name)
{
    uint8_t alg = (uint8_t)rn_num(r, step, "alg"), out[MKT_MAC_MAX];
    struct mkt_span key = rn_hex(r, step, "auth_key"), in = rn_hex(r, step, "mac_input");
    struct mkt_span want = rn_hex(r, step, "mac");
    int len = mkt_mac_len(alg);
    if (len <= 0 || (size_t)len > sizeof out) {
        rn_fail(r, name, "MAC algorithm %u is not known", alg);
        return;
    }
    if (!mkt_be_hmac_key(r->crypto, alg, key) || !mkt_be_hmac(r->crypto, alg, &in, 1, out))
        rn_fail(r, name, "HMAC failed");
    else
        rn_same(r, name, mkt_span(out, (size_t)len), want);
    MKT_SCOPED_MSG_KEYS
    keys = { .suite = suite_with_mac(alg) };
    if (keys.suite == NULL || keys.suite->auth_len != key.n || key.n > sizeof keys.auth)
        return; /* a key of another length than messages have: HMAC alone */
    memcpy(keys.auth, key.p, key.n);
    /* in three parts, as messages are: what is covered, and the tails */
    struct mkt_span part[3] = { { in.p, in.n / 3 }, { NULL, 0 }, { NULL, 0 } };
    if (in.n != 0) {
        part[1] = mkt_span(in.p + in.n / 3, in.n / 2 - in.n / 3);
        part[2] = mkt_span(in.p + in.n / 2, in.n - in.n / 2);
    }
    if (!mkt_mac_run(r->crypto, &keys, part, 3, out))
        rn_fail(r, name, "MAC failed");
    else
        rn_same(r, rn_name(r, "%s, in parts", name), mkt_span(out, (size_t)len), want);
}

static void
check_key_wrap(struct rn *r, const char *name, struct mkt_span key, struct mkt_span salt,
               struct mkt_span plain, struct mkt_span cipher)
{
    uint8_t *out = rn_alloc(r, cipher.n + plain.n + 16);
    if (salt.n != 8 || plain.n % 8 != 0 || plain.n < 16 || cipher.n != plain.n + 8) {
        rn_fail(r, name, "lengths are not those of AES key wrap");
        return;
    }
    if (!mkt_be_kw_wrap(r->crypto, key, salt.p, plain, out))
        rn_fail(r, name, "key wrap failed");
    else
        rn_same(r, name, mkt_span(out, plain.n + 8), cipher);
    if (!mkt_be_kw_unwrap(r->crypto, key, salt.p, cipher, out))
        rn_fail(r, name, "key unwrap failed");
    else
        rn_same(r, rn_name(r, "%s, unwrapped", name), mkt_span(out, plain.n), plain);
}

static void
step_encrypt(struct rn *r, json_t *step, const char *name)
{
    uint64_t alg = rn_num(r, step, "alg"), t64 = rn_hex_num(r, step, "t64");
    uint32_t csb_id = (uint32_t)rn_hex_num(r, step, "csb_id");
    struct mkt_span key = rn_hex(r, step, "encr_key"), salt = rn_hex(r, step, "salt_key");
    struct mkt_span plain = rn_hex(r, step, "plaintext"), cipher = rn_hex(r, step, "ciphertext");
    struct mkt_span want_iv = rn_hex(r, step, "iv");
    if (alg == MKT_ENCR_AES_KW_128) {
        rn_same(r, rn_name(r, "%s.iv", name), salt, want_iv);
        check_key_wrap(r, name, key, salt, plain, cipher);
        return;
    }
    MKT_SCOPED_MSG_KEYS
    keys = { .suite = mkt_suite_of(alg == MKT_ENCR_AES_CM_256) };
    if (keys.suite == NULL || keys.suite->encr != alg || key.n != keys.suite->key_len ||
        salt.n != sizeof keys.salt) {
        rn_fail(r, name, "encryption algorithm %u with a key of %zu octets", (unsigned)alg, key.n);
        return;
    }
    memcpy(keys.encr, key.p, key.n);
    memcpy(keys.salt, salt.p, salt.n);
    uint8_t iv[16], *out = rn_alloc(r, plain.n + cipher.n);
    mkt_kemac_iv(iv, keys.salt, csb_id, t64);
    rn_same(r, rn_name(r, "%s.iv", name), mkt_span(iv, sizeof iv), want_iv);
    if (!mkt_kemac_aes_cm(r->crypto, &keys, csb_id, t64, plain, out))
        rn_fail(r, name, "encryption failed");
    else
        rn_same(r, name, mkt_span(out, plain.n), cipher);
    if (!mkt_kemac_aes_cm(r->crypto, &keys, csb_id, t64, cipher, out))
        rn_fail(r, name, "decryption failed");
    else
        rn_same(r, rn_name(r, "%s, decrypted", name), mkt_span(out, cipher.n), plain);
}

/* Whether text occurs in a string of value, the `random` steps themselves excepted. */
static bool
occurs(json_t *value, const char *text)
{
    size_t i;
    json_t *item;
    const char *key, *kind = json_string_value(json_object_get(value, "kind"));
    if (kind != NULL && strcmp(kind, "random") == 0)
        return false;
    if (json_is_string(value))
        return strstr(json_string_value(value), text) != NULL;
    json_array_foreach(value, i, item)
    {
        if (occurs(item, text))
            return true;
    }
    json_object_foreach(value, key, item)
    {
        if (occurs(item, text))
            return true;
    }
    return false;
}

/* A value drawn for the vector that is no input of a role is one of the octets checked elsewhere.
 */
static void
step_random(struct rn *r, json_t *step, const char *name)
{
    if (!occurs(r->doc.root, rn_str(r, step, "value")))
        rn_fail(r, name, "random value is used nowhere");
}

static void
step_session(struct rn *r, json_t *step, const char *name)
{
    rn_hex(r, step, "TEK"); /* compared with the CSB where there is one: kind_flow.c */
    rn_hex(r, step, "salt_key");
    (void)name;
}

static const struct {
    const char *kind;
    void (*check)(struct rn *r, json_t *step, const char *name);
    bool input; /* of a role, in a flow */
} kinds[] = {
    { "kdf", step_kdf, false },         { "mac", step_mac, false },
    { "encrypt", step_encrypt, false }, { "random", step_random, true },
    { "time", step_random, true },      { "session", step_session, false },
    { "pke", rn_step_pke, false },      { "sign", rn_step_sign, false },
};

void
rn_check_steps(struct rn *r, json_t *steps, bool injected)
{
    size_t i, k;
    json_t *step;
    json_array_foreach(steps, i, step)
    {
        const char *kind = rn_str(r, step, "kind"), *name = rn_str(r, step, "name");
        for (k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
            if (strcmp(kind, kinds[k].kind) == 0)
                break;
        if (k == sizeof kinds / sizeof kinds[0])
            rn_fail(r, name, "step of a kind not known: %s", kind);
        else if (!injected || !kinds[k].input)
            kinds[k].check(r, step, name);
    }
}

/* Key derivations of one message share its CSB ID. */
static void
check_csb_id(struct rn *r, json_t *steps, struct mkt_span csb_id)
{
    size_t i;
    json_t *step;
    json_array_foreach(steps, i, step)
    {
        if (json_object_get(step, "label") == NULL)
            continue;
        struct mkt_span label = rn_hex(r, step, "label");
        if (label.n < 9)
            rn_fail(r, rn_str(r, step, "name"), "label without a CSB ID");
        else
            rn_same(r, rn_name(r, "%s: CSB ID", rn_str(r, step, "name")), mkt_span(label.p + 5, 4),
                    csb_id);
    }
}

void
rn_run_plain(struct rn *r)
{
    json_t *inputs = rn_obj(r, r->doc.root, "inputs");
    if (json_object_get(inputs, "csb_id") != NULL)
        check_csb_id(r, rn_list(r, r->doc.root, "steps"), rn_hex(r, inputs, "csb_id"));
    rn_list(r, r->doc.root, "messages");
    rn_obj(r, r->doc.root, "outputs");
    rn_check_steps(r, rn_list(r, r->doc.root, "steps"), false);
}
