/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of a loudspeaker is the jitter buffer: it is filled with 80 ms before anything is
 * heard, and again whenever it ran empty. The clock of a sound card is not that of the network:
 * what comes to be too much is dropped, a frame at a time. */
#include "device.h"

#include "wav.h"

#include <alsa/asoundlib.h>
#include <pthread.h>
#include <signal.h>

#define QUEUE_FRAMES 25       /* 0.5 s: of a loudspeaker, in a burst */
#define MIC_FRAMES 8          /* 160 ms: of a microphone nobody listens to */
#define FILL_FRAMES 4         /* 80 ms: before a loudspeaker begins */
#define MUCH_FRAMES 10        /* 200 ms: more than this for long is too late */
#define MUCH_FOR 25           /* so many times that something came (0.5 s) */
#define CARD_LATENCY_US 60000 /* what the card itself keeps */

struct audio_device {
    enum audio_side side;
    char name[128];
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    bool stop;
    bool left; /* by one of the two who know it; the other frees it */
    const char *failed;
    int16_t queue[QUEUE_FRAMES * AUDIO_FRAME];
    size_t first, n; /* samples in it */
    unsigned much;   /* so often there was too much in it */
};

/* --- the queue -------------------------------------------------------------------------------- */

static void
push(struct audio_device *d, const int16_t *samples, size_t n)
{
    const size_t room = sizeof d->queue / sizeof d->queue[0];

    for (size_t i = 0; i < n && d->n < room; i++)
        d->queue[(d->first + d->n++) % room] = samples[i];
    pthread_cond_signal(&d->changed);
}

static size_t
pop(struct audio_device *d, int16_t *samples)
{
    size_t n = 0;

    for (; n < AUDIO_FRAME && d->n > 0; d->n--) {
        samples[n++] = d->queue[d->first];
        d->first = (d->first + 1) % (sizeof d->queue / sizeof d->queue[0]);
    }
    pthread_cond_signal(&d->changed);
    return n;
}

/* --- the card, in its thread ------------------------------------------------------------------ */

/* What ALSA would say on standard error, its callers say in their own words. */
static void
say_nothing(const char *file, int line, const char *function, int err, const char *format, ...)
{
    (void)file, (void)line, (void)function, (void)err, (void)format;
}

static int
open_card(snd_pcm_t **card, enum audio_side side, const char *name)
{
    *card = NULL;
    snd_lib_error_set_handler(say_nothing);
    int rc = snd_pcm_open(card, name,
                          side == AUDIO_MIC ? SND_PCM_STREAM_CAPTURE : SND_PCM_STREAM_PLAYBACK, 0);
    if (rc < 0)
        return rc;
    rc = snd_pcm_set_params(*card, SND_PCM_FORMAT_S16, SND_PCM_ACCESS_RW_INTERLEAVED, 1, AUDIO_RATE,
                            1, CARD_LATENCY_US);
    if (rc < 0) {
        snd_pcm_close(*card);
        *card = NULL;
    }
    return rc;
}

/* Whoever leaves last frees it. */
static void
leave(struct audio_device *d)
{
    bool last = d->left;

    d->left = true;
    pthread_mutex_unlock(&d->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->changed);
    free(d);
}

/* One frame from the card into the queue; it waits for room, so that nothing is lost where the card
 * is a file. */
static int
listen_once(struct audio_device *d, snd_pcm_t *card)
{
    int16_t samples[AUDIO_FRAME];
    snd_pcm_sframes_t n = snd_pcm_readi(card, samples, AUDIO_FRAME);

    if (n < 0)
        return snd_pcm_recover(card, (int)n, 1);
    pthread_mutex_lock(&d->lock);
    while (!d->stop && d->n + (size_t)n > MIC_FRAMES * AUDIO_FRAME)
        pthread_cond_wait(&d->changed, &d->lock);
    push(d, samples, (size_t)n);
    pthread_mutex_unlock(&d->lock);
    return 0;
}

