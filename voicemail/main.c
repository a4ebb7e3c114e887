/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-voicemail: a SIP voicemail box that cannot read what it keeps. A test server: no TLS, and
 * users in a file. Usage: mikey-voicemail SIP-ADDRESS:PORT HTTP-ADDRESS:PORT FOLDER USERS */
#include "box.h"

#define DEBUG_MODULE "mikey-voicemail" /* re_dbg.h wants them */
#define DEBUG_LEVEL 3
#include <re_dbg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
stop(int sig)
{
    (void)sig;
    re_cancel();
}

static bool
listen_sip(struct box *box, const struct sa *at)
{
    struct sa found;

    if (sip_alloc(&box->sip, NULL, 32, 32, 32, "mikey-voicemail", NULL, NULL) != 0 ||
        sip_transp_add(box->sip, SIP_TRANSP_UDP, at) != 0 ||
        sip_transp_add(box->sip, SIP_TRANSP_TCP, at) != 0 ||
        sip_listen(&box->requests, box->sip, true, box_request, box) != 0 ||
        sip_transp_laddr(box->sip, &found, SIP_TRANSP_TCP, at) != 0)
        return false;
    re_printf("listening: tcp %J\n", &found);
    return true;
}

static int
serve(struct box *box, const struct sa *sip, const struct sa *http)
{
    uint16_t port = 0;
    struct box_web *web = box_web_start(http, box->dir, &port);
    struct sa at = *http;
    int code = 1;

    sa_set_port(&at, port);
    re_snprintf(box->url, sizeof box->url, "http://%J", &at);
    if (web != NULL && listen_sip(box, sip)) {
        re_printf("listening: %s\n", box->url);
        fflush(stdout);
        code = re_main(stop) != 0;
    } else {
        fprintf(stderr, "mikey-voicemail: cannot listen there\n");
    }
    box_web_stop(web);
    mem_deref(box->requests);
    if (box->sip != NULL)
        sip_close(box->sip, true);
    mem_deref(box->sip);
    return code;
}

int
main(int argc, char **argv)
{
    struct box box = { 0 };
    struct sa sip, http;

    if (argc != 5 || sa_decode(&sip, argv[1], strlen(argv[1])) != 0 ||
        sa_decode(&http, argv[2], strlen(argv[2])) != 0) {
        fputs("usage: mikey-voicemail SIP-ADDRESS:PORT HTTP-ADDRESS:PORT FOLDER USERS\n\n"
              "Keeps messages for the users in the file USERS, lines such as\n"
              "  bob@example.com PASSWORD\n"
              "as files in FOLDER, and gives them out to who knows the password.\n",
              stderr);
        return 2;
    }
    box.dir = argv[3];
    box.users = argv[4];
    dbg_init(DBG_ERR, DBG_NONE);
    if (libre_init() != 0)
        return 1;
    int code = serve(&box, &sip, &http);
    libre_close();
    return code;
}
