/* SPDX-License-Identifier: Apache-2.0 */
/* The phone: one SIP end with at most one call, made or taken. */
#ifndef MKT_PHONE_PHONE_H
#define MKT_PHONE_PHONE_H

#include "keys.h"
#include "media.h"
#include "phone_options.h"
#include "tls.h"

struct phone;
struct phone_description;

/* A call, made (caller.c) or taken (callee.c): what the user can do with it. */
#define PHONE_LOOK_NAMES 160

/* How the call of a group stands. */
struct phone_look {
    const struct mkt_csb *csb; /* of one who is in; NULL: nobody is. Borrowed */
    struct phone_counts counts;
    size_t n;                     /* others who are in */
    char names[PHONE_LOOK_NAMES]; /* of them, as many as fit */
};

struct phone_call {
    struct phone *phone;
    struct phone_media *media;
    struct phone_stream *stream; /* of the party we talk to; NULL before */
    struct tmr timer;            /* answers or hangs up by itself */
    struct tmr too_old;          /* keys that were not replaced in time */
    const struct mkt_csb *csb;   /* of that party; NULL: SDES */
    const char *sdes_suite;
    uint64_t since; /* when we began to talk, in milliseconds */
    bool held, held_by_other;
    void (*accept)(struct phone_call *call);
    void (*talk)(struct phone_call *call);    /* pushes to talk, or lets go; NULL: always talks */
    void (*again)(struct phone_call *call);   /* calls those who are missing; NULL: nobody can be */
    void (*hold)(struct phone_call *call);    /* or goes on; NULL: cannot be */
    void (*renew)(struct phone_call *call);   /* brings new keys; likewise */
    void (*end)(struct phone_call *call);     /* refuses or hangs up; then phone_call_over */
    void (*unheard)(struct phone_call *call); /* the next hop does not take what we say; or NULL */
    void (*look)(const struct phone_call *call, struct phone_look *look); /* NULL: of no group */
    void (*free)(struct phone_call *call);
    char trouble[192];   /* why we had to end it; empty: we had not to */
    enum cli_exit fault; /* whose trouble that is */
    struct tmr watch;
    uint64_t authentic; /* packets when `watch` looked */
    uint32_t silent_ms; /* since one came */
};

struct phone {
    const struct phone_options *o;
    struct cli_client client;
    struct phone_worker *worker;
    char user[PHONE_URI_MAX]; /* of our URI: for Contact and digest */
    char password[128];       /* of SIP digest; empty: none */
    struct sa local;          /* where we are; the port of UDP */
    struct phone_tls *tls;    /* of SIP; NULL: SIP goes over UDP and TCP */
    struct dnsc *dns;
    struct sip *sip;
    struct sipsess_sock *sessions;
    struct sip_lsnr *requests, *looks, *responses, *group_requests, *group_responses;
    struct sipreg *registration;
    struct audio speech, early;
    const struct audio_codec *codecs[AUDIO_CODECS_MAX]; /* in order of preference */
    size_t n_codecs;
    struct phone_seen seen;
    struct phone_call *call;
    struct list late; /* calls we made that are over, until nobody can answer them any more */
    struct phone_voicemail *voicemail; /* NULL: none under way */
    uint32_t made;                     /* calls that we made and that are over */
    struct tmr quit;                   /* or the next call */
    bool leaving;                      /* the user has had enough */
    int code;                          /* exit code */
};

/* phone_call_make begins a call to uri. */
MKT_MUST_USE bool phone_call_make(struct phone *p, const char *uri, struct cli_error *err);

/* phone_caller_response takes a 2xx to an INVITE whose transaction is over, phone_caller_request a
 * request within a call that we made. False: neither is ours. */
bool phone_caller_response(const struct sip_msg *msg, void *phone);
bool phone_caller_request(const struct sip_msg *msg, void *phone);

/* phone_callee_request looks at a request within a call that we take, before sipsess does. True: it
 * was answered. */
bool phone_callee_request(const struct sip_msg *msg, void *phone);

/* phone_caller_awaits tells whether a phone that rang for us may still pick up, though the call is
 * over. */
bool phone_caller_awaits(const struct phone *p);

/* phone_caller_forget gives up what is kept of calls that are over. */
void phone_caller_forget(struct phone *p);

/* phone_callee_invite takes an INVITE outside of a call (sipsess_conn_h). */
void phone_callee_invite(const struct sip_msg *msg, void *phone);

/* --- what both sides do with a call ----------------------------------------------------------- */

/* phone_call_open sets up what calls share: media and table of functions. False: no socket. */
MKT_MUST_USE bool phone_call_open(struct phone_call *call, struct phone *p);

/* phone_call_keyed opens the stream of a party and says who it is, as the KMS has it. `first`:
 * crypto session of what the caller says. */
