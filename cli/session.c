/* SPDX-License-Identifier: Apache-2.0 */
/* The session file (docs/formats/session-file.md): written once from a Crypto Session Bundle, read
 * by `keys` and by anything else that runs SRTP. Keys go from the library straight into the blob
 * that is written, and are wiped with it. */
#include "session.h"

#include "clock.h"
#include "encode.h"
#include "files.h"
#include "flat_yaml.h"
#include "gst.h"
#include "srtp_suite.h"

#include <inttypes.h>
#include <mikeyticket/message.h>
#include <stdio.h>
#include <string.h>

#define FORMAT "mikey-ticket-session-1"
#define SESSION_FILE_MAX 524288 /* octets: 255 crypto sessions of 2 kB */
#define CSB_FILE_MAX 524288     /* octets: two messages, and 255 sessions with their policies */

static const struct cli_yaml_key keys[] = {
    { "format", false, true },       { "role", false, true },   { "peer", false, true },
    { "peer-vouched", false, true }, { "csb-id", false, true }, { "expires", false, false },
    { "rekey-by", false, false },    { "cs-id", true, true },   { "prot", true, true },
    { "suite", true, true },         { "ssrc", true, false },   { "roc", true, false },
    { "seq", true, false },          { "mki", true, true },     { "sp", true, true },
    { "key", true, true },           { "salt", true, true },
};
static const struct cli_yaml_form form = { "session", keys, CLI_COUNT(keys), "sessions" };

/* When new session keys are due (TRr). */
static bool
rekey_by(const struct mkt_csb *csb, char out[CLI_TIME_TEXT])
{
    uint64_t by = mkt_csb_rekey_by(csb);
    if (by == UINT64_MAX)
        return false;
    cli_clock_format(by, out);
    return true;
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
            print_ssrc(b, &s) && cli_yaml_print_hex(b, "    ", "mki", s.spi) &&
            cli_yaml_print_hex(b, "    ", "sp", s.params) &&
            cli_yaml_print_hex(b, "    ", "key", mkt_secret_span(&tek)) &&
            cli_yaml_print_hex(b, "    ", "salt", mkt_secret_span(&salt))) ||
           cli_fail(err, CLI_EXIT_FAILURE, "too many crypto sessions for a session file");
}

static bool
print_head(struct cli_blob *b, const struct mkt_csb *csb, struct cli_error *err)
{
    char peer[CLI_IDENTITY_TEXT], end[CLI_TIME_TEXT], rekey[CLI_TIME_TEXT];
    cli_identity_text(mkt_csb_peer(csb), peer);
    return (cli_blob_print(b, "# Keys of a call. Keep this file secret.\nformat: %s\nrole: %s\n",
                           FORMAT, mkt_csb_is_initiator(csb) ? "initiator" : "responder") &&
            cli_yaml_print(b, "", "peer", mkt_span(peer, strlen(peer))) &&
            cli_blob_print(b, "peer-vouched: %s\ncsb-id: %" PRIu32 "\n",
                           mkt_csb_peer_is_vouched(csb) ? "yes" : "no", mkt_csb_id(csb)) &&
            (!expires(csb, end) || cli_blob_print(b, "expires: \"%s\"\n", end)) &&
            (!rekey_by(csb, rekey) || cli_blob_print(b, "rekey-by: \"%s\"\n", rekey)) &&
            cli_blob_print(b, "sessions:%s\n", mkt_csb_count(csb) == 0 ? " []" : "")) ||
           cli_fail(err, CLI_EXIT_FAILURE, "session file too long");
}

static bool
csb_path(char out[4096], const char *path, struct cli_error *err)
{
    int n = snprintf(out, 4096, "%s.csb", path);
    return (n > 0 && n < 4096) ||
           cli_fail(err, CLI_EXIT_FAILURE, "the file name %.60s... is too long", path);
}

