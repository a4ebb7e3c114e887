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

# program, manual page, what is compared
CHECKS = [
    ('cli/mikey-ticket', 'man/mikey-ticket.1.scd', 'options'),
    ('phone/mikey-phone', 'man/mikey-phone.1.scd', 'options'),
    ('kms/mikey-kmsd', 'man/mikey-kmsd.8.scd', 'options'),
    ('kms/mikey-kmsctl', 'man/mikey-kmsctl.8.scd', 'options'),
    ('kms/mikey-kmsd', 'man/mikey-kmsd.conf.5.scd', 'configuration'),
]
OPTIONAL = {'phone/mikey-phone'}  # where its libraries are
HELP_OF_EACH_COMMAND = {'cli/mikey-ticket'}
OPTION = re.compile(r'(?<![\w-])--[a-z][a-z-]*')
COMMANDS = re.compile(r'^Commands:\n((?:  .*\n)+)', re.M)
CONFIGURATION = re.compile(r'^Options of the configuration:\n((?:  .*\n)+)', re.M)


def help_of(program, *args):
    run = subprocess.run([program, *args, '--help'], capture_output=True, text=True, check=False,
                         stdin=subprocess.DEVNULL, timeout=20)
    if run.returncode != 0 or not run.stdout:
        raise RuntimeError(f'{" ".join(map(str, (program, *args)))} --help: exit {run.returncode}')
    return run.stdout


def rows(section, text):
    """The lines of a section of the help that are not continued from the line before."""
    found = section.search(text)
    return [line.strip() for line in found.group(1).splitlines() if line[2] != ' '] if found else []


def command_name(row):
    """The words before the first argument: "user add IDENTITY ..." -> "user add"."""
    return re.match(r'[a-z-]+(?: [a-z][a-z-]*(?= [A-Z[-]|$))?', row).group(0)


def options_in(text):
    return set(OPTION.findall(text))


def compare_options(name, program, page):
    """What is wrong, as a list of sentences."""
    text = help_of(program)
    commands = [command_name(row) for row in rows(COMMANDS, text)]
    if name in HELP_OF_EACH_COMMAND:
        text += ''.join(help_of(program, command) for command in commands)
    known, told = options_in(text), options_in(page)
    wrong = [f'the page does not name {o}' for o in sorted(known - told)]
    wrong += [f'the program does not know {o}' for o in sorted(told - known)]
    wrong += [f'the page does not show the command {c}' for c in commands if f'*{c}*' not in page]
    return wrong


def compare_configuration(_, program, page):
    known = {row.split()[0] for row in rows(CONFIGURATION, help_of(program))}
    body = page.partition('\n# OPTIONS\n')[2].partition('\n# EXAMPLE\n')[0]
    told = set(re.findall(r'\*([a-z0-9_.]+)\*', '\n'.join(re.findall(r'^\*.*$', body, re.M))))
    wrong = [] if known else ['the program lists no configuration']
    wrong += [f'the page does not name {o}' for o in sorted(known - told)]
    return wrong + [f'the program does not know {o}' for o in sorted(told - known)]


COMPARE = {'options': compare_options, 'configuration': compare_configuration}


def main(source, build):
    print(f'1..{len(CHECKS)}')
    failed = 0
    for n, (program, page, what) in enumerate(CHECKS, 1):
        if program in OPTIONAL and not (build / program).exists():
            print(f'ok {n} - {page} # SKIP {program} is not built')
            continue
        try:
            text = (source / page).read_text(encoding='utf-8')
            wrong = COMPARE[what](program, build / program, text)
        except (OSError, RuntimeError, subprocess.TimeoutExpired) as e:
            wrong = [str(e)]
        failed += bool(wrong)
        print(f'{"not ok" if wrong else "ok"} {n} - {page} tells the {what} of {program}')
        print(''.join(f'# {w}\n' for w in wrong), end='')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
