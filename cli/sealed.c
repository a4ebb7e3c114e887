/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks as in STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015): the nonce counts them and tells
 * the last one, so none can be left out, moved or added. The digest over all of them is what the
 * TRANSFER_INIT vouches for: of several who may open an object each knows its key, but only who
 * has the ticket can make the message. */
#include "sealed.h"

#include "big_endian.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC "mikey-sealed-obj"
#define VERSION 1
#define SEALED_CHUNK (CLI_SEALED_CHUNK + CLI_AEAD_TAG)

/* AEAD: AES-GCM, nonces of 96 bits, tags of 128, the key length of the suite; 2^16 octets a chunk.
 */
static const uint8_t policy[] = { 0, 1, 1, 1, 1, 16 };
const struct mkt_pl_sp cli_sealed_policy = { .policy_no = 0,
                                             .prot_type = CLI_SEALED_PROT,
                                             .params = { policy, sizeof policy } };

static bool
refuse(struct cli_error *err, const char *what)
{
    return cli_fail(err, CLI_EXIT_PEER, "the sealed object is refused: %s", what);
}

void
cli_sealed_keys_wipe(struct cli_sealed_keys *keys)
{
    mkt_wipe(keys, sizeof *keys);
}

/* --- the head --------------------------------------------------------------------------------- */

bool
cli_sealed_head_write(struct cli_blob *head, struct mkt_span transfer_init, struct cli_error *err)
{
    if (!cli_blob_alloc(head, CLI_SEALED_FIXED + transfer_init.n, err))
        return false;
    memcpy(head->p, MAGIC, 16);
    mkt_be_put(head->p + 16, 4, VERSION);
    mkt_be_put(head->p + 20, 4, transfer_init.n);
    memcpy(head->p + CLI_SEALED_FIXED, transfer_init.p, transfer_init.n);
    head->n = head->cap;
    return true;
}

static bool
no_object(struct cli_error *err, const char *what)
{
    return cli_fail(err, CLI_EXIT_MALFORMED, "not a sealed object: %s", what);
}

bool
cli_sealed_begins(struct mkt_span octets)
{
    return octets.n >= CLI_SEALED_FIXED && memcmp(octets.p, MAGIC, 16) == 0;
}

/* The octets of the message, from those in front of it. */
static bool
message_len(struct mkt_span octets, size_t *n, struct cli_error *err)
{
    if (!cli_sealed_begins(octets))
        return no_object(err, "it does not begin as one");
    if (mkt_be_get(octets.p + 16, 4) != VERSION)
        return no_object(err, "of a version that is not known");
    *n = mkt_be_get(octets.p + 20, 4);
    return (*n > 0 && *n <= MKT_MSG_MAX) || no_object(err, "the length of its message cannot be");
}

bool
cli_sealed_message(struct mkt_span octets, struct mkt_span *transfer_init, struct cli_error *err)
{
    size_t n = 0;

    if (!message_len(octets, &n, err))
        return false;
    if (octets.n - CLI_SEALED_FIXED < n)
        return no_object(err, "it ends within its head");
    *transfer_init = mkt_span(octets.p + CLI_SEALED_FIXED, n);
    return true;
}

bool
cli_sealed_head_read(struct cli_blob *head, struct mkt_span *transfer_init,
                     const struct cli_stream *from, struct cli_error *err)
{
    uint8_t fixed[CLI_SEALED_FIXED];
    ssize_t got = from->read(from->ctx, fixed, sizeof fixed, err);
    size_t n = 0;

    if (got < 0 || !message_len(mkt_span(fixed, (size_t)got), &n, err) ||
        !cli_blob_alloc(head, CLI_SEALED_FIXED + n, err))
        return false;
    memcpy(head->p, fixed, sizeof fixed);
    got = from->read(from->ctx, head->p + sizeof fixed, n, err);
    if (got < 0)
        return false;
    head->n = sizeof fixed + (size_t)got;
    return cli_sealed_message(cli_blob_span(head), transfer_init, err);
}

