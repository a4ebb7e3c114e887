/* SPDX-License-Identifier: Apache-2.0 */
/* The wanted Ticket Policy from the command line, and the granted one in words. */
#include "wish.h"

#include "clock.h"
#include "credential.h"
#include "explain.h"
#include "flag_words.h"
#include "session_key.h"

#include <string.h>

#define DEFAULT_VALIDITY_S 3600

/* --- the wish -------------------------------------------------------------------------------- */

static bool
read_flags(const char *letters, uint16_t *out, struct cli_error *err)
{
    const char *bad = cli_flags_read(letters, (uint16_t)~MKT_TP_K, out);
    return bad == NULL ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "--flags %s: '%c' is none of D E F G H I J L M N O (K is the KMS's)", letters,
                    *bad);
}

/* Options that say in a word what --flags says in letters. */
static const struct {
    enum cli_option option;
    const char *name;
    uint16_t set, clear;
} words[] = {
    { CLI_OPT_NO_FORKING, "no-forking", 0, MKT_TP_I },
    { CLI_OPT_NO_RESOLVE, "no-resolve", 0, MKT_TP_E | MKT_TP_I }, /* I implies E */
    { CLI_OPT_REUSE, "reuse", MKT_TP_J, 0 },
};

static bool
take_words(struct mkt_policy *want, const struct cli_args *args, struct cli_error *err)
{
    for (size_t i = 0; i < CLI_COUNT(words); i++) {
        if (!cli_args_has(args, words[i].option))
            continue;
        if (cli_args_has(args, CLI_OPT_FLAGS))
            return cli_fail(err, CLI_EXIT_USAGE, "--flags and --%s exclude each other",
                            words[i].name);
        want->flags = (uint16_t)((want->flags | words[i].set) & ~words[i].clear);
    }
    return true;
}

static bool
take_flags(struct mkt_policy *want, const struct cli_args *args, struct cli_error *err)
{
    const char *letters = cli_args_get(args, CLI_OPT_FLAGS);
    struct mkt_err why = { 0 };

    if (letters != NULL && !read_flags(letters, &want->flags, err))
        return false;
    if (!take_words(want, args, err))
        return false;
    if (mkt_policy_check(want->flags, false, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_USAGE, "--flags", &why);
    return true;
}

/* --- the type of the ticket: docs/formats/reference-ticket.md, compat-ticket.md */

static const struct {
    const char *word;
    uint16_t type;
    uint8_t subtype;
} ticket_types[] = {
    { "base", MKT_TICKET_TYPE_BASE, 1 },
    { "reference", MKT_TICKET_TYPE_REFERENCE, 1 },
    { "compat", MKT_TICKET_TYPE_COMPAT, MKT_COMPAT_IDS },
    { "compat-no-ids", MKT_TICKET_TYPE_COMPAT, MKT_COMPAT_NO_IDS },
};

static bool
take_type(struct mkt_policy *want, const struct cli_args *args, struct cli_error *err)
{
    const char *word = cli_args_get(args, CLI_OPT_TICKET_TYPE);
    if (word == NULL)
        return true;
    for (size_t i = 0; i < CLI_COUNT(ticket_types); i++) {
        if (strcmp(word, ticket_types[i].word) != 0)
            continue;
        if (ticket_types[i].type == MKT_TICKET_TYPE_COMPAT)
            mkt_policy_init_compat(want, ticket_types[i].subtype);
        want->ticket_type = ticket_types[i].type;
        return true;
    }
    return cli_fail(err, CLI_EXIT_USAGE,
                    "--ticket-type %.60s: expected base, reference, compat or compat-no-ids", word);
}

/* What RFC 3830 knows nothing of cannot be wished for. */
static bool
check_type(const struct mkt_policy *want, const struct cli_args *args, struct cli_error *err)
{
    if (want->ticket_type != MKT_TICKET_TYPE_COMPAT)
        return true;
    if (want->flags != (MKT_TP_D | MKT_TP_H))
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--ticket-type %s: such a ticket has the flags D and H and no others",
                        cli_args_get(args, CLI_OPT_TICKET_TYPE));
    if (cli_args_has(args, CLI_OPT_SUITE) && strcmp(cli_args_get(args, CLI_OPT_SUITE), "128") != 0)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--ticket-type %s: RFC 3830 has the 128-bit suite only",
                        cli_args_get(args, CLI_OPT_TICKET_TYPE));
    if (args->n[CLI_OPT_TO] != 1)
        return cli_fail(err, CLI_EXIT_USAGE, "--ticket-type %s: exactly one --to",
                        cli_args_get(args, CLI_OPT_TICKET_TYPE));
    return true;
}

