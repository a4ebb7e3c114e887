/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of KEK whose octets come into this process, and what all kinds share. */
#include "kek.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <mikeyticket/env.h>

#include "hex.h"
#include "keyfile.h"
#include "locked.h"

#define TEXT_MAX 256 /* octets of a file with a KEK or a passphrase */
#define PASSPHRASE_MIN 12

static bool __attribute__((format(printf, 2, 3))) fail(char err[KMS_KEK_ERR], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, KMS_KEK_ERR, fmt, ap);
    va_end(ap);
    return false;
}

static bool
read_all(int fd, char text[TEXT_MAX], size_t *n)
{
    ssize_t got = 1;

    for (*n = 0; *n < TEXT_MAX && got > 0; *n += got > 0 ? (size_t)got : 0)
        do
            got = read(fd, text + *n, TEXT_MAX - *n);
        while (got < 0 && errno == EINTR);
    return got == 0;
}

/* A file that others cannot read: bits of `mask` are refused. Root administers a KMS that runs as
 * another user, and then it is that one's: who has the store as well. */
static bool
read_file(const char *path, mode_t mask, char text[TEXT_MAX], size_t *n, char err[KMS_KEK_ERR])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    struct stat st;
    bool ok = false;

    if (fd < 0 || fstat(fd, &st) != 0)
        fail(err, "%s: cannot be opened: %s", path,
             errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    else if (!S_ISREG(st.st_mode))
        fail(err, "%s: is not a file", path);
    else if ((st.st_mode & mask) != 0)
        fail(err, "%s: can be read by others: chmod 600 it", path);
    else if (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0)
        fail(err, "%s: belongs to another user", path);
    else if (!read_all(fd, text, n))
        fail(err, "%s: is too long, or cannot be read", path);
    else
        ok = true;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* 32 octets, or their 64 hexadecimal digits. */
static bool
take_key(struct kms_kek *k, const char *text, size_t n, const char *what, char err[KMS_KEK_ERR])
{
    k->ready = true;
    if (n == KMS_SEAL_KEY) {
        memcpy(k->key, text, n);
        return true;
    }
    if (n == 2 * KMS_SEAL_KEY + 1 && text[n - 1] == '\n')
        n--;
    for (size_t i = 0; n == 2 * KMS_SEAL_KEY && i < n; i += 2) {
        int high = kms_hex_value(text[i]), low = kms_hex_value(text[i + 1]);

        if (high < 0 || low < 0)
            n = 0;
        else
            k->key[i / 2] = (uint8_t)(high << 4 | low);
    }
    return n == 2 * KMS_SEAL_KEY
               ? true
               : fail(err, "%s: a KEK has 32 octets, or 64 hexadecimal digits", what);
}

static bool
open_path(struct kms_kek *k, const char *path, mode_t mask, char err[KMS_KEK_ERR])
{
    char text[TEXT_MAX];
    size_t n;
    bool ok = read_file(path, mask, text, &n, err) && take_key(k, text, n, path, err);

    mkt_wipe(text, sizeof text);
    return ok;
}

static bool
file_open(struct kms_kek *k, const char *spec, bool new_one, char err[KMS_KEK_ERR])
{
    (void)new_one;
    return open_path(k, spec, 077, err);
}

/* systemd gives the file an ACL for the user of the service, which shows as a mode of 0440. */
static bool
credential_open(struct kms_kek *k, const char *spec, bool new_one, char err[KMS_KEK_ERR])
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    char path[KMS_KEK_SPEC];

    (void)new_one;
    if (spec[0] == '\0' || spec[0] == '.' || strchr(spec, '/') != NULL)
        return fail(err, "credential:%s: not the name of a credential", spec);
    if (dir == NULL)
        return fail(err,
                    "credential:%s: there is no $CREDENTIALS_DIRECTORY: is this a service of "
                    "systemd with LoadCredential= or LoadCredentialEncrypted=?",
                    spec);
    if (snprintf(path, sizeof path, "%s/%s", dir, spec) >= (int)sizeof path)
        return fail(err, "credential:%s: the path is too long", spec);
    return open_path(k, path, 037, err);
}

