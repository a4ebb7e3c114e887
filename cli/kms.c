/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange with the KMS. On a datagram transport anyone can send an answer: what does not
 * verify is passed over and the wait goes on. An Error message without a MAC is a hint only (RFC
 * 6043 5.4): it ends the exchange when two messages of ours in a row were answered so. */
#include "kms.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_TIMEOUT_S 10
#define HINTS_ENOUGH 2

enum verdict { TAKEN, PASSED_OVER, HINT, FINAL };

struct exchange {
    const struct cli_kms_ask *ask;
    struct cli_client *client;
    struct cli_link link;
    struct cli_timer timer;
    unsigned attempts, hints; /* hints: messages in a row answered by one */
    bool hinted;              /* the last message was */
    char last[256];           /* why the last answer was passed over */
};

static const struct cli_transport *
find_transport(const char *url)
{
    static const struct cli_transport *const transports[] = { &cli_transport_udp,
                                                              &cli_transport_http,
                                                              &cli_transport_https };
    for (size_t i = 0; i < CLI_COUNT(transports); i++)
        if (strncasecmp(url, transports[i]->scheme, strlen(transports[i]->scheme)) == 0)
            return transports[i];
    return NULL;
}

static bool
is_local(enum mkt_rc rc)
{
    return rc == MKT_E_MEMORY || rc == MKT_E_CRYPTO || rc == MKT_E_RANDOM || rc == MKT_E_NO_SPACE;
}

/* What an Error no of the KMS may come from (RFC 6043 5.4): the message has the number only. */
static const char *
hint(uint8_t error_no)
{
    static const char *const hints[] = {
        [MKT_ERR_AUTH_FAILURE] = ". Check identity, psk-id and psk in the credential file",
        [MKT_ERR_INVALID_TS] = ". Set the clocks of both machines, and check the counter",
        [MKT_ERR_INVALID_ID] =
            ". It does not know who is named, or refuses the ticket to one of them",
        [MKT_ERR_INVALID_CERT] = ". It does not trust the certificate of the credential file",
        [MKT_ERR_INVALID_TICKET] = ". It does not serve this type of ticket, or cannot open it",
        [MKT_ERR_INVALID_TPPAR] =
            ". It does not serve such a Ticket Policy: mode, flags, keys, validity (RFC 6043 6.10)",
    };
    return error_no < CLI_COUNT(hints) && hints[error_no] != NULL ? hints[error_no] : "";
}

static enum verdict
judge_error(struct exchange *x, const struct mkt_io *io, struct cli_error *err)
{
    const char *name = mkt_error_no_name(io->peer_error);
    if (io->peer_error_authentic) {
        cli_fail(err, CLI_EXIT_KMS_REFUSED, "the KMS refused: %s (error %u)%s", name,
                 io->peer_error, hint(io->peer_error));
        return FINAL;
    }
    snprintf(x->last, sizeof x->last,
             "the KMS, it seems, refused: %s (error %u, not authenticated)%s", name, io->peer_error,
             hint(io->peer_error));
    return HINT;
}

static enum verdict
judge(struct exchange *x, struct mkt_io *io, struct cli_error *err)
{
    memset(&io->err, 0, sizeof io->err);
    io->out_len = 0;
    io->in = cli_blob_span(&x->client->answer);
    if (x->ask->take(x->ask->ctx, io) != MKT_NEXT_ABORT)
        return TAKEN;
    if (err->code != CLI_EXIT_OK)
        return FINAL;
    if (io->err.rc == MKT_E_PEER_ERROR)
        return judge_error(x, io, err);
    if (is_local(io->err.rc)) {
        cli_fail_mkt(err, CLI_EXIT_FAILURE, "the answer of the KMS", &io->err);
        return FINAL;
    }
    if (io->authentic) { /* no other answer will be better */
        cli_fail_mkt(err, x->ask->unacceptable, "after the answer of the KMS", &io->err);
        return FINAL;
    }
    char why[192];
    mkt_err_format(&io->err, why, sizeof why);
    snprintf(x->last, sizeof x->last, "an answer does not verify: %s", why);
    if (x->link.transport->datagram)
        cli_say("passed over: %s", x->last);
    return PASSED_OVER;
}

