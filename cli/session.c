/* SPDX-License-Identifier: Apache-2.0 */
/* The session file (docs/formats/session-file.md): written once from a Crypto Session Bundle, read
 * by `keys` and by anything else that runs SRTP. Keys go from the library straight into the blob
 * that is written, and are wiped with it. */
#include "session.h"

#include "clock.h"
#include "encode.h"
#include "files.h"
#include "flat_yaml.h"
#include "srtp_suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FORMAT "mikey-ticket-session-1"
#define SESSION_FILE_MAX 524288 /* octets: 255 crypto sessions of 2 kB */

static const struct cli_yaml_key keys[] = {
    { "format", false, true },       { "role", false, true },   { "peer", false, true },
    { "peer-vouched", false, true }, { "csb-id", false, true }, { "expires", false, false },
    { "cs-id", true, true },         { "prot", true, true },    { "suite", true, true },
    { "ssrc", true, false },         { "roc", true, false },    { "seq", true, false },
    { "mki", true, true },           { "sp", true, true },      { "key", true, true },
    { "salt", true, true },
};
static const struct cli_yaml_form form = { "session", keys, CLI_COUNT(keys), "sessions" };

/* With key forking the KMS has vouched for the one that answered (RFC 6043 5.1.1); the Initiator's
 * identity is always that of the ticket. */
static bool
is_vouched(const struct mkt_csb *csb, bool initiator)
{
    return !initiator || (mkt_csb_policy(csb)->flags & MKT_TP_I) != 0;
}

static bool
expires(const struct mkt_csb *csb, char out[CLI_TIME_TEXT])
{
    const struct mkt_time *end = &mkt_csb_policy(csb)->end;
    if (!end->has || end->type == MKT_TS_COUNTER)
        return false;
    cli_clock_format(end->value, out);
    return true;
}

/* --- writing --------------------------------------------------------------------------------- */

static bool
print_hex(struct cli_blob *b, const char *key, struct mkt_span octets)
{
    if (!cli_blob_print(b, "    %s: \"", key) || b->cap - b->n < 2 * octets.n + 1)
        return false;
    cli_hex_encode(octets, (char *)b->p + b->n);
    b->n += 2 * octets.n;
    return cli_blob_print(b, "\"\n");
}

static bool
print_ssrc(struct cli_blob *b, const struct mkt_session *s)
{
    return !s->has_ssrc ||
           cli_blob_print(b, "    ssrc: %" PRIu32 "\n    roc: %" PRIu32 "\n    seq: %u\n", s->ssrc,
                          s->roc, s->seq);
}

