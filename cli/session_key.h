/* SPDX-License-Identifier: Apache-2.0 */
/* Session keys from the command line: wanted of the KMS, put into a ticket of our own, or supplied
 * in a Ticket Transfer (RFC 6043 4.2.2, section 8). */
#ifndef MKT_CLI_SESSION_KEY_H
#define MKT_CLI_SESSION_KEY_H

#include "options.h"

#include <mikeyticket/key.h>
#include <mikeyticket/policy.h>

/* An SPI, as text of the command line brings it. */
struct cli_spi {
    uint8_t octets[UINT8_MAX];
    size_t n;
};

/* cli_key_read reads TYPE[:OCTETS[:SALT OCTETS]][@SPI]; without lengths key_len and 14. The SPI of
 * *key borrows from *spi. `option` names it in errors. */
MKT_MUST_USE bool cli_key_read(struct mkt_want_key *key, struct cli_spi *spi, const char *option,
                               const char *text, uint8_t key_len, struct cli_error *err);

/* cli_key_draw fills *key with random octets as wanted, and without an SPI that is wanted with a
 * random one of 4 octets. */
MKT_MUST_USE bool cli_key_draw(struct mkt_key *key, const struct mkt_want_key *want,
                               struct cli_error *err);

/* cli_supply_read makes the keys of --supply (drawn) and --supply-file (read), in this order; keys
 * is empty without them. prf selects the suite. The caller wipes them. */
MKT_MUST_USE bool cli_supply_read(struct mkt_keys *keys, const struct cli_args *args, uint8_t prf,
                                  struct cli_error *err);

/* cli_supply_fits checks that a TEK is as long as the first policy takes it: nothing is derived
 * from a TEK. */
MKT_MUST_USE bool cli_supply_fits(const struct mkt_keys *keys, struct mkt_span params,
                                  struct cli_error *err);

/* cli_supply_spi returns the SPI of the n-th key; beyond the end, that of the last. Empty without
 * keys. */
struct mkt_span cli_supply_spi(const struct mkt_keys *keys, size_t n);

/* The SPIs of --spi: each for a crypto session, the last for all after it. */
struct cli_spis {
    struct cli_spi spi[CLI_REPEAT_MAX];
    size_t n;
};

/* cli_spis_read reads --spi. */
MKT_MUST_USE bool cli_spis_read(struct cli_spis *s, const struct cli_args *args,
                                struct cli_error *err);

/* cli_spis_of returns that of session n (from 0); empty without --spi. */
struct mkt_span cli_spis_of(const struct cli_spis *s, size_t n);

/* cli_spis_known tells whether each is the SPI of a session key in one of the two. */
MKT_MUST_USE bool cli_spis_known(const struct cli_spis *s, const struct mkt_keys *ticket,
                                 const struct mkt_keys *supplied, struct cli_error *err);

#define CLI_SCOPED_KEYS __attribute__((cleanup(mkt_keys_wipe))) struct mkt_keys

#endif
