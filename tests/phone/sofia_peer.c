/* SPDX-License-Identifier: Apache-2.0 */
/* A SIP end that shares no SIP with mikey-phone: Sofia-SIP's NUA with its media engine off, keys by
 * the phone's key layer, media by libsrtp2. It calls once or is called once, says a file of G.711
 * mu-law, writes what it hears, and ends. Who calls hangs up when all is said.
 *
 * Usage: sofia_peer CREDENTIALS KMS HOST:PORT udp|tcp SAY.wav HEARD.wav [SIP-URI HOST:PORT] */
#define NUA_MAGIC_T struct peer
#define NUA_HMAGIC_T struct peer
#define SU_ROOT_MAGIC_T struct peer

#include "../phone/keys.h"
#include "peer_media.h"
#include "report.h"

#include <arpa/inet.h>
#include <sofia-sip/nta_tag.h>
#include <sofia-sip/nua.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/su.h>
#include <srtp2/srtp.h>
#include <stdio.h>
#include <string.h>

#define VALUE_MAX 16384
#define SDP "application/sdp"
#define LOOK_MS 50 /* how often it is looked whether all is said */

struct peer {
    const char *transport;
    struct cli_args args;
    struct cli_client client;
    struct audio speech;
    su_root_t *root;
    nua_t *nua;
    nua_handle_t *call;
    su_timer_t *look;
    struct phone_offer *offer;
    struct phone_answer *answer;
    struct mkt_csb *csb; /* of a call we made */
    struct peer_media *media;
    struct sockaddr_in to;
    char value[VALUE_MAX], text[VALUE_MAX + 512]; /* key-mgmt, description */
    int code;
};

static void
say(const char *key, const char *what)
{
    printf("%s: %s\n", key, what);
    fflush(stdout);
}

static void
over(struct peer *p, int code, const char *why)
{
    say("ended", why);
    p->code = code;
    nua_shutdown(p->nua);
}

/* --- descriptions ----------------------------------------------------------------------------- */

static struct mkt_span
describe(struct peer *p)
{
    snprintf(p->text, sizeof p->text,
             "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
             "a=key-mgmt:%s\r\nm=audio %u RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
             p->value, peer_media_port(p->media));
    return mkt_span(p->text, strlen(p->text));
}

/* The payload of sofia ends with an octet 0 behind it. */
static struct mkt_span
payload(const sip_t *sip)
{
    return sip != NULL && sip->sip_payload != NULL
               ? mkt_span(sip->sip_payload->pl_data, sip->sip_payload->pl_len)
               : mkt_span("", 0);
}

static bool
address(const sip_t *sip, struct sockaddr_in *to)
{
    const char *c = strstr((const char *)payload(sip).p, "c=IN IP4 "),
               *m = strstr((const char *)payload(sip).p, "m=audio ");
    char ip[64];
    unsigned port;

    *to = (struct sockaddr_in){ .sin_family = AF_INET };
    if (c == NULL || m == NULL || sscanf(c, "c=IN IP4 %63s", ip) != 1 ||
        sscanf(m, "m=audio %u RTP/SAVP", &port) != 1 || inet_pton(AF_INET, ip, &to->sin_addr) != 1)
        return false;
    to->sin_port = htons((uint16_t)port);
    return true;
}

static bool
talk(struct peer *p, const struct mkt_csb *csb, const struct mkt_sdp_map *map)
{
    uint8_t first = map->first[0], ours = mkt_csb_is_initiator(csb) ? 0 : 1;
    char who[CLI_IDENTITY_TEXT];

    cli_identity_text(mkt_csb_peer(csb), who);
    say("peer", who);
    return peer_media_start(p->media, csb, (uint8_t)(first + ours), (uint8_t)(first + 1 - ours),
                            &p->to, p->client.crypto);
}

/* --- a call that we make ---------------------------------------------------------------------- */

static void
nothing(struct phone_job *job)
{
    (void)job;
}

static bool
ask(struct peer *p, struct phone_job *job, struct cli_error *err)
{
    p->client.err = &job->err;
    job->run(job, &p->client, &p->args);
    *err = job->err;
    return err->code == CLI_EXIT_OK;
}

static bool
call(struct peer *p, const char *uri)
{
    struct cli_error err = { 0 };

    p->offer = phone_offer_new(uri, nothing, NULL);
    if (p->offer == NULL || !ask(p, &p->offer->job, &err) ||
        !phone_offer_value(p->offer, &p->client, &p->args, p->value, sizeof p->value, &err) ||
        !phone_sent_keep(&p->offer->sent, describe(p), &err)) {
        over(p, 1, err.text);
        return false;
    }
    p->call = nua_handle(p->nua, p, NUTAG_URL(uri), SIPTAG_TO_STR(uri),
                         SIPTAG_FROM_STR(p->client.file.identity), TAG_END());
    nua_invite(p->call, SIPTAG_CONTENT_TYPE_STR(SDP), SIPTAG_PAYLOAD_STR(p->text), TAG_END());
    say("calling", uri);
    return true;
}

static void
answered(struct peer *p, int status, const char *phrase, const sip_t *sip)
{
    struct cli_error err = { 0 };

    if (status < 200 || p->csb != NULL)
        return;
    if (status >= 300) {
        over(p, 5, phrase);
        return;
    }
    if (phone_offer_answered(p->offer, &p->client, payload(sip), &p->csb, &err) &&
        address(sip, &p->to) && talk(p, p->csb, &p->offer->map)) {
        say("answered", "by them");
        return;
    }
    nua_bye(p->call, TAG_END());
    over(p, 5, err.text);
}

