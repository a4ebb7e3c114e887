/* SPDX-License-Identifier: Apache-2.0 */
/* mkt-make-vectors FOLDER: writes the published vectors of docs/vectors. Everything is fixed, keys,
 * random values and clock, so that the same octets come out each time. */
#include "run.h"

#include <mikeyticket/key.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPI(octets) .kv = MKT_KV_SPI, .spi = { (const uint8_t *)(octets), 4 }

static const struct mkt_want_key many[] = {
    { .type = MKT_KEY_TGK_SALT, .salt_len = MKT_SALT_LEN, SPI("\1\0\0\1") },
    { .type = MKT_KEY_TEK_SALT, .salt_len = MKT_SALT_LEN, SPI("\1\0\0\2") },
    { .type = MKT_KEY_GTGK, SPI("\1\0\0\3") },
    { .type = MKT_KEY_TGK },
};
static const struct mkt_want_key group[] = {
    { .type = MKT_KEY_GTGK_SALT, .salt_len = MKT_SALT_LEN, SPI("\2\0\0\1") },
};

static const struct mv_scenario scenarios[] = {
    { .name = "mode1-forked",
      .title = "Mode 1 with key forking, RANDRi and RANDRr: the default policy",
      .rfc = { "6043 4.2", "6043 5.1", "6043 6.10", "6043 A" },
      .mode = 1,
      .flags = "DEFGHINO" },
    { .name = "mode1-forked-h",
      .title = "Mode 1 with key forking, RANDRi alone",
      .rfc = { "6043 4.2", "6043 5.1.3", "6043 6.10" },
      .mode = 1,
      .flags = "DEFHINO" },
    { .name = "mode1-unforked",
      .title = "Mode 1 without key forking, RANDRi and RANDRr",
      .rfc = { "6043 4.2", "6043 5.1.3", "6043 6.10" },
      .mode = 1,
      .flags = "DEFGHNO" },
    { .name = "mode1-unforked-g",
      .title = "Mode 1 without key forking, RANDRr alone",
      .rfc = { "6043 4.2", "6043 5.1.3", "6043 6.10" },
      .mode = 1,
      .flags = "DEFGNO" },
    { .name = "mode1-no-answer",
      .title = "Mode 1 without TRANSFER_RESP",
      .rfc = { "6043 4.2.2", "6043 6.10" },
      .mode = 1,
      .flags = "DEHNO" },
    { .name = "mode1-counter",
      .title = "Timestamps of type COUNTER",
      .rfc = { "6043 4.2", "6043 6.3", "3830 6.6" },
      .mode = 1,
      .flags = "DEFGHINO",
      .ts_type = MKT_TS_COUNTER },
    { .name = "mode1-ntp32",
      .title = "Timestamps of type NTP-UTC-32",
      .rfc = { "6043 4.2", "6043 6.3" },
      .mode = 1,
      .flags = "DEFGHINO",
      .ts_type = MKT_TS_NTP_UTC_32 },
    { .name = "mode1-two-answers",
      .title = "Two devices answer one offer: forked keys",
      .rfc = { "6043 4.2.3", "6043 5.1.1" },
      .mode = 1,
      .flags = "DEFGHINO",
      .extra = MV_TWO_ANSWERS },
    { .name = "mode1-keys-wanted",
      .title = "A request for several keys, with and without SPI",
      .rfc = { "6043 4.2.1.5", "6043 6.2.1", "6043 6.10" },
      .mode = 1,
      .flags = "DEFGHINO",
      .wanted = many,
      .n_wanted = 4 },
    { .name = "mode1-policy-changed",
      .title = "The KMS shortens the validity period: K",
      .rfc = { "6043 4.2.1.5", "6043 6.10" },
      .mode = 1,
      .flags = "DEFGHINO",
      .max_validity = 600 },
    { .name = "mode2",
      .title = "Mode 2: the Responder opens the ticket itself",
      .rfc = { "6043 4.1.1", "6043 4.2" },
      .mode = 2,
      .flags = "DFGHNO" },
    { .name = "mode3",
      .title = "Mode 3: the Initiator makes the ticket",
      .rfc = { "6043 4.1.1", "6043 4.2", "6043 A" },
      .mode = 3,
      .flags = "EFGHLNO" },
    { .name = "mode3-forked",
      .title = "Mode 3 with key forking",
      .rfc = { "6043 4.1.1", "6043 4.2", "6043 5.1.1" },
      .mode = 3,
      .flags = "EFGHILNO" },
    { .name = "mode4",
      .title = "Mode 4: no KMS takes part",
      .rfc = { "6043 4.1.1", "6043 4.2.2" },
      .mode = 4,
      .flags = "FGHLNO" },
    { .name = "reuse",
      .title = "The same ticket for a second call",
      .rfc = { "6043 5.3" },
      .mode = 1,
      .flags = "DEFGHIJNO",
      .extra = MV_REUSE },
    { .name = "group",
      .title = "A group key: the same RANDRi and CSB ID for a second member",
      .rfc = { "6043 9" },
      .mode = 1,
      .flags = "DEFHINO",
      .extra = MV_GROUP,
      .wanted = group,
      .n_wanted = 1 },
    { .name = "update-by-initiator",
      .title = "CSB update with a new key and a new crypto session",
      .rfc = { "6043 5.2" },
      .mode = 1,
      .flags = "DEFGHILMNO",
      .extra = MV_UPDATE_BY_INITIATOR },
    { .name = "update-by-responder",
      .title = "The same, started by the Responder",
      .rfc = { "6043 5.2" },
      .mode = 1,
      .flags = "DEFGHILMNO",
      .extra = MV_UPDATE_BY_RESPONDER },
    { .name = "initiator-keys",
      .title = "Session keys supplied by the Initiator, none in the ticket",
      .rfc = { "6043 4.2.2.1", "6043 8" },
      .mode = 1,
      .flags = "DEFGHLNO",
      .extra = MV_INITIATOR_KEYS,
      .none_wanted = true },
    { .name = "responder-keys",
      .title = "Session keys supplied by the Responder, none in the ticket",
      .rfc = { "6043 4.2.2.3", "6043 8" },
      .mode = 1,
      .flags = "DEFGHIMNO",
      .extra = MV_RESPONDER_KEYS,
      .none_wanted = true },
    { .name = "error-wrong-key",
      .title = "RESOLVE_INIT under a wrong key: an Error message without V",
      .rfc = { "6043 5.4" },
      .mode = 1,
      .flags = "DEFGHINO",
      .extra = MV_WRONG_KEY },
    { .name = "error-not-named",
      .title = "Who is not named in the ticket: an Error message with V",
      .rfc = { "6043 4.2.3.4", "6043 5.4" },
      .mode = 1,
      .flags = "DEFGHINO",
      .extra = MV_NOT_NAMED },
    { .name = "error-sp",
      .title = "The Responder supports no policy offered, and says which it does",
      .rfc = { "6043 4.2.2.2", "6043 5.4" },
      .mode = 1,
      .flags = "DEFGHINO",
      .extra = MV_SP_REFUSED },
    { .name = "error-update",
      .title = "A CSB update is refused",
      .rfc = { "6043 5.2", "6043 5.4" },
      .mode = 1,
      .flags = "DEFGHILMNO",
      .extra = MV_UPDATE_REFUSED },
};

