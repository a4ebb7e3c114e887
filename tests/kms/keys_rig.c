/* SPDX-License-Identifier: Apache-2.0 */
/* alice and bob at a daemon whose store is wrapped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "keys_rig.h"

struct rig rig;
struct rig_user alice, bob;
static struct rig_ask ask;
static uint8_t answer[2 * MKT_MSG_MAX];
static char text[65536];

void
keys_config(const char *more)
{
    char yaml[2048];

    snprintf(yaml, sizeof yaml,
             "identity: " RIG_KMS "\nlisten: [udp://127.0.0.1:0, http://127.0.0.1:0]\n"
             "store: sqlite:kms.db\n%s",
             more);
    rig_write(&rig, "kms.yaml", yaml);
}

void
keys_open(const char *more)
{
    char yaml[1024];

    rig_open(&rig, "");
    rig_user_init(&alice, "sip:alice@example.com", "alice", MKT_PRF_HMAC_SHA_256);
    rig_user_init(&bob, "sip:bob@example.com", "bob", MKT_PRF_HMAC_SHA_256);
    rig_add(&rig, &alice);
    rig_add(&rig, &bob);
    snprintf(yaml, sizeof yaml, "kek: file:kms.kek\n%s", more);
    keys_config(yaml);
    assert_int_equal(CTL("kek", "init"), 0);
}

static struct mkt_grant *
grant_of(const struct rig_user *u, const char *to, bool udp)
{
    int fd = udp ? rig_udp_socket(&rig) : rig_http_connect(&rig);
    struct mkt_grant *g;
    struct mkt_io io;
    size_t n;

    rig_request(&ask, u, to, 0);
    if (udp)
        n = rig_udp_ask(fd, mkt_span(ask.octets, ask.len), answer, KEYS_WAIT_MS);
    else if (rig_http_post(fd, "ticketrequest", mkt_span(ask.octets, ask.len), answer, &n) != 200)
        n = 0;
    close(fd);
    g = rig_granted(&ask, mkt_span(answer, n), &io);
    rig_ask_free(&ask);
    return g;
}

bool
keys_ticket(const struct rig_user *u)
{
    struct mkt_grant *g = grant_of(u, "sip:carol@example.com", false);

    mkt_grant_free(g);
    return g != NULL;
}

bool
keys_call(void)
{
    struct mkt_grant *g = grant_of(&alice, bob.identity, true);
    struct mkt_io io;
    size_t n;
    int fd, status;
    bool ok;

    if (g == NULL)
        return false;
    fd = rig_http_connect(&rig);
    rig_resolve(&ask, &bob, &alice, bob.identity, g);
    status = rig_http_post(fd, "ticketresolve", mkt_span(ask.octets, ask.len), answer, &n);
    close(fd);
    ok = status == 200 && rig_resolved(&ask, mkt_span(answer, n), &io);
    rig_ask_free(&ask);
    mkt_grant_free(g);
    return ok;
}

const char *
keys_text(const char *name)
{
    rig_read(&rig, name, text, sizeof text);
    return text;
}

bool
keys_says(const char *name, const char *what)
{
    if (strstr(keys_text(name), what) != NULL)
        return true;
    fprintf(stderr, "# %s does not say \"%s\" but: %s\n", name, what, text);
    return false;
}

void
keys_sql(const char *sql)
{
    char path[128];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/kms.db", rig.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, KEYS_WAIT_MS);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}
