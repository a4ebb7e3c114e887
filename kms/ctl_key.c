/* SPDX-License-Identifier: Apache-2.0 */
/* What user add and tpk add share: a key is taken or generated, named, written to a file or shown
 * once, and stored. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mikeyticket/env.h>

#include "config.h"
#include "hex.h"
#include "kmsctl.h"

#define TRIES 16 /* for a free id of our own making */

static const char *
read_hex(struct mkt_secret *key, const char *hex, size_t n)
{
    if (n % 2 != 0 || n < 32 || n > 2 * MKT_SECRET_MAX)
        return "a key has 16 to 128 octets: 32 to 256 hexadecimal digits";
    for (size_t i = 0; i < n; i += 2) {
        int high = kms_hex_value(hex[i]), low = kms_hex_value(hex[i + 1]);

        if (high < 0 || low < 0)
            return "a key is written in hexadecimal digits";
        key->b[i / 2] = (uint8_t)(high << 4 | low);
    }
    key->n = (uint16_t)(n / 2);
    return NULL;
}

static const char *
read_stdin(struct mkt_secret *key)
{
    char line[2 * MKT_SECRET_MAX + 3];
    size_t n = 0;
    ssize_t got;
    const char *wrong;

    while (n < sizeof line && (got = read(STDIN_FILENO, line + n, sizeof line - n)) > 0)
        n += (size_t)got;
    while (n > 0 && isspace((unsigned char)line[n - 1]))
        n--;
    wrong = read_hex(key, line, n);
    mkt_wipe(line, sizeof line);
    return wrong;
}

/* 16 octets belong to the 128-bit suite, longer ones to the 256-bit suite (RFC 6043 12.1: the
 * levels are not mixed). */
static const char *
take_key(struct mkt_secret *key, const struct kms_ctl *ctl)
{
    bool suite_128 = ctl->suite != NULL && strcmp(ctl->suite, "128") == 0;
    bool suite_256 = ctl->suite != NULL && strcmp(ctl->suite, "256") == 0;
    const char *wrong;

    if (ctl->suite != NULL && !suite_128 && !suite_256)
        return "--suite is 128 or 256";
    if (ctl->key_hex == NULL) {
        key->n = suite_128 ? 16 : 32;
        return mkt_crypto_random(NULL, key->b, key->n) ? NULL
                                                       : "the random number generator failed";
    }
    if (strcmp(ctl->key_hex, "-") == 0) {
        wrong = read_stdin(key);
    } else {
        wrong = read_hex(key, ctl->key_hex, strlen(ctl->key_hex));
        mkt_wipe(ctl->key_hex, strlen(ctl->key_hex)); /* it stands in the list of processes */
    }
    if (wrong != NULL)
        return wrong;
    if (suite_128 && key->n != 16)
        return "suite 128 needs a key of 16 octets";
    if (key->n != 16 && key->n < 32)
        return "a key has 16 octets (suite 128), or 32 and more (suite 256)";
    return suite_256 && key->n < 32 ? "suite 256 needs a key of at least 32 octets" : NULL;
}

static const char *
check_id(const char *id, const struct kms_ctl_kind *k)
{
    size_t n = strlen(id);

    if (n == 0 || n > KMS_PSK_ID_MAX)
        return "the id of a key has 1 to 128 characters";
    for (size_t i = 0; i < n; i++)
        if (id[i] <= ' ' || id[i] >= 0x7f)
            return "the id of a key holds printable ASCII characters without blanks";
    if (k->kind == KMS_TPK && kms_tpk_id_reserved(id))
        return "ids such as tpk-1-256 are for the keys of the KMS: choose another one";
    return NULL;
}

/* "sip:alice@example.com" -> "alice-3f9a" */
static bool
invent_id(char out[KMS_PSK_ID_MAX + 1], const char *identity, const struct kms_ctl_kind *k)
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
    n += (size_t)snprintf(out + n, KMS_PSK_ID_MAX + 1 - n, "%s%s", n == 0 ? "user" : "", k->join);
    kms_hex_write(out + n, r, sizeof r);
    return true;
}

static enum kms_exit
report_added(const struct kms_ctl *ctl, const struct kms_keyfile *file,
             const struct kms_ctl_kind *k)
{
    const char *kind = kms_keyfile_word(k->kind);
    char text[KMS_KEYFILE_MAX];

    if (ctl->key_out != NULL) {
        printf("added %s, %s-id %s\nThe %s is in %s: hand it over and delete it here.\n",
               file->identity, kind, file->id, k->what, ctl->key_out);
    } else if (ctl->key_hex != NULL) {
        printf("added %s, %s-id %s\n", file->identity, kind, file->id);
    } else {
        kms_keyfile_format(text, file);
        printf("# Added. Hand this %s to the user now: the key is not shown again.\n%s", k->what,
               text);
        mkt_wipe(text, sizeof text);
    }
    if (fflush(stdout) == 0 && !ferror(stdout))
        return KMS_EXIT_OK;
    fprintf(stderr, "mikey-kmsctl: the key was added but the result could not be written: %s\n",
            strerror(errno));
    return KMS_EXIT_FAILED;
}

