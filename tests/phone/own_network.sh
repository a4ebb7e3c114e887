# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Has the scenario that reads this file begin anew in a network of its own, where the kernel lets it:
# what it captures is its own then, and nobody else hears its multicast. Else it goes on here.

if [ -z "${OWN_NETWORK:-}" ] && unshare -rn ip link set lo up > /dev/null 2>&1; then
    # shellcheck disable=SC2016 # for the shell within
    OWN_NETWORK=1 exec unshare -rn sh -c 'ip link set lo up && exec "$@"' sh "$0" "$@"
fi
