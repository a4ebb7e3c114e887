/* SPDX-License-Identifier: Apache-2.0 */
/* policy test, check and show. A test asks the very functions that the daemon asks, and only
 * watches them: so it cannot say anything else than what would happen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mikeyticket/env.h>

#include "conditions.h"
#include "document.h"
#include "kmsctl.h"
#include "tpk.h"

/* One thing that the policy looked at. condition NULL: a rule begins. */
struct step {
    const struct kms_rule *rule;
    const char *part, *condition;
    bool held;
    char *policy, *asked; /* the two values; of a rule: NULL and the responder */
};

struct inquiry {
    const struct kms_ctl *ctl;
    struct kms_rules *rules;
    struct kms_index *index;
    struct mkt_policy want, granted;
    struct kms_circumstances q;
    struct kms_decision decision;
    struct kms_trace trace;
    struct mkt_err err;
    struct step *steps;
    size_t n, room;
    bool out_of_memory, resolve;
};

/* --- watching --------------------------------------------------------------------------------- */

typedef void print_text(FILE *out, const void *a, enum kms_condition_id id);

static char *
text_of(print_text *print, const void *a, enum kms_condition_id id)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    if (out == NULL)
        return NULL;
    print(out, a, id);
    fclose(out);
    return text;
}

static void
print_value(FILE *out, const void *value, enum kms_condition_id id)
{
    kms_value_print(out, id, value);
}

static void
print_asked(FILE *out, const void *question, enum kms_condition_id id)
{
    kms_conditions[id].asked(out, question);
}

static void
add_step(struct inquiry *x, const struct step *s)
{
    struct step *more;

    if (x->n == x->room) {
        x->room = x->room == 0 ? 64 : 2 * x->room;
        more = realloc(x->steps, x->room * sizeof *more);
        if (more == NULL) {
            x->room = x->n;
            x->out_of_memory = true;
            free(s->policy);
            free(s->asked);
            return;
        }
        x->steps = more;
    }
    x->steps[x->n++] = *s;
    x->out_of_memory |= s->asked == NULL || (s->condition != NULL && s->policy == NULL);
}

static void
see_rule(void *ctx, const struct kms_rule *rule, const struct kms_question *q)
{
    const struct step s = { .rule = rule, .asked = text_of(print_asked, q, KMS_COND_TO) };

    add_step(ctx, &s);
}

static void
see_condition(void *ctx, const struct kms_rule *rule, enum kms_part_id part,
              enum kms_condition_id id, const struct kms_value *value, bool held,
              const struct kms_question *q)
{
    static const char *const parts[] = { [KMS_PART_WHO] = "who",
                                         [KMS_PART_WHEN] = "when",
                                         [KMS_PART_CHANGE] = "change",
                                         [KMS_PART_REQUIRE] = "require" };
    const struct step s = { .rule = rule,
                            .part = parts[part],
                            .condition = kms_conditions[id].name,
                            .held = held,
                            .policy = text_of(print_value, value, id),
                            .asked = text_of(print_asked, q, id) };

    add_step(ctx, &s);
}

/* Those that decide: one who asks is in one realm. */
static const struct kms_rules *
deciding(const struct inquiry *x)
{
    const struct kms_who from = kms_who_of(x->want.initiator);

    return kms_rules_of(x->rules, &from, &x->q.directory);
}

/* --- telling ---------------------------------------------------------------------------------- */

/* Whether the rule whose step is i applies: all of who and when held. */
static bool
applies(const struct inquiry *x, size_t i)
{
    while (++i < x->n && x->steps[i].condition != NULL && x->steps[i].part[0] == 'w')
        if (!x->steps[i].held)
            return false;
    return true;
}

static void
tell_steps(const struct inquiry *x)
{
    const struct kms_rule *required = NULL;

    for (size_t i = 0; i < x->n; i++) {
        const struct step *s = &x->steps[i];

        if (s->condition == NULL) {
            printf("rule \"%s\"", s->rule->name);
            if (s->rule->line != 0)
                printf(", line %u", s->rule->line);
            printf(", for %s: %s\n", s->asked,
                   !applies(x, i)    ? "does not apply"
                   : s->rule->refuse ? "applies, and refuses"
                                     : "applies");
            required = NULL;
            continue;
        }
        if (s->part[0] == 'r' && s->rule != required) {
            printf("rule \"%s\" requires of the ticket:\n", s->rule->name);
            required = s->rule;
        }
        printf("  %-4s %s%s: %s; is %s\n", s->held ? "yes" : "no",
               strcmp(s->part, "when") == 0 ? "when " : "", s->condition, s->policy, s->asked);
    }
}

