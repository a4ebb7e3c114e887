/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-phone: sets everything up, runs libre's loop, and takes the keys that the user presses. */
#include "group.h"
#include "status.h"

#include "files.h"

#define DEBUG_MODULE "mikey-phone" /* re_dbg.h wants them */
#define DEBUG_LEVEL 3
#include <errno.h>
#include <re_dbg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct phone ours; /* a signal has no argument */

/* --- what the user gave ----------------------------------------------------------------------- */

static bool
load_speech(struct audio *speech, const char *path, struct cli_error *err)
{
    const char *why = path != NULL ? audio_read(speech, path) : NULL;

    if (why != NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "%s: %s", path, why);
    return true;
}

static bool
choose_codecs(struct phone *p, struct cli_error *err)
{
    const char *names = p->o->value[PHONE_OPT_CODEC];

    p->n_codecs = audio_codec_list(p->codecs, names != NULL ? names : "PCMU,PCMA,opus");
    return p->n_codecs > 0 ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "--codec %.80s: expected names out of PCMU, PCMA, opus, with commas between",
                    names);
}

/* A device that is not there is told before anybody calls. */
static bool
check_devices(struct phone *p, struct cli_error *err)
{
    static const enum phone_option ids[] = {
        [AUDIO_MIC] = PHONE_OPT_MIC, [AUDIO_SPEAKER] = PHONE_OPT_SPEAKER
    };

    for (enum audio_side side = AUDIO_MIC; side <= AUDIO_SPEAKER; side++) {
        const char *name = p->o->value[ids[side]];
        const char *why = name != NULL ? audio_device_check(side, name) : NULL;
        if (why != NULL)
            return cli_fail(err, CLI_EXIT_FAILURE,
                            "the %s %.80s does not work: %s; %s -L lists others",
                            side == AUDIO_MIC ? "microphone" : "loudspeaker", name, why,
                            side == AUDIO_MIC ? "arecord" : "aplay");
    }
    return true;
}

/* What cannot be written is told before anybody talks. Nothing is begun. */
static bool
check_recording(struct phone *p, struct cli_error *err)
{
    const char *path = p->o->value[PHONE_OPT_RECORD];

    if (path == NULL)
        return true;
    bool there = access(path, F_OK) == 0;
    FILE *f = fopen(path, "ab");
    if (f == NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "--record %.200s: %s", path, strerror(errno));
    fclose(f);
    if (!there)
        (void)remove(path);
    return true;
}

static bool
load_password(struct phone *p, struct cli_error *err)
{
    const char *path = p->o->value[PHONE_OPT_SIP_PASSWORD];
    CLI_SCOPED_BLOB text = { 0 };

    if (path == NULL)
        return true;
    if (!cli_file_read(&text, path, sizeof p->password, CLI_SECRET, err))
        return false;
    size_t n = 0;
    while (n < text.n && text.p[n] != '\n' && text.p[n] != '\r')
        n++;
    if (n == 0 || n == sizeof p->password)
        return cli_fail(err, CLI_EXIT_USAGE, "%s: expected a password of 1 to 127 octets", path);
    memcpy(p->password, text.p, n);
    return true;
}

static bool
know_self(struct phone *p, struct cli_error *err)
{
    const char *self = p->client.file.identity, *at = strchr(self, '@');

    if (strncmp(self, "sip:", 4) != 0 || at == NULL || (size_t)(at - self) - 4 >= sizeof p->user)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "the identity of the credential, %.80s, is no URI such as "
                        "sip:bob@example.com",
                        self);
    memcpy(p->user, self + 4, (size_t)(at - self) - 4);
    return true;
}

static bool
open_client(struct phone *p, struct cli_error *err)
{
    return cli_client_open(&p->client, &p->o->args, err) && cli_client_check_kms(&p->client, err) &&
           know_self(p, err);
}

/* --- SIP -------------------------------------------------------------------------------------- */

/* libre takes the lower 16 bits of any number. */
static bool
is_port(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n > 0 && n < 6 && text[n] == '\0' && strtoul(text, NULL, 10) <= UINT16_MAX;
}

