/* SPDX-License-Identifier: Apache-2.0 */
/* The options and the readers of their types. No YAML here. */
#include "config_table.h"

#include <stdlib.h>
#include <string.h>

#include "kek.h"

static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const formats[] = { "text", "json", NULL };
static const char *const no_yes[] = { "false", "true", NULL };
static const char *const vaults[] = { "inprocess", "process", NULL };
static const char *const locks[] = { "off", "try", "require", NULL };
static const char *const pk_users[] = { "known", "any", NULL };
static const char *const audit_sinks[] = { "file", "syslog", "http", "realms", NULL };

#define AT(field) offsetof(struct kms_config, field)

const struct kms_option kms_options[] = {
    { "identity", KMS_OPT_IDENTITY, AT(identity), 0, 0, 0, NULL,
      "identity of this KMS (IDRkms), such as sip:kms@example.com; required" },
    { "listen", KMS_OPT_LISTEN, AT(listen), 0, 0, 0, NULL,
      "addresses: udp://ADDRESS:PORT, http(s)://ADDRESS:PORT[/PREFIX]; port 0: any free; "
      "required" },
    { "admin", KMS_OPT_ADMIN, AT(admin), 0, 0, 0, NULL,
      "http://ADDRESS:PORT for /metrics, /health and /ready; keep it on the loopback address" },
    { "control", KMS_OPT_PATH_OR_OFF, AT(control), 0, 0, 0, NULL,
      "socket where mikey-kmsctl administers the running daemon, or off; default: control, beside "
      "the store" },
    { "api.listen", KMS_OPT_API, AT(api), 0, 0, 0, NULL,
      "https://ADDRESS:PORT where the daemon is administered by token or client certificate" },
    { "api.client_ca", KMS_OPT_FILES, AT(api_client_ca), 0, 0, 0, NULL,
      "files or folders: authorities of the certificates that api.people names" },
    { "api.people", KMS_OPT_PEOPLE, AT(roster), 0, 0, 0, NULL,
      "who may administer, besides root and the daemon's own user: {name, role, and one of user, "
      "group, certificate, token}" },
    { "api.export_time", KMS_OPT_TIME, AT(export_s), 900, 1, 86400, NULL,
      "how long the export of a key may take, from asking to taking" },
    { "store", KMS_OPT_STORE, AT(store), 0, 0, 0, NULL,
      "sqlite:FILE; a relative FILE is next to this configuration; required" },
    { "kek", KMS_OPT_KEK, AT(kek), 0, 0, 0, NULL,
      "key that wraps the keys in the store: file:FILE, credential:NAME, passphrase, "
      "passphrase:file:FILE, passphrase:fd:N or pkcs11:URI; without it they stand there in clear" },
    { "vault", KMS_OPT_WORD, AT(vault), 0, 0, 1, vaults,
      "where keys are opened: in the daemon, or in a process of its own (needs a kek)" },
    { "user", KMS_OPT_ACCOUNT, AT(user), 0, 0, 0, NULL,
      "user of the system to become once the addresses are bound" },
    { "group", KMS_OPT_ACCOUNT, AT(group), 0, 0, 0, NULL,
      "group to become; without it that of the user" },
    { "lock_memory", KMS_OPT_WORD, AT(lock_memory), 1, 0, 2, locks,
      "whether memory is kept out of swap; try: as far as the limit allows" },
    { "seccomp", KMS_OPT_WORD, AT(seccomp), 1, 0, 1, no_yes,
      "whether system calls are filtered: any other than the daemon's own ends it" },
    { "core_dumps", KMS_OPT_WORD, AT(core_dumps), 0, 0, 1, no_yes,
      "whether the daemon may dump core and be traced; the vault process never" },
    { "workers", KMS_OPT_NUMBER, AT(workers), 0, 0, 256, NULL,
      "threads for each transport; 0: one for each processor" },
    { "clock_window", KMS_OPT_TIME, AT(clock_window_s), 300, 1, 3600, NULL,
      "how far a timestamp may be from our clock, either way" },
    { "max_validity", KMS_OPT_TIME, AT(max_validity_s), 86400, 1, 315360000, NULL,
      "longest validity of a ticket from now; longer wishes are cut" },
    { "tpk_rotate_every", KMS_OPT_TIME, AT(tpk_rotate_every_s), 2592000, 0, 315360000, NULL,
      "how long a ticket protection key protects new tickets before the next one does; 0: until "
      "mikey-kmsctl tpk rotate" },
    { "replay_capacity", KMS_OPT_NUMBER, AT(replay_capacity), 4194304, 1024, 268435456, NULL,
      "messages remembered against replay, 28 octets each; when full, new ones are refused" },
    { "retransmit_memory", KMS_OPT_SIZE, AT(retransmit_memory), 16777216, 65536, 1073741824, NULL,
      "octets for each UDP worker to answer a repeated datagram again for 30 s" },
    { "log_level", KMS_OPT_WORD, AT(log_level), 1, 0, 3, levels,
      "debug also logs every request that was answered" },
    { "log_format", KMS_OPT_WORD, AT(log_format), 0, 0, 1, formats, "form of a log line" },
    { "suites", KMS_OPT_SUITES, AT(suites), 0, 0, 0, NULL, "security levels accepted: [128, 256]" },
    { "modes", KMS_OPT_MODES, AT(modes), 0, 0, 0, NULL,
      "modes of RFC 6043 4.1.1 served: [1, 2, 3]; who holds the key of a ticket decides" },
    { "ticket_types", KMS_OPT_TYPES, AT(ticket_types), 0, 0, 0, NULL,
      "Ticket Types that are made: [base]; reference: revocable at once, the keys stay in the "
      "store; compat: for responders that know RFC 3830 only" },
    { "max_body", KMS_OPT_SIZE, AT(max_body), 65536, 1024, 1048576, NULL,
      "octets of an HTTP request body" },
    { "http_timeout", KMS_OPT_TIME, AT(http_timeout_s), 30, 1, 600, NULL,
      "time for an HTTP client to complete its next request; later the connection is closed" },
    { "http_connections", KMS_OPT_NUMBER, AT(http_connections), 1000, 1, 100000, NULL,
      "open connections on each http address; then who has the most gives way" },
    { "tls.certificate", KMS_OPT_FILES, AT(tls_certificate), 0, 0, 0, NULL,
      "files of the certificates for https addresses, each with its chain (PEM)" },
    { "tls.private_key", KMS_OPT_FILES, AT(tls_private_key), 0, 0, 0, NULL,
      "files of their keys, in the same order, mode 0600 (PEM)" },
    { "tls.client_ca", KMS_OPT_FILES, AT(tls_client_ca), 0, 0, 0, NULL,
      "files or folders: only clients with a certificate of these authorities may connect" },
    { "limits.source_rate", KMS_OPT_NUMBER, AT(source.rate), 0, 0, 10000000, NULL,
      "requests a second from one address (IPv6: one /64), before any cryptography; 0: no limit" },
    { "limits.source_burst", KMS_OPT_NUMBER, AT(source.burst), 0, 0, 10000000, NULL,
      "requests at once from one address; 0: twice the rate" },
    { "limits.identity_rate", KMS_OPT_NUMBER, AT(identity_quota.rate), 0, 0, 10000000, NULL,
      "authenticated requests a second of one identity; 0: no limit" },
    { "limits.identity_burst", KMS_OPT_NUMBER, AT(identity_quota.burst), 0, 0, 10000000, NULL,
      "authenticated requests at once of one identity; 0: twice the rate" },
    { "policy", KMS_OPT_PATH, AT(policy), 0, 0, 0, NULL,
      "file of rules: who may have which tickets; without it every user may" },
    { "limits.source_minute", KMS_OPT_NUMBER, AT(source.minute), 0, 0, 10000000, NULL,
      "requests a minute from one address; 0: no limit" },
    { "limits.source_hour", KMS_OPT_NUMBER, AT(source.hour), 0, 0, 10000000, NULL,
      "requests an hour from one address; 0: no limit" },
    { "limits.identity_minute", KMS_OPT_NUMBER, AT(identity_quota.minute), 0, 0, 10000000, NULL,
      "authenticated requests a minute of one identity; 0: no limit" },
    { "limits.identity_hour", KMS_OPT_NUMBER, AT(identity_quota.hour), 0, 0, 10000000, NULL,
      "authenticated requests an hour of one identity; 0: no limit" },
    { "limits.lockout_failures", KMS_OPT_NUMBER, AT(source.failures), 0, 0, 1000000, NULL,
      "failed authentications after which an address is locked out; 0: never" },
    { "limits.lockout_window", KMS_OPT_TIME, AT(source.window_s), 60, 1, 86400, NULL,
      "time within which they count" },
    { "limits.lockout_time", KMS_OPT_TIME, AT(source.lockout_s), 900, 1, 86400, NULL,
      "how long the address is locked out" },
    { "limits.lockout_udp", KMS_OPT_WORD, AT(lockout_udp), 0, 0, 1, no_yes,
      "whether failures over UDP count, where anybody can forge the address" },
    { "certificate", KMS_OPT_FILES, AT(certificate), 0, 0, 0, NULL,
      "file of the KMS's certificate, or a list; with it requests with signatures are served" },
    { "private_key", KMS_OPT_FILES, AT(private_key), 0, 0, 0, NULL,
      "file of the RSA key of the certificate (mode 0600), or a list in the same order" },
    { "trust", KMS_OPT_FILES, AT(trust), 0, 0, 0, NULL,
      "certificates whose holders may certify users: files or folders" },
    { "crl", KMS_OPT_FILES, AT(crl), 0, 0, 0, NULL, "revocation lists: files or folders" },
    { "require_crl", KMS_OPT_WORD, AT(require_crl), 0, 0, 1, no_yes,
      "whether every issuer must have a revocation list" },
    { "sha1", KMS_OPT_WORD, AT(sha1), 0, 0, 1, no_yes,
      "whether signatures with SHA-1 are accepted, in the 128-bit suite only" },
    { "pk_users", KMS_OPT_WORD, AT(pk_users), 0, 0, 1, pk_users,
      "whose signed requests are served: users of the store, or anyone with a certificate" },
    { "peers", KMS_OPT_PEER, AT(peers), 0, 0, 0, NULL,
      "other KMSs, whose users may call ours; a list of entries with these options:" },
    { "cross_realm", KMS_OPT_WORD, AT(cross_realm), 0, 0, 1, no_yes,
      "whether users of one realm may resolve tickets of another" },
    { "audit.file", KMS_OPT_PATH_OR_OFF, AT(audit_dir), 0, 0, 0, NULL,
      "folder of the audit, or off; default: audit, beside the store" },
    { "audit.file_size", KMS_OPT_SIZE, AT(audit_size), 67108864, 65536, 1073741824, NULL,
      "octets of a segment; then a new file" },
    { "audit.file_time", KMS_OPT_TIME, AT(audit_age_s), 86400, 0, 31536000, NULL,
      "age of a segment; then a new file; 0: any" },
    { "audit.sync", KMS_OPT_WORD, AT(audit_sync), 1, 0, 1, no_yes,
      "whether records are on the disk before their answers leave" },
    { "audit.syslog", KMS_OPT_PATH_OR_OFF, AT(audit_syslog), 0, 0, 0, NULL,
      "socket of syslog, such as /dev/log, or off; records go there too" },
    { "audit.http", KMS_OPT_URL, AT(audit_http), 0, 0, 0, NULL,
      "URL of a collector; records are posted there too" },
    { "audit.realms", KMS_OPT_PATH_OR_OFF, AT(audit_realms), 0, 0, 0, NULL,
      "folder where each realm has a file of the records about it, or off" },
    { "audit.timeout", KMS_OPT_TIME, AT(audit_timeout_s), 5, 1, 60, NULL,
      "how long syslog or a collector may take" },
    { "audit.optional", KMS_OPT_SET, AT(audit_optional), 0, 0, 0, audit_sinks,
      "sinks that may fail without stopping the service: file, syslog, http, realms" },
};
const size_t kms_n_options = sizeof kms_options / sizeof kms_options[0];

