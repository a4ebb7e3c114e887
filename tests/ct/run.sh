#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Constant time, both ways: the library's comparison and its decoding of decrypted envelopes pass
# valgrind with their secrets marked undefined, and a comparison that leaves early is reported.
# Usage: run.sh PROGRAM
command -v valgrind >/dev/null || { echo "1..0 # SKIP valgrind is not installed"; exit 0; }
check="valgrind --quiet --error-exitcode=99"
echo 1..3

if $check "$1" equal; then
    echo "ok 1 - comparing and moving secrets takes no branch on them"
else
    echo "not ok 1 - comparing and moving secrets takes no branch on them"
fi

if $check "$1" envelope; then
    echo "ok 2 - opening an envelope takes no branch on what it holds"
else
    echo "not ok 2 - opening an envelope takes no branch on what it holds"
fi

$check "$1" leaky 2>/dev/null
if [ $? -eq 99 ]; then
    echo "ok 3 - a comparison that leaves early is reported"
else
    echo "not ok 3 - a comparison that leaves early is reported"
fi
