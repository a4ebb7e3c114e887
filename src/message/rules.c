/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of RFC 6043 4.2 and 5.4 as tables. In the figures [x] is 0 or 1, {x} any number and
 * (x) at least one. V and SIGN are last without a word about it here: check.c sees to V, and SIGN
 * has no Next Payload. Payloads without a row are ignored by whoever reads the message. */
#include "message/rules.h"

#define ONE 1, 1
#define OPTIONAL 0, 1
#define MANY 0, MKT_ANY
#define SOME 1, MKT_ANY

#define T(ref)                     \
    {                              \
        MKT_PL_T, 0, ONE, "T", ref \
    }
#define RANDR(role, name, how, ref)        \
    {                                      \
        MKT_PL_RANDR, role, how, name, ref \
    }
#define IDR(role, name, ref)                  \
    {                                         \
        MKT_PL_IDR, role, OPTIONAL, name, ref \
    }
#define PL(type, how, ref)                \
    {                                     \
        MKT_PL_##type, 0, how, #type, ref \
    }

/* REQUEST_INIT_PSK = HDR, T, RANDRi, [IDRi], [IDRkms], TP, [IDRpsk], V */
static const struct mkt_rule request_init_psk[] = {
    T("RFC 6043 4.2.1.1"),
    RANDR(MKT_RANDR_I, "RANDRi", ONE, "RFC 6043 4.2.1.1"),
    IDR(MKT_IDR_I, "IDRi", "RFC 6043 4.2.1.2"),
    IDR(MKT_IDR_KMS, "IDRkms", "RFC 6043 4.2.1.1"),
    PL(TP, ONE, "RFC 6043 4.2.1.1"),
    IDR(MKT_IDR_PSK, "IDRpsk", "RFC 6043 4.2.1.2"),
    PL(V, ONE, "RFC 6043 4.2.1.2"),
};
/* REQUEST_INIT_PK = HDR, T, RANDRi, [IDRi], {CERTi}, [IDRkms], TP, [CHASH], PKE, SIGNi */
static const struct mkt_rule request_init_pk[] = {
    T("RFC 6043 4.2.1.1"),
    RANDR(MKT_RANDR_I, "RANDRi", ONE, "RFC 6043 4.2.1.1"),
    IDR(MKT_IDR_I, "IDRi", "RFC 6043 4.2.1.3"),
    PL(CERT, MANY, "RFC 6043 4.2.1.3"),
    IDR(MKT_IDR_KMS, "IDRkms", "RFC 6043 4.2.1.1"),
    PL(TP, ONE, "RFC 6043 4.2.1.1"),
    PL(CHASH, OPTIONAL, "RFC 6043 4.2.1.3"),
    PL(PKE, ONE, "RFC 6043 4.2.1.3"),
    PL(SIGN, ONE, "RFC 6043 4.2.1.3"),
};
/* REQUEST_RESP = HDR, T, [IDRkms], TICKET, KEMAC, V */
static const struct mkt_rule request_resp[] = {
    T("RFC 6043 4.2.1.5"),
    IDR(MKT_IDR_KMS, "IDRkms", "RFC 6043 4.2.1"),
    PL(TICKET, ONE, "RFC 6043 4.2.1.5"),
    PL(KEMAC, ONE, "RFC 6043 4.2.1.5"),
    PL(V, ONE, "RFC 6043 4.2.1.5"),
};
/* TRANSFER_INIT = HDR, T, RANDRi, [IDRi], [IDRr], {SP}, TICKET, [KEMAC], V */
static const struct mkt_rule transfer_init[] = {
    T("RFC 6043 4.2.2.1"),
    RANDR(MKT_RANDR_I, "RANDRi", ONE, "RFC 6043 4.2.2.1"),
    IDR(MKT_IDR_I, "IDRi", "RFC 6043 4.2.2.1"),
    IDR(MKT_IDR_R, "IDRr", "RFC 6043 4.2.2.1"),
    PL(SP, MANY, "RFC 6043 4.2.2.1"),
    PL(TICKET, ONE, "RFC 6043 4.2.2.1"),
    PL(KEMAC, OPTIONAL, "RFC 6043 4.2.2.1"),
    PL(V, ONE, "RFC 6043 4.2.2.1"),
};
/* TRANSFER_RESP = HDR, T, [RANDRr], [IDRr], [RANDRkms], {SP}, [KEMAC], V */
static const struct mkt_rule transfer_resp[] = {
    T("RFC 6043 4.2.2.3"),
    RANDR(MKT_RANDR_R, "RANDRr", OPTIONAL, "RFC 6043 4.2.2.3"),
    IDR(MKT_IDR_R, "IDRr", "RFC 6043 4.2.2.3"),
    RANDR(MKT_RANDR_KMS, "RANDRkms", OPTIONAL, "RFC 6043 4.2.2.3"),
    PL(SP, MANY, "RFC 6043 4.2.2.3"),
    PL(KEMAC, OPTIONAL, "RFC 6043 4.2.2.3"),
    PL(V, ONE, "RFC 6043 4.2.2.3"),
};
/* RESOLVE_INIT_PSK = HDR, T, RANDRr, [IDRr], [IDRkms], TICKET, [IDRpsk], V */
static const struct mkt_rule resolve_init_psk[] = {
    T("RFC 6043 4.2.3.1"),
    RANDR(MKT_RANDR_R, "RANDRr", ONE, "RFC 6043 4.2.3.1"),
    IDR(MKT_IDR_R, "IDRr", "RFC 6043 4.2.3.2"),
    IDR(MKT_IDR_KMS, "IDRkms", "RFC 6043 4.2.3.1"),
    PL(TICKET, ONE, "RFC 6043 4.2.3.1"),
    IDR(MKT_IDR_PSK, "IDRpsk", "RFC 6043 4.2.3.2"),
    PL(V, ONE, "RFC 6043 4.2.3.2"),
};
/* RESOLVE_INIT_PK = HDR, T, RANDRr, [IDRr], {CERTr}, [IDRkms], TICKET, [CHASH], PKE, SIGNr */
static const struct mkt_rule resolve_init_pk[] = {
    T("RFC 6043 4.2.3.1"),
    RANDR(MKT_RANDR_R, "RANDRr", ONE, "RFC 6043 4.2.3.1"),
    IDR(MKT_IDR_R, "IDRr", "RFC 6043 4.2.3.3"),
    PL(CERT, MANY, "RFC 6043 4.2.3.3"),
    IDR(MKT_IDR_KMS, "IDRkms", "RFC 6043 4.2.3.1"),
    PL(TICKET, ONE, "RFC 6043 4.2.3.1"),
    PL(CHASH, OPTIONAL, "RFC 6043 4.2.3.3"),
    PL(PKE, ONE, "RFC 6043 4.2.3.3"),
    PL(SIGN, ONE, "RFC 6043 4.2.3.3"),
};
/* RESOLVE_RESP = HDR, T, [IDRkms], KEMAC, [IDRr], [RANDRkms], V */
static const struct mkt_rule resolve_resp[] = {
    T("RFC 6043 4.2.3.5"),
    IDR(MKT_IDR_KMS, "IDRkms", "RFC 6043 4.2.3"),
    PL(KEMAC, ONE, "RFC 6043 4.2.3.5"),
    IDR(MKT_IDR_R, "IDRr", "RFC 6043 4.2.3.5"),
    RANDR(MKT_RANDR_KMS, "RANDRkms", OPTIONAL, "RFC 6043 4.2.3.5"),
    PL(V, ONE, "RFC 6043 4.2.3.5"),
};
/* Error message = HDR, T, (ERR), {SP}, [V|SIGNx] */
static const struct mkt_rule error[] = {
    T("RFC 6043 5.4"),
    PL(ERR, SOME, "RFC 6043 5.4"),
    PL(SP, MANY, "RFC 6043 5.4"),
    PL(V, OPTIONAL, "RFC 6043 5.4"),
    PL(SIGN, OPTIONAL, "RFC 6043 5.4"),
};

