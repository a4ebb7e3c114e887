/* SPDX-License-Identifier: Apache-2.0 */
/* Who may administer the KMS, and with which role: `api.people` of the configuration. It stands
 * there and nowhere else, so that nobody who administers can make administrators: two people stay
 * two people. */
#ifndef KMS_ROSTER_H
#define KMS_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "document.h"

#define KMS_ROSTER_MAX 64   /* badges */
#define KMS_PERSON_MAX 63   /* characters of a person's name */
#define KMS_SUBJECT_MAX 255 /* octets of the name in a certificate */
#define KMS_TOKEN_HASH 32   /* octets of the SHA-256 of a token */
#define KMS_TOKEN_PREFIX "mkt-"
#define KMS_TOKEN_DIGITS 64 /* behind the prefix: 256 random bits */

/* Each includes the ones before. */
enum kms_role { KMS_ROLE_NONE, KMS_ROLE_READ, KMS_ROLE_OPERATE, KMS_ROLE_OFFICER };

/* What somebody shows. */
enum kms_badge { KMS_BADGE_USER, KMS_BADGE_GROUP, KMS_BADGE_CERTIFICATE, KMS_BADGE_TOKEN };

/* One row: badges of the same name are of the same person. */
struct kms_roster_row {
    char name[KMS_PERSON_MAX + 1]; /* "" for a group, whose members are told apart by uid */
    enum kms_badge badge;
    enum kms_role role;
    uint32_t id;                       /* of a user or group of this machine */
    char subject[KMS_SUBJECT_MAX + 1]; /* of a certificate */
    uint8_t token[KMS_TOKEN_HASH];
};

struct kms_roster {
    size_t n;
    struct kms_roster_row people[KMS_ROSTER_MAX];
};

/* One who asks. */
struct kms_caller {
    char name[KMS_PERSON_MAX + 1];    /* who: two names are two people */
    char badge[KMS_SUBJECT_MAX + 16]; /* "uid 1000", "token", "certificate ops@example.com" */
    enum kms_role role;
};

/* kms_roster_read adds the badge that a mapping of the configuration describes; false with a
 * complaint. */
bool kms_roster_read(struct kms_roster *r, struct kms_document *doc, const yaml_node_t *map);

/* kms_roster_user finds who the user of this machine is, of the n groups: a row of that user, else
 * the best of those groups; else root and `own` are security officers. False: nobody. */
bool kms_roster_user(const struct kms_roster *r, uid_t own, uid_t uid, const gid_t *groups,
                     size_t n, struct kms_caller *who);

/* kms_roster_certificate looks for a name that a verified certificate has. */
bool kms_roster_certificate(const struct kms_roster *r, const char *subject,
                            struct kms_caller *who);

/* kms_roster_token looks for a token, in a time that says nothing about those that there are. */
bool kms_roster_token(const struct kms_roster *r, const uint8_t hash[KMS_TOKEN_HASH],
                      struct kms_caller *who);

/* kms_roster_has tells whether there is a badge of that kind. */
bool kms_roster_has(const struct kms_roster *r, enum kms_badge badge);

/* kms_token_hash digests a token; false when it does not have the form of one. */
bool kms_token_hash(const char *token, uint8_t hash[KMS_TOKEN_HASH]);

/* kms_role_word returns "read" and the like, "none". */
const char *kms_role_word(enum kms_role role);

#endif
