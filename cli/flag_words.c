/* SPDX-License-Identifier: Apache-2.0 */
/* One table gives each flag its meaning, set and not set (RFC 6043 6.10). */
#include "flag_words.h"

#include <mikeyticket/policy.h>

const struct cli_flag cli_flags[CLI_FLAGS] = {
    { MKT_TP_D, 'D', "the KMS made the ticket", "the ticket is made by the initiator" },
    { MKT_TP_E, 'E', "only the KMS can open the ticket", "the responder may open the ticket" },
    { MKT_TP_F, 'F', "the responder sends an answer", "the responder sends no answer" },
    { MKT_TP_G, 'G', "the responder adds random octets to the keys",
      "the responder adds nothing to the keys" },
    { MKT_TP_H, 'H', "the initiator adds random octets to the keys",
      "the initiator adds nothing to the keys" },
    { MKT_TP_I, 'I', "every device that answers gets keys of its own",
      "all devices that answer share the same keys" },
    { MKT_TP_J, 'J', "the ticket may be used again", "the ticket is for one offer" },
    { MKT_TP_K, 'K', "the KMS changed what was wished for",
      "the KMS did not change what was wished for" },
    { MKT_TP_L, 'L', "the initiator may supply session keys",
      "the initiator may not supply session keys" },
    { MKT_TP_M, 'M', "the responder may supply session keys",
      "the responder may not supply session keys" },
    { MKT_TP_N, 'N', "nothing else is asked of the initiator",
      "something else is asked of the initiator" },
    { MKT_TP_O, 'O', "nothing else is asked of the responder",
      "something else is asked of the responder" },
};

const char *
cli_flags_read(const char *letters, uint16_t allowed, uint16_t *out)
{
    *out = 0;
    for (const char *c = letters; *c != '\0'; c++) {
        size_t i = 0;
        while (i < CLI_FLAGS && cli_flags[i].letter != (*c & ~0x20))
            i++;
        if (i == CLI_FLAGS || (cli_flags[i].flag & allowed) == 0)
            return c;
        *out |= cli_flags[i].flag;
    }
    return NULL;
}
