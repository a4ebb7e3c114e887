/* SPDX-License-Identifier: Apache-2.0 */
/* The cache: one file for each ticket, YAML around what the library exports, and a directory lock,
 * so that commands see it whole. There are few tickets, so a look-up reads them all. What is not
 * ours or not readable is left alone and said; what has expired is wiped when the cache is opened.
 */
#include "cache.h"

#include "base64.h"
#include "clock.h"
#include "encode.h"
#include "files.h"
#include "flat_yaml.h"
#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT "mikey-ticket-cache-1"
#define OCTETS_MAX 131072 /* octets of an exported ticket or resolution */
#define WISH_MAX 65536    /* octets of a wish in words */
#define ENTRY_MAX (2 * OCTETS_MAX + WISH_MAX + 4096)
#define MARGIN_S 30 /* a ticket that expires within is not worth an offer */

static const struct cli_yaml_key keys[] = {
    { "format", false, true }, { "identity", false, true }, { "kms", false, false },
    { "wish", false, false },  { "octets", false, true },
};
static const struct cli_yaml_form form = { "cache entry", keys, CLI_COUNT(keys), NULL };

enum kind { TICKET, RESOLUTION };
static const char *const prefix[] = { [TICKET] = "ticket-", [RESOLUTION] = "resolution-" };

/* --- entries -----------------------------------------------------------------------------------
 */

/* An entry, read: one of the two is not NULL. */
struct entry {
    char path[4096];
    struct cli_yaml y;
    struct mkt_grant *grant;
    struct mkt_resolution *resolution;
};

static void
entry_close(struct entry *e)
{
    mkt_grant_free(e->grant);
    mkt_resolution_free(e->resolution);
    cli_yaml_free(&e->y);
    memset(e, 0, sizeof *e);
}

#define SCOPED_ENTRY __attribute__((cleanup(entry_close))) struct entry

static const struct mkt_policy *
policy_of(const struct entry *e)
{
    return e->grant != NULL ? mkt_grant_policy(e->grant) : mkt_resolution_policy(e->resolution);
}

static bool
import(struct entry *e, enum kind kind, struct cli_error *err)
{
    const struct cli_yaml_field *f = cli_yaml_get(&e->y, CLI_YAML_TOP, "octets");
    const struct cli_yaml_field *format = cli_yaml_get(&e->y, CLI_YAML_TOP, "format");
    CLI_SCOPED_BLOB octets = { 0 };
    struct mkt_err why = { 0 };

    if (strcmp(format->value, FORMAT) != 0)
        return cli_yaml_fail(&e->y, format, "expected " FORMAT, err);
    if (!cli_blob_alloc(&octets, f->len + 1, err))
        return false;
    if (!mkt_base64_decode(f->value, f->len, octets.p, octets.cap, &octets.n))
        return cli_yaml_fail(&e->y, f, "expected base64", err);
    enum mkt_rc rc = kind == TICKET
                         ? mkt_grant_import(&e->grant, cli_blob_span(&octets), &why)
                         : mkt_resolution_import(&e->resolution, cli_blob_span(&octets), &why);
    return rc == MKT_OK || cli_fail_mkt(err, CLI_EXIT_FAILURE, e->path, &why);
}

static bool
entry_open(struct entry *e, const struct cli_cache *c, const char *name, struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    enum kind kind =
        strncmp(name, prefix[TICKET], strlen(prefix[TICKET])) == 0 ? TICKET : RESOLUTION;
    int n = snprintf(e->path, sizeof e->path, "%s/%s", c->path, name);
    if (n < 0 || (size_t)n >= sizeof e->path)
        return cli_fail(err, CLI_EXIT_FAILURE, "the file name %.60s... is too long", c->path);
    return cli_file_read(&text, e->path, ENTRY_MAX, CLI_SECRET, err) &&
           cli_yaml_read(&e->y, &form, e->path, cli_blob_span(&text), err) && import(e, kind, err);
}

static bool
is_entry(const char *name)
{
    return (strncmp(name, prefix[TICKET], strlen(prefix[TICKET])) == 0 ||
            strncmp(name, prefix[RESOLUTION], strlen(prefix[RESOLUTION])) == 0) &&
           strchr(name, '.') == NULL; /* a file that is being written has a point */
}

/* Calls look for each entry until it returns true or fails. An entry that cannot be read is said
 * and passed over: what is damaged must not keep anybody from calling. */
