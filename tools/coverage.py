#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Line and branch coverage of a build that was made with --coverage and whose tests have run.

Prints a table by directory, then the defensive branches: those that no input can take. They are
marked in the code, at the end of their line, alone on the line before or around several lines,
with the reason:
    /* GCOV_EXCL_BR_LINE: checked when the message was read */
BR_ leaves out branches only, and no mark leaves out what is taken. A mark without a reason is an error, and so is one on lines that are
covered without it, so that the printed list stays true. A directory below its bar (BARS) is an
error. Only the objects of the products count: what a test compiles again for itself does not.

Usage: coverage.py BUILD [--missing FILE-OR-DIRECTORY]; coverage.py --marks; coverage.py --self-test
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BARS = {'src': 95.0, 'src/payload': 100.0, 'src/message': 100.0}  # per cent of branches
CODE = ('src', 'common', 'kms', 'media', 'cli')
MARK = re.compile(r'/\* GCOV_EXCL_(BR_)?(LINE|START|STOP)\b(?:: *(.*?))?\s*(?:\*/|$)')
OURS = 'NO_MARKS_OF_GCOVR'  # marks are read here, so that every version of gcovr does the same


def measure(build):
    """{file: {line: (times, [times of each branch])}} as gcovr sees it."""
    done = subprocess.run(
        ['gcovr', '-r', str(TOP), '--object-directory', str(build), '--json',
         '--exclude-pattern-prefix', OURS, *(a for d in CODE for a in ('-f', f'{d}/')),
         *(str(build / d) for d in CODE)],
        stdout=subprocess.PIPE, check=True)
    return {f['file']: {line['line_number']: (line['count'], [b['count'] for b in line['branches']])
                        for line in f['lines'] if not line['gcovr/noncode']}
            for f in json.loads(done.stdout)['files']}


# --- marks --------------------------------------------------------------------------------------

def marks(text):
    """([(first line, last line, branches only, reason)], [(line, what is wrong)]) of a file."""
    found, bad, start = [], [], None
    for number, line in enumerate(text.splitlines(), 1):
        mark = MARK.search(line)
        if not mark:
            continue
        only, kind, reason = bool(mark[1]), mark[2], mark[3]
        if kind == 'STOP':
            if start is None or start[1] != only:
                bad.append((number, 'a mark stops that did not start'))
            else:
                found.append((start[0], number, only, start[2]))
            start = None
            continue
        if not reason:
            bad.append((number, 'a mark without a reason'))
        if kind == 'LINE':
            of = number + 1 if line.lstrip().startswith('/*') else number
            found.append((of, of, only, reason))
        elif start:
            bad.append((number, 'a mark starts inside another'))
        else:
            start = (number, only, reason)
    if start:
        bad.append((start[0], 'a mark starts that does not stop'))
    return found, bad


def tracked():
    listed = subprocess.run(['git', '-C', str(TOP), 'ls-files', *CODE], stdout=subprocess.PIPE,
                            check=True).stdout.decode().split()
    return sorted(n for n in listed if n.endswith(('.c', '.h')))


def all_marks():
    """({file: marks}, [complaints])"""
    found, bad = {}, []
    for name in tracked():
        found[name], wrong = marks((TOP / name).read_text(encoding='utf-8'))
        bad += [f'{name}:{number}: {what}' for number, what in wrong]
    return found, bad


def apply(lines, marked):
    """(lines without what is marked and not taken, branches left out, marks that are not needed)"""
    kept, out, idle = dict(lines), 0, []
    for first, last, only, _ in marked:
        inside = {n: lines[n] for n in range(first, last + 1) if n in lines}
        if all(all(branches) and (only or times) for times, branches in inside.values()):
            idle.append(first)
        for n, (times, branches) in inside.items():
            taken = [b for b in branches if b]
            out += len(branches) - len(taken)
            if times or only:
                kept[n] = (times, taken)
            else:
                kept.pop(n, None)
    return kept, out, idle


# --- sums ---------------------------------------------------------------------------------------

class Sum:
    def __init__(self):
        self.lines = self.hit = self.branches = self.taken = self.marked = 0

    def add(self, lines, marked):
        self.marked += marked
        for times, branches in lines.values():
            self.lines += 1
            self.hit += times > 0
            self.branches += len(branches)
            self.taken += sum(n > 0 for n in branches)

    def row(self, name):
        return (f'{name:<14}{self.hit:>6} of {self.lines:<6}{percent(self.hit, self.lines):>6.1f} %'
                f'{self.taken:>8} of {self.branches:<6}{percent(self.taken, self.branches):>6.1f} %'
                f'{self.marked:>9}')


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def judge(files, found):
    """({directory: Sum}, each with what is below it, [complaints])"""
    sums, bad = defaultdict(Sum), []
    for name, lines in files.items():
        kept, out, idle = apply(lines, found.get(name, []))
        bad += [f'{name}:{n}: the mark is no longer needed' for n in idle]
        for directory in (str(p) for p in Path(name).parents if str(p) != '.'):
            sums[directory].add(kept, out)
    for directory, bar in BARS.items():
        here = percent(sums[directory].taken, sums[directory].branches)
        if sums[directory].lines == 0:
            bad.append(f'{directory}: nothing was measured')
        elif here < bar:
            bad.append(f'{directory}: {here:.2f} % of the branches, the bar is {bar:.0f} %')
    return sums, bad


