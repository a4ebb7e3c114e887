/* SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rig rig;
struct rig_user alice, bob;
struct rig_ask ask, again;
uint8_t out[2 * MKT_MSG_MAX];

int
scene_folder(void **state)
{
    const char *more = *state;

    rig_counter = 0;
    rig_open(&rig, more != NULL ? more : "");
    return 0;
}

int
scene_open(void **state)
{
    (void)scene_folder(state);
    rig_add_two(&rig, &alice, &bob);
    return 0;
}

int
scene_start(void **state)
{
    (void)scene_open(state);
    rig_start(&rig);
    return 0;
}

int
scene_stop(void **state)
{
    (void)state;
    rig_ask_free(&ask);
    rig_ask_free(&again);
    rig_close(&rig);
    return 0;
}

struct mkt_grant *
scene_asks(const struct rig_user *u, const char *to, bool udp, int ms)
{
    int fd = udp ? rig_udp_socket(&rig) : rig_http_connect(&rig), status = 200;
    struct mkt_span body;
    struct mkt_io io;
    size_t n = 0;

    rig_ask_free(&ask);
    rig_request(&ask, u, to, 0);
    body = mkt_span(ask.octets, ask.len);
    if (udp)
        n = rig_udp_ask(fd, body, out, ms);
    else
        status = rig_http_post(fd, "ticketrequest", body, out, &n);
    close(fd);
    return status == 200 && n > 0 ? rig_granted(&ask, mkt_span(out, n), &io) : NULL;
}

struct mkt_grant *
scene_granted(const char *to, bool udp, int ms)
{
    return scene_asks(&alice, to, udp, ms);
}

bool
scene_resolves(struct mkt_grant *g, const char *to)
{
    int fd = rig_http_connect(&rig);
    struct mkt_io io;
    size_t n;
    int status;

    rig_ask_free(&again);
    rig_resolve(&again, &bob, &alice, to, g);
    status = rig_http_post(fd, "ticketresolve", mkt_span(again.octets, again.len), out, &n);
    close(fd);
    return status == 200 && rig_resolved(&again, mkt_span(out, n), &io);
}

int
scene_resolve_error(const struct rig_user *u, struct mkt_grant *g)
{
    int fd = rig_udp_socket(&rig), error_no;
    struct mkt_io io;
    bool authentic;
    size_t n;

    rig_ask_free(&again);
    rig_resolve(&again, u, &alice, u->identity, g);
    n = rig_udp_ask(fd, mkt_span(again.octets, again.len), out, WAIT_MS);
    close(fd);
    error_no = rig_error_no(mkt_span(out, n), &authentic);
    if (error_no == -1)
        authentic = rig_resolved(&again, mkt_span(out, n), &io);
    return authentic ? error_no : -2;
}

bool
scene_at_rest(struct mkt_span octets)
{
    static const char *const names[] = { "kms.db", "kms.db-wal", "kms.db-shm" };
    static char file[4 << 20];
    bool found = false;

    for (size_t i = 0; i < 3; i++) {
        size_t n = rig_read(&rig, names[i], file, sizeof file);

        found = found || memmem(file, n, octets.p, octets.n) != NULL;
    }
    return found;
}

const char *
scene_text(const char *name)
{
    static char text[1 << 18];

    rig_read(&rig, name, text, sizeof text);
    return text;
}

bool
scene_says(const char *name, const char *what)
{
    const char *text = scene_text(name);

    if (strstr(text, what) != NULL)
        return true;
    fprintf(stderr, "# %s does not say \"%s\" but: %s\n", name, what, text);
    return false;
}

bool
scene_logs(const char *what)
{
    for (int i = 0; i < 500 && strstr(scene_text("log"), what) == NULL; i++)
        poll(NULL, 0, 10);
    return scene_says("log", what);
}

void
scene_replace(const char *name, const char *text)
{
    char from[128], to[128];

    rig_write(&rig, "new", text);
    snprintf(from, sizeof from, "%s/new", rig.dir);
    snprintf(to, sizeof to, "%s/%s", rig.dir, name);
    if (rename(from, to) != 0) {
        perror(to);
        abort();
    }
}
