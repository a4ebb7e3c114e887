/* SPDX-License-Identifier: Apache-2.0 */
/* A Responder that knows RFC 3830 with pre-shared keys and nothing else. It is written from that
 * RFC, with libcrypto and no code of this project, to check what compatibility tickets hold. */
#ifndef MKT_TESTS_RFC3830_PEER_H
#define MKT_TESTS_RFC3830_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct octets {
    const uint8_t *p;
    size_t n;
};

struct i_message { /* HDR, T, RAND, [IDi], [IDr], {SP}, KEMAC: 3.1 */
    bool v;
    uint32_t csb_id;
    size_t n_cs;
    struct {
        uint8_t policy_no;
        uint32_t ssrc, roc;
    } cs[8];
    uint8_t ts_type;
    uint64_t t;
    struct octets rand;
    size_t n_ids;
    struct {
        uint8_t type;
        struct octets data;
    } id[2];
    size_t n_sp;
    uint8_t policy_no, prot_type;
    struct octets params; /* of the last SP */
    uint8_t encr_alg, mac_alg;
    struct octets encr_data, covered, mac;
    uint8_t key_type, kv; /* of the one Key Data sub-payload, once opened */
    struct octets tgk, salt;
    uint8_t clear[512];
};

/* Cuts octets into m, which borrows them. NULL, or what is wrong with them. */
const char *peer_read(struct i_message *m, struct octets octets);

/* Verifies the MAC and decrypts the KEMAC of a message that was read. NULL, or what is wrong. */
const char *peer_open(struct i_message *m, struct octets psk);

/* Derives n octets (at most 40) for a crypto session with a constant of Table 4.1.3. */
bool peer_derive(const struct i_message *m, uint32_t constant, uint8_t cs_id, uint8_t *out,
                 size_t n);

#endif
