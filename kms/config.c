/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over the YAML document: names against the table of options, each at most once, and the
 * place of the first thing that is wrong. */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "config_peers.h"
#include "config_table.h"
#include "document.h"

_Static_assert(KMS_CONFIG_ERR == KMS_DOCUMENT_ERR, "one size of error texts");

struct load {
    struct kms_config *c;
    struct kms_document doc;
    bool seen[128]; /* of each row of the table */
};

/* The name of a row as it stands in the group `prefix` ("" or "limits."), cut at the next dot. */
static bool
name_in(const struct kms_option *o, const char *prefix, char name[64])
{
    size_t n = strlen(prefix);

    if (strncmp(o->name, prefix, n) != 0)
        return false;
    snprintf(name, 64, "%.*s", (int)strcspn(o->name + n, "."), o->name + n);
    return true;
}

static bool
names_in(const void *prefix, size_t i, char name[64])
{
    if (i == kms_n_options)
        return false;
    if (!name_in(&kms_options[i], prefix, name))
        name[0] = '\0';
    return true;
}

struct set {
    struct load *l;
    const struct kms_option *o;
};

static bool
set_scalar(void *ctx, const yaml_node_t *node)
{
    struct set *s = ctx;
    const char *text = kms_document_text(&s->l->doc, node, s->o->name), *wrong;
    char buf[160];

    if (text == NULL)
        return false;
    wrong = kms_option_set(s->l->c, s->o, text, buf, sizeof buf);
    return wrong == NULL ||
           kms_document_fail(&s->l->doc, &node->start_mark, "%s: %s", s->o->name, wrong);
}

struct nets {
    struct load *l;
    struct kms_net *net;
    size_t *n;
};

static bool
add_net(void *ctx, const yaml_node_t *node)
{
    struct nets *to = ctx;
    const char *text = kms_document_text(&to->l->doc, node, "a network"), *wrong;

    if (text == NULL)
        return false;
    wrong = *to->n == KMS_ACL_MAX ? "too many networks (32 at most)"
                                  : kms_net_parse(&to->net[*to->n], text);
    if (wrong != NULL)
        return kms_document_fail(&to->l->doc, &node->start_mark, "%s", wrong);
    ++*to->n;
    return true;
}

/* The networks of `allow` or `deny`: one, or a list. */
static bool
add_nets(struct load *l, struct kms_net *net, size_t *n, const yaml_node_t *node)
{
    struct nets to = { l, net, n };

    return kms_document_each(&l->doc, node, "networks", add_net, &to);
}

static bool
set_for(struct load *l, bool *for_peers, const yaml_node_t *node)
{
    const char *text = kms_document_text(&l->doc, node, "for");

    *for_peers = text != NULL && strcmp(text, "peers") == 0;
    if (text == NULL || *for_peers || strcmp(text, "clients") == 0)
        return text != NULL;
    return kms_document_fail(&l->doc, &node->start_mark, "for: an address is for clients or peers");
}

/* An address with its rules: {url: ..., for: ..., allow: [...], deny: [...]}. */
static bool
set_listener(struct set *s, const yaml_node_t *map)
{
    struct load *l = s->l;
    struct kms_acl acl = { 0 };
    size_t before = l->c->n_listen;
    bool for_peers = false, said = false;
    yaml_node_pair_t *p;

    for (p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = kms_document_node(&l->doc, p->key);
        const yaml_node_t *value = kms_document_node(&l->doc, p->value);
        const char *name = kms_document_text(&l->doc, key, "a key");
        bool ok;

        if (name == NULL)
            return false;
        if (strcmp(name, "url") == 0 && l->c->n_listen == before)
            ok = set_scalar(s, value);
        else if (strcmp(name, "for") == 0 && !said)
            ok = said = set_for(l, &for_peers, value);
        else if (strcmp(name, "allow") == 0 && acl.n_allow == 0)
            ok = add_nets(l, acl.allow, &acl.n_allow, value);
        else if (strcmp(name, "deny") == 0 && acl.n_deny == 0)
            ok = add_nets(l, acl.deny, &acl.n_deny, value);
        else
            ok = kms_document_fail(&l->doc, &key->start_mark,
                                   "an address has url, for, allow and deny, once each");
        if (!ok)
            return false;
    }
    if (l->c->n_listen == before)
        return kms_document_fail(&l->doc, &map->start_mark, "url is missing");
    l->c->listen[before].acl = acl;
    l->c->listen[before].for_peers = for_peers;
    if (for_peers && !l->c->listen[before].tls)
        return kms_document_fail(&l->doc, &map->start_mark, "an address for peers is https://");
    return true;
}