static bool
print_session(struct cli_blob *b, const struct mkt_csb *csb, struct mkt_crypto *crypto,
              size_t index, struct cli_error *err)
{
    struct mkt_session s;
    MKT_SCOPED_SECRET
    tek = { 0 };
    MKT_SCOPED_SECRET
    salt = { 0 };
    struct mkt_err why = { 0 };

    if (mkt_csb_session(csb, index, &s) != MKT_OK ||
        mkt_csb_derive(csb, crypto, index, &tek, &salt, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot derive the keys", &why);
    const char *suite = s.prot_type == MKT_PROT_SRTP ? cli_srtp_name(s.params) : "";
    return (cli_blob_print(b, "  - cs-id: %u\n    prot: %u\n    suite: \"%s\"\n", s.cs_id,
                           s.prot_type, suite) &&
            print_ssrc(b, &s) && print_hex(b, "mki", s.spi) && print_hex(b, "sp", s.params) &&
            print_hex(b, "key", mkt_secret_span(&tek)) &&
            print_hex(b, "salt", mkt_secret_span(&salt))) ||
           cli_fail(err, CLI_EXIT_FAILURE, "too many crypto sessions for a session file");
}

static bool
print_head(struct cli_blob *b, const struct mkt_csb *csb, bool initiator, struct cli_error *err)
{
    char peer[CLI_IDENTITY_TEXT], end[CLI_TIME_TEXT];
    cli_identity_text(mkt_csb_peer(csb), peer);
    return (cli_blob_print(b, "# Keys of a call. Keep this file secret.\nformat: %s\nrole: %s\n",
                           FORMAT, initiator ? "initiator" : "responder") &&
            cli_yaml_print(b, "", "peer", mkt_span(peer, strlen(peer))) &&
            cli_blob_print(b, "peer-vouched: %s\ncsb-id: %" PRIu32 "\n",
                           is_vouched(csb, initiator) ? "yes" : "no", mkt_csb_id(csb)) &&
            (!expires(csb, end) || cli_blob_print(b, "expires: \"%s\"\n", end)) &&
            cli_blob_print(b, "sessions:%s\n", mkt_csb_count(csb) == 0 ? " []" : "")) ||
           cli_fail(err, CLI_EXIT_FAILURE, "session file too long");
}

bool
cli_session_save(const char *path, const struct mkt_csb *csb, struct mkt_crypto *crypto,
                 bool initiator, struct cli_error *err)
{
    CLI_SCOPED_BLOB b = { 0 };
    if (!cli_blob_alloc(&b, SESSION_FILE_MAX, err) || !print_head(&b, csb, initiator, err))
        return false;
    for (size_t i = 0; i < mkt_csb_count(csb); i++)
        if (!print_session(&b, csb, crypto, i, err))
            return false;
    return cli_file_write(path, CLI_SECRET, cli_blob_span(&b), err);
}

void
cli_session_report_csb(struct cli_report *r, const struct mkt_csb *csb, bool initiator)
{
    char end[CLI_TIME_TEXT];
    struct mkt_session s;

    cli_report_identity(r, "peer", mkt_csb_peer(csb));
    cli_report_bool(r, "peer-vouched", is_vouched(csb, initiator));
    cli_report_uint(r, "csb-id", mkt_csb_id(csb));
    if (expires(csb, end))
        cli_report_text(r, "expires", end);
    cli_report_list(r, "sessions");
    for (size_t i = 0; i < mkt_csb_count(csb); i++) {
        if (mkt_csb_session(csb, i, &s) != MKT_OK)
            continue;
        cli_report_item(r);
        cli_report_uint(r, "cs-id", s.cs_id);
        if (s.has_ssrc)
            cli_report_uint(r, "ssrc", s.ssrc);
        if (s.prot_type == MKT_PROT_SRTP)
            cli_report_text(r, "suite", cli_srtp_name(s.params));
        cli_report_hex(r, "mki", s.spi);
        cli_report_close(r);
    }
    cli_report_close(r);
}

/* --- reading --------------------------------------------------------------------------------- */

/* The fields of an item in the order they are shown; the secret ones only on demand. */
static const struct shown {
    const char *name;
    enum { TEXT, NUMBER, HEX } as;
    bool secret;
} shown[] = {
    { "cs-id", NUMBER, false }, { "prot", NUMBER, false }, { "ssrc", NUMBER, false },
    { "roc", NUMBER, false },   { "seq", NUMBER, false },  { "suite", TEXT, false },
    { "mki", HEX, false },      { "key", HEX, true },      { "salt", HEX, true },
};

static bool
report_field(struct cli_report *r, const struct cli_yaml *y, const struct cli_yaml_field *f,
             const struct shown *s, struct cli_error *err)
{
    MKT_SCOPED_SECRET
    octets = { 0 };
    uint8_t mki[255];
    uint64_t number;
    size_t n = 0;

    if (s->as == TEXT) {
        cli_report_identity(r, s->name, (struct mkt_identity){ 0, mkt_span(f->value, f->len) });
        return true;
    }
    if (s->as == NUMBER) {
        if (!cli_yaml_uint(y, f, UINT32_MAX, &number, err))
            return false;
        cli_report_uint(r, s->name, number);
        return true;
    }
    uint8_t *to = s->secret ? octets.b : mki;
    if (!cli_yaml_hex(y, f, to, s->secret ? sizeof octets.b : sizeof mki, &n, err))
        return false;
    cli_report_hex(r, s->name, mkt_span(to, n));
    return true;
}

static bool
report_item(struct cli_report *r, const struct cli_yaml *y, size_t item, bool show_keys,
            struct cli_error *err)
{
    cli_report_item(r);
    for (size_t i = 0; i < CLI_COUNT(shown); i++) {
        const struct cli_yaml_field *f = cli_yaml_get(y, item, shown[i].name);
        if (f != NULL && (show_keys || !shown[i].secret) && !report_field(r, y, f, &shown[i], err))
            return false;
    }
    cli_report_close(r);
    return true;
}

static bool
report_all(struct cli_report *r, const struct cli_yaml *y, bool show_keys, struct cli_error *err)
{
    static const char *const head[] = { "role", "peer", "expires" };
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, "format");
    uint64_t csb_id;

    if (strcmp(f->value, FORMAT) != 0)
        return cli_yaml_fail(y, f, "expected " FORMAT, err);
    if (!cli_yaml_uint(y, cli_yaml_get(y, CLI_YAML_TOP, "csb-id"), UINT32_MAX, &csb_id, err))
        return false;
    for (size_t i = 0; i < CLI_COUNT(head); i++) {
        f = cli_yaml_get(y, CLI_YAML_TOP, head[i]);
        if (f != NULL)
            cli_report_text(r, head[i], f->value);
    }
    cli_report_bool(r, "peer-vouched",
                    strcmp(cli_yaml_get(y, CLI_YAML_TOP, "peer-vouched")->value, "yes") == 0);
    cli_report_uint(r, "csb-id", csb_id);
    cli_report_list(r, "sessions");
    for (size_t i = 0; i < y->items; i++)
        if (!report_item(r, y, i, show_keys, err))
            return false;
    cli_report_close(r);
    return true;
}

bool
cli_session_report_file(struct cli_report *r, const char *path, bool show_keys,
                        struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    CLI_SCOPED_YAML y = { 0 };
    return cli_file_read(&text, path, SESSION_FILE_MAX, CLI_SECRET, err) &&
           cli_yaml_read(&y, &form, path, cli_blob_span(&text), err) &&
           report_all(r, &y, show_keys, err);
}