/* Number with an optional one-letter unit out of `units` (letters) and `factors`. */
static const char *
set_number(uint32_t *out, const struct kms_option *o, const char *text, const char *units,
           const uint32_t *factors, char *err, size_t cap)
{
    size_t digits = strspn(text, "0123456789"), n = strlen(text);
    uint64_t v, factor = 1;
    const char *unit = n == digits + 1 ? strchr(units, text[digits]) : NULL;

    if (digits == 0 || digits > 12 || (n != digits && unit == NULL)) {
        snprintf(err, cap, "not a number%s%s: \"%.40s\"", units[0] == '\0' ? "" : " with unit ",
                 units, text);
        return err;
    }
    if (unit != NULL)
        factor = factors[unit - units];
    v = strtoull(text, NULL, 10) * factor;
    if (v < o->min || v > o->max) {
        snprintf(err, cap, "must be from %u to %u%s", o->min, o->max,
                 o->type == KMS_OPT_TIME   ? " seconds"
                 : o->type == KMS_OPT_SIZE ? " octets"
                                           : "");
        return err;
    }
    *out = (uint32_t)v;
    return NULL;
}

static const char *
set_word(uint32_t *out, const struct kms_option *o, const char *text, char *err, size_t cap)
{
    size_t used;

    for (uint32_t i = 0; o->words[i] != NULL; i++)
        if (strcmp(o->words[i], text) == 0) {
            *out = i;
            return NULL;
        }
    used = (size_t)snprintf(err, cap, "\"%.40s\" is not one of", text);
    for (uint32_t i = 0; o->words[i] != NULL && used < cap; i++)
        used += (size_t)snprintf(err + used, cap - used, "%s %s", i == 0 ? "" : ",", o->words[i]);
    return err;
}

