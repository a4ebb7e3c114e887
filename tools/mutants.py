#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds one bug after the other and looks whether a test fails: a bug that no test sees is a test
that is missing.

Each tests/mutants/NN-name.patch is a unified diff. Its first line says what the bug would mean, an
optional second one names the tests that see it (`# killed by: policy, vectors`), to be run first.
A hunk applies where its old lines occur, once, wherever that is in the file; one that does not is
an error, as is a mutant that does not compile. Works in copies of the tree in build-mutants.
Usage: mutants.py [--sample N] [--seed S] [--jobs N] [--named] [--list] [NAME...]
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
WORK = TOP / 'build-mutants'
PATCHES = Path('tests/mutants')
# A mutant may leave something unused or write past an end; -O0 because it compiles fastest.
OPTIONS = ('--buildtype=debug', '-Doptimization=0', '-Dwerror=false')
TIMEOUT = 120  # seconds: a test that hangs has seen the bug
# Tests of the project's own tools and of an installation say nothing about the code.
NOT_TESTS = ('demo', 'install', 'manual pages', 'completions', 'testsum', 'layers', 'fences',
             'constant time', 'coverage', 'conformance self-test', 'conformance maps', 'wireshark',
             'doc', 'published vectors are up to date')
# The slow ones, after all others.
LATE = ('handlers', 'message', 'every vector', 'published vectors', 'vectors', 'rsa', 'compat_gst',
        'kms-restart', 'kms-daemon', 'cli scenario')


class Broken(Exception):
    """The mutant itself is wrong, which is not the same as killed."""


def run(command, **how):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **how)


# --- patches ------------------------------------------------------------------------------------

def hunks(text):
    """[(file, old text, new text)] of a unified diff; line numbers are not looked at."""
    found, name, old, new = [], None, None, None
    for line in text.splitlines(keepends=True):
        if line.startswith('--- '):
            name = None
        elif line.startswith('+++ '):
            name = line[4:].strip().removeprefix('b/')
        elif line.startswith('@@'):
            old, new = [], []
            found.append((name, old, new))
        elif old is not None and line[:1] in (' ', '-', '+'):
            if line[0] != '+':
                old.append(line[1:])
            if line[0] != '-':
                new.append(line[1:])
    return [(name, ''.join(old), ''.join(new)) for name, old, new in found]


class Mutant:
    def __init__(self, path):
        self.name = path.stem
        text = path.read_text(encoding='utf-8')
        head = [line[1:].strip() for line in text.splitlines() if line.startswith('#')]
        self.meaning = head[0] if head else ''
        self.hunks = hunks(text)
        self.first = [t.strip() for line in head if line.startswith('killed by:')
                      for t in line.removeprefix('killed by:').split(',')]
        if not self.meaning or not self.hunks:
            raise Broken(f'{path}: needs a first line that says what the bug means, and a hunk')

    def apply(self, tree):
        """Changes the tree; returns {path: text before}."""
        before = {}
        try:
            for name, old, new in self.hunks:
                path = tree / name
                if not path.is_file():
                    raise Broken(f'no longer applies: there is no {name}')
                text = path.read_text(encoding='utf-8')
                if text.count(old) != 1:
                    raise Broken(f'no longer applies: its lines occur {text.count(old)} times '
                                 f'in {name}')
                before.setdefault(path, text)
                path.write_text(text.replace(old, new), encoding='utf-8')
        except Broken:
            revert(before)
            raise
        return before


def revert(before):
    for path, text in before.items():
        path.write_text(text, encoding='utf-8')


# --- a tree with its build ----------------------------------------------------------------------

