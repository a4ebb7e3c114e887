/* SPDX-License-Identifier: Apache-2.0 */
/* token new: a token for the admin API and what to put into the configuration for it. The token is
 * shown once, and kept nowhere but where it is used; the configuration has its digest. */
#include <stdio.h>
#include <string.h>

#include <mikeyticket/env.h>

#include "ctl_call.h"
#include "hex.h"
#include "roster.h"

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._@"

static bool
known_role(const char *word)
{
    for (enum kms_role r = KMS_ROLE_READ; r <= KMS_ROLE_OFFICER; r++)
        if (word != NULL && strcmp(kms_role_word(r), word) == 0)
            return true;
    return false;
}

static void
print_token(const struct kms_ctl *ctl, const char *token, const char *hash)
{
    if (ctl->json) {
        printf("{\"token\": \"%s\", \"name\": \"%s\", \"role\": \"%s\", \"hash\": \"%s\"}\n", token,
               ctl->identity, ctl->role, hash);
        return;
    }
    printf("%s\n\n# Shown once. In the configuration, below api.people, then reload:\n"
           "#   - {name: \"%s\", role: %s, token: %s}\n",
           token, ctl->identity, ctl->role, hash);
}

enum kms_exit
kms_ctl_token_new(const struct kms_ctl *ctl)
{
    char token[sizeof KMS_TOKEN_PREFIX + KMS_TOKEN_DIGITS], text[2 * KMS_TOKEN_HASH + 1];
    uint8_t octets[KMS_TOKEN_DIGITS / 2], hash[KMS_TOKEN_HASH];
    size_t n = strlen(ctl->identity);
    bool ok;

    if (!known_role(ctl->role))
        return kms_ctl_misuse("--role is read, operate or security-officer");
    if (n == 0 || n > KMS_PERSON_MAX || strspn(ctl->identity, NAME_LETTERS) != n)
        return kms_ctl_misuse("a name has 1 to 63 of letters, digits, -, ., _ and @");
    memcpy(token, KMS_TOKEN_PREFIX, sizeof KMS_TOKEN_PREFIX);
    ok = mkt_crypto_random(NULL, octets, sizeof octets);
    kms_hex_write(token + sizeof KMS_TOKEN_PREFIX - 1, octets, sizeof octets);
    ok = ok && kms_token_hash(token, hash);
    if (ok) {
        kms_hex_write(text, hash, sizeof hash);
        print_token(ctl, token, text);
    }
    mkt_wipe(octets, sizeof octets);
    mkt_wipe(token, sizeof token);
    return ok ? KMS_EXIT_OK : kms_ctl_misuse("the random number generator failed");
}
