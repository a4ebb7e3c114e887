/* SPDX-License-Identifier: Apache-2.0 */
/* LDIF as of RFC 2849: entries, not changes. Attributes that say nothing to us are passed over: a
 * directory has many. Identities are SIP URIs as H.350.4 (RFC 3944) has them, or our own attribute;
 * a mail address serves where there are none. */
#include <string.h>
#include <strings.h>

#include "base64.h"
#include "import.h"

static const struct {
    const char *name;
    enum kms_field field;
} attributes[] = {
    { "dn", KMS_FIELD_DN },
    { "objectClass", KMS_FIELD_CLASS },
    { "SIPIdentitySIPURI", KMS_FIELD_IDENTITY },
    { "mikeyIdentity", KMS_FIELD_IDENTITY },
    { "mail", KMS_FIELD_MAIL },
    { "mikeyPskId", KMS_FIELD_PSK_ID },
    { "mikeyPsk", KMS_FIELD_PSK },
    { "mikeyRealm", KMS_FIELD_REALM },
    { "mikeyExpires", KMS_FIELD_EXPIRES },
    { "mikeySuspended", KMS_FIELD_SUSPENDED },
    { "member", KMS_FIELD_MEMBER },
    { "uniqueMember", KMS_FIELD_MEMBER },
};

/* A line with those that continue it: they begin with a blank. */
static bool
read_line(struct kms_import *in, size_t *n)
{
    int c;

    if (!kms_import_line(in, 0, n))
        return false;
    while ((c = getc(in->file)) == ' ')
        if (!kms_import_line(in, *n, n) && in->err[0] != '\0')
            return false;
    if (c != EOF)
        ungetc(c, in->file);
    return true;
}

static bool
is(const char *text, size_t n, const char *name)
{
    return strlen(name) == n && strncasecmp(text, name, n) == 0;
}

/* What is no attribute of an entry. *passed: nothing more is to be done with it. */
static bool
check_control(struct kms_import *in, const char *value, size_t name_len, bool *passed)
{
    *passed = true;
    if (is(in->text, name_len, "version"))
        return strcmp(value, "1") == 0 ||
               kms_import_wrong(in, 0, "LDIF of a version that is not 1");
    if (is(in->text, name_len, "changetype"))
        return strcasecmp(value, "add") == 0 ||
               kms_import_wrong(in, 0, "a change other than add cannot be imported");
    if (is(in->text, name_len, "control"))
        return kms_import_wrong(in, 0, "a control cannot be imported");
    *passed = false;
    return true;
}

static bool
take_line(struct kms_import *in, size_t n)
{
    char *colon = memchr(in->text, ':', n), *value;
    size_t name_len, value_len;
    bool passed;

    if (colon == NULL || colon == in->text)
        return kms_import_wrong(in, 0, "neither \"name: value\" nor a comment");
    name_len = strcspn(in->text, ":;"); /* options such as ;lang-de change nothing for us */
    value = colon + 1;
    if (*value == '<')
        return kms_import_wrong(in, 0, "a value in another file cannot be imported");
    value += *value == ':';
    value += strspn(value, " ");
    value_len = n - (size_t)(value - in->text);
    if (colon[1] == ':' && !mkt_base64_decode_lines((uint8_t *)value, value_len, &value_len))
        return kms_import_wrong(in, 0, "a value that is not in base64");
    value[value_len] = '\0';
    if (strlen(value) != value_len)
        return kms_import_wrong(in, 0, "a value with an octet 0");
    if (!check_control(in, value, name_len, &passed) || passed)
        return in->err[0] == '\0';
    if (in->entry.n == 0 && !is(in->text, name_len, "dn"))
        return kms_import_wrong(in, 0, "an entry begins with dn");
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
        if (is(in->text, name_len, attributes[i].name))
            return kms_import_add(in, attributes[i].field, value, value_len);
    return true;
}

bool
kms_import_ldif(struct kms_import *in)
{
    bool within = false;
    size_t n;

    in->line = 0;
    in->err[0] = '\0';
    rewind(in->file);
    while (read_line(in, &n)) {
        if (n == 0 && within && !kms_import_give(in))
            return false;
        if (in->text[0] == '#')
            continue;
        if (n == 0 || !within)
            kms_import_begin(in);
        within = n != 0;
        if (within && !take_line(in, n))
            return false;
    }
    return in->err[0] == '\0' && (!within || kms_import_give(in));
}
