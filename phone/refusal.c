/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals in SIP's words: status and Warning headers (RFC 3261 20.43). */
#include "refusal.h"

/* A KMS that does not answer is no fault of the offer. */
struct mkt_sdp_refusal
phone_refusal_keys(enum mkt_rc rc, const struct cli_error *err)
{
    if (err->code != CLI_EXIT_UNREACHABLE)
        return mkt_sdp_refusal(rc, false);
    return (struct mkt_sdp_refusal){ .status = 480,
                                     .reason = "Temporarily Unavailable",
                                     .n = 1,
                                     .warning = { { 399, "The key management service of the callee "
                                                         "cannot be reached" } } };
}

struct mkt_sdp_refusal
phone_refusal_media(void)
{
    return (struct mkt_sdp_refusal){
        .status = 488,
        .reason = "Not Acceptable Here",
        .n = 1,
        .warning = { { 305, "Incompatible media format: no audio that is spoken here" } }
    };
}

struct mkt_sdp_refusal
phone_refusal_body(void)
{
    return (struct mkt_sdp_refusal){ .status = 415, .reason = "Unsupported Media Type" };
}

int
phone_refusal_print(struct re_printf *pf, const struct mkt_sdp_refusal *r)
{
    int err = r->status == 415 ? re_hprintf(pf, "Accept: application/sdp\r\n") : 0;

    for (size_t i = 0; i < r->n && err == 0; i++)
        err = re_hprintf(pf, "Warning: %u mikey-phone \"%s\"\r\n", r->warning[i].code,
                         r->warning[i].text);
    return err != 0 ? err : re_hprintf(pf, "Content-Length: 0\r\n\r\n");
}

void
phone_refuse(struct sip *sip, const struct sip_msg *msg, const struct mkt_sdp_refusal *r)
{
    (void)sip_treplyf(NULL, NULL, sip, msg, false, (uint16_t)r->status, r->reason, "%H",
                      phone_refusal_print, r);
}
