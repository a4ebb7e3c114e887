/* SPDX-License-Identifier: Apache-2.0 */
/* Passing a place to and fro. Who goes to sleep says so first and then has the kernel compare
 * `turn` once more; who hands over changes `turn` first and then looks for sleepers: so no wake-up
 * is lost, and none is paid for while both are awake. */
#include "vault_wire.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define AWAKE 300 /* looks before sleeping: some microseconds, a derivation takes two */

static inline void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void
kms_place_wait(struct kms_place *p, enum kms_turn until, _Atomic uint32_t *asleep, unsigned ms)
{
    const struct timespec limit = { ms / 1000, (long)(ms % 1000) * 1000000 };
    uint32_t other = until == KMS_TURN_CLIENT ? KMS_TURN_VAULT : KMS_TURN_CLIENT;

    for (int i = 0; i < AWAKE; i++) {
        if (atomic_load_explicit(&p->turn, memory_order_acquire) == until)
            return;
        relax();
    }
    atomic_store(asleep, 1);
    if (atomic_load(&p->turn) == other)
        syscall(SYS_futex, &p->turn, FUTEX_WAIT, other, ms == 0 ? NULL : &limit, NULL, 0);
    atomic_store(asleep, 0);
}

void
kms_place_give(struct kms_place *p, enum kms_turn to, _Atomic uint32_t *asleep)
{
    atomic_store(&p->turn, to);
    if (atomic_load(asleep) != 0)
        syscall(SYS_futex, &p->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}
