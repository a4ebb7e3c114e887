/* SPDX-License-Identifier: Apache-2.0 */
/* Values, names and implied lengths, in the order of the registry "mikey-payloads". The tables are
 * short, so a linear search is the fastest one and they stay readable against the RFCs. */
#include "payload/registry.h"

#include <mikeyticket/payload.h>

static const struct mkt_value data_types[] = {
    { MKT_DT_PSK_INIT, 0, "PSK_INIT" },
    { MKT_DT_PSK_RESP, 0, "PSK_RESP" },
    { MKT_DT_PK_INIT, 0, "PK_INIT" },
    { MKT_DT_PK_RESP, 0, "PK_RESP" },
    { MKT_DT_DH_INIT, 0, "DH_INIT" },
    { MKT_DT_DH_RESP, 0, "DH_RESP" },
    { MKT_DT_ERROR, 0, "ERROR" },
    { 7, 0, "DHHMAC_INIT" },
    { 8, 0, "DHHMAC_RESP" },
    { 9, 0, "RSA_R_INIT" },
    { 10, 0, "RSA_R_RESP" },
    { MKT_DT_REQUEST_INIT_PSK, 0, "REQUEST_INIT_PSK" },
    { MKT_DT_REQUEST_INIT_PK, 0, "REQUEST_INIT_PK" },
    { MKT_DT_REQUEST_RESP, 0, "REQUEST_RESP" },
    { MKT_DT_TRANSFER_INIT, 0, "TRANSFER_INIT" },
    { MKT_DT_TRANSFER_RESP, 0, "TRANSFER_RESP" },
    { MKT_DT_RESOLVE_INIT_PSK, 0, "RESOLVE_INIT_PSK" },
    { MKT_DT_RESOLVE_INIT_PK, 0, "RESOLVE_INIT_PK" },
    { MKT_DT_RESOLVE_RESP, 0, "RESOLVE_RESP" },
    { 26, 0, "SAKKE" },
};
static const struct mkt_value prfs[] = {
    { MKT_PRF_MIKEY_1, 0, "MIKEY-1" },
    { MKT_PRF_HMAC_SHA_256, 0, "PRF-HMAC-SHA-256" },
};
static const struct mkt_value maps[] = {
    { MKT_MAP_SRTP_ID, 0, "SRTP-ID" },
    { MKT_MAP_EMPTY, 0, "Empty map" },
    { MKT_MAP_GENERIC_ID, 0, "GENERIC-ID" },
};
static const struct mkt_value prots[] = {
    { MKT_PROT_SRTP, 0, "SRTP" },
    { 1, 0, "TESLA" },
};
static const struct mkt_value encrs[] = {
    { MKT_ENCR_NULL, 0, "NULL" },
    { MKT_ENCR_AES_CM_128, 0, "AES-CM-128" },
    { MKT_ENCR_AES_KW_128, 0, "AES-KW-128" },
    { MKT_ENCR_AES_CM_256, 0, "AES-CM-256" },
};
static const struct mkt_value macs[] = {
    { MKT_MAC_NULL, 0, "NULL" },
    { MKT_MAC_HMAC_SHA_1_160, 20, "HMAC-SHA-1-160" },
    { MKT_MAC_HMAC_SHA_256_256, 32, "HMAC-SHA-256-256" },
};
static const struct mkt_value caches[] = {
    { 0, 0, "No cache" },
    { 1, 0, "Cache" },
    { 2, 0, "Cache for CSB" },
};
static const struct mkt_value dh_groups[] = {
    { 0, 192, "OAKLEY 5" },
    { 1, 96, "OAKLEY 1" },
    { 2, 128, "OAKLEY 2" },
};
static const struct mkt_value s_types[] = {
    { 0, 0, "RSA/PKCS#1/1.5" },
    { 1, 0, "RSA/PSS" },
    { 2, 0, "ECCSI" },
};
static const struct mkt_value ts_types[] = {
    { MKT_TS_NTP_UTC, 8, "NTP-UTC" },
    { MKT_TS_NTP, 8, "NTP" },
    { MKT_TS_COUNTER, 4, "COUNTER" },
    { MKT_TS_NTP_UTC_32, 4, "NTP-UTC-32" },
};
static const struct mkt_value ts_roles[] = {
    { MKT_TR_I, 0, "Time of issue (TRi)" },
    { MKT_TR_S, 0, "Start of validity period (TRs)" },
    { MKT_TR_E, 0, "End of validity period (TRe)" },
    { MKT_TR_R, 0, "Rekeying interval (TRr)" },
};
static const struct mkt_value id_types[] = {
    { MKT_ID_NAI, 0, "NAI" },
    { MKT_ID_URI, 0, "URI" },
    { MKT_ID_BYTES, 0, "Byte string" },
};
static const struct mkt_value id_roles[] = {
    { MKT_IDR_I, 0, "Initiator (IDRi)" },
    { MKT_IDR_R, 0, "Responder (IDRr)" },
    { MKT_IDR_KMS, 0, "KMS (IDRkms)" },
    { MKT_IDR_PSK, 0, "Pre-Shared Key (IDRpsk)" },
    { MKT_IDR_APP, 0, "Application (IDRapp)" },
    { 6, 0, "IDRkmsi" },
    { 7, 0, "IDRkmsr" },
    { 8, 0, "IDRuidi" },
    { 9, 0, "IDRuidr" },
};
static const struct mkt_value certs[] = {
    { 0, 0, "X.509v3" },
    { 1, 0, "X.509v3 URL" },
    { 2, 0, "X.509v3 Sign" },
    { 3, 0, "X.509v3 Encr" },
};
static const struct mkt_value hashes[] = {
    { MKT_HASH_SHA_1, 20, "SHA-1" },
    { MKT_HASH_MD5, 16, "MD5" },
    { MKT_HASH_SHA_256, 32, "SHA-256" },
};
static const struct mkt_value rand_roles[] = {
    { MKT_RANDR_I, 0, "Initiator (RANDRi)" },
    { MKT_RANDR_R, 0, "Responder (RANDRr)" },
    { MKT_RANDR_KMS, 0, "KMS (RANDRkms)" },
};
static const struct mkt_value key_types[] = {
    { MKT_KEY_TGK, 0, "TGK" },   { MKT_KEY_TGK_SALT, 0, "TGK+SALT" },
    { MKT_KEY_TEK, 0, "TEK" },   { MKT_KEY_TEK_SALT, 0, "TEK+SALT" },
    { MKT_KEY_GTGK, 0, "GTGK" }, { MKT_KEY_GTGK_SALT, 0, "GTGK+SALT" },
    { MKT_KEY_MPK, 0, "MPK" },
};
static const struct mkt_value kvs[] = {
    { MKT_KV_NULL, 0, "Null" },
    { MKT_KV_SPI, 0, "SPI/MKI" },
    { MKT_KV_INTERVAL, 0, "Interval" },
};
static const struct mkt_value exts[] = {
    { MKT_EXT_VENDOR_ID, 0, "Vendor ID" },
    { MKT_EXT_SDP_IDS, 0, "SDP IDs" },
    { 2, 0, "TESLA I-Key" },
    { 3, 0, "Key ID" },
    { 4, 0, "CSB_ID" },
    { 5, 0, "OMA BCAST Key ID" },
    { 6, 0, "SAKKE-to-self" },
    { 7, 0, "3GPP key parameters" },
};
static const struct mkt_value ticket_types[] = {
    { 1, 0, "MIKEY Base Ticket" },
    { 2, 0, "3GPP Base Ticket" },
    /* private use: docs/formats */
    { MKT_TICKET_TYPE_REFERENCE, 0, "reference ticket" },
    { MKT_TICKET_TYPE_COMPAT, 0, "compatibility ticket" },
};
static const struct mkt_value srtp_params[] = {
    { 0, 0, "Encryption algorithm" },
    { 1, 0, "Session Encr. key length" },
    { 2, 0, "Authentication algorithm" },
    { 3, 0, "Session Auth. key length" },
    { 4, 0, "Session Salt key length" },
    { 5, 0, "SRTP Pseudo Random Function" },
    { 6, 0, "Key derivation rate" },
    { 7, 0, "SRTP encryption off/on" },
    { 8, 0, "SRTCP encryption off/on" },
    { 9, 0, "sender's FEC order" },
    { 10, 0, "SRTP authentication off/on" },
    { 11, 0, "Authentication tag length" },
    { 12, 0, "SRTP prefix length" },
    { 13, 0, "ROC transmission rate" },
    { 14, 0, "SRTP Auth. algorithm" },
    { 15, 0, "SRTCP Auth. algorithm" },
    { 16, 0, "SRTP Session Auth. key length" },
    { 17, 0, "SRTCP Session Auth. key length" },
    { 18, 0, "SRTP Authentication tag length" },
    { 19, 0, "SRTCP Authentication tag length" },
    { 20, 0, "AEAD authentication tag length" },
};

