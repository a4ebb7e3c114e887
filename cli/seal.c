/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing: the content is read twice, since the TRANSFER_INIT in front vouches for its digest. */
#include "seal.h"

#include "files.h"
#include "kms.h"
#include "progress.h"
#include "wish.h"

#include <errno.h>
#include <fcntl.h>
#include <mikeyticket/initiator.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_VALIDITY "7d"

/* --- the ticket ------------------------------------------------------------------------------- */

struct asking {
    struct cli_client *client;
    struct mkt_initiator *initiator;
    struct mkt_policy want;
    struct mkt_grant **grant;
};

static enum mkt_next
make(void *ctx, struct mkt_io *io)
{
    struct asking *a = ctx;
    struct mkt_env env = cli_client_env(a->client);
    return mkt_initiator_request(a->initiator, &env, &a->want, io);
}

static enum mkt_next
take(void *ctx, struct mkt_io *io)
{
    struct asking *a = ctx;
    struct mkt_env env = cli_client_env(a->client);
    return mkt_initiator_granted(a->initiator, &env, io, a->grant);
}

static void
set(struct cli_args *args, enum cli_option id, const char *value)
{
    args->value[id][0] = value;
    args->n[id] = 1;
}

bool
cli_seal_ask(struct mkt_grant **grant, const struct cli_args *args, struct cli_client *client,
             struct cli_error *err)
{
    struct asking a = { .client = client, .grant = grant };
    const struct cli_kms_ask question = { "ticketrequest", CLI_EXIT_KMS_REFUSED, &a, make, take };
    struct cli_args wish = *args;
    struct mkt_io io = { .cap = MKT_MSG_MAX };
    CLI_SCOPED_BLOB out = { 0 };

    *grant = NULL;
    set(&wish, CLI_OPT_FLAGS, CLI_SEAL_FLAGS);
    set(&wish, CLI_OPT_KEY, "GTGK");
    if (!cli_args_has(args, CLI_OPT_VALIDITY))
        set(&wish, CLI_OPT_VALIDITY, DEFAULT_VALIDITY);
    if (!cli_wish_read(&a.want, &wish, client->file.prf, cli_clock_ntp(), err) ||
        !cli_blob_alloc(&out, MKT_MSG_MAX, err))
        return false;
    io.out = out.p;
    a.initiator = mkt_initiator_new(&client->cred);
    bool done = a.initiator != NULL ? cli_kms_run(args, client, &question, &io, err)
                                    : cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    mkt_initiator_free(a.initiator);
    return done;
}

static const struct mkt_key *
group_key(const struct mkt_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        if (keys->k[i].type <= MKT_KEY_TGK_SALT || keys->k[i].type == MKT_KEY_GTGK ||
            keys->k[i].type == MKT_KEY_GTGK_SALT)
            return &keys->k[i];
    return NULL;
}

bool
cli_seal_fits(const struct mkt_grant *grant, struct cli_error *err)
{
    const struct mkt_policy *p = mkt_grant_policy(grant);
    const char *why = NULL;

    if ((p->flags & MKT_TP_F) != 0)
        why = "it wants an answer (F flag)";
    else if (group_key(mkt_grant_keys(grant)) == NULL)
        why = "it holds neither GTGK nor TGK";
    else if ((p->flags & MKT_TP_I) == 0 && p->n_responders != 1)
        why = "several may open it, and none of them could know who sealed it (no I flag)";
    return why == NULL ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "the ticket is not for deferred delivery: %s. Ask for one with --flags %s "
                    "--key GTGK",
                    why, CLI_SEAL_FLAGS);
}

/* --- the message ------------------------------------------------------------------------------ */

bool
cli_seal_keys(struct cli_sealed_keys *keys, const struct mkt_csb *csb, struct mkt_crypto *crypto,
              struct cli_error *err)
{
    size_t key_len = mkt_suite_of(mkt_csb_policy(csb)->prf)->key_len;
    struct mkt_err why = { 0 };

    return (mkt_csb_derive_key(csb, crypto, 0, MKT_SESSION_ENCR, key_len, &keys->key, &why) ==
                MKT_OK &&
            mkt_csb_derive_key(csb, crypto, 0, MKT_SESSION_SALT, CLI_AEAD_NONCE, &keys->salt,
                               &why) == MKT_OK) ||
           cli_fail_mkt(err, CLI_EXIT_PEER, "no key for a sealed object", &why);
}