static enum kms_exit
taken(const struct kms_ctl *ctl, const char *id, const struct kms_ctl_kind *k)
{
    const char *kind = kms_keyfile_word(k->kind);

    fprintf(stderr,
            "mikey-kmsctl: the %s-id %s is taken: choose another one, or remove the old key with\n"
            "  mikey-kmsctl --config FILE ",
            kind, id);
    if (k->kind == KMS_TPK)
        fprintf(stderr, "tpk remove %s\n", id);
    else
        fprintf(stderr, "user remove %s --psk-id %s\n", ctl->identity, id);
    return KMS_EXIT_STORE;
}

/* Seals and stores. When a rotation of the KEK came in between, once more under the new one. */
static enum kms_store_rc
seal_and_store(const struct kms_ctl *ctl, const struct kms_keyfile *file,
               const struct kms_ctl_kind *k, struct kms_store_err *err)
{
    enum kms_store_rc rc = KMS_STORE_STALE;
    uint8_t buf[KMS_SEALED_MAX];

    for (int i = 0; i < TRIES && rc == KMS_STORE_STALE; i++) {
        struct kms_locker l = { .kind = k->kind,
                                .owner = mkt_span(file->identity, strlen(file->identity)),
                                .id = mkt_span(file->id, strlen(file->id)) };

        rc = i == 0 ? KMS_STORE_OK : kms_vault_refresh(ctl->vault, ctl->store, err);
        if (rc == KMS_STORE_OK && !kms_local_seal(ctl->vault, &l, mkt_secret_span(file->key), buf))
            rc = kms_store_fail(err, KMS_STORE_FAILED, "the key cannot be sealed");
        if (rc == KMS_STORE_OK)
            rc = k->store(ctl, file, &l.key, err);
    }
    mkt_wipe(buf, sizeof buf);
    return rc;
}

/* The file comes first: a key that is in the store and nowhere else would be lost. */
static enum kms_exit
add(const struct kms_ctl *ctl, const struct kms_keyfile *file, const struct kms_ctl_kind *k,
    enum kms_store_rc *rc)
{
    struct kms_store_err err = { 0 };

    *rc = KMS_STORE_FAILED;
    if (ctl->key_out != NULL && !kms_keyfile_write(ctl->key_out, file)) {
        fprintf(stderr, "mikey-kmsctl: cannot write %s: %s; nothing was added\n", ctl->key_out,
                strerror(errno));
        return KMS_EXIT_FAILED;
    }
    *rc = seal_and_store(ctl, file, k, &err);
    if (*rc == KMS_STORE_OK)
        return report_added(ctl, file, k);
    if (ctl->key_out != NULL)
        unlink(ctl->key_out);
    return *rc == KMS_STORE_EXISTS ? KMS_EXIT_STORE : kms_ctl_fail(&err);
}

enum kms_exit
kms_ctl_key_add(const struct kms_ctl *ctl, const struct kms_ctl_kind *k)
{
    MKT_SCOPED_SECRET
    key = { 0 };
    char invented[KMS_PSK_ID_MAX + 1];
    struct kms_keyfile file = { k->kind, ctl->identity, ctl->kms, ctl->key_id, &key };
    const char *wrong = take_key(&key, ctl);
    enum kms_store_rc rc = KMS_STORE_EXISTS;
    enum kms_exit code = KMS_EXIT_FAILED;

    if (wrong == NULL && kms_identity_of(ctl->identity).data.p == NULL)
        wrong = KMS_CTL_IDENTITY;
    if (wrong == NULL && ctl->key_id != NULL)
        wrong = check_id(ctl->key_id, k);
    if (wrong != NULL)
        return kms_ctl_misuse(wrong);
    if (ctl->key_id != NULL) {
        code = add(ctl, &file, k, &rc);
        return rc == KMS_STORE_EXISTS ? taken(ctl, ctl->key_id, k) : code;
    }
    file.id = invented;
    for (int i = 0; i < TRIES && rc == KMS_STORE_EXISTS; i++) {
        if (!invent_id(invented, ctl->identity, k))
            return kms_ctl_misuse("the random number generator failed");
        code = add(ctl, &file, k, &rc);
    }
    return rc == KMS_STORE_EXISTS ? taken(ctl, invented, k) : code;
}
