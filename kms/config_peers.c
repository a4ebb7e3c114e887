/* SPDX-License-Identifier: Apache-2.0 */
/* One table of the options that a peer has. Paths, times and numbers are read as everywhere in the
 * configuration; names are checked here. */
#include "config_peers.h"

#include <ctype.h>
#include <string.h>

#include "config_table.h"
#include "selector.h"

enum kind { PLAIN, IDENTITY, DOMAINS, REALMS, URL, NAME };

#define AT(field) offsetof(struct kms_peer_option, field)

/* Offsets are in struct kms_peer_option. */
static const struct row {
    enum kind kind;
    struct kms_option option;
} rows[] = {
    { IDENTITY,
      { .name = "identity",
        .help = "its IDRkms; a user of the store of that identity has our key" } },
    { DOMAINS, { .name = "domains", .help = "domains whose users it speaks for" } },
    { REALMS,
      { .name = "realms", .help = "realms whose tickets it may have resolved, besides default" } },
    { URL, { .name = "url", .help = "https address where it is asked; without: never" } },
    { NAME, { .name = "name", .help = "that its certificate is for; default: the host of url" } },
    { PLAIN,
      { "ca", KMS_OPT_PATH, AT(ca), 0, 0, 0, NULL,
        "file of the certificates of its authorities" } },
    { PLAIN,
      { "crl", KMS_OPT_PATH, AT(crl), 0, 0, 0, NULL,
        "file of the revocation lists of these authorities" } },
    { PLAIN,
      { "certificate", KMS_OPT_PATH, AT(certificate), 0, 0, 0, NULL,
        "file of the certificate that we show it" } },
    { PLAIN,
      { "private_key", KMS_OPT_PATH, AT(private_key), 0, 0, 0, NULL,
        "file of its key, mode 0600" } },
    { PLAIN,
      { "timeout", KMS_OPT_TIME, AT(timeout_s), 3, 1, 20, NULL, "how long an answer may take" } },
    { PLAIN,
      { "waiting", KMS_OPT_NUMBER, AT(waiting), 64, 1, 1024, NULL,
        "questions that may wait for an answer" } },
};
#define N_ROWS (sizeof rows / sizeof rows[0])

struct entry {
    struct kms_config *c;
    struct kms_document *doc;
    struct kms_peer_option *peer;
};

/* --- names ------------------------------------------------------------------------------------ */

/* A host name or an IPv4 address, in lower case and without a dot at its end. */
static const char *
take_host(char out[KMS_NAME_MAX], const char *text, size_t n)
{
    if (n > 0 && text[n - 1] == '.')
        n--;
    if (n == 0 || n >= KMS_NAME_MAX)
        return "a name is empty or too long";
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("-._", text[i]) == NULL)
            return "a name has letters, digits, '-' and '.' only";
        out[i] = (char)tolower((unsigned char)text[i]);
    }
    out[n] = '\0';
    return NULL;
}

bool
kms_domain_of(struct mkt_identity id, char out[KMS_NAME_MAX])
{
    struct mkt_span domain = kms_who_of(id).domain;

    return domain.n > 0 && take_host(out, (const char *)domain.p, domain.n) == NULL;
}

static const char *
take_identity(struct kms_peer_option *p, const char *text)
{
    if (kms_identity_of(text).data.p == NULL)
        return "not an identity: write a URI (sip:kms@example.com) or a NAI (kms@example.com)";
    snprintf(p->identity, sizeof p->identity, "%s", text);
    return NULL;
}

static bool
take_domain(void *ctx, const yaml_node_t *node)
{
    struct entry *e = ctx;
    struct kms_peer_option *p = e->peer;
    const char *text = kms_document_text(e->doc, node, "a domain"), *wrong;

    if (text == NULL)
        return false;
    if (p->n_domains == KMS_PEER_DOMAINS_MAX)
        return kms_document_fail(e->doc, &node->start_mark, "domains: too many (8 at most)");
    wrong = take_host(p->domain[p->n_domains], text, strlen(text));
    if (wrong != NULL)
        return kms_document_fail(e->doc, &node->start_mark, "domains: %s", wrong);
    p->n_domains++;
    return true;
}