static const char *
set_identity(struct kms_config *c, const char *text)
{
    if (kms_identity_of(text).data.p == NULL)
        return "not an identity: write a URI (sip:kms@example.com) or a NAI (kms@example.com)";
    snprintf(c->identity, sizeof c->identity, "%s", text);
    return NULL;
}

/* A relative path is next to the configuration. */
static bool
resolve_path(const struct kms_config *c, const char *path, char out[KMS_PATH_MAX])
{
    const char *slash = strrchr(c->path, '/');
    int dir = path[0] != '/' && slash != NULL ? (int)(slash - c->path) + 1 : 0;
    char whole[KMS_PATH_MAX]; /* out may lie in c */
    int n = snprintf(whole, sizeof whole, "%.*s%s", dir, c->path, path);

    if (n < 0 || n >= KMS_PATH_MAX)
        return false;
    memcpy(out, whole, (size_t)n + 1);
    return true;
}

static const char *
set_store(struct kms_config *c, const char *text)
{
    if (strncmp(text, "sqlite:", 7) != 0 || text[7] == '\0')
        return "a store is written sqlite:FILE";
    return resolve_path(c, text + 7, c->store) ? NULL : "the path is too long";
}

static const char *
set_path(char out[KMS_PATH_MAX], const struct kms_config *c, const char *text)
{
    if (text[0] == '\0')
        return "a path is empty";
    return resolve_path(c, text, out) ? NULL : "the path is too long";
}