static bool
walk(const struct cli_cache *c, bool (*look)(void *ctx, struct entry *e), void *ctx,
     struct cli_error *err)
{
    DIR *dir = c->path != NULL ? opendir(c->path) : NULL;
    bool found = false;

    if (c->path == NULL)
        return true;
    if (dir == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "cannot read %s: %s", c->path, strerror(errno));
    for (struct dirent *d; !found && (d = readdir(dir)) != NULL;) {
        struct cli_error why = { 0 };
        SCOPED_ENTRY e = { .path = "" };
        if (!is_entry(d->d_name))
            continue;
        if (entry_open(&e, c, d->d_name, &why))
            found = look(ctx, &e);
        else
            cli_say("passed over: %s", why.text);
    }
    closedir(dir);
    return true;
}

/* --- the directory -----------------------------------------------------------------------------
 */

static bool
is_expired(const struct mkt_policy *p, uint64_t now)
{
    struct mkt_err why = { 0 };
    return mkt_policy_valid_at(p, now, &why) != MKT_OK && strcmp(why.what, "TRe") == 0;
}

static bool
sweep(void *ctx, struct entry *e)
{
    const struct cli_cache *c = ctx;
    struct cli_error why = { 0 };
    if (!is_expired(policy_of(e), c->now))
        return false;
    if (cli_file_wipe(e->path, &why))
        cli_say("expired, and wiped: %s", e->path);
    else
        cli_say("%s", why.text);
    return false;
}

static bool
open_directory(struct cli_cache *c, struct cli_error *err)
{
    struct stat st;

    if (mkdir(c->path, 0700) != 0 && errno != EEXIST)
        return cli_fail(err, CLI_EXIT_FAILURE, "cannot make %s: %s", c->path, strerror(errno));
    c->lock = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->lock < 0 || fstat(c->lock, &st) != 0 || flock(c->lock, LOCK_EX) != 0)
        return cli_fail(err, CLI_EXIT_FAILURE, "cannot use %s: %s", c->path, strerror(errno));
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return cli_fail(err, CLI_EXIT_FAILURE,
                        "%s holds secrets, but its mode 0%o lets others reach it. Run: chmod 700 "
                        "%s",
                        c->path, (unsigned)st.st_mode & 0777U, c->path);
    return true;
}

bool
cli_cache_open(struct cli_cache *c, const struct cli_args *args, const struct cli_client *client,
               struct cli_error *err)
{
    *c = (struct cli_cache){ .path = cli_args_get(args, CLI_OPT_CACHE),
                             .lock = -1,
                             .client = client,
                             .now = cli_clock_ntp(),
                             .groups = cli_args_has(args, CLI_OPT_REUSE_GROUP) };
    if (c->path == NULL)
        return !c->groups ||
               cli_fail(err, CLI_EXIT_USAGE, "--reuse-group says something about --cache only");
    return open_directory(c, err) && walk(c, sweep, c, err);
}

void
cli_cache_close(struct cli_cache *c)
{
    cli_file_unlock(&c->lock);
}

/* --- what may be reused ------------------------------------------------------------------------
 */

static bool
holds_group_key(const struct mkt_keys *k)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->k[i].type == MKT_KEY_GTGK || k->k[i].type == MKT_KEY_GTGK_SALT)
            return true;
    return false;
}

/* "if group dynamics are difficult to verify, the Initiator SHOULD NOT initiate ticket reuse"
 * (5.3). A group may have one name, so every ticket of which the KMS gives several the same keys
 * counts. */
static bool
is_group(const struct mkt_policy *p, const struct mkt_keys *k)
{
    bool shared = (p->flags & (MKT_TP_I | MKT_TP_E)) == MKT_TP_E;
    return p->n_responders != 1 || shared || (k != NULL && holds_group_key(k));
}

/* Long enough for an offer, its way and its answer. */
static bool
is_valid(const struct mkt_policy *p, uint64_t now)
{
    struct mkt_err why = { 0 };
    return mkt_policy_valid_at(p, now, &why) == MKT_OK &&
           !is_expired(p, now + ((uint64_t)MARGIN_S << 32));
}

static bool
may_reuse(const struct cli_cache *c, const struct mkt_policy *p, const struct mkt_keys *k)
{
    return (p->flags & MKT_TP_J) != 0 && is_valid(p, c->now) && (c->groups || !is_group(p, k));
}

