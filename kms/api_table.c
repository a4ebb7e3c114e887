/* SPDX-License-Identifier: Apache-2.0 */
/* The table of endpoints. What is not in it does not exist; what has no role in it cannot be
 * written. docs/openapi.yaml is made from it (tools/openapi.py). */
#include "api_list.h"

/* --- what they take --------------------------------------------------------------------------- */

#define IDENTITY KMS_API_TEXT, true, MKT_ID_MAX
#define SUITE                           \
    {                                   \
        "suite", KMS_API_TEXT, false, 3 \
    }
#define REALM                                       \
    {                                               \
        "realm", KMS_API_TEXT, false, KMS_REALM_MAX \
    }
#define EXPIRES                            \
    {                                      \
        "expires", KMS_API_TEXT, false, 20 \
    }
#define END                          \
    {                                \
        NULL, KMS_API_TEXT, false, 0 \
    }

static const struct kms_api_field pages[] = { KMS_PAGE_FIELDS, END };
static const struct kms_api_field user[] = {
    { "identity", IDENTITY },
    { "psk-id", KMS_API_TEXT, false, KMS_PSK_ID_MAX },
    { "psk", KMS_API_SECRET, false, 2 * MKT_SECRET_MAX },
    SUITE,
    REALM,
    EXPIRES,
    END,
};
static const struct kms_api_field user_change[] = {
    { "suspended", KMS_API_TRUTH, false, 0 },
    EXPIRES,
    END,
};
static const struct kms_api_field in_realm[] = { REALM, END };
static const struct kms_api_field tpk[] = {
    { "owner", IDENTITY },
    { "tpk-id", KMS_API_TEXT, true, KMS_PSK_ID_MAX },
    { "tpk", KMS_API_SECRET, true, 2 * MKT_SECRET_MAX },
    SUITE,
    END,
};
static const struct kms_api_field records[] = {
    { "who", KMS_API_TEXT, false, MKT_ID_MAX },
    { "ticket", KMS_API_TEXT, false, 64 },
    { "outcome", KMS_API_TEXT, false, 32 },
    { "event", KMS_API_TEXT, false, 32 },
    REALM,
    { "since", KMS_API_TEXT, false, 32 },
    { "until", KMS_API_TEXT, false, 32 },
    { "last", KMS_API_NUMBER, false, KMS_PAGE_MAX },
    KMS_PAGE_FIELDS,
    END,
};
static const struct kms_api_field force[] = { { "force", KMS_API_TRUTH, false, 0 }, END };
static const struct kms_api_field import[] = {
    { "name", KMS_API_TEXT, true, 4095 },
    { "dry-run", KMS_API_TRUTH, false, 0 },
    { "shared", KMS_API_TRUTH, false, 0 },
    END,
};

static const struct kms_api_field note[] = {
    { "what", KMS_API_TEXT, true, 32 },
    { "which", KMS_API_TEXT, false, 1023 },
    END,
};
static const struct kms_api_field export[] = {
    { "tpk-id", KMS_API_TEXT, true, KMS_PSK_ID_MAX },
    END,
};
static const struct kms_api_field passphrase[] = {
    { "passphrase", KMS_API_SECRET, true, 1023 },
    END,
};

#define WISH                                                                           \
    { "as", IDENTITY }, { "to", KMS_API_TEXTS, true, MKT_ID_MAX },                     \
        { "flags", KMS_API_TEXT, false, 16 }, { "validity", KMS_API_TEXT, false, 16 }, \
        { "type", KMS_API_TEXT, false, 16 }, { "keys", KMS_API_TEXTS, false, 32 }, SUITE

static const struct kms_api_field issue[] = {
    { "as", IDENTITY },
    { "psk", KMS_API_SECRET, true, 2 * MKT_SECRET_MAX },
    { "message", KMS_API_SECRET, true, KMS_API_MESSAGE },
    END,
};
static const struct kms_api_field question[] = {
    WISH,
    { "mode", KMS_API_TEXT, false, 1 },
    { "by", KMS_API_TEXT, false, MKT_ID_MAX },
    { "apps", KMS_API_TEXTS, false, MKT_ID_MAX },
    { "resolve", KMS_API_TRUTH, false, 0 },
    END,
};

/* --- the table -------------------------------------------------------------------------------- */

