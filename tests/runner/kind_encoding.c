/* SPDX-License-Identifier: Apache-2.0 */
/* Kind `encoding`: messages and key data sub-payloads decoded and encoded, no key involved. */
#include "runner.h"

#include "payload/codec.h"

#include <string.h>

static const char *
base64(struct rn *r, struct mkt_span s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = rn_alloc(r, 4 * (s.n / 3 + 1) + 1), *p = out;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)s.p[i] << 16 | (left > 1 ? (uint32_t)s.p[i + 1] << 8 : 0) |
                     (left > 2 ? s.p[i + 2] : 0U);
        *p++ = digits[v >> 18];
        *p++ = digits[v >> 12 & 63];
        *p++ = left > 1 ? digits[v >> 6 & 63] : '=';
        *p++ = left > 2 ? digits[v & 63] : '=';
    }
    return out;
}

void
rn_check_attributes(struct rn *r, json_t *outputs, json_t *messages)
{
    static const char suffix[] = "_attribute";
    size_t i;
    json_t *message, *value;
    const char *key;
    json_object_foreach(outputs, key, value)
    {
        size_t n = strlen(key);
        if (n < sizeof suffix || strcmp(key + n + 1 - sizeof suffix, suffix) != 0)
            continue;
        bool found = false;
        json_array_foreach(messages, i, message)
        {
            const char *name = json_string_value(json_object_get(message, "name"));
            if (name == NULL || strlen(name) != n + 1 - sizeof suffix ||
                strncmp(name, key, strlen(name)) != 0)
                continue;
            found = true;
            const char *text =
                rn_name(r, "a=key-mgmt:mikey %s", base64(r, rn_hex(r, message, "hex")));
            const char *want = rn_str(r, outputs, key);
            rn_same(r, key, mkt_span(text, strlen(text)), mkt_span(want, strlen(want)));
        }
        if (!found)
            rn_fail(r, key, "belongs to no message");
    }
}

static void
check_key_data(struct rn *r, const char *where, const struct mkt_payload *want,
               struct mkt_span alone)
{
    struct mkt_payload got;
    struct mkt_err err = { 0 };
    uint8_t out[1024];
    size_t used, len;
    if (mkt_payload_decode(&got, MKT_PL_KEY_DATA, alone, &used, &err) != MKT_OK) {
        rn_fail_err(r, where, &err);
        return;
    }
    rn_same_num(r, rn_name(r, "%s: octets read", where), used, alone.n);
    rn_check_payload(r, where, &got, want);
    if (mkt_payload_encode(want, out, sizeof out, &len) != MKT_OK)
        rn_fail(r, where, "cannot be encoded");
    else
        rn_same(r, rn_name(r, "%s, encoded", where), mkt_span(out, len), alone);
}

/* Key data sub-payloads, each alone and all of them in one chain, as in a KEMAC. */
static void
check_all_key_data(struct rn *r, json_t *outputs)
{
    size_t i, n = 0, cap = json_array_size(json_object_get(outputs, "key_data"));
    json_t *item, *list = rn_list(r, outputs, "key_data");
    struct mkt_span chain = rn_hex(r, outputs, "chain");
    struct mkt_payload want, *got = rn_alloc(r, (cap + 1) * sizeof *got);
    struct mkt_err err = { 0 };
    uint8_t *out = rn_alloc(r, MKT_MSG_MAX);
    struct mkt_writer w = mkt_w_open(out, MKT_MSG_MAX);
    if (mkt_chain_decode(got, cap, &n, MKT_PL_KEY_DATA, chain, &err) != MKT_OK)
        rn_fail_err(r, "chain", &err);
    rn_same_num(r, "chain: number of keys", n, cap);
    json_array_foreach(list, i, item)
    {
        const char *where = rn_name(r, "key_data[%zu]", i);
        if (!rn_load_payload(r, where, rn_obj(r, item, "fields"), &want))
            continue;
        check_key_data(r, where, &want, rn_hex(r, item, "alone"));
        if (i < n)
            rn_check_payload(r, rn_name(r, "%s in the chain", where), &got[i], &want);
        mkt_pl_write(&w, &want);
    }
    rn_same(r, "chain, encoded", mkt_span(out, w.len), chain);
}

/* Each payload alone, with the functions for applications. */
static void
check_alone(struct rn *r, const char *where, struct mkt_span octets)
{
    struct mkt_msg *m = rn_alloc(r, sizeof *m);
    struct mkt_err err = { 0 };
    if (mkt_msg_parse(m, octets, &err) != MKT_OK)
        return; /* reported already */
    uint8_t *out = rn_alloc(r, MKT_MSG_MAX);
    for (size_t i = 0; i < m->n; i++) {
        struct mkt_payload pl;
        size_t used, len;
        const char *at = rn_name(r, "%s: payload %zu alone", where, i);
        if (mkt_payload_decode(&pl, m->pl[i].type, m->pl[i].raw, &used, &err) != MKT_OK) {
            rn_fail_err(r, at, &err);
            continue;
        }
        rn_check_payload(r, at, &pl, &m->pl[i]);
        if (mkt_payload_encode(&pl, out, MKT_MSG_MAX, &len) != MKT_OK)
            rn_fail(r, at, "cannot be encoded");
        else
            rn_same(r, at, mkt_span(out, len), m->pl[i].raw);
    }
}

void
rn_run_encoding(struct rn *r)
{
    size_t i;
    json_t *message, *messages = rn_list(r, r->doc.root, "messages");
    json_t *outputs = rn_obj(r, r->doc.root, "outputs");
    rn_obj(r, r->doc.root, "inputs");
    rn_check_steps(r, rn_list(r, r->doc.root, "steps"), false);
    json_array_foreach(messages, i, message)
    {
        const char *name = rn_str(r, message, "name");
        struct mkt_span octets = rn_hex(r, message, "hex");
        rn_info(r, message, "from"); /* nobody: encodings are not sent */
        rn_info(r, message, "to");
        rn_check_message(r, name, octets, rn_obj(r, message, "fields"));
        check_alone(r, name, octets);
    }
    if (json_object_get(outputs, "key_data") != NULL)
        check_all_key_data(r, outputs);
    rn_check_attributes(r, outputs, messages);
}