static bool
take_responders(struct mkt_policy *want, const struct cli_args *args, struct cli_error *err)
{
    size_t n = args->n[CLI_OPT_TO];
    if (n > MKT_RESPONDERS_MAX)
        return cli_fail(err, CLI_EXIT_USAGE, "--to is given more than %d times",
                        MKT_RESPONDERS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!cli_identity_read(&want->responders[i], "to", args->value[CLI_OPT_TO][i], err))
            return false;
    want->n_responders = (uint8_t)n;
    return true;
}

static bool
take_apps(struct mkt_policy *want, const struct cli_args *args, struct cli_error *err)
{
    size_t n = args->n[CLI_OPT_APP];
    if (n > MKT_APPS_MAX)
        return cli_fail(err, CLI_EXIT_USAGE, "--app is given more than %d times", MKT_APPS_MAX);
    for (size_t i = 0; i < n; i++) {
        const char *name = args->value[CLI_OPT_APP][i];
        want->apps[i] = cli_identity(name);
        if (want->apps[i].type != MKT_ID_URI)
            want->apps[i].type = MKT_ID_BYTES; /* "implementation specific" (6.10) */
        if (*name == '\0' || strlen(name) > MKT_ID_MAX)
            return cli_fail(err, CLI_EXIT_USAGE, "--app %.60s: expected 1 to %d octets", name,
                            MKT_ID_MAX);
    }
    want->n_apps = (uint8_t)n;
    return true;
}

static bool
take_start(struct mkt_policy *want, const struct cli_args *args, uint64_t now,
           struct cli_error *err)
{
    const char *text = cli_args_get(args, CLI_OPT_VALID_FROM);
    uint32_t seconds;
    if (text == NULL)
        return true;
    if (cli_clock_duration(text, &seconds))
        seconds += (uint32_t)(now >> 32); /* wraps into the next era, RFC 4330 3 */
    else if (!cli_clock_parse(text, &seconds))
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--valid-from %.60s: expected how long from now (90s, 15m, 1h or 7d), or a "
                        "time such as 2030-01-31T08:00:00Z",
                        text);
    want->start = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, (uint64_t)seconds << 32 };
    return true;
}

/* From the time it is valid, or from now. */
static bool
take_validity(struct mkt_policy *want, const struct cli_args *args, uint64_t now,
              struct cli_error *err)
{
    const char *text = cli_args_get(args, CLI_OPT_VALIDITY);
    uint32_t seconds = DEFAULT_VALIDITY_S;
    if (text != NULL && !cli_clock_duration(text, &seconds))
        return cli_fail(err, CLI_EXIT_USAGE, "--validity %s: expected 90s, 15m, 1h or 7d", text);
    uint64_t from = want->start.has ? want->start.value : now;
    uint32_t end = (uint32_t)(from >> 32) + seconds; /* wraps likewise */
    want->end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, (uint64_t)end << 32 };
    return true;
}

static bool
take_rekeying(struct mkt_policy *want, const struct cli_args *args, struct cli_error *err)
{
    const char *text = cli_args_get(args, CLI_OPT_REKEY);
    uint32_t seconds;
    if (text == NULL)
        return true;
    if (!cli_clock_duration(text, &seconds))
        return cli_fail(err, CLI_EXIT_USAGE, "--rekey %s: expected 90s, 15m, 1h or 7d", text);
    want->rekey = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, (uint64_t)seconds << 32 };
    return true;
}

