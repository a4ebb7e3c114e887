#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What mikey-kmsctl says to somebody who mistypes, or asks when there is nothing to tell, and how it ends then.
Usage: test_words.py BUILD_DIR. Prints TAP."""

import subprocess
import sys

from rig import Kms, run_tests

ALICE, BOB = 'sip:alice@example.com', 'sip:bob@example.com'

# words, what is said of them; the exit code is 2
MISTAKES = [
    ((), 'a command is needed'),
    (('frob',), 'there is no command "frob"'),
    (('frob', 'list'), 'there is no command "frob"'),
    (('user',), 'what is to be done with user'),
    (('user', 'frob'), 'there is no command "user frob"'),
    (('user', 'list', '--realm', 'x'), '--realm does not belong to the command list'),
    (('user', 'list', '--json', '--json'), '--json is given twice'),
    (('user', 'list', 'more'), 'too many words after list'),
    (('user', 'add', ALICE, '--psk-id'), "option '--psk-id' requires an argument"),
    (('user', 'list', '--frob'), "unrecognized option '--frob'"),
    (('audit', 'list', '--limit', '-1'), '--limit: too many, or not a number'),
    (('limits', 'lift', 'source'), 'missing after lift'),
]


def a_mistake_is_called_by_its_name(scene):
    for words, said in MISTAKES:
        done = scene.ctl(*words)
        assert done.returncode == 2 and said in done.stderr, (words, done)
        assert 'Try mikey-kmsctl --help.' in done.stderr and 'not known' not in done.stderr, (words, done)


def a_list_that_does_not_fit_on_the_disk_is_no_success(scene):
    scene.add_users('alice')
    for words in (('user', 'list'), ('user', 'list', '--json'), ('audit', 'list'), ('kek', 'status'), ('--help',),
                  ('--version',)):
        with open('/dev/full', 'w', encoding='ascii') as full:
            done = subprocess.run([scene.build / 'kms/mikey-kmsctl', '--config', 'kms.yaml', *words], cwd=scene.dir,
                                  stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
        assert done.returncode == 1 and 'could not be written: No space left' in done.stderr, (words, done)


TESTS = [
    a_mistake_is_called_by_its_name,
    a_list_that_does_not_fit_on_the_disk_is_no_success,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: Kms(sys.argv[1]), lambda scene: scene.close()))
