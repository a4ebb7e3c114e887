/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets and open offers in files. A ticket file is what the library exports; the state of an
 * offer is YAML around the same octets and the offer as it was sent. */
#include "state.h"

#include "base64.h"
#include "files.h"
#include "flat_yaml.h"

#include <string.h>

#define FORMAT "mikey-ticket-offer-1"
#define GRANT_MAX 131072 /* octets of an exported ticket */
#define STATE_MAX (2 * (GRANT_MAX + MKT_MSG_MAX))

static const struct cli_yaml_key keys[] = {
    { "format", false, true },
    { "to", false, true },
    { "transfer-init", false, true },
    { "ticket", false, true },
};
static const struct cli_yaml_form form = { "offer state", keys, CLI_COUNT(keys), NULL };

bool
cli_grant_export(struct cli_blob *out, const struct mkt_grant *g, struct cli_error *err)
{
    if (!cli_blob_alloc(out, GRANT_MAX, err))
        return false;
    enum mkt_rc rc = mkt_grant_export(g, out->p, out->cap, &out->n);
    return rc == MKT_OK ||
           cli_fail(err, CLI_EXIT_FAILURE, "cannot write the ticket: %s", mkt_strerror(rc));
}

static bool
import_grant(struct mkt_grant **g, struct mkt_span octets, const char *path, struct cli_error *err)
{
    struct mkt_err why = { 0 };
    *g = NULL;
    if (mkt_grant_import(g, octets, &why) == MKT_OK)
        return true;
    char text[256];
    mkt_err_format(&why, text, sizeof text);
    return cli_fail(err, CLI_EXIT_FAILURE, "%s does not hold a ticket: %s", path, text);
}

bool
cli_grant_save(const char *path, const struct mkt_grant *g, struct cli_error *err)
{
    CLI_SCOPED_BLOB octets = { 0 };
    return cli_grant_export(&octets, g, err) &&
           cli_file_write(path, CLI_SECRET, cli_blob_span(&octets), err);
}

bool
cli_grant_load(struct mkt_grant **g, const char *path, struct cli_error *err)
{
    CLI_SCOPED_BLOB octets = { 0 };
    *g = NULL;
    return cli_file_read(&octets, path, GRANT_MAX, CLI_SECRET, err) &&
           import_grant(g, cli_blob_span(&octets), path, err);
}

static bool
print_base64(struct cli_blob *b, const char *key, struct mkt_span octets)
{
    if (!cli_blob_print(b, "%s: ", key) || b->cap - b->n < mkt_base64_len(octets.n) + 1)
        return false;
    mkt_base64_encode(octets, (char *)b->p + b->n);
    b->n += mkt_base64_len(octets.n);
    return cli_blob_print(b, "\n");
}

bool
cli_state_save(const char *path, const char *to, const struct mkt_grant *grant,
               struct mkt_span offer, struct cli_error *err)
{
    CLI_SCOPED_BLOB octets = { 0 };
    CLI_SCOPED_BLOB text = { 0 };
    if (!cli_grant_export(&octets, grant, err) || !cli_blob_alloc(&text, STATE_MAX, err))
        return false;
    if (!cli_blob_print(&text, "# An offer that waits for answers. Keep this file secret.\n"
                               "format: " FORMAT "\n") ||
        !cli_yaml_print(&text, "", "to", mkt_span(to, strlen(to))) ||
        !print_base64(&text, "transfer-init", offer) ||
        !print_base64(&text, "ticket", cli_blob_span(&octets)))
        return cli_fail(err, CLI_EXIT_FAILURE, "the state of the offer is too long");
    return cli_file_write(path, CLI_SECRET, cli_blob_span(&text), err);
}

static bool
take_base64(const struct cli_yaml *y, const char *name, struct cli_blob *out, struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, name);
    return cli_blob_alloc(out, f->len + 1, err) &&
           (mkt_base64_decode(f->value, f->len, out->p, out->cap, &out->n) ||
            cli_yaml_fail(y, f, "expected base64", err));
}

static bool
take_state(struct cli_state *s, const struct cli_yaml *y, struct cli_error *err)
{
    CLI_SCOPED_BLOB octets = { 0 };
    const struct cli_yaml_field *format = cli_yaml_get(y, CLI_YAML_TOP, "format");
    const struct cli_yaml_field *to = cli_yaml_get(y, CLI_YAML_TOP, "to");
    if (strcmp(format->value, FORMAT) != 0)
        return cli_yaml_fail(y, format, "expected " FORMAT, err);
    if (to->len > MKT_ID_MAX)
        return cli_yaml_fail(y, to, "expected at most 1024 octets", err);
    memcpy(s->to, to->value, to->len + 1);
    return take_base64(y, "transfer-init", &s->offer, err) &&
           take_base64(y, "ticket", &octets, err) &&
           import_grant(&s->grant, cli_blob_span(&octets), y->path, err);
}

bool
cli_state_load(struct cli_state *s, const char *path, struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    CLI_SCOPED_YAML y = { 0 };
    *s = (struct cli_state){ .grant = NULL };
    return cli_file_read(&text, path, STATE_MAX, CLI_SECRET, err) &&
           cli_yaml_read(&y, &form, path, cli_blob_span(&text), err) && take_state(s, &y, err);
}

void
cli_state_close(struct cli_state *s)
{
    mkt_grant_free(s->grant);
    cli_blob_free(&s->offer);
    mkt_wipe(s, sizeof *s);
}
