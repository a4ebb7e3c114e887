/* SPDX-License-Identifier: Apache-2.0 */
/* The CSB IDs of a cache. Nobody tells when a call ends, so none is forgotten before the list is
 * full: an ID that is avoided for nothing costs nothing. */
#include "csb_ids.h"

#include "encode.h"
#include "files.h"
#include "flat_yaml.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FORMAT "mikey-ticket-csb-ids-1"
#define ID_OCTETS 4
#define IDS_FILE_MAX (2 * ID_OCTETS * CLI_CSB_IDS_MAX + 1024)

static const struct cli_yaml_key keys[] = { { "format", false, true }, { "ids", false, true } };
static const struct cli_yaml_form form = { "list of CSB IDs", keys, CLI_COUNT(keys), NULL };

static bool
ids_path(char out[4096], const struct cli_cache *c, struct cli_error *err)
{
    int n = snprintf(out, 4096, "%s/csb-ids", c->path);
    return (n > 0 && n < 4096) ||
           cli_fail(err, CLI_EXIT_FAILURE, "the file name %.60s... is too long", c->path);
}

static bool
take_ids(uint32_t ids[CLI_CSB_IDS_MAX], size_t *n, const struct cli_yaml *y, struct cli_error *err)
{
    const struct cli_yaml_field *format = cli_yaml_get(y, CLI_YAML_TOP, "format");
    const struct cli_yaml_field *f = cli_yaml_get(y, CLI_YAML_TOP, "ids");
    uint8_t octets[ID_OCTETS * CLI_CSB_IDS_MAX];
    size_t len = 0;

    if (strcmp(format->value, FORMAT) != 0)
        return cli_yaml_fail(y, format, "expected " FORMAT, err);
    if (!cli_yaml_hex(y, f, octets, sizeof octets, &len, err))
        return false;
    if (len % ID_OCTETS != 0)
        return cli_yaml_fail(y, f, "expected 8 hex digits for each CSB ID", err);
    for (const uint8_t *p = octets; p < octets + len; p += ID_OCTETS)
        ids[(*n)++] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    return true;
}

static bool
load(uint32_t ids[CLI_CSB_IDS_MAX], size_t *n, const char *path, struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    CLI_SCOPED_YAML y = { 0 };
    return cli_file_read(&text, path, IDS_FILE_MAX, CLI_SECRET, err) &&
           cli_yaml_read(&y, &form, path, cli_blob_span(&text), err) && take_ids(ids, n, &y, err);
}

/* A list that cannot be read is said and begun anew: it must not keep anybody from calling. */
bool
cli_csb_ids_load(uint32_t ids[CLI_CSB_IDS_MAX], size_t *n, const struct cli_cache *c,
                 struct cli_error *err)
{
    struct cli_error why = { 0 };
    char path[4096];

    *n = 0;
    if (c->path == NULL)
        return true;
    if (!ids_path(path, c, err))
        return false;
    if (access(path, F_OK) != 0)
        return true; /* none yet */
    if (!load(ids, n, path, &why)) {
        cli_say("passed over: %s", why.text);
        *n = 0;
    }
    return true;
}

static bool
save(const uint32_t *ids, size_t n, const struct cli_cache *c, struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    char path[4096];

    if (!ids_path(path, c, err) || !cli_blob_alloc(&text, IDS_FILE_MAX, err))
        return false;
    bool done =
        cli_blob_print(&text, "# CSB IDs that no new offer takes.\nformat: " FORMAT "\nids: \"");
    for (size_t i = 0; done && i < n; i++)
        done = cli_blob_print(&text, "%08x", ids[i]);
    return done && cli_blob_print(&text, "\"\n")
               ? cli_file_write(path, CLI_SECRET, cli_blob_span(&text), err)
               : cli_fail(err, CLI_EXIT_FAILURE, "too many CSB IDs for %s", path);
}

bool
cli_csb_ids_add(const struct cli_cache *c, uint32_t id, struct cli_error *err)
{
    CLI_SCOPED_LOCK lock = -1;
    uint32_t ids[CLI_CSB_IDS_MAX];
    size_t n = 0;

    if (c->path == NULL)
        return true;
    if ((c->lock < 0 && !cli_file_lock(&lock, c->path, err)) || !cli_csb_ids_load(ids, &n, c, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true; /* a second device that answers the same offer */
    if (n == CLI_CSB_IDS_MAX)
        memmove(ids, ids + 1, --n * sizeof *ids);
    ids[n++] = id;
    return save(ids, n, c, err);
}