static bool
take_realm(void *ctx, const yaml_node_t *node)
{
    struct entry *e = ctx;
    struct kms_peer_option *p = e->peer;
    const char *text = kms_document_text(e->doc, node, "a realm");

    if (text == NULL)
        return false;
    if (p->n_realms == KMS_PEER_DOMAINS_MAX)
        return kms_document_fail(e->doc, &node->start_mark, "realms: too many (8 at most)");
    if (text[0] == '\0' || strlen(text) >= KMS_PEER_REALM_MAX)
        return kms_document_fail(e->doc, &node->start_mark, "realms: empty, or too long");
    snprintf(p->realm[p->n_realms++], KMS_PEER_REALM_MAX, "%s", text);
    return true;
}

/* https://HOST[:PORT][/PATH]: an IPv6 address in brackets. */
static const char *
take_url(struct kms_peer_option *p, const char *text)
{
    const char *host = text + 8, *port = "443", *path;
    size_t n, digits = 3;

    if (strncmp(text, "https://", 8) != 0)
        return "another KMS is asked over https:// only";
    if (strlen(text) >= sizeof p->url)
        return "the URL is too long";
    n = host[0] == '[' ? strcspn(host, "]/") + 1 : strcspn(host, ":/?#");
    if (n == 0 || n >= KMS_NAME_MAX || strpbrk(text, "?#@ ") != NULL ||
        (host[0] == '[' && host[n - 1] != ']'))
        return "not https://HOST[:PORT][/PATH]";
    path = host + n;
    if (*path == ':') {
        port = path + 1;
        digits = strspn(port, "0123456789");
        if (digits == 0 || digits > 5)
            return "not https://HOST[:PORT][/PATH]";
        path = port + digits;
    }
    if (*path != '/' && *path != '\0')
        return "not https://HOST[:PORT][/PATH]";
    snprintf(p->url, sizeof p->url, "%s", text);
    snprintf(p->connect, sizeof p->connect, "::%.*s:%.*s", (int)n, host, (int)digits, port);
    return NULL;
}

static const char *
take_name(struct kms_peer_option *p, const char *text)
{
    return take_host(p->name, text, strlen(text));
}

/* --- an entry --------------------------------------------------------------------------------- */

static bool
take(struct entry *e, const struct row *r, const yaml_node_t *node)
{
    const char *text, *wrong = NULL;
    struct kms_option o = r->option;
    char buf[160];

    if (r->kind == DOMAINS)
        return kms_document_each(e->doc, node, "domains", take_domain, e);
    if (r->kind == REALMS)
        return kms_document_each(e->doc, node, "realms", take_realm, e);
    text = kms_document_text(e->doc, node, o.name);
    if (text == NULL)
        return false;
    o.offset += (size_t)((const char *)e->peer - (const char *)e->c);
    switch (r->kind) {
    case IDENTITY:
        wrong = take_identity(e->peer, text);
        break;
    case URL:
        wrong = take_url(e->peer, text);
        break;
    case NAME:
        wrong = take_name(e->peer, text);
        break;
    default:
        wrong = kms_option_set(e->c, &o, text, buf, sizeof buf);
    }
    return wrong == NULL || kms_document_fail(e->doc, &node->start_mark, "%s: %s", o.name, wrong);
}

static bool
name_of(const void *ctx, size_t i, char name[64])
{
    (void)ctx;
    if (i == N_ROWS)
        return false;
    snprintf(name, 64, "%s", rows[i].option.name);
    return true;
}

static bool
take_pair(struct entry *e, const yaml_node_t *key, const yaml_node_t *value, bool seen[N_ROWS])
{
    const char *text = kms_document_text(e->doc, key, "a key");

    if (text == NULL)
        return false;
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i].option.name, text) != 0)
            continue;
        if (seen[i])
            return kms_document_fail(e->doc, &key->start_mark, "\"%s\" is given twice", text);
        seen[i] = true;
        return take(e, &rows[i], value);
    }
    return kms_document_unknown(e->doc, key, "option of a peer", name_of, NULL);
}