/* --- what stands in front of the content ------------------------------------------------------ */

bool
cli_sealed_name_fits(const char *name)
{
    if (strlen(name) > CLI_SEALED_NAME_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (; *name != '\0'; name++)
        if ((unsigned char)*name < 0x20 || *name == 0x7F || *name == '/')
            return false;
    return true;
}

size_t
cli_sealed_info_write(uint8_t out[CLI_SEALED_INFO_MAX], const struct cli_sealed_info *info)
{
    size_t n = strlen(info->name);

    memcpy(out, info->random, 32);
    mkt_be_put(out + 32, 8, info->size);
    out[40] = (uint8_t)n;
    memcpy(out + 41, info->name, n);
    return 41 + n;
}

bool
cli_sealed_info_read(struct cli_sealed_info *info, size_t *used, struct mkt_span octets,
                     struct cli_error *err)
{
    size_t n = octets.n > 40 ? octets.p[40] : 0;

    if (octets.n < 41 + n)
        return refuse(err, "it is too short for what stands in front of a content");
    memcpy(info->random, octets.p, 32);
    info->size = mkt_be_get(octets.p + 32, 8);
    memcpy(info->name, octets.p + 41, n);
    info->name[n] = '\0';
    *used = 41 + n;
    return (strlen(info->name) == n && cli_sealed_name_fits(info->name)) ||
           refuse(err, "the file name in it is none");
}

/* --- all that is sealed, as one run of octets ------------------------------------------------- */

struct plain {
    uint8_t info[CLI_SEALED_INFO_MAX];
    size_t n_info, at; /* octets of info, and those that were handed out */
    const struct cli_stream *content;
    uint64_t size, read; /* octets of the content */
    struct cli_digest *digest;
};

static bool
plain_begin(struct plain *p, const struct cli_sealed_info *info, const struct cli_stream *content,
            struct cli_error *err)
{
    p->n_info = cli_sealed_info_write(p->info, info);
    p->at = 0;
    p->content = content;
    p->size = info->size;
    p->read = 0;
    p->digest = cli_digest_new();
    return p->digest != NULL || cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
}

static void
plain_end(struct plain *p)
{
    cli_digest_free(p->digest);
    mkt_wipe(p, sizeof *p);
}

/* Fills `to` with n octets, less at the end only; -1: it failed. */
static ssize_t
plain_read(struct plain *p, uint8_t *to, size_t n, struct cli_error *err)
{
    size_t info = p->n_info - p->at < n ? p->n_info - p->at : n;
    memcpy(to, p->info + p->at, info);
    p->at += info;
    ssize_t got = p->content->read(p->content->ctx, to + info, n - info, err);
    if (got < 0)
        return -1;
    p->read += (uint64_t)got;
    if (p->content->moved != NULL)
        p->content->moved(p->content->ctx, p->read);
    if (!cli_digest_add(p->digest, mkt_span(to, info + (size_t)got))) {
        cli_fail(err, CLI_EXIT_FAILURE, "SHA-256 failed");
        return -1;
    }
    return (ssize_t)info + got;
}

static bool
plain_is(struct plain *p, uint8_t digest[CLI_DIGEST], struct cli_error *err)
{
    if (!cli_digest_end(p->digest, digest))
        return cli_fail(err, CLI_EXIT_FAILURE, "SHA-256 failed");
    return p->read == p->size ||
           cli_fail(err, CLI_EXIT_FAILURE, "the file was changed while it was read");
}

bool
cli_sealed_digest(uint8_t digest[CLI_DIGEST], const struct cli_sealed_info *info,
                  const struct cli_stream *content, struct cli_error *err)
{
    CLI_SCOPED_BLOB buffer = { 0 };
    struct plain p;
    ssize_t got = 1;

    if (!cli_blob_alloc(&buffer, CLI_SEALED_CHUNK, err))
        return false;
    bool ok = plain_begin(&p, info, content, err);
    while (ok && got > 0)
        got = plain_read(&p, buffer.p, buffer.cap, err);
    ok = ok && got == 0 && plain_is(&p, digest, err);
    plain_end(&p);
    return ok;
}

/* --- chunks ----------------------------------------------------------------------------------- */

struct chunks {
    struct cli_aead *aead;
    uint8_t head[CLI_DIGEST], salt[CLI_AEAD_NONCE];
    uint64_t index;
};

static bool
chunks_begin(struct chunks *c, struct mkt_span head, const struct cli_sealed_keys *keys,
             struct cli_error *err)
{
    struct cli_digest *d = cli_digest_new();
    bool ok = d != NULL && keys->salt.n == sizeof c->salt && cli_digest_add(d, head) &&
              cli_digest_end(d, c->head);

    cli_digest_free(d);
    c->index = 0;
    c->aead = ok ? cli_aead_new(mkt_secret_span(&keys->key)) : NULL;
    if (ok)
        memcpy(c->salt, keys->salt.b, sizeof c->salt);
    return c->aead != NULL || cli_fail(err, CLI_EXIT_FAILURE, "AES-GCM cannot be set up");
}

static void
chunks_end(struct chunks *c)
{
    cli_aead_free(c->aead);
    mkt_wipe(c, sizeof *c);
}

/* 3 octets 0, the number of the chunk, and 1 for the last one, on the salt. */
static void
next_nonce(struct chunks *c, bool last, uint8_t nonce[CLI_AEAD_NONCE])
{
    memset(nonce, 0, CLI_AEAD_NONCE);
    mkt_be_put(nonce + 3, 8, c->index++);
    nonce[11] = last;
    for (size_t i = 0; i < CLI_AEAD_NONCE; i++)
        nonce[i] ^= c->salt[i];
}

static bool
write_chunk(struct chunks *c, const struct cli_stream *s, bool last, struct mkt_span plain,
            uint8_t *out, struct cli_error *err)
{
    uint8_t nonce[CLI_AEAD_NONCE];

    next_nonce(c, last, nonce);
    return (cli_aead_seal(c->aead, nonce, mkt_span(c->head, sizeof c->head), plain, out) ||
            cli_fail(err, CLI_EXIT_FAILURE, "AES-GCM failed")) &&
           s->write(s->ctx, mkt_span(out, plain.n + CLI_AEAD_TAG), err);
}

/* A chunk is the last one when nothing follows it, so one is read ahead. */
static bool
write_chunks(struct chunks *c, const struct cli_stream *s, struct plain *p, uint8_t *now,
             uint8_t *next, uint8_t *out, struct cli_error *err)
{
    ssize_t n = plain_read(p, now, CLI_SEALED_CHUNK, err);

    while (n >= 0) {
        ssize_t more = n == CLI_SEALED_CHUNK ? plain_read(p, next, CLI_SEALED_CHUNK, err) : 0;
        if (more < 0 || !write_chunk(c, s, more == 0, mkt_span(now, (size_t)n), out, err))
            return false;
        if (more == 0)
            return true;
        uint8_t *swap = now;
        now = next;
        next = swap;
        n = more;
    }
    return false;
}

bool
cli_sealed_write(const struct cli_stream *s, struct mkt_span head,
                 const struct cli_sealed_keys *keys, const struct cli_sealed_info *info,
                 const uint8_t digest[CLI_DIGEST], struct cli_error *err)
{
    CLI_SCOPED_BLOB buffer = { 0 };
    uint8_t found[CLI_DIGEST];
    struct chunks c = { 0 };
    struct plain p = { 0 };

    if (!cli_blob_alloc(&buffer, 2 * CLI_SEALED_CHUNK + SEALED_CHUNK, err))
        return false;
    bool ok = chunks_begin(&c, head, keys, err) && plain_begin(&p, info, s, err) &&
              s->write(s->ctx, head, err) &&
              write_chunks(&c, s, &p, buffer.p, buffer.p + CLI_SEALED_CHUNK,
                           buffer.p + (size_t)2 * CLI_SEALED_CHUNK, err) &&
              plain_is(&p, found, err);
    plain_end(&p);
    chunks_end(&c);
    return ok && (memcmp(found, digest, sizeof found) == 0 ||
                  cli_fail(err, CLI_EXIT_FAILURE, "the file was changed while it was read"));
}

/* --- opening ---------------------------------------------------------------------------------- */

struct opening {
    struct chunks c;
    struct cli_digest *digest;
    struct cli_sealed_info *info;
    uint64_t written; /* octets of the content */
};

static bool
take_plain(struct opening *o, const struct cli_stream *s, struct mkt_span plain,
           struct cli_error *err)
{
    size_t used = 0;

    if (!cli_digest_add(o->digest, plain))
        return cli_fail(err, CLI_EXIT_FAILURE, "SHA-256 failed");
    if (o->c.index == 1 && !cli_sealed_info_read(o->info, &used, plain, err))
        return false;
    o->written += plain.n - used;
    if (o->written > o->info->size)
        return refuse(err, "it holds more than it says");
    if (s->moved != NULL)
        s->moved(s->ctx, o->written);
    return s->write(s->ctx, mkt_span(plain.p + used, plain.n - used), err);
}

static bool
read_chunk(struct opening *o, const struct cli_stream *s, bool last, struct mkt_span sealed,
           uint8_t *out, struct cli_error *err)
{
    uint8_t nonce[CLI_AEAD_NONCE];
    uint64_t index = o->c.index;

    next_nonce(&o->c, last, nonce);
    if (!cli_aead_open(o->c.aead, nonce, mkt_span(o->c.head, sizeof o->c.head), sealed, out))
        return cli_fail(err, CLI_EXIT_PEER,
                        "the sealed object is refused: its part %llu does not verify: it was "
                        "changed, cut off, or put together of others",
                        (unsigned long long)index + 1);
    return take_plain(o, s, mkt_span(out, sealed.n - CLI_AEAD_TAG), err);
}

static bool
read_chunks(struct opening *o, const struct cli_stream *s, uint8_t *now, uint8_t *next,
            uint8_t *out, struct cli_error *err)
{
    ssize_t n = s->read(s->ctx, now, SEALED_CHUNK, err);

    while (n >= 0) {
        ssize_t more = n == SEALED_CHUNK ? s->read(s->ctx, next, SEALED_CHUNK, err) : 0;
        if (more < 0 || !read_chunk(o, s, more == 0, mkt_span(now, (size_t)n), out, err))
            return false;
        if (more == 0)
            return true;
        uint8_t *swap = now;
        now = next;
        next = swap;
        n = more;
    }
    return false;
}

static bool
is_whole(struct opening *o, const uint8_t digest[CLI_DIGEST], struct cli_error *err)
{
    uint8_t found[CLI_DIGEST];

    if (!cli_digest_end(o->digest, found))
        return cli_fail(err, CLI_EXIT_FAILURE, "SHA-256 failed");
    if (o->written != o->info->size)
        return refuse(err, "it holds less than it says");
    return memcmp(found, digest, sizeof found) == 0 ||
           refuse(err, "the content is not what its sealer has vouched for");
}

bool
cli_sealed_read(const struct cli_stream *s, struct mkt_span head,
                const struct cli_sealed_keys *keys, struct cli_sealed_info *info,
                const uint8_t digest[CLI_DIGEST], struct cli_error *err)
{
    CLI_SCOPED_BLOB buffer = { 0 };
    struct opening o = { .digest = cli_digest_new(), .info = info };

    bool ok = (o.digest != NULL || cli_fail(err, CLI_EXIT_FAILURE, "out of memory")) &&
              cli_blob_alloc(&buffer, 2 * SEALED_CHUNK + CLI_SEALED_CHUNK, err) &&
              chunks_begin(&o.c, head, keys, err) &&
              read_chunks(&o, s, buffer.p, buffer.p + SEALED_CHUNK,
                          buffer.p + (size_t)2 * SEALED_CHUNK, err) &&
              is_whole(&o, digest, err);
    chunks_end(&o.c);
    cli_digest_free(o.digest);
    return ok;
}
