/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of mikey-kmsd: one YAML file, one table of options, and errors that name the
 * line and column of the value that is wrong. A reload (reload.h) changes words, those that
 * are atomic here, one by one and whole, and what only it hands out; nothing else changes while the
 * daemon runs. */
#ifndef KMS_CONFIG_H
#define KMS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include <mikeyticket/policy.h>

#include "acl.h"
#include "limit.h"
#include "roster.h"

#define KMS_LISTENERS_MAX 16
#define KMS_PATH_MAX 4096
#define KMS_CONFIG_ERR 1024 /* octets for an error text */

enum kms_transport { KMS_UDP, KMS_HTTP, KMS_TRANSPORT_COUNT };

struct kms_listener {
    enum kms_transport transport;
    struct sockaddr_storage addr;
    socklen_t addr_len;
    bool tls;         /* https */
    bool for_peers;   /* for other KMSs, and for nobody else */
    char prefix[128]; /* HTTP: path before /keymanagement, "" or "/ims" */
    char url[256];    /* as written, for messages */
    struct kms_acl acl;
    int *bound; /* kms_listen_bind: sockets that wait for their threads, else NULL */
    size_t n_bound;
};

/* Ticket Types that are made when somebody asks. */
enum kms_makes { KMS_MAKES_BASE = 1, KMS_MAKES_COMPAT = 2, KMS_MAKES_REFERENCE = 4 };

#define KMS_FILES_MAX 8
#define KMS_ACCOUNT_MAX 64 /* octets of the name of a user of the system */

/* Files or folders. */
struct kms_files {
    size_t n;
    char at[KMS_FILES_MAX][KMS_PATH_MAX];
};

#define KMS_PEERS_MAX 16
#define KMS_PEER_DOMAINS_MAX 8
#define KMS_PEER_REALM_MAX 64 /* octets of the name of a realm, with its end */
#define KMS_NAME_MAX 256      /* octets of a host name or a domain, with its end */

/* Another KMS (RFC 6043 10). */
struct kms_peer_option {
    char identity[MKT_ID_MAX + 1]; /* its IDRkms, and the user of the store whose PSK we share */
    size_t n_domains;
    char domain[KMS_PEER_DOMAINS_MAX][KMS_NAME_MAX]; /* whose users it speaks for; lower case */
    size_t n_realms;
    char realm[KMS_PEER_DOMAINS_MAX][KMS_PEER_REALM_MAX]; /* of ours, besides the default one */
    char url[512];                                        /* where it is asked; "": never */
    char name[KMS_NAME_MAX];                              /* that its certificate is for */
    char connect[320];                                    /* "::HOST:PORT" of the URL */
    char target[1024];      /* the URL asked: NAME in place of the host */
    char ca[KMS_PATH_MAX];  /* who certifies it */
    char crl[KMS_PATH_MAX]; /* whom they no longer certify; "": not asked */
    char certificate[KMS_PATH_MAX], private_key[KMS_PATH_MAX]; /* ours, shown to it */
    uint32_t timeout_s;                                        /* of a whole question */
    uint32_t waiting;                                          /* questions at a time */
};

struct kms_peer_options {
    size_t n;
    struct kms_peer_option at[KMS_PEERS_MAX];
};

/* Where records of the audit go; bits of audit_optional. */
enum kms_audit_sink { KMS_AUDIT_FILE, KMS_AUDIT_SYSLOG, KMS_AUDIT_HTTP, KMS_AUDIT_REALMS };

