#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Constant time, both ways: the library's comparison passes valgrind with its secrets marked
# undefined, and a comparison that leaves early is reported. Usage: run.sh PROGRAM
command -v valgrind >/dev/null || { echo "1..0 # SKIP valgrind is not installed"; exit 0; }
check="valgrind --quiet --error-exitcode=99"
echo 1..2

if $check "$1" equal; then
    echo "ok 1 - comparing and moving secrets takes no branch on them"
else
    echo "not ok 1 - comparing and moving secrets takes no branch on them"
fi

$check "$1" leaky 2>/dev/null
if [ $? -eq 99 ]; then
    echo "ok 2 - a comparison that leaves early is reported"
else
    echo "not ok 2 - a comparison that leaves early is reported"
fi
