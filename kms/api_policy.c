/* SPDX-License-Identifier: Apache-2.0 */
/* What the policy would decide: a test asks the very functions that the daemon asks, and
 * only watches them, so that it cannot say anything else than what would happen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mikeyticket/env.h>

#include "api_parts.h"
#include "api_picture.h"
#include "conditions.h"
#include "document.h"
#include "tpk.h"
#include "wish.h"

/* One thing that the policy looked at. condition NULL: a rule begins. */
struct step {
    const struct kms_rule *rule;
    const char *part, *condition;
    bool held;
    char *policy, *asked; /* the two values; of a rule: NULL and the responder */
};

struct inquiry {
    struct kms_api_call *call;
    struct kms_wish wish;
    struct kms_policy_picture policy;
    struct kms_picture picture;
    struct mkt_policy want, granted;
    struct kms_circumstances q;
    struct kms_decision decision;
    struct kms_trace trace;
    struct mkt_err err;
    struct step *steps;
    size_t n, room;
    bool out_of_memory, resolve;
    bool served;        /* who asks is a user, as the daemon would look first */
    const char *asking; /* --as, or --by */
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

    return kms_rules_of(x->policy.rules, &from, &x->q.directory);
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

static json_t *
tell_step(const struct inquiry *x, size_t i)
{
    const struct step *s = &x->steps[i];
    json_t *o = json_object();

    kms_api_put(o, "rule", kms_api_words(s->rule->name));
    if (s->condition == NULL) {
        kms_api_put(o, "responder", kms_api_words(s->asked));
        kms_api_put(o, "line", json_integer(s->rule->line));
        kms_api_put(o, "applies", json_boolean(applies(x, i)));
        kms_api_put(o, "refuses", json_boolean(s->rule->refuse));
        return o;
    }
    kms_api_put(o, "part", json_string(s->part));
    kms_api_put(o, "condition", json_string(s->condition));
    kms_api_put(o, "policy", kms_api_words(s->policy));
    kms_api_put(o, "asked", kms_api_words(s->asked));
    kms_api_put(o, "held", json_boolean(s->held));
    return o;
}

static void
tell_granted(const struct inquiry *x, json_t *o)
{
    const struct kms_question q = { .what = &x->granted, .now = x->q.now };
    char *validity = text_of(print_asked, &q, KMS_COND_VALIDITY);
    char *rekey = text_of(print_asked, &q, KMS_COND_REKEY);
    char flags[13];

    mkt_policy_flags_format(x->granted.flags, flags);
    kms_api_put(o, "flags", json_string(flags));
    kms_api_put(o, "changed", json_boolean((x->granted.flags & MKT_TP_K) != 0));
    kms_api_put(o, "validity", json_string(validity));
    kms_api_put(o, "rekey", json_string(rekey));
    free(validity);
    free(rekey);
}

static void
put_text(json_t *o, const char *key, const char *text)
{
    kms_api_put(o, key, text == NULL ? NULL : kms_api_words(text));
}

static json_t *
tell(const struct inquiry *x)
{
    const struct kms_rules *rules = deciding(x);
    bool granted = x->err.rc == MKT_OK;
    json_t *o = json_object(), *steps = json_array();

    kms_api_put(o, "granted", json_boolean(granted));
    put_text(o, "rule", x->decision.rule);
    put_text(o, "why", granted ? NULL : x->err.what);
    kms_api_put(o, "error", granted ? NULL : json_integer(mkt_wire_error(x->err.rc)));
    if (!granted)
        kms_api_put(o, "error-text", json_string(mkt_strerror(x->err.rc)));
    if (granted && !x->resolve)
        tell_granted(x, o);
    put_text(o, "file", rules->source);
    put_text(o, "realm", rules->realm);
    put_text(o, "policy", x->policy.rules->source);
    put_text(o, "stranger", x->served ? NULL : x->asking);
    for (size_t i = 0; i < x->n; i++)
        (void)json_array_append_new(steps, tell_step(x, i));
    kms_api_put(o, "steps", steps);
    return o;
}

/* --- asking ----------------------------------------------------------------------------------- */

static const char *
take_texts(const json_t *list, const char **texts, size_t max, size_t *n)
{
    *n = json_array_size(list);
    if (*n > max)
        return "too many at once";
    for (size_t i = 0; i < *n; i++)
        texts[i] = json_string_value(json_array_get(list, i));
    return NULL;
}

const char *
kms_api_wish(struct kms_wish *w, const struct kms_api_call *c)
{
    const char *wrong;

    *w = (struct kms_wish){ .flags = kms_api_given(c, "flags"),
                            .validity = kms_api_given(c, "validity"),
                            .type = kms_api_given(c, "type"),
                            .suite = kms_api_given(c, "suite"),
                            .max_validity_s = c->api->config->max_validity_s };
    wrong = take_texts(json_object_get(c->given, "to"), w->to, MKT_RESPONDERS_MAX, &w->n_to);
    if (wrong == NULL)
        wrong = take_texts(json_object_get(c->given, "keys"), w->keys, MKT_KEYS_MAX, &w->n_keys);
    return wrong;
}

static const char *
take_mode(struct inquiry *x)
{
    const char *mode = kms_api_given(x->call, "mode");
    int forking = x->wish.flags == NULL ? MKT_TP_I : 0;

    if (mode == NULL) {
        x->resolve = kms_api_truth(x->call, "resolve") || (x->want.flags & MKT_TP_D) == 0;
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
    x->resolve = kms_api_truth(x->call, "resolve") || mode[0] == '3';
    return NULL;
}

/* No device gets one beforehand, but the policy may be asked. */
static bool
takes_compat(struct kms_wish *w)
{
    bool compat = w->type != NULL && strcmp(w->type, "compat") == 0;

    if (compat)
        w->type = NULL;
    return compat;
}

static void
make_compat(struct inquiry *x)
{
    struct mkt_policy compat;

    mkt_policy_init_compat(&compat, MKT_COMPAT_IDS);
    x->want.ticket_type = compat.ticket_type;
    x->want.subtype = compat.subtype;
    x->want.version = compat.version;
    if (x->wish.suite == NULL)
        x->want.prf = compat.prf;
    if (x->wish.flags == NULL)
        x->want.flags = compat.flags;
}

static const char *
take_apps(struct inquiry *x)
{
    const json_t *apps = json_object_get(x->call->given, "apps");

    if (json_array_size(apps) > MKT_APPS_MAX)
        return "too many applications";
    for (size_t i = 0; i < json_array_size(apps); i++) {
        const char *app = json_string_value(json_array_get(apps, i));

        x->want.apps[i] = kms_identity_of(app);
        if (x->want.apps[i].data.p == NULL) /* whatever applications call themselves */
            x->want.apps[i] = (struct mkt_identity){ MKT_ID_BYTES, mkt_span(app, strlen(app)) };
    }
    x->want.n_apps = (uint8_t)json_array_size(apps);
    return NULL;
}

static const char *
take_people(struct inquiry *x)
{
    const char *by = kms_api_given(x->call, "by");

    x->want.initiator = kms_identity_of(kms_api_given(x->call, "as"));
    x->q.client = x->want.initiator;
    x->asking = kms_api_given(x->call, "as");
    if (x->want.initiator.data.p == NULL)
        return "--as is a URI (sip:alice@example.com) or a NAI (alice@example.com)";
    if (by != NULL && !x->resolve)
        return "--by is who resolves the ticket: it needs --resolve";
    if (!x->resolve)
        return NULL;
    x->asking = by == NULL ? x->wish.to[0] : by;
    x->q.client = by == NULL ? x->want.responders[0] : kms_identity_of(by);
    return x->q.client.data.p != NULL ? NULL : "--by is a URI or a NAI";
}

static const char *
take_question(struct inquiry *x)
{
    bool compat;
    const char *wrong = kms_api_wish(&x->wish, x->call);

    x->q.now = kms_api_now(x->call);
    x->q.kms = kms_identity_of(x->call->api->config->identity);
    compat = takes_compat(&x->wish);
    if (wrong == NULL)
        wrong = kms_wish_read(&x->want, &x->wish, x->q.now);
    if (compat)
        make_compat(x);
    if (wrong == NULL)
        wrong = take_mode(x);
    if (wrong == NULL)
        wrong = take_apps(x);
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
    x->q.rules = x->policy.rules;
    x->q.trace = &x->trace;
    x->q.decision = &x->decision;
    x->q.directory = kms_index_directory(x->picture.index);
    x->q.cross_realm = x->call->api->config->cross_realm == 1;
    x->served = x->call->api->config->pk_users == 1 ||
                kms_index_is_user(x->q.directory.ctx, x->q.client, mkt_ntp_to_unix(x->q.now));
    if (!x->resolve) {
        shared = want->n_responders == 1 &&
                 kms_index_tpk_of(x->picture.index, want->responders[0], suite->key_len, &tpk);
        (void)kms_policy_request(&x->granted, want, &x->q, shared, &x->err);
        return;
    }
    make_ticket(&x->want);
    if ((want->flags & MKT_TP_D) == 0)
        owner = want->initiator;
    else if ((want->flags & MKT_TP_E) == 0)
        owner = want->responders[0];
    opened = (struct kms_opened){
        want, owner, x->q.directory.realm_of(x->picture.index, want->initiator),
        kms_index_is_user(x->picture.index, want->initiator, mkt_ntp_to_unix(x->q.now))
    };
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
    kms_picture_give(&x->picture, x->call);
    kms_policy_give(&x->policy, x->call);
    free(x);
}

/* Realms that the policy names, less those that there are: a slip in the name of a realm would
 * leave its users to the general rules. */
static bool
strike_realm(void *ctx, const struct kms_realm *row)
{
    json_t *unknown = ctx;

    for (size_t i = json_array_size(unknown); i-- > 0;)
        if (strcmp(json_string_value(json_array_get(unknown, i)), row->name) == 0)
            (void)json_array_remove(unknown, i);
    return true;
}

static json_t *
unknown_realms(const struct inquiry *x)
{
    json_t *unknown = json_array();
    const struct kms_sink sink = { .realm = strike_realm, .ctx = unknown };
    struct kms_store *s = x->call->store;
    struct kms_store_err err = { 0 };

    for (size_t i = 0; i < x->policy.rules->n_realms; i++)
        (void)json_array_append_new(unknown, kms_api_words(x->policy.rules->realms[i].realm));
    if (s->ops->read(s, &sink, false, &err) != KMS_STORE_OK)
        (void)json_array_clear(unknown);
    return unknown;
}

static unsigned
test(struct inquiry *x)
{
    struct kms_api_call *c = x->call;
    struct kms_store_err store_err = { 0 };
    char err[KMS_DOCUMENT_ERR];

    if (!kms_policy_take(&x->policy, c, err))
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "%.500s", err);
    if (!kms_picture_take(&x->picture, c, NULL, &store_err))
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "%s", store_err.text);
    ask(x);
    if (x->out_of_memory)
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "out of memory");
    c->answer = tell(x);
    kms_picture_give(&x->picture, c);
    kms_api_put(c->answer, "unknown-realms", unknown_realms(x));
    return KMS_API_OK;
}

unsigned
kms_api_policy_test(struct kms_api_call *c)
{
    struct inquiry *x = calloc(1, sizeof *x);
    const char *wrong;
    unsigned status;

    if (x == NULL)
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "out of memory");
    x->call = c;
    wrong = take_question(x);
    status = wrong != NULL ? kms_api_refuse(c, KMS_API_MALFORMED, NULL, "%s", wrong) : test(x);
    forget(x);
    return status;
}
