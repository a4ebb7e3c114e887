/* SPDX-License-Identifier: Apache-2.0 */
#include "open_files.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>

#define PAUSE_MS 20
#define BESIDES 512 /* store, log, audit, vault, threads, admin API, metrics */

void
kms_open_files_raise(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

void
kms_open_files_check(const struct kms_config *config, struct kms_log *log)
{
    uint64_t needed = BESIDES;
    struct rlimit r;

    for (size_t i = 0; i < config->n_listen; i++)
        if (config->listen[i].transport == KMS_HTTP)
            needed += config->http_connections + (uint64_t)config->workers * KMS_HTTP_MORE;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < needed)
        KMS_LOG(log, KMS_WARN, "few-open-files", kms_number("limit", (int64_t)r.rlim_cur),
                kms_number("needed", (int64_t)needed),
                kms_text("effect", "with http_connections open at once, clients cannot connect"),
                kms_text("hint", "raise LimitNOFILE (ulimit -n), or lower http_connections"));
}

void
kms_open_files_pause(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    (void)fmt;
    (void)ap;
    if (errno == EMFILE || errno == ENFILE)
        (void)poll(NULL, 0, PAUSE_MS);
    errno = 0; /* another line about the same waits no more */
}
