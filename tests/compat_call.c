/* SPDX-License-Identifier: Apache-2.0 */
/* Alice asks for a ticket that Bob, who knows RFC 3830 only, can use. */
#include "compat_call.h"

#include "keys/keys.h"

const uint8_t compat_psk[PSK_MAX] = "a key that the KMS and Bob have in commo";

bool
compat_call_open(struct call *c, uint8_t subtype, size_t psk_len)
{
    bool ok = call_open(c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC_32);
    struct mkt_policy wish;

    mkt_policy_init_compat(&wish, subtype);
    wish.start = c->want.start;
    wish.end = c->want.end;
    wish.responders[wish.n_responders++] = c->bob[0];
    c->want = wish;
    c->rules.responder_has_tpk = true;
    mkt_inkey_mem_wipe(&c->tpk_bob);
    return mkt_inkey_mem_init(&c->tpk_bob, mkt_span(compat_psk, psk_len)) == MKT_OK && ok;
}

void
compat_want_key(struct call *c, uint8_t type, uint16_t key_len, uint16_t salt_len)
{
    c->want.has_kemac = true;
    c->want.wanted[c->want.n_wanted++] =
        (struct mkt_want_key){ .type = type, .key_len = key_len, .salt_len = salt_len };
}
