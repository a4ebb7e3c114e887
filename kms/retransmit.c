/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of records [header, source, request, answer], written in order and overwritten in order,
 * and a table of the last record of each hash. A position that the ring has passed is stale, so
 * nothing has to be removed. No allocation after the start. */
#include "retransmit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <mikeyticket/env.h>

#include "hash.h"

struct record {
    uint64_t tag;
    int64_t kept_s;
    uint32_t source_len, request_len, answer_len;
};

struct kms_retransmit {
    struct kms_hash_key key;
    uint8_t *ring;
    size_t octets;
    uint64_t head;   /* octets ever written: position head % octets */
    uint64_t *slots; /* position of a record + 1, 0: none */
    size_t mask;
};

struct kms_retransmit *
kms_retransmit_new(uint32_t octets)
{
    struct kms_retransmit *t = calloc(1, sizeof *t);

    if (t == NULL)
        return NULL;
    t->octets = octets / 8 * 8;
    t->mask = 63;
    while (t->mask * 512 < t->octets)
        t->mask = 2 * t->mask + 1;
    t->slots = calloc(t->mask + 1, sizeof *t->slots);
    t->ring = mmap(NULL, t->octets, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->ring == MAP_FAILED)
        t->ring = NULL;
    if (t->slots == NULL || t->ring == NULL ||
        !mkt_crypto_random(NULL, (uint8_t *)&t->key, sizeof t->key)) {
        kms_retransmit_free(t);
        return NULL;
    }
    return t;
}

void
kms_retransmit_free(struct kms_retransmit *t)
{
    if (t == NULL)
        return;
    if (t->ring != NULL)
        munmap(t->ring, t->octets);
    free(t->slots);
    free(t);
}

static size_t
octets_of(const struct record *r)
{
    size_t n = sizeof *r + r->source_len + r->request_len + r->answer_len;

    return (n + 7) / 8 * 8;
}

struct mkt_span
kms_retransmit_find(struct kms_retransmit *t, struct mkt_span source, struct mkt_span request,
                    int64_t now_s, uint64_t *tag)
{
    const struct mkt_span none = { NULL, 0 };
    const struct record *r;
    const uint8_t *body;
    uint64_t at;

    *tag = kms_hash(&t->key, request.p, request.n) ^ kms_hash(&t->key, source.p, source.n);
    at = t->slots[*tag & t->mask];
    if (at-- == 0 || t->head - at > t->octets)
        return none;
    r = (const struct record *)(const void *)(t->ring + at % t->octets);
    body = (const uint8_t *)(r + 1);
    if (r->tag != *tag || now_s - r->kept_s > KMS_RETRANSMIT_S || r->source_len != source.n ||
        r->request_len != request.n || memcmp(body, source.p, source.n) != 0 ||
        memcmp(body + source.n, request.p, request.n) != 0)
        return none;
    return mkt_span(body + source.n + request.n, r->answer_len);
}

void
kms_retransmit_keep(struct kms_retransmit *t, uint64_t tag, struct mkt_span source,
                    struct mkt_span request, struct mkt_span answer, int64_t now_s)
{
    struct record head = { tag, now_s, (uint32_t)source.n, (uint32_t)request.n,
                           (uint32_t)answer.n };
    size_t n = octets_of(&head), left = t->octets - (size_t)(t->head % t->octets);
    uint8_t *at;

    if (n > t->octets)
        return;
    if (left < n)
        t->head += left; /* a record does not wrap */
    at = t->ring + t->head % t->octets;
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, source.p, source.n);
    memcpy(at + sizeof head + source.n, request.p, request.n);
    memcpy(at + sizeof head + source.n + request.n, answer.p, answer.n);
    t->slots[tag & t->mask] = t->head + 1;
    t->head += n;
}