struct kms_config {
    char path[KMS_PATH_MAX]; /* the file itself */
    char identity[MKT_ID_MAX + 1];
    struct kms_listener listen[KMS_LISTENERS_MAX];
    size_t n_listen;
    struct kms_listener admin;  /* metrics and health; url empty: none */
    char control[KMS_PATH_MAX]; /* path of the control socket; empty: none */
    struct kms_listener api;    /* the admin API over TLS; url empty: none */
    struct kms_files api_client_ca;
    struct kms_roster roster;    /* who may administer */
    uint32_t export_s;           /* how long the export of a key may take */
    char store[KMS_PATH_MAX];    /* path of the SQLite file */
    char kek[KMS_PATH_MAX + 32]; /* "file:PATH" and the like; "": keys stand there in clear */
    uint32_t vault;              /* 1: a process of its own */
    uint32_t lock_memory;        /* 0: off, 1: try, 2: require */
    uint32_t seccomp;            /* 1: filter system calls */
    uint32_t core_dumps;         /* 1: allowed */
    char user[KMS_ACCOUNT_MAX], group[KMS_ACCOUNT_MAX]; /* to become; "": stay */
    uint32_t workers;                                   /* threads for each transport */
    uint32_t clock_window_s;
    _Atomic uint32_t max_validity_s;
    _Atomic uint32_t tpk_rotate_every_s; /* 0: by hand only */
    uint32_t replay_capacity;            /* messages */
    uint32_t retransmit_memory;          /* octets a worker */
    _Atomic uint32_t log_level;          /* enum kms_level */
    _Atomic uint32_t log_format;         /* 1: JSON */
    _Atomic uint32_t suites;             /* bit of each PRF that is allowed */
    _Atomic uint32_t modes;              /* bit 1, 2, 3: modes of RFC 6043 4.1.1 that are served */
    _Atomic uint32_t ticket_types;       /* enum kms_makes: what is made */
    uint32_t max_body;                   /* octets of an HTTP body */
    uint32_t http_timeout_s;
    uint32_t http_connections;
    struct kms_quota source, identity_quota; /* of an address, of an identity */
    _Atomic uint32_t lockout_udp;            /* 1: failures over UDP count, too */
    struct kms_files tls_certificate, tls_private_key, tls_client_ca;
    /* Requests with signatures; served when there is a key pair. */
    struct kms_files certificate, private_key, trust, crl;
    _Atomic uint32_t require_crl; /* 1: each issuer must have a CRL */
    _Atomic uint32_t sha1;        /* 1: signatures with SHA-1 are accepted in the 128-bit suite */
    _Atomic uint32_t pk_users;    /* 1: anyone with a certificate; 0: users of the store */
    struct kms_peer_options peers;
    char policy[KMS_PATH_MAX];    /* path of the policy file; "": the built-in policy */
    _Atomic uint32_t cross_realm; /* 1: tickets of one realm are resolved for users of another */
    char audit_dir[KMS_PATH_MAX]; /* of the segments; "": no file */
    char audit_syslog[KMS_PATH_MAX], audit_http[KMS_PATH_MAX]; /* socket, URL; "": none */
    char audit_realms[KMS_PATH_MAX];  /* folder of the files of realms; "": none */
    uint32_t audit_optional;          /* bits: enum kms_audit_sink */
    uint32_t audit_size, audit_age_s; /* of a segment, octets and seconds; age 0: any */
    uint32_t audit_sync;              /* 1: on the disk before the answer leaves */
    uint32_t audit_timeout_s;         /* of syslog and HTTP */
};

/* kms_config_load reads the file at path into c. False: err holds "FILE:LINE:COL: what is wrong"
 * (KMS_CONFIG_ERR octets). */
bool kms_config_load(struct kms_config *c, const char *path, char *err);

/* kms_config_help writes the table of options for people. */
void kms_config_help(FILE *out);

#define KMS_IDENTITY_FORM \
    "an identity is a URI (sip:alice@example.com) or a NAI (alice@example.com)"

/* kms_identity_of makes an identity of text: a URI when it begins with a scheme, else an NAI. It
 * borrows text. Absent (data.p NULL) when it can be neither. */
struct mkt_identity kms_identity_of(const char *text);

/* kms_url_parse reads udp://ADDRESS:PORT, http://ADDRESS:PORT[/PREFIX] or https://...; NULL, or
 * what is wrong. */
const char *kms_url_parse(struct kms_listener *l, const char *text);

#endif
