/* SPDX-License-Identifier: Apache-2.0 */
/* A response for each status of a table. */
#include "http_plain.h"

static const unsigned statuses[] = {
    MHD_HTTP_BAD_REQUEST,        MHD_HTTP_FORBIDDEN,           MHD_HTTP_NOT_FOUND,
    MHD_HTTP_METHOD_NOT_ALLOWED, MHD_HTTP_CONTENT_TOO_LARGE,   MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
    MHD_HTTP_TOO_MANY_REQUESTS,  MHD_HTTP_SERVICE_UNAVAILABLE,
};
#define N (sizeof statuses / sizeof statuses[0])
_Static_assert(N <= KMS_HTTP_PLAIN_MAX, "room for each");

bool
kms_http_plain_init(struct kms_http_plain *p)
{
    for (size_t i = 0; i < N; i++) {
        struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);

        if (r == NULL)
            return false;
        p->responses[i] = r;
        MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        if (statuses[i] == MHD_HTTP_METHOD_NOT_ALLOWED)
            MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, MHD_HTTP_METHOD_POST);
        if (statuses[i] == MHD_HTTP_TOO_MANY_REQUESTS ||
            statuses[i] == MHD_HTTP_SERVICE_UNAVAILABLE)
            MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    }
    return true;
}

void
kms_http_plain_free(struct kms_http_plain *p)
{
    for (size_t i = 0; i < N && p->responses[i] != NULL; i++)
        MHD_destroy_response(p->responses[i]);
}

enum MHD_Result
kms_http_plain_answer(const struct kms_http_plain *p, struct MHD_Connection *c, unsigned status)
{
    for (size_t i = 0; i < N; i++)
        if (statuses[i] == status)
            return MHD_queue_response(c, status, p->responses[i]);
    return MHD_NO;
}
