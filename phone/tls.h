/* SPDX-License-Identifier: Apache-2.0 */
/* SIP over TLS. libre makes the connections and verifies nobody: whom they may be with is decided
 * here, by OpenSSL, before the first octet of SIP is sent or read (docs/decisions/0061-sip-tls.md).
 */
#ifndef MKT_PHONE_TLS_H
#define MKT_PHONE_TLS_H

#include "phone_options.h"

#include <re.h>

struct phone_tls;

/* phone_tls_open reads the files of --tls-ca, --tls-cert and --tls-key. *t is owned by the caller,
 * and must outlive every connection. `gone` is called, from the main loop, after a connection to a
 * server has ended. */
MKT_MUST_USE bool phone_tls_open(struct phone_tls **t, const struct phone_options *o,
                                 void (*gone)(void *arg), void *arg, struct cli_error *err);
void phone_tls_close(struct phone_tls *t); /* NULL is allowed */

/* phone_tls_context is what sip_transp_add wants. */
struct tls *phone_tls_context(const struct phone_tls *t);

/* phone_tls_expect says whose certificate a server has to show from now on: the host in the URI of
 * the next hop (RFC 5922 4). Without one, or with what is no URI, none is good. NULL t is allowed.
 */
void phone_tls_expect(struct phone_tls *t, const char *next_hop);

#endif
