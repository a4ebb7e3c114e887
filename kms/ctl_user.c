/* SPDX-License-Identifier: Apache-2.0 */
/* user add, user list, user remove. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mikeyticket/env.h>

#include "config.h"
#include "credfile.h"
#include "hex.h"
#include "kmsctl.h"

#define TRIES 16 /* for a free psk-id of our own making */

static enum kms_exit
refuse(const char *why)
{
    fprintf(stderr, "mikey-kmsctl: %s\n", why);
    return KMS_EXIT_USAGE;
}

static const char *
read_hex(struct mkt_secret *psk, const char *hex, size_t n)
{
    if (n % 2 != 0 || n < 32 || n > 2 * MKT_SECRET_MAX)
        return "a key has 16 to 128 octets: 32 to 256 hexadecimal digits";
    for (size_t i = 0; i < n; i += 2) {
        int high = kms_hex_value(hex[i]), low = kms_hex_value(hex[i + 1]);

        if (high < 0 || low < 0)
            return "a key is written in hexadecimal digits";
        psk->b[i / 2] = (uint8_t)(high << 4 | low);
    }
    psk->n = (uint16_t)(n / 2);
    return NULL;
}

static const char *
read_stdin(struct mkt_secret *psk)
{
    char line[2 * MKT_SECRET_MAX + 3];
    size_t n = 0;
    ssize_t got;
    const char *wrong;

    while (n < sizeof line && (got = read(STDIN_FILENO, line + n, sizeof line - n)) > 0)
        n += (size_t)got;
    while (n > 0 && isspace((unsigned char)line[n - 1]))
        n--;
    wrong = read_hex(psk, line, n);
    mkt_wipe(line, sizeof line);
    return wrong;
}

/* 16 octets belong to the 128-bit suite, longer ones to the 256-bit suite (RFC 6043 12.1: the
 * levels are not mixed). */
static const char *
take_psk(struct mkt_secret *psk, const struct kms_ctl *ctl)
{
    bool suite_128 = ctl->suite != NULL && strcmp(ctl->suite, "128") == 0;
    bool suite_256 = ctl->suite != NULL && strcmp(ctl->suite, "256") == 0;
    const char *wrong;

    if (ctl->suite != NULL && !suite_128 && !suite_256)
        return "--suite is 128 or 256";
    if (ctl->psk_hex == NULL) {
        psk->n = suite_128 ? 16 : 32;
        return mkt_crypto_random(NULL, psk->b, psk->n) ? NULL
                                                       : "the random number generator failed";
    }
    if (strcmp(ctl->psk_hex, "-") == 0) {
        wrong = read_stdin(psk);
    } else {
        wrong = read_hex(psk, ctl->psk_hex, strlen(ctl->psk_hex));
        mkt_wipe(ctl->psk_hex, strlen(ctl->psk_hex)); /* it stands in the list of processes */
    }
    if (wrong != NULL)
        return wrong;
    if (suite_128 && psk->n != 16)
        return "suite 128 needs a key of 16 octets";
    if (psk->n != 16 && psk->n < 32)
        return "a key has 16 octets (suite 128), or 32 and more (suite 256)";
    return suite_256 && psk->n < 32 ? "suite 256 needs a key of at least 32 octets" : NULL;
}

static const char *
check_psk_id(const char *id)
{
    size_t n = strlen(id);

    if (n == 0 || n > KMS_PSK_ID_MAX)
        return "a psk-id has 1 to 128 characters";
    for (size_t i = 0; i < n; i++)
        if (id[i] <= ' ' || id[i] >= 0x7f)
            return "a psk-id holds printable ASCII characters without blanks";
    return NULL;
}

/* "sip:alice@example.com" -> "alice-3f9a" */
static bool
invent_psk_id(char out[KMS_PSK_ID_MAX + 1], const char *identity)
{
    const char *colon = strchr(identity, ':'), *at = strchr(identity, '@');
    const char *from = colon != NULL && (at == NULL || colon < at) ? colon + 1 : identity;
    uint8_t r[2];
    size_t n = 0;

    if (!mkt_crypto_random(NULL, r, sizeof r))
        return false;
    for (; *from != '\0' && *from != '@' && n < 32; from++)
        if (isalnum((unsigned char)*from) || *from == '-' || *from == '_' || *from == '.')
            out[n++] = *from;
    n += (size_t)snprintf(out + n, KMS_PSK_ID_MAX + 1 - n, "%s", n == 0 ? "user-" : "-");
    kms_hex_write(out + n, r, sizeof r);
    return true;
}

static enum kms_exit
report_added(const struct kms_ctl *ctl, const struct kms_credfile *file)
{
    char text[KMS_CREDFILE_MAX];

    if (ctl->psk_out != NULL) {
        printf("added %s, psk-id %s\nThe credential is in %s: hand it over and delete it here.\n",
               file->identity, file->psk_id, ctl->psk_out);
    } else if (ctl->psk_hex != NULL) {
        printf("added %s, psk-id %s\n", file->identity, file->psk_id);
    } else {
        kms_credfile_format(text, file);
        printf("# Added. Hand this credential to the user now: the key is not shown again.\n%s",
               text);
        mkt_wipe(text, sizeof text);
    }
    if (fflush(stdout) == 0 && !ferror(stdout))
        return KMS_EXIT_OK;
    fprintf(stderr, "mikey-kmsctl: the user was added but the result could not be written: %s\n",
            strerror(errno));
    return KMS_EXIT_FAILED;
}

