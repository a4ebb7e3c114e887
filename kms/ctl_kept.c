/* SPDX-License-Identifier: Apache-2.0 */
/* ticket kept: reference tickets, whose keys are in the store and nowhere else. */
#include <stdio.h>

#include "hex.h"
#include "kmsctl.h"

struct listing {
    bool json;
    size_t n;
};

static bool
print_kept(void *ctx, const struct kms_kept *k)
{
    struct listing *l = ctx;
    char reference[2 * KMS_REFERENCE + 1], issued[32], until[32];

    kms_hex_write(reference, k->reference, KMS_REFERENCE);
    kms_ctl_time(k->issued, issued);
    kms_ctl_time(k->until, until);
    if (l->json) {
        printf(
            "%s\n  {\"reference\": \"%s\", \"issued\": \"%s\", \"until\": \"%s\", \"initiator\": ",
            l->n == 0 ? "" : ",", reference, issued, until);
        kms_ctl_json(k->initiator);
        printf(", \"responders\": ");
        kms_ctl_json(k->responders);
        putchar('}');
    } else {
        if (l->n == 0)
            printf("%-32s %-20s %-20s %-28s %s\n", "REFERENCE", "ISSUED", "UNTIL", "INITIATOR",
                   "RESPONDERS");
        printf("%-32s %-20s %-20s %-28s %s\n", reference, issued, until, k->initiator,
               k->responders);
    }
    l->n++;
    return true;
}

enum kms_exit
kms_ctl_ticket_kept(const struct kms_ctl *ctl)
{
    struct listing l = { ctl->json, 0 };
    struct kms_sink sink = { .kept = print_kept, .ctx = &l };

    return kms_ctl_list(ctl, &sink, &l.n, "No reference tickets. The store keeps no others.");
}
