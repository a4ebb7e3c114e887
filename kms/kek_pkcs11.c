/* SPDX-License-Identifier: Apache-2.0 */
/* A KEK in a token (PKCS#11 2.40): an AES key that is found by its URI (RFC 7512) and used there,
 * with CKM_AES_GCM. It never comes here. p11-kit reads the URI and loads the module. */
#include "kek.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include <mikeyticket/env.h>

#define PIN_MAX 128

struct token {
    CK_FUNCTION_LIST *module;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    bool open;
};

static bool
fail(char err[KMS_KEK_ERR], const char *what, CK_RV rv)
{
    snprintf(err, KMS_KEK_ERR, "pkcs11: %s%s%s", what, rv == CKR_OK ? "" : ": ",
             rv == CKR_OK ? "" : p11_kit_strerror(rv));
    return false;
}

static bool
load_module(struct token *t, P11KitUri *uri, char err[KMS_KEK_ERR])
{
    const char *path = p11_kit_uri_get_module_path(uri);
    CK_RV rv;

    if (path == NULL)
        return fail(err, "the URI names no module: write ?module-path=/PATH/OF/LIBRARY.so", CKR_OK);
    t->module = p11_kit_module_load(path, 0);
    if (t->module == NULL)
        return fail(err, p11_kit_message(), CKR_OK);
    rv = p11_kit_module_initialize(t->module);
    return rv == CKR_OK || fail(err, "the module does not start", rv);
}

static bool
open_session(struct token *t, P11KitUri *uri, char err[KMS_KEK_ERR])
{
    CK_SLOT_ID slots[64];
    CK_ULONG n = sizeof slots / sizeof slots[0];
    CK_TOKEN_INFO info;
    CK_RV rv = t->module->C_GetSlotList(CK_TRUE, slots, &n);

    if (rv != CKR_OK)
        return fail(err, "cannot list the tokens", rv);
    for (CK_ULONG i = 0; i < n; i++) {
        if (t->module->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
            !p11_kit_uri_match_token_info(uri, &info))
            continue;
        rv = t->module->C_OpenSession(slots[i], CKF_SERIAL_SESSION, NULL, NULL, &t->session);
        t->open = rv == CKR_OK;
        return t->open || fail(err, "cannot open a session", rv);
    }
    return fail(err, "there is no such token", CKR_OK);
}

/* The PIN stands in the URI (pin-value) or, better, in a file of mode 0600 (pin-source). */
static bool
log_in(struct token *t, P11KitUri *uri, char err[KMS_KEK_ERR])
{
    const char *value = p11_kit_uri_get_pin_value(uri), *source = p11_kit_uri_get_pin_source(uri);
    char pin[PIN_MAX + 1] = "";
    struct stat st;
    ssize_t n;
    CK_RV rv;
    int fd;

    if (value == NULL && source == NULL)
        return true; /* a token without a PIN */
    if (value != NULL) {
        n = snprintf(pin, sizeof pin, "%s", value);
    } else {
        fd = open(strncmp(source, "file:", 5) == 0 ? source + 5 : source, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) != 0 || (st.st_mode & 077) != 0) {
            if (fd >= 0)
                close(fd);
            return fail(err, "pin-source: not a file of mode 0600 that can be read", CKR_OK);
        }
        n = read(fd, pin, PIN_MAX);
        close(fd);
    }
    while (n > 0 && n <= PIN_MAX && (pin[n - 1] == '\n' || pin[n - 1] == '\r'))
        n--;
    rv = n > 0 && n <= PIN_MAX
             ? t->module->C_Login(t->session, CKU_USER, (CK_UTF8CHAR *)pin, (CK_ULONG)n)
             : CKR_PIN_INCORRECT;
    mkt_wipe(pin, sizeof pin);
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN || fail(err, "cannot log in", rv);
}

static bool
find_key(struct token *t, P11KitUri *uri, char err[KMS_KEK_ERR])
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ATTRIBUTE want[8] = { { CKA_CLASS, &class, sizeof class },
                             { CKA_KEY_TYPE, &type, sizeof type } };
    CK_ULONG n_given, n = 2, found = 0;
    const CK_ATTRIBUTE *given = p11_kit_uri_get_attributes(uri, &n_given);
    CK_OBJECT_HANDLE keys[2];
    CK_RV rv;

    for (CK_ULONG i = 0; i < n_given && n < 8; i++)
        if (given[i].type == CKA_LABEL || given[i].type == CKA_ID)
            want[n++] = given[i];
    rv = t->module->C_FindObjectsInit(t->session, want, n);
    if (rv == CKR_OK) {
        rv = t->module->C_FindObjects(t->session, keys, 2, &found);
        t->module->C_FindObjectsFinal(t->session);
    }
    if (rv != CKR_OK || found != 1)
        return fail(err,
                    found > 1 ? "the URI fits several AES keys: add object= or id="
                              : "there is no such AES key in the token",
                    rv);
    t->key = keys[0];
    return true;
}

