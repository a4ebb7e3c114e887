/* SPDX-License-Identifier: Apache-2.0 */
/* The fixed header of RTP (RFC 3550 5.1): version 2, no padding, extension or CSRC. */
#ifndef MKT_PHONE_RTP_H
#define MKT_PHONE_RTP_H

#include <stdbool.h>
#include <stdint.h>

#define RTP_HEADER 12 /* octets */
#define RTP_MAX 2048  /* octets of a packet that is made or taken */

static inline uint32_t
rtp_word(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint16_t
rtp_seq(const uint8_t *packet)
{
    return (uint16_t)(packet[2] << 8 | packet[3]);
}

static inline uint32_t
rtp_timestamp(const uint8_t *packet)
{
    return rtp_word(packet + 4);
}

static inline uint32_t
rtp_ssrc(const uint8_t *packet)
{
    return rtp_word(packet + 8);
}

/* rtp_header writes RTP_HEADER octets. */
static inline void
rtp_header(uint8_t *packet, uint8_t type, bool marker, uint16_t seq, uint32_t timestamp,
           uint32_t ssrc)
{
    packet[0] = 0x80;
    packet[1] = (uint8_t)(type | (marker ? 0x80 : 0));
    packet[2] = (uint8_t)(seq >> 8);
    packet[3] = (uint8_t)seq;
    for (unsigned i = 0; i < 4; i++) {
        packet[4 + i] = (uint8_t)(timestamp >> (24 - 8 * i));
        packet[8 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
    }
}

#endif
