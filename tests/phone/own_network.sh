# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Has the scenario that reads this file begin anew in a network of its own, where the kernel lets it:
# what it captures is its own then, nobody else hears its multicast, and scenarios can run beside each
# other. Elsewhere one waits for the other.

if [ -z "${OWN_NETWORK:-}" ]; then
    for how in -n -rn; do
        ! unshare "$how" ip link set lo up > /dev/null 2>&1 ||
            OWN_NETWORK=1 exec unshare "$how" bash -c 'ip link set lo up && exec bash "$@"' bash "$0" "$@"
    done
    exec {lock}> "${TMPDIR:-/tmp}/mikey-ticket-network.lock"
    flock "$lock"
fi
