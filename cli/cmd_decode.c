/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket decode: any MIKEY message, every field named. The library prints and hides what is
 * secret; here are only the frame around several messages and what is said of a broken one. */
#include "carrier.h"
#include "options.h"

#include <mikeyticket/message.h>
#include <stdio.h>
#include <string.h>

struct finding { /* what is wrong with a message; rc = MKT_OK: nothing */
    struct mkt_err err;
    bool whole; /* it parsed; the complaint is about what it lacks */
};

static void
to_stdout(void *ctx, const char *text, size_t n)
{
    (void)ctx;
    fwrite(text, 1, n, stdout);
}

/* A message of another MIKEY mode is shown, but there is no table to test it against. */
static bool
is_ours(const struct mkt_msg *m)
{
    return m->hdr.data_type == MKT_DT_ERROR ||
           (m->hdr.data_type >= MKT_DT_REQUEST_INIT_PSK && m->hdr.data_type <= MKT_DT_RESOLVE_RESP);
}

/* A TRANSFER_INIT without a ticket of its own is a CSB update (RFC 6043 5.2). */
static enum mkt_rc
check(const struct mkt_msg *m, struct mkt_err *why)
{
    bool update = m->hdr.data_type == MKT_DT_TRANSFER_INIT &&
                  mkt_msg_find(m, MKT_PL_TICKET, 0) == NULL &&
                  mkt_msg_find(m, MKT_PL_RANDR, 0) == NULL;
    return update ? mkt_msg_check_update(m, why) : mkt_msg_check(m, why);
}

static struct finding
inspect(struct mkt_msg *m, struct mkt_span octets)
{
    struct finding f = { .whole = false };
    if (mkt_msg_parse(m, octets, &f.err) != MKT_OK)
        return f;
    f.whole = true;
    if (is_ours(m) && check(m, &f.err) != MKT_OK)
        return f;
    return f;
}

static void
print_text(const struct mkt_msg *m, const struct finding *f)
{
    char why[256];
    bool shown = f->whole || m->n > 0;
    if (shown)
        mkt_msg_print(m, MKT_PRINT_TEXT, to_stdout, NULL);
    if (f->err.rc == MKT_OK)
        return;
    mkt_err_format(&f->err, why, sizeof why);
    fflush(stdout);
    fprintf(stderr, "not a valid MIKEY message: %s\n", why);
    if (!f->whole)
        fprintf(stderr, "%zu of %zu octets could be read: %s%zu payload%s\n", f->err.offset,
                m->octets.n, shown ? "the header and " : "", m->n, m->n == 1 ? "" : "s");
}

static void
print_json_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    putchar('"');
}

static void
print_json(const struct mkt_msg *m, const struct finding *f, size_t line)
{
    char why[256] = "";
    printf("{\"line\": %zu, \"valid\": %s, \"error\": ", line,
           f->err.rc == MKT_OK ? "true" : "false");
    if (f->err.rc != MKT_OK) {
        mkt_err_format(&f->err, why, sizeof why);
        print_json_string(why);
        printf(", \"read_octets\": %zu", f->whole ? m->octets.n : f->err.offset);
    } else {
        fputs("null", stdout);
    }
    fputs(", \"message\":\n", stdout);
    if (f->whole || m->n > 0)
        mkt_msg_print(m, MKT_PRINT_JSON, to_stdout, NULL);
    else
        fputs("null", stdout);
    putchar('}');
}

static bool
print_all(const struct cli_carrier *c, bool json, struct cli_error *err)
{
    static struct mkt_msg m; /* some kilobytes; a command decodes one after the other */
    bool valid = true;
    if (json)
        printf("{\"found_in\": \"%s\", \"messages\": [\n", cli_carrier_kind_name(c->kind));
    for (size_t i = 0; i < c->n; i++) {
        struct finding f = inspect(&m, cli_carrier_message(c, i));
        valid = valid && f.err.rc == MKT_OK;
        if (json) {
            fputs(i > 0 ? ",\n" : "", stdout);
            print_json(&m, &f, c->msg[i].line);
            continue;
        }
        if (c->n > 1)
            printf("%s# message %zu of %zu, line %zu\n", i > 0 ? "\n" : "", i + 1, c->n,
                   c->msg[i].line);
        print_text(&m, &f);
    }
    if (json)
        puts("\n]}");
    return valid || cli_fail(err, CLI_EXIT_MALFORMED, "%s not valid",
                             c->n > 1 ? "at least one message is" : "the message is");
}

bool
cli_cmd_decode(const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_CARRIER c = { 0 };
    return cli_carrier_operand(&c, args->operand, err) &&
           print_all(&c, cli_args_has(args, CLI_OPT_JSON), err);
}