static bool
set_item(void *ctx, const yaml_node_t *node)
{
    struct set *s = ctx;

    if (s->o->type == KMS_OPT_LISTEN && node->type == YAML_MAPPING_NODE)
        return set_listener(s, node);
    if (s->o->type == KMS_OPT_PEER && node->type == YAML_MAPPING_NODE)
        return kms_config_peer(s->l->c, &s->l->doc, node);
    if (s->o->type == KMS_OPT_PEOPLE)
        return kms_roster_read(&s->l->c->roster, &s->l->doc, node);
    return set_scalar(s, node);
}

static bool
set_option(struct load *l, const struct kms_option *o, const yaml_node_t *node)
{
    bool list = o->type == KMS_OPT_LISTEN || o->type == KMS_OPT_SUITES ||
                o->type == KMS_OPT_MODES || o->type == KMS_OPT_TYPES || o->type == KMS_OPT_FILES ||
                o->type == KMS_OPT_SET || o->type == KMS_OPT_PEER || o->type == KMS_OPT_PEOPLE;
    struct set s = { l, o };

    if (o->type == KMS_OPT_PEOPLE && node->type == YAML_MAPPING_NODE)
        return set_item(&s, node); /* one alone */
    return list ? kms_document_each(&l->doc, node, o->name, set_item, &s) : set_scalar(&s, node);
}

static bool walk(struct load *l, const yaml_node_t *map, const char *prefix);

static bool
walk_pair(struct load *l, const yaml_node_t *key, const yaml_node_t *value, const char *prefix)
{
    const char *text = (const char *)key->data.scalar.value;
    char name[64], group[80];

    if (key->type != YAML_SCALAR_NODE)
        return kms_document_fail(&l->doc, &key->start_mark, "the name of an option must be a word");
    for (size_t i = 0; i < kms_n_options; i++) {
        const struct kms_option *o = &kms_options[i];

        if (!name_in(o, prefix, name) || strcmp(name, text) != 0)
            continue;
        snprintf(group, sizeof group, "%s%s.", prefix, name);
        if (strncmp(o->name, group, strlen(group)) == 0) {
            if (value->type != YAML_MAPPING_NODE)
                return kms_document_fail(&l->doc, &value->start_mark,
                                         "\"%s\" needs options of its own below it", name);
            return walk(l, value, group);
        }
        if (l->seen[i])
            return kms_document_fail(&l->doc, &key->start_mark, "\"%s\" is given twice", o->name);
        l->seen[i] = true;
        return set_option(l, o, value);
    }
    return kms_document_unknown(&l->doc, key, "option", names_in, prefix);
}

