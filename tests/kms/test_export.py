#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A key leaves the KMS by two people, once, in time, and sealed. Usage: test_export.py BUILD_DIR. Prints
TAP."""

import json
import sqlite3
import sys

from rig import Kms, run_tests, until
from rig_api import Scene as ApiScene

TPK = 'tpk-1-256'


class Scene(ApiScene):
    """A daemon with two security officers, whose keys can be looked up in the store."""

    kek = ''

    def key(self):
        with sqlite3.connect(self.dir / 'kms.db') as db:
            return db.execute('SELECT key FROM tpk WHERE id = ?', (TPK,)).fetchone()[0]

    def ask(self, who='officer'):
        answer = self.as_certificate(who, 'POST', '/v1/exports', {'tpk-id': TPK})
        assert answer.status == 200 and answer.json['asked-by'] == who, answer
        return answer.json['number']

    def approve(self, number, who='second'):
        return self.as_certificate(who, 'POST', f'/v1/exports/{number}/approve')

    def take(self, number, who='officer', passphrase='correct horse battery'):
        return self.as_certificate(who, 'POST', f'/v1/exports/{number}/take', {'passphrase': passphrase})

    def refused(self, answer, why):
        assert answer.status == 409 and why in answer.json['detail'], answer


def two_people_export_a_key_that_opens_with_the_passphrase_alone(scene):
    scene.start()
    number = scene.ask()
    assert scene.approve(number).status == 200
    taken = scene.take(number)
    assert taken.status == 200 and taken.json['approved-by'] == 'second', taken
    key = scene.key().hex()
    assert key not in taken.text
    scene.write('key.export', json.dumps({'kms': 'sip:kms@example.com', 'tpk-id': TPK,
                                          'sealed': taken.json['sealed']}))
    scene.write('secret', 'correct horse battery\n')
    scene.write('other', 'correct horse batteries\n')
    done = scene.ctl('export', 'open', 'key.export', '--out', 'key.tpk', '--secret', 'other')
    assert done.returncode == 1 and 'passphrase' in done.stderr, done
    done = scene.ctl('export', 'open', 'key.export', '--out', 'key.tpk', '--secret', 'secret', '--json')
    assert done.returncode == 0 and json.loads(done.stdout)['file'] == 'key.tpk', done
    assert key not in done.stdout
    assert f'tpk: "{key}"' in (scene.dir / 'key.tpk').read_text(encoding='ascii')
    sealed = taken.json['sealed']
    scene.write('key.export', json.dumps({'kms': 'sip:kms@example.com', 'tpk-id': 'tpk-1-128', 'sealed': sealed}))
    done = scene.ctl('export', 'open', 'key.export', '--out', 'other.tpk', '--secret', 'secret')
    assert done.returncode == 1, done  # another name


def a_sealed_key_leaves_as_it_is_used(scene):
    scene.kek = Kms.kek
    scene.write_config(scene.rows)
    scene.start()
    assert (scene.dir / 'kms.kek').exists()
    scene.write('secret', 'correct horse battery\n')
    keys = []
    for i in range(2):
        number = str(json.loads(scene.ctl('tpk', 'export', TPK, '--json').stdout)['number'])
        assert scene.approve(number).status == 200
        done = scene.ctl('export', 'take', number, '--out', f'export-{i}', '--secret', 'secret')
        assert done.returncode == 0, done
        done = scene.ctl('export', 'open', f'export-{i}', '--out', f'tpk-{i}', '--secret', 'secret')
        assert done.returncode == 0, done
        keys.append((scene.dir / f'tpk-{i}').read_text(encoding='ascii'))
    sealed = [json.loads((scene.dir / f'export-{i}').read_text(encoding='ascii'))['sealed'] for i in range(2)]
    assert keys[0] == keys[1] and sealed[0] != sealed[1]
    assert scene.key().hex() not in keys[0] and 'suite: 256' in keys[0]


def a_vault_of_its_own_gives_no_key_to_anybody(scene):
    scene.kek = Kms.kek + 'vault: process\n'
    scene.write_config(scene.rows)
    scene.start()
    scene.refused(scene.as_certificate('officer', 'POST', '/v1/exports', {'tpk-id': TPK}), 'gives no key out')


def one_person_is_not_two_whatever_is_shown(scene):
    scene.start()
    number = scene.ask()
    scene.refused(scene.approve(number, 'officer'), 'another person')
    answer = scene.as_uid('officer', 'POST', f'/v1/exports/{number}/approve')  # the same name by uid
    scene.refused(answer, 'another person')
    scene.refused(scene.take(number), 'approved')
    assert scene.approve(number).status == 200
    scene.refused(scene.approve(number, 'officer'), 'another person')
    assert scene.take(number).status == 200


def who_approves_cannot_take_it(scene):
    scene.start()
    number = scene.ask('second')
    assert scene.approve(number, 'officer').status == 200
    scene.refused(scene.take(number, 'officer'), 'only who asked')
    scene.refused(scene.approve(number, 'officer'), 'already')
    answer = scene.unix('POST', f'/v1/exports/{number}/take', {'passphrase': 'correct horse battery'})
    scene.refused(answer, 'only who asked')
    assert scene.take(number, 'second').status == 200


def it_is_taken_once(scene):
    scene.start()
    number = scene.ask()
    assert scene.approve(number).status == 200
    assert scene.take(number, passphrase='too short').status == 400  # before it counts
    assert scene.take(number).status == 200
    scene.refused(scene.take(number), 'no such export')
    scene.refused(scene.approve(number), 'no such export')
    assert scene.ask() != number


def it_runs_out(scene):
    scene.write_config(scene.rows + '  export_time: 1s\n')
    scene.start()
    number = scene.ask()
    assert scene.approve(number).status == 200
    assert until(lambda: not scene.as_certificate('second', 'GET', '/v1/exports').json['exports'])
    scene.refused(scene.take(number), 'run out')


def it_can_be_withdrawn_and_a_restart_forgets_it(scene):
    scene.start()
    number = scene.ask()
    assert scene.approve(number).status == 200
    assert scene.as_certificate('second', 'DELETE', f'/v1/exports/{number}').status == 200
    scene.refused(scene.take(number), 'no such export')
    number = scene.ask()
    assert scene.approve(number).status == 200
    scene.stop()
    scene.start()
    scene.refused(scene.take(number), 'no such export')


def a_key_that_is_not_there_is_not_asked_for(scene):
    scene.start()
    answer = scene.as_certificate('officer', 'POST', '/v1/exports', {'tpk-id': 'tpk-9-256'})
    assert answer.status == 404, answer
    for number in ('0', '-1', 'x', '99999999999999999999'):
        scene.refused(scene.take(number), 'no such export')
    for _ in range(16):
        scene.ask()
    scene.refused(scene.as_certificate('officer', 'POST', '/v1/exports', {'tpk-id': TPK}), 'wait already')


def each_step_is_on_record_and_no_key_or_passphrase_is(scene):
    scene.start()
    number = scene.ask()
    scene.approve(number, 'officer')
    scene.approve(number)
    scene.take(number)
    key = scene.key()
    scene.stop()
    seen = [(r['action'], r['who'], r['outcome']) for r in scene.records()]
    assert seen == [('export-ask', 'officer', 'done'), ('export-approve', 'officer', 'refused'),
                    ('export-approve', 'second', 'done'), ('export-take', 'officer', 'done')], seen
    assert scene.records()[0]['with'] == [f'tpk-id={TPK}'] and scene.records()[3]['with'] == []
    everything = scene.log().encode() + b''.join(p.read_bytes() for p in (scene.dir / 'audit').glob('*.jsonl'))
    for secret in (key, key.hex().encode(), b'correct horse'):
        assert secret not in everything


def the_tool_does_the_steps(scene):
    scene.write('secret', 'correct horse battery\n')
    scene.start()
    done = scene.ctl('tpk', 'export', TPK, '--json')
    assert done.returncode == 0, done
    number = str(json.loads(done.stdout)['number'])
    done = scene.ctl('export', 'approve', number)
    assert done.returncode == 4 and 'another person' in done.stderr, done
    assert scene.approve(number).status == 200
    assert 'approved' in scene.ctl('export', 'list').stdout
    scene.write('there', 'precious')
    done = scene.ctl('export', 'take', number, '--out', 'there', '--secret', 'secret')
    assert done.returncode == 1 and 'File exists' in done.stderr, done
    done = scene.ctl('export', 'take', number, '--out', 'key.export', '--secret', 'secret')
    assert done.returncode == 0, done
    done = scene.ctl('export', 'open', 'key.export', '--out', 'key.tpk', '--secret', 'secret')
    assert done.returncode == 0 and scene.key().hex() in (scene.dir / 'key.tpk').read_text(encoding='ascii'), done
    number = str(json.loads(scene.ctl('tpk', 'export', TPK, '--json').stdout)['number'])
    assert scene.ctl('export', 'withdraw', number).returncode == 0
    scene.stop()
    done = scene.ctl('tpk', 'export', TPK)  # there are no two people in one process
    assert done.returncode == 1 and 'running daemon' in done.stderr, done


TESTS = [
    two_people_export_a_key_that_opens_with_the_passphrase_alone,
    a_sealed_key_leaves_as_it_is_used,
    a_vault_of_its_own_gives_no_key_to_anybody,
    one_person_is_not_two_whatever_is_shown,
    who_approves_cannot_take_it,
    it_is_taken_once,
    it_runs_out,
    it_can_be_withdrawn_and_a_restart_forgets_it,
    a_key_that_is_not_there_is_not_asked_for,
    each_step_is_on_record_and_no_key_or_passphrase_is,
    the_tool_does_the_steps,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: Scene(sys.argv[1]), lambda scene: scene.close()))