static bool
establish(const struct cli_seal *s, struct mkt_initiator *initiator, struct cli_sealed_keys *keys,
          uint32_t *csb_id, struct cli_error *err)
{
    struct mkt_env env = cli_client_env(s->client);
    struct mkt_csb *csb = NULL;
    struct mkt_err why = { 0 };

    bool done = (mkt_initiator_established(initiator, &env, &csb, &why) == MKT_OK ||
                 cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot complete the message", &why)) &&
                cli_seal_keys(keys, csb, s->client->crypto, err);
    if (done)
        *csb_id = mkt_csb_id(csb);
    mkt_csb_free(csb);
    return done;
}

/* One crypto session, whose session data are the digest. */
static bool
make_head(const struct cli_seal *s, const uint8_t digest[CLI_DIGEST], struct cli_blob *head,
          struct cli_sealed_keys *keys, uint32_t *csb_id, struct cli_error *err)
{
    const struct mkt_key *key = group_key(mkt_grant_keys(s->grant));
    const struct mkt_offer_cs cs = { .cs_id = 1,
                                     .prot_type = CLI_SEALED_PROT,
                                     .n_policies = 1,
                                     .policies = { 0 },
                                     .session_data = mkt_span(digest, CLI_DIGEST),
                                     .spi = mkt_span(key->spi, key->spi_len) };
    const struct mkt_offer offer = { .responder = s->to,
                                     .ts_type = MKT_TS_NTP_UTC,
                                     .cs = &cs,
                                     .n_cs = 1,
                                     .sp = &cli_sealed_policy,
                                     .n_sp = 1,
                                     .csb_ids = s->csb_ids,
                                     .n_csb_ids = s->n_csb_ids };
    struct mkt_io io = { .cap = MKT_MSG_MAX };
    struct mkt_env env = cli_client_env(s->client);
    CLI_SCOPED_BLOB out = { 0 };

    if (!cli_blob_alloc(&out, MKT_MSG_MAX, err))
        return false;
    io.out = out.p;
    struct mkt_initiator *initiator = mkt_initiator_new(&s->client->cred);
    bool done = initiator != NULL || cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    if (done && mkt_initiator_offer(initiator, &env, s->grant, &offer, &io) != MKT_NEXT_SEND_PEER)
        done = cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot seal with this ticket", &io.err);
    done = done && cli_sealed_head_write(head, mkt_span(io.out, io.out_len), err) &&
           establish(s, initiator, keys, csb_id, err);
    mkt_initiator_free(initiator);
    return done;
}

/* --- the file --------------------------------------------------------------------------------- */

struct file {
    const struct cli_seal *seal;
    int fd;
    uint64_t size, written;
    struct cli_draft draft;
    struct mkt_progress bar;
};

static ssize_t
read_file(void *ctx, uint8_t *to, size_t n, struct cli_error *err)
{
    struct file *f = ctx;
    return cli_fd_read(f->fd, f->seal->from, to, n, err);
}

static bool
write_file(void *ctx, struct mkt_span octets, struct cli_error *err)
{
    struct file *f = ctx;
    f->written += octets.n;
    return cli_draft_add(&f->draft, octets, err);
}

static void
moved(void *ctx, uint64_t octets)
{
    struct file *f = ctx;
    if (!cli_quiet && f->size >= CLI_SEAL_BAR_MIN)
        mkt_progress_show(&f->bar, octets, f->size);
}

static bool
open_file(struct file *f, struct cli_error *err)
{
    struct stat st, out;

    f->fd = open(f->seal->from, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        return cli_fail(err, CLI_EXIT_FAILURE, "cannot open %s: %s", f->seal->from,
                        strerror(errno));
    if (!S_ISREG(st.st_mode))
        return cli_fail(err, CLI_EXIT_USAGE,
                        "%s is read twice, so it must be a file and no pipe or directory",
                        f->seal->from);
    if (f->seal->out != NULL && stat(f->seal->out, &out) == 0 && out.st_dev == st.st_dev &&
        out.st_ino == st.st_ino)
        return cli_fail(
            err, CLI_EXIT_USAGE,
            "%s would be replaced by what only others can open: give --out another name",
            f->seal->from);
    f->size = (uint64_t)st.st_size;
    return true;
}

static bool
again(struct file *f, struct cli_error *err)
{
    return lseek(f->fd, 0, SEEK_SET) == 0 ||
           cli_fail(err, CLI_EXIT_FAILURE, "cannot read %s again: %s", f->seal->from,
                    strerror(errno));
}

static bool
seal(struct file *f, struct cli_error *err)
{
    const struct cli_seal *s = f->seal;
    struct cli_stream stream = { .read = read_file, .write = write_file, .ctx = f };
    struct cli_sealed_info info = { .size = f->size };
    uint8_t digest[CLI_DIGEST];
    CLI_SCOPED_SEALED_KEYS keys = { .key = { 0 } };
    CLI_SCOPED_BLOB head = { 0 };
    uint32_t csb_id = 0;

    memccpy(info.name, s->name, '\0', sizeof info.name - 1);
    if (!mkt_crypto_random(NULL, info.random, sizeof info.random))
        return cli_fail(err, CLI_EXIT_FAILURE, "no random octets");
    if (!cli_sealed_digest(digest, &info, &stream, err) || !again(f, err) ||
        !make_head(s, digest, &head, &keys, &csb_id, err) ||
        (s->before != NULL && !s->before(s->ctx, csb_id, err)))
        return false;
    stream.moved = moved;
    return cli_draft_open(&f->draft, s->out, err) &&
           cli_sealed_write(&stream, cli_blob_span(&head), &keys, &info, digest, err) &&
           cli_draft_keep(&f->draft, CLI_PUBLIC, err);
}

bool
cli_seal_file(const struct cli_seal *s, uint64_t *octets, struct cli_error *err)
{
    struct file f = { .seal = s, .fd = -1, .draft = { .fd = -1 }, .bar = { .what = "sealing" } };

    bool done = cli_seal_fits(s->grant, err) && open_file(&f, err) && seal(&f, err);
    *octets = f.written;
    if (f.fd >= 0)
        close(f.fd);
    cli_draft_end(&f.draft);
    return done;
}
