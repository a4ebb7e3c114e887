/* SPDX-License-Identifier: Apache-2.0 */
/* Texts are quoted as YAML needs it: identities and psk-ids hold no control characters. */
#include "keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hex.h"
#include "write_all.h"

struct text {
    char *at;
    size_t left;
};

static void
put(struct text *t, const char *s)
{
    size_t n = strlen(s);

    if (n >= t->left)
        n = t->left - 1;
    memcpy(t->at, s, n);
    t->at += n;
    t->left -= n;
    *t->at = '\0';
}

/* Plain where that is safe ("sip:alice@example.com"), else in single quotes. */
static void
put_value(struct text *t, const char *name, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._@:+;=/";
    bool quote = strspn(value, plain) != strlen(value) ||
                 value[strspn(value, "0123456789.+-")] == '\0' ||
                 strchr("-@:=", value[0]) != NULL || value[strlen(value) - 1] == ':';

    put(t, name);
    put(t, quote ? ": '" : ": ");
    for (const char *c = value; *c != '\0'; c++) {
        char one[3] = { *c, quote && *c == '\'' ? '\'' : '\0', '\0' };

        put(t, one);
    }
    put(t, quote ? "'\n" : "\n");
}

const char *
kms_keyfile_word(enum kms_key_kind kind)
{
    return kind == KMS_PSK ? "psk" : "tpk";
}

size_t
kms_keyfile_format(char *buf, const struct kms_keyfile *c)
{
    struct text t = { buf, KMS_KEYFILE_MAX };
    const char *word = kms_keyfile_word(c->kind);
    char hex[2 * MKT_SECRET_MAX + 1], name[8];

    kms_hex_write(hex, c->key->b, c->key->n);
    snprintf(name, sizeof name, "%s-id", word);
    put_value(&t, "identity", c->identity);
    put_value(&t, "kms", c->kms);
    put_value(&t, name, c->id);
    put(&t, word);
    put(&t, ": \"");
    put(&t, hex);
    put(&t, c->key->n == 16 ? "\"\nsuite: 128\n" : "\"\nsuite: 256\n");
    mkt_wipe(hex, sizeof hex);
    return (size_t)(t.at - buf);
}

bool
kms_secret_write(const char *path, const void *octets, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int saved;
    bool ok;

    if (fd < 0)
        return false;
    ok = mkt_write_all(fd, octets, n) && fsync(fd) == 0;
    saved = errno;
    if (close(fd) != 0 && ok) {
        saved = errno;
        ok = false;
    }
    if (!ok)
        unlink(path);
    errno = saved;
    return ok;
}

bool
kms_keyfile_write(const char *path, const struct kms_keyfile *c)
{
    char text[KMS_KEYFILE_MAX];
    bool ok = kms_secret_write(path, text, kms_keyfile_format(text, c));
    int saved = errno;

    mkt_wipe(text, sizeof text);
    errno = saved;
    return ok;
}