def missing(files, found, where):
    for name in sorted(n for n in files if n == where or n.startswith(where.rstrip('/') + '/')):
        text = (TOP / name).read_text(encoding='utf-8').splitlines()
        for n, (times, branches) in sorted(apply(files[name], found.get(name, []))[0].items()):
            if times == 0 or not all(branches):
                what = ''.join('.-'[not b] for b in branches) if times else 'never'
                print(f'{name}:{n}: {what:<6} {text[n - 1].strip()}')


def report(build):
    found, bad = all_marks()
    files = measure(build)
    sums, worse = judge(files, found)
    print(f'{"":<14}{"lines":>17}{"branches":>26}{"marked":>19}')
    for directory in sorted(sums):
        print(sums[directory].row(directory))
    print('\nDefensive branches, marked in the code:')
    for name, marked in found.items():
        for first, _, _, reason in marked:
            print(f'  {name}:{first}: {reason}')
    bad += worse
    print('\n' + '\n'.join(bad) if bad else '\ncoverage: every bar is met')
    return 1 if bad else 0


# --- self-test ----------------------------------------------------------------------------------

BR, LINE = '/* GCOV_EXCL_BR_LINE', '/* GCOV_EXCL_LINE'
BEGIN, END = '/* GCOV_EXCL_BR_START', '/* GCOV_EXCL_BR_STOP */'
# what, text of a file, [(first, last)] of its marks, complaints
MARKS = [
    ('finds a mark and its line', f'a\nb {BR}: why */\n', [(2, 2)], 0),
    ('finds a mark for the next line', f'a\n  {BR}: why */\nb\n', [(3, 3)], 0),
    ('finds a mark around lines', f'{BEGIN}: why */\na\n{END}\n', [(1, 3)], 0),
    ('finds a reason that goes on', f'a {BR}: why\n  * and how */\n', [(1, 1)], 0),
    ('refuses a mark without a reason', f'a {BR} */\n', [(1, 1)], 1),
    ('refuses a mark with an empty reason', f'a {LINE}:  */\n', [(1, 1)], 1),
    ('refuses a start without a stop', f'{BEGIN}: why */\n', [], 1),
    ('refuses a stop without a start', f'{END}\n', [], 1),
    ('refuses a start of branches that stops lines', f'{BEGIN}: why */\n/* GCOV_EXCL_STOP */\n', [], 1),
]
COVERED, HALF, NEVER = (3, [1, 2]), (3, [3, 0]), (0, [0, 0])
# what, lines of src/a.c, its marks, complaints beside those of directories that have no lines
JUDGED = [
    ('is content when every branch is taken', {1: COVERED}, [], 0),
    ('sees a branch that is not taken', {1: COVERED, 2: HALF}, [], 1),
    ('leaves out the branches of a marked line', {1: COVERED, 2: HALF}, [(2, 2, True, 'why')], 0),
    ('refuses a mark that is not needed', {1: COVERED, 2: COVERED}, [(2, 2, True, 'why')], 1),
    ('refuses a mark where there is no code', {1: COVERED}, [(7, 7, True, 'why')], 1),
    ('leaves out a marked line that never ran', {1: COVERED, 2: NEVER}, [(2, 2, False, 'why')], 0),
    ('does not take one line for another', {1: COVERED, 2: HALF, 3: HALF},
     [(2, 2, True, 'why')], 1),
]


def self_test():
    empty = len(BARS) - 1  # directories that are not src itself
    results = [(what, [(a, b) for a, b, *_ in marks(text)[0]] == want
                and len(marks(text)[1]) == bad) for what, text, want, bad in MARKS]
    results += [(what, len(judge({'src/a.c': lines}, {'src/a.c': marked})[1]) - empty == bad)
                for what, lines, marked, bad in JUDGED]
    results.append(('is not content with nothing', len(judge({}, {})[1]) == len(BARS)))
    print(f'1..{len(results)}')
    for n, (what, good) in enumerate(results, 1):
        print(f'{"ok" if good else "not ok"} {n} - {what}')
    return 0 if all(good for _, good in results) else 1


def main(args):
    if args == ['--self-test']:
        return self_test()
    if args == ['--marks']:
        found, bad = all_marks()
        print('\n'.join(bad) if bad else f'coverage marks: {sum(map(len, found.values()))}')
        return 1 if bad else 0
    if len(args) == 3 and args[1] == '--missing':
        missing(measure(Path(args[0]).resolve()), all_marks()[0], args[2])
        return 0
    if len(args) != 1 or args[0].startswith('-'):
        print(__doc__, file=sys.stderr)
        return 2
    return report(Path(args[0]).resolve())


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
