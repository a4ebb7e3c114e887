/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a small seed corpus for every fuzz target, cut out of the test vectors: messages by data
 * type, and their payloads by type, those nested in TP, TICKET and KEMAC too. */
#include "../tests/hex.h"
#include "../tests/wire_vectors.h"
#include "compat.h"
#include "handler.h"
#include "message/message.h"
#include "targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *root;
static unsigned seeds;

static void
write_seed(const char *target, struct mkt_span s)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/seed-%03u", root, target, seeds++);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(s.p, 1, s.n, f) != s.n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

static void
seed(enum mkt_prop kind, uint16_t value, struct mkt_span s)
{
    for (size_t i = 0; i < MKT_TARGET_COUNT; i++)
        if (mkt_targets[i].kind == kind && mkt_targets[i].value == value)
            write_seed(mkt_targets[i].name, s);
}

/* What a handler waits for: with and without forking, in both suites, sealed and as it is. */
static void
handler(const char *target, unsigned h, unsigned more)
{
    static uint8_t octets[MKT_MSG_MAX];
    for (unsigned mode = 0; mode < MKT_HANDLER_OTHER; mode++) {
        size_t n = mkt_handler_seed(h, (uint8_t)(mode | more), octets, sizeof octets);
        octets[0] |= h % 2 == 0 ? 0 : MKT_HANDLER_OTHER;
        write_seed(target, mkt_span(octets, n));
    }
}

static void
handlers(void)
{
    static const char *const targets[] = { "handler_kms",       "handler_initiator",
                                           "handler_responder", "handler_update",
                                           "handler_kms_pk",    "handler_initiator_pk" };
    for (unsigned h = 0; h < MKT_HANDLER_COUNT; h++)
        handler(targets[h / 2], h, 0);
    for (unsigned h = MKT_HANDLER_kms_request_pk; h < MKT_HANDLER_COUNT; h++)
        handler(targets[h / 2], h, MKT_HANDLER_PSS);
    for (unsigned h = MKT_HANDLER_kms_request_pk; h <= MKT_HANDLER_kms_resolve_pk; h++) {
        handler(targets[h / 2], h, MKT_HANDLER_REVOKED);
        handler(targets[h / 2], h, MKT_HANDLER_LATE);
    }
    mkt_handler_close();
}

/* Compatibility tickets of each kind: their Ticket Data, and ticket files. */
static void
compat(void)
{
    static uint8_t octets[MKT_MSG_MAX];
    for (unsigned mode = 0; mode <= MKT_COMPAT_MODES; mode++) {
        size_t n = mkt_compat_seed((uint8_t)mode, octets, sizeof octets);
        write_seed("compat", mkt_span(octets, n));
    }
    mkt_compat_close();
}

static void
chain(uint16_t first, struct mkt_span octets, bool named)
{
    struct mkt_err err = { 0 };
    struct mkt_payload pl;
    if (octets.n == 0)
        return;
    if (named) {
        first = octets.p[0];
        octets = mkt_span(octets.p + 1, octets.n - 1);
    }
    struct mkt_reader r = mkt_r_open(octets, 0, NULL, NULL, &err);
    for (uint16_t type = first; type != MKT_PL_LAST && mkt_pl_read(&r, type, &pl) == MKT_OK;
         type = pl.next) {
        seed(MKT_PROP_PAYLOAD, type, pl.raw);
        if (type == MKT_PL_TP || type == MKT_PL_TICKET) {
            chain(0, pl.u.ticket.tp_data, true);
            chain(0, pl.u.ticket.initiator_data, true);
            if (mkt_is_base_ticket(&pl.u.ticket))
                chain(MKT_PL_THDR, pl.u.ticket.ticket_data, false);
        }
        if (type == MKT_PL_KEMAC && pl.u.kemac.encr_alg == MKT_ENCR_NULL)
            chain(MKT_PL_KEY_DATA, pl.u.kemac.encr_data, false);
    }
}

static void
message(const char *hex)
{
    static uint8_t octets[MKT_MSG_MAX], map[MKT_MSG_MAX];
    struct mkt_err err = { 0 };
    struct mkt_hdr h;
    struct mkt_span m = mkt_span(octets, hex_octets(hex, octets, sizeof octets));
    struct mkt_reader r = mkt_r_open(m, 0, NULL, NULL, &err);
    if (mkt_hdr_read(&r, &h) != MKT_OK)
        return;
    seed(MKT_PROP_MESSAGE, h.data_type, m);
    map[0] = h.map_type;
    map[1] = h.n_cs;
    memcpy(map + 2, h.map.p, h.map.n);
    seed(MKT_PROP_MAP, 0, mkt_span(map, 2 + h.map.n));
    chain(h.next, mkt_span(r.p, r.left), false);
}

/* One with every word of the language, and each damage is a new one. */
static void
policy(void)
{
    static const char text[] =
        "profiles:\n  ours: {profile: strict, change: {validity: 2h}}\n"
        "rules:\n- rule: a\n  from: ['sip:*@a.example', 'group:sip:b@c', realm:c, any]\n"
        "  to: '*'\n  profile: [ours]\n"
        "  when: {at: issue, modes: [1, 2], types: base, keys: [TGK, TEK, GTGK], key_count: 4,\n"
        "         key_octets: {min: 16, max: 32}, applications: any, suites: 256}\n"
        "- {rule: b, decision: refuse, when: {flags: {set: DE, clear: J}, forking: true}}\n"
        "- {rule: c, profile: [compat], require: {randrr: true}}\n"
        "- {rule: d, change: {reuse: false, rekey: 90s}, decision: grant}\n";

    write_seed("policy", mkt_span(text, sizeof text - 1));
}

/* The messages of a vector are too long to be read here: a header alone is a message in shape. */
static void
sdp(void)
{
    static const char *const texts[] = {
        "v=0\r\na=key-mgmt:mikey AQ4AAAAAAAAAAQIA\r\nm=audio 4000 RTP/SAVP 0\r\n"
        "m=video 0 RTP/SAVPF 31\r\n",
        "v=0\nm=audio 4000/2 RTP/SAVP 0\na=key-mgmt: mikey AQ8AAAAAAAAAAQI=\n"
        "a=key-mgmt:keyp1 x y\nm=audio 4002 RTP/AVP 8\n",
        "prot=mikey; uri=\"rtsp://a.example/b\"; data=\"AQ4A\", prot=keyp1;data=\"\"",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        write_seed("sdp", mkt_span(texts[i], strlen(texts[i])));
}

int
main(int argc, char **argv)
{
    uint8_t octets[512];
    if (argc != 2) {
        fprintf(stderr, "usage: make-corpus DIRECTORY\n");
        return 2;
    }
    root = argv[1];
    mkdir(root, 0777);
    for (size_t i = 0; i < WIRE_VECTORS; i++)
        message(wire_vectors[i].hex);
    for (size_t i = 0; i < WIRE_KEY_DATA; i++)
        seed(MKT_PROP_PAYLOAD, MKT_PL_KEY_DATA,
             mkt_span(octets, hex_octets(wire_key_data[i], octets, sizeof octets)));
    handlers();
    compat();
    policy();
    sdp();
    printf("%u seeds\n", seeds);
    return 0;
}
