#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mikey-kmsctl through the daemon, and by itself where none runs: the same words, the same results, and
all of it on record. Usage: test_tool.py BUILD_DIR. Prints TAP."""

import json
import os
import re
import sqlite3
import subprocess
import sys

from rig import Kms, Skip, run_tests
from rig_api import Scene as ApiScene

KEY = '000102030405060708090a0b0c0d0e0f'
ALICE, BOB, TEAM = 'sip:alice@example.com', 'sip:bob@example.com', 'sip:team@example.com'

# words, exit code, action on record (None: nothing is)
STEPS = [
    (('user', 'add', ALICE, '--psk-id', 'alice-1', '--psk-hex', KEY), 0, 'user-add'),
    (('user', 'add', ALICE, '--psk-id', 'alice-1', '--psk-hex', KEY), 4, 'user-add'),
    (('user', 'add', BOB, '--no-psk', '--realm', 'nowhere'), 4, 'user-add'),
    (('user', 'add', BOB, '--no-psk', '--expires', '2099-01-31', '--json'), 0, 'user-add'),
    (('user', 'suspend', ALICE), 0, 'user-change'),
    (('user', 'suspend', ALICE, '--json'), 0, 'user-change'),
    (('user', 'resume', ALICE), 0, 'user-change'),
    (('user', 'expire', ALICE, 'never'), 0, 'user-change'),
    (('user', 'alias-add', ALICE, 'sip:al@example.com'), 0, 'alias-add'),
    (('user', 'alias-remove', 'sip:al@example.com'), 0, 'alias-remove'),
    (('user', 'alias-remove', 'sip:al@example.com'), 4, 'alias-remove'),
    (('group', 'add', TEAM), 0, 'group-add'),
    (('group', 'add', TEAM), 0, 'group-add'),
    (('group', 'add', 'team'), 2, 'group-add'),
    (('group', 'member-add', TEAM, ALICE), 0, 'member-add'),
    (('group', 'member-add', TEAM, 'sip:*@example.com'), 0, 'member-add'),
    (('group', 'member-remove', TEAM, ALICE), 0, 'member-remove'),
    (('group', 'show', TEAM), 0, None),
    (('user', 'show', ALICE), 0, None),
    (('user', 'show', ALICE, '--json'), 0, None),
    (('user', 'show', 'sip:nobody@example.com'), 4, None),
    (('group', 'show', 'sip:other@example.com'), 4, None),
    (('realm', 'add', 'blue'), 0, 'realm-add'),
    (('realm', 'add', 'Blue'), 2, 'realm-add'),
    (('realm', 'remove', 'blue'), 0, 'realm-remove'),
    (('tpk', 'add', BOB, '--tpk-id', 'bob-1', '--tpk-hex', KEY), 0, 'tpk-add'),
    (('tpk', 'add', BOB, '--tpk-id', 'bob-1', '--tpk-hex', KEY[:-1] + 'e'), 4, 'tpk-add'),
    (('tpk', 'remove', 'bob-1'), 0, 'tpk-remove'),
    (('tpk', 'remove', 'bob-1'), 4, 'tpk-remove'),
    (('import', 'users.csv', '--dry-run'), 0, 'import'),
    (('import', 'users.csv'), 0, 'import'),
    (('import', 'bad.csv'), 1, 'import'),
    (('ticket', 'revoke', '0' * 32), 4, 'ticket-revoke'),
    (('ticket', 'revoke', '0' * 32, '--force'), 0, 'ticket-revoke'),
    (('ticket', 'revoke', '0' * 32, '--undo'), 0, 'ticket-restore'),
    (('ticket', 'revoke', '--user', ALICE), 0, 'user-revoke'),
    (('ticket', 'revoke', '--user', ALICE, '--undo', '--json'), 0, 'user-restore'),
    (('ticket', 'issue', '--as', ALICE, '--to', BOB, '--out', 'a.ticket', '--suite', '128'), 0, 'ticket-issue'),
    (('policy', 'test', '--as', ALICE, '--to', BOB), 0, None),
    (('policy', 'show', '--json'), 0, None),
    (('user', 'list', '--json'), 0, None),
    (('audit', 'search', '--since', '1x'), 2, None),
    (('ticket', 'search', '--until', 'yesterday'), 2, None),
    (('user', 'remove', ALICE, '--psk-id', 'alice-1'), 0, 'credential-remove'),
    (('user', 'remove', ALICE, '--json'), 0, 'user-remove'),
    (('user', 'remove', ALICE), 4, 'user-remove'),
]
VARIES = re.compile(r'\d{4}-\d\d-\d\dT[\d:]+Z')


class Scene(Kms):
    """A daemon that ran once, so that there is a key for tickets."""

    def __init__(self, build):
        super().__init__(build)
        self.write('users.csv', f'identity,psk-id,psk\nsip:carol@example.com,carol-1,{KEY}\n')
        self.write('bad.csv', 'identity\nnobody\n')
        self.start()
        self.stop()

    def records(self):
        lines = []
        for path in sorted((self.dir / 'audit').glob('audit-*.jsonl')):
            lines += path.read_text(encoding='ascii').splitlines()
        return [json.loads(line) for line in lines]


def run_steps(scene):
    told = []
    for words, code, _ in STEPS:
        done = scene.ctl(*words)
        assert done.returncode == code, (words, done)
        assert done.stderr or code == 0, words
        if '--json' in words and code == 0:
            json.loads(done.stdout)
        told.append((words, VARIES.sub('TIME', done.stdout), done.stderr))
    return told


def it_does_the_same_with_a_daemon_and_without_and_all_is_on_record(scene):
    told = []
    for transport in ('local', 'api'):
        fresh = Scene(scene.build)
        try:
            if transport == 'api':
                fresh.start()
            told.append(run_steps(fresh))
            fresh.stop()
            done = [r for r in fresh.records() if r['event'] == 'admin']
            assert [r['action'] for r in done] == [s[2] for s in STEPS if s[2]], [r['action'] for r in done]
            for record, (words, code, _) in zip(done, [s for s in STEPS if s[2]]):
                wanted = 'done' if code == 0 or (words[:2] == ('user', 'add') and 'taken' in record.get('why', '')) \
                    else 'refused'
                if words == STEPS[1][0] and code == 4:
                    wanted = 'done'  # it is so already: nothing is changed
                assert record['outcome'] == wanted and record['transport'] == transport, (words, record)
                assert record['role'] == 'security-officer'
            verified = fresh.ctl('audit', 'verify')
            assert verified.returncode == 0, verified
        finally:
            fresh.close()
    for local, api in zip(*told):
        assert local == api, (local, api)


def it_works_with_a_vault_of_its_own_process(scene):
    scene.configure('vault: process\n')
    scene.start()
    run_steps(scene)
    assert scene.process.poll() is None
    scene.stop()
    done = scene.ctl('import', 'users.csv')  # and the same keys are known here
    assert done.returncode == 0 and ' 0 credentials' in done.stdout, done
    verified = scene.ctl('audit', 'verify')
    assert verified.returncode == 0, verified


def what_it_does_to_files_is_on_record_too(scene):
    scene.write('secret', 'correct horse battery\n')
    assert scene.ctl('backup', '--out', 'a.backup', '--secret', 'secret').returncode == 0
    scene.start()
    assert scene.ctl('backup', '--out', 'b.backup', '--secret', 'secret').returncode == 0
    assert scene.ctl('kek', 'rotate', '--quiet').returncode == 0
    scene.stop()
    for path in scene.dir.glob('kms.db*'):
        path.unlink()
    done = scene.ctl('restore', 'a.backup', '--secret', 'secret')
    assert done.returncode == 0, done
    notes = [(r['action'], r['with'], r['transport']) for r in scene.records() if r['event'] == 'admin']
    assert notes == [('note', ['what=backup', 'which=a.backup'], 'local'),
                     ('note', ['what=backup', 'which=b.backup'], 'api'), ('note', ['what=kek-rotate'], 'api'),
                     ('note', ['what=restore', 'which=a.backup'], 'local')], notes
    (scene.dir / 'audit').rename(scene.dir / 'gone')
    scene.write('audit', 'no folder')
    done = scene.ctl('backup', '--out', 'c.backup', '--secret', 'secret')
    assert done.returncode == 1 and not (scene.dir / 'c.backup').exists(), done


def json_of(scene, *words):
    done = scene.ctl(*words, '--json')
    assert done.returncode == 0, (words, done)
    return json.loads(done.stdout)


def what_it_does_to_files_is_told_as_json(scene):
    scene.write('secret', 'correct horse battery\n')
    secret = ('--secret', 'secret')
    assert json_of(scene, 'user', 'add', ALICE, '--psk-id', 'alice-1')['psk-id'] == 'alice-1'
    made = json_of(scene, 'backup', '--out', 'a.backup', *secret)
    assert made['file'] == 'a.backup' and VARIES.fullmatch(made['created']), made
    seen = json_of(scene, 'verify', 'a.backup', *secret)
    assert seen['created'] == made['created'] and seen['users'] == 1 and seen['sound'], seen
    assert json_of(scene, 'kek', 'init') == {'sealed': 0}
    assert json_of(scene, 'kek', 'rotate') == {'sealed': 3, 'generation': 2}
    assert json_of(scene, 'kek', 'rotate', '--to', 'file:new.kek') == {'sealed': 3, 'generation': 3,
                                                                      'to': 'file:new.kek'}
    assert scene.ctl('kek', 'rotate', '--finish', '--json').returncode == 3
    scene.kek = 'kek: file:new.kek\n'
    scene.configure('')
    assert json_of(scene, 'kek', 'rotate', '--finish') == {'sealed': 0, 'generation': 3, 'finished': True}
    assert json_of(scene, 'kek', 'status')['under-former'] == 0
    issued = json_of(scene, 'ticket', 'issue', '--as', ALICE, '--to', BOB, '--out', 'a.ticket')
    assert issued['file'] == 'a.ticket' and issued['identity'] == ALICE and not issued['changed'], issued
    for path in scene.dir.glob('kms.db*'):
        path.unlink()
    assert json_of(scene, 'restore', 'a.backup', *secret) == {'store': 'kms.db', 'created': made['created']}


def every_command_of_the_help_takes_json(scene):
    usage = scene.ctl('--help').stdout
    commands = re.findall(r'^  ([a-z]+)((?: [a-z-]+)?)((?: [A-Z]+)*)', usage, re.M)
    assert len(commands) > 50, commands
    for noun, verb, args in commands:
        words = [noun, *verb.split(), *args.split(), '--json']
        done = scene.run('kms/mikey-kmsctl', '--config', 'none.yaml', *words)
        assert done.returncode == 3 and 'none.yaml' in done.stderr, (words, done)


def the_daemon_is_asked_for_the_picture_that_requests_see(scene):
    assert scene.ctl('user', 'add', ALICE, '--no-psk').returncode == 0
    scene.start()
    with sqlite3.connect(scene.dir / 'kms.db') as db:  # nobody can read the users again
        db.execute('ALTER TABLE users RENAME TO hidden')
    test = ('policy', 'test', '--as', ALICE, '--to', BOB)
    issue = ('ticket', 'issue', '--as', ALICE, '--to', BOB, '--out')
    assert scene.ctl(*test).returncode == 0
    assert scene.ctl(*issue, 'a.ticket').returncode == 0
    scene.stop()
    done = scene.ctl(*test)
    assert done.returncode != 0 and 'no such table' in done.stderr, done
    assert scene.ctl(*issue, 'b.ticket').returncode != 0


def a_user_is_shown_with_all_that_belongs_to_it(scene):
    def ctl(*words):
        done = scene.ctl(*words)
        assert done.returncode == 0, done
    ctl('realm', 'add', 'blue')
    ctl('user', 'add', BOB, '--psk-id', 'bob-2', '--suite', '128')
    ctl('user', 'add', BOB, '--psk-id', 'bob-1')
    ctl('user', 'alias-add', BOB, 'sip:robert@branch.example')
    ctl('user', 'add', ALICE, '--no-psk')
    ctl('tpk', 'add', BOB, '--tpk-id', 'bob-tpk', '--tpk-hex', KEY)
    ctl('tpk', 'add', ALICE, '--tpk-id', 'alice-tpk', '--tpk-hex', KEY)
    for name in 'direct', 'outer', 'pattern', 'other', 'alice':
        ctl('group', 'add', f'sip:{name}@groups.example')
    ctl('group', 'add', 'sip:blue@groups.example', '--realm', 'blue')
    ctl('group', 'member-add', 'sip:direct@groups.example', BOB)
    ctl('group', 'member-add', 'sip:outer@groups.example', 'sip:direct@groups.example')
    ctl('group', 'member-add', 'sip:pattern@groups.example', 'sip:*@branch.example')
    ctl('group', 'member-add', 'sip:blue@groups.example', 'sip:*@branch.example')  # of another realm
    ctl('group', 'member-add', 'sip:other@groups.example', 'sip:*@example.org')
    ctl('group', 'member-add', 'sip:alice@groups.example', ALICE)
    for name in BOB, 'sip:robert@branch.example':
        shown = json_of(scene, 'user', 'show', name)
        for row in shown['credentials']:
            assert VARIES.fullmatch(row.pop('added')), shown
        for row in shown['tpks']:
            assert VARIES.fullmatch(row.pop('created')), shown
        assert shown == {
            'identity': BOB, 'state': 'active', 'expires': None, 'realm': 'default',
            'aliases': ['sip:robert@branch.example'],
            'credentials': [{'psk-id': 'bob-1', 'suite': 256}, {'psk-id': 'bob-2', 'suite': 128}],
            'tpks': [{'id': 'bob-tpk', 'suite': 128}],
            'groups': ['sip:direct@groups.example', 'sip:outer@groups.example', 'sip:pattern@groups.example']}, shown
    ctl('user', 'expire', BOB, '2001-02-03')
    text = scene.ctl('user', 'show', BOB).stdout
    for part in ('state       expired', 'expires     2001-02-03T00:00:00Z', 'alias       sip:robert@branch.example',
                 'credential  bob-2, suite 128', 'shares      bob-tpk', 'group       sip:outer@groups.example'):
        assert part in text, (part, text)
    ctl('user', 'suspend', ALICE)
    text = scene.ctl('user', 'show', ALICE).stdout
    assert 'suspended' in text and 'expires     never' in text and 'no credential' in text, text
    assert KEY not in text


def no_key_is_in_the_audit_or_the_log(scene):
    scene.start()
    run_steps(scene)
    scene.stop()
    everything = scene.log() + ''.join(json.dumps(r) for r in scene.records())
    assert KEY not in everything
    with sqlite3.connect(scene.dir / 'kms.db') as db:
        for (key,) in db.execute('SELECT key FROM tpk'):
            assert key.hex() not in everything


def without_the_audit_nothing_is_changed(scene):
    (scene.dir / 'audit').rename(scene.dir / 'gone')
    scene.write('audit', 'no folder')
    done = scene.ctl('user', 'add', ALICE, '--no-psk')
    assert done.returncode == 1 and 'nothing was changed' in done.stderr, done
    assert 'No users yet' in scene.ctl('user', 'list').stdout


def a_daemon_that_cannot_be_asked_holds_the_audit(scene):
    scene.configure('control: off\n')
    scene.start()
    done = scene.ctl('user', 'add', ALICE, '--no-psk')
    assert done.returncode == 1 and 'written by another program' in done.stderr, done
    assert scene.ctl('user', 'list').returncode == 0  # looking needs none


def what_root_makes_belongs_to_the_user_of_the_folder(scene):
    if os.geteuid() != 0:
        raise Skip('only root can make files for others')
    for path in [scene.dir, *scene.dir.rglob('*')]:
        os.chown(path, 1, 1)
    subprocess.run(['rm', '-r', scene.dir / 'audit'], check=True)
    assert scene.ctl('user', 'add', ALICE, '--no-psk').returncode == 0
    for path in [scene.dir / 'audit', *(scene.dir / 'audit').iterdir(), scene.dir / 'kms.db']:
        assert path.stat().st_uid == 1, path


def somebody_with_a_role_uses_it_without_reaching_the_store(scene):
    api = ApiScene(scene.build, tls=False)
    try:
        api.start()
        (api.dir / 'kms.yaml').chmod(0o644)
        tool = [api.build / 'kms/mikey-kmsctl', '--config', 'kms.yaml']

        def run(uid, *words):
            if os.geteuid() != 0:
                raise Skip('only root can be another user')
            return subprocess.run(tool + list(words), cwd=api.dir, user=uid, group=uid, extra_groups=[],
                                  capture_output=True, text=True, check=False, timeout=60)
        try:
            assert run(1, 'user', 'list').returncode == 0
        except PermissionError:
            raise Skip('another user cannot reach the build') from None
        done = run(1, 'user', 'add', ALICE, '--no-psk')
        assert done.returncode == 1 and 'needs operate' in done.stderr, done
        done = run(2, 'user', 'add', ALICE, '--no-psk')
        assert done.returncode == 0, done
        done = run(65534, 'user', 'list')
        assert done.returncode == 1 and 'nor anybody in api.people' in done.stderr, done
        assert 'operator' in api.ctl('audit', 'search', '--event', 'admin', '--who', 'operator').stdout
    finally:
        api.close()


TESTS = [
    it_does_the_same_with_a_daemon_and_without_and_all_is_on_record,
    it_works_with_a_vault_of_its_own_process,
    what_it_does_to_files_is_on_record_too,
    what_it_does_to_files_is_told_as_json,
    every_command_of_the_help_takes_json,
    the_daemon_is_asked_for_the_picture_that_requests_see,
    a_user_is_shown_with_all_that_belongs_to_it,
    no_key_is_in_the_audit_or_the_log,
    without_the_audit_nothing_is_changed,
    a_daemon_that_cannot_be_asked_holds_the_audit,
    what_root_makes_belongs_to_the_user_of_the_folder,
    somebody_with_a_role_uses_it_without_reaching_the_store,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: Scene(sys.argv[1]), lambda scene: scene.close()))