static bool
take_no_keys(struct mkt_policy *want, size_t n, struct cli_error *err)
{
    if (n != 0)
        return cli_fail(err, CLI_EXIT_USAGE, "--key and --no-keys exclude each other");
    if ((want->flags & (MKT_TP_L | MKT_TP_M)) == 0)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--no-keys: somebody must be allowed to supply keys: the initiator with "
                        "L in --flags, the responder with M");
    want->has_kemac = true;
    return true;
}

static bool
take_keys(struct mkt_policy *want, const struct cli_args *args, struct cli_error *err)
{
    static struct cli_spi spis[CLI_REPEAT_MAX]; /* the wish borrows from them */
    size_t n = args->n[CLI_OPT_KEY];
    if (cli_args_has(args, CLI_OPT_NO_KEYS))
        return take_no_keys(want, n, err);
    if (n == 0)
        return true; /* one TGK, as mkt_policy_init has it */
    want->has_kemac = true;
    want->n_wanted = (uint8_t)n;
    for (size_t i = 0; i < n; i++)
        if (!cli_key_read(&want->wanted[i], &spis[i], "key", args->value[CLI_OPT_KEY][i],
                          mkt_suite_of(want->prf)->key_len, err))
            return false;
    return true;
}

static bool
take_rest(struct mkt_policy *want, const struct cli_args *args, uint64_t now, struct cli_error *err)
{
    return take_responders(want, args, err) && take_apps(want, args, err) &&
           take_start(want, args, now, err) && take_validity(want, args, now, err) &&
           take_rekeying(want, args, err) && take_keys(want, args, err);
}

bool
cli_wish_read(struct mkt_policy *want, const struct cli_args *args, uint8_t prf, uint64_t now,
              struct cli_error *err)
{
    mkt_policy_init(want, prf);
    return take_type(want, args, err) && take_flags(want, args, err) &&
           check_type(want, args, err) && take_rest(want, args, now, err);
}

bool
cli_wish_read_own(struct mkt_policy *want, const struct cli_args *args, uint8_t prf, uint64_t now,
                  struct cli_error *err)
{
    mkt_policy_init(want, prf);
    want->flags = (uint16_t)((want->flags & ~MKT_TP_D) | MKT_TP_L);
    if (!take_flags(want, args, err))
        return false;
    if ((want->flags & MKT_TP_D) != 0)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--flags: D says that the KMS made the ticket; leave it out, or ask the "
                        "KMS with mikey-ticket request");
    return take_rest(want, args, now, err);
}

/* --- what was granted ------------------------------------------------------------------------ */

static void
report_flag_changes(struct cli_report *r, uint16_t want, uint16_t got)
{
    char text[128];
    for (size_t i = 0; i < CLI_FLAGS; i++) {
        const struct cli_flag *f = &cli_flags[i];
        if (((want ^ got) & f->flag) == 0 || f->flag == MKT_TP_K)
            continue;
        bool set = (got & f->flag) != 0;
        snprintf(text, sizeof text, "%c is %s: %s", f->letter, set ? "now set" : "not set",
                 set ? f->set : f->clear);
        cli_report_text(r, NULL, text);
    }
}

static bool
same_time(struct mkt_time a, struct mkt_time b)
{
    return a.has == b.has && (!a.has || a.value == b.value);
}

static void
report_time_change(struct cli_report *r, const char *what, struct mkt_time want,
                   struct mkt_time got)
{
    char from[CLI_TIME_TEXT] = "no limit", to[CLI_TIME_TEXT] = "no limit", text[128];
    if (same_time(want, got))
        return;
    if (want.has)
        cli_clock_format(want.value, from);
    if (got.has)
        cli_clock_format(got.value, to);
    snprintf(text, sizeof text, "%s: %s instead of %s", what, to, from);
    cli_report_text(r, NULL, text);
}

static void
report_rekeying_change(struct cli_report *r, struct mkt_time want, struct mkt_time got)
{
    char from[CLI_SPAN_TEXT] = "no limit", to[CLI_SPAN_TEXT] = "no limit", text[128];
    if (same_time(want, got))
        return;
    if (want.has)
        cli_explain_seconds(want.value >> 32, from);
    if (got.has)
        cli_explain_seconds(got.value >> 32, to);
    snprintf(text, sizeof text, "rekey within: %s instead of %s", to, from);
    cli_report_text(r, NULL, text);
}

