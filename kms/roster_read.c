/* SPDX-License-Identifier: Apache-2.0 */
/* api.people: a list of mappings, each a badge: {name: alice, user: alice, role: operate}. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "hex.h"
#include "roster.h"

static const char person_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._@";

struct reading {
    struct kms_document *doc;
    struct kms_roster_row p;
    bool has_badge;
};

static const char *
take_name(struct kms_roster_row *p, const char *text)
{
    size_t n = strlen(text);

    if (n == 0 || n > KMS_PERSON_MAX || strspn(text, person_letters) != n)
        return "a name has 1 to 63 of letters, digits, -, ., _ and @";
    memcpy(p->name, text, n + 1);
    return NULL;
}

static const char *
take_role(struct kms_roster_row *p, const char *text)
{
    for (enum kms_role r = KMS_ROLE_READ; r <= KMS_ROLE_OFFICER; r++)
        if (strcmp(kms_role_word(r), text) == 0) {
            p->role = r;
            return NULL;
        }
    return "a role is read, operate or security-officer";
}

static const char *
take_user(struct kms_roster_row *p, const char *text)
{
    const struct passwd *user = getpwnam(text);

    p->badge = KMS_BADGE_USER;
    p->id = user == NULL ? 0 : user->pw_uid;
    return user != NULL ? NULL : "this machine has no such user";
}

static const char *
take_group(struct kms_roster_row *p, const char *text)
{
    const struct group *group = getgrnam(text);

    p->badge = KMS_BADGE_GROUP;
    p->id = group == NULL ? 0 : group->gr_gid;
    return group != NULL ? NULL : "this machine has no such group";
}

static const char *
take_certificate(struct kms_roster_row *p, const char *text)
{
    size_t n = strlen(text);

    p->badge = KMS_BADGE_CERTIFICATE;
    if (n == 0 || n > KMS_SUBJECT_MAX)
        return "the name in a certificate has 1 to 255 octets";
    memcpy(p->subject, text, n + 1);
    return NULL;
}

static const char *
take_token(struct kms_roster_row *p, const char *text)
{
    p->badge = KMS_BADGE_TOKEN;
    if (strlen(text) != 2 * KMS_TOKEN_HASH || strspn(text, "0123456789abcdef") != strlen(text))
        return "not the SHA-256 of a token: mikey-kmsctl token new makes both";
    for (size_t i = 0; i < KMS_TOKEN_HASH; i++)
        p->token[i] = (uint8_t)((unsigned)kms_hex_value(text[2 * i]) << 4 |
                                (unsigned)kms_hex_value(text[2 * i + 1]));
    return NULL;
}

static const struct {
    const char *key;
    bool badge;
    const char *(*take)(struct kms_roster_row *p, const char *text);
} keys[] = {
    { "name", false, take_name },
    { "role", false, take_role },
    { "user", true, take_user },
    { "group", true, take_group },
    { "certificate", true, take_certificate },
    { "token", true, take_token },
};

static bool
key_names(const void *ctx, size_t i, char name[64])
{
    (void)ctx;
    if (i == sizeof keys / sizeof keys[0])
        return false;
    snprintf(name, 64, "%s", keys[i].key);
    return true;
}

static bool
take_pair(struct reading *x, const yaml_node_t *key, const yaml_node_t *value, unsigned *seen)
{
    const char *name = kms_document_text(x->doc, key, "a key"), *text, *wrong;

    if (name == NULL)
        return false;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(keys[i].key, name) != 0)
            continue;
        if ((*seen >> i & 1) != 0 || (keys[i].badge && x->has_badge))
            return kms_document_fail(
                x->doc, &key->start_mark,
                "one of user, group, certificate and token, and each key once");
        *seen |= 1u << i;
        x->has_badge = x->has_badge || keys[i].badge;
        text = kms_document_text(x->doc, value, name);
        wrong = text == NULL ? NULL : keys[i].take(&x->p, text);
        return text != NULL && (wrong == NULL || kms_document_fail(x->doc, &value->start_mark,
                                                                   "%s: %s", name, wrong));
    }
    return kms_document_unknown(x->doc, key, "key of a person", key_names, NULL);
}

bool
kms_roster_read(struct kms_roster *r, struct kms_document *doc, const yaml_node_t *map)
{
    struct reading x = { .doc = doc };
    unsigned seen = 0;
    yaml_node_pair_t *pair;

    if (map->type != YAML_MAPPING_NODE)
        return kms_document_fail(doc, &map->start_mark,
                                 "a person is {name: WHO, user: NAME, role: ROLE}");
    for (pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++)
        if (!take_pair(&x, kms_document_node(doc, pair->key), kms_document_node(doc, pair->value),
                       &seen))
            return false;
    if (!x.has_badge || x.p.role == KMS_ROLE_NONE)
        return kms_document_fail(doc, &map->start_mark,
                                 "a person has a role, and a user, group, certificate or token");
    if ((x.p.name[0] == '\0') != (x.p.badge == KMS_BADGE_GROUP))
        return kms_document_fail(doc, &map->start_mark,
                                 x.p.badge == KMS_BADGE_GROUP
                                     ? "a group has no name: its members are told apart"
                                     : "a person has a name");
    if (r->n == KMS_ROSTER_MAX)
        return kms_document_fail(doc, &map->start_mark, "too many people (64 at most)");
    r->people[r->n++] = x.p;
    return true;
}