#define DAEMON KMS_API_DAEMON
#define KEYS KMS_API_KEYS
#define NO_STORE KMS_API_NO_STORE
#define LOOK(path, run, fields, gives, flags, says)                          \
    {                                                                        \
        "GET", path, KMS_ROLE_READ, run, fields, NULL, gives, says, flags, 0 \
    }
#define DO(method, path, run, fields, action, gives, flags, says)                  \
    {                                                                              \
        method, path, KMS_ROLE_OPERATE, run, fields, action, gives, says, flags, 0 \
    }
#define OFFICER(method, path, run, fields, action, gives, flags, says)             \
    {                                                                              \
        method, path, KMS_ROLE_OFFICER, run, fields, action, gives, says, flags, 0 \
    }

const struct kms_endpoint kms_endpoints[] = {
    LOOK("/v1/status", kms_api_status, NULL, "Status", DAEMON | NO_STORE,
         "How the running daemon is."),
    DO("POST", "/v1/reload", kms_api_reload, NULL, "reload", "Options", DAEMON | NO_STORE,
       "Reads the configuration again. A file with a mistake changes nothing."),
    LOOK("/v1/peers", kms_api_peers, NULL, "Peers", DAEMON | NO_STORE,
         "The KMSs of other organisations, and how they do."),
    LOOK("/v1/limits", kms_api_limits, NULL, "Limits", DAEMON | NO_STORE,
         "Sources and identities that were refused for their rate within the last hour."),
    DO("DELETE", "/v1/limits/{kind}/{name}", kms_api_lift, NULL, "limit-lift", "Nothing",
       DAEMON | NO_STORE, "Lifts the limit and lock-out of a source or an identity."),

    LOOK("/v1/users", kms_api_users, pages, "Users", 0,
         "Credentials without their keys, users without one, and aliases."),
    DO("POST", "/v1/users", kms_api_user_add, user, "user-add", "Changed", KEYS,
       "Adds a user, or a credential to one. A key goes in and never comes out."),
    LOOK("/v1/users/{identity}", kms_api_user, NULL, "User", 0,
         "One user, by whatever name, with all that belongs to it but keys."),
    DO("PATCH", "/v1/users/{identity}", kms_api_user_change, user_change, "user-change", "Changed",
       0, "Suspends, resumes, or sets when the user expires."),
    DO("DELETE", "/v1/users/{identity}", kms_api_user_remove, NULL, "user-remove", "Removed", 0,
       "Removes a user with everything that belongs to it."),
    DO("DELETE", "/v1/users/{identity}/credentials/{psk-id}", kms_api_credential_remove, NULL,
       "credential-remove", "Removed", 0, "Removes one credential."),
    DO("PUT", "/v1/users/{identity}/aliases/{alias}", kms_api_alias_add, NULL, "alias-add",
       "Changed", 0, "Gives a user one more identity."),
    DO("DELETE", "/v1/aliases/{alias}", kms_api_alias_remove, NULL, "alias-remove", "Changed", 0,
       "Takes an alias away."),
    { "POST", "/v1/import", KMS_ROLE_OPERATE, kms_api_import, import, "import", "Imported",
      "Adds users, aliases, devices and groups from a file of CSV or LDIF, which is the body.",
      KEYS, KMS_API_IMPORT },

    LOOK("/v1/groups", kms_api_groups, pages, "Groups", 0, "Groups."),
    DO("PUT", "/v1/groups/{group}", kms_api_group_add, in_realm, "group-add", "Changed", 0,
       "Adds a group."),
    DO("DELETE", "/v1/groups/{group}", kms_api_group_remove, NULL, "group-remove", "Changed", 0,
       "Removes a group."),
    LOOK("/v1/groups/{group}/members", kms_api_members, pages, "Members", 0,
         "The members of a group."),
    DO("PUT", "/v1/groups/{group}/members/{member}", kms_api_member_add, NULL, "member-add",
       "Changed", 0, "Adds a user, a group or a pattern to a group."),
    DO("DELETE", "/v1/groups/{group}/members/{member}", kms_api_member_remove, NULL,
       "member-remove", "Changed", 0, "Removes a member."),

    LOOK("/v1/realms", kms_api_realms, NULL, "Realms", 0, "Realms."),
    OFFICER("PUT", "/v1/realms/{realm}", kms_api_realm_add, NULL, "realm-add", "Changed", KEYS,
            "Adds a realm, with a first ticket protection key."),
    OFFICER("DELETE", "/v1/realms/{realm}", kms_api_realm_remove, NULL, "realm-remove", "Changed",
            0, "Removes a realm and its keys."),

    LOOK("/v1/tpks", kms_api_tpks, pages, "Tpks", 0,
         "Ticket protection keys, without the keys, and who shares them."),
    OFFICER("POST", "/v1/tpks", kms_api_tpk_add, tpk, "tpk-add", "Changed", KEYS,
            "Adds a ticket protection key that a user shares."),
    OFFICER("POST", "/v1/tpks/rotate", kms_api_tpk_rotate, in_realm, "tpk-rotate", "Generation",
            KEYS, "Makes a new ticket protection key; former ones still open their tickets."),
    OFFICER("DELETE", "/v1/tpks/{id}", kms_api_tpk_remove, NULL, "tpk-remove", "Changed", 0,
            "Removes a key that does not protect new tickets. Its tickets are lost."),

    LOOK("/v1/tickets", kms_api_tickets, records, "Tickets", 0,
         "Tickets that were issued, as the audit has them, and what became of them."),
    OFFICER("POST", "/v1/tickets", kms_api_issue, issue, "ticket-issue", "Issued", KEYS,
            "Makes a ticket for a device beforehand: answers the REQUEST_INIT_PSK in base64, made "
            "under "
            "a PSK drawn for this once, with its REQUEST_RESP."),
    LOOK("/v1/tickets/kept", kms_api_kept, pages, "Kept", 0,
         "Reference tickets, whose keys are in the store."),
    DO("PUT", "/v1/revocations/tickets/{ticket}", kms_api_ticket_revoke, force, "ticket-revoke",
       "Changed", 0, "Revokes a ticket."),
    DO("DELETE", "/v1/revocations/tickets/{ticket}", kms_api_ticket_restore, NULL, "ticket-restore",
       "Changed", 0, "Takes the revocation of a ticket back."),
    DO("PUT", "/v1/revocations/users/{identity}", kms_api_user_revoke, force, "user-revoke",
       "Changed", 0, "Revokes all tickets that were issued to a user before now."),
    DO("DELETE", "/v1/revocations/users/{identity}", kms_api_user_restore, NULL, "user-restore",
       "Changed", 0, "Takes that back."),
    DO("PUT", "/v1/revocations/groups/{group}", kms_api_group_revoke, force, "group-revoke",
       "Changed", 0, "Revokes all tickets that were issued for a group before now."),
    DO("DELETE", "/v1/revocations/groups/{group}", kms_api_group_restore, NULL, "group-restore",
       "Changed", 0, "Takes that back."),

    { "GET", "/v1/exports", KMS_ROLE_OFFICER, kms_api_exports, NULL, NULL, "Exports",
      "Exports that wait for somebody.", DAEMON | NO_STORE, 0 },
    OFFICER("POST", "/v1/exports", kms_api_export_ask, export, "export-ask", "Export", DAEMON,
            "Asks for the export of a ticket protection key."),
    OFFICER("POST", "/v1/exports/{number}/approve", kms_api_export_approve, NULL, "export-approve",
            "Export", DAEMON | NO_STORE, "Approves it: another person than the one who asked."),
    OFFICER("POST", "/v1/exports/{number}/take", kms_api_export_take, passphrase, "export-take",
            "Taken", DAEMON | KEYS,
            "Takes the key, once, sealed under the passphrase: who asked for it."),
    OFFICER("DELETE", "/v1/exports/{number}", kms_api_export_drop, NULL, "export-withdraw",
            "Export", DAEMON | NO_STORE, "Forgets an export."),

    LOOK("/v1/policy", kms_api_policy, in_realm, "Policy", NO_STORE,
         "The policy in force, or what of it rules a realm, and how its files stand to it."),
    { "POST", "/v1/policy/test", KMS_ROLE_READ, kms_api_policy_test, question, NULL, "Decision",
      "What the policy would decide, rule by rule. Nothing is made or changed.", 0, 0 },

    DO("POST", "/v1/notes", kms_api_note, note, "note", "Nothing", NO_STORE,
       "Puts on record what somebody does by other means: backup, restore, kek."),
    LOOK("/v1/audit", kms_api_audit, records, "Records", NO_STORE, "Records of the audit."),
};
const size_t kms_n_endpoints = sizeof kms_endpoints / sizeof kms_endpoints[0];
