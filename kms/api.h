/* SPDX-License-Identifier: Apache-2.0 */
/* The admin API: everything that is done to a KMS or asked about it is a row of one table (method,
 * path, role, what it takes, what it does). The daemon serves the table over its control socket and
 * over TLS (api_http.c); mikey-kmsctl asks that daemon or, where none runs, calls the same table
 * itself. docs/openapi.yaml describes it, and a test holds the two against each other. */
#ifndef KMS_API_H
#define KMS_API_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "audit.h"
#include "config.h"
#include "roster.h"
#include "store.h"
#include "vault.h"

#define KMS_API_ARGS 3             /* {names} in a path */
#define KMS_API_BODY 65536         /* octets of a body, unless the endpoint says more */
#define KMS_API_IMPORT (256 << 20) /* octets of a file to import */
#define KMS_API_MESSAGE 16384      /* characters of a MIKEY message */
#define KMS_API_TARGET 8192        /* octets of path and query */
#define KMS_API_PROBLEM "application/problem+json" /* RFC 9457 */

struct kms_service;
struct kms_reload;
struct kms_export_desk;

/* How calls ended. X(NAME, word in metrics) */
#define KMS_API_OUTCOMES(X)                                 \
    X(DONE, "done")                                         \
    X(UNKNOWN, "unauthenticated") /* nobody that we know */ \
    X(FORBIDDEN, "forbidden")     /* the role is too low */ \
    X(REFUSED, "refused")         /* makes no sense */      \
    X(FAILED, "failed")           /* a failure of ours */

enum kms_api_outcome {
#define KMS_API_OUTCOME_ENUM(name, word) KMS_API_##name,
    KMS_API_OUTCOMES(KMS_API_OUTCOME_ENUM)
#undef KMS_API_OUTCOME_ENUM
        KMS_API_OUTCOME_COUNT
};

/* What operations work on. */
struct kms_api {
    const struct kms_config *config;
    struct kms_audit *audit;       /* NULL: changes are not recorded */
    struct kms_store_clock *clock; /* of the daemon; the tool itself learns with each call */
    struct kms_service *service;   /* NULL: no daemon, the tool itself */
    struct kms_reload *reload;     /* likewise */
    struct kms_vault *vault;       /* NULL: no endpoint of KMS_API_KEYS may be called */
    size_t slot;                   /* of the vault and of what is current, for nobody else */
    pthread_mutex_t keys;          /* one endpoint of KMS_API_KEYS at a time */
    pthread_mutex_t picture;       /* who reads in slot of service->current (api_picture.h) */
    pthread_mutex_t policy;        /* likewise, of service->rules->current */
    struct kms_export_desk *desk;  /* likewise */
    _Atomic uint64_t counts[KMS_ROLE_OFFICER + 1][KMS_API_OUTCOME_COUNT]; /* by role needed */
};

enum kms_api_type {
    KMS_API_TEXT,   /* 1 to max octets, no control characters */
    KMS_API_SECRET, /* likewise, and never written down */
    KMS_API_NUMBER, /* 1 to max */
    KMS_API_TRUTH,
    KMS_API_TEXTS /* a list of at most KMS_API_LIST */
};
#define KMS_API_LIST 64

/* One parameter: of the query where there is no body, else a member of the JSON object. */
struct kms_api_field {
    const char *name; /* NULL: the end */
    enum kms_api_type type;
    bool required;
    uint32_t max;
};

struct kms_api_call;

enum {
    KMS_API_DAEMON = 1,  /* only a running one can do it */
    KMS_API_KEYS = 4,    /* the vault is needed */
    KMS_API_NO_STORE = 2 /* `store` is not opened for it */
};

struct kms_endpoint {
    const char *method, *path; /* "/v1/groups/{group}/members/{member}" */
    enum kms_role role;        /* the least */
    /* run fills call->answer and returns the status, or what kms_api_refuse returns. */
    unsigned (*run)(struct kms_api_call *c);
    const struct kms_api_field *fields; /* NULL: none */
    const char *action;                 /* what it changes, in the audit; NULL: nothing */
    const char *gives, *says;           /* for the description: schema of the answer; a sentence */
    unsigned flags;
    uint32_t octets; /* a body of any octets, at most so many; 0: fields */
};
extern const struct kms_endpoint kms_endpoints[];
extern const size_t kms_n_endpoints;

/* One call. Zero-initialise, then kms_api_begin, kms_api_run, and kms_api_end in every case. */
struct kms_api_call {
    struct kms_api *api;
    struct kms_caller caller;
    const struct kms_endpoint *endpoint; /* NULL: there is none such */
    char *args[KMS_API_ARGS];            /* what stands for the {names}, in order */
    json_t *given;                       /* the parameters: they are as `fields` wants them */
    const char *body;                    /* where the endpoint takes octets */
    size_t n_body;
    struct kms_store *store;
    void (*progress)(void *ctx, uint64_t done, uint64_t all); /* NULL: nobody looks */
    void *progress_ctx;
    /* The answer: */
    unsigned status;
    json_t *answer; /* owned; an object */
    json_t *noted;  /* owned; what else belongs on record: texts and lists of texts; NULL: none */
    char why[512];  /* when refused */
    char allow[48]; /* with 405: the methods that the path has, "GET, POST" */
};