static bool
ask(int tty, const char *question, char text[TEXT_MAX], size_t *n)
{
    ssize_t got;

    if (write(tty, question, strlen(question)) < 0)
        return false;
    got = read(tty, text, TEXT_MAX);
    (void)!write(tty, "\n", 1);
    *n = got > 0 ? (size_t)got : 0;
    return got > 0;
}

static bool
ask_terminal(char text[TEXT_MAX], size_t *n, bool twice, char err[KMS_KEK_ERR])
{
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct termios was, quiet;
    char again[TEXT_MAX] = "";
    size_t n_again = 0;
    bool ok;

    if (tty < 0 || tcgetattr(tty, &was) != 0) {
        if (tty >= 0)
            close(tty);
        return fail(err, "passphrase: there is no terminal to ask at: use passphrase:file:PATH or "
                         "passphrase:fd:N");
    }
    quiet = was;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(tty, TCSAFLUSH, &quiet);
    ok = ask(tty, "Passphrase of the KEK: ", text, n) &&
         (!twice || ask(tty, "The same again: ", again, &n_again));
    tcsetattr(tty, TCSAFLUSH, &was);
    close(tty);
    if (ok && twice && !mkt_ct_equal(mkt_span(text, *n), mkt_span(again, n_again)))
        ok = fail(err, "passphrase: the two are not the same");
    else if (!ok)
        fail(err, "passphrase: nothing was typed");
    mkt_wipe(again, sizeof again);
    return ok;
}

static bool
passphrase_text(const char *spec, bool new_one, char text[TEXT_MAX], size_t *n,
                char err[KMS_KEK_ERR])
{
    char *end;
    long fd;

    if (strncmp(spec, "file:", 5) == 0)
        return read_file(spec + 5, 077, text, n, err);
    if (strncmp(spec, "fd:", 3) == 0) {
        fd = strtol(spec + 3, &end, 10);
        if (end == spec + 3 || *end != '\0' || fd < 0 || fd > 1023 || !read_all((int)fd, text, n))
            return fail(err, "passphrase:%s: cannot be read", spec);
        return true;
    }
    return spec[0] == '\0' ? ask_terminal(text, n, new_one, err)
                           : fail(err,
                                  "passphrase:%s: write passphrase, passphrase:file:PATH or "
                                  "passphrase:fd:N",
                                  spec);
}

static bool
passphrase_open(struct kms_kek *k, const char *spec, bool new_one, char err[KMS_KEK_ERR])
{
    char text[TEXT_MAX];
    size_t n = 0;
    bool ok = passphrase_text(spec, new_one, text, &n, err);

    while (ok && n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    if (ok && (n < PASSPHRASE_MIN || mkt_secret_set(&k->passphrase, mkt_span(text, n)) != MKT_OK))
        ok = fail(err, "passphrase: needs %d to %d octets", PASSPHRASE_MIN, MKT_SECRET_MAX);
    mkt_wipe(text, sizeof text);
    return ok;
}

static bool
passphrase_for_salt(struct kms_kek *k, const uint8_t salt[KMS_KEK_SALT])
{
    if (k->ready && memcmp(k->salt, salt, KMS_KEK_SALT) == 0)
        return true;
    memcpy(k->salt, salt, KMS_KEK_SALT);
    k->ready = kms_scrypt(k->key, mkt_secret_span(&k->passphrase), mkt_span(salt, KMS_KEK_SALT));
    return k->ready;
}

static bool
soft_seal(struct kms_kek *k, struct mkt_span name, struct mkt_span plain, uint8_t *out)
{
    return kms_seal(k->sealer, k->key, name, plain, out);
}

static bool
soft_unseal(struct kms_kek *k, struct mkt_span name, struct mkt_span sealed, uint8_t *out)
{
    return kms_unseal(k->sealer, k->key, name, sealed, out);
}

static const struct kms_kek_ops file = { "file", file_open, NULL, soft_seal, soft_unseal, NULL };
static const struct kms_kek_ops credential = { "credential", credential_open, NULL,
                                               soft_seal,    soft_unseal,     NULL };
static const struct kms_kek_ops passphrase = { "passphrase", passphrase_open, passphrase_for_salt,
                                               soft_seal,    soft_unseal,     NULL };
static const struct kms_kek_ops *const kinds[] = { &file, &credential, &passphrase,
                                                   &kms_kek_pkcs11 };

/* The kind that spec begins with; *rest is behind the colon. */
static const struct kms_kek_ops *
kind_of(const char *spec, const char **rest)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t n = strlen(kinds[i]->scheme);

        if (strncmp(spec, kinds[i]->scheme, n) != 0 || (spec[n] != ':' && spec[n] != '\0') ||
            (spec[n] == '\0' && kinds[i] != &passphrase))
            continue;
        *rest = spec[n] == ':' ? spec + n + 1 : spec + n;
        return kinds[i];
    }
    return NULL;
}

