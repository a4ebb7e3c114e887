/* SPDX-License-Identifier: Apache-2.0 */
/* An INVITE is answered with where to go instead (RFC 3261 21.3): 302 with a URL where a message
 * can be left, or, to the user themselves, 300 with those of the messages. Who that is, SIP digest
 * says.
 */
#include "box.h"

#include <stdio.h>
#include <string.h>

#define REALM "voicemail"

/* --- users ------------------------------------------------------------------------------------ */

/* user@host of a SIP URI. */
static bool
name_of(char out[BOX_NAME_MAX + 1], const struct uri *uri)
{
    return re_snprintf(out, BOX_NAME_MAX + 1, "%r@%r", &uri->user, &uri->host) > 0 &&
           box_store_name(out);
}

/* The password of a user of the box; false: there is no such user. */
static bool
find_user(const struct box *box, const char *name, char *password, size_t cap)
{
    FILE *f = fopen(box->users, "r");
    char line[2 * BOX_NAME_MAX + 2];
    size_t n = strlen(name);

    *password = '\0';
    while (f != NULL && *password == '\0' && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, name, n) == 0 && line[n] == ' ')
            str_ncpy(password, line + n + 1, cap);
    }
    if (f != NULL)
        fclose(f);
    return *password != '\0';
}

/* --- digest ----------------------------------------------------------------------------------- */

static void
challenge(struct box *box, const struct sip_msg *msg)
{
    char *nonce = box->nonces[box->next_nonce];

    box->next_nonce = (box->next_nonce + 1) % ARRAY_SIZE(box->nonces);
    if (!box_random(nonce, BOX_TOKEN / 2)) {
        *nonce = '\0';
        (void)sip_treply(NULL, box->sip, msg, 500, "Server Internal Error");
        return;
    }
    (void)sip_treplyf(NULL, NULL, box->sip, msg, false, 401, "Unauthorized",
                      "WWW-Authenticate: Digest realm=\"" REALM "\", nonce=\"%s\", qop=\"auth\", "
                      "algorithm=MD5\r\nContent-Length: 0\r\n\r\n",
                      nonce);
}

/* A nonce is good for one answer. */
static bool
take_nonce(struct box *box, const struct pl *nonce)
{
    for (size_t i = 0; i < ARRAY_SIZE(box->nonces); i++)
        if (nonce->l == BOX_TOKEN && pl_strcmp(nonce, box->nonces[i]) == 0) {
            box->nonces[i][0] = '\0';
            return true;
        }
    return false;
}

static bool
is_user(struct box *box, const struct sip_msg *msg, const char *password)
{
    const struct sip_hdr *h = sip_msg_hdr(msg, SIP_HDR_AUTHORIZATION);
    struct httpauth_digest_resp resp;
    uint8_t ha1[MD5_SIZE];

    return h != NULL && httpauth_digest_response_decode(&resp, &h->val) == 0 &&
           pl_strcmp(&resp.realm, REALM) == 0 && pl_cmp(&resp.username, &msg->to.uri.user) == 0 &&
           take_nonce(box, &resp.nonce) &&
           md5_printf(ha1, "%r:%s:%s", &resp.username, REALM, password) == 0 &&
           httpauth_digest_response_auth(&resp, &msg->met, ha1) == 0;
}

/* --- answers ---------------------------------------------------------------------------------- */

struct urls {
    const struct box *box;
    const char *name;
    char tokens[BOX_LISTED_MAX][BOX_TOKEN + 1];
    size_t n;
};

static int
urls_print(struct re_printf *pf, const struct urls *u)
{
    int err = 0;

    for (size_t i = 0; i < u->n && err == 0; i++)
        err = re_hprintf(pf, "Contact: <%s/%s/%s>\r\n", u->box->url, u->name, u->tokens[i]);
    return err != 0 ? err : re_hprintf(pf, "Content-Length: 0\r\n\r\n");
}

static void
say_where(struct box *box, const struct sip_msg *msg, const struct urls *u, uint16_t code,
          const char *reason)
{
    (void)sip_treplyf(NULL, NULL, box->sip, msg, false, code, reason, "%H", urls_print, u);
}

static void
leave(struct box *box, const struct sip_msg *msg, const char *name)
{
    struct urls u = { .box = box, .name = name, .n = 1 };

    if (!box_store_ask(box->dir, name, u.tokens[0])) {
        (void)sip_treply(NULL, box->sip, msg, 480, "Mailbox Full");
        return;
    }
    say_where(box, msg, &u, 302, "Moved Temporarily");
    re_printf("asked: for %s\n", name);
}

static void
fetch(struct box *box, const struct sip_msg *msg, const char *name, const char *password)
{
    struct urls u = { .box = box, .name = name };

    if (!is_user(box, msg, password)) {
        challenge(box, msg);
        return;
    }
    u.n = box_store_list(box->dir, name, u.tokens);
    if (u.n > 0)
        say_where(box, msg, &u, 300, "Multiple Choices");
    else
        (void)sip_treply(NULL, box->sip, msg, 480, "No Messages");
    re_printf("fetched: %zu for %s\n", u.n, name);
}

bool
box_request(const struct sip_msg *msg, void *arg)
{
    struct box *box = arg;
    char to[BOX_NAME_MAX + 1], from[BOX_NAME_MAX + 1], password[BOX_NAME_MAX];

    if (pl_strcmp(&msg->met, "ACK") == 0)
        return true;
    if (pl_strcmp(&msg->met, "INVITE") != 0)
        (void)sip_treply(NULL, box->sip, msg, 405, "Method Not Allowed");
    else if (!name_of(to, &msg->to.uri) || !find_user(box, to, password, sizeof password))
        (void)sip_treply(NULL, box->sip, msg, 404, "Not Found");
    else if (name_of(from, &msg->from.uri) && strcmp(from, to) == 0)
        fetch(box, msg, to, password);
    else
        leave(box, msg, to);
    fflush(stdout);
    return true;
}
