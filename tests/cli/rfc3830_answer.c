/* SPDX-License-Identifier: Apache-2.0 */
/* A Responder that knows RFC 3830 only, as a program: reads a message in base64 or in an SDP line,
 * opens it with its PSK and prints the keys of each crypto session.
 * Usage: rfc3830_answer FILE PSK_AS_HEX */
#include "../rfc3830_peer.h"

#include "../hex.h"

#include <openssl/evp.h>

static void
print_hex(const char *name, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    printf("    %s: ", name);
    for (size_t i = 0; i < n; i++)
        printf("%c%c", digits[p[i] >> 4], digits[p[i] & 15]);
    putchar('\n');
}

/* The octets of the one line of the file; 0 when it is no base64. */
static size_t
read_message(const char *path, uint8_t *out, size_t cap)
{
    char line[8192];
    FILE *f = fopen(path, "r");
    size_t n = f == NULL ? 0 : fread(line, 1, sizeof line - 1, f);
    if (f != NULL)
        fclose(f);
    line[n] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    const char *text = strncmp(line, "a=key-mgmt:mikey ", 17) == 0 ? line + 17 : line;
    size_t len = strlen(text), pad = len - strcspn(text, "=");
    if (len == 0 || len / 4 * 3 > cap ||
        EVP_DecodeBlock(out, (const unsigned char *)text, (int)len) < 0)
        return 0;
    return len / 4 * 3 - pad;
}

int
main(int argc, char **argv)
{
    static uint8_t octets[8192];
    uint8_t psk[64], tek[16], salt[14];
    struct i_message m;
    if (argc != 3)
        return 2;
    const size_t n = read_message(argv[1], octets, sizeof octets);
    const size_t psk_len = hex_octets(argv[2], psk, sizeof psk);
    const char *wrong = peer_read(&m, (struct octets){ octets, n });
    if (wrong == NULL)
        wrong = peer_open(&m, (struct octets){ psk, psk_len });
    if (wrong != NULL) {
        fprintf(stderr, "refused: %s\n", wrong);
        return 1;
    }
    printf("ids: %zu\n", m.n_ids);
    for (uint8_t cs = 1; cs <= m.n_cs; cs++) {
        if (!peer_derive(&m, 0x2AD01C64, cs, tek, sizeof tek) ||
            !peer_derive(&m, 0x39A2C14B, cs, salt, sizeof salt))
            return 1;
        print_hex("key", tek, sizeof tek);
        if (m.salt.n != 0)
            print_hex("salt", m.salt.p, m.salt.n);
        else
            print_hex("salt", salt, sizeof salt);
    }
    return 0;
}