static enum kms_exit
taken(const struct kms_ctl *ctl, const char *psk_id)
{
    fprintf(stderr,
            "mikey-kmsctl: the psk-id %s is taken: choose another one, or remove the old "
            "credential with\n  mikey-kmsctl --config FILE user remove %s --psk-id %s\n",
            psk_id, ctl->identity, psk_id);
    return KMS_EXIT_STORE;
}

/* The file comes first: a key that is in the store and nowhere else would be lost. */
static enum kms_exit
add(const struct kms_ctl *ctl, const struct kms_credfile *file, enum kms_store_rc *rc)
{
    struct kms_user user = { .identity = file->identity,
                             .psk_id = file->psk_id,
                             .psk = mkt_secret_span(file->psk) };
    struct kms_store_err err = { 0 };

    *rc = KMS_STORE_FAILED;
    if (ctl->psk_out != NULL && !kms_credfile_write(ctl->psk_out, file)) {
        fprintf(stderr, "mikey-kmsctl: cannot write %s: %s; nothing was added\n", ctl->psk_out,
                strerror(errno));
        return KMS_EXIT_FAILED;
    }
    *rc = ctl->store->ops->user_add(ctl->store, &user, &err);
    if (*rc == KMS_STORE_OK)
        return report_added(ctl, file);
    if (ctl->psk_out != NULL)
        unlink(ctl->psk_out);
    return *rc == KMS_STORE_EXISTS ? KMS_EXIT_STORE : kms_ctl_fail(&err);
}

enum kms_exit
kms_ctl_user_add(const struct kms_ctl *ctl)
{
    MKT_SCOPED_SECRET
    psk = { 0 };
    char invented[KMS_PSK_ID_MAX + 1];
    struct kms_credfile file = { ctl->identity, ctl->kms, ctl->psk_id, &psk };
    const char *wrong = take_psk(&psk, ctl);
    enum kms_store_rc rc = KMS_STORE_EXISTS;
    enum kms_exit code = KMS_EXIT_FAILED;

    if (wrong == NULL && kms_identity_of(ctl->identity).data.p == NULL)
        wrong = "an identity is a URI (sip:alice@example.com) or a NAI (alice@example.com)";
    if (wrong == NULL && ctl->psk_id != NULL)
        wrong = check_psk_id(ctl->psk_id);
    if (wrong != NULL)
        return refuse(wrong);
    if (ctl->psk_id != NULL) {
        code = add(ctl, &file, &rc);
        return rc == KMS_STORE_EXISTS ? taken(ctl, ctl->psk_id) : code;
    }
    file.psk_id = invented;
    for (int i = 0; i < TRIES && rc == KMS_STORE_EXISTS; i++) {
        if (!invent_psk_id(invented, ctl->identity))
            return refuse("the random number generator failed");
        code = add(ctl, &file, &rc);
    }
    return rc == KMS_STORE_EXISTS ? taken(ctl, invented) : code;
}

struct listing {
    bool json;
    size_t n;
};

static bool
print_user(void *ctx, const struct kms_user *u)
{
    struct listing *l = ctx;
    char added[32];

    kms_ctl_time(u->added, added);
    if (l->json) {
        printf("%s\n  {\"identity\": ", l->n == 0 ? "" : ",");
        kms_ctl_json(u->identity);
        printf(", \"psk-id\": ");
        kms_ctl_json(u->psk_id);
        printf(", \"suite\": %d, \"added\": \"%s\"}", u->psk_len == 16 ? 128 : 256, added);
    } else {
        if (l->n == 0)
            printf("%-32s %-24s %-5s %s\n", "IDENTITY", "PSK-ID", "SUITE", "ADDED");
        printf("%-32s %-24s %-5d %s\n", u->identity, u->psk_id, u->psk_len == 16 ? 128 : 256,
               added);
    }
    l->n++;
    return true;
}

enum kms_exit
kms_ctl_user_list(const struct kms_ctl *ctl)
{
    struct listing l = { ctl->json, 0 };
    struct kms_sink sink = { print_user, NULL, &l };
    struct kms_store_err err = { 0 };

    if (ctl->json)
        printf("[");
    if (ctl->store->ops->read(ctl->store, &sink, false, &err) != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (ctl->json)
        printf("%s]\n", l.n == 0 ? "" : "\n");
    else if (l.n == 0)
        printf("No users yet. Add one with: mikey-kmsctl --config FILE user add IDENTITY\n");
    return KMS_EXIT_OK;
}

enum kms_exit
kms_ctl_user_remove(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    unsigned removed = 0;
    enum kms_store_rc rc =
        ctl->store->ops->user_remove(ctl->store, ctl->identity, ctl->psk_id, &removed, &err);

    if (rc == KMS_STORE_NOT_FOUND) {
        fprintf(stderr, "mikey-kmsctl: %s has no %scredential%s%s: see user list\n", ctl->identity,
                ctl->psk_id != NULL ? "such " : "", ctl->psk_id != NULL ? " " : "",
                ctl->psk_id != NULL ? ctl->psk_id : "");
        return KMS_EXIT_STORE;
    }
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    printf("removed %u credential%s of %s\n", removed, removed == 1 ? "" : "s", ctl->identity);
    return KMS_EXIT_OK;
}
