/* SPDX-License-Identifier: Apache-2.0 */
/* The octets of a sealed object (docs/formats/sealed-object.md): a head with a TRANSFER_INIT, and
 * the content in authenticated chunks, so that one of any size streams through constant memory.
 * Nothing here knows where keys come from, or octets. */
#ifndef MKT_CLI_SEALED_H
#define MKT_CLI_SEALED_H

#include "cli.h"
#include "crypto/aead.h"

#include <mikeyticket/message.h>
#include <sys/types.h>

#define CLI_SEALED_FIXED 24     /* octets of the head before the message */
#define CLI_SEALED_CHUNK 65536  /* octets of content in every chunk but the last */
#define CLI_SEALED_NAME_MAX 255 /* octets of a file name */
#define CLI_SEALED_INFO_MAX (32 + 8 + 1 + CLI_SEALED_NAME_MAX)

/* The security protocol of the crypto session, of the private range (RFC 6309), and its policy. */
#define CLI_SEALED_PROT 245
extern const struct mkt_pl_sp cli_sealed_policy;

/* What is sealed in front of the content. */
struct cli_sealed_info {
    uint8_t random[32]; /* so that the digest of a content that can be guessed tells nothing */
    uint64_t size;      /* octets of the content */
    char name[CLI_SEALED_NAME_MAX + 1]; /* empty: none */
};

/* cli_sealed_name_fits tells whether a name may stand there: no path, and nothing that moves the
 * cursor of a terminal. */
bool cli_sealed_name_fits(const char *name);

/* cli_sealed_info_write writes info into out; returns the octets. */
size_t cli_sealed_info_write(uint8_t out[CLI_SEALED_INFO_MAX], const struct cli_sealed_info *info);

/* cli_sealed_info_read reads it from the beginning of the first chunk; *used gets its octets.
 * CLI_EXIT_PEER when it is not well-formed. */
MKT_MUST_USE bool cli_sealed_info_read(struct cli_sealed_info *info, size_t *used,
                                       struct mkt_span octets, struct cli_error *err);

/* cli_sealed_head_write makes the head of a message. */
MKT_MUST_USE bool cli_sealed_head_write(struct cli_blob *head, struct mkt_span transfer_init,
                                        struct cli_error *err);

/* cli_sealed_begins tells whether octets, the first of a file, are those of a sealed object;
 * cli_sealed_message borrows the message out of its head. CLI_EXIT_MALFORMED: no sealed object. */
bool cli_sealed_begins(struct mkt_span octets);
MKT_MUST_USE bool cli_sealed_message(struct mkt_span octets, struct mkt_span *transfer_init,
                                     struct cli_error *err);

/* Where octets come from and go to. read gives up to n, less at the end only; -1: it failed, and
 * said why. */
struct cli_stream {
    ssize_t (*read)(void *ctx, uint8_t *to, size_t n, struct cli_error *err);
    bool (*write)(void *ctx, struct mkt_span octets, struct cli_error *err);
    void (*moved)(void *ctx, uint64_t octets); /* of the content, so far; NULL: nobody asks */
    void *ctx;
};

/* cli_sealed_head_read reads the head off `from` into *head (owned by the caller in every case);
 * *transfer_init borrows from it. CLI_EXIT_MALFORMED: no sealed object. */
MKT_MUST_USE bool cli_sealed_head_read(struct cli_blob *head, struct mkt_span *transfer_init,
                                       const struct cli_stream *from, struct cli_error *err);

struct cli_sealed_keys {
    struct mkt_secret key;  /* 16 or 32 octets */
    struct mkt_secret salt; /* CLI_AEAD_NONCE octets */
};

void cli_sealed_keys_wipe(struct cli_sealed_keys *keys);

#define CLI_SCOPED_SEALED_KEYS __attribute__((cleanup(cli_sealed_keys_wipe))) struct cli_sealed_keys

/* cli_sealed_digest gives what the TRANSFER_INIT vouches for: the SHA-256 of info and of the
 * content, which is read to its end. */
MKT_MUST_USE bool cli_sealed_digest(uint8_t digest[CLI_DIGEST], const struct cli_sealed_info *info,
                                    const struct cli_stream *content, struct cli_error *err);

/* cli_sealed_write seals info and the content that `s` reads, and writes the chunks to it. Fails
 * when the content is not what `digest` is of. */
MKT_MUST_USE bool cli_sealed_write(const struct cli_stream *s, struct mkt_span head,
                                   const struct cli_sealed_keys *keys,
                                   const struct cli_sealed_info *info,
                                   const uint8_t digest[CLI_DIGEST], struct cli_error *err);

/* cli_sealed_read opens the chunks that `s` reads, and writes the content to it. What was written
 * may not be used unless this returns true. CLI_EXIT_PEER when anything was changed, cut off,
 * moved or added. */
MKT_MUST_USE bool cli_sealed_read(const struct cli_stream *s, struct mkt_span head,
                                  const struct cli_sealed_keys *keys, struct cli_sealed_info *info,
                                  const uint8_t digest[CLI_DIGEST], struct cli_error *err);

#endif
