/* SPDX-License-Identifier: Apache-2.0 */
/* A crypto session in the words of GStreamer's srtpenc and srtpdec, to be pasted into a pipeline.
 */
#ifndef MKT_CLI_GST_H
#define MKT_CLI_GST_H

#include "report.h"

struct cli_gst {
    struct mkt_span params, mki, key, salt; /* of SRTP; a salt of 0 octets is all zeros */
    bool has_ssrc;
    uint32_t ssrc, roc;
};

/* cli_gst_report reports the elements that send s as "gst-send" and those that receive it as
 * "gst-receive", quoted for a shell, keys and all. What GStreamer cannot do is left out: suites
 * that are none of its own, sending from another ROC than 0, receiving without an SSRC. */
MKT_MUST_USE bool cli_gst_report(struct cli_report *r, const struct cli_gst *s,
                                 struct cli_error *err);

#endif
