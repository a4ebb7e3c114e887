/* SPDX-License-Identifier: Apache-2.0 */
/* The roster is copied for each request: who was taken out of it is nobody from the next reload on,
 * on connections that are open, too. */
#include "api_who.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define GROUPS_MAX 256

/* --- the control socket ----------------------------------------------------------------------- */

static bool
local(struct kms_caller *who, const struct kms_roster *r, int fd, const char **why)
{
    gid_t groups[GROUPS_MAX + 1];
    socklen_t n_peer = sizeof(struct ucred), n = GROUPS_MAX * sizeof groups[0];
    struct ucred peer;
    size_t n_groups = 1;

    *why = "neither root, nor the user of the daemon, nor anybody in api.people";
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n_peer) != 0)
        return false;
    groups[0] = peer.gid;
#ifdef SO_PEERGROUPS
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &n) == 0)
        n_groups += n / sizeof groups[0];
#endif
    return kms_roster_user(r, geteuid(), peer.uid, groups, n_groups, who);
}

/* --- TLS -------------------------------------------------------------------------------------- */

struct search {
    struct kms_caller *who;
    const struct kms_roster *roster;
    bool found;
};

static bool
look_up(void *ctx, const char *name)
{
    struct search *s = ctx;

    s->found = s->found || kms_roster_certificate(s->roster, name, s->who);
    return true;
}

static bool
by_certificate(struct kms_caller *who, const struct kms_roster *r, void *session, const char **why)
{
    struct search s = { who, r, false };

    *why = "no token, and no certificate of anybody in api.people";
    return kms_tls_names(session, look_up, &s) && s.found;
}

static bool
by_token(struct kms_caller *who, const struct kms_roster *r, const char *authorization,
         const char **why)
{
    static const char scheme[] = "Bearer ";
    uint8_t hash[KMS_TOKEN_HASH];

    *why = "no such token";
    return strncasecmp(authorization, scheme, sizeof scheme - 1) == 0 &&
           kms_token_hash(authorization + sizeof scheme - 1, hash) &&
           kms_roster_token(r, hash, who);
}

bool
kms_api_who(struct kms_caller *who, struct kms_reload *reload, struct MHD_Connection *c,
            const char **why)
{
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    const char *authorization =
        MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    struct kms_roster *r = malloc(sizeof *r);
    bool known;

    *why = "out of memory";
    if (r == NULL)
        return false;
    kms_reload_roster(reload, r);
    if (tls == NULL || tls->tls_session == NULL)
        known = local(
            who, r, MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, why);
    else if (authorization != NULL)
        known = by_token(who, r, authorization, why);
    else
        known = by_certificate(who, r, tls->tls_session, why);
    free(r);
    return known;
}