static bool
walk(struct load *l, const yaml_node_t *map, const char *prefix)
{
    yaml_node_pair_t *p;

    for (p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
        if (!walk_pair(l, kms_document_node(&l->doc, p->key), kms_document_node(&l->doc, p->value),
                       prefix))
            return false;
    return true;
}

static void
set_defaults(struct kms_config *c, const char *path)
{
    memset(c, 0, sizeof *c);
    snprintf(c->path, sizeof c->path, "%s", path);
    for (size_t i = 0; i < kms_n_options; i++)
        if (kms_options[i].max != 0)
            memcpy((char *)c + kms_options[i].offset, &kms_options[i].standard, sizeof(uint32_t));
}

static bool
given(const struct load *l, const char *name)
{
    for (size_t i = 0; i < kms_n_options; i++)
        if (strcmp(kms_options[i].name, name) == 0)
            return l->seen[i];
    return false;
}

/* What is on unless it is turned off stands beside the store. */
static bool
default_path(struct load *l, const char *option, char path[KMS_PATH_MAX], const char *name)
{
    struct kms_config *c = l->c;
    const char *slash = strrchr(c->store, '/');
    int dir = slash == NULL ? 0 : (int)(slash - c->store) + 1;
    int n;

    if (given(l, option))
        return true;
    n = snprintf(path, KMS_PATH_MAX, "%.*s%s", dir, c->store, name);
    return n > 0 && n < KMS_PATH_MAX;
}

/* Administering over TLS needs a certificate, and somebody who may. */
static const char *
check_api(const struct kms_config *c)
{
    if (c->api.url[0] == '\0')
        return c->api_client_ca.n == 0 ? NULL : "\"api.client_ca\" needs \"api.listen\"";
    if (c->tls_certificate.n == 0)
        return "\"tls.certificate\" is missing: \"api.listen\" needs it";
    if (kms_roster_has(&c->roster, KMS_BADGE_CERTIFICATE) && c->api_client_ca.n == 0)
        return "\"api.client_ca\" is missing: without it no certificate in \"api.people\" counts";
    if (!kms_roster_has(&c->roster, KMS_BADGE_CERTIFICATE) &&
        !kms_roster_has(&c->roster, KMS_BADGE_TOKEN))
        return "\"api.people\" names no token and no certificate: nobody may use \"api.listen\"";
    return NULL;
}

static bool
finish(struct load *l, const yaml_node_t *root)
{
    static const char *const required[] = { "identity", "listen", "store" };
    struct kms_config *c = l->c;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    char buf[160];
    const char *wrong;

    for (size_t r = 0; r < sizeof required / sizeof required[0]; r++)
        for (size_t i = 0; i < kms_n_options; i++)
            if (strcmp(kms_options[i].name, required[r]) == 0 && !l->seen[i])
                return kms_document_fail(&l->doc, &root->start_mark, "\"%s\" is missing: %s",
                                         required[r], kms_options[i].help);
    if (c->certificate.n != c->private_key.n)
        return kms_document_fail(&l->doc, &root->start_mark,
                                 "each \"certificate\" needs its \"private_key\"");
    if (c->certificate.n > 0 && c->trust.n == 0)
        return kms_document_fail(&l->doc, &root->start_mark,
                                 "\"trust\" is missing: without it nobody's signature is accepted");
    if (!default_path(l, "audit.file", c->audit_dir, "audit"))
        return kms_document_fail(&l->doc, &root->start_mark, "audit.file: the path is too long");
    if (!default_path(l, "control", c->control, "control"))
        return kms_document_fail(&l->doc, &root->start_mark, "control: the path is too long");
    wrong = check_api(c);
    if (wrong != NULL)
        return kms_document_fail(&l->doc, &root->start_mark, "%s", wrong);
    if (c->tls_certificate.n != c->tls_private_key.n)
        return kms_document_fail(&l->doc, &root->start_mark,
                                 "each \"tls.certificate\" needs its \"tls.private_key\"");
    for (size_t i = 0; i < c->n_listen; i++)
        if (c->listen[i].tls && c->tls_certificate.n == 0)
            return kms_document_fail(&l->doc, &root->start_mark,
                                     "\"tls.certificate\" is missing: %.200s needs it",
                                     c->listen[i].url);
    if (c->tls_client_ca.n > 0 && c->tls_certificate.n == 0)
        return kms_document_fail(&l->doc, &root->start_mark,
                                 "\"tls.client_ca\" needs \"tls.certificate\"");
    if (c->vault != 0 && c->kek[0] == '\0')
        return kms_document_fail(&l->doc, &root->start_mark,
                                 "\"vault: process\" needs a \"kek\": it opens sealed keys only");
    wrong = kms_config_peers_check(c, buf, sizeof buf);
    if (wrong != NULL)
        return kms_document_fail(&l->doc, &root->start_mark, "%s", wrong);
    if (c->workers == 0)
        c->workers = cores < 1 ? 1 : cores > 256 ? 256 : (uint32_t)cores;
    if (c->suites == 0)
        c->suites = 1u << MKT_PRF_MIKEY_1 | 1u << MKT_PRF_HMAC_SHA_256;
    if (c->modes == 0)
        c->modes = 1u << 1 | 1u << 2 | 1u << 3;
    if (c->ticket_types == 0)
        c->ticket_types = KMS_MAKES_BASE;
    return true;
}

bool
kms_config_load(struct kms_config *c, const char *path, char *err)
{
    struct load l = { .c = c };
    const yaml_node_t *root;
    bool ok;

    set_defaults(c, path);
    if (!kms_document_open(&l.doc, path, err))
        return false;
    root = kms_document_root(&l.doc, "options as \"name: value\"");
    ok = root != NULL && walk(&l, root, "") && finish(&l, root);
    kms_document_close(&l.doc);
    return ok;
}