static bool
find_address(struct phone *p, struct cli_error *err)
{
    const char *listen = p->o->value[PHONE_OPT_LISTEN];
    char text[128];

    if (listen == NULL) {
        if (net_default_source_addr_get(AF_INET, &p->local) != 0)
            return cli_fail(err, CLI_EXIT_FAILURE,
                            "no address of this machine found; use --listen");
        sa_set_port(&p->local, p->tls != NULL ? SIP_PORT_TLS : SIP_PORT);
        return true;
    }
    const char *colon = strrchr(listen, ':');
    bool port = colon != NULL && (listen[0] == '[' ? colon[-1] == ']' : true);
    snprintf(text, sizeof text, "%s%s%s", listen, port ? "" : ":",
             port             ? ""
             : p->tls != NULL ? "5061"
                              : "5060");
    return ((!port || is_port(colon + 1)) && sa_decode(&p->local, text, strlen(text)) == 0 &&
            sa_isset(&p->local, SA_ADDR)) ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "--listen %.80s: expected one address of this machine, as ADDRESS or "
                    "ADDRESS:PORT",
                    listen);
}

static bool
open_dns(struct phone *p)
{
    struct sa servers[4];
    uint32_t n = 4;

    return dns_srv_get(NULL, 0, servers, &n) != 0 || dnsc_alloc(&p->dns, NULL, servers, n) == 0;
}

static void
say_listening(struct phone *p, enum sip_transp tp, const char *name)
{
    struct sa at;
    char text[64];

    if (sip_transp_laddr(p->sip, &at, tp, &p->local) != 0)
        return;
    re_snprintf(text, sizeof text, "%J", &at);
    phone_say("listening", "%s %s", name, text);
}

static void
requests_end(void *arg)
{
    (void)arg;
}

static void
connection_gone(void *arg)
{
    struct phone *p = arg;

    if (p->call != NULL && p->call->unheard != NULL)
        p->call->unheard(p->call);
}

/* What there is no transport for cannot be sent: with TLS, nothing goes out in the clear. */
static bool
open_transports(struct phone *p, struct cli_error *err)
{
    char text[64];
    int rc = p->tls != NULL
                 ? sip_transp_add(p->sip, SIP_TRANSP_TLS, &p->local, phone_tls_context(p->tls))
                 : sip_transp_add(p->sip, SIP_TRANSP_UDP, &p->local);

    if (rc == 0 && p->tls == NULL)
        rc = sip_transp_add(p->sip, SIP_TRANSP_TCP, &p->local);
    re_snprintf(text, sizeof text, "%J", &p->local);
    return rc == 0 || cli_fail(err, CLI_EXIT_FAILURE, "SIP at %s: %s; --listen chooses another",
                               text, strerror(rc));
}

static bool
open_sip(struct phone *p, struct cli_error *err)
{
    if ((p->o->value[PHONE_OPT_TLS_CA] != NULL &&
         !phone_tls_open(&p->tls, p->o, connection_gone, p, err)) ||
        !find_address(p, err))
        return false;
    phone_expect_home(p);
    if (!open_dns(p) || sip_alloc(&p->sip, p->dns, 32, 32, 32, "mikey-phone", requests_end, p) != 0)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    if (!open_transports(p, err))
        return false;
    /* Ours come first: sipsess would take every 2xx and every request of a call. */
    if (sip_listen(&p->responses, p->sip, false, phone_caller_response, p) != 0 ||
        sip_listen(&p->group_responses, p->sip, false, phone_group_response, p) != 0 ||
        sip_listen(&p->group_requests, p->sip, true, phone_group_request, p) != 0 ||
        sip_listen(&p->requests, p->sip, true, phone_caller_request, p) != 0 ||
        sip_listen(&p->looks, p->sip, true, phone_callee_request, p) != 0 ||
        sipsess_listen(&p->sessions, p->sip, 32, phone_callee_invite, p) != 0)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    say_listening(p, SIP_TRANSP_UDP, "udp");
    say_listening(p, SIP_TRANSP_TCP, "tcp");
    say_listening(p, SIP_TRANSP_TLS, "tls");
    return true;
}