/* Only the paths of files are ours to complete. */
static const char *
set_kek(struct kms_config *c, const char *text)
{
    static const char *const with_path[] = { "file:", "passphrase:file:" };
    char path[KMS_PATH_MAX];

    if (!kms_kek_known(text))
        return "a KEK is written file:FILE, credential:NAME, passphrase[:file:FILE|:fd:N] or "
               "pkcs11:URI";
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(with_path[i]);

        if (strncmp(text, with_path[i], n) != 0)
            continue;
        if (text[n] == '\0' || !resolve_path(c, text + n, path))
            return "the path is empty or too long";
        snprintf(c->kek, sizeof c->kek, "%s%s", with_path[i], path);
        return NULL;
    }
    if (strlen(text) >= sizeof c->kek)
        return "it is too long";
    snprintf(c->kek, sizeof c->kek, "%s", text);
    return NULL;
}

static const char *
set_account(char out[KMS_ACCOUNT_MAX], const char *text)
{
    if (text[0] == '\0' || strlen(text) >= KMS_ACCOUNT_MAX)
        return "a name has 1 to 63 characters";
    snprintf(out, KMS_ACCOUNT_MAX, "%s", text);
    return NULL;
}

static const char *
add_file(struct kms_files *files, const struct kms_config *c, const char *text)
{
    const char *wrong;

    if (files->n == KMS_FILES_MAX)
        return "too many files (8 at most)";
    wrong = set_path(files->at[files->n], c, text);
    files->n += wrong == NULL ? 1 : 0;
    return wrong;
}

