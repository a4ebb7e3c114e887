/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles as RFC 6043 section 12 asks for them, and the policy of a KMS without one. Data, in the
 * language that everybody writes. */
#include <stdio.h>
#include <string.h>

#include "rules_read.h"

const char kms_builtin_profiles[] =
    "profiles:\n"
    /* Keys that only the one who answers has (5.1.1), fresh from both sides (12.1), used once. No
     * keys that forking leaves alone: TEK, GTGK, and those of an Initiator (12.2). */
    "  strict:\n"
    "    change: {flags: {set: EFGI, clear: JLM}}\n"
    "    require:\n"
    "      types: [base, reference]\n"
    "      suites: [256]\n"
    "      modes: [1]\n"
    "      keys: [TGK]\n"
    "      flags: {set: EFGI, clear: JLM}\n"
    /* The Responder is not there when the message is made: it answers nothing and adds nothing, and
     * the KMS, which is asked later, stays the one who decides. Forking is welcome: with it the KMS
     * vouches for who made the message, and a GTGK stays the same for all (9.1). */
    "  deferred:\n"
    "    require:\n"
    "      types: [base, reference]\n"
    "      modes: [1]\n"
    "      flags: {set: EH, clear: FGM}\n"
    /* One key for all, so it cannot be forked (9.1); who is a member is asked each time, so it is
     * not kept (12.5). */
    "  group:\n"
    "    change: {flags: {set: E, clear: J}}\n"
    "    require:\n"
    "      types: [base, reference]\n"
    "      modes: [1]\n"
    "      keys: [GTGK]\n"
    "      flags: {set: E, clear: IJ}\n"
    /* Appendix B.1: an RFC 3830 message for a Responder that knows nothing newer. */
    "  compat:\n"
    "    require: {types: [compat], suites: [128], keys: [TGK], key_count: 1}\n";

const char kms_builtin_rules[] = "rules: [{rule: everyone}]\n";

static void
add_bits(char *out, size_t cap, const char *name, const char *const *words, uint32_t bits)
{
    size_t n = strlen(out);

    n += (size_t)snprintf(out + n, cap - n, "      %s: [", name);
    for (size_t i = 0; words[i] != NULL && n < cap; i++)
        if ((bits >> i & 1) != 0)
            n +=
                (size_t)snprintf(out + n, cap - n, "%s%s", out[n - 1] == '[' ? "" : ", ", words[i]);
    if (n < cap)
        snprintf(out + n, cap - n, "]\n");
}

bool
kms_configuration_profile(const struct kms_config *config, char *out, size_t cap)
{
    const struct kms_condition *modes = &kms_conditions[KMS_COND_MODES];
    const struct kms_condition *suites = &kms_conditions[KMS_COND_SUITES];
    const struct kms_condition *types = &kms_conditions[KMS_COND_MADE];

    snprintf(out, cap, "profiles:\n  configuration:\n    change: {validity: %us}\n    require:\n",
             config->max_validity_s);
    add_bits(out, cap, modes->name, modes->words, config->modes);
    add_bits(out, cap, types->name, types->words, config->ticket_types);
    add_bits(out, cap, suites->name, suites->words, config->suites);
    return strlen(out) < cap - 1;
}