static void
registered(int err, const struct sip_msg *msg, void *arg)
{
    (void)arg;
    if (err != 0)
        phone_say("not-registered", "%s; it is tried again", strerror(err));
    else if (msg->scode >= 300)
        phone_say("not-registered", "%u %.*s; it is tried again", msg->scode, (int)msg->reason.l,
                  msg->reason.p);
    else if (msg->scode >= 200)
        phone_say("registered", "%s", "yes");
}

static bool
begin_registration(struct phone *p, struct cli_error *err)
{
    const char *self = p->client.file.identity, *proxy = p->o->value[PHONE_OPT_PROXY];
    char registrar[PHONE_URI_MAX + 8];

    if (p->o->value[PHONE_OPT_REGISTER] == NULL)
        return true;
    snprintf(registrar, sizeof registrar, "sip:%s", strchr(self, '@') + 1);
    int rc =
        sipreg_register(&p->registration, p->sip, registrar, self, NULL, self, 600, p->user, &proxy,
                        proxy != NULL, 0, phone_auth, p, false, registered, p, NULL, NULL);
    return rc == 0 || cli_fail(err, CLI_EXIT_FAILURE, "cannot register at %s: %s",
                               proxy != NULL ? proxy : registrar, strerror(rc));
}

/* --- the user --------------------------------------------------------------------------------- */

/* A BYE may need a connection first. Who asks twice does not wait for it. */
static void
leave(struct phone *p)
{
    if (p->leaving) {
        re_cancel();
        return;
    }
    p->leaving = true;
    if (p->call != NULL)
        p->call->end(p->call);
    phone_quit_soon(p);
}

static void
key_pressed(int flags, void *arg)
{
    struct phone *p = arg;
    char key;

    (void)flags;
    if (read(STDIN_FILENO, &key, 1) != 1) {
        fd_close(STDIN_FILENO);
        return;
    }
    if (key == 'a' && p->call != NULL && p->call->accept != NULL)
        p->call->accept(p->call);
    else if (key == 't' && p->call != NULL && p->call->talk != NULL)
        p->call->talk(p->call);
    else if (key == 'i' && p->call != NULL && p->call->again != NULL)
        p->call->again(p->call);
    else if (key == 's')
        phone_status_say(p);
    else if (key == 'o' && p->call != NULL && p->call->hold != NULL)
        p->call->hold(p->call);
    else if (key == 'k' && p->call != NULL && p->call->renew != NULL)
        p->call->renew(p->call);
    else if (key == 'q')
        leave(p);
    else if ((key == 'h' || key == 'r') && p->call != NULL)
        p->call->end(p->call);
}

static void
stop(int sig)
{
    (void)sig;
    leave(&ours);
}

/* Who closes the terminal hangs up, too. libre does not take this signal. */
static void
hung_up(int sig)
{
    (void)sig;
    raise(SIGTERM);
}

/* A file cannot be waited for. */
static bool
has_keys(void)
{
    struct stat st;
    return isatty(STDIN_FILENO) ||
           (fstat(STDIN_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)));
}

static bool
run(struct phone *p, struct cli_error *err)
{
    bool group = p->o->value[PHONE_OPT_GROUP] != NULL;

    if (p->o->value[PHONE_OPT_FETCH_MESSAGES] != NULL && !phone_voicemail_fetch(p, err))
        return false;
    if (p->o->callee != NULL &&
        !(group ? phone_group_make(p, err) : phone_call_make(p, p->o->callee, err)))
        return false;
    if (has_keys())
        (void)fd_listen(STDIN_FILENO, FD_READ, key_pressed, p);
    (void)signal(SIGHUP, hung_up);
    int rc = re_main(stop);
    fd_close(STDIN_FILENO);
    return rc == 0 || cli_fail(err, CLI_EXIT_FAILURE, "the main loop: %s", strerror(rc));
}

