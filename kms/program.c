/* SPDX-License-Identifier: Apache-2.0 */
/* A core dump or a debugger would see every key. */
#include "program.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

void
kms_harden(bool core_dumps)
{
    const struct rlimit none = { 0, 0 };

    umask(077);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (core_dumps)
        return;
    setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) /* the leak check traces its own process */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}
