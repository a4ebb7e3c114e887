/* SPDX-License-Identifier: Apache-2.0 */
/* Clause numbers are those of RFC 3830. */
#include "rfc3830_peer.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

enum { SHA1_LEN = 20, BLOCK_LEN = 32, OUT_MAX = 40 };
enum { LAST = 0, KEMAC = 1, T = 5, ID = 6, SP = 10, RAND = 11 }; /* Next payload, 6.1 */

/* --- 4.1.2: the PRF --------------------------------------------------------------------------- */

static bool
hmac(struct octets key, const uint8_t *data, size_t n, uint8_t out[SHA1_LEN])
{
    unsigned len = 0;
    return HMAC(EVP_sha1(), key.p, (int)key.n, data, n, out, &len) != NULL && len == SHA1_LEN;
}

/* P(s, label, m) XORed onto out. */
static bool
xor_p(struct octets s, struct octets label, uint8_t *out, size_t n)
{
    uint8_t a_label[SHA1_LEN + 64], block[SHA1_LEN];

    if (!hmac(s, label.p, label.n, a_label)) /* A_1 */
        return false;
    memcpy(a_label + SHA1_LEN, label.p, label.n);
    for (size_t at = 0; at < n; at += SHA1_LEN) {
        if (!hmac(s, a_label, SHA1_LEN + label.n, block))
            return false;
        for (size_t i = 0; i < SHA1_LEN && at + i < n; i++)
            out[at + i] ^= block[i];
        if (!hmac(s, a_label, SHA1_LEN, block)) /* A_(i+1) */
            return false;
        memcpy(a_label, block, SHA1_LEN);
    }
    return true;
}

/* label = constant || cs_id || csb_id || RAND, 4.1.3 and 4.1.4 */
static bool
prf(struct octets inkey, uint32_t constant, uint8_t cs_id, const struct i_message *m, uint8_t *out,
    size_t n)
{
    uint8_t label[64];

    if (n > OUT_MAX || m->rand.n > sizeof label - 9)
        return false;
    for (int i = 0; i < 4; i++) {
        label[i] = (uint8_t)(constant >> (24 - 8 * i));
        label[5 + i] = (uint8_t)(m->csb_id >> (24 - 8 * i));
    }
    label[4] = cs_id;
    memcpy(label + 9, m->rand.p, m->rand.n);
    memset(out, 0, n);
    for (size_t at = 0; at < inkey.n; at += BLOCK_LEN) {
        size_t left = inkey.n - at;
        struct octets s = { inkey.p + at, left < BLOCK_LEN ? left : BLOCK_LEN };
        if (!xor_p(s, (struct octets){ label, 9 + m->rand.n }, out, n))
            return false;
    }
    return true;
}

bool
peer_derive(const struct i_message *m, uint32_t constant, uint8_t cs_id, uint8_t *out, size_t n)
{
    return prf(m->tgk, constant, cs_id, m, out, n);
}

/* --- 6: payloads ------------------------------------------------------------------------------ */

struct cursor {
    const uint8_t *p;
    size_t left;
    bool bad;
};

static struct octets
take(struct cursor *c, size_t n)
{
    struct octets o = { c->p, n };
    if (c->bad || n > c->left) {
        c->bad = true;
        return (struct octets){ c->p, 0 };
    }
    c->p += n;
    c->left -= n;
    return o;
}

static uint64_t
number(struct cursor *c, size_t width)
{
    struct octets o = take(c, width);
    uint64_t v = 0;
    for (size_t i = 0; i < o.n; i++)
        v = v << 8 | o.p[i];
    return v;
}

/* 6.1 and 6.1.1. Returns the first payload. */
static uint8_t
read_header(struct cursor *c, struct i_message *m)
{
    uint64_t version = number(c, 1), data_type = number(c, 1), next = number(c, 1);
    uint64_t v_prf = number(c, 1);

    m->v = v_prf >> 7;
    m->csb_id = (uint32_t)number(c, 4);
    m->n_cs = (size_t)number(c, 1);
    uint64_t map_type = number(c, 1);
    if (version != 1 || data_type != 0 || (v_prf & 0x7F) != 0 || map_type != 0 ||
        m->n_cs > sizeof m->cs / sizeof m->cs[0]) {
        c->bad = true;
        return LAST;
    }
    for (size_t i = 0; i < m->n_cs; i++) {
        m->cs[i].policy_no = (uint8_t)number(c, 1);
        m->cs[i].ssrc = (uint32_t)number(c, 4);
        m->cs[i].roc = (uint32_t)number(c, 4);
    }
    return (uint8_t)next;
}

/* Reads a payload if it is the next one; its Next payload is the return value. */
static uint8_t
read_sp(struct cursor *c, struct i_message *m)
{
    uint8_t next = (uint8_t)number(c, 1);
    m->policy_no = (uint8_t)number(c, 1);
    m->prot_type = (uint8_t)number(c, 1);
    m->params = take(c, (size_t)number(c, 2));
    m->n_sp++;
    return next;
}

