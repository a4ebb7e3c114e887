/* SPDX-License-Identifier: Apache-2.0 */
/* A plain SIP voicemail box, for tests and as an example: it knows users and files, and nothing of
 * MIKEY or of what is in a message. Over SIP it says where: an INVITE for a user is redirected to a
 * URL where a message can be left once, and one from the user to themselves to the URLs of what was
 * left. Over HTTP it takes and gives octets (docs/decisions/0057-voicemail.md). */
#ifndef VOICEMAIL_BOX_H
#define VOICEMAIL_BOX_H

#include <re.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOX_NAME_MAX 128            /* octets of user@host */
#define BOX_TOKEN 32                /* characters of 128 random bits, in hex */
#define BOX_MESSAGES_MAX 100        /* kept for one user */
#define BOX_LISTED_MAX 16           /* named in one answer */
#define BOX_OCTETS_MAX (16UL << 20) /* of one message */
#define BOX_ASKED_S 600             /* how long a message may be left at a URL that was given */
#define BOX_PATH_MAX 512

/* --- files (store.c): DIR/USER/TOKEN.asked, .part while it arrives, .kept -----------------------
 */

/* box_store_name tells whether name, user@host of a SIP URI, may be the name of a folder. */
bool box_store_name(const char *name);

/* box_store_ask makes a place for one message. False: the box of that user is full, or the disk. */
bool box_store_ask(const char *dir, const char *name, char token[BOX_TOKEN + 1]);

/* box_store_list fills tokens with those of at most BOX_LISTED_MAX messages, oldest first; returns
 * how many. */
size_t box_store_list(const char *dir, const char *name, char tokens[][BOX_TOKEN + 1]);

/* box_store_begin takes the place that was made, once, and returns a file for it; -1: there is
 * none. box_store_end keeps what was written, under another token, or removes it. */
int box_store_begin(const char *dir, const char *name, const char *token);
bool box_store_end(const char *dir, const char *name, const char *token, bool keep);

/* box_store_open returns a message that is kept, box_store_remove forgets it. */
int box_store_open(const char *dir, const char *name, const char *token, uint64_t *size);
bool box_store_remove(const char *dir, const char *name, const char *token);

/* box_random writes n random octets as hex, terminated. */
bool box_random(char *hex, size_t n);

/* --- HTTP (web.c) ----------------------------------------------------------------------------- */

struct box_web;

/* box_web_start serves PUT, GET and DELETE of /USER/TOKEN at `at`, in a thread of its own; *port
 * gets the port. NULL when it cannot. `dir` is borrowed. */
struct box_web *box_web_start(const struct sa *at, const char *dir, uint16_t *port);
void box_web_stop(struct box_web *web);

/* --- SIP (sip.c) ------------------------------------------------------------------------------ */

struct box {
    const char *dir;
    const char *users; /* a file: NAME PASSWORD in a line, such as bob@example.com secret */
    char url[128];     /* http://HOST:PORT */
    struct sip *sip;
    struct sip_lsnr *requests;
    char nonces[16][BOX_TOKEN + 1]; /* that were given out and not used yet */
    size_t next_nonce;
};

/* box_request answers a request (sip_msg_h). */
bool box_request(const struct sip_msg *msg, void *box);

#endif