static void
look(struct peer *p, su_timer_t *timer, su_timer_arg_t *arg)
{
    (void)timer, (void)arg;
    if (p->offer != NULL && peer_media_played(p->media))
        nua_bye(p->call, TAG_END());
    else
        su_timer_set_interval(p->look, look, p, LOOK_MS);
}

/* --- a call that we take ---------------------------------------------------------------------- */

static void
invited(struct peer *p, nua_handle_t *nh, const sip_t *sip)
{
    struct cli_error err = { 0 };
    enum mkt_rc rc;

    if (p->call != NULL) {
        nua_respond(nh, SIP_486_BUSY_HERE, TAG_END());
        return;
    }
    p->call = nh;
    nua_respond(nh, SIP_180_RINGING, TAG_END());
    if (phone_answer_new(&p->answer, &p->client, &p->args, payload(sip), false, nothing, NULL, &rc,
                         &err) &&
        ask(p, &p->answer->job, &err) && phone_answer_value(p->answer, p->value, sizeof p->value) &&
        address(sip, &p->to)) {
        (void)describe(p);
        nua_respond(nh, SIP_200_OK, SIPTAG_CONTENT_TYPE_STR(SDP), SIPTAG_PAYLOAD_STR(p->text),
                    TAG_END());
        return;
    }
    nua_respond(nh, SIP_488_NOT_ACCEPTABLE, TAG_END());
    over(p, 5, err.text);
}

/* The caller has the keys: not before may it be spoken to. */
static void
acknowledged(struct peer *p)
{
    if (p->answer != NULL && talk(p, p->answer->csb, &p->answer->map))
        say("answered", "by us");
}

/* --- all of it -------------------------------------------------------------------------------- */

static void
happened(nua_event_t event, int status, const char *phrase, nua_t *nua, struct peer *p,
         nua_handle_t *nh, struct peer *of, const sip_t *sip, tagi_t tags[])
{
    (void)nua, (void)of, (void)tags;
    if (event == nua_i_invite)
        invited(p, nh, sip);
    else if (event == nua_r_invite)
        answered(p, status, phrase, sip);
    else if (event == nua_i_ack)
        acknowledged(p);
    else if (event == nua_i_bye)
        over(p, 0, "by the other party");
    else if (event == nua_r_bye)
        over(p, 0, "by us");
    else if (event == nua_r_shutdown && status >= 200)
        su_root_break(p->root);
}

static bool
open_peer(struct peer *p, char **argv, struct cli_error *err)
{
    char at[128], through[128];

    snprintf(at, sizeof at, "sip:%s;transport=%s", argv[3], argv[4]);
    snprintf(through, sizeof through, "sip:%s;transport=%s", argv[8] != NULL ? argv[8] : argv[3],
             argv[4]);
    p->args.value[CLI_OPT_CREDENTIALS][0] = argv[1];
    p->args.value[CLI_OPT_KMS][0] = argv[2];
    p->args.n[CLI_OPT_CREDENTIALS] = p->args.n[CLI_OPT_KMS] = 1;
    if (!cli_client_open(&p->client, &p->args, err))
        return false;
    const char *why = audio_read(&p->speech, argv[5]);
    if (why != NULL || p->speech.format != AUDIO_PCMU)
        return cli_fail(err, CLI_EXIT_USAGE, "%s: %s", argv[5], why != NULL ? why : "no mu-law");
    p->media = peer_media_open(&p->speech);
    p->root = su_root_create(p);
    p->look = su_timer_create(su_root_task(p->root), LOOK_MS);
    p->nua =
        nua_create(p->root, happened, p, NUTAG_URL(at), NUTAG_MEDIA_ENABLE(0),
                   NUTAG_PROXY(argv[7] != NULL ? through : NULL), NTATAG_UDP_MTU(65535), TAG_END());
    return (p->media != NULL && p->nua != NULL) ||
           cli_fail(err, CLI_EXIT_FAILURE, "no SIP at %s", at);
}

static void
report(struct peer *p, const char *path)
{
    struct audio heard;
    struct peer_counts n = peer_media_stop(p->media, &heard);

    printf("media: %u sent, %u heard, %u refused\n", n.sent, n.heard, n.refused);
    if (heard.n > 0 && audio_write(&heard, path) != NULL)
        p->code = 1;
}

static void
close_peer(struct peer *p)
{
    if (p->call != NULL)
        nua_handle_destroy(p->call);
    if (p->nua != NULL)
        nua_destroy(p->nua);
    su_timer_destroy(p->look);
    su_root_destroy(p->root);
    peer_media_close(p->media);
    phone_offer_free(p->offer);
    phone_answer_free(p->answer);
    mkt_csb_free(p->csb);
    audio_free(&p->speech);
    cli_client_close(&p->client);
}

int
main(int argc, char **argv)
{
    static struct peer p;
    struct cli_error err = { 0 };

    if (argc != 7 && argc != 9)
        return 2;
    cli_quiet = true;
    su_init();
    if (srtp_init() == srtp_err_status_ok && open_peer(&p, argv, &err)) {
        say("listening", argv[3]);
        su_timer_set_interval(p.look, look, &p, LOOK_MS);
        if (argv[7] == NULL || call(&p, argv[7]))
            su_root_run(p.root);
        report(&p, argv[6]);
    } else {
        fprintf(stderr, "sofia_peer: %s\n", err.text);
        p.code = 1;
    }
    close_peer(&p);
    srtp_shutdown();
    su_deinit();
    return p.code;
}