/* The next frame to say; 0: nothing more comes. *fill: wait until there is enough to go on with. */
static size_t
wait_for_frame(struct audio_device *d, bool *fill, int16_t *samples)
{
    pthread_mutex_lock(&d->lock);
    while (!d->stop && d->n < (*fill ? FILL_FRAMES : 1) * AUDIO_FRAME)
        pthread_cond_wait(&d->changed, &d->lock);
    *fill = false;
    size_t n = pop(d, samples);
    pthread_mutex_unlock(&d->lock);
    return n;
}

static int
speak_once(struct audio_device *d, snd_pcm_t *card, bool *fill)
{
    int16_t samples[AUDIO_FRAME];
    size_t n = wait_for_frame(d, fill, samples);
    snd_pcm_sframes_t done = n > 0 ? snd_pcm_writei(card, samples, n) : 0;

    if (done >= 0)
        return 0;
    *fill = done == -EPIPE; /* it ran empty */
    int rc = snd_pcm_recover(card, (int)done, 1);
    return rc < 0 ? rc : (int)snd_pcm_writei(card, samples, n);
}

static int
use_card(struct audio_device *d, snd_pcm_t *card)
{
    bool fill = true, over = false;
    int rc = 0;

    while (!over && rc >= 0) {
        rc = d->side == AUDIO_MIC ? listen_once(d, card) : speak_once(d, card, &fill);
        pthread_mutex_lock(&d->lock);
        over = d->stop && (d->side == AUDIO_MIC || d->n == 0);
        pthread_mutex_unlock(&d->lock);
    }
    if (rc >= 0 && d->side == AUDIO_SPEAKER)
        snd_pcm_drain(card);
    return rc;
}

static void *
work(void *arg)
{
    struct audio_device *d = arg;
    snd_pcm_t *card;
    int rc = open_card(&card, d->side, d->name);

    if (rc >= 0)
        rc = use_card(d, card);
    if (card != NULL)
        snd_pcm_close(card);
    pthread_mutex_lock(&d->lock);
    d->failed = rc < 0 ? snd_strerror(rc) : NULL;
    leave(d);
    return NULL;
}

/* --- the caller ------------------------------------------------------------------------------- */

const char *
audio_device_check(enum audio_side side, const char *name)
{
    snd_pcm_t *card;
    int rc = open_card(&card, side, name);

    if (rc < 0)
        return snd_strerror(rc);
    snd_pcm_close(card);
    return NULL;
}

/* Signals are for the main thread. */
static int
start(struct audio_device *d)
{
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int rc = pthread_create(&thread, NULL, work, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? pthread_detach(thread) : rc;
}

struct audio_device *
audio_device_open(enum audio_side side, const char *name)
{
    struct audio_device *d = calloc(1, sizeof *d);

    if (d == NULL || strlen(name) >= sizeof d->name) {
        free(d);
        return NULL;
    }
    d->side = side;
    memcpy(d->name, name, strlen(name));
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    if (start(d) == 0)
        return d;
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->changed);
    free(d);
    return NULL;
}

void
audio_device_close(struct audio_device *d)
{
    if (d == NULL)
        return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->changed);
    leave(d);
}

const char *
audio_device_failed(struct audio_device *d)
{
    pthread_mutex_lock(&d->lock);
    const char *failed = d->failed;
    pthread_mutex_unlock(&d->lock);
    return failed;
}

bool
audio_device_hear(struct audio_device *d, int16_t *samples)
{
    pthread_mutex_lock(&d->lock);
    bool there = d->n >= AUDIO_FRAME;
    if (there)
        (void)pop(d, samples);
    pthread_mutex_unlock(&d->lock);
    return there;
}

void
audio_device_say(struct audio_device *d, const int16_t *samples, size_t n)
{
    pthread_mutex_lock(&d->lock);
    d->much = d->n > MUCH_FRAMES * AUDIO_FRAME ? d->much + 1 : 0;
    if (d->much < MUCH_FOR)
        push(d, samples, n);
    else
        d->much = 0;
    pthread_mutex_unlock(&d->lock);
}
