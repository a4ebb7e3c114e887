/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket ticket: a ticket of our own under a key that we share (RFC 6043 4.1.1): with the KMS
 * in mode 3, with the one who answers in mode 4. Nobody is asked. */
#include "client.h"
#include "clock.h"
#include "session_key.h"
#include "state.h"
#include "tpk.h"
#include "wish.h"

#include <string.h>

struct making {
    struct cli_client *client;
    struct cli_tpk *tpk;
    struct mkt_policy want;
    struct mkt_keys *keys;
    struct mkt_grant *grant;
};

static bool
check_key(const struct making *m, struct cli_error *err)
{
    const struct cli_credential *file = &m->client->file;

    if (m->tpk->key.base.len < mkt_suite_of(file->prf)->key_len)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "%s is a key of suite 128, the ticket is of suite 256: --suite 128",
                        m->tpk->path);
    if (*m->tpk->kms != '\0' && *file->kms != '\0' && strcmp(m->tpk->kms, file->kms) != 0)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "%s is shared with %.200s, the KMS of the credential is %.200s",
                        m->tpk->path, m->tpk->kms, file->kms);
    return cli_tpk_may_make(m->tpk, &m->want, err);
}

/* As the KMS does: one TGK without salt unless something else is wished for. */
static bool
draw_keys(struct making *m, struct cli_error *err)
{
    const struct mkt_want_key tgk = { .type = MKT_KEY_TGK,
                                      .key_len = mkt_suite_of(m->want.prf)->key_len };
    size_t n = m->want.has_kemac ? m->want.n_wanted : 1;

    for (size_t i = 0; i < n; i++) {
        struct mkt_key *key = &m->keys->k[m->keys->n++];
        memset(key, 0, sizeof *key);
        if (!cli_key_draw(key, m->want.has_kemac ? &m->want.wanted[i] : &tgk, err))
            return false;
    }
    return true;
}

static bool
create(struct making *m, struct cli_error *err)
{
    struct mkt_env env = cli_client_env(m->client);
    struct mkt_err why = { 0 };
    const struct mkt_own_ticket own = {
        .policy = &m->want,
        .tpk = &m->tpk->key.base,
        .tpk_id = mkt_span(m->tpk->id, strlen(m->tpk->id)),
        .keys = m->keys,
        .ts_type = MKT_TS_NTP_UTC,
    };

    m->want.initiator = m->client->cred.self;
    if (*m->tpk->kms != '\0')
        m->want.kms = cli_identity(m->tpk->kms);
    return mkt_grant_create(&m->grant, &env, &own, &why) == MKT_OK ||
           cli_fail_mkt(err, CLI_EXIT_USAGE, "cannot make the ticket", &why);
}

static bool
save(const struct making *m, const struct cli_args *args, struct cli_error *err)
{
    const char *out = cli_args_get(args, CLI_OPT_OUT);
    struct cli_report r;

    if (!cli_grant_save(out, m->grant, err))
        return false;
    cli_report_begin(&r, stdout, cli_args_has(args, CLI_OPT_JSON));
    cli_report_text(&r, "ticket", out);
    cli_wish_report(&r, &m->want, m->grant);
    cli_report_end(&r);
    return true;
}

bool
cli_cmd_ticket(const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_CLIENT client;
    CLI_SCOPED_TPK tpk = { 0 };
    CLI_SCOPED_KEYS keys = { .n = 0 };
    struct making m = { .client = &client, .tpk = &tpk, .keys = &keys };

    bool done = cli_client_open(&client, args, err) &&
                cli_tpk_load(&tpk, cli_args_get(args, CLI_OPT_TPK), client.file.identity, err) &&
                cli_wish_read_own(&m.want, args, client.file.prf, cli_clock_ntp(), err) &&
                check_key(&m, err) && draw_keys(&m, err) && create(&m, err) && save(&m, args, err);
    mkt_grant_free(m.grant);
    return done;
}