/* The URL that is asked: the host is the one that the certificate must be for. */
static bool
finish_url(struct kms_peer_option *p)
{
    const char *host = p->url + 8, *rest = host + strcspn(host, ":/"), *wrong = NULL;
    size_t n;

    if (host[0] == '[')
        rest = strchr(host, ']') + 1;
    if (p->name[0] == '\0' && host[0] == '[')
        snprintf(p->name, sizeof p->name, "%.*s", (int)(rest - host) - 2, host + 1);
    else if (p->name[0] == '\0')
        wrong = take_host(p->name, host, (size_t)(rest - host));
    n = strlen(rest);
    while (n > 0 && rest[n - 1] == '/')
        n--;
    snprintf(p->target, sizeof p->target,
             strchr(p->name, ':') != NULL
                 ? "https://[%s]%.*s/keymanagement?requesttype=ticketresolve"
                 : "https://%s%.*s/keymanagement?requesttype=ticketresolve",
             p->name, (int)n, rest);
    return wrong == NULL;
}

static const char *
missing(const struct kms_peer_option *p)
{
    return p->identity[0] == '\0'      ? "identity"
           : p->n_domains == 0         ? "domains"
           : p->ca[0] == '\0'          ? "ca"
           : p->url[0] == '\0'         ? p->name[0] == '\0' ? "name" : NULL
           : p->certificate[0] == '\0' ? "certificate"
           : p->private_key[0] == '\0' ? "private_key"
                                       : NULL;
}

bool
kms_config_peer(struct kms_config *c, struct kms_document *doc, const yaml_node_t *map)
{
    struct entry e = { c, doc, &c->peers.at[c->peers.n] };
    bool seen[N_ROWS] = { false };
    const char *what;

    if (c->peers.n == KMS_PEERS_MAX)
        return kms_document_fail(doc, &map->start_mark, "too many peers (16 at most)");
    for (size_t i = 0; i < N_ROWS; i++)
        if (rows[i].option.max != 0)
            memcpy((char *)e.peer + rows[i].option.offset, &rows[i].option.standard,
                   sizeof(uint32_t));
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
        if (!take_pair(&e, kms_document_node(doc, p->key), kms_document_node(doc, p->value), seen))
            return false;
    what = missing(e.peer);
    if (what != NULL)
        return kms_document_fail(doc, &map->start_mark, "a peer needs \"%s\"", what);
    if (e.peer->url[0] != '\0' && !finish_url(e.peer))
        return kms_document_fail(doc, &map->start_mark, "url: the host is not a name");
    c->peers.n++;
    return true;
}

void
kms_config_peers_help(FILE *out)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        struct kms_option o = rows[i].option;
        char name[32];

        snprintf(name, sizeof name, "peers.%s", o.name);
        o.name = name;
        kms_option_help(out, &o);
    }
}

/* --- all of them ------------------------------------------------------------------------------ */

const char *
kms_config_peers_check(const struct kms_config *c, char *err, size_t cap)
{
    char ours[KMS_NAME_MAX];
    bool has = kms_domain_of(kms_identity_of(c->identity), ours);

    for (size_t i = 0; i < c->peers.n; i++) {
        const struct kms_peer_option *p = &c->peers.at[i];

        if (strcmp(p->identity, c->identity) == 0)
            return "peers: this KMS itself is among them";
        if (p->timeout_s >= c->http_timeout_s)
            return "peers: each timeout must be shorter than http_timeout";
        for (size_t d = 0; d < p->n_domains; d++)
            if (has && strcmp(p->domain[d], ours) == 0) {
                snprintf(err, cap, "peers: %.100s is the domain of this KMS", ours);
                return err;
            }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(p->identity, c->peers.at[k].identity) == 0) {
                snprintf(err, cap, "peers: %.100s is given twice", p->identity);
                return err;
            }
            for (size_t d = 0; d < p->n_domains; d++)
                for (size_t m = 0; m < c->peers.at[k].n_domains; m++)
                    if (strcmp(p->domain[d], c->peers.at[k].domain[m]) == 0) {
                        snprintf(err, cap, "peers: two of them speak for %.100s", p->domain[d]);
                        return err;
                    }
        }
    }
    return NULL;
}
