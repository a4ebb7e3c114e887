/* SPDX-License-Identifier: Apache-2.0 */
/* What user add and tpk add share: a key is taken or generated, named, written to a file or shown
 * once, and stored. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mikeyticket/env.h>

#include "ctl_call.h"
#include "hex.h"
#include "key_text.h"

#define TRIES 16 /* for a free id of our own making */

static const char *
read_stdin(struct mkt_secret *key, const char *suite)
{
    char line[2 * MKT_SECRET_MAX + 3];
    size_t n = 0;
    ssize_t got;
    const char *wrong;

    while (n < sizeof line && (got = read(STDIN_FILENO, line + n, sizeof line - n)) > 0)
        n += (size_t)got;
    while (n > 0 && isspace((unsigned char)line[n - 1]))
        n--;
    wrong = kms_key_read(key, line, n, suite);
    mkt_wipe(line, sizeof line);
    return wrong;
}

static const char *
take_key(struct mkt_secret *key, const struct kms_ctl *ctl)
{
    bool suite_128 = ctl->suite != NULL && strcmp(ctl->suite, "128") == 0;
    const char *wrong;

    if (ctl->suite != NULL && !suite_128 && strcmp(ctl->suite, "256") != 0)
        return "--suite is 128 or 256";
    if (ctl->key_hex == NULL) {
        key->n = suite_128 ? 16 : 32;
        return mkt_crypto_random(NULL, key->b, key->n) ? NULL
                                                       : "the random number generator failed";
    }
    if (strcmp(ctl->key_hex, "-") == 0)
        return read_stdin(key, ctl->suite);
    wrong = kms_key_read(key, ctl->key_hex, strlen(ctl->key_hex), ctl->suite);
    mkt_wipe(ctl->key_hex, strlen(ctl->key_hex)); /* it stands in the list of processes */
    return wrong;
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

/* The key only where it is generated and goes to no file. */
static void
report_json(const struct kms_ctl *ctl, const struct kms_keyfile *file)
{
    const char *kind = kms_keyfile_word(file->kind);
    char hex[2 * MKT_SECRET_MAX + 1], id[8];
    json_t *o = json_object();

    snprintf(id, sizeof id, "%s-id", kind);
    kms_ctl_put(o, "identity", file->identity);
    kms_ctl_put(o, "kms", file->kms);
    kms_ctl_put(o, id, file->id);
    kms_ctl_put(o, "suite", file->key->n == 16 ? "128" : "256");
    kms_ctl_put(o, "file", ctl->key_out);
    if (ctl->key_out == NULL && ctl->key_hex == NULL) {
        kms_hex_write(hex, file->key->b, file->key->n);
        kms_ctl_put(o, kind, hex);
        mkt_wipe(hex, sizeof hex);
    }
    kms_ctl_result(o);
}

static enum kms_exit
report_added(const struct kms_ctl *ctl, const struct kms_keyfile *file,
             const struct kms_ctl_kind *k)
{
    const char *kind = kms_keyfile_word(k->kind);
    char text[KMS_KEYFILE_MAX];

    if (ctl->json) {
        report_json(ctl, file);
    } else if (ctl->key_out != NULL) {
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

/* What the store had against it, and what can be done. */
static enum kms_exit
refused(const struct kms_ctl *ctl, const char *id, const struct kms_ctl_kind *k,
        const json_t *problem, bool taken)
{
    fprintf(stderr, "mikey-kmsctl: %s\n", kms_ctl_text(problem, "detail"));
    if (!taken)
        return KMS_EXIT_STORE;
    fputs("Choose another one, or remove the old key with\n  mikey-kmsctl --config FILE ", stderr);
    if (k->kind == KMS_TPK)
        fprintf(stderr, "tpk remove %s\n", id);
    else
        fprintf(stderr, "user remove %s --psk-id %s\n", ctl->identity, id);
    return KMS_EXIT_STORE;
}

static enum kms_exit
store(const struct kms_ctl *ctl, const struct kms_keyfile *file, const struct kms_ctl_kind *k,
      json_t **answer, unsigned *status)
{
    char hex[2 * MKT_SECRET_MAX + 1];
    enum kms_exit code;

    kms_hex_write(hex, file->key->b, file->key->n);
    code = kms_ctl_call(ctl, "POST", k->target, k->body(ctl, file->id, hex), answer, status);
    mkt_wipe(hex, sizeof hex);
    return code;
}

/* The file comes first: a key that is in the store and nowhere else would be lost. *taken tells
 * whether another id may do; then nothing was said unless it is the last try. */
static enum kms_exit
add(const struct kms_ctl *ctl, const struct kms_keyfile *file, const struct kms_ctl_kind *k,
    bool last, bool *taken)
{
    enum kms_exit code;
    json_t *answer;
    unsigned status;

    *taken = false;
    if (ctl->key_out != NULL && !kms_keyfile_write(ctl->key_out, file)) {
        fprintf(stderr, "mikey-kmsctl: cannot write %s: %s; nothing was added\n", ctl->key_out,
                strerror(errno));
        return KMS_EXIT_FAILED;
    }
    code = store(ctl, file, k, &answer, &status);
    if (code == KMS_EXIT_OK && json_is_true(json_object_get(answer, "changed"))) {
        json_decref(answer);
        return report_added(ctl, file, k);
    }
    if (ctl->key_out != NULL)
        unlink(ctl->key_out);
    if (code == KMS_EXIT_OK) {
        fprintf(stderr, "mikey-kmsctl: %s is taken: by this very key\n", file->id);
        code = KMS_EXIT_STORE;
    } else if (status != 0) {
        *taken = status == 409 && strstr(kms_ctl_text(answer, "detail"), file->id) != NULL;
        if (last || !*taken) {
            enum kms_exit said = refused(ctl, file->id, k, answer, *taken);

            code = status == 409 ? said : code;
        }
    }
    json_decref(answer);
    return code;
}

enum kms_exit
kms_ctl_key_add(const struct kms_ctl *ctl, const struct kms_ctl_kind *k)
{
    MKT_SCOPED_SECRET
    key = { 0 };
    char invented[KMS_PSK_ID_MAX + 1];
    struct kms_keyfile file = { k->kind, ctl->identity, ctl->kms, ctl->key_id, &key };
    const char *wrong = take_key(&key, ctl);
    enum kms_exit code = KMS_EXIT_FAILED;
    bool taken = true;

    if (wrong == NULL && kms_identity_of(ctl->identity).data.p == NULL)
        wrong = KMS_IDENTITY_FORM;
    if (wrong == NULL && ctl->key_id != NULL)
        wrong = kms_key_id_check(ctl->key_id, k->kind);
    if (wrong != NULL)
        return kms_ctl_misuse(wrong);
    if (ctl->key_id != NULL)
        return add(ctl, &file, k, true, &taken);
    file.id = invented;
    for (int i = 1; i <= TRIES && taken; i++) {
        if (!invent_id(invented, ctl->identity, k))
            return kms_ctl_misuse("the random number generator failed");
        code = add(ctl, &file, k, i == TRIES, &taken);
    }
    return code;
}
