#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sums the test cases of a meson run and prints `N passed, N failed` as the last line.

Reads meson's testlog.json (one JSON object a line). A TAP test counts each of its lines, any other
test counts one. A program that crashed, timed out or printed fewer lines than its plan counts as
failed. --also NAME FILE adds the `N passed, N failed` line that ends the log of a program run
outside meson. No test at all is a failure. Usage: testsum.py [TESTLOG...] [--also NAME FILE]...
"""

import json
import re
import sys

TAP = re.compile(r'^(not )?ok\b([^#\n]*)(#\s*skip\b)?', re.M | re.I)
PLAN = re.compile(r'^1\.\.(\d+)', re.M)
TOTAL = re.compile(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$')


def count_tap(out):
    """(passed, failed, skipped, planned) of a TAP stream. cmocka marks a skip `not ok # SKIP`."""
    passed = failed = skipped = 0
    for no, _, skip in TAP.findall(out):
        if skip:
            skipped += 1
        elif no:
            failed += 1
        else:
            passed += 1
    return passed, failed, skipped, sum(int(n) for n in PLAN.findall(out))


def count_test(test):
    """(passed, failed, skipped) of one meson test."""
    good = test['result'] in ('OK', 'EXPECTEDFAIL')
    out = test.get('stdout', '')
    if not PLAN.search(out):
        if test['result'] == 'SKIP':
            return 0, 0, 1
        return (1, 0, 0) if good else (0, 1, 0)
    passed, failed, skipped, planned = count_tap(out)
    failed += max(0, planned - passed - failed - skipped)
    if test['result'] == 'FAIL' and skipped:
        good = True  # of its lines, and meson takes cmocka's skips for failures
    if not good and test['result'] != 'SKIP' and failed == 0:
        failed = 1  # every line was fine, but the program was not: crash, leak, timeout
    return passed, failed, skipped


def count_log(text):
    """(passed, failed, skipped) of the last line; a log without one is one failure."""
    lines = text.strip().splitlines()
    m = TOTAL.match(lines[-1]) if lines else None
    return tuple(int(n or 0) for n in m.groups()) if m else (0, 1, 0)


def read_logs(paths):
    for path in paths:
        with open(path, encoding='utf-8') as log:
            for line in filter(str.strip, log):
                test = json.loads(line)
                yield test['name'], count_test(test)


def report(rows, out):
    total = [0, 0, 0]
    for name, counts in rows:
        total = [a + b for a, b in zip(total, counts)]
        if counts[1] or counts[2]:
            print(f'  {name}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped', file=out)
    passed, failed, skipped = total
    if passed + failed == 0:
        print('no test was run', file=out)
        failed = 1
    print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''), file=out)
    return 1 if failed else 0


def main(args):
    logs, also = [], []
    while args:
        if args[0] == '--also':
            also.append((args[1], args[2]))
            args = args[3:]
        else:
            logs.append(args.pop(0))
    rows = list(read_logs(logs))
    for name, path in also:
        with open(path, encoding='utf-8', errors='replace') as log:
            rows.append((name, count_log(log.read())))
    return report(rows, sys.stdout)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
