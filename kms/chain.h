/* SPDX-License-Identifier: Apache-2.0 */
/* The chain of audit records on disk (docs/formats/audit.md): each record carries the SHA-256 of
 * itself and of the hash before it. Here it is read and held against itself; the daemon does so
 * when it starts, mikey-kmsctl whenever it is asked. */
#ifndef KMS_CHAIN_H
#define KMS_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include <mikeyticket/env.h>

#define KMS_CHAIN_HASH 32 /* octets */
#define KMS_CHAIN_ID 33   /* characters of the name of a chain, terminated */

/* Where a chain has come to: after its record `seq`. */
struct kms_head {
    char chain[KMS_CHAIN_ID]; /* "" : none yet */
    uint64_t segment, seq;
    uint8_t hash[KMS_CHAIN_HASH];
};

/* One line of a segment, without its newline. */
struct kms_line {
    uint64_t seq;
    struct mkt_span text; /* what the hash is of */
    uint8_t hash[KMS_CHAIN_HASH];
};

/* kms_line_read takes a line apart; false when it is no record of ours. */
bool kms_line_read(struct kms_line *l, struct mkt_span line);

/* kms_line_hash computes the hash of a record that stands behind `former`. */
bool kms_line_hash(struct mkt_crypto *c, const uint8_t former[KMS_CHAIN_HASH], struct mkt_span text,
                   uint8_t hash[KMS_CHAIN_HASH]);

/* kms_line_first reads what a record says that begins a segment: chain and segment into *head, and
 * the hash before it into former. False when it is another record. */
bool kms_line_first(struct mkt_span text, struct kms_head *head, uint8_t former[KMS_CHAIN_HASH]);

/* A walk over the segments of one folder, in order. Zero-initialise, then set what is marked in. */
struct kms_walk {
    struct mkt_crypto *crypto;   /* in */
    const char *dir;             /* in */
    const struct kms_head *seal; /* in: what the store says of the chain; NULL: nothing is known */
    /* in: told of each damage: file, line (0: the file as a whole) and what it is; may be NULL */
    void (*damage)(void *ctx, const char *file, uint64_t line, const char *text);
    void *ctx;                     /* in */
    struct kms_head head;          /* after the last record read */
    uint8_t other[KMS_CHAIN_HASH]; /* what its hash should have been */
    uint64_t records, damages;
    uint64_t end, size; /* of the last file: end of its last whole line, and its octets */
    bool trust_first;   /* in: the first record read may stand behind any hash and number */
};

/* kms_walk_file reads one segment. False when the file cannot be read: errno. */
bool kms_walk_file(struct kms_walk *w, uint64_t segment);

/* kms_walk_end holds the end of the chain against the seal. */
void kms_walk_end(struct kms_walk *w);

/* kms_segment_name writes "audit-000001.jsonl". */
void kms_segment_name(uint64_t segment, char name[40]);

/* kms_segment_chain reads which chain a segment belongs to, from its first line. False when it does
 * not say. */
bool kms_segment_chain(const char *dir, uint64_t segment, char chain[KMS_CHAIN_ID]);

/* kms_segments lists the numbers of the segments in a folder, in order; owned by the caller. False
 * when the folder cannot be read (errno). */
bool kms_segments(const char *dir, uint64_t **numbers, size_t *n);

#endif
