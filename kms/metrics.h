/* SPDX-License-Identifier: Apache-2.0 */
/* What the service tells a monitoring system: the Prometheus text format, version 0.0.4. Label sets
 * are fixed at compile time: no identity, address or key id is ever a label, so that a scrape tells
 * nothing about users and a flood cannot grow it. */
#ifndef KMS_METRICS_H
#define KMS_METRICS_H

#include <stdio.h>

#include "worker.h"

#define KMS_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* kms_metrics_write writes every metric of the service to out. Workers go on meanwhile. */
void kms_metrics_write(FILE *out, struct kms_service *sv);

#endif
