/* SPDX-License-Identifier: Apache-2.0 */
/* Policies, questions and decisions, one row each. */
#ifndef TESTS_KMS_RULES_TABLE_H
#define TESTS_KMS_RULES_TABLE_H

#include "policy.h"

#define ALICE "sip:alice@example.com"
#define BOB "sip:bob@example.com"
#define CAROL "sip:carol@other.example"
#define BOARD "sip:board@example.com"
#define TEAM "sip:team@example.com"
#define KMS "sip:kms@example.com"

/* What is asked, in words that are easy to change in one place. */
struct asked {
    const char *from, *to, *also_to, *by; /* by: who resolves; NULL: a request */
    const char *flags;                    /* NULL: DEFGHINO without I */
    const char *app;
    uint32_t hours;     /* validity; 0: a day; UINT32_MAX: without end */
    uint32_t rekey_s;   /* 0: none */
    uint16_t type;      /* 0: base */
    uint8_t prf_128;    /* 1: the 128-bit suite */
    uint8_t key;        /* enum mkt_key_type, when key_len is set */
    uint16_t key_len;   /* 0: no KEMAC */
    bool responder_tpk; /* the responder shares one */
};

#define AB .from = ALICE, .to = BOB

#define R "rules:\n- rule: first\n  "
#define REST "\n- rule: rest\n"
#define NONE "(none)"

enum { GRANT, CHANGED, REFUSE_7, REFUSE_14, REFUSE_15 };