bool
kms_kek_known(const char *spec)
{
    const char *rest;

    return kind_of(spec, &rest) != NULL;
}

struct kms_kek *
kms_kek_open(const char *spec, bool new_one, char err[KMS_KEK_ERR])
{
    const char *rest = "";
    const struct kms_kek_ops *ops = kind_of(spec, &rest);
    struct kms_kek *k;

    if (ops == NULL) {
        fail(err, "a KEK is written file:PATH, credential:NAME, passphrase[:file:PATH|:fd:N] or "
                  "pkcs11:URI");
        return NULL;
    }
    k = kms_locked_new(sizeof *k);
    if (k != NULL)
        k->sealer = kms_sealer_new();
    if (k == NULL || k->sealer == NULL) {
        fail(err, "out of memory");
        kms_locked_free(k, sizeof *k);
        return NULL;
    }
    k->ops = ops;
    if (ops->open(k, ops == &kms_kek_pkcs11 ? spec : rest, new_one, err))
        return k;
    kms_kek_close(k);
    return NULL;
}

void
kms_kek_close(struct kms_kek *k)
{
    if (k == NULL)
        return;
    if (k->ops->close != NULL)
        k->ops->close(k);
    kms_sealer_free(k->sealer);
    kms_locked_free(k, sizeof *k);
}

/* The generation stands in what the KEK authenticates: no wrap can pass for another one. */
static struct mkt_span
name_of(uint8_t buf[32], uint32_t generation)
{
    static const char what[] = "mikey-kms store key";

    memcpy(buf, what, sizeof what);
    for (size_t i = 0; i < 4; i++)
        buf[sizeof what + i] = (uint8_t)(generation >> (24 - 8 * i));
    return mkt_span(buf, sizeof what + 4);
}

bool
kms_kek_wrap(struct kms_kek *k, uint32_t generation, const uint8_t key[KMS_SEAL_KEY],
             struct kms_wrap *wrap)
{
    uint8_t name[32];

    memset(wrap, 0, sizeof *wrap);
    wrap->generation = generation;
    snprintf(wrap->scheme, sizeof wrap->scheme, "%s", k->ops->scheme);
    if (k->ops->for_salt != NULL) {
        if (k->ready)
            memcpy(wrap->salt, k->salt, sizeof wrap->salt);
        else if (!mkt_crypto_random(NULL, wrap->salt, sizeof wrap->salt))
            return false;
        if (!k->ops->for_salt(k, wrap->salt))
            return false;
    }
    return k->ops->seal(k, name_of(name, generation), mkt_span(key, KMS_SEAL_KEY), wrap->sealed);
}

bool
kms_kek_unwrap(struct kms_kek *k, const struct kms_wrap *wrap, uint8_t key[KMS_SEAL_KEY])
{
    uint8_t name[32];

    if (strcmp(wrap->scheme, k->ops->scheme) != 0)
        return false;
    if (k->ops->for_salt != NULL && !k->ops->for_salt(k, wrap->salt))
        return false;
    return k->ops->unseal(k, name_of(name, wrap->generation),
                          mkt_span(wrap->sealed, sizeof wrap->sealed), key);
}

bool
kms_kek_make(const char *spec, bool *made)
{
    const char *path = "";
    uint8_t key[KMS_SEAL_KEY];
    struct stat st;

    *made = false;
    if (kind_of(spec, &path) != &file || lstat(path, &st) == 0)
        return true;
    *made = mkt_crypto_random(NULL, key, sizeof key) && kms_secret_write(path, key, sizeof key);
    mkt_wipe(key, sizeof key);
    return *made;
}
