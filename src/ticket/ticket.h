/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets inside the library: TP Data, KEMAC contents, and the MIKEY base ticket of Appendix A. */
#ifndef MKT_TICKET_TICKET_H
#define MKT_TICKET_TICKET_H

#include "base/writer.h"
#include "keys/keys.h"
#include "payload/codec.h"
#include <mikeyticket/policy.h>
#include <mikeyticket/ticket.h>

#define MKT_SCOPED_KEYS __attribute__((cleanup(mkt_keys_wipe))) struct mkt_keys

#define MKT_KEMAC_MAX 8192 /* octets of a KEMAC's contents that are accepted */

/* --- policy_write.c -------------------------------------------------------------------------- */

/* Writes a TP payload, KEMAC included, into the chain of w. */
void mkt_wanted_policy_write(struct mkt_writer *w, const struct mkt_policy *p);

/* Writes the fields of a TICKET payload up to TP Data, which never has a KEMAC. */
void mkt_granted_policy_write(struct mkt_writer *w, const struct mkt_policy *p);

/* --- kemac.c --------------------------------------------------------------------------------- */

/* Reads Key Data sub-payloads into keys. Every key needs an SPI and 128 bits (6.2.1, 12.1);
 * session keys beyond 128 bits need the 256-bit suite. */
enum mkt_rc mkt_keys_read(struct mkt_keys *keys, struct mkt_span contents, size_t at,
                          const struct mkt_suite *suite, struct mkt_err *err);

/* Writes a KEMAC payload with the keys encrypted under mk and the IV of csb_id and t64. NULL
 * authentication, as a V payload follows. False when the backend fails. */
bool mkt_kemac_write(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_msg_keys *mk,
                     uint32_t csb_id, uint64_t t64, const struct mkt_keys *keys);

/* Whether a KEMAC with that Encr alg may stand in a message of the suite (12.1). */
bool mkt_kemac_alg_fits(uint8_t encr_alg, const struct mkt_suite *suite);

/* Decrypts a KEMAC payload and reads its keys. NULL encryption and a MAC are refused. */
enum mkt_rc mkt_kemac_read(struct mkt_keys *keys, const struct mkt_payload *pl,
                           struct mkt_crypto *c, const struct mkt_msg_keys *mk, uint32_t csb_id,
                           uint64_t t64, struct mkt_err *err);

/* Splits what a KEMAC gave into MPKs, in order, and session keys: MPKs move to the front. Refuses
 * when there are not exactly n_mpk MPKs. */
enum mkt_rc mkt_keys_arrange(struct mkt_keys *keys, unsigned n_mpk, size_t at, struct mkt_err *err);

/* Writes keys as a chain of Key Data sub-payloads in the clear. */
void mkt_keys_write(struct mkt_writer *w, const struct mkt_keys *keys);

/* Adds session keys that a party supplies in a Ticket Transfer. `may` is the flag that allows it: L
 * for the Initiator, M for the Responder (6.10). Refuses MPKs and an SPI that is taken. */
enum mkt_rc mkt_keys_supply(struct mkt_keys *keys, const struct mkt_keys *extra,
                            const struct mkt_policy *policy, uint16_t may, struct mkt_err *err);

/* Checks n session keys that we supply ourselves before they are sent: SPI (6.2.1), given once,
 * length (12.1), a salt exactly where the type has one, no MPK. */
enum mkt_rc mkt_keys_check_own(const struct mkt_key *own, size_t n, const struct mkt_suite *suite,
                               struct mkt_err *err);

/* The index of the session key with that SPI, or -1. */
int mkt_keys_find(const struct mkt_keys *keys, struct mkt_span spi);

/* True when a TGK (not a GTGK) is among the keys. */
bool mkt_keys_have_tgk(const struct mkt_keys *keys);

/* Longest key of the given types (bit mask 1 << enum mkt_key_type), octets. */
size_t mkt_keys_longest(const struct mkt_keys *keys, unsigned types);

#define MKT_TGK_TYPES (1U << MKT_KEY_TGK | 1U << MKT_KEY_TGK_SALT)
#define MKT_GTGK_TYPES (1U << MKT_KEY_GTGK | 1U << MKT_KEY_GTGK_SALT)

/* Forks the TGKs among keys and nothing else (RFC 6043 5.1.1). */
bool mkt_keys_fork(struct mkt_keys *keys, struct mkt_crypto *c, uint8_t prf_func,
                   struct mkt_span id_data, struct mkt_span rand_kms);

/* --- types.c --------------------------------------------------------------------------------- */

/* What the Ticket Data of a type is. */
enum mkt_ticket_kind {
    MKT_TICKET_BASE,      /* Appendix A: the keys are in a KEMAC */
    MKT_TICKET_REFERENCE, /* the same, with the name of keys that the KMS keeps instead of a KEMAC
                           */
    MKT_TICKET_COMPAT     /* an RFC 3830 message, for the Responder alone to open */
};

/* One Ticket Type. */
struct mkt_ticket_type {
    uint16_t type;
    uint8_t subtype, version;
    enum mkt_ticket_kind kind;
    const char *name;
};

/* The row of a Ticket Type, or NULL when it is not supported (static). */
const struct mkt_ticket_type *mkt_ticket_type_of(uint16_t type, uint8_t subtype, uint8_t version);

/* The row of a policy's Ticket Type, or NULL. */
const struct mkt_ticket_type *mkt_ticket_type_of_policy(const struct mkt_policy *p);

