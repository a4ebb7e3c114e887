/* SPDX-License-Identifier: Apache-2.0 */
#include "key_text.h"

#include <string.h>

#include "hex.h"
#include "store.h"

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

const char *
kms_key_read(struct mkt_secret *key, const char *hex, size_t n, const char *suite)
{
    bool suite_128 = suite != NULL && strcmp(suite, "128") == 0;
    bool suite_256 = suite != NULL && strcmp(suite, "256") == 0;
    const char *wrong;

    if (suite != NULL && !suite_128 && !suite_256)
        return "a suite is 128 or 256";
    wrong = read_hex(key, hex, n);
    if (wrong != NULL)
        return wrong;
    if (suite_128 && key->n != 16)
        return "suite 128 needs a key of 16 octets";
    if (key->n != 16 && key->n < 32)
        return "a key has 16 octets (suite 128), or 32 and more (suite 256)";
    return suite_256 && key->n < 32 ? "suite 256 needs a key of at least 32 octets" : NULL;
}

const char *
kms_key_id_check(const char *id, enum kms_key_kind kind)
{
    size_t n = strlen(id);

    if (n == 0 || n > KMS_PSK_ID_MAX)
        return "the id of a key has 1 to 128 characters";
    for (size_t i = 0; i < n; i++)
        if (id[i] <= ' ' || id[i] >= 0x7f)
            return "the id of a key holds printable ASCII characters without blanks";
    if (kind == KMS_TPK && kms_tpk_id_reserved(id))
        return "ids such as tpk-1-256 are for the keys of the KMS: choose another one";
    return NULL;
}
