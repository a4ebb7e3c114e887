/* SPDX-License-Identifier: Apache-2.0 */
/* The seccomp filter: a table of what each process does, by name; everything else ends it. No call
 * that makes a process (execve, fork), reaches another one (ptrace, process_vm_readv) or changes
 * what is mounted, loaded or allowed is in it. */
#include "harden.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define D (1u << KMS_FILTER_DAEMON)
#define V (1u << KMS_FILTER_VAULT)
#define T (1u << KMS_FILTER_TOKEN)

static const struct {
    unsigned who;
    const char *calls; /* names, a blank between */
} table[] = {
    /* memory */
    { D | V | T, "brk mmap munmap mremap mprotect madvise mlock mlock2 munlock" },
    /* threads that wait, and end */
    { D | V | T, "futex sched_yield exit exit_group rt_sigreturn rt_sigprocmask restart_syscall" },
    { D | V | T, "set_robust_list rseq gettid getpid nanosleep clock_nanosleep" },
    { D | V | T, "clock_gettime gettimeofday time getrandom" },
    /* what is open already */
    { D | V | T, "read write readv writev close sendto recvfrom sendmsg recvmsg poll ppoll" },
    /* threads that begin; see add_special */
    { D | T, "sched_getaffinity sched_getparam sched_getscheduler getrlimit" },
    /* the store, the certificates, the files of a token */
    { D | T, "openat open fstat newfstatat stat lstat statx lseek pread64 pwrite64 getdents64" },
    { D | T, "fcntl flock ftruncate fsync fdatasync fallocate unlink unlinkat access faccessat" },
    { D | T, "faccessat2 readlink readlinkat getcwd geteuid getuid getegid getgid fstatfs statfs" },
    { D | T, "mkdir mkdirat" }, /* the folder of the audit */
    { D, "fchmod fchown chmod fchmodat chown fchownat utimensat" },
    { T, "rename renameat renameat2 umask sysinfo uname" },
    /* clients */
    { D, "accept4 accept recvmmsg sendmmsg shutdown getsockname getpeername getsockopt" },
    { D, "setsockopt epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd2 pipe2 sendfile" },
    /* the control socket, systemd, the sinks of the audit; see add_sockets */
    { D, "bind listen connect" },
    /* signals of ours, the end of the vault */
    { D, "rt_sigtimedwait wait4 sysinfo uname getrusage" },
};

/* Runs once: SA_RESETHAND. Only calls that a signal handler may make, and that the filter allows.
 */
static void
tell(int sig, siginfo_t *info, void *context)
{
    static const char before[] = "mikey-kms: the seccomp filter forbids system call ";
    static const char after[] = ": ending. See \"seccomp\" in mikey-kmsd.conf(5).\n";
    char text[sizeof before + sizeof after + 12], digits[12];
    size_t n = sizeof before - 1, k = 0;
    int number = info->si_syscall;

    (void)context;
    memcpy(text, before, n);
    do
        digits[k++] = (char)('0' + number % 10);
    while ((number /= 10) > 0 && k < sizeof digits);
    while (k > 0)
        text[n++] = digits[--k];
    memcpy(text + n, after, sizeof after - 1);
    n += sizeof after - 1;
    (void)!write(STDERR_FILENO, text, n);
    raise(sig);
}

static bool
add_names(scmp_filter_ctx f, uint32_t action, const char *calls)
{
    char name[32];

    for (size_t n; *calls != '\0'; calls += n + (calls[n] == ' ')) {
        n = strcspn(calls, " ");
        if (n >= sizeof name)
            return false;
        memcpy(name, calls, n);
        name[n] = '\0';
        int call = seccomp_syscall_resolve_name(name);
        /* Not every machine has every call under every name. */
        if (call != __NR_SCMP_ERROR && seccomp_rule_add(f, action, call, 0) != 0)
            return false;
    }
    return true;
}

