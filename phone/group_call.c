/* SPDX-License-Identifier: Apache-2.0 */
/* What the call of a group is at both ends: its description, and what is said when it is over. */
#include "group.h"

#include "report.h"

#include <stdio.h>
#include <string.h>

int
phone_group_description(struct phone_description *d, const struct phone *p, uint16_t port)
{
    const struct audio_codec *codecs[AUDIO_CODECS_MAX];
    int err = phone_description_of(d, p, codecs, audio_codec_list(codecs, "PCMU"), port);

    if (err == 0)
        err = sdp_format_add(NULL, d->audio, false, "126", GROUP_ROSTER, AUDIO_RATE, 1, NULL, NULL,
                             NULL, false, NULL);
    return err;
}

bool
phone_group_description_write(struct phone_description *d, bool offer, const char *value,
                              const struct group_address *a, struct mbuf **mb)
{
    bool multicast = sa_isset(&a->sa, SA_ALL);

    if (multicast)
        sdp_media_set_laddr(d->audio, &a->sa);
    return phone_description_write(d, offer, value, mb) == 0 &&
           (!multicast || group_address_write(*mb, a));
}

bool
phone_group_name(char name[GROUP_NAME_MAX], struct mkt_identity id)
{
    char text[CLI_IDENTITY_TEXT];

    cli_identity_text(id, text);
    bool whole = memccpy(name, text, '\0', GROUP_NAME_MAX) != NULL;
    name[GROUP_NAME_MAX - 1] = '\0';
    return whole;
}

static void
end_call(void *arg)
{
    struct phone_call *call = arg;
    call->end(call);
}

void
phone_group_begun(struct phone_call *call)
{
    uint32_t ms = call->phone->o->hang_up_ms;

    call->since = tmr_jiffies();
    if (ms != UINT32_MAX)
        tmr_start(&call->timer, ms, end_call, call);
}

void
phone_group_look(struct phone_look *look, const struct group_media *media)
{
    const struct group_counts n = group_media_counts(media);

    look->counts = (struct phone_counts){
        .sent = n.sent, .heard = n.heard, .lost = n.lost, .refused = n.refused
    };
}

void
phone_group_look_at(struct phone_look *look, const char *name)
{
    size_t at = strlen(look->names);

    snprintf(look->names + at, sizeof look->names - at, "%s%s", look->n++ > 0 ? ", " : "", name);
}

void
phone_group_played(struct phone_call *call)
{
    phone_say("played", "%s", call->phone->o->value[PHONE_OPT_PLAY]);
    if (call->phone->o->hang_up_played)
        tmr_start(&call->timer, 0, end_call, call); /* after the packet that is under way */
}

void
phone_group_over(struct phone_call *call, struct group_media *media, enum cli_exit code,
                 const char *why)
{
    const char *path = call->phone->o->value[PHONE_OPT_RECORD];
    const struct group_counts n = group_media_counts(media);
    const struct audio heard = group_media_heard(media);
    const char *wrong = path != NULL && heard.n > 0 ? audio_write(&heard, path) : NULL;

    if (wrong != NULL)
        fprintf(stderr, "mikey-phone: %s: %s\n", path, wrong);
    phone_say("media", "%llu sent, %llu heard, %llu lost, %llu refused, %llu forwarded",
              (unsigned long long)n.sent, (unsigned long long)n.heard, (unsigned long long)n.lost,
              (unsigned long long)n.refused, (unsigned long long)n.forwarded);
    phone_call_over(call, code, why);
}
