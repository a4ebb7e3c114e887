/* SPDX-License-Identifier: Apache-2.0 */
/* See gst.h. SRTCP has a tag of 10 octets under the suites whose SRTP tag has 4, as it has
 * elsewhere (RFC 3711 5.2); the suites with GCM have no authentication of their own. */
#include "gst.h"

#include "encode.h"
#include "srtp_suite.h"

#include <inttypes.h>
#include <string.h>

#define LINE_MAX_OCTETS 2048
#define SALT 14 /* octets, for AES-CM */

static const struct cipher {
    const char *suite, *cipher, *rtp_auth, *rtcp_auth;
} ciphers[] = {
    { "AES_CM_128_HMAC_SHA1_80", "aes-128-icm", "hmac-sha1-80", "hmac-sha1-80" },
    { "AES_CM_128_HMAC_SHA1_32", "aes-128-icm", "hmac-sha1-32", "hmac-sha1-80" },
    { "AES_256_CM_HMAC_SHA1_80", "aes-256-icm", "hmac-sha1-80", "hmac-sha1-80" },
    { "AES_256_CM_HMAC_SHA1_32", "aes-256-icm", "hmac-sha1-32", "hmac-sha1-80" },
    { "AEAD_AES_128_GCM", "aes-128-gcm", "null", "null" },
    { "AEAD_AES_256_GCM", "aes-256-gcm", "null", "null" },
};

static const struct cipher *
find(struct mkt_span params)
{
    for (size_t i = 0; i < CLI_COUNT(ciphers); i++)
        if (strcmp(ciphers[i].suite, cli_srtp_name(params)) == 0)
            return &ciphers[i];
    return NULL;
}

static bool
print_hex(struct cli_blob *b, struct mkt_span octets)
{
    if (b->cap - b->n < 2 * octets.n + 1)
        return false;
    cli_hex_encode(octets, (char *)b->p + b->n);
    b->n += 2 * octets.n;
    return true;
}

/* Master key and salt, one behind the other. */
static bool
print_key(struct cli_blob *b, const struct cli_gst *s)
{
    static const uint8_t zeros[SALT];
    return print_hex(b, s->key) &&
           print_hex(b, s->salt.n != 0 ? s->salt : mkt_span(zeros, sizeof zeros));
}

static bool
print_send(struct cli_blob *b, const struct cli_gst *s, const struct cipher *c)
{
    return (!s->has_ssrc ||
            cli_blob_print(b, "'application/x-rtp,ssrc=(uint)%" PRIu32 "' ! ", s->ssrc)) &&
           cli_blob_print(b, "srtpenc key=") && print_key(b, s) &&
           (s->mki.n == 0 || (cli_blob_print(b, " mki=") && print_hex(b, s->mki))) &&
           cli_blob_print(b, " rtp-cipher=%s rtp-auth=%s rtcp-cipher=%s rtcp-auth=%s", c->cipher,
                          c->rtp_auth, c->cipher, c->rtcp_auth);
}

static bool
print_receive(struct cli_blob *b, const struct cli_gst *s, const struct cipher *c)
{
    return cli_blob_print(b,
                          "'application/x-srtp,ssrc=(uint)%" PRIu32 ",roc=(uint)%" PRIu32
                          ",srtp-key=(buffer)",
                          s->ssrc, s->roc) &&
           print_key(b, s) &&
           (s->mki.n == 0 || (cli_blob_print(b, ",mki=(buffer)") && print_hex(b, s->mki))) &&
           cli_blob_print(b,
                          ",srtp-cipher=(string)%s,srtp-auth=(string)%s,srtcp-cipher=(string)%s,"
                          "srtcp-auth=(string)%s' ! srtpdec",
                          c->cipher, c->rtp_auth, c->cipher, c->rtcp_auth);
}

bool
cli_gst_report(struct cli_report *r, const struct cli_gst *s, struct cli_error *err)
{
    const struct cipher *c = find(s->params);
    CLI_SCOPED_BLOB send = { 0 };
    CLI_SCOPED_BLOB receive = { 0 };

    if (c == NULL || (s->salt.n == 0 && strcmp(c->rtp_auth, "null") == 0))
        return true;
    if (!cli_blob_alloc(&send, LINE_MAX_OCTETS, err) ||
        !cli_blob_alloc(&receive, LINE_MAX_OCTETS, err))
        return false;
    if (!print_send(&send, s, c) || !print_receive(&receive, s, c))
        return cli_fail(err, CLI_EXIT_FAILURE, "an MKI is too long for a line of GStreamer");
    if (s->roc == 0)
        cli_report_text(r, "gst-send", (const char *)send.p);
    if (s->has_ssrc)
        cli_report_text(r, "gst-receive", (const char *)receive.p);
    return true;
}