static bool
token_open(struct kms_kek *k, const char *spec, bool new_one, char err[KMS_KEK_ERR])
{
    struct token *t = calloc(1, sizeof *t);
    P11KitUri *uri = p11_kit_uri_new();
    int rc;
    bool ok;

    (void)new_one;
    k->token = t;
    if (t == NULL || uri == NULL) {
        p11_kit_uri_free(uri);
        return fail(err, "out of memory", CKR_OK);
    }
    rc = p11_kit_uri_parse(spec, P11_KIT_URI_FOR_ANY, uri);
    ok = rc == P11_KIT_URI_OK ? load_module(t, uri, err) && open_session(t, uri, err) &&
                                    log_in(t, uri, err) && find_key(t, uri, err)
                              : fail(err, p11_kit_uri_message(rc), CKR_OK);
    p11_kit_uri_free(uri);
    k->ready = ok;
    return ok;
}

/* GCM in the token, over what is laid out as kms_seal lays it out. */
static CK_MECHANISM
mechanism(CK_GCM_PARAMS *p, uint8_t *nonce, struct mkt_span name)
{
    *p = (CK_GCM_PARAMS){ .pIv = nonce,
                          .ulIvLen = KMS_SEAL_NONCE,
                          .ulIvBits = 8UL * KMS_SEAL_NONCE,
                          .pAAD = (CK_BYTE *)(uintptr_t)name.p,
                          .ulAADLen = name.n,
                          .ulTagBits = 8UL * KMS_SEAL_TAG };
    return (CK_MECHANISM){ CKM_AES_GCM, p, sizeof *p };
}

static bool
token_seal(struct kms_kek *k, struct mkt_span name, struct mkt_span plain, uint8_t *out)
{
    struct token *t = k->token;
    CK_GCM_PARAMS p;
    CK_MECHANISM m = mechanism(&p, out, name);
    CK_ULONG n = plain.n + KMS_SEAL_TAG;

    return mkt_crypto_random(NULL, out, KMS_SEAL_NONCE) &&
           t->module->C_EncryptInit(t->session, &m, t->key) == CKR_OK &&
           t->module->C_Encrypt(t->session, (CK_BYTE *)(uintptr_t)plain.p, plain.n,
                                out + KMS_SEAL_NONCE, &n) == CKR_OK &&
           n == plain.n + KMS_SEAL_TAG;
}

static bool
token_unseal(struct kms_kek *k, struct mkt_span name, struct mkt_span sealed, uint8_t *out)
{
    struct token *t = k->token;
    uint8_t plain[KMS_SEAL_KEY + KMS_SEAL_TAG]; /* a token may want room for the tag */
    uint8_t nonce[KMS_SEAL_NONCE];
    CK_GCM_PARAMS p;
    CK_MECHANISM m = mechanism(&p, nonce, name);
    CK_ULONG n = sizeof plain;
    bool ok;

    if (sealed.n != KMS_SEAL_KEY + KMS_SEAL_MORE)
        return false;
    memcpy(nonce, sealed.p, sizeof nonce);
    ok = t->module->C_DecryptInit(t->session, &m, t->key) == CKR_OK &&
         t->module->C_Decrypt(t->session, (CK_BYTE *)(uintptr_t)sealed.p + KMS_SEAL_NONCE,
                              sealed.n - KMS_SEAL_NONCE, plain, &n) == CKR_OK &&
         n == KMS_SEAL_KEY;
    if (ok)
        memcpy(out, plain, KMS_SEAL_KEY);
    mkt_wipe(plain, sizeof plain);
    return ok;
}

static void
token_close(struct kms_kek *k)
{
    struct token *t = k->token;

    if (t == NULL)
        return;
    if (t->open)
        t->module->C_CloseSession(t->session);
    if (t->module != NULL) {
        p11_kit_module_finalize(t->module);
        p11_kit_module_release(t->module);
    }
    free(t);
}

const struct kms_kek_ops kms_kek_pkcs11 = { "pkcs11",   token_open,   NULL,
                                            token_seal, token_unseal, token_close };
