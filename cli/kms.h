/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange with the KMS over a transport that may lose messages. The message is made anew for
 * every attempt: its timestamp must be new, and a copy would be a replay. */
#ifndef MKT_CLI_KMS_H
#define MKT_CLI_KMS_H

#include "client.h"
#include "clock.h"

struct cli_kms_ask {
    const char *type;           /* "ticketrequest" or "ticketresolve": for HTTP */
    enum cli_exit unacceptable; /* how it ends when the answer verifies and still is not accepted */
    void *ctx;                  /* passed to both */
    /* Makes a message: io->out. Anything but SEND_KMS ends the exchange. */
    enum mkt_next (*make)(void *ctx, struct mkt_io *io);
    /* Takes an answer: io->in. ABORT: io->err says why, and the exchange is still open. */
    enum mkt_next (*take)(void *ctx, struct mkt_io *io);
};

/* cli_kms_run asks the KMS of --kms until an answer is taken or --timeout is over. What `take`
 * wrote is io->out then, in a room of the client, until its next message. Fails with
 * CLI_EXIT_KMS_REFUSED, CLI_EXIT_UNREACHABLE, or CLI_EXIT_FAILURE. */
MKT_MUST_USE bool cli_kms_run(const struct cli_args *args, struct cli_client *client,
                              const struct cli_kms_ask *ask, struct mkt_io *io,
                              struct cli_error *err);

/* --- transports ------------------------------------------------------------------------------ */

enum cli_got {
    CLI_GOT_MESSAGE,
    CLI_GOT_NOTHING, /* this time; the retry timer runs on */
    CLI_GOT_NEVER    /* give up: the error is recorded */
};

struct cli_link {
    const struct cli_transport *transport;
    const char *url;
    struct cli_timer *timer; /* of the exchange */
    void *state;             /* of the transport */
};

struct cli_transport {
    const char *scheme; /* "udp://" */
    bool datagram;      /* anyone may have sent an answer: bad ones are passed over */
    bool (*open)(struct cli_link *l, const struct cli_args *args, struct cli_error *err);
    void (*close)(struct cli_link *l);
    /* Sends one message of an exchange of that type. MESSAGE: sent. */
    enum cli_got (*send)(struct cli_link *l, const char *type, struct mkt_span message,
                         struct cli_error *err);
    /* Waits for an answer until the retry timer. */
    enum cli_got (*receive)(struct cli_link *l, struct cli_blob *answer, struct cli_error *err);
};

extern const struct cli_transport cli_transport_udp, cli_transport_http, cli_transport_https;

#endif