static const char *
set_path_or_off(char out[KMS_PATH_MAX], const struct kms_config *c, const char *text)
{
    if (strcmp(text, "off") != 0 && strcmp(text, "false") != 0)
        return set_path(out, c, text);
    out[0] = '\0';
    return NULL;
}

static const char *
set_url(char url[KMS_PATH_MAX], const char *text)
{
    if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
        return "not a URL of http or https";
    if (strlen(text) >= 512)
        return "the URL is too long";
    snprintf(url, KMS_PATH_MAX, "%s", text);
    return NULL;
}

static const char *
add_word(uint32_t *out, const struct kms_option *o, const char *text, char *err, size_t cap)
{
    uint32_t bit = 0;
    const char *wrong = set_word(&bit, o, text, err, cap);

    if (wrong == NULL)
        *out |= 1u << bit;
    return wrong;
}

static const char *
add_listener(struct kms_config *c, const char *text)
{
    const char *wrong;

    if (c->n_listen == KMS_LISTENERS_MAX)
        return "too many addresses (16 at most)";
    wrong = kms_url_parse(&c->listen[c->n_listen], text);
    if (wrong != NULL)
        return wrong;
    for (size_t i = 0; i < c->n_listen; i++)
        if (strcmp(c->listen[i].url, text) == 0)
            return "the same address stands in the list already";
    c->n_listen++;
    return NULL;
}

static const char *
set_admin(struct kms_config *c, const char *text)
{
    const char *wrong = kms_url_parse(&c->admin, text);

    if (wrong == NULL && (c->admin.transport != KMS_HTTP || c->admin.tls))
        return "the address for the operator begins with http://";
    if (wrong == NULL && c->admin.prefix[0] != '\0')
        return "the address for the operator has no path";
    return wrong;
}

/* The admin API is never served in clear. */
static const char *
set_api(struct kms_config *c, const char *text)
{
    const char *wrong = kms_url_parse(&c->api, text);

    if (wrong == NULL && !c->api.tls)
        return "the admin API is served over TLS: its address begins with https://";
    if (wrong == NULL && c->api.prefix[0] != '\0')
        return "the address of the admin API has no path";
    return wrong;
}

static const char *
add_suite(struct kms_config *c, const char *text)
{
    uint32_t bit = strcmp(text, "128") == 0   ? 1u << MKT_PRF_MIKEY_1
                   : strcmp(text, "256") == 0 ? 1u << MKT_PRF_HMAC_SHA_256
                                              : 0;

    if (bit == 0)
        return "a suite is 128 or 256";
    c->suites |= bit;
    return NULL;
}

static const char *
add_mode(struct kms_config *c, const char *text)
{
    if (strlen(text) != 1 || text[0] < '1' || text[0] > '3')
        return "a mode is 1, 2 or 3 (mode 4 does without a KMS)";
    c->modes |= 1u << (text[0] - '0');
    return NULL;
}

static const char *
add_type(struct kms_config *c, const char *text)
{
    static const char *const words[] = { "base", "compat", "reference" };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], text) == 0) {
            c->ticket_types |= 1u << i;
            return NULL;
        }
    return "a Ticket Type is base, compat or reference";
}

