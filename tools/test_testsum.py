#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests that testsum.py cannot be talked into a pass. Prints TAP."""

import io
import sys

from testsum import count_log, count_test, report

FOUR = '1..4\nok 1 - a\nok 2 - b\nok 3 - c\nok 4 - d\n'
CMOCKA = '1..4\nok 1 - good\nnot ok 2 - bad\n# 0x1 != 0x2\nnot ok 3 # SKIP skp\nok 4 - crash\n# not ok - t\n'
SKIPPED = '1..2\nok 1 - good\nnot ok 2 # SKIP skp\n'

# name, meson result, standard output, (passed, failed, skipped)
MESON = [
    ('counts every line of a TAP test', 'OK', FOUR, (4, 0, 0)),
    ('counts failures, and skips in the spelling of cmocka', 'ERROR', CMOCKA, (2, 1, 1)),
    ('takes no skip of cmocka for a failure', 'FAIL', SKIPPED, (1, 0, 1)),
    ('counts a crash after a skip as one failure', 'ERROR', SKIPPED, (1, 1, 1)),
    ('counts what a crash left out of the plan as failed', 'ERROR', '1..4\nok 1 - a\n', (1, 3, 0)),
    ('counts a crash behind the last line as one failure', 'ERROR', FOUR, (4, 1, 0)),
    ('counts a timeout without output as one failure', 'TIMEOUT', '', (0, 1, 0)),
    ('counts an exit-code test as one', 'OK', 'hello\n', (1, 0, 0)),
    ('counts a failing exit-code test as one failure', 'FAIL', 'ok\n', (0, 1, 0)),
    ('counts a skipped exit-code test as skipped', 'SKIP', '', (0, 0, 1)),
    ('does not pass a test that was meant to fail and did not', 'UNEXPECTEDPASS', '', (0, 1, 0)),
]
LOGS = [
    ('reads the last line of a runner', 'noise\n12 passed, 1 failed\n', (12, 1, 0)),
    ('reads its skips', '12 passed, 0 failed, 3 skipped\n', (12, 0, 3)),
    ('counts a runner that died as one failure', '12 passed, 0 failed\nSegmentation fault\n', (0, 1, 0)),
    ('counts a silent runner as one failure', '', (0, 1, 0)),
]


def last_line(rows):
    out = io.StringIO()
    rc = report(rows, out)
    return rc, out.getvalue().splitlines()[-1]


TOTALS = [
    ('ends with the sum and exit 0', [('a', (2, 0, 0)), ('b', (3, 0, 0))], (0, '5 passed, 0 failed')),
    ('ends with exit 1 after a failure', [('a', (2, 1, 0))], (1, '2 passed, 1 failed')),
    ('shows skips only when there are some', [('a', (2, 0, 1))], (0, '2 passed, 0 failed, 1 skipped')),
    ('fails when no test was run', [], (1, '0 passed, 1 failed')),
    ('fails when every test was skipped', [('a', (0, 0, 9))], (1, '0 passed, 1 failed, 9 skipped')),
]


def main():
    results = [(n, count_test({'result': r, 'stdout': o}) == want) for n, r, o, want in MESON]
    results += [(n, count_log(text) == want) for n, text, want in LOGS]
    results += [(n, last_line(rows) == want) for n, rows, want in TOTALS]
    print(f'1..{len(results)}')
    for i, (name, good) in enumerate(results, 1):
        print(f'{"ok" if good else "not ok"} {i} - {name}')
    return 0 if all(good for _, good in results) else 1


if __name__ == '__main__':
    sys.exit(main())
