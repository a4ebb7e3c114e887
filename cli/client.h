/* SPDX-License-Identifier: Apache-2.0 */
/* What every command that takes part in an exchange begins with: the credential, the
 * cryptographic context, and the environment the library is called with. */
#ifndef MKT_CLI_CLIENT_H
#define MKT_CLI_CLIENT_H

#include "credential.h"
#include "options.h"
#include "pk.h"

#include <mikeyticket/io.h>
#include <stdatomic.h>

struct cli_client {
    struct cli_credential file;
    struct mkt_inkey_mem psk;
    struct cli_pk pk;
    struct mkt_credential cred; /* for the roles; borrows from the three above */
    struct mkt_crypto *crypto;
    struct mkt_pool random; /* drawn ahead: a call takes ten keys and nonces */
    char counter[4096];     /* path of the counter of COUNTER timestamps */
    /* Messages under way, to the KMS and from it: made by cli_client_rooms at the first of them,
     * and used again. They are what the network sees, so nothing is wiped in between. */
    struct cli_blob out, answer;
    struct cli_error *err; /* a timestamp that could not be made ends here */
    /* Set by another thread: what is under way with the KMS ends soon. NULL: by nobody. */
    const atomic_bool *stop;
};

/* cli_client_open reads --credentials, --suite and --timestamp. c is closed by the caller in every
 * case, and must not be moved. err outlives c. */
MKT_MUST_USE bool cli_client_open(struct cli_client *c, const struct cli_args *args,
                                  struct cli_error *err);

/* cli_client_check_kms tells whether c can ask a KMS: there is one, and a key for it. */
MKT_MUST_USE bool cli_client_check_kms(const struct cli_client *c, struct cli_error *err);

/* cli_client_serves tells whether c can ask about a ticket of that PRF: its pre-shared key is as
 * long as the suite wants. */
MKT_MUST_USE bool cli_client_serves(const struct cli_client *c, uint8_t prf, struct mkt_err *why);

/* cli_client_rooms sees to it that c->out and c->answer have room for any message. */
MKT_MUST_USE bool cli_client_rooms(struct cli_client *c, struct cli_error *err);

/* cli_client_close wipes c. */
void cli_client_close(struct cli_client *c);

#define CLI_SCOPED_CLIENT __attribute__((cleanup(cli_client_close))) struct cli_client

/* cli_client_env returns the environment of a call made now. After the call look at c->err: a
 * timestamp may have failed, and then nothing is sent. */
struct mkt_env cli_client_env(struct cli_client *c);

/* cli_crypto_open makes a cryptographic context and tests it; mkt_crypto_free. */
MKT_MUST_USE bool cli_crypto_open(struct mkt_crypto **crypto, struct cli_error *err);

#endif