/* Nothing better comes: on a stream the answer is the answer, on datagrams the hints agree. */
static bool
give_up(struct exchange *x, enum verdict v, struct cli_error *err)
{
    if (v == HINT && !x->hinted) {
        x->hinted = true;
        x->hints++;
    }
    if (x->link.transport->datagram && !(v == HINT && x->hints >= HINTS_ENOUGH))
        return false;
    cli_fail(err, v == HINT ? CLI_EXIT_KMS_REFUSED : CLI_EXIT_UNREACHABLE, "%s", x->last);
    return true;
}

static bool
send_new(struct exchange *x, struct mkt_io *io, struct cli_error *err)
{
    if (!x->hinted)
        x->hints = 0;
    x->hinted = false;
    memset(&io->err, 0, sizeof io->err);
    io->out = x->client->out.p;
    io->cap = x->client->out.cap;
    if (x->ask->make(x->ask->ctx, io) != MKT_NEXT_SEND_KMS)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot make the message to the KMS", &io->err);
    if (err->code != CLI_EXIT_OK) /* a timestamp failed */
        return false;
    x->attempts++;
    cli_say("asking %s at %s%s", x->client->file.kms, x->link.url,
            x->attempts > 1 ? " again, with a new message" : "");
    cli_timer_sent(&x->timer);
    return x->link.transport->send(&x->link, x->ask->type, mkt_span(io->out, io->out_len), err) !=
           CLI_GOT_NEVER;
}

/* True: taken. False: time for the next message, or the end when err says so. */
static bool
await(struct exchange *x, struct mkt_io *io, struct cli_error *err)
{
    for (;;) {
        x->client->answer.n = 0;
        if (x->link.transport->receive(&x->link, &x->client->answer, err) != CLI_GOT_MESSAGE)
            return false;
        enum verdict v = judge(x, io, err);
        if (v == TAKEN)
            return err->code == CLI_EXIT_OK;
        if (v == FINAL || give_up(x, v, err))
            return false;
    }
}

static bool
exchange(struct exchange *x, struct mkt_io *io, struct cli_error *err)
{
    while (x->attempts == 0 || !cli_timer_over(&x->timer)) {
        if (!send_new(x, io, err))
            return false;
        if (await(x, io, err))
            return true;
        if (err->code != CLI_EXIT_OK)
            return false;
    }
    return cli_fail(err, x->hints > 0 ? CLI_EXIT_KMS_REFUSED : CLI_EXIT_UNREACHABLE,
                    "no answer from the KMS at %s that verifies, after %u message%s%s%s",
                    x->link.url, x->attempts, x->attempts == 1 ? "" : "s",
                    *x->last != '\0' ? "; " : "", x->last);
}

bool
cli_kms_run(const struct cli_args *args, struct cli_client *client, const struct cli_kms_ask *ask,
            struct mkt_io *io, struct cli_error *err)
{
    const char *url = cli_args_get(args, CLI_OPT_KMS);
    const struct cli_transport *transport = find_transport(url);
    struct exchange x = { .ask = ask,
                          .client = client,
                          .link = { transport, url, &x.timer, NULL } };
    uint64_t seconds = DEFAULT_TIMEOUT_S;

    if (!cli_client_check_kms(client, err))
        return false;
    if (transport == NULL)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--kms %s: expected http://HOST..., https://HOST... or udp://HOST...", url);
    if (cli_args_has(args, CLI_OPT_TIMEOUT) &&
        !cli_args_uint(args, CLI_OPT_TIMEOUT, 0, 1, 3600, &seconds, err))
        return false;
    bool done = cli_client_rooms(client, err);
    cli_timer_start(&x.timer, (int64_t)seconds * 1000);
    done = done && transport->open(&x.link, args, err) && exchange(&x, io, err);
    transport->close(&x.link);
    return done;
}