/* kms_api_begin finds the endpoint and asks whether the caller may; what comes is decided by
 * method, target (path and query, percent-encoded) and role alone. False: status and answer say why
 * not. */
bool kms_api_begin(struct kms_api_call *c, struct kms_api *api, const struct kms_caller *caller,
                   const char *method, const char *target);

/* kms_api_run does it, with the n octets of a body, and puts a change on record. */
void kms_api_run(struct kms_api_call *c, const char *body, size_t n);

/* kms_api_stranger makes the answer to somebody who is nobody; `why` is for the record. */
void kms_api_stranger(struct kms_api_call *c, struct kms_api *api, const char *method,
                      const char *target, const char *why);

/* kms_api_limit answers something that was refused before it was whole, such as a long body. */
void kms_api_limit(struct kms_api_call *c, unsigned status, const char *why);

/* kms_api_end frees; secrets that were given are wiped. */
void kms_api_end(struct kms_api_call *c);

/* kms_api_text gives the answer as JSON, to be freed; NULL: no memory. */
char *kms_api_answer_text(const struct kms_api_call *c);

/* kms_api_memory has JSON in memory that is wiped. Once, before any thread. */
void kms_api_memory(void);

const char *kms_api_outcome_word(enum kms_api_outcome o);

/* --- for the endpoints --------------------------------------------------------------------------
 */

/* kms_api_refuse makes a problem: where ("/psk-id"; NULL: nowhere) and what is wrong. Returns
 * status. */
unsigned kms_api_refuse(struct kms_api_call *c, unsigned status, const char *where, const char *fmt,
                        ...) __attribute__((format(printf, 4, 5)));

/* kms_api_store makes the answer to what the store said: 200 with "changed", or a problem. */
unsigned kms_api_store(struct kms_api_call *c, enum kms_store_rc rc,
                       const struct kms_store_err *err);

/* Parameters: NULL, 0 or false when not given. */
const char *kms_api_given(const struct kms_api_call *c, const char *name);
uint64_t kms_api_number(const struct kms_api_call *c, const char *name, uint64_t otherwise);
bool kms_api_truth(const struct kms_api_call *c, const char *name);

/* kms_api_time writes seconds since 1970 as JSON "2026-01-02T03:04:05Z", null for 0. */
json_t *kms_api_time(int64_t seconds);

/* kms_api_put adds value, which it takes, to object; NULL is null. */
void kms_api_put(json_t *object, const char *key, json_t *value);

/* The endpoints, by file. */
unsigned kms_api_status(struct kms_api_call *c);
unsigned kms_api_reload(struct kms_api_call *c);
unsigned kms_api_peers(struct kms_api_call *c);
unsigned kms_api_limits(struct kms_api_call *c);
unsigned kms_api_lift(struct kms_api_call *c);
unsigned kms_api_user_add(struct kms_api_call *c);
unsigned kms_api_user_remove(struct kms_api_call *c);
unsigned kms_api_user_change(struct kms_api_call *c);
unsigned kms_api_credential_remove(struct kms_api_call *c);
unsigned kms_api_alias_add(struct kms_api_call *c);
unsigned kms_api_alias_remove(struct kms_api_call *c);
unsigned kms_api_group_add(struct kms_api_call *c);
unsigned kms_api_group_remove(struct kms_api_call *c);
unsigned kms_api_member_add(struct kms_api_call *c);
unsigned kms_api_member_remove(struct kms_api_call *c);
unsigned kms_api_realm_add(struct kms_api_call *c);
unsigned kms_api_realm_remove(struct kms_api_call *c);
unsigned kms_api_import(struct kms_api_call *c);
unsigned kms_api_audit(struct kms_api_call *c);
unsigned kms_api_tickets(struct kms_api_call *c);
unsigned kms_api_ticket_revoke(struct kms_api_call *c);
unsigned kms_api_ticket_restore(struct kms_api_call *c);
unsigned kms_api_user_revoke(struct kms_api_call *c);
unsigned kms_api_user_restore(struct kms_api_call *c);
unsigned kms_api_group_revoke(struct kms_api_call *c);
unsigned kms_api_group_restore(struct kms_api_call *c);
unsigned kms_api_exports(struct kms_api_call *c);
unsigned kms_api_export_ask(struct kms_api_call *c);
unsigned kms_api_export_approve(struct kms_api_call *c);
unsigned kms_api_export_take(struct kms_api_call *c);
unsigned kms_api_export_drop(struct kms_api_call *c);
unsigned kms_api_policy(struct kms_api_call *c);
unsigned kms_api_policy_test(struct kms_api_call *c);
unsigned kms_api_issue(struct kms_api_call *c);
unsigned kms_api_note(struct kms_api_call *c);
unsigned kms_api_tpk_add(struct kms_api_call *c);
unsigned kms_api_tpk_remove(struct kms_api_call *c);
unsigned kms_api_tpk_rotate(struct kms_api_call *c);
unsigned kms_api_users(struct kms_api_call *c);
unsigned kms_api_user(struct kms_api_call *c);
unsigned kms_api_groups(struct kms_api_call *c);
unsigned kms_api_members(struct kms_api_call *c);
unsigned kms_api_realms(struct kms_api_call *c);
unsigned kms_api_tpks(struct kms_api_call *c);
unsigned kms_api_kept(struct kms_api_call *c);

#endif