static bool
write_vector(const char *folder, struct mv_run *r, const struct mv_scenario *sc, uint8_t prf,
             struct mkt_crypto *crypto)
{
    char name[64], path[4096];
    bool ok = mv_play(r, sc, prf, crypto);
    snprintf(name, sizeof name, "%s-%s", sc->name, mkt_suite_of(prf)->name);
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    json_t *vector = ok ? mv_vector(r, name) : NULL;
    FILE *f = vector == NULL ? NULL : fopen(path, "w");
    if (ok && (f == NULL || json_dumpf(vector, f, JSON_INDENT(1)) != 0 || fputc('\n', f) == EOF)) {
        fprintf(stderr, "mkt-make-vectors: cannot write %s\n", path);
        ok = false;
    }
    if (f != NULL && fclose(f) != 0)
        ok = false;
    json_decref(vector);
    mv_free(r);
    return ok;
}

int
main(int argc, char **argv)
{
    static struct mv_run r;
    struct mkt_crypto *crypto = mkt_crypto_new();
    bool ok = argc == 2 && crypto != NULL;
    if (argc != 2)
        fputs("usage: mkt-make-vectors FOLDER\n", stderr);
    for (size_t i = 0; ok && i < sizeof scenarios / sizeof scenarios[0]; i++)
        for (uint8_t prf = 0; ok && prf < 2; prf++)
            ok = write_vector(argv[1], &r, &scenarios[i], prf, crypto);
    mkt_crypto_free(crypto);
    return ok ? 0 : 1;
}
