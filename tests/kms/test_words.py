#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What mikey-kmsctl says to somebody who mistypes, or asks when there is nothing to tell, and how it ends then.
Usage: test_words.py BUILD_DIR. Prints TAP."""

import json
import os
import re
import subprocess
import sys

from rig import Kms, run_tests, until

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


def the_audit_says_who_did_what_to_whom(scene):
    scene.add_users('alice', 'bob')
    scene.start()
    url = f'udp://127.0.0.1:{scene.port("udp")}'
    wrong = (scene.dir / 'alice.cred').read_text(encoding='utf-8').splitlines()
    scene.write('wrong.cred', '\n'.join('psk: ' + '5a' * 32 if line.startswith('psk:') else line for line in wrong))
    for who, code in (('alice', 0), ('wrong', 3)):
        done = scene.ticket('request', '--credentials', f'{who}.cred', '--kms', url, '--to', BOB, '--out', f'{who}.mkt')
        assert done.returncode == code, done
    scene.ticket('offer', '--credentials', 'alice.cred', '--ticket', 'alice.mkt', '--to', BOB, '--out', 'offer', '--state',
                 'state')
    done = scene.ticket('answer', '--credentials', 'bob.cred', '--kms', url, '--offer', 'offer', '--out', 'answer',
                        '--session', 'session')
    assert done.returncode == 0, done
    scene.ctl('user', 'suspend', ALICE)
    scene.ctl('user', 'suspend', 'sip:nobody@example.com')
    lines = scene.ctl('audit', 'list').stdout.splitlines()
    told = [line[28:] for line in lines]
    for varies, word in ((r'ticket [0-9a-f]{32}', 'ticket T'), (r'127\.0\.0\.1:\d+', 'ADDRESS'),
                         (r'\S+ \(security-officer\)', 'I')):
        told = [re.sub(varies, word, line) for line in told]
    for line in (f'admin    done      I user-add identity={ALICE} psk-id=alice-',
                 f'issue    answered  {ALICE} -> {BOB} ticket T',
                 f'resolve  answered  {ALICE} -> {BOB} ticket T by {BOB}',
                 f'refuse   refused   claimed {ALICE} -> - ticket - from ADDRESS AUTH: V',
                 f'admin    done      I user-change {ALICE} suspended=true',
                 'admin    refused   I user-change sip:nobody@example.com suspended=true: sip:nobody@example.com is no user'):
        assert any(t.startswith(line) for t in told), (line, told)
    about = scene.ctl('audit', 'search', '--who', ALICE, '--event', 'admin').stdout
    assert 'user-add' in about and 'user-change' in about and BOB not in about, about


def a_test_of_the_policy_tells_who_could_not_even_ask(scene):
    scene.add_users('alice', 'bob')
    scene.ctl('user', 'suspend', BOB)
    question = ('policy', 'test', '--to', BOB)
    done = scene.ctl(*question, '--as', ALICE)
    assert done.returncode == 0 and done.stderr == '', done
    done = scene.ctl(*question, '--as', 'sip:alcie@example.com')
    assert 'sip:alcie@example.com is no user of this KMS' in done.stderr, done
    done = scene.ctl(*question, '--as', ALICE, '--resolve', '--json')
    assert done.returncode == 0 and f'{BOB} is no user of this KMS, or is suspended' in done.stderr, done
    assert json.loads(done.stdout)['stranger'] == BOB, done
    scene.ctl('user', 'resume', BOB)
    done = scene.ctl(*question, '--as', ALICE, '--resolve', '--json')
    assert done.stderr == '' and json.loads(done.stdout)['stranger'] is None, done
    scene.configure('pk_users: any\n')
    done = scene.ctl(*question, '--as', 'sip:alcie@example.com')
    assert done.stderr == '', done  # with a certificate everybody is a user


def a_list_of_the_daemon_has_a_heading_and_says_when_it_is_empty(scene):
    scene.listen = ('http://127.0.0.1:0',)
    scene.configure('limits: {source_minute: 1}\n')
    scene.add_users('alice')
    scene.start()
    assert scene.ctl('limits', 'list').stdout == 'Nobody was refused for a rate, or locked out, within the last hour.\n'
    assert scene.ctl('peers', 'list').stdout == 'The configuration names no other KMS.\n'
    assert scene.ctl('limits', 'list', '--json').stdout.split() == ['[]']
    assert 'as before' in scene.ctl('reload').stdout
    for _ in range(2):
        scene.ticket('request', '--credentials', 'alice.cred', '--kms', scene.urls[0], '--to', BOB, '--out', 'ticket',
                     '--timeout', '1')
    told = scene.ctl('limits', 'list').stdout.splitlines()
    assert told[0].split() == ['KIND', 'NAME', 'STATE', 'REFUSED', 'SECONDS'] and told[1].startswith('source '), told


def what_cannot_be_lifted_or_reloaded_has_the_exit_code_of_the_manual(scene):
    scene.start()
    for words, code in ((('limits', 'lift', 'source', '192.0.2.1'), 4), (('limits', 'lift', 'source', '192.0.2'), 2),
                        (('limits', 'lift', 'house', 'x'), 2)):
        done = scene.ctl(*words)
        assert done.returncode == code and done.stderr, (words, done)
    scene.configure('policy: gone.yaml\n')
    done = scene.ctl('reload')
    assert done.returncode == 3 and 'gone.yaml' in done.stderr, done
    scene.configure('')
    scene.stop()
    for words in (('reload',), ('status',), ('limits', 'list'), ('peers', 'list'), ('limits', 'lift', 'source', '::1')):
        done = scene.ctl(*words)
        assert done.returncode == 1 and 'no daemon listens on' in done.stderr, (words, done)


def a_store_that_is_gone_is_not_made_anew_under_the_daemon(scene):
    scene.add_users('alice')
    scene.start()
    (scene.dir / 'kms.db').rename(scene.dir / 'elsewhere.db')
    for words in (('user', 'list'), ('user', 'add', BOB, '--no-psk'), ('tpk', 'rotate')):
        done = scene.ctl(*words)
        assert done.returncode == 4 and 'kms.db: is gone' in done.stderr, (words, done)
    assert not (scene.dir / 'kms.db').exists()
    (scene.dir / 'elsewhere.db').rename(scene.dir / 'kms.db')
    done = scene.ctl('user', 'list')
    assert done.returncode == 0 and ALICE in done.stdout, done


def a_slip_in_a_name_revokes_nothing(scene):
    scene.add_users('alice', 'bob')
    scene.ctl('user', 'alias-add', ALICE, 'sip:al@example.com')
    slip = 'sip:alcie@example.com'
    done = scene.ctl('ticket', 'revoke', '--user', slip)
    assert done.returncode == 4 and f'no user {slip}' in done.stderr and '--force' in done.stderr, done
    for name in (ALICE, 'sip:al@example.com'):
        assert scene.ctl('ticket', 'revoke', '--user', name).returncode == 0
    assert scene.ctl('ticket', 'revoke', '--user', slip, '--force').returncode == 0
    scene.start()  # who had a ticket once is known without being a user
    done = scene.ticket('request', '--credentials', 'bob.cred', '--kms', scene.urls[0], '--to', ALICE, '--out', 'ticket')
    assert done.returncode == 0 and scene.ctl('user', 'remove', BOB).returncode == 0, done
    done = scene.ctl('ticket', 'revoke', '--user', BOB)
    assert done.returncode == 0, done


def a_check_finds_what_a_start_would_stumble_over(scene):
    for line, said in (('user: nobody-of-that-name', 'no user nobody-of-that-name'),
                       ('group: nobodies-of-that-name', 'no group nobodies-of-that-name'),
                       ('control: /tmp/' + 'c' * 110, 'at most 107 octets')):
        scene.configure(line + '\n')
        done = scene.run('kms/mikey-kmsd', '--config', 'kms.yaml', '--check')
        assert done.returncode == 3 and said in done.stderr, (line, done)


def an_account_that_this_machine_does_not_have_ends_no_daemon(scene):
    scene.start()
    for badge in ('name: x, user: nobody-of-that-name', 'group: nobodies-of-that-name'):
        before = scene.log().count('configuration-unusable')
        scene.configure('api: {people: [{role: read, ' + badge + '}]}\n')
        scene.hangup()  # the daemon asks for the account under its filter of system calls
        assert until(lambda n=before: scene.log().count('configuration-unusable') > n), scene.log()
    scene.configure('')
    assert scene.ctl('status').returncode == 0 and scene.stop() == 0


def redirected(scene, how, program, *words):
    """A program whose standard input, output or error is elsewhere, or closed."""
    return subprocess.Popen(['sh', '-c', f'exec "$0" "$@" {how}', scene.build / program, '--config', 'kms.yaml', *words],
                            cwd=scene.dir, stderr=subprocess.PIPE, text=True)


def serves_with(scene, how):
    scene.process = redirected(scene, how, 'kms/mikey-kmsd')
    scene.process.stdout = scene.process.stderr  # for stop
    assert until(lambda: scene.ctl('status').returncode == 0), (how, scene.process.poll())


def the_daemon_serves_wherever_its_output_goes(scene):
    for how in ('>/dev/null', '>>out', '2>/dev/null >/dev/null </dev/null', '>/dev/full 2>/dev/full'):
        serves_with(scene, how)
        assert scene.stop() == 0, how


def no_file_or_socket_takes_the_place_of_a_closed_output(scene):
    scene.add_users('alice')
    serves_with(scene, '<&- >&- 2>&-')
    for fd in '012':
        assert os.readlink(f'/proc/{scene.process.pid}/fd/{fd}') == '/dev/null', fd
    scene.stop()
    for words in (('user', 'add', BOB), ('user', 'list'), ('audit', 'list')):
        done = redirected(scene, '>&-', 'kms/mikey-kmsctl', *words)
        said = done.communicate(timeout=60)[1]
        assert done.returncode == 1 and 'could not be written: Bad file descriptor' in said, (words, said)


TESTS = [
    a_mistake_is_called_by_its_name,
    a_list_that_does_not_fit_on_the_disk_is_no_success,
    the_audit_says_who_did_what_to_whom,
    a_test_of_the_policy_tells_who_could_not_even_ask,
    a_list_of_the_daemon_has_a_heading_and_says_when_it_is_empty,
    what_cannot_be_lifted_or_reloaded_has_the_exit_code_of_the_manual,
    a_store_that_is_gone_is_not_made_anew_under_the_daemon,
    a_slip_in_a_name_revokes_nothing,
    a_check_finds_what_a_start_would_stumble_over,
    an_account_that_this_machine_does_not_have_ends_no_daemon,
    the_daemon_serves_wherever_its_output_goes,
    no_file_or_socket_takes_the_place_of_a_closed_output,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: Kms(sys.argv[1]), lambda scene: scene.close()))
