/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the admin API share: api.c is the way of a call, api_given.c reads what was
 * given, api_record.c writes what was done. */
#ifndef KMS_API_PARTS_H
#define KMS_API_PARTS_H

#include <mikeyticket/env.h>

#include "api.h"
#include "wish.h"

/* Statuses, by what they mean here. */
enum {
    KMS_API_OK = 200,
    KMS_API_CREATED = 201,
    KMS_API_MALFORMED = 400,
    KMS_API_UNAUTHORIZED = 401,
    KMS_API_NOT_PERMITTED = 403,
    KMS_API_NOT_FOUND = 404,
    KMS_API_NO_METHOD = 405,
    KMS_API_CONFLICT = 409,
    KMS_API_TOO_LARGE = 413,
    KMS_API_NOT_ALLOWED = 422, /* by the policy */
    KMS_API_BROKEN = 500,
    KMS_API_NOT_NOW = 503
};

/* kms_api_decode undoes percent-encoding of n octets strictly; owned text, NULL when it is wrong,
 * holds a control character, or memory fails. plus: "+" is a blank (of a query). */
char *kms_api_decode(const char *p, size_t n, bool plus);

/* kms_api_take_query and kms_api_take_body fill c->given, against the fields of the endpoint;
 * query begins with its "?", or is empty. False: it was refused. */
bool kms_api_take_query(struct kms_api_call *c, const char *query);
bool kms_api_take_body(struct kms_api_call *c, const char *body, size_t n);

/* kms_api_record writes what was asked and how it ended, and waits until it is on record. */
bool kms_api_record(struct kms_api_call *c);

/* kms_api_wish takes the parameters of a wish; NULL, or what is wrong. */
const char *kms_api_wish(struct kms_wish *w, const struct kms_api_call *c);

/* kms_api_now tells the time of the store, NTP-UTC. */
static inline uint64_t
kms_api_now(const struct kms_api_call *c)
{
    int64_t ns = kms_store_clock_ns(c->api->clock);

    return mkt_ntp_from_unix(ns / KMS_NS_PER_S, (uint32_t)(ns % KMS_NS_PER_S));
}

/* kms_api_words makes JSON of octets that need not be UTF-8: others stand as "?". */
json_t *kms_api_words(const char *text);

#endif