MKT_MUST_USE bool phone_call_keyed(struct phone_call *call, const struct mkt_csb *csb,
                                   uint8_t first, struct phone_stream **stream,
                                   struct cli_error *err);

/* phone_call_say_keys says who the other party is, and then what phone_call_say_ticket does: which
 * policy the ticket has, and which suite. */
void phone_call_say_keys(const struct phone *p, const struct mkt_csb *csb);
void phone_call_say_ticket(const struct mkt_csb *csb);

/* phone_call_speak has the stream of a party use what was agreed on, and says which codec. */
MKT_MUST_USE bool phone_call_speak(struct phone_stream *stream, const struct phone_agreed *agreed,
                                   struct cli_error *err);

/* phone_call_talk begins to talk over `stream` to `to`, and starts the clock of --hang-up. The keys
 * are those of csb, which the call keeps; NULL: of SDES, with that suite. */
void phone_call_talk(struct phone_call *call, struct phone_stream *stream, const struct sa *to,
                     const struct mkt_csb *csb, const char *sdes_suite);

/* phone_call_say_rekey says by when keys are to be replaced, and sees to it that the call ends if
 * they are not. Returns the milliseconds until then, UINT64_MAX without end. */
uint64_t phone_call_say_rekey(struct phone_call *call, const struct mkt_csb *csb);

/* phone_call_held holds a call or goes on with it, as far as we are concerned: d is offered next.
 */
void phone_call_held(struct phone_call *call, struct phone_description *d, bool held);

/* phone_call_directed goes by what both parties have said: who may speak, and to where. */
void phone_call_directed(struct phone_call *call, const struct phone_description *d);

/* phone_call_limit says and sees to it that the call ends when so many packets can have been sent;
 * 0: no end. */
void phone_call_limit(struct phone_call *call, uint64_t packets);

/* phone_call_over ends the call: says why, writes what was heard, and frees it. */
void phone_call_over(struct phone_call *call, enum cli_exit code, const char *why);

/* phone_quit_soon ends the phone when the last messages are out. */
void phone_quit_soon(struct phone *p);

/* --- voice messages (voicemail.c) ------------------------------------------------------------- */

/* phone_voicemail_check looks at the file of --leave-message. */
MKT_MUST_USE bool phone_voicemail_check(const struct phone_options *o, struct cli_error *err);

/* phone_voicemail_missed leaves the message of --leave-message after a call to uri that nobody
 * took, where the last answer says (a 3xx with a URL), or where --voicemail says. msg is NULL when
 * nothing has answered. */
void phone_voicemail_missed(struct phone *p, const char *uri, const struct sip_msg *msg);

/* phone_voicemail_fetch begins to fetch our messages from --voicemail. */
MKT_MUST_USE bool phone_voicemail_fetch(struct phone *p, struct cli_error *err);

/* phone_voicemail_end gives up what is under way; no job of it may be with the worker. */
void phone_voicemail_end(struct phone *p);

/* phone_say prints "KEY: ..." to standard output; what is not printable ASCII as "?". */
void phone_say(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* phone_identity writes the part of a SIP URI that names somebody, without parameters. */
void phone_identity(char out[PHONE_URI_MAX], const struct pl *uri);

/* phone_expect_home has TLS expect who requests go to outside of calls: the proxy, or the domain.
 */
void phone_expect_home(struct phone *p);

/* phone_auth gives SIP digest its name and password (sip_auth_h). */
int phone_auth(char **user, char **password, const char *realm, void *phone);

/* --- descriptions (description.c) ------------------------------------------------------------- */

struct phone_description {
    struct sdp_session *session;
    struct sdp_media *audio;
    struct phone_agreed agreed; /* once the other party's is read */
    size_t index;               /* of audio among the m-lines of both */
};

/* phone_description_of makes the description of one m-line, audio over RTP/SAVP at `port`, with n
 * codecs; phone_description_new with those of the phone, and reports on the same port. Errno. Freed
 * with phone_description_free. */
int phone_description_of(struct phone_description *d, const struct phone *p,
                         const struct audio_codec *const *codecs, size_t n, uint16_t port);
int phone_description_new(struct phone_description *d, const struct phone *p, uint16_t port);
void phone_description_free(struct phone_description *d);

#define PHONE_VALUE_MAX (MKT_MSG_MAX / 3 * 4 + 16) /* octets of a key-mgmt value */

/* phone_description_write encodes it with that key-mgmt value, NULL: none. *mb is owned by the
 * caller. */
int phone_description_write(struct phone_description *d, bool offer, const char *value,
                            struct mbuf **mb);

/* phone_description_read takes the other party's, and the first codec in it that we have; false
 * without an address or a codec for audio. */
bool phone_description_read(struct phone_description *d, struct mbuf *mb, bool offer,
                            struct sa *to);

#endif