class Tree:
    def __init__(self, number):
        self.root = WORK / str(number)
        self.tree = self.root / 'tree'
        self.build = self.root / 'build'

    def refresh(self):
        """Copies what differs, so that an unchanged tree is not built again."""
        listed = run(['git', '-C', str(TOP), 'ls-files', '-z', '-co', '--exclude-standard'])
        names = {n for n in listed.stdout.decode().split('\0')
                 if n and (TOP / n).is_file() and not (TOP / n).is_symlink()}
        for name in names:
            new, old = TOP / name, self.tree / name
            if old.is_file() and old.read_bytes() == new.read_bytes():
                continue
            old.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(new, old)
        for path in list(self.tree.rglob('*')):
            if path.is_file() and str(path.relative_to(self.tree)) not in names:
                path.unlink()

    def configure(self):
        if not (self.build / 'build.ninja').is_file():
            done = run(['meson', 'setup', str(self.build), str(self.tree), *OPTIONS])
            if done.returncode != 0:
                raise Broken('meson setup failed:\n' + done.stdout.decode())
        self.ninja()  # also reads changed meson.build files again, before the tests are listed
        self.tests = self.introspect()

    def ninja(self, *targets):
        done = run(['ninja', '-C', str(self.build), '-j', '2', '--quiet', *targets])
        if done.returncode != 0:
            raise Broken('does not compile:\n' + done.stdout.decode()[-3000:])

    def meson(self, what):
        done = subprocess.run(['meson', 'introspect', str(self.build), what], check=True,
                              stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def introspect(self):
        """{name: test}, each with the files that ninja must make for it."""
        files = {t['id']: t['filename'] for t in self.meson('--targets')}
        outputs = {f for made in files.values() for f in made}
        tests = {}
        for test in self.meson('--tests'):
            if test['name'].startswith(NOT_TESTS):
                continue
            made = {str(Path(f).relative_to(self.build))
                    for d in test['depends'] for f in files.get(d, [])}
            made |= {str(Path(a).relative_to(self.build)) for a in test['cmd'] if a in outputs}
            tests[test['name']] = {**test, 'made': sorted(made)}
        return tests

    def fails(self, test):
        """None when the test passes, else what it said."""
        self.ninja(*test['made'])
        env = {**os.environ, **test['env'], 'MALLOC_PERTURB_': '165'}
        cwd = test['workdir'] or self.build
        try:
            done = run(test['cmd'], env=env, cwd=cwd, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return 'timeout'
        said = done.stdout.decode(errors='replace')
        if done.returncode != 0 or '\nnot ok' in '\n' + said:
            return said or f'exit {done.returncode}'
        return None


def order(tests, first, named=False):
    unknown = [name for name in first if name not in tests]
    if unknown:
        raise Broken(f'names a test that does not exist: {", ".join(unknown)}')
    if named and first:
        return first
    rest = sorted((n for n in tests if n not in first), key=lambda n: (n in LATE, LATE.index(n)
                                                                       if n in LATE else 0))
    return [*first, *rest]


# --- the run ------------------------------------------------------------------------------------

def judge(tree, mutant, named):
    """(verdict, text): killed, SURVIVED or BROKEN."""
    try:
        tests = order(tree.tests, mutant.first, named)
        before = mutant.apply(tree.tree)
    except Broken as why:
        return 'BROKEN', str(why)
    try:
        for number, name in enumerate(tests):
            if tree.fails(tree.tests[name]):
                late = mutant.first and number >= len(mutant.first)
                return 'killed', name + (', not by the test it names' if late else '')
        return 'SURVIVED', mutant.meaning
    except Broken as why:
        return 'BROKEN', str(why)
    finally:
        revert(before)


def sound(tree):
    """The tests pass before anything is changed, or every mutant would seem killed."""
    said = {name: tree.fails(tree.tests[name]) for name in order(tree.tests, [])}
    bad = [name for name in said if said[name]]
    for name in bad:
        print(f'== {name}\n{said[name][-3000:]}')
    if bad:
        sys.exit(f'mutants: without any mutant these tests fail: {", ".join(bad)}')


def work(tree, queue, verdicts, lock, named):
    while True:
        with lock:
            if not queue:
                return
            mutant = queue.pop(0)
        verdict, text = judge(tree, mutant, named)
        with lock:
            verdicts.append(verdict)
            by = 'killed by ' if verdict == 'killed' else verdict + ': '
            print(f'{mutant.name:<44} {by}{text}', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--sample', type=int, metavar='N', help='only N of them, by chance')
    parser.add_argument('--seed', type=int, default=None, help='of the chance')
    parser.add_argument('--jobs', type=int, default=2, choices=(1, 2))
    parser.add_argument('--named', action='store_true', help='run only the tests that each names')
    parser.add_argument('--list', action='store_true', help='print what each would mean')
    parser.add_argument('names', nargs='*')
    args = parser.parse_args()

    try:
        mutants = [Mutant(p) for p in sorted((TOP / PATCHES).glob('*.patch'))]
    except Broken as why:
        sys.exit(f'mutants: {why}')
    if args.names:
        mutants = [m for m in mutants if any(n in m.name for n in args.names)]
    if args.sample is not None:
        seed = args.seed if args.seed is not None else random.randrange(1 << 32)
        print(f'{args.sample} of {len(mutants)} mutants, seed {seed}')
        mutants = sorted(random.Random(seed).sample(mutants, min(args.sample, len(mutants))),
                         key=lambda m: m.name)
    if not mutants:
        sys.exit('mutants: there is none of that name')
    if args.list:
        for m in mutants:
            print(f'{m.name:<44} {m.meaning}')
        return
    trees = [Tree(n) for n in range(min(args.jobs, len(mutants)))]
    for tree in trees:
        tree.refresh()
        tree.configure()
    if not args.named:
        sound(trees[0])
    queue, verdicts, lock = list(mutants), [], threading.Lock()
    threads = [threading.Thread(target=work, args=(t, queue, verdicts, lock, args.named)) for t in trees]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    survived = len(mutants) - verdicts.count('killed')
    print(f'{verdicts.count("killed")} killed, {survived} survived')
    sys.exit(1 if survived else 0)


if __name__ == '__main__':
    main()
