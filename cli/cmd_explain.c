/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket explain: what a Ticket Policy allows, and which rules a bad one breaks. The operand
 * is a few letters, or a message in anything that decode takes. */
#include "carrier.h"
#include "clock.h"
#include "explain.h"
#include "flag_words.h"
#include "options.h"
#include "report.h"

#include <ctype.h>
#include <mikeyticket/env.h>
#include <mikeyticket/key.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FLAGS_TEXT_MAX 12 /* letters; a message in base64 is longer */

/* --- input -------------------------------------------------------------------------------------
 */

static bool
is_flags(const char *operand)
{
    size_t n = 0;
    while (n <= FLAGS_TEXT_MAX && isalpha((unsigned char)operand[n]))
        n++;
    return n <= FLAGS_TEXT_MAX && operand[n] == '\0' && access(operand, F_OK) != 0;
}

static bool
read_letters(struct cli_subject *s, const char *letters, struct cli_error *err)
{
    *s = (struct cli_subject){ .msg = NULL };
    const char *bad = cli_flags_read(letters, UINT16_MAX, &s->flags);
    return bad == NULL ||
           cli_fail(err, CLI_EXIT_USAGE, "%s: '%c' is no flag; they are D E F G H I J K L M N O",
                    letters, *bad);
}

static bool
read_message(struct cli_subject *s, const struct cli_carrier *c, struct cli_error *err)
{
    static struct mkt_msg m; /* some kilobytes; a run explains one */
    struct mkt_err why = { 0 };
    if (c->n > 1)
        cli_say("there are %zu messages; the first is explained", c->n);
    if (mkt_msg_parse(&m, cli_carrier_message(c, 0), &why) != MKT_OK ||
        mkt_msg_check(&m, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_MALFORMED, "not a valid message", &why);
    return cli_subject_message(s, &m) ||
           cli_fail(err, CLI_EXIT_USAGE, "a message of type %s carries no Ticket Policy",
                    mkt_data_type_name(m.hdr.data_type));
}

/* --- output ------------------------------------------------------------------------------------
 */

static void
report_flags(struct cli_report *r, uint16_t flags)
{
    char text[128];
    cli_report_list(r, "meaning");
    for (size_t i = 0; i < CLI_FLAGS; i++) {
        bool set = (flags & cli_flags[i].flag) != 0;
        snprintf(text, sizeof text, "%s%c: %s", set ? "" : "not ", cli_flags[i].letter,
                 set ? cli_flags[i].set : cli_flags[i].clear);
        cli_report_text(r, NULL, text);
    }
    cli_report_close(r);
}

static void
report_what_follows(struct cli_report *r, uint16_t flags)
{
    const struct cli_mode *mode = cli_explain_mode(flags);
    struct cli_consequence c;
    cli_report_uint(r, "mode", mode->number);
    cli_report_text(r, "mode-in-words", mode->words);
    cli_report_text(r, "exchanges", mode->exchanges);
    for (size_t i = 0; cli_explain_next(&i, flags, &c);)
        cli_report_text(r, c.key, c.words);
}

static void
report_time(struct cli_report *r, const char *key, struct mkt_time t)
{
    char text[CLI_TIME_TEXT] = "no limit";
    if (t.has)
        cli_clock_format(t.value, text);
    cli_report_text(r, key, text);
}

static void
report_validity(struct cli_report *r, const struct mkt_policy *p, uint64_t now)
{
    struct mkt_err why = { 0 };
    char text[CLI_SPAN_TEXT];
    bool valid = mkt_policy_valid_at(p, now, &why) == MKT_OK;
    report_time(r, "valid-from", p->start);
    report_time(r, "valid-until", p->end);
    int64_t seconds = mkt_ntp_to_unix(p->end.value) - mkt_ntp_to_unix(p->start.value);
    if (p->start.has && p->end.has && seconds >= 0) {
        cli_explain_seconds((uint64_t)seconds, text);
        cli_report_text(r, "valid-for", text);
    }
    cli_report_text(r, "now",
                    valid                          ? "valid"
                    : strcmp(why.what, "TRs") == 0 ? "not valid yet"
                                                   : "expired");
    if (p->rekey.has) {
        cli_explain_seconds(p->rekey.value >> 32, text);
        cli_report_text(r, "rekey-within", text);
    }
}

static void
report_identities(struct cli_report *r, const char *key, const struct mkt_identity *id, size_t n,
                  const char *none)
{
    if (n == 0) {
        cli_report_text(r, key, none);
        return;
    }
    cli_report_list(r, key);
    for (size_t i = 0; i < n; i++)
        cli_report_identity(r, NULL, id[i]);
    cli_report_close(r);
}

static void
report_wanted(struct cli_report *r, const struct mkt_policy *p)
{
    if (p->n_wanted == 0) {
        cli_report_text(r, "keys-wanted",
                        p->has_kemac ? "none" : "left to the KMS: by default one TGK without salt");
        return;
    }
    cli_report_list(r, "keys-wanted");
    for (size_t i = 0; i < p->n_wanted; i++) {
        const struct mkt_want_key *k = &p->wanted[i];
        cli_report_item(r);
        cli_report_text(r, "type", mkt_key_type_name(k->type));
        cli_report_uint(r, "octets", k->key_len);
        if (k->salt_len != 0)
            cli_report_uint(r, "salt-octets", k->salt_len);
        if (k->kv == MKT_KV_SPI)
            cli_report_hex(r, "spi", k->spi);
        cli_report_close(r);
    }
    cli_report_close(r);
}

static void
report_policy(struct cli_report *r, const struct cli_subject *s, uint64_t now)
{
    const struct mkt_policy *p = &s->policy;
    const struct mkt_suite *suite = mkt_suite_of(p->prf);
    report_validity(r, p, now);
    cli_report_text(r, "suite", suite != NULL ? suite->name : "unknown: the PRF is not registered");
    if (p->kms.data.p != NULL)
        cli_report_identity(r, "kms", p->kms);
    if (p->initiator.data.p != NULL)
        cli_report_identity(r, "initiator", p->initiator);
    report_identities(r, "may-answer", p->responders, p->n_responders, "nobody is named");
    report_identities(r, "applications", p->apps, p->n_apps, "any");
    if (cli_subject_wish(s))
        report_wanted(r, p);
}

static void
report_judgement(struct cli_report *r, const struct cli_subject *s, const struct cli_breaches *b)
{
    const char *words;
    size_t i = 0;
    cli_report_list(r, "notes");
    while (cli_explain_note(&i, s, &words))
        cli_report_text(r, NULL, words);
    cli_report_close(r);
    cli_report_bool(r, "rules-hold", b->n == 0);
    cli_report_list(r, "broken-rules");
    for (i = 0; i < b->n; i++) {
        cli_report_item(r);
        cli_report_text(r, "rule", b->of[i].rule);
        cli_report_text(r, "clause", b->of[i].clause);
        if (b->of[i].help[0] != '\0')
            cli_report_text(r, "help", b->of[i].help);
        cli_report_close(r);
    }
    cli_report_close(r);
}

static void
report(const struct cli_subject *s, const struct cli_breaches *b, uint64_t now, bool json)
{
    struct cli_report r;
    char letters[13];
    mkt_policy_flags_format(s->flags, letters);
    cli_report_begin(&r, stdout, json);
    if (s->msg != NULL) {
        cli_report_text(&r, "message", mkt_data_type_name(s->msg->hdr.data_type));
        cli_report_text(&r, "policy", cli_subject_wish(s) ? "wished for" : "granted");
    }
    cli_report_text(&r, "flags", letters[0] != '\0' ? letters : "none");
    report_flags(&r, s->flags);
    report_what_follows(&r, s->flags);
    if (s->msg != NULL)
        report_policy(&r, s, now);
    report_judgement(&r, s, b);
    cli_report_end(&r);
}

bool
cli_cmd_explain(const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_CARRIER c = { 0 };
    static struct cli_subject s; /* some kilobytes */
    struct cli_breaches b;
    uint64_t now = cli_clock_ntp();

    if (args->operand != NULL && is_flags(args->operand)) {
        if (!read_letters(&s, args->operand, err))
            return false;
    } else if (!cli_carrier_operand(&c, args->operand, err) || !read_message(&s, &c, err))
        return false;
    cli_explain_breaches(&b, &s, now);
    report(&s, &b, now, cli_args_has(args, CLI_OPT_JSON));
    return b.n == 0 || cli_fail(err, CLI_EXIT_MALFORMED, "the policy breaks %zu rule%s", b.n,
                                b.n == 1 ? "" : "s");
}
