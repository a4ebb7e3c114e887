/* SPDX-License-Identifier: Apache-2.0 */
/* alice and bob at a daemon whose store is wrapped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "keys_rig.h"

void
keys_wrap(const char *more)
{
    char yaml[1024];

    snprintf(yaml, sizeof yaml, "kek: file:kms.kek\n%s", more);
    rig_config(&rig, yaml);
    assert_int_equal(CTL("kek", "init"), 0);
}

int
keys_open(void **state)
{
    const char *more = *state;

    rig_open(&rig, "");
    rig_add_two(&rig, &alice, &bob);
    keys_wrap(more);
    return 0;
}

bool
keys_ticket(const struct rig_user *u)
{
    struct mkt_grant *g = scene_asks(u, "sip:carol@example.com", false, WAIT_MS);

    mkt_grant_free(g);
    return g != NULL;
}

bool
keys_call(void)
{
    struct mkt_grant *g = scene_granted(BOB, true, WAIT_MS);
    bool ok = g != NULL && scene_resolves(g, BOB);

    mkt_grant_free(g);
    return ok;
}

pid_t
keys_vault(pid_t daemon)
{
    char path[64], children[32] = "";
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)daemon, (int)daemon);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(children, sizeof children, f));
    fclose(f);
    return (pid_t)strtol(children, NULL, 10);
}

void
keys_sql(const char *sql)
{
    char path[128];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/kms.db", rig.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, WAIT_MS);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}