static bool
equals(const struct entry *e, const char *name, const char *text)
{
    const struct cli_yaml_field *f = cli_yaml_get(&e->y, CLI_YAML_TOP, name);
    return strcmp(f != NULL ? f->value : "", text) == 0;
}

static bool
is_ours(const struct entry *e, const struct cli_cache *c)
{
    return equals(e, "identity", c->client->file.identity) && equals(e, "kms", c->client->file.kms);
}

/* --- looking up --------------------------------------------------------------------------------
 */

struct search {
    const struct cli_cache *c;
    const char *wish;                 /* of a ticket; NULL: any */
    struct mkt_identity to;           /* of a ticket; absent: any */
    const struct mkt_payload *ticket; /* of a resolution */
    struct mkt_grant *grant;          /* found */
    struct mkt_resolution *resolution;
};

static bool
names(const struct mkt_policy *p, struct mkt_identity to)
{
    for (size_t i = 0; i < p->n_responders; i++)
        if (mkt_identity_equal(p->responders[i], to))
            return true;
    return false;
}

static bool
look_for_ticket(void *ctx, struct entry *e)
{
    struct search *s = ctx;

    if (e->grant == NULL || !is_ours(e, s->c) ||
        !may_reuse(s->c, mkt_grant_policy(e->grant), mkt_grant_keys(e->grant)) ||
        (s->wish != NULL && !equals(e, "wish", s->wish)) ||
        (s->to.data.p != NULL && !names(mkt_grant_policy(e->grant), s->to)))
        return false;
    s->grant = e->grant;
    e->grant = NULL;
    return true;
}

static bool
look_for_resolution(void *ctx, struct entry *e)
{
    struct search *s = ctx;

    if (e->resolution == NULL || !is_ours(e, s->c) ||
        !may_reuse(s->c, mkt_resolution_policy(e->resolution), NULL) ||
        !mkt_resolution_is_of(e->resolution, s->ticket))
        return false;
    s->resolution = e->resolution;
    e->resolution = NULL;
    return true;
}

static bool
write_wanted_key(struct cli_blob *b, const struct mkt_want_key *k, bool first)
{
    char spi[2 * UINT8_MAX + 1] = "";
    if (k->kv == MKT_KV_SPI)
        cli_hex_encode(k->spi, spi);
    return cli_blob_print(b, "%s%s:%u:%u@%s", first ? "" : ",", mkt_key_type_name(k->type),
                          k->key_len, k->salt_len, spi);
}

static bool
write_keys_and_times(struct cli_blob *b, const struct mkt_policy *want)
{
    bool done = cli_blob_print(
        b, "type=%u prf=%u flags=%03x rekey=%" PRIu64 " from=%" PRIu64 " keys=%s",
        want->ticket_type, want->prf, want->flags, want->rekey.has ? want->rekey.value >> 32 : 0,
        want->start.has ? want->start.value >> 32 : 0, want->has_kemac ? "" : "default");
    for (size_t i = 0; done && i < want->n_wanted; i++)
        done = write_wanted_key(b, &want->wanted[i], i == 0);
    return done;
}

/* An application may have any name, so it is in hex. */
static bool
write_app(struct cli_blob *b, struct mkt_identity app)
{
    char hex[2 * MKT_ID_MAX + 1];
    cli_hex_encode(app.data, hex);
    return cli_blob_print(b, " app=%u:%s", app.type, hex);
}

/* A wish in one line; how long it is valid is no part of it, as what is left of one is good enough.
 */
static bool
write_wish(struct cli_blob *b, const struct mkt_policy *want, struct cli_error *err)
{
    bool done = cli_blob_alloc(b, WISH_MAX, err) && write_keys_and_times(b, want);
    for (size_t i = 0; done && i < want->n_apps; i++)
        done = write_app(b, want->apps[i]);
    for (size_t i = 0; done && i < want->n_responders; i++)
        done = cli_blob_print(b, " to=%.*s", (int)want->responders[i].data.n,
                              (const char *)want->responders[i].data.p);
    return done || cli_fail(err, CLI_EXIT_FAILURE, "too many who may answer for the cache");
}