/* --- all of it -------------------------------------------------------------------------------- */

static void
close_phone(struct phone *p)
{
    if (p->call != NULL)
        p->call->end(p->call);
    if (p->call != NULL) /* ringing: it was only cancelled */
        phone_call_over(p->call, CLI_EXIT_OK, "by us");
    phone_caller_forget(p);
    phone_screen_close();
    mem_deref(p->registration);
    phone_worker_stop(p->worker);
    phone_voicemail_end(p);
    tmr_cancel(&p->quit);
    sipsess_close_all(p->sessions);
    mem_deref(p->sessions);
    mem_deref(p->requests);
    mem_deref(p->looks);
    mem_deref(p->responses);
    mem_deref(p->group_responses);
    mem_deref(p->group_requests);
    sip_close(p->sip, true);
    mem_deref(p->sip);
    phone_tls_close(p->tls);
    mem_deref(p->dns);
    audio_free(&p->speech);
    audio_free(&p->early);
    cli_client_close(&p->client);
    mkt_wipe(p->password, sizeof p->password);
}

static int
phone(const struct phone_options *o, struct cli_error *err)
{
    struct phone *p = &ours;

    p->o = o;
    cli_quiet = o->value[PHONE_OPT_VERBOSE] == NULL;
    if (open_client(p, err) && choose_codecs(p, err) && check_devices(p, err) &&
        check_recording(p, err) && load_speech(&p->speech, o->value[PHONE_OPT_PLAY], err) &&
        load_speech(&p->early, o->value[PHONE_OPT_EARLY], err) && load_password(p, err) &&
        phone_voicemail_check(o, err) && phone_worker_start(&p->worker, &o->args, err) &&
        phone_screen_open(p, err) && open_sip(p, err) && begin_registration(p, err))
        (void)!run(p, err);
    close_phone(p);
    return err->code != CLI_EXIT_OK ? (int)err->code : p->code;
}

/* Keys must not reach a core file or another process of the same user. */
static void
protect_memory(void)
{
#ifndef __SANITIZE_ADDRESS__ /* its leak check attaches to the process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* Debian's libsrtp2 has NSS load its libraries for the first session and unload them with the last:
 * one that is never used keeps them, which saves a call a quarter of its CPU time. */
static bool
open_srtp(srtp_t *kept)
{
    static const uint8_t key[SRTP_AES_ICM_128_KEY_LEN_WSALT];
    srtp_policy_t policy = { .ssrc = { .type = ssrc_any_inbound },
                             .key = (uint8_t *)(uintptr_t)key };

    *kept = NULL;
    srtp_crypto_policy_set_rtp_default(&policy.rtp);
    srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
    return srtp_init() == srtp_err_status_ok && srtp_create(kept, &policy) == srtp_err_status_ok;
}

static int
run_libraries(const struct phone_options *o, struct cli_error *err)
{
    int code = CLI_EXIT_FAILURE;
    srtp_t kept = NULL;

    dbg_init(DBG_ERR, DBG_NONE);
    if (libre_init() == 0 && open_srtp(&kept))
        code = phone(o, err);
    else
        cli_fail(err, CLI_EXIT_FAILURE, "libre or libsrtp2 cannot be used");
    if (kept != NULL)
        srtp_dealloc(kept);
    srtp_shutdown();
    libre_close();
    return code;
}

int
main(int argc, char **argv)
{
    struct phone_options o;
    struct cli_error err = { 0 };
    int code = CLI_EXIT_OK;

    protect_memory();
    if (!phone_options_read(&o, argc, argv, &err))
        code = CLI_EXIT_USAGE;
    else if (o.value[PHONE_OPT_HELP] != NULL)
        phone_help();
    else if (o.value[PHONE_OPT_VERSION] != NULL)
        printf("mikey-phone %s\n", mkt_version());
    else
        code = run_libraries(&o, &err);
    if (err.code != CLI_EXIT_OK)
        fprintf(stderr, "mikey-phone: %s\n", err.text);
    return code;
}