static bool
allow_if(scmp_filter_ctx f, int call, struct scmp_arg_cmp condition)
{
    return seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1, condition) == 0;
}

/* What depends on an argument. Threads come from clone, whose flags can be read here; clone3 keeps
 * its own in memory, so glibc is told that there is none. It sets handlers when the first thread
 * begins, and must not set that of SIGSYS. */
static bool
add_special(scmp_filter_ctx f, enum kms_filter which)
{
    const uint64_t thread = 0x10000; /* CLONE_THREAD */
    bool ok = allow_if(f, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)) &&
              allow_if(f, SCMP_SYS(rt_sigaction), SCMP_A0(SCMP_CMP_NE, SIGSYS)) &&
              allow_if(f, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));

    if (!ok || which == KMS_FILTER_VAULT)
        return ok;
    return seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
           allow_if(f, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread)) &&
           allow_if(f, SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0));
}

/* What libraries ask for and can do without is refused, not a reason to end: the modules of
 * nsswitch.conf, when a reload looks for the accounts of api.people, ask for capabilities and build
 * event loops; stdio asks a device whether it is a terminal. */
static bool
add_refused(scmp_filter_ctx f)
{
    return seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 1,
                            SCMP_A0(SCMP_CMP_NE, PR_SET_NAME)) == 0 &&
           add_names(f, SCMP_ACT_ERRNO(EPERM), "timerfd_create signalfd4 inotify_init1");
}

/* New sockets stay within the machine, unless the audit goes to another one by HTTP, or other KMSs
 * are asked: libcurl asks the resolver, and that the kernel. */
static bool
add_sockets(scmp_filter_ctx f, const struct kms_config *config, unsigned who)
{
    static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
    size_t n = config->audit_http[0] != '\0' || config->peers.n > 0 ? 4 : 1;
    bool ok = true;

    for (size_t i = 0; ok && (who & D) != 0 && i < n; i++)
        ok = allow_if(f, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
    if (ok && (who & D) != 0)
        ok = n > 1 ? add_names(f, SCMP_ACT_ALLOW, "socketpair ioctl")
                   : add_names(f, SCMP_ACT_ERRNO(ENOTTY), "ioctl");
    return ok;
}

static bool
add_table(scmp_filter_ctx f, const struct kms_config *config, enum kms_filter which)
{
    unsigned who = which == KMS_FILTER_BOTH ? D | T : 1u << which;
    bool ok =
        add_special(f, which) && add_sockets(f, config, who) && ((who & D) == 0 || add_refused(f));

    for (size_t i = 0; ok && i < sizeof table / sizeof table[0]; i++)
        if ((table[i].who & who) != 0)
            ok = add_names(f, SCMP_ACT_ALLOW, table[i].calls);
    return ok;
}

/* The sanitizers of a test build trace their own process when it ends, with calls that the table
 * rightly lacks: there, only what no daemon does is forbidden. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

bool
kms_filter_install(const struct kms_config *config, enum kms_filter which, char err[KMS_HARDEN_ERR])
{
    struct sigaction told = { .sa_sigaction = tell };
    scmp_filter_ctx f;
    bool ok;

    if (config->seccomp == 0)
        return true;
    told.sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_NODEFER);
    f = seccomp_init(SANITIZED ? SCMP_ACT_ALLOW : SCMP_ACT_TRAP);
    ok = f != NULL && seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
         seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0 && /* a tree, not a list */
         (SANITIZED ? add_names(f, SCMP_ACT_TRAP, "execve mount chroot")
                    : add_table(f, config, which));
    ok = ok && sigaction(SIGSYS, &told, NULL) == 0 && seccomp_load(f) == 0;
    seccomp_release(f);
    if (!ok)
        snprintf(err, KMS_HARDEN_ERR,
                 "seccomp: the filter cannot be installed: %s. \"seccomp: "
                 "false\" goes without it",
                 strerror(errno));
    return ok;
}
