/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and privileges. */
#include "harden.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOCK_OFF, LOCK_TRY, LOCK_REQUIRE }; /* words of lock_memory */

static bool locked;

static bool __attribute__((format(printf, 2, 3)))
fail(char err[KMS_HARDEN_ERR], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, KMS_HARDEN_ERR, fmt, ap);
    va_end(ap);
    return false;
}

bool
kms_memory_locked(void)
{
    return locked;
}

/* CAP_IPC_LOCK puts us above the limit, for as long as we keep it. */
static bool
may_lock_all(const struct kms_config *config)
{
    struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct caps[2] = { { 0, 0, 0 } };

    return config->user[0] == '\0' && syscall(SYS_capget, &head, caps) == 0 &&
           (caps[0].effective >> CAP_IPC_LOCK & 1) != 0;
}

/* Under a limit MCL_FUTURE would make an allocation fail some day: then only the pages with keys
 * are locked, one by one. */
bool
kms_lock_memory(const struct kms_config *config, char err[KMS_HARDEN_ERR])
{
    const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
    struct rlimit r;

    if (config->lock_memory == LOCK_OFF)
        return true;
    (void)setrlimit(RLIMIT_MEMLOCK, &all); /* root may, and may not any more later */
    locked = getrlimit(RLIMIT_MEMLOCK, &r) == 0 &&
             (r.rlim_cur == RLIM_INFINITY || may_lock_all(config)) &&
             mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
    if (locked || config->lock_memory == LOCK_TRY)
        return true;
    return fail(err,
                "lock_memory: only %llu KiB may be locked: set LimitMEMLOCK=infinity in the "
                "systemd unit (or ulimit -l unlimited), or lock_memory: try",
                (unsigned long long)r.rlim_cur / 1024);
}

static bool
find_ids(const struct kms_config *c, uid_t *uid, gid_t *gid, char err[KMS_HARDEN_ERR])
{
    const struct passwd *user = NULL;
    const struct group *group;

    *uid = geteuid();
    *gid = getegid();
    if (c->user[0] != '\0') {
        user = getpwnam(c->user);
        if (user == NULL)
            return fail(err, "user: there is no user %s on this machine", c->user);
        *uid = user->pw_uid;
        *gid = user->pw_gid;
    }
    if (c->group[0] == '\0')
        return true;
    group = getgrnam(c->group);
    if (group == NULL)
        return fail(err, "group: there is no group %s on this machine", c->group);
    *gid = group->gr_gid;
    return true;
}

bool
kms_account_known(const struct kms_config *config, char err[KMS_HARDEN_ERR])
{
    uid_t uid;
    gid_t gid;

    return find_ids(config, &uid, &gid, err);
}

bool
kms_drop_privileges(const struct kms_config *config, char err[KMS_HARDEN_ERR])
{
    uid_t uid;
    gid_t gid;

    if (config->user[0] == '\0' && config->group[0] == '\0')
        return true;
    if (!find_ids(config, &uid, &gid, err))
        return false;
    if (uid == geteuid() && gid == getegid())
        return true;
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return fail(err, "cannot become user %s, group %s: %s%s", config->user, config->group,
                    strerror(errno), errno == EPERM ? ": start as root, or without them" : "");
    if (uid != 0 && (setuid(0) == 0 || geteuid() == 0))
        return fail(err, "could become root again");
    kms_harden(config->core_dumps != 0); /* a change of user makes a process dumpable */
    return true;
}
