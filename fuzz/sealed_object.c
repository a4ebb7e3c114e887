/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed objects of anyone's. A tag cannot be guessed, so what is behind it is reached by sealing
 * the input with the key of the reader; contents are made longer than inputs, so that they have
 * several parts. */
#include "sealed_object.h"

#include "sealed.h"
#include <string.h>

#define CONTENT_MAX (2 * CLI_SEALED_CHUNK + 600)
#define OBJECT_MAX (CONTENT_MAX + 1024)

static struct cli_sealed_keys keys = { .key = { .n = 32, .b = { 1 } }, .salt = { .n = 12 } };

struct buffer {
    struct mkt_span in;
    uint8_t out[OBJECT_MAX];
    size_t n;
};

static ssize_t
take(void *ctx, uint8_t *to, size_t n, struct cli_error *err)
{
    struct buffer *b = ctx;
    size_t got = b->in.n < n ? b->in.n : n;

    (void)err;
    if (got > 0)
        memcpy(to, b->in.p, got);
    b->in = mkt_span(b->in.p + got, b->in.n - got);
    return (ssize_t)got;
}

static bool
give(void *ctx, struct mkt_span octets, struct cli_error *err)
{
    struct buffer *b = ctx;

    if (octets.n > sizeof b->out - b->n)
        return cli_fail(err, CLI_EXIT_FAILURE, "too long");
    if (octets.n > 0)
        memcpy(b->out + b->n, octets.p, octets.n);
    b->n += octets.n;
    return true;
}

static struct buffer buffer;
static const struct cli_stream stream = { .read = take, .write = give, .ctx = &buffer };

static void
feed(struct mkt_span in)
{
    buffer.in = in;
    buffer.n = 0;
}

/* What is refused says why, and with one of two codes. */
static const char *
opens(bool *opened, struct mkt_span object, const uint8_t digest[CLI_DIGEST],
      struct cli_sealed_info *info)
{
    CLI_SCOPED_BLOB head = { 0 };
    struct mkt_span message = { NULL, 0 };
    struct cli_error err = { 0 };

    feed(object);
    *opened = cli_sealed_head_read(&head, &message, &stream, &err) &&
              cli_sealed_read(&stream, cli_blob_span(&head), &keys, info, digest, &err);
    if (*opened)
        return err.code == CLI_EXIT_OK && cli_sealed_name_fits(info->name) && info->size == buffer.n
                   ? NULL
                   : "what is opened has a name that fits and the size that it says";
    return (err.code == CLI_EXIT_PEER || err.code == CLI_EXIT_MALFORMED) && err.text[0] != '\0'
               ? NULL
               : "a refusal has a code and a reason";
}

/* --- anyone's -----------------------------------------------------------------------------------
 */

static const char *
as_object(struct mkt_span octets)
{
    static const uint8_t digest[CLI_DIGEST];
    struct cli_sealed_info info;
    bool opened;
    const char *broken = opens(&opened, octets, digest, &info);

    return broken == NULL && opened ? "nobody seals without the key" : broken;
}

/* --- by one who has the key ---------------------------------------------------------------------
 */

/* One part, which is the last: front, content and digest are as the input has them. */
static size_t
seal_part(uint8_t *out, struct mkt_span plain, uint8_t digest[CLI_DIGEST])
{
    static const uint8_t nonce[CLI_AEAD_NONCE] = { [11] = 1 };
    CLI_SCOPED_BLOB head = { 0 };
    struct cli_error err = { 0 };
    uint8_t name[CLI_DIGEST];
    struct cli_digest *d = cli_digest_new();
    struct cli_aead *a = cli_aead_new(mkt_secret_span(&keys.key));
    size_t n = 0;

    if (d != NULL && a != NULL && cli_sealed_head_write(&head, mkt_span("m", 1), &err) &&
        cli_digest_add(d, cli_blob_span(&head)) && cli_digest_end(d, name) &&
        cli_digest_add(d, plain) && cli_digest_end(d, digest) &&
        cli_aead_seal(a, nonce, mkt_span(name, sizeof name), plain, out + head.n)) {
        memcpy(out, head.p, head.n);
        n = head.n + plain.n + CLI_AEAD_TAG;
    }
    cli_digest_free(d);
    cli_aead_free(a);
    return n;
}

static const char *
as_plaintext(struct mkt_span octets)
{
    static uint8_t object[OBJECT_MAX];
    uint8_t digest[CLI_DIGEST], front[CLI_SEALED_INFO_MAX];
    struct cli_sealed_info info;
    bool opened;

    if (octets.n > CLI_SEALED_CHUNK)
        octets.n = CLI_SEALED_CHUNK;
    const char *broken =
        opens(&opened, mkt_span(object, seal_part(object, octets, digest)), digest, &info);
    if (broken != NULL || !opened)
        return broken;
    size_t n = cli_sealed_info_write(front, &info);
    return n <= octets.n && memcmp(front, octets.p, n) == 0 && buffer.n == octets.n - n &&
                   (buffer.n == 0 || memcmp(buffer.out, octets.p + n, buffer.n) == 0)
               ? NULL
               : "what was read in front can be written again";
}

/* --- damage -------------------------------------------------------------------------------------
 */

/* The input over and over, as long as its first octets say. */
static struct mkt_span
stretched(struct mkt_span octets)
{
    static uint8_t content[CONTENT_MAX];
    size_t n = octets.n > 3 ? (size_t)(octets.p[0] << 16 | octets.p[1] << 8 | octets.p[2]) : 0;

    n %= CONTENT_MAX;
    for (size_t i = 0; i < n; i++)
        content[i] = octets.p[i % octets.n];
    return mkt_span(content, n);
}

static const char *
as_content(struct mkt_span octets)
{
    static uint8_t object[OBJECT_MAX];
    CLI_SCOPED_BLOB head = { 0 };
    const struct mkt_span content = stretched(octets);
    struct cli_sealed_info info = { .size = content.n, .name = "a name" }, found;
    uint8_t digest[CLI_DIGEST];
    struct cli_error err = { 0 };
    bool opened;

    feed(content);
    bool sealed = cli_sealed_digest(digest, &info, &stream, &err) &&
                  cli_sealed_head_write(&head, mkt_span("m", 1), &err);
    feed(content);
    if (!sealed || !cli_sealed_write(&stream, cli_blob_span(&head), &keys, &info, digest, &err))
        return "what was read can be sealed";
    size_t n = buffer.n,
           at = octets.n > 7 ? (size_t)(octets.p[4] << 16 | octets.p[5] << 8 | octets.p[6]) % n : 0;
    memcpy(object, buffer.out, n);
    const char *broken = opens(&opened, mkt_span(object, n), digest, &found);
    if (broken != NULL || !opened || buffer.n != content.n ||
        (content.n > 0 && memcmp(buffer.out, content.p, content.n) != 0))
        return broken != NULL ? broken : "what was sealed is opened";
    broken = opens(&opened, mkt_span(object, at), digest, &found);
    if (broken != NULL || opened)
        return broken != NULL ? broken : "nothing that was cut is opened";
    object[at] ^= (uint8_t)(1 << at % 8);
    broken = opens(&opened, mkt_span(object, n), digest, &found);
    return broken == NULL && opened ? "nothing that was changed is opened" : broken;
}

const char *
mkt_sealed_holds(struct mkt_span octets)
{
    const char *broken = as_object(octets);
    if (broken == NULL)
        broken = as_plaintext(octets);
    return broken != NULL ? broken : as_content(octets);
}
