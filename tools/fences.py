#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fences that need no compiler: each is one row of a table, with its allowlist beside it.

A fence is a pattern that may not occur in the tracked files it looks at. A row of an allowlist
that is no longer needed is an error too. Usage: fences.py [ROOT]; fences.py --self-test.
"""

import re
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

CODE = ('*.c', '*.h', '*.py', '*.sh', 'dev', '.ci/run', '*/run', '*.build', '*.lua')
MAX_LINES = 600

# name, files, pattern, why, files allowed and the reason
FENCES = [
    ('hex', ('*.c', '*.h'), re.compile(r'%0?2(hh)?[xX]|PRI[xX]8'),
     'octets are not printed here: keys must have no printer', {
         'tests/runner/report.c': 'says which octet of a test vector differs',
     }),
    ('paths', ('*',), re.compile(r'(?<![\w.])/(work|farm|tmp/bash_jobs|home/[a-z]+)/'),
     'a path of one machine', {}),
    ('marks', CODE, re.compile(r'\b(TO' r'DO|FIX' r'ME|XX' r'X)\b'),
     'finish it, or write an issue', {}),
    ('clock', ('kms/*.c', 'kms/*.h'), re.compile(r'\bkms_unix_ns\(|\bCLOCK_REALTIME\b|\btime\(NULL\)'),
     'nodes agree on the time of the store (kms/store_clock.h): what is of this machine alone?', {
         'kms/clock.h': 'reads it',
         'kms/ctl_backup.c': 'the date of a backup',
         'kms/ctl_ticket.c': 'stamps as a client does',
         'kms/kmsd.c': 'when this run began, for the service to convert',
         'kms/log.c': 'the log',
         'kms/peers.c': 'revocation lists, as GnuTLS sees certificates',
         'kms/records.c': 'what 90m ago means to who asks',
         'kms/store_clock.c': 'holds it against that of the store',
         'kms/store_clock.h': 'converts it',
     }),
    ('licence', ('*.c', '*.h', '*.py', '*.sh', 'dev', '.ci/run'), None,
     'no SPDX-License-Identifier in the first three lines', {}),
]
# Longer than MAX_LINES, each because it is one idea: file -> reason.
LONG = {
    'tools/wireshark/mikey_ticket.lua': 'a plug-in is one file, copied into a folder',
}
# Not ours, or data: no fence looks at them.
SKIP = ('LICENSE', '*.json', '*.pem', '*.der', '*.bin', '*/corpus/*')


def tracked(root):
    out = subprocess.run(['git', '-C', str(root), 'ls-files', '-z'], check=True,
                         capture_output=True).stdout.decode()
    names = [n for n in out.split('\0') if n and (root / n).is_file()]
    return [n for n in names if not any(fnmatch(n, s) for s in SKIP)]


def read(path):
    data = path.read_bytes()
    return None if b'\0' in data else data.decode('utf-8', 'replace')


def check_pattern(fence, name, text):
    label, _, pattern, why, allowed = fence
    if pattern is None:
        bad = [1] if 'SPDX-License-Identifier' not in '\n'.join(text.split('\n')[:3]) else []
    else:
        bad = [text.count('\n', 0, m.start()) + 1 for m in pattern.finditer(text)]
    if name in allowed:
        return [] if bad else [f'{name}: no longer needs its allowance ({label})']
    return [f'{name}:{line}: {label}: {why}' for line in bad]


def check_length(name, text):
    lines = text.count('\n')
    if name in LONG:
        return [] if lines > MAX_LINES else [f'{name}: no longer needs its allowance (length)']
    return [f'{name}: {lines} lines, is it one idea?'] if lines > MAX_LINES else []


def check_tree(root):
    found, files = [], tracked(root)
    for name in files:
        text = read(root / name)
        if text is None:
            continue
        for fence in FENCES:
            if any(fnmatch(name, g) for g in fence[1]):
                found += check_pattern(fence, name, text)
        if any(fnmatch(name, g) for g in CODE):
            found += check_length(name, text)
    listed = [n for f in FENCES for n in f[4]] + list(LONG)
    found += [f'{n}: allowed, but not in the tree' for n in listed if not (root / n).is_file()]
    return found, len(files)


SPDX = '/* SPDX-License-Identifier: Apache-2.0 */\n'
# what, file, text, refused
SELF_TEST = [
    ('a plain file', 'a.c', SPDX + 'int x;\n', False),
    ('a hex printer', 'a.c', SPDX + 'printf("%0' + '2x", key[i]);\n', True),
    ('a hex printer with hh', 'a.c', SPDX + 'printf("%0' + '2hhX", key[i]);\n', True),
    ('a decimal of two digits', 'a.c', SPDX + 'printf("%02d", day);\n', False),
    ('a path of a machine', 'README.md', 'see /wo' + 'rk/x\n', True),
    ('a path inside the tree', 'README.md', 'see docs/work/x\n', False),
    ('an unfinished mark', 'a.c', SPDX + '/* TO' + 'DO */\n', True),
    ("a node's own clock", 'kms/a.c', SPDX + 'now = time(NU' + 'LL);\n', True),
    ('the clock of a test', 'tests/kms/a.c', SPDX + 'now = time(NU' + 'LL);\n', False),
    ('a file without a licence', 'a.c', 'int x;\n', True),
    ('a file that is too long', 'a.c', SPDX + '\n' * MAX_LINES, True),
    ('a long text', 'a.md', '\n' * 2 * MAX_LINES, False),
]


def self_test():
    failed = 0
    print(f'1..{len(SELF_TEST)}')
    for fence in FENCES:
        fence[4].clear()
    LONG.clear()
    for n, (what, name, text, refused) in enumerate(SELF_TEST, 1):
        with tempfile.TemporaryDirectory() as tmp:
            root = Path(tmp)
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding='utf-8')
            subprocess.run(['git', 'init', '-q', tmp], check=True)
            subprocess.run(['git', '-C', tmp, 'add', name], check=True)
            found, _ = check_tree(root)
        good = bool(found) == refused
        failed += not good
        print(f'{"ok" if good else "not ok"} {n} - {"refuses" if refused else "allows"} {what}')
    return 1 if failed else 0


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    found, files = check_tree(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent))
    print('\n'.join(found) if found else f'fences: {files} files, {len(FENCES) + 1} fences')
    return 1 if found or files == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
