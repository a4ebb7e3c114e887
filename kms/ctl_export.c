/* SPDX-License-Identifier: Apache-2.0 */
/* tpk export, export list, approve, withdraw, take and open: a key leaves the KMS by two people,
 * and sealed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "ctl_call.h"
#include "ctl_secret.h"
#include "sealed_key.h"

#define FILE_MAX 8192 /* octets of an export */

static enum kms_exit
fail(const char *what, const char *why)
{
    fprintf(stderr, "mikey-kmsctl: %s%s%s\n", what, why[0] == '\0' ? "" : ": ", why);
    return KMS_EXIT_FAILED;
}

static long long
number(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

/* One step about an export; `said` is printed with its number and key. */
static enum kms_exit
step(const struct kms_ctl *ctl, const char *method, const char *path, json_t *body,
     const char *done, const char *next)
{
    char target[KMS_CTL_TARGET];
    enum kms_exit code;
    json_t *answer;

    if (!kms_ctl_target(target, path, ctl->identity, NULL)) {
        json_decref(body);
        return kms_ctl_misuse("the number is too long");
    }
    code = kms_ctl_call(ctl, method, target, body, &answer, NULL);
    if (code == KMS_EXIT_OK && ctl->json)
        kms_ctl_dump(answer, "", "\n");
    else if (code == KMS_EXIT_OK)
        printf("export %lld of %s: %s, %lld seconds left%s\n", number(answer, "number"),
               kms_ctl_text(answer, "tpk-id"), done, number(answer, "seconds"), next);
    json_decref(answer);
    return code;
}

enum kms_exit
kms_ctl_tpk_export(const struct kms_ctl *ctl)
{
    json_t *body = json_object();

    kms_ctl_put(body, "tpk-id", ctl->identity);
    return step(ctl, "POST", "/v1/exports", body, "asked",
                "\nNow another security officer approves it: mikey-kmsctl export approve NUMBER");
}

enum kms_exit
kms_ctl_export_approve(const struct kms_ctl *ctl)
{
    return step(ctl, "POST", "/v1/exports/{number}/approve", NULL, "approved",
                "\nNow who asked takes it: mikey-kmsctl export take NUMBER --out FILE");
}

enum kms_exit
kms_ctl_export_withdraw(const struct kms_ctl *ctl)
{
    return step(ctl, "DELETE", "/v1/exports/{number}", NULL, "withdrawn", "");
}

/* --- taking ----------------------------------------------------------------------------------- */

static enum kms_exit
write_file(const struct kms_ctl *ctl, const json_t *answer)
{
    json_t *o = json_object();
    enum kms_exit code = KMS_EXIT_OK;
    char *text;

    kms_ctl_put(o, "kms", ctl->kms);
    kms_ctl_put(o, "tpk-id", kms_ctl_text(answer, "tpk-id"));
    kms_ctl_put(o, "owner", json_string_value(json_object_get(answer, "owner")));
    kms_ctl_put(o, "sealed", kms_ctl_text(answer, "sealed"));
    text = json_dumps(o, JSON_INDENT(2));
    json_decref(o);
    if (text == NULL || !kms_secret_write(ctl->out, text, strlen(text)))
        code = fail(ctl->out, strerror(errno));
    free(text);
    return code;
}

/* The export is gone when it is taken: so that the file can be written is looked at before. */
enum kms_exit
kms_ctl_export_take(const struct kms_ctl *ctl)
{
    struct kms_ctl_words w = { .n = 0 };
    char target[KMS_CTL_TARGET];
    json_t *answer = NULL, *body;
    enum kms_exit code = KMS_EXIT_FAILED;
    FILE *there;

    if (ctl->out == NULL)
        return kms_ctl_misuse("--out FILE is needed");
    there = fopen(ctl->out, "re");
    if (there != NULL) {
        fclose(there);
        return fail(ctl->out, strerror(EEXIST));
    }
    if (!kms_ctl_target(target, "/v1/exports/{number}/take", ctl->identity, NULL))
        return kms_ctl_misuse("the number is too long");
    if (kms_ctl_secret(ctl, "Passphrase for the key", true, &w)) {
        body = json_object();
        json_object_set_new(body, "passphrase", json_stringn(w.octets, w.n));
        code = kms_ctl_call(ctl, "POST", target, body, &answer, NULL);
    }
    mkt_wipe(&w, sizeof w);
    if (code == KMS_EXIT_OK)
        code = write_file(ctl, answer);
    if (code == KMS_EXIT_OK && ctl->json)
        printf("{\"file\": \"%s\"}\n", ctl->out);
    else if (code == KMS_EXIT_OK)
        printf("%s holds %s, sealed under the passphrase\n", ctl->out,
               kms_ctl_text(answer, "tpk-id"));
    json_decref(answer);
    return code;
}

/* --- opening ---------------------------------------------------------------------------------- */

static json_t *
read_file(const char *path)
{
    char text[FILE_MAX];
    FILE *f = fopen(path, "re");
    json_t *o = NULL;
    size_t n;

    if (f == NULL) {
        fail(path, strerror(errno));
        return NULL;
    }
    n = fread(text, 1, sizeof text, f);
    if (n < sizeof text)
        o = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    fclose(f);
    if (json_is_object(o) && kms_ctl_text(o, "tpk-id")[0] != '\0')
        return o;
    fail(path, "is no export of a key");
    json_decref(o);
    return NULL;
}

static bool
open_sealed(struct mkt_secret *key, const json_t *o, const struct kms_ctl_words *w)
{
    uint8_t octets[FILE_MAX];
    const char *sealed = kms_ctl_text(o, "sealed");
    size_t n = strlen(sealed);

    memcpy(octets, sealed, n);
    return mkt_base64_decode_lines(octets, n, &n) &&
           kms_sealed_key_open(key, kms_ctl_text(o, "tpk-id"), mkt_span(w->octets, w->n),
                               mkt_span(octets, n));
}

enum kms_exit
kms_ctl_export_open(const struct kms_ctl *ctl)
{
    MKT_SCOPED_SECRET
    key = { 0 };
    struct kms_ctl_words w = { .n = 0 };
    enum kms_exit code = KMS_EXIT_FAILED;
    json_t *o;

    if (ctl->out == NULL)
        return kms_ctl_misuse("--out FILE is needed");
    o = read_file(ctl->identity);
    if (o != NULL && kms_ctl_secret(ctl, "Passphrase of the key", false, &w)) {
        const char *owner = json_string_value(json_object_get(o, "owner"));
        const struct kms_keyfile file = { KMS_TPK, owner != NULL ? owner : kms_ctl_text(o, "kms"),
                                          kms_ctl_text(o, "kms"), kms_ctl_text(o, "tpk-id"), &key };

        if (!open_sealed(&key, o, &w))
            fail(ctl->identity, "the passphrase is another one, or the file was changed");
        else if (!kms_keyfile_write(ctl->out, &file))
            fail(ctl->out, strerror(errno));
        else
            code = KMS_EXIT_OK;
    }
    if (code == KMS_EXIT_OK && ctl->json)
        kms_ctl_result(
            json_pack("{s:s, s:s}", "tpk-id", kms_ctl_text(o, "tpk-id"), "file", ctl->out));
    mkt_wipe(&w, sizeof w);
    json_decref(o);
    if (code == KMS_EXIT_OK && !ctl->json)
        printf("the key is in %s\n", ctl->out);
    return code;
}