static const struct row {
    const char *policy;
    struct asked asked;
    int decision;
    const char *rule, *why; /* why: in the error; NULL: not looked at */
} rows[] = {
    /* --- who: first match wins --- */
    { R "from: " ALICE REST, { AB }, GRANT, "first", NULL },
    { R "from: " BOB REST, { AB }, GRANT, "rest", NULL },
    { R "from: " BOB, { AB }, REFUSE_7, NONE, "no rule applies" },
    { R "from: " ALICE "\n  decision: refuse" REST, { AB }, REFUSE_7, "first", "the rule" },
    { R "from: [" BOB ", " ALICE "]" REST, { AB }, GRANT, "first", NULL },
    { R "from: sip:*@example.com" REST, { AB }, GRANT, "first", NULL },
    { R "from: sip:*@example.com" REST, { .from = CAROL, .to = BOB }, GRANT, "rest", NULL },
    { R "from: sip:*@example.com" REST,
      { .from = "sip:x@evil@example.com", .to = BOB },
      GRANT,
      "rest",
      NULL },
    { R "from: sip:*@*.example" REST, { .from = CAROL, .to = BOB }, GRANT, "first", NULL },
    { R "from: '*@example.com'" REST, { AB }, GRANT, "rest", NULL }, /* a NAI is meant */
    { R "from: group:" BOARD "" REST, { AB }, GRANT, "first", NULL },
    { R "from: group:" BOARD "" REST, { .from = BOB, .to = ALICE }, GRANT, "rest", NULL },
    { R "from: realm:example.com" REST, { AB }, GRANT, "first", NULL },
    { R "from: realm:example.com" REST, { .from = CAROL, .to = BOB }, GRANT, "rest", NULL },
    { R "from: realm:example.com" REST,
      { .from = "sip:mallory@evil.example;x=@example.com", .to = BOB },
      GRANT,
      "rest",
      NULL },
    { R "from: any\n  to: '*'" REST, { AB }, GRANT, "first", NULL },
    /* --- whom: each responder by itself --- */
    { R "to: " BOB, { AB }, GRANT, "first", NULL },
    { R "to: " BOB, { .from = ALICE, .to = CAROL }, REFUSE_7, NONE, NULL },
    { R "to: " BOB, { AB, .also_to = CAROL }, REFUSE_7, NONE, NULL },
    { R "to: " CAROL "\n  decision: refuse" REST,
      { AB, .also_to = CAROL },
      REFUSE_7,
      "first",
      NULL },
    { R "to: " CAROL "\n  require: {suites: 256}" REST,
      { AB, .also_to = CAROL, .prf_128 = 1 },
      REFUSE_15,
      "first",
      "suites" },
    { R "to: " CAROL "\n  change: {reuse: false}" REST,
      { AB, .also_to = CAROL, .flags = "DEFGHJNO" },
      CHANGED,
      "rest",
      NULL },
    { R "to: " CAROL "\n  change: {flags: {clear: J}}\n- rule: b\n  change: {flags: {set: J}}",
      { AB, .also_to = CAROL },
      REFUSE_15,
      "b",
      "conflict" },
    /* --- when: the rule does not apply --- */
    { R "when: {at: resolve}" REST, { AB }, GRANT, "rest", NULL },
    { R "when: {at: issue}" REST, { AB }, GRANT, "first", NULL },
    { R "when: {modes: 2}" REST, { AB }, GRANT, "rest", NULL },
    { R "when: {modes: [1]}" REST, { AB }, GRANT, "first", NULL },
    { R "when: {types: compat}" REST, { AB }, GRANT, "rest", NULL },
    { R "when: {types: reference}",
      { AB, .type = MKT_TICKET_TYPE_REFERENCE },
      REFUSE_14, /* the configuration has no word for it */
      "first",
      "types" },
    { R "when: {suites: 128}" REST, { AB, .prf_128 = 1 }, GRANT, "first", NULL },
    { R "when: {suites: 128}" REST, { AB }, GRANT, "rest", NULL },
    { R "when: {flags: {set: E, clear: I}}" REST, { AB }, GRANT, "first", NULL },
    { R "when: {flags: {set: EI}}" REST, { AB }, GRANT, "rest", NULL },
    { R "when: {reuse: true}" REST, { AB, .flags = "DEFGHJNO" }, GRANT, "first", NULL },
    { R "when: {validity: 1h}" REST, { AB, .hours = 1 }, GRANT, "first", NULL },
    { R "when: {validity: 1h}" REST, { AB, .hours = 2 }, GRANT, "rest", NULL },
    { R "when: {suites: 128}\n  decision: refuse" REST,
      { AB, .prf_128 = 1 },
      REFUSE_15,
      "first",
      NULL },
    /* --- require: the rule applies, and refuses --- */
    { R "require: {modes: 2}" REST, { AB }, REFUSE_15, "first", "mode 1 is not served" },
    { R "require: {modes: 2}" REST,
      { AB, .flags = "DFGHNO", .responder_tpk = true },
      GRANT,
      "first",
      NULL },
    { R "require: {modes: 2}" REST, /* what is left is mode 1 */
      { AB, .flags = "DFGHNO" },
      REFUSE_15,
      "first",
      "mode 1" },
    { R "require: {types: compat}" REST, { AB }, REFUSE_14, "first", "types" },
    { R "require: {ticket_types: compat}" REST, { AB }, REFUSE_14, "first", "not in ticket_types" },
    { R "require: {ticket_types: compat}" REST, { AB, .by = BOB }, GRANT, "first", NULL },
    { R "require: {types: compat}" REST, { AB, .by = BOB }, REFUSE_14, "first", "types: " },
    { R "require: {flags: {set: I}}" REST, { AB }, REFUSE_15, "first", "flags" },
    { R "require: {forking: true}" REST, { AB, .flags = "DEFGHINO" }, GRANT, "first", NULL },
    { R "require: {flags: {clear: J}}" REST,
      { AB, .flags = "DEFGHJNO" },
      REFUSE_15,
      "first",
      "flags" },
    { R "require: {keys: [TEK]}" REST, { AB }, REFUSE_15, "first", "keys" }, /* one TGK */
    { R "require: {keys: [TEK]}" REST,
      { AB, .key = MKT_KEY_TEK, .key_len = 16 },
      GRANT,
      "first",
      NULL },
    { R "require: {keys: [TEK]}" REST,
      { AB, .key = MKT_KEY_GTGK, .key_len = 16 },
      REFUSE_15,
      "first",
      "keys" },
    { R "require: {key_octets: {min: 32}}" REST, { AB }, GRANT, "first", NULL },
    { R "require: {key_octets: {min: 32}}" REST,
      { AB, .key_len = 16 },
      REFUSE_15,
      "first",
      "key_octets" },
    { R "require: {key_octets: {max: 16}}" REST, { AB }, REFUSE_15, "first", "key_octets" },
    { R "require: {key_count: 0}" REST, { AB }, REFUSE_15, "first", "key_count" },
    { R "require: {validity: 1h}" REST, { AB, .hours = 2 }, REFUSE_15, "first", "validity" },
    { R "require: {validity: 1h}" REST, { AB, .hours = 1 }, GRANT, "first", NULL },
    { R "require: {rekey: 60s}" REST, { AB }, REFUSE_15, "first", "rekey" },
    { R "require: {rekey: 60s}" REST, { AB, .rekey_s = 60 }, GRANT, "first", NULL },
    { R "require: {rekey: 60s}" REST, { AB, .rekey_s = 61 }, REFUSE_15, "first", "rekey" },
    { R "require: {applications: [app:voice]}" REST, { AB }, REFUSE_15, "first", "applications" },
    { R "require: {applications: ['app:*']}" REST,
      { AB, .app = "app:voice" },
      GRANT,
      "first",
      NULL },
    { R "require: {applications: [app:voice]}" REST,
      { AB, .app = "app:video" },
      REFUSE_15,
      "first",
      "applications" },
    { R "require: {applications: any}" REST, { AB }, GRANT, "first", NULL },
    /* --- change: granted, with K --- */
    { R "change: {validity: 1h}" REST, { AB }, CHANGED, "first", NULL },
    { R "change: {validity: 1h}" REST, { AB, .hours = 1 }, GRANT, "first", NULL },
    { R "change: {validity: 1h}\n  require: {validity: 1h}", { AB }, CHANGED, "first", NULL },
    { R "", { AB, .hours = 48 }, CHANGED, "first", NULL }, /* max_validity is a day */
    { R "", { AB, .hours = UINT32_MAX }, CHANGED, "first", NULL },
    { R "change: {rekey: 60s}" REST, { AB }, CHANGED, "first", NULL },
    { R "change: {rekey: 60s}" REST, { AB, .rekey_s = 60 }, GRANT, "first", NULL },
    { R "change: {flags: {set: EFI}}\n  require: {forking: true}", { AB }, CHANGED, "first", NULL },
    /* --- profiles --- */
    { R "profile: strict" REST, { AB, .flags = "DEFGHINO" }, GRANT, "first", NULL },
    { R "profile: strict" REST, { AB, .flags = "DEFGHJNO" }, CHANGED, "first", NULL },
    { R "profile: strict" REST, { AB, .prf_128 = 1 }, REFUSE_15, "first", "suites" },
    { R "profile: strict" REST,
      { AB, .key = MKT_KEY_TEK, .key_len = 32 },
      REFUSE_15,
      "first",
      "keys" },
    { R "profile: deferred" REST, { AB }, REFUSE_15, "first", "flags" },
    { R "profile: deferred" REST, { AB, .flags = "DEHNO" }, GRANT, "first", NULL },
    { R "profile: deferred" REST,
      { AB, .flags = "DEHINO", .key = MKT_KEY_GTGK, .key_len = 32 },
      GRANT,
      "first",
      NULL },
    { R "profile: deferred" REST, { AB, .flags = "DEFHINO" }, REFUSE_15, "first", "flags" },
    { R "profile: group" REST, { .from = ALICE, .to = TEAM }, REFUSE_15, "first", "keys" },
    { R "profile: group" REST,
      { .from = ALICE, .to = TEAM, .flags = "DEHJNO", .key = MKT_KEY_GTGK, .key_len = 32 },
      CHANGED,
      "first",
      NULL },
    { R "profile: compat" REST, { AB, .prf_128 = 1 }, REFUSE_14, "first", "types" },
    { "profiles: {ours: {profile: strict, change: {validity: 2h}}}\n" R "profile: ours" REST,
      { AB, .flags = "DEFGHINO" },
      CHANGED,
      "first",
      NULL },
    /* --- resolve: today's rules for a ticket of yesterday --- */
    { R "", { AB, .by = BOB }, GRANT, "first", NULL },
    { R "", { AB, .by = CAROL }, REFUSE_7, NONE, "IDRr" }, /* RFC6043:4.2.3.4-1 */
    { R "to: " BOB "\n  decision: refuse" REST, { AB, .by = BOB }, REFUSE_7, "first", NULL },
    { R "from: " ALICE "\n  decision: refuse" REST, { AB, .by = BOB }, REFUSE_7, "first", NULL },
    { R "require: {forking: true}" REST, { AB, .by = BOB }, REFUSE_15, "first", "flags" },
    { R "change: {flags: {set: EFI}}" REST, { AB, .by = BOB }, GRANT, "first", NULL },
    { R "change: {validity: 1h}" REST, { AB, .by = BOB }, GRANT, "first", NULL },
    { R "profile: strict" REST, { AB, .by = BOB }, REFUSE_15, "first", "flags" },
    { R "when: {at: issue}\n  decision: refuse" REST, { AB, .by = BOB }, GRANT, "rest", NULL },
    { R "when: {at: resolve}\n  decision: refuse" REST,
      { AB, .by = BOB },
      REFUSE_15,
      "first",
      NULL },
    { R "require: {modes: 1}",
      { AB, .by = BOB, .flags = "DFGHNO", .responder_tpk = true },
      REFUSE_15,
      "first",
      "mode 2 is not served" },
    /* a member of a group that the ticket names; a rule about either of the two names applies */
    { R "", { .from = ALICE, .to = TEAM, .by = BOB }, GRANT, "first", NULL },
    { R "", { .from = BOB, .to = TEAM, .by = ALICE }, REFUSE_7, NONE, "IDRr" },
    { R "to: " TEAM REST, { .from = ALICE, .to = TEAM, .by = BOB }, GRANT, "first", NULL },
    { R "to: " BOB "\n  decision: refuse" REST,
      { .from = ALICE, .to = TEAM, .by = BOB },
      REFUSE_7,
      "first",
      NULL },
    /* --- mode 3: what the Initiator made is held to what it would have got --- */
    { R "", { AB, .by = BOB, .flags = "EFGHLNO" }, GRANT, "first", NULL },
    { R "require: {modes: [1, 2]}",
      { AB, .by = BOB, .flags = "EFGHLNO" },
      REFUSE_15,
      "first",
      "mode 3 is not served" },
    { R "change: {validity: 1h}",
      { AB, .by = BOB, .flags = "EFGHLNO" },
      REFUSE_15,
      "first",
      "TRe" },
    { R "change: {rekey: 1h}", { AB, .by = BOB, .flags = "EFGHLNO" }, REFUSE_15, "first", "TRr" },
    { R "change: {flags: {clear: J}}",
      { AB, .by = BOB, .flags = "EFGHJLNO" },
      REFUSE_15,
      "first",
      "flags" },
    { R "to: " CAROL "\n  decision: refuse" REST, /* somebody else whom it names */
      { AB, .also_to = CAROL, .by = BOB, .flags = "EFGHLNO" },
      REFUSE_7,
      "first",
      NULL },
    { R "when: {at: issue}\n  decision: refuse" REST,
      { AB, .by = BOB, .flags = "EFGHLNO" },
      REFUSE_15,
      "first",
      NULL },
};

#endif
