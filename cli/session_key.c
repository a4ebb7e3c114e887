/* SPDX-License-Identifier: Apache-2.0 */
/* Session keys from the command line. A key itself is never an argument, where every user of the
 * machine could read it: it is drawn, or read from a private file
 * (docs/formats/session-key-file.md). */
#include "session_key.h"

#include "encode.h"
#include "files.h"
#include "flat_yaml.h"
#include "srtp_suite.h"

#include <mikeyticket/alg.h>
#include <mikeyticket/env.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FILE_MAX 4096 /* octets of a file */
#define SPI_DRAWN 4       /* octets */

static const struct key_type {
    const char *name;
    uint8_t type;
    uint16_t salt_len;
} types[] = {
    { "TGK", MKT_KEY_TGK, 0 },   { "TGK+SALT", MKT_KEY_TGK_SALT, 14 },
    { "TEK", MKT_KEY_TEK, 0 },   { "TEK+SALT", MKT_KEY_TEK_SALT, 14 },
    { "GTGK", MKT_KEY_GTGK, 0 }, { "GTGK+SALT", MKT_KEY_GTGK_SALT, 14 },
};

static const struct key_type *
find_type(const char *name, size_t n)
{
    for (size_t i = 0; i < CLI_COUNT(types); i++)
        if (strlen(types[i].name) == n && strncasecmp(types[i].name, name, n) == 0)
            return &types[i];
    return NULL;
}

static bool
read_spi(struct cli_spi *spi, const char *option, const char *text, const char *hex,
         struct cli_error *err)
{
    return (cli_hex_decode(hex, strlen(hex), spi->octets, sizeof spi->octets, &spi->n) &&
            spi->n > 0) ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "--%s %.80s: the SPI is expected as 1 to 255 octets in hex", option, text);
}

/* TYPE[:OCTETS[:SALT OCTETS]] */
static bool
read_kind(struct mkt_want_key *key, const char *option, const char *text, uint8_t key_len,
          struct cli_error *err)
{
    size_t n = strcspn(text, ":");
    const struct key_type *t = find_type(text, n);
    char *end = NULL;
    unsigned long len = text[n] == ':' ? strtoul(text + n + 1, &end, 10) : key_len;
    unsigned long salt = t != NULL ? t->salt_len : 0;

    if (end != NULL && *end == ':' && salt != 0)
        salt = strtoul(end + 1, &end, 10);
    if (t == NULL || (end != NULL && *end != '\0') || len < 16 || len > MKT_SECRET_MAX ||
        salt > MKT_SECRET_MAX || (salt == 0 && t->salt_len != 0))
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--%s %s: expected TGK, TEK or GTGK, maybe +SALT, maybe :OCTETS (16 to %d)",
                        option, text, MKT_SECRET_MAX);
    *key = (struct mkt_want_key){
        .type = t->type, .kv = MKT_KV_NULL, .key_len = (uint16_t)len, .salt_len = (uint16_t)salt
    };
    return true;
}

bool
cli_key_read(struct mkt_want_key *key, struct cli_spi *spi, const char *option, const char *text,
             uint8_t key_len, struct cli_error *err)
{
    char kind[64];
    const char *at = strchr(text, '@');
    size_t n = at != NULL ? (size_t)(at - text) : strlen(text);

    if (n >= sizeof kind)
        return cli_fail(err, CLI_EXIT_USAGE, "--%s %.60s...: too long", option, text);
    memcpy(kind, text, n);
    kind[n] = '\0';
    if (!read_kind(key, option, kind, key_len, err))
        return false;
    if (at == NULL)
        return true;
    if (!read_spi(spi, option, text, at + 1, err))
        return false;
    key->kv = MKT_KV_SPI;
    key->spi = mkt_span(spi->octets, spi->n);
    return true;
}

static bool
draw_octets(uint8_t *out, size_t n, struct cli_error *err)
{
    return mkt_crypto_random(NULL, out, n) || cli_fail(err, CLI_EXIT_FAILURE, "no random octets");
}

static bool
draw_spi(struct mkt_key *key, struct cli_error *err)
{
    key->kv = MKT_KV_SPI;
    key->spi_len = SPI_DRAWN;
    return draw_octets(key->spi, SPI_DRAWN, err);
}

bool
cli_key_draw(struct mkt_key *key, const struct mkt_want_key *want, struct cli_error *err)
{
    key->type = want->type;
    key->key.n = want->key_len;
    key->salt.n = want->salt_len;
    if (!draw_octets(key->key.b, key->key.n, err) || !draw_octets(key->salt.b, key->salt.n, err))
        return false;
    if (want->kv != MKT_KV_SPI)
        return draw_spi(key, err);
    key->kv = MKT_KV_SPI;
    key->spi_len = (uint8_t)want->spi.n;
    memcpy(key->spi, want->spi.p, want->spi.n);
    return true;
}

static bool
supply_drawn(struct mkt_key *key, const char *text, uint8_t key_len, struct cli_error *err)
{
    struct mkt_want_key want = { 0 };
    struct cli_spi spi;
    return cli_key_read(&want, &spi, "supply", text, key_len, err) && cli_key_draw(key, &want, err);
}

static const struct cli_yaml_key keys_of_file[] = {
    { "type", false, true },
    { "key", false, true },
    { "salt", false, false },
    { "spi", false, false },
};
static const struct cli_yaml_form form = { "session key", keys_of_file, CLI_COUNT(keys_of_file),
                                           NULL };

static bool
take_secret(struct mkt_secret *out, const struct cli_yaml *y, const char *name,
            struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, name);
    size_t n = 0;

    if (f != NULL && !cli_yaml_hex(y, f, out->b, sizeof out->b, &n, err))
        return false;
    out->n = (uint16_t)n;
    return true;
}