static void
tell_granted(const struct inquiry *x)
{
    char flags[13];

    printf("granted by rule \"%s\"", x->decision.rule);
    if (!x->resolve) {
        const struct kms_question q = { .what = &x->granted, .now = x->q.now };

        mkt_policy_flags_format(x->granted.flags, flags);
        printf("%s: flags %s, validity ", (x->granted.flags & MKT_TP_K) != 0 ? ", changed (K)" : "",
               flags);
        kms_conditions[KMS_COND_VALIDITY].asked(stdout, &q);
        printf(", rekeying ");
        kms_conditions[KMS_COND_REKEY].asked(stdout, &q);
    }
    putchar('\n');
}

static void
tell(const struct inquiry *x)
{
    const struct kms_rules *rules = deciding(x);

    printf("rules of %s%s%s\n", rules->source, rules->realm == NULL ? "" : ", of the realm ",
           rules->realm == NULL ? "" : rules->realm);
    tell_steps(x);
    if (x->err.rc == MKT_OK)
        tell_granted(x);
    else if (x->decision.rule != NULL)
        printf("refused by rule \"%s\": %s (%s; Error %d)\n", x->decision.rule, x->err.what,
               mkt_strerror(x->err.rc), mkt_wire_error(x->err.rc));
    else
        printf("refused: %s (%s; Error %d)\n", x->err.what, mkt_strerror(x->err.rc),
               mkt_wire_error(x->err.rc));
}

static void
json_pair(const char *before, const char *name, const char *value)
{
    printf("%s\"%s\": ", before, name);
    if (value == NULL)
        fputs("null", stdout);
    else
        kms_ctl_json(value);
}

static void
json_steps(const struct inquiry *x)
{
    for (size_t i = 0; i < x->n; i++) {
        const struct step *s = &x->steps[i];

        json_pair(i == 0 ? "\n  {" : ",\n  {", "rule", s->rule->name);
        if (s->condition == NULL) {
            json_pair(", ", "responder", s->asked);
            printf(", \"line\": %u, \"applies\": %s}", s->rule->line,
                   applies(x, i) ? "true" : "false");
            continue;
        }
        json_pair(", ", "part", s->part);
        json_pair(", ", "condition", s->condition);
        json_pair(", ", "policy", s->policy);
        json_pair(", ", "asked", s->asked);
        printf(", \"held\": %s}", s->held ? "true" : "false");
    }
}

static void
tell_json(const struct inquiry *x)
{
    const struct kms_rules *rules = deciding(x);
    bool granted = x->err.rc == MKT_OK;
    char flags[13];

    printf("{\"granted\": %s", granted ? "true" : "false");
    json_pair(", ", "rule", x->decision.rule);
    json_pair(", ", "why", granted ? NULL : x->err.what);
    printf(", \"error\": ");
    if (granted)
        fputs("null", stdout);
    else
        printf("%d", mkt_wire_error(x->err.rc));
    if (granted && !x->resolve) {
        mkt_policy_flags_format(x->granted.flags, flags);
        json_pair(", ", "flags", flags);
        printf(", \"changed\": %s", (x->granted.flags & MKT_TP_K) != 0 ? "true" : "false");
    }
    json_pair(", ", "file", rules->source);
    json_pair(", ", "realm", rules->realm);
    printf(", \"steps\": [");
    json_steps(x);
    printf("]}\n");
}

/* --- asking ----------------------------------------------------------------------------------- */

static const char *
take_mode(struct inquiry *x)
{
    const char *mode = x->ctl->mode;
    int forking = x->ctl->flags == NULL ? MKT_TP_I : 0;

    if (mode == NULL) {
        x->resolve = x->ctl->resolve || (x->want.flags & MKT_TP_D) == 0;
        return NULL;
    }
    if (strlen(mode) != 1 || mode[0] < '1' || mode[0] > '3')
        return "--mode is 1, 2 or 3";
    if (mode[0] == '1')
        x->want.flags |= MKT_TP_D | MKT_TP_E;
    else if (mode[0] == '2') /* I implies E: it is left out, unless it was asked for */
        x->want.flags = (uint16_t)((x->want.flags & ~(MKT_TP_E | forking)) | MKT_TP_D);
    else
        x->want.flags = (uint16_t)((x->want.flags & ~MKT_TP_D) | MKT_TP_L);
    x->resolve = x->ctl->resolve || mode[0] == '3';
    return NULL;
}

