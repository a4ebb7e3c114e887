/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline without sockets: a service over a memory store, two workers, real messages. */
#ifndef TESTS_KMS_SERVICE_H
#define TESTS_KMS_SERVICE_H

#include <netinet/in.h>

#include "pipeline.h"
#include "rig.h"

#define ALICE "sip:alice@example.com"
#define BOB "sip:bob@example.com"

struct service {
    struct kms_config config;
    struct kms_log log;
    struct kms_service service;
    struct kms_rules_live rules;
    struct kms_store *store;
    struct kms_vault *vault;
    struct kms_worker *udp, *http;
    struct rig_user alice, bob;
    struct rig_ask ask, resolve;
    uint8_t out[MKT_MSG_MAX];
    char log_text[65536];
    int log_pipe[2];
};

extern const struct sockaddr_in service_from;

/* service_open and service_close set up and tear down a test; *state is a struct service. */
int service_open(void **state);
int service_open_with(void **state, uint32_t identity_rate, uint32_t replay_capacity);
int service_close(void **state);

/* service_again ends the service as a crash does, and begins another one at that time (nanoseconds
 * since 1970) with the same store. */
void service_again(struct service *f, int64_t began_ns);

/* service_add adds a credential to the store, service_share a TPK. service_reload makes both known
 * to the service. */
void service_add(struct service *f, const struct rig_user *u, const char *psk_id);
void service_share(struct service *f, const char *owner, const char *id, struct mkt_span key);
void service_reload(struct service *f);

/* service_policy puts a policy in force (YAML); NULL: the built-in one, with the configuration as
 * it is now. */
void service_policy(struct service *f, const char *yaml);

/* service_handle gives a message to the worker of that transport. */
struct kms_reply service_handle(struct service *f, enum kms_transport transport,
                                const struct rig_ask *a, uint8_t port);

/* service_out returns the octets answered; service_logged everything logged since the last call. */
struct mkt_span service_out(struct service *f, struct kms_reply r);
const char *service_logged(struct service *f);

#endif
