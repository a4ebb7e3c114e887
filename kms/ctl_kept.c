/* SPDX-License-Identifier: Apache-2.0 */
/* ticket list, ticket revoke: reference tickets, whose keys are in the store and nowhere else. */
#include <stdio.h>
#include <string.h>

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
kms_ctl_ticket_list(const struct kms_ctl *ctl)
{
    struct listing l = { ctl->json, 0 };
    struct kms_sink sink = { .kept = print_kept, .ctx = &l };
    struct kms_store_err err = { 0 };

    if (ctl->json)
        printf("[");
    if (ctl->store->ops->read(ctl->store, &sink, false, &err) != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (ctl->json)
        printf("%s]\n", l.n == 0 ? "" : "\n");
    else if (l.n == 0)
        printf("No reference tickets. The store keeps no others.\n");
    return KMS_EXIT_OK;
}

static bool
read_reference(uint8_t out[KMS_REFERENCE], const char *text)
{
    if (strlen(text) != 2 * (size_t)KMS_REFERENCE)
        return false;
    for (size_t i = 0; i < KMS_REFERENCE; i++) {
        int high = kms_hex_value(text[2 * i]), low = kms_hex_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

enum kms_exit
kms_ctl_ticket_revoke(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    uint8_t reference[KMS_REFERENCE];
    enum kms_store_rc rc;

    if (!read_reference(reference, ctl->identity))
        return kms_ctl_misuse("a reference is 32 hexadecimal digits: see ticket list");
    rc = ctl->store->ops->revoke(ctl->store, reference, &err);
    if (rc == KMS_STORE_NOT_FOUND) {
        fprintf(stderr, "mikey-kmsctl: there is no ticket %s: see ticket list\n", ctl->identity);
        return KMS_EXIT_STORE;
    }
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    printf("revoked %s: nobody can resolve it any more\n", ctl->identity);
    return KMS_EXIT_OK;
}