static bool
wants_compat(const struct kms_ctl *ctl)
{
    return ctl->type != NULL && strcmp(ctl->type, "compat") == 0;
}

static void
make_compat(struct inquiry *x)
{
    struct mkt_policy compat;

    mkt_policy_init_compat(&compat, MKT_COMPAT_IDS);
    x->want.ticket_type = compat.ticket_type;
    x->want.subtype = compat.subtype;
    x->want.version = compat.version;
    if (x->ctl->suite == NULL)
        x->want.prf = compat.prf;
    if (x->ctl->flags == NULL)
        x->want.flags = compat.flags;
}

static const char *
take_people(struct inquiry *x)
{
    const struct kms_ctl *ctl = x->ctl;

    if (ctl->as == NULL)
        return "policy test needs --as IDENTITY and --to IDENTITY";
    x->want.initiator = kms_identity_of(ctl->as);
    x->q.client = x->want.initiator;
    if (x->want.initiator.data.p == NULL)
        return "--as is a URI (sip:alice@example.com) or a NAI (alice@example.com)";
    for (size_t i = 0; i < ctl->n_apps; i++) {
        x->want.apps[i] = kms_identity_of(ctl->apps[i]);
        if (x->want.apps[i].data.p == NULL) /* whatever applications call themselves */
            x->want.apps[i] =
                (struct mkt_identity){ MKT_ID_BYTES, mkt_span(ctl->apps[i], strlen(ctl->apps[i])) };
    }
    x->want.n_apps = (uint8_t)ctl->n_apps;
    if (ctl->by != NULL && !x->resolve)
        return "--by is who resolves the ticket: it needs --resolve";
    if (!x->resolve)
        return NULL;
    x->q.client = ctl->by == NULL ? x->want.responders[0] : kms_identity_of(ctl->by);
    return x->q.client.data.p != NULL ? NULL : "--by is a URI or a NAI";
}

static const char *
take_question(struct inquiry *x)
{
    struct kms_ctl wish = *x->ctl;
    struct timespec ts;
    const char *wrong;

    if (wants_compat(&wish)) /* no device gets one beforehand, but the policy may be asked */
        wish.type = NULL;
    clock_gettime(CLOCK_REALTIME, &ts);
    x->q.now = mkt_ntp_from_unix(ts.tv_sec, (uint32_t)ts.tv_nsec);
    x->q.kms = kms_identity_of(x->ctl->kms);
    wrong = kms_ctl_wish(&x->want, &wish, x->q.now);
    if (wants_compat(x->ctl))
        make_compat(x);
    if (wrong == NULL)
        wrong = take_mode(x);
    return wrong != NULL ? wrong : take_people(x);
}

/* A ticket has keys where a wish leaves it to the KMS (RFC 6043 4.2.1.5). */
static void
make_ticket(struct mkt_policy *p)
{
    if (p->has_kemac)
        return;
    p->n_wanted = 1;
    p->wanted[0] =
        (struct mkt_want_key){ .type = MKT_KEY_TGK, .key_len = mkt_suite_of(p->prf)->key_len };
}

static void
ask(struct inquiry *x)
{
    const struct mkt_policy *want = &x->want;
    const struct mkt_suite *suite = mkt_suite_of(want->prf);
    struct mkt_identity owner = { 0 };
    struct kms_found_tpk tpk;
    struct kms_opened opened;
    struct mkt_identity as;
    bool shared;

    x->trace = (struct kms_trace){ see_rule, see_condition, x };
    x->q.rules = x->rules;
    x->q.trace = &x->trace;
    x->q.decision = &x->decision;
    x->q.directory = kms_index_directory(x->index);
    x->q.cross_realm = x->ctl->config->cross_realm == 1;
    if (!x->resolve) {
        shared = want->n_responders == 1 &&
                 kms_index_tpk_of(x->index, want->responders[0], suite->key_len, &tpk);
        (void)kms_policy_request(&x->granted, want, &x->q, shared, &x->err);
        return;
    }
    make_ticket(&x->want);
    if ((want->flags & MKT_TP_D) == 0)
        owner = want->initiator;
    else if ((want->flags & MKT_TP_E) == 0)
        owner = want->responders[0];
    opened = (struct kms_opened){ want, owner, x->q.directory.realm_of(x->index, want->initiator),
                                  kms_index_is_user(x->index, want->initiator,
                                                    mkt_ntp_to_unix(x->q.now)) };
    (void)kms_policy_resolve(&as, &opened, &x->q, &x->err);
}