static uint8_t
read_id(struct cursor *c, struct i_message *m)
{
    uint8_t next = (uint8_t)number(c, 1);
    m->id[m->n_ids].type = (uint8_t)number(c, 1);
    m->id[m->n_ids].data = take(c, (size_t)number(c, 2));
    m->n_ids++;
    return next;
}

static uint8_t
read_kemac(struct cursor *c, struct i_message *m, const uint8_t *start)
{
    uint8_t next = (uint8_t)number(c, 1);
    m->encr_alg = (uint8_t)number(c, 1);
    m->encr_data = take(c, (size_t)number(c, 2));
    m->mac_alg = (uint8_t)number(c, 1);
    m->covered = (struct octets){ start, (size_t)(c->p - start) };
    m->mac = take(c, m->mac_alg == 1 ? SHA1_LEN : 0);
    return next;
}

const char *
peer_read(struct i_message *m, struct octets octets)
{
    struct cursor c = { octets.p, octets.n, false };

    memset(m, 0, sizeof *m);
    uint8_t next = read_header(&c, m);
    if (c.bad || next != T)
        return "HDR";
    next = (uint8_t)number(&c, 1);
    m->ts_type = (uint8_t)number(&c, 1);
    if (m->ts_type > 1) /* of 8 octets: NTP-UTC, NTP (6.6) */
        return "TS type";
    m->t = number(&c, 8);
    if (c.bad || next != RAND)
        return "T";
    next = (uint8_t)number(&c, 1);
    m->rand = take(&c, (size_t)number(&c, 1));
    while (next == ID && m->n_ids < 2)
        next = read_id(&c, m);
    while (next == SP)
        next = read_sp(&c, m);
    if (c.bad || next != KEMAC)
        return "no KEMAC where it should be";
    next = read_kemac(&c, m, octets.p);
    return c.bad || next != LAST || c.left != 0 ? "KEMAC is not the end" : NULL;
}

/* --- 4.2: transforms -------------------------------------------------------------------------- */

/* IV = (S XOR (0x0000 || CSB ID || T)) || 0x0000, 4.2.3 */
static bool
decrypt(struct i_message *m, const uint8_t key[16], const uint8_t salt[14])
{
    uint8_t iv[16] = { 0 };
    int n = 0;

    memcpy(iv, salt, 14);
    for (int i = 0; i < 4; i++)
        iv[2 + i] ^= (uint8_t)(m->csb_id >> (24 - 8 * i));
    for (int i = 0; i < 8; i++)
        iv[6 + i] ^= (uint8_t)(m->t >> (56 - 8 * i));
    EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
    bool ok = x != NULL && m->encr_data.n <= sizeof m->clear &&
              EVP_DecryptInit_ex(x, EVP_aes_128_ctr(), NULL, key, iv) == 1 &&
              EVP_DecryptUpdate(x, m->clear, &n, m->encr_data.p, (int)m->encr_data.n) == 1 &&
              (size_t)n == m->encr_data.n;
    EVP_CIPHER_CTX_free(x);
    return ok;
}

/* One TGK, 6.13: with salt or without, and with Null key validity. */
static const char *
read_tgk(struct i_message *m)
{
    struct cursor c = { m->clear, m->encr_data.n, false };
    uint64_t next = number(&c, 1), type_kv = number(&c, 1);

    m->key_type = (uint8_t)(type_kv >> 4);
    m->kv = type_kv & 0x0F;
    m->tgk = take(&c, (size_t)number(&c, 2));
    if (m->key_type == 1)
        m->salt = take(&c, (size_t)number(&c, 2));
    return c.bad || c.left != 0 || next != LAST || m->key_type > 1 || m->kv != 0 ? "Key Data"
                                                                                 : NULL;
}

const char *
peer_open(struct i_message *m, struct octets psk)
{
    uint8_t auth[SHA1_LEN], encr[16], salt[14], mac[SHA1_LEN];

    if (m->encr_alg != 1 || m->mac_alg != 1)
        return "algorithms";
    if (!prf(psk, 0x2D22AC75, 0xFF, m, auth, sizeof auth) ||
        !prf(psk, 0x150533E1, 0xFF, m, encr, sizeof encr) ||
        !prf(psk, 0x29B88916, 0xFF, m, salt, sizeof salt) ||
        !hmac((struct octets){ auth, sizeof auth }, m->covered.p, m->covered.n, mac))
        return "libcrypto";
    if (m->mac.n != sizeof mac || CRYPTO_memcmp(mac, m->mac.p, sizeof mac) != 0)
        return "MAC";
    return decrypt(m, encr, salt) ? read_tgk(m) : "libcrypto";
}