static const struct {
    const struct mkt_value *v;
    size_t n;
} registries[MKT_REG_COUNT] = {
#define ROWS(a)                   \
    {                             \
        a, sizeof a / sizeof a[0] \
    }
    [MKT_REG_DATA_TYPE] = ROWS(data_types),
    [MKT_REG_PRF] = ROWS(prfs),
    [MKT_REG_MAP] = ROWS(maps),
    [MKT_REG_PROT] = ROWS(prots),
    [MKT_REG_ENCR] = ROWS(encrs),
    [MKT_REG_MAC] = ROWS(macs),
    [MKT_REG_CACHE] = ROWS(caches),
    [MKT_REG_DH] = ROWS(dh_groups),
    [MKT_REG_S_TYPE] = ROWS(s_types),
    [MKT_REG_TS] = ROWS(ts_types),
    [MKT_REG_TS_ROLE] = ROWS(ts_roles),
    [MKT_REG_ID_TYPE] = ROWS(id_types),
    [MKT_REG_ID_ROLE] = ROWS(id_roles),
    [MKT_REG_CERT] = ROWS(certs),
    [MKT_REG_HASH] = ROWS(hashes),
    [MKT_REG_RAND_ROLE] = ROWS(rand_roles),
    [MKT_REG_KEY_TYPE] = ROWS(key_types),
    [MKT_REG_KV] = ROWS(kvs),
    [MKT_REG_EXT] = ROWS(exts),
    [MKT_REG_TICKET_TYPE] = ROWS(ticket_types),
    [MKT_REG_SRTP_PARAM] = ROWS(srtp_params),
#undef ROWS
};

const struct mkt_value *
mkt_reg_find(enum mkt_reg reg, uint32_t value)
{
    for (size_t i = 0; i < registries[reg].n; i++)
        if (registries[reg].v[i].value == value)
            return &registries[reg].v[i];
    return NULL;
}

const char *
mkt_reg_name(enum mkt_reg reg, uint32_t value)
{
    if (reg == MKT_REG_ERROR) /* err.c has that list */
        return value <= UINT8_MAX ? mkt_error_no_name((uint8_t)value) : "unassigned";
    const struct mkt_value *v = mkt_reg_find(reg, value);
    return v != NULL ? v->name : "unassigned";
}

const char *
mkt_data_type_name(uint8_t data_type)
{
    return mkt_reg_name(MKT_REG_DATA_TYPE, data_type);
}