static void
forget(struct inquiry *x)
{
    for (size_t i = 0; i < x->n; i++) {
        free(x->steps[i].policy);
        free(x->steps[i].asked);
    }
    free(x->steps);
    kms_index_free(x->index);
    kms_rules_free(x->rules);
    free(x);
}

/* Realms of the policy, and which of them there are. */
struct named {
    const struct kms_rules *rules;
    bool *there;
};

static bool
see_realm(void *ctx, const struct kms_realm *row)
{
    const struct named *x = ctx;

    for (size_t i = 0; i < x->rules->n_realms; i++)
        if (strcmp(x->rules->realms[i].realm, row->name) == 0)
            x->there[i] = true;
    return true;
}

/* A slip in the name of a realm would leave its users to the general rules. */
static void
tell_unknown_realms(const struct inquiry *x)
{
    struct named named = { x->rules, calloc(x->rules->n_realms + 1, sizeof *named.there) };
    const struct kms_sink sink = { .realm = see_realm, .ctx = &named };
    struct kms_store_err err = { 0 };

    if (named.there != NULL &&
        x->ctl->store->ops->read(x->ctl->store, &sink, false, &err) == KMS_STORE_OK)
        for (size_t i = 0; i < x->rules->n_realms; i++)
            if (!named.there[i])
                fprintf(stderr, "mikey-kmsctl: %s names the realm %s, which does not exist\n",
                        x->rules->source, x->rules->realms[i].realm);
    free(named.there);
}

static enum kms_exit
test(struct inquiry *x)
{
    struct kms_store_err store_err = { 0 };
    char err[KMS_DOCUMENT_ERR];

    x->rules = kms_rules_load(x->ctl->config, err);
    if (x->rules == NULL) {
        fprintf(stderr, "%s\n", err);
        return KMS_EXIT_CONFIG;
    }
    if (kms_index_build(&x->index, x->ctl->store, NULL, &store_err) != KMS_STORE_OK)
        return kms_ctl_fail(&store_err);
    ask(x);
    if (x->out_of_memory) {
        fputs("mikey-kmsctl: out of memory\n", stderr);
        return KMS_EXIT_FAILED;
    }
    (x->ctl->json ? tell_json : tell)(x);
    tell_unknown_realms(x);
    return x->err.rc == MKT_OK ? KMS_EXIT_OK : KMS_EXIT_REFUSED;
}

enum kms_exit
kms_ctl_policy_test(const struct kms_ctl *ctl)
{
    struct inquiry *x = calloc(1, sizeof *x);
    enum kms_exit code;
    const char *wrong;

    if (x == NULL) {
        fputs("mikey-kmsctl: out of memory\n", stderr);
        return KMS_EXIT_FAILED;
    }
    x->ctl = ctl;
    wrong = take_question(x);
    code = wrong != NULL ? kms_ctl_misuse(wrong) : test(x);
    forget(x);
    return code;
}

static void
say_checked(const struct kms_rules *rules)
{
    printf("%s: %zu rule%s%s%s\n", rules->source, rules->n, rules->n == 1 ? "" : "s",
           rules->realm == NULL ? "" : " of the realm ", rules->realm == NULL ? "" : rules->realm);
}

enum kms_exit
kms_ctl_policy_check(const struct kms_ctl *ctl)
{
    char err[KMS_DOCUMENT_ERR];
    struct kms_rules *rules = kms_rules_read(ctl->config, ctl->identity, err);

    if (rules == NULL) {
        fprintf(stderr, "%s\n", err);
        return KMS_EXIT_CONFIG;
    }
    say_checked(rules);
    for (size_t i = 0; i < rules->n_realms; i++)
        say_checked(&rules->realms[i]);
    kms_rules_free(rules);
    return KMS_EXIT_OK;
}

enum kms_exit
kms_ctl_policy_show(const struct kms_ctl *ctl)
{
    char err[KMS_DOCUMENT_ERR];
    struct kms_rules *rules = kms_rules_load(ctl->config, err);
    const struct kms_rules *shown = rules;

    if (rules == NULL) {
        fprintf(stderr, "%s\n", err);
        return KMS_EXIT_CONFIG;
    }
    if (ctl->realm != NULL)
        shown = kms_rules_of_realm(rules, mkt_span(ctl->realm, strlen(ctl->realm)));
    if (ctl->realm != NULL && shown == rules)
        printf("# realm %s: the general rules\n", ctl->realm);
    kms_rules_show(shown, stdout);
    kms_rules_free(rules);
    return KMS_EXIT_OK;
}
