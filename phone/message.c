/* SPDX-License-Identifier: Apache-2.0 */
/* A message is taken off the mailbox when it is whole, verified and on our disk, and not before:
 * one that cannot be opened today stays there. */
#include "message.h"

#include "clock.h"
#include "phone.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a message is called: what its sender calls it is nobody's business. */
#define NAME "message.wav"

/* --- leaving ---------------------------------------------------------------------------------- */

static bool
seal(struct phone_message *m, struct cli_client *client, const struct cli_args *args,
     const char *out, struct cli_error *err)
{
    struct cli_args wish = *args;
    struct mkt_grant *grant = NULL;

    wish.value[CLI_OPT_TO][0] = m->to;
    wish.n[CLI_OPT_TO] = 1;
    bool done = cli_seal_ask(&grant, &wish, client, err);
    const struct cli_seal s = { .client = client,
                                .grant = grant,
                                .to = cli_identity(m->to),
                                .from = m->path,
                                .name = NAME,
                                .out = out };
    done = done && cli_seal_file(&s, &m->octets, err);
    mkt_grant_free(grant);
    return done;
}

/* In the worker. */
static void
leave(struct phone_job *job, struct cli_client *client, const struct cli_args *args)
{
    struct phone_message *m = (struct phone_message *)job;
    char dir[] = "/tmp/mikey-phone.XXXXXX", sealed[sizeof dir + 8];

    if (mkdtemp(dir) == NULL) {
        cli_fail(&job->err, CLI_EXIT_FAILURE, "no temporary folder can be made");
        return;
    }
    snprintf(sealed, sizeof sealed, "%s/sealed", dir);
    if (seal(m, client, args, sealed, &job->err))
        (void)!cli_web_put(m->url, sealed, client->stop, &job->err);
    unlink(sealed);
    rmdir(dir);
}

/* --- fetching --------------------------------------------------------------------------------- */

/* Gives the opened file a name that tells its time and is not taken. */
static bool
name_it(struct phone_message *m, const char *opened, struct cli_error *err)
{
    char at[CLI_TIME_TEXT];

    cli_clock_format(m->from.sealed_at, at);
    for (unsigned i = 1; i < 1000; i++) {
        int n = snprintf(m->opened, sizeof m->opened, "%s/%s-%u.wav", m->path, at, i);
        if (n > 0 && (size_t)n < sizeof m->opened && link(opened, m->opened) == 0)
            return true;
    }
    return cli_fail(err, CLI_EXIT_FAILURE, "no file can be made in %s", m->path);
}

/* It is none, or none for us, or too old: that does not change. What the network, the KMS' absence
 * or our disk hinder does. */
static bool
is_hopeless(const struct cli_error *err)
{
    return err->code == CLI_EXIT_MALFORMED || err->code == CLI_EXIT_PEER ||
           err->code == CLI_EXIT_KMS_REFUSED;
}

static void
open_in(struct phone_message *m, struct cli_client *client, const struct cli_args *args,
        const char *work)
{
    char sealed[PHONE_PATH_MAX], opened[PHONE_PATH_MAX];
    struct cli_error *err = &m->job.err, ignored = { 0 };

    snprintf(sealed, sizeof sealed, "%s/sealed", work);
    snprintf(opened, sizeof opened, "%s/opened", work);
    if (cli_web_get(m->url, sealed, PHONE_MESSAGE_MAX, client->stop, err)) {
        if (cli_unseal_file(&m->from, args, client, sealed, opened, err) && name_it(m, opened, err))
            m->removed = cli_web_delete(m->url, client->stop, err);
        else
            m->removed =
                m->remove && is_hopeless(err) && cli_web_delete(m->url, client->stop, &ignored);
    }
    unlink(sealed);
    unlink(opened);
}

/* In the worker. A folder of its own, since another phone may be at it in the same one. */
static void
fetch(struct phone_job *job, struct cli_client *client, const struct cli_args *args)
{
    struct phone_message *m = (struct phone_message *)job;
    char work[PHONE_PATH_MAX - 8];
    int n = snprintf(work, sizeof work, "%s/.XXXXXX", m->path);

    if (n < 0 || (size_t)n >= sizeof work || mkdtemp(work) == NULL) {
        cli_fail(&job->err, CLI_EXIT_FAILURE, "no file can be made in %s", m->path);
        return;
    }
    memccpy(m->kms, client->file.kms, '\0', sizeof m->kms - 1);
    open_in(m, client, args, work);
    rmdir(work);
}

/* --- both ------------------------------------------------------------------------------------- */

static struct phone_message *
message_new(const char *url, const char *path)
{
    struct phone_message *m = calloc(1, sizeof *m);

    if (m == NULL)
        return NULL;
    memccpy(m->url, url, '\0', sizeof m->url - 1);
    m->path = path;
    return m;
}

struct phone_message *
phone_message_leave(const char *url, const char *to, const char *path)
{
    struct phone_message *m = message_new(url, path);

    if (m == NULL)
        return NULL;
    m->job.run = leave;
    memccpy(m->to, to, '\0', sizeof m->to - 1);
    return m;
}

struct phone_message *
phone_message_fetch(const char *url, const char *dir, bool remove)
{
    struct phone_message *m = message_new(url, dir);

    if (m == NULL)
        return NULL;
    m->job.run = fetch;
    m->remove = remove;
    return m;
}

void
phone_message_free(struct phone_message *m)
{
    free(m);
}

static void
say_sender(const struct phone_message *m)
{
    const struct mkt_identity from = { m->from.sealer_type,
                                       mkt_span(m->from.sealer, m->from.sealer_len) };
    char who[CLI_IDENTITY_TEXT], at[CLI_TIME_TEXT];

    cli_identity_text(from, who);
    cli_clock_format(m->from.sealed_at, at);
    phone_say("message", "%s", m->opened);
    phone_say("from", "%s", who);
    phone_say("vouched-for", "by %s", m->kms);
    phone_say("sealed-at", "%s", at);
}

void
phone_message_say(const struct phone_message *m)
{
    if (m->opened[0] != '\0')
        say_sender(m);
    if (m->job.err.code != CLI_EXIT_OK)
        phone_say(m->job.run == leave ? "not-left" : "not-fetched", "%s%s", m->job.err.text,
                  m->removed ? "; removed from the mailbox" : "");
    else if (m->job.run == leave)
        phone_say("left", "a message for %s, %llu octets, sealed", m->to,
                  (unsigned long long)m->octets);
}
