#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that each program and its manual page name the same commands and options.

The program's own --help is the truth: an option that it knows and the page does not, or the other
way round, is an error. Usage: doccheck.py SOURCE_DIR BUILD_DIR. Prints TAP.
"""

import re
import subprocess
import sys
from pathlib import Path

# program, manual page
PROGRAMS = [
    ('cli/mikey-ticket', 'man/mikey-ticket.1.scd'),
]
OPTION = re.compile(r'(?<![\w-])--[a-z][a-z-]*')
COMMANDS = re.compile(r'^Commands:\n((?:  .*\n)+)', re.M)


def help_of(program, *args):
    run = subprocess.run([program, *args, '--help'], capture_output=True, text=True, check=False,
                         stdin=subprocess.DEVNULL, timeout=20)
    if run.returncode != 0 or not run.stdout:
        raise RuntimeError(f'{" ".join(map(str, (program, *args)))} --help: exit {run.returncode}')
    return run.stdout


def commands_in(text):
    found = COMMANDS.search(text)
    return [line.split()[0] for line in found.group(1).splitlines() if line[2] != ' '] if found else []


def options_in(text):
    return set(OPTION.findall(text))


def compare(program, page):
    """What is wrong, as a list of sentences."""
    text = help_of(program)
    commands = commands_in(text)
    for command in commands:
        text += help_of(program, command)
    known, told = options_in(text), options_in(page)
    wrong = [f'the page does not name {o}' for o in sorted(known - told)]
    wrong += [f'the program does not know {o}' for o in sorted(told - known)]
    wrong += [f'the page does not show the command {c}' for c in commands if f'*{c}*' not in page]
    return wrong


def main(source, build):
    print(f'1..{len(PROGRAMS)}')
    failed = 0
    for n, (program, page) in enumerate(PROGRAMS, 1):
        try:
            wrong = compare(build / program, (source / page).read_text(encoding='utf-8'))
        except (OSError, RuntimeError, subprocess.TimeoutExpired) as e:
            wrong = [str(e)]
        failed += bool(wrong)
        print(f'{"not ok" if wrong else "ok"} {n} - {page} tells what {program} takes')
        print(''.join(f'# {w}\n' for w in wrong), end='')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
