/* SPDX-License-Identifier: Apache-2.0 */
/* Listen addresses and identities: the two kinds of text in the configuration with a grammar. */
#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

/* Splits "127.0.0.1:80" or "[::1]:80" in place. */
static const char *
split_port(char *text, char **host, char **port)
{
    char *colon = strrchr(text, ':');

    *host = text;
    if (text[0] == '[') {
        char *close = strchr(text, ']');

        if (close == NULL || close[1] != ':')
            return "an IPv6 address is written [ADDRESS]:PORT";
        *host = text + 1;
        *close = '\0';
        *port = close + 2;
        return NULL;
    }
    if (colon == NULL)
        return "the port is missing: write ADDRESS:PORT (0 for any free port)";
    if (strchr(text, ':') != colon)
        return "an IPv6 address is written [ADDRESS]:PORT";
    *colon = '\0';
    *port = colon + 1;
    return NULL;
}

static const char *
resolve(struct kms_listener *l, const char *host, const char *port)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                              .ai_socktype = l->transport == KMS_UDP ? SOCK_DGRAM : SOCK_STREAM };
    struct addrinfo *ai;
    size_t n = strlen(port);
    int rc;

    if (n == 0 || n > 5 || strspn(port, "0123456789") != n || strtoul(port, NULL, 10) > 65535)
        return "the port must be a number from 0 to 65535";
    if (host[0] == '\0')
        return "the address is missing (0.0.0.0 or [::] for every interface)";
    rc = getaddrinfo(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port, &hints, &ai);
    if (rc != 0)
        return "the host must be a numeric IP address";
    memcpy(&l->addr, ai->ai_addr, ai->ai_addrlen);
    l->addr_len = ai->ai_addrlen;
    freeaddrinfo(ai);
    return NULL;
}

static const char *
take_prefix(struct kms_listener *l, char *slash)
{
    size_t n = strlen(slash);

    while (n > 0 && slash[n - 1] == '/')
        slash[--n] = '\0';
    if (n >= sizeof l->prefix)
        return "the path is too long";
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)slash[i]) && strchr("/-._~", slash[i]) == NULL)
            return "the path may hold letters, digits, '/', '-', '.', '_' and '~' only";
    memcpy(l->prefix, slash, n + 1);
    return NULL;
}

const char *
kms_url_parse(struct kms_listener *l, const char *text)
{
    char buf[sizeof l->url], *host, *port, *slash;
    const char *wrong, *rest;

    memset(l, 0, sizeof *l);
    if (strlen(text) >= sizeof buf)
        return "the address is too long";
    memcpy(l->url, text, strlen(text) + 1);
    if (strncmp(text, "udp://", 6) == 0)
        l->transport = KMS_UDP;
    else if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0)
        l->transport = KMS_HTTP;
    else
        return "an address begins with udp://, http:// or https://";
    l->tls = text[4] == 's';
    rest = strchr(text, '/') + 2;
    memcpy(buf, rest, strlen(rest) + 1);
    slash = strchr(buf, '/');
    if (slash != NULL) {
        if (l->transport == KMS_UDP)
            return "a udp:// address has no path";
        wrong = take_prefix(l, slash);
        if (wrong != NULL)
            return wrong;
        buf[strcspn(buf, "/")] = '\0';
    }
    wrong = split_port(buf, &host, &port);
    return wrong != NULL ? wrong : resolve(l, host, port);
}

struct mkt_identity
kms_identity_of(const char *text)
{
    struct mkt_identity none = { 0, { NULL, 0 } };
    struct mkt_identity id = { MKT_ID_NAI, mkt_span(text, strlen(text)) };
    size_t scheme = 0;

    if (id.data.n == 0 || id.data.n > MKT_ID_MAX)
        return none;
    for (size_t i = 0; i < id.data.n; i++)
        if (id.data.p[i] <= ' ' || id.data.p[i] == 0x7f)
            return none;
    while (isalnum((unsigned char)text[scheme]) ||
           (text[scheme] != '\0' && strchr("+-.", text[scheme]) != NULL))
        scheme++;
    if (text[scheme] == ':' && isalpha((unsigned char)text[0]) && text[scheme + 1] != '\0') {
        id.type = MKT_ID_URI;
        return id;
    }
    return strchr(text, '@') != NULL ? id : none;
}