/* --- base_ticket.c --------------------------------------------------------------------------- */

/* What goes into a base ticket. Drawn by the caller, so that the order of draws is his. */
struct mkt_base_ticket {
    uint8_t ts_type;
    uint64_t t64;
    struct mkt_span rand;
    struct mkt_span tpk_id; /* IDRpsk; n = 0: left out */
    struct mkt_span thdr;
    bool key_wrap;               /* KEMAC with AES-KW-128 */
    const struct mkt_keys *keys; /* MPK first, then the session keys; NULL: a reference ticket */
};

#define MKT_REFERENCE_LEN 16 /* octets of THDR data that name the keys of a reference ticket */

/* Writes a TICKET payload with an empty Initiator Data into the chain of w. False when the backend
 * fails; overflow stays in w. */
bool mkt_base_ticket_write(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_inkey *tpk,
                           const struct mkt_policy *granted, const struct mkt_base_ticket *t);

/* The Ticket Data of a base ticket, cut into payloads; nothing verified. */
struct mkt_ticket_data {
    const struct mkt_payload *thdr, *t, *rand, *kemac, *psk_id, *v; /* kemac NULL: a reference */
    size_t n;
    struct mkt_payload pl[16];
};

/* Reads the Ticket Data of a TICKET payload of a supported type. */
enum mkt_rc mkt_ticket_data_read(struct mkt_ticket_data *d, const struct mkt_payload *ticket,
                                 struct mkt_err *err);

/* Replaces the MPK, keys->k[0], by MPKi and, when keys fork, MPKr behind it (A.2.2), for which
 * there must be room. False when the backend fails. */
bool mkt_mpk_split(struct mkt_keys *keys, const struct mkt_policy *policy, struct mkt_crypto *c,
                   struct mkt_span rand);

/* Verifies the MAC with the TPK and opens the KEMAC: keys get MPKi, MPKr, then the session keys.
 * For a reference ticket keys hold what the KMS kept for it: MPK, then the session keys. What is
 * wrong with a ticket is MKT_E_TICKET whatever it is (RFC 6043 5.4: no detail for the wire). */
enum mkt_rc mkt_base_ticket_open(struct mkt_keys *keys, const struct mkt_payload *ticket,
                                 const struct mkt_ticket_data *d, const struct mkt_policy *policy,
                                 struct mkt_crypto *c, const struct mkt_inkey *tpk,
                                 struct mkt_err *err);

/* --- compat.c -------------------------------------------------------------------------------- */

/* What goes into a compatibility ticket besides its policy. */
struct mkt_compat_ticket {
    uint32_t csb_id;
    uint64_t t64; /* NTP-UTC */
    struct mkt_span rand;
    const struct mkt_key *tgk;
};

#define MKT_COMPAT_RAND_LEN 16 /* octets (RFC 3830 6.11) */

/* Checks a policy for a compatibility ticket, on either side: suite, flags, one IDRr, IDs that RFC
 * 3830 knows. */
enum mkt_rc mkt_compat_policy_check(const struct mkt_policy *p, struct mkt_err *err);

/* Writes a TICKET payload whose Ticket Data is an RFC 3830 message under psk, for the one IDRr of
 * `granted`. False when the backend fails; overflow stays in w. */
bool mkt_compat_ticket_write(struct mkt_writer *w, struct mkt_crypto *c,
                             const struct mkt_inkey *psk, const struct mkt_policy *granted,
                             const struct mkt_compat_ticket *t);

/* --- initiator_data.c ------------------------------------------------------------------------ */

/* Vi and Vr of the Initiator Data (6.10). */
struct mkt_initiator_data {
    struct mkt_payload vi, vr;
};

enum mkt_rc mkt_initiator_data_read(struct mkt_initiator_data *d, const struct mkt_payload *ticket,
                                    struct mkt_err *err);

/* Writes Initiator Data (without its length) for the V payload vi; false when the backend fails. */
bool mkt_initiator_data_write(struct mkt_writer *w, struct mkt_crypto *c,
                              const struct mkt_suite *suite, const struct mkt_secret *mpk_r,
                              struct mkt_span vi_mac);

/* Verifies Vr with MPKr. */
enum mkt_rc mkt_initiator_data_verify(const struct mkt_initiator_data *d,
                                      const struct mkt_payload *ticket, struct mkt_crypto *c,
                                      const struct mkt_suite *suite, const struct mkt_secret *mpk_r,
                                      struct mkt_err *err);

/* --- grant.c -----------------------------------------------------------------------------------
 */

struct mkt_grant {
    struct mkt_policy policy; /* borrows from ticket */
    bool used;                /* offered before */
    uint32_t csb_id;          /* of that offer: a group's is one use */
    size_t ticket_len;
    struct mkt_keys keys; /* MPKi, [MPKr], session keys */
    uint8_t ticket[];     /* the TICKET payload, Next Payload octet included */
};
#define MKT_GRANT_HEAD offsetof(struct mkt_grant, keys.k)

/* Makes a grant of a copy of the TICKET payload and the keys (moved out of *keys, which is wiped).
 */
enum mkt_rc mkt_grant_make(struct mkt_grant **g, struct mkt_span ticket, struct mkt_keys *keys,
                           struct mkt_err *err);

/* Number of MPKs in grants and KEMACs under that policy: two with key forking. */
unsigned mkt_policy_mpks(const struct mkt_policy *p);

#endif
