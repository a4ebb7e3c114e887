/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the records of the audit for people: one after the other, oldest first, those that fit.
 */
#ifndef KMS_CTL_RECORDS_H
#define KMS_CTL_RECORDS_H

#include <jansson.h>

#include "kmsctl.h"

/* kms_ctl_records calls `show` for each record that fits the options of ctl (who, realm, ticket,
 * outcome, event, since, until); `event` restricts them further unless NULL. With ctl->limit only
 * for the last ones, or, when following, until there were so many. line: as it stands in the file.
 * False: the folder cannot be read, and it was said. */
bool kms_ctl_records(const struct kms_ctl *ctl, const char *event,
                     void (*show)(void *ctx, const json_t *record, const char *line), void *ctx);

/* kms_ctl_record_text gives a text of a record, "" when it is not there. */
const char *kms_ctl_record_text(const json_t *record, const char *key);

#endif
