/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked over the control socket: one table, without sockets. */
#ifndef KMS_CONTROL_VERBS_H
#define KMS_CONTROL_VERBS_H

#include <stdio.h>

#include "reload.h"

struct kms_control_scene {
    struct kms_service *service;
    struct kms_reload *reload;
};

/* kms_control_answer writes the answer to one question: records of key=value with tabs between, one
 * a line, then "ok" or "error: TEXT". `line` is taken apart. */
void kms_control_answer(struct kms_control_scene *scene, char *line, FILE *out);

#endif
