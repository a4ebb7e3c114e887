/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of HTTP that say nothing but their status: made once, given often. */
#ifndef KMS_HTTP_PLAIN_H
#define KMS_HTTP_PLAIN_H

#include <microhttpd.h>
#include <stdbool.h>

#define KMS_HTTP_PLAIN_MAX 8

struct kms_http_plain {
    struct MHD_Response *responses[KMS_HTTP_PLAIN_MAX];
};

/* kms_http_plain_init makes them; p is zero before. False: no memory; free p then, too. */
bool kms_http_plain_init(struct kms_http_plain *p);
void kms_http_plain_free(struct kms_http_plain *p);

/* kms_http_plain_answer queues the one of that status; MHD_NO, which closes the connection, when
 * there is none. */
enum MHD_Result kms_http_plain_answer(const struct kms_http_plain *p, struct MHD_Connection *c,
                                      unsigned status);

#endif
