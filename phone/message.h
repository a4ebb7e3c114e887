/* SPDX-License-Identifier: Apache-2.0 */
/* One voice message, sealed or opened in the worker: a ticket, a file, and a URL. */
#ifndef MKT_PHONE_MESSAGE_H
#define MKT_PHONE_MESSAGE_H

#include "keys.h"
#include "seal.h"
#include "web.h"

#define PHONE_PATH_MAX 1024
#define PHONE_MESSAGE_MAX (64UL << 20) /* octets of a message that is fetched */

struct phone_voicemail;

struct phone_message {
    struct phone_job job; /* first; `done` is the caller's to set */
    struct phone_voicemail *voicemail;
    char url[CLI_WEB_URL_MAX], to[PHONE_URI_MAX];
    const char *path; /* the file that is left, or the folder of those that are fetched */
    bool remove;      /* from the mailbox, even when it cannot be opened */
    bool removed;     /* from there */
    char opened[PHONE_PATH_MAX];
    struct cli_unsealed from;
    uint64_t octets;
    char kms[MKT_ID_MAX + 1];
};

/* phone_message_leave prepares to seal the file at path for `to` and to leave it at url,
 * phone_message_fetch to open what is at url into the folder dir and to have it forgotten there;
 * with `remove` also when it is none that we can open. phone_worker_ask(&m->job). NULL when memory
 * fails. path and dir are borrowed. */
struct phone_message *phone_message_leave(const char *url, const char *to, const char *path);
struct phone_message *phone_message_fetch(const char *url, const char *dir, bool remove);
void phone_message_free(struct phone_message *m);

/* phone_message_say tells what became of it. */
void phone_message_say(const struct phone_message *m);

#endif