bool
cli_session_keep(const char *path, const struct mkt_csb *csb, struct cli_error *err)
{
    CLI_SCOPED_BLOB octets = { 0 };
    char beside[4096];

    if (!csb_path(beside, path, err) || !cli_blob_alloc(&octets, CSB_FILE_MAX, err))
        return false;
    enum mkt_rc rc = mkt_csb_export(csb, octets.p, octets.cap, &octets.n);
    return rc == MKT_OK ? cli_file_write(beside, CLI_SECRET, cli_blob_span(&octets), err)
                        : cli_fail(err, CLI_EXIT_FAILURE, "%s: %s", beside, mkt_strerror(rc));
}

bool
cli_session_save(const char *path, const struct mkt_csb *csb, struct mkt_crypto *crypto,
                 struct cli_error *err)
{
    CLI_SCOPED_BLOB b = { 0 };
    if (!cli_blob_alloc(&b, SESSION_FILE_MAX, err) || !print_head(&b, csb, err))
        return false;
    for (size_t i = 0; i < mkt_csb_count(csb); i++)
        if (!print_session(&b, csb, crypto, i, err))
            return false;
    return cli_session_keep(path, csb, err) &&
           cli_file_write(path, CLI_SECRET, cli_blob_span(&b), err);
}

bool
cli_session_open(struct mkt_csb **csb, int *lock, const char *path, struct cli_error *err)
{
    CLI_SCOPED_BLOB octets = { 0 };
    struct mkt_err why = { 0 };
    char beside[4096];

    *csb = NULL;
    if (!csb_path(beside, path, err) || !cli_file_lock(lock, beside, err) ||
        !cli_file_read(&octets, beside, CSB_FILE_MAX, CLI_SECRET, err))
        return false;
    return mkt_csb_import(csb, cli_blob_span(&octets), &why) == MKT_OK ||
           cli_fail_mkt(err, CLI_EXIT_FAILURE, beside, &why);
}

/* --- updates ---------------------------------------------------------------------------------- */

static uint64_t
stamp(void *ctx, uint8_t ts_type)
{
    (void)ctx;
    /* The library takes the next of the bundle when this is none that is newer. */
    return ts_type == MKT_TS_COUNTER ? 0 : cli_clock_ntp();
}

struct mkt_env
cli_session_env(struct mkt_crypto *crypto)
{
    return (struct mkt_env){
        .crypto = crypto, .now = cli_clock_ntp(), .random = mkt_crypto_random, .stamp = stamp
    };
}

static bool
in_use(const struct mkt_csb *csb, struct mkt_span params)
{
    struct mkt_session s;
    for (size_t i = 0; mkt_csb_session(csb, i, &s) == MKT_OK; i++)
        if (s.params.n == params.n &&
            (params.n == 0 || memcmp(s.params.p, params.p, params.n) == 0))
            return true;
    return false;
}

bool
cli_session_check_policies(const struct mkt_csb *csb, struct mkt_span octets, const char *path,
                           struct cli_error *err)
{
    static struct mkt_msg m; /* some kilobytes */
    struct mkt_err ignored = { 0 };
    bool weak = mkt_csb_policy(csb)->prf == MKT_PRF_MIKEY_1;

    if (mkt_msg_parse(&m, octets, &ignored) != MKT_OK)
        return true; /* the library says what is wrong */
    for (size_t i = 0; i < m.n; i++) {
        const struct mkt_pl_sp *sp = &m.pl[i].u.sp;
        if (m.pl[i].type != MKT_PL_SP || in_use(csb, sp->params))
            continue;
        const struct cli_srtp_suite *suite = cli_srtp_find(cli_srtp_name(sp->params));
        if (sp->prot_type != MKT_PROT_SRTP || suite == NULL || suite->long_key == weak)
            return cli_fail(
                err, CLI_EXIT_PEER,
                "%s is refused: a security policy in it is not supported (RFC 6043 4.2.2.4)", path);
    }
    return true;
}