/* CSB update: TRANSFER_INIT = HDR, T, [IDRi], [IDRr], {SP}, [KEMAC], V, and its response
 * likewise. Static payloads of the initial
 * exchange SHOULD NOT be there but may; who knows them compares them. */
static const struct mkt_rule update_init[] = {
    T("RFC 6043 5.2"),
    RANDR(MKT_RANDR_I, "RANDRi", OPTIONAL, "RFC 6043 5.2"),
    RANDR(MKT_RANDR_R, "RANDRr", OPTIONAL, "RFC 6043 5.2"),
    RANDR(MKT_RANDR_KMS, "RANDRkms", OPTIONAL, "RFC 6043 5.2"),
    IDR(MKT_IDR_I, "IDRi", "RFC 6043 5.2"),
    IDR(MKT_IDR_R, "IDRr", "RFC 6043 5.2"),
    PL(SP, MANY, "RFC 6043 5.2"),
    PL(TICKET, OPTIONAL, "RFC 6043 5.2"),
    PL(KEMAC, OPTIONAL, "RFC 6043 5.2"),
    PL(V, ONE, "RFC 6043 5.2"),
};

#define RULES(a) sizeof a / sizeof a[0], a

static const struct mkt_form forms[] = {
    { MKT_DT_REQUEST_INIT_PSK, MKT_MAP_MUST_BE_EMPTY, "RFC 6043 4.2.1.1", RULES(request_init_psk) },
    { MKT_DT_REQUEST_INIT_PK, MKT_MAP_MUST_BE_EMPTY, "RFC 6043 4.2.1.1", RULES(request_init_pk) },
    { MKT_DT_REQUEST_RESP, MKT_MAP_MUST_BE_EMPTY, "RFC 6043 4.2.1.5", RULES(request_resp) },
    { MKT_DT_TRANSFER_INIT, MKT_MAP_NOT_SRTP_ID, "RFC 6043 6.1", RULES(transfer_init) },
    { MKT_DT_TRANSFER_RESP, MKT_MAP_NOT_SRTP_ID, "RFC 6043 6.1", RULES(transfer_resp) },
    { MKT_DT_RESOLVE_INIT_PSK, MKT_MAP_MUST_BE_EMPTY, "RFC 6043 4.2.3.1", RULES(resolve_init_psk) },
    { MKT_DT_RESOLVE_INIT_PK, MKT_MAP_MUST_BE_EMPTY, "RFC 6043 4.2.3.1", RULES(resolve_init_pk) },
    { MKT_DT_RESOLVE_RESP, MKT_MAP_MUST_BE_EMPTY, "RFC 6043 4.2.3.5", RULES(resolve_resp) },
    { MKT_DT_ERROR, MKT_MAP_ANY, "RFC 6043 5.4", RULES(error) },
};

const struct mkt_form *
mkt_form_of(uint8_t data_type)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (forms[i].data_type == data_type)
            return &forms[i];
    return NULL;
}

static const struct mkt_form update_forms[] = {
    { MKT_DT_TRANSFER_INIT, MKT_MAP_NOT_SRTP_ID, "RFC 6043 6.1", RULES(update_init) },
    { MKT_DT_TRANSFER_RESP, MKT_MAP_NOT_SRTP_ID, "RFC 6043 6.1", RULES(update_init) },
    { MKT_DT_ERROR, MKT_MAP_ANY, "RFC 6043 5.4", RULES(error) },
};

const struct mkt_form *
mkt_form_of_update(uint8_t data_type)
{
    for (size_t i = 0; i < sizeof update_forms / sizeof update_forms[0]; i++)
        if (update_forms[i].data_type == data_type)
            return &update_forms[i];
    return NULL;
}
