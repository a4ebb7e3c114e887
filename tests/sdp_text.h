/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions as the tests of media/sdp write them. */
#ifndef MKT_TEST_SDP_TEXT_H
#define MKT_TEST_SDP_TEXT_H

#include <mikeyticket/media/sdp.h>
#include <string.h>

#define HEAD "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define AUDIO "m=audio 4000 RTP/SAVP 0\r\n"
#define VIDEO "m=video 4002 RTP/SAVPF 31\r\n"
#define PLAIN "m=audio 4000 RTP/AVP 0\r\n"
#define KEY(data) "a=key-mgmt:mikey " data "\r\n"

/* Messages in shape only: version 1 and a data type. */
#define INIT "AQ4AAAAAAAAB" /* TRANSFER_INIT */
#define RESP "AQ8AAAAAAAAB" /* TRANSFER_RESP */
#define ERR_ "AQYAAAAAAAAB" /* Error */
#define PSK "AQAAAAAAAAAB"  /* of RFC 3830 */

static inline struct mkt_span
text_span(const char *text)
{
    return mkt_span(text, strlen(text));
}

#endif