bool
cli_cache_ticket_for(struct mkt_grant **grant, const struct cli_cache *c,
                     const struct mkt_policy *want, struct cli_error *err)
{
    CLI_SCOPED_BLOB wish = { 0 };
    struct search s = { .c = c };

    *grant = NULL;
    if (c->path == NULL)
        return true;
    if (!write_wish(&wish, want, err))
        return false;
    s.wish = (const char *)wish.p;
    bool done = walk(c, look_for_ticket, &s, err);
    *grant = s.grant;
    return done;
}

bool
cli_cache_ticket_to(struct mkt_grant **grant, const struct cli_cache *c, struct mkt_identity to,
                    struct cli_error *err)
{
    struct search s = { .c = c, .to = to };
    bool done = walk(c, look_for_ticket, &s, err);
    *grant = s.grant;
    return done;
}

bool
cli_cache_resolution(struct mkt_resolution **res, const struct cli_cache *c,
                     const struct mkt_payload *ticket, struct cli_error *err)
{
    struct search s = { .c = c, .ticket = ticket };
    bool done = walk(c, look_for_resolution, &s, err);
    *res = s.resolution;
    return done;
}

/* --- keeping -----------------------------------------------------------------------------------
 */

static bool
print_base64(struct cli_blob *b, struct mkt_span octets)
{
    if (!cli_blob_print(b, "octets: ") || b->cap - b->n < mkt_base64_len(octets.n) + 2)
        return false;
    mkt_base64_encode(octets, (char *)b->p + b->n);
    b->n += mkt_base64_len(octets.n);
    return cli_blob_print(b, "\n");
}

static bool
keep(const struct cli_cache *c, enum kind kind, const char *wish, struct mkt_span octets,
     struct cli_error *err)
{
    CLI_SCOPED_BLOB text = { 0 };
    const struct cli_credential *file = &c->client->file;
    char path[4096], id[17];
    uint8_t name[8];

    if (!mkt_crypto_random(NULL, name, sizeof name))
        return cli_fail(err, CLI_EXIT_FAILURE, "no random octets");
    cli_hex_encode(mkt_span(name, sizeof name), id);
    int n = snprintf(path, sizeof path, "%s/%s%s", c->path, prefix[kind], id);
    if (n < 0 || (size_t)n >= sizeof path)
        return cli_fail(err, CLI_EXIT_FAILURE, "the file name %.60s... is too long", c->path);
    if (!cli_blob_alloc(&text, ENTRY_MAX, err))
        return false;
    if (!cli_blob_print(&text, "# A ticket kept for reuse. Keep this file secret.\nformat: " FORMAT
                               "\n") ||
        !cli_yaml_print(&text, "", "identity", mkt_span(file->identity, strlen(file->identity))) ||
        !cli_yaml_print(&text, "", "kms", mkt_span(file->kms, strlen(file->kms))) ||
        (wish != NULL && !cli_yaml_print(&text, "", "wish", mkt_span(wish, strlen(wish)))) ||
        !print_base64(&text, octets))
        return cli_fail(err, CLI_EXIT_FAILURE, "the ticket is too long for the cache");
    return cli_file_write(path, CLI_SECRET, cli_blob_span(&text), err);
}

bool
cli_cache_keep_ticket(const struct cli_cache *c, const struct mkt_policy *want,
                      const struct mkt_grant *grant, struct cli_error *err)
{
    CLI_SCOPED_BLOB wish = { 0 };
    CLI_SCOPED_BLOB octets = { 0 };

    if (c->path == NULL || !may_reuse(c, mkt_grant_policy(grant), mkt_grant_keys(grant)))
        return true;
    return write_wish(&wish, want, err) && cli_grant_export(&octets, grant, err) &&
           keep(c, TICKET, (const char *)wish.p, cli_blob_span(&octets), err);
}

bool
cli_cache_keep_resolution(const struct cli_cache *c, const struct mkt_resolution *res,
                          struct cli_error *err)
{
    CLI_SCOPED_BLOB octets = { 0 };

    if (c->path == NULL || !may_reuse(c, mkt_resolution_policy(res), NULL))
        return true;
    if (!cli_blob_alloc(&octets, OCTETS_MAX, err))
        return false;
    enum mkt_rc rc = mkt_resolution_export(res, octets.p, octets.cap, &octets.n);
    return rc == MKT_OK
               ? keep(c, RESOLUTION, NULL, cli_blob_span(&octets), err)
               : cli_fail(err, CLI_EXIT_FAILURE, "cannot keep the ticket: %s", mkt_strerror(rc));
}