void
cli_session_report_csb(struct cli_report *r, const struct mkt_csb *csb)
{
    char end[CLI_TIME_TEXT];
    struct mkt_session s;

    cli_report_identity(r, "peer", mkt_csb_peer(csb));
    cli_report_bool(r, "peer-vouched", mkt_csb_peer_is_vouched(csb));
    cli_report_uint(r, "csb-id", mkt_csb_id(csb));
    if (expires(csb, end))
        cli_report_text(r, "expires", end);
    if (rekey_by(csb, end))
        cli_report_text(r, "rekey-by", end);
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

/* Octets of a required field; *span borrows from to. */
static bool
take_hex(const struct cli_yaml *y, size_t item, const char *name, uint8_t *to, size_t cap,
         struct mkt_span *span, struct cli_error *err)
{
    size_t n = 0;
    bool ok = cli_yaml_hex(y, cli_yaml_get(y, item, name), to, cap, &n, err);
    *span = mkt_span(to, n);
    return ok;
}

/* A number that may be missing. */
static bool
take_number(const struct cli_yaml *y, size_t item, const char *name, uint32_t *to, bool *has,
            struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(y, item, name);
    uint64_t number = 0;

    *has = f != NULL;
    if (f != NULL && !cli_yaml_uint(y, f, UINT32_MAX, &number, err))
        return false;
    *to = (uint32_t)number;
    return true;
}

static bool
report_gst(struct cli_report *r, const struct cli_yaml *y, size_t item, struct cli_error *err)
{
    uint8_t params[256], mki[255];
    MKT_SCOPED_SECRET
    key = { 0 };
    MKT_SCOPED_SECRET
    salt = { 0 };
    struct cli_gst s = { 0 };
    uint32_t prot;
    bool has;

    if (!take_number(y, item, "prot", &prot, &has, err))
        return false;
    if (prot != MKT_PROT_SRTP)
        return true;
    return take_number(y, item, "roc", &s.roc, &has, err) &&
           take_number(y, item, "ssrc", &s.ssrc, &s.has_ssrc, err) &&
           take_hex(y, item, "sp", params, sizeof params, &s.params, err) &&
           take_hex(y, item, "mki", mki, sizeof mki, &s.mki, err) &&
           take_hex(y, item, "key", key.b, sizeof key.b, &s.key, err) &&
           take_hex(y, item, "salt", salt.b, sizeof salt.b, &s.salt, err) &&
           cli_gst_report(r, &s, err);
}

static bool
report_item(struct cli_report *r, const struct cli_yaml *y, size_t item, enum cli_session_show show,
            struct cli_error *err)
{
    cli_report_item(r);
    for (size_t i = 0; i < CLI_COUNT(shown); i++) {
        const struct cli_yaml_field *f = cli_yaml_get(y, item, shown[i].name);
        if (f != NULL && (show != CLI_SHOW_NO_KEYS || !shown[i].secret) &&
            !report_field(r, y, f, &shown[i], err))
            return false;
    }
    if (show == CLI_SHOW_KEYS_AND_GST && !report_gst(r, y, item, err))
        return false;
    cli_report_close(r);
    return true;
}

static bool
report_all(struct cli_report *r, const struct cli_yaml *y, enum cli_session_show show,
           struct cli_error *err)
{
    static const char *const head[] = { "role", "peer", "expires", "rekey-by" };
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
        if (!report_item(r, y, i, show, err))
            return false;
    cli_report_close(r);
    return true;
}

bool
cli_session_report_file(struct cli_report *r, const char *path, enum cli_session_show show,
                        struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    CLI_SCOPED_YAML y = { 0 };
    return cli_file_read(&text, path, SESSION_FILE_MAX, CLI_SECRET, err) &&
           cli_yaml_read(&y, &form, path, cli_blob_span(&text), err) &&
           report_all(r, &y, show, err);
}