static bool
take_spi(struct mkt_key *key, const struct cli_yaml *y, struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, "spi");
    size_t n = 0;

    if (f == NULL)
        return draw_spi(key, err);
    if (!cli_yaml_hex(y, f, key->spi, sizeof key->spi, &n, err))
        return false;
    if (n == 0)
        return cli_yaml_fail(y, f, "expected 1 to 255 octets in hex", err);
    key->kv = MKT_KV_SPI;
    key->spi_len = (uint8_t)n;
    return true;
}

static bool
take_key(struct mkt_key *key, const struct cli_yaml *y, struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, "type");
    const struct key_type *t = find_type(f->value, f->len);

    if (t == NULL)
        return cli_yaml_fail(y, f, "expected TGK, TEK or GTGK, maybe +SALT", err);
    key->type = t->type;
    if (!take_secret(&key->key, y, "key", err) || !take_secret(&key->salt, y, "salt", err) ||
        !take_spi(key, y, err))
        return false;
    if (key->key.n < 16)
        return cli_yaml_fail(y, cli_yaml_get(y, CLI_YAML_TOP, "key"),
                             "expected 16 octets (32 hex digits) or more", err);
    return (key->salt.n != 0) == (t->salt_len != 0) ||
           cli_yaml_fail(y, f, "a key of this type has no salt, or misses one", err);
}

static bool
supply_from_file(struct mkt_key *key, const char *path, struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    CLI_SCOPED_YAML y = { 0 };
    return cli_file_read(&text, path, KEY_FILE_MAX, CLI_SECRET, err) &&
           cli_yaml_read(&y, &form, path, cli_blob_span(&text), err) && take_key(key, &y, err);
}

bool
cli_supply_read(struct mkt_keys *keys, const struct cli_args *args, uint8_t prf,
                struct cli_error *err)
{
    keys->n = 0;
    for (size_t i = 0; i < args->n[CLI_OPT_SUPPLY] + args->n[CLI_OPT_SUPPLY_FILE]; i++) {
        struct mkt_key *key = &keys->k[keys->n++]; /* at most 2 * CLI_REPEAT_MAX */
        memset(key, 0, sizeof *key);
        bool drawn = i < args->n[CLI_OPT_SUPPLY];
        if (drawn ? !supply_drawn(key, args->value[CLI_OPT_SUPPLY][i], mkt_suite_of(prf)->key_len,
                                  err)
                  : !supply_from_file(
                        key, args->value[CLI_OPT_SUPPLY_FILE][i - args->n[CLI_OPT_SUPPLY]], err))
            return false;
    }
    return true;
}

_Static_assert(2 * CLI_REPEAT_MAX <= MKT_KEYS_MAX, "room for every key that can be supplied");

bool
cli_supply_fits(const struct mkt_keys *keys, struct mkt_span params, struct cli_error *err)
{
    size_t key_len = 0, salt_len = 0;

    if (!cli_srtp_lengths(params, &key_len, &salt_len))
        return true; /* not for us to judge */
    for (size_t i = 0; i < keys->n; i++) {
        const struct mkt_key *k = &keys->k[i];
        bool tek = k->type == MKT_KEY_TEK || k->type == MKT_KEY_TEK_SALT;
        if (tek && (k->key.n != key_len || (k->salt.n != 0 && k->salt.n != salt_len)))
            return cli_fail(err, CLI_EXIT_USAGE,
                            "%s takes a TEK of %zu octets and a salt of %zu; supply one with "
                            "TEK+SALT:%zu:%zu, or a TGK",
                            cli_srtp_name(params), key_len, salt_len, key_len, salt_len);
    }
    return true;
}

struct mkt_span
cli_supply_spi(const struct mkt_keys *keys, size_t n)
{
    if (keys->n == 0)
        return mkt_span(NULL, 0);
    const struct mkt_key *k = &keys->k[n < keys->n ? n : keys->n - 1U];
    return mkt_span(k->spi, k->spi_len);
}

bool
cli_spis_read(struct cli_spis *s, const struct cli_args *args, struct cli_error *err)
{
    s->n = 0;
    for (size_t i = 0; i < args->n[CLI_OPT_SPI]; i++, s->n++) {
        const char *text = args->value[CLI_OPT_SPI][i];
        if (!read_spi(&s->spi[i], "spi", text, text, err))
            return false;
    }
    return true;
}

struct mkt_span
cli_spis_of(const struct cli_spis *s, size_t n)
{
    if (s->n == 0)
        return mkt_span(NULL, 0);
    const struct cli_spi *spi = &s->spi[n < s->n ? n : s->n - 1];
    return mkt_span(spi->octets, spi->n);
}

static bool
is_known(const struct cli_spi *spi, const struct mkt_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        if (keys->k[i].type != MKT_KEY_MPK && keys->k[i].spi_len == spi->n &&
            memcmp(keys->k[i].spi, spi->octets, spi->n) == 0)
            return true;
    return false;
}

bool
cli_spis_known(const struct cli_spis *s, const struct mkt_keys *ticket,
               const struct mkt_keys *supplied, struct cli_error *err)
{
    char hex[2 * UINT8_MAX + 1];
    for (size_t i = 0; i < s->n; i++) {
        if (is_known(&s->spi[i], ticket) || is_known(&s->spi[i], supplied))
            continue;
        cli_hex_encode(mkt_span(s->spi[i].octets, s->spi[i].n), hex);
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--spi %.80s: no session key of the ticket or of --supply has that SPI",
                        hex);
    }
    return true;
}