const char *
kms_option_set(struct kms_config *c, const struct kms_option *o, const char *text, char *err,
               size_t cap)
{
    static const uint32_t seconds[] = { 1, 60, 3600, 86400 };
    static const uint32_t octets[] = { 1024, 1048576, 1073741824 };
    uint32_t *out = (uint32_t *)(void *)((char *)c + o->offset);

    switch (o->type) {
    case KMS_OPT_IDENTITY:
        return set_identity(c, text);
    case KMS_OPT_LISTEN:
        return add_listener(c, text);
    case KMS_OPT_ADMIN:
        return set_admin(c, text);
    case KMS_OPT_API:
        return set_api(c, text);
    case KMS_OPT_PEOPLE:
        return "a person is {name: WHO, user: NAME, role: ROLE}";
    case KMS_OPT_STORE:
        return set_store(c, text);
    case KMS_OPT_KEK:
        return set_kek(c, text);
    case KMS_OPT_ACCOUNT:
        return set_account((char *)out, text);
    case KMS_OPT_PATH:
        return set_path((char *)out, c, text);
    case KMS_OPT_NUMBER:
        return set_number(out, o, text, "", NULL, err, cap);
    case KMS_OPT_TIME:
        return set_number(out, o, text, "smhd", seconds, err, cap);
    case KMS_OPT_SIZE:
        return set_number(out, o, text, "KMG", octets, err, cap);
    case KMS_OPT_WORD:
        return set_word(out, o, text, err, cap);
    case KMS_OPT_SUITES:
        return add_suite(c, text);
    case KMS_OPT_MODES:
        return add_mode(c, text);
    case KMS_OPT_TYPES:
        return add_type(c, text);
    case KMS_OPT_FILES:
        return add_file((struct kms_files *)(void *)out, c, text);
    case KMS_OPT_PATH_OR_OFF:
        return set_path_or_off((char *)out, c, text);
    case KMS_OPT_URL:
        return set_url((char *)out, text);
    case KMS_OPT_SET:
        return add_word(out, o, text, err, cap);
    case KMS_OPT_PEER:
        return "each peer is written {identity: ..., domains: [...], ...}";
    }
    return "unknown type";
}

size_t
kms_option_octets(const struct kms_option *o)
{
    static const struct kms_config *const c;

    switch (o->type) {
    case KMS_OPT_IDENTITY:
        return sizeof c->identity;
    case KMS_OPT_LISTEN:
        return sizeof c->listen;
    case KMS_OPT_ADMIN:
        return sizeof c->admin;
    case KMS_OPT_API:
        return sizeof c->api;
    case KMS_OPT_PEOPLE:
        return sizeof c->roster;
    case KMS_OPT_STORE:
    case KMS_OPT_PATH:
    case KMS_OPT_PATH_OR_OFF:
    case KMS_OPT_URL:
        return KMS_PATH_MAX;
    case KMS_OPT_KEK:
        return sizeof c->kek;
    case KMS_OPT_ACCOUNT:
        return KMS_ACCOUNT_MAX;
    case KMS_OPT_FILES:
        return sizeof(struct kms_files);
    case KMS_OPT_PEER:
        return sizeof c->peers;
    case KMS_OPT_NUMBER:
    case KMS_OPT_TIME:
    case KMS_OPT_SIZE:
    case KMS_OPT_WORD:
    case KMS_OPT_SUITES:
    case KMS_OPT_MODES:
    case KMS_OPT_TYPES:
    case KMS_OPT_SET:
        return sizeof(uint32_t);
    }
    return 0;
}

void
kms_option_help(FILE *out, const struct kms_option *o)
{
    fprintf(out, "  %-22s %s", o->name, o->help);
    if (o->words != NULL && o->type == KMS_OPT_WORD)
        fprintf(out, " (default %s)", o->words[o->standard]);
    else if (o->max != 0)
        fprintf(out, " (default %u%s)", o->standard, o->type == KMS_OPT_TIME ? "s" : "");
    fputc('\n', out);
}

void
kms_config_help(FILE *out)
{
    for (size_t i = 0; i < kms_n_options; i++) {
        kms_option_help(out, &kms_options[i]);
        if (kms_options[i].type == KMS_OPT_PEER)
            kms_config_peers_help(out);
    }
}