static bool
has_responder(const struct mkt_policy *p, struct mkt_identity id)
{
    for (size_t i = 0; i < p->n_responders; i++)
        if (mkt_identity_equal(p->responders[i], id))
            return true;
    return false;
}

static void
report_responder_changes(struct cli_report *r, const struct mkt_policy *want,
                         const struct mkt_policy *got)
{
    char who[CLI_IDENTITY_TEXT], text[CLI_IDENTITY_TEXT + 32];
    for (size_t i = 0; i < want->n_responders; i++) {
        if (has_responder(got, want->responders[i]))
            continue;
        cli_identity_text(want->responders[i], who);
        snprintf(text, sizeof text, "may not answer: %s", who);
        cli_report_text(r, NULL, text);
    }
}

static void
report_apps(struct cli_report *r, const struct mkt_policy *p)
{
    if (p->n_apps == 0)
        return; /* any */
    cli_report_list(r, "applications");
    for (size_t i = 0; i < p->n_apps; i++)
        cli_report_identity(r, NULL, p->apps[i]);
    cli_report_close(r);
}

static bool
is_mpk(const struct mkt_key *k)
{
    return k->type == MKT_KEY_MPK;
}

static void
report_keys(struct cli_report *r, const struct mkt_keys *keys)
{
    cli_report_list(r, "keys");
    for (size_t i = 0; i < keys->n; i++) {
        const struct mkt_key *k = &keys->k[i];
        if (is_mpk(k)) /* protects the exchange, not the media */
            continue;
        cli_report_item(r);
        cli_report_text(r, "type", mkt_key_type_name(k->type));
        cli_report_uint(r, "octets", k->key.n);
        if (k->salt.n != 0)
            cli_report_uint(r, "salt-octets", k->salt.n);
        cli_report_hex(r, "spi", mkt_span(k->spi, k->spi_len));
        cli_report_close(r);
    }
    cli_report_close(r);
}

void
cli_wish_report(struct cli_report *r, const struct mkt_policy *want, const struct mkt_grant *grant)
{
    const struct mkt_policy *got = mkt_grant_policy(grant);
    char text[CLI_SPAN_TEXT]; /* longer than a time */

    for (size_t i = 0; i < CLI_COUNT(ticket_types); i++)
        if (got->ticket_type != MKT_TICKET_TYPE_BASE && ticket_types[i].type == got->ticket_type &&
            ticket_types[i].subtype == got->subtype)
            cli_report_text(r, "ticket-type", ticket_types[i].word);
    mkt_policy_flags_format(got->flags, text);
    cli_report_text(r, "flags", text);
    cli_report_uint(r, "mode", cli_explain_mode(got->flags)->number);
    cli_report_text(r, "suite", mkt_suite_of(got->prf)->name);
    if (got->start.has) {
        cli_clock_format(got->start.value, text);
        cli_report_text(r, "valid-from", text);
    }
    if (got->end.has) {
        cli_clock_format(got->end.value, text);
        cli_report_text(r, "valid-until", text);
    }
    if (got->rekey.has) {
        cli_explain_seconds(got->rekey.value >> 32, text);
        cli_report_text(r, "rekey-within", text);
    }
    cli_report_list(r, "may-answer");
    for (size_t i = 0; i < got->n_responders; i++)
        cli_report_identity(r, NULL, got->responders[i]);
    cli_report_close(r);
    report_apps(r, got);
    report_keys(r, mkt_grant_keys(grant));
    if ((got->flags & MKT_TP_D) == 0) /* nobody was asked */
        return;
    cli_report_bool(r, "changed-by-kms", (got->flags & MKT_TP_K) != 0);
    if ((got->flags & MKT_TP_K) == 0)
        return;
    cli_report_list(r, "changes");
    report_flag_changes(r, want->flags, got->flags);
    report_time_change(r, "valid from", want->start, got->start);
    report_time_change(r, "valid until", want->end, got->end);
    report_rekeying_change(r, want->rekey, got->rekey);
    report_responder_changes(r, want, got);
    cli_report_close(r);
}
