#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Backups of the real store while the daemon serves, and what becomes of one that was changed.
Usage: test_backup.py BUILD_DIR. Prints TAP."""

import json
import os
import pty
import re
import select
import sqlite3
import stat
import subprocess
import sys

from rig import Kms, run_tests

HEAD, PART, MORE = 56, 1 << 20, 28


class Scene(Kms):
    """A store with two users, and a secret."""

    def __init__(self, build):
        super().__init__(build, 'control: kms.sock\n')
        self.add_users('alice', 'bob')
        self.write('secret', 'correct horse battery staple\n')

    def backup(self, name='kms.backup', *more):
        return self.ctl('backup', '--out', name, '--secret', 'secret', *more)

    def verify(self, name='kms.backup', secret='secret'):
        return self.ctl('verify', name, '--secret', secret, '--json')

    def restore(self, name='kms.backup', secret='secret'):
        return self.ctl('restore', name, '--secret', secret)

    def request(self, who='alice', out='ticket'):
        url = f'udp://127.0.0.1:{self.port("udp")}'
        return self.ticket('request', '--credentials', f'{who}.cred', '--kms', url, '--to',
                           'sip:bob@example.com', '--out', out).returncode == 0

    def answered(self):
        url = f'udp://127.0.0.1:{self.port("udp")}'
        done = self.ticket('offer', '--credentials', 'alice.cred', '--ticket', 'ticket', '--to',
                           'sip:bob@example.com', '--out', 'offer', '--state', 'state')
        assert done.returncode == 0, done.stderr
        return self.ticket('answer', '--credentials', 'bob.cred', '--kms', url, '--offer', 'offer',
                           '--out', 'answer', '--session', 'session').returncode == 0

    def forget(self):
        for path in self.dir.glob('kms.db*'):
            path.unlink()

    def grow(self, octets):
        """Makes the database several parts long."""
        with sqlite3.connect(self.dir / 'kms.db') as db:
            db.execute('CREATE TABLE filler(octets BLOB)')
            db.executemany('INSERT INTO filler VALUES(?)', [(os.urandom(4000),)] * (octets // 4000))


def ok(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


def what_was_backed_up_while_it_served_serves_again(scene):
    scene.start()
    assert scene.request()
    ok(scene.backup())
    assert stat.S_IMODE((scene.dir / 'kms.backup').stat().st_mode) == 0o600
    ok(scene.ctl('user', 'add', 'sip:carol@example.com', '--psk-out', 'carol.cred'))
    assert scene.stop() == 0
    scene.forget()
    assert re.search(r'as it was at \d{4}-', ok(scene.restore()))
    scene.start()
    assert scene.answered()  # the ticket from before: its key is there
    assert scene.request('alice', 'second') and not scene.request('carol', 'third')


def a_backup_is_one_moment_of_a_store_that_changes(scene):
    scene.start()
    scene.grow(6 << 20)
    for n in range(3):
        ok(scene.ctl('user', 'add', f'sip:user{n}@example.com', '--psk-out', f'u{n}.cred'))
        ok(scene.backup(f'b{n}'))
        told = json.loads(ok(scene.verify(f'b{n}')))
        assert told['sound'] is True and told['credential'] == 3 + n, told


def verify_restores_nothing(scene):
    ok(scene.backup())
    scene.forget()
    told = json.loads(ok(scene.verify()))
    assert told['credential'] == 2 and told['created'].endswith('Z'), told
    assert not (scene.dir / 'kms.db').exists()
    assert 'whole and sound' in ok(scene.ctl('verify', 'kms.backup', '--secret', 'secret'))


def no_key_is_in_a_backup(scene):
    scene.start()
    assert scene.stop() == 0  # the ticket keys are made, and everything is in one file
    ok(scene.backup())
    sealed, clear = ((scene.dir / name).read_bytes() for name in ('kms.backup', 'kms.db'))
    with sqlite3.connect(scene.dir / 'kms.db') as db:
        keys = [row[0] for row in db.execute('SELECT psk FROM credential')]
        keys += [row[0] for row in db.execute('SELECT key FROM tpk')]
    given = [bytes.fromhex(re.search('[0-9a-f]{64}', (scene.dir / f'{who}.cred').read_text())[0])
             for who in ('alice', 'bob')]
    given.append((scene.dir / 'kms.kek').read_bytes())
    assert len(keys) >= 4
    for key in keys:
        assert key in clear  # so that the search would find one
        assert key not in sealed and key.hex().encode() not in sealed
    for key in given:  # what was sealed is not even in the store
        assert key not in sealed and key.hex().encode() not in sealed
        assert key not in clear and key.hex().encode() not in clear
    for word in (b'SQLite', b'alice', b'credential', b'sip:'):
        assert word in clear and word not in sealed


def a_restored_store_needs_its_kek(scene):
    ok(scene.backup())
    scene.forget()
    kek = (scene.dir / 'kms.kek').read_bytes()
    (scene.dir / 'kms.kek').write_bytes(bytes(32))
    ok(scene.restore())
    failed = scene.run('kms/mikey-kmsd', '--config', 'kms.yaml')
    assert failed.returncode == 4, failed
    assert 'does not open generation 1' in failed.stderr, failed.stderr
    (scene.dir / 'kms.kek').write_bytes(kek)
    scene.start()
    assert scene.request() and scene.answered()


def another_secret_opens_nothing(scene):
    ok(scene.backup())
    scene.write('other', 'correct horse battery stable\n')
    for done in (scene.verify(secret='other'), scene.restore(secret='other')):
        assert done.returncode == 1 and 'the secret is another one' in done.stderr, done.stderr


def two_backups_of_one_store_differ(scene):
    ok(scene.backup('one'))
    ok(scene.backup('two'))
    one, two = ((scene.dir / name).read_bytes() for name in ('one', 'two'))
    assert one[HEAD - 16:] != two[HEAD - 16:] and one[HEAD:HEAD + 64] != two[HEAD:HEAD + 64]


def every_change_is_found(scene):
    scene.grow(3 << 20)
    ok(scene.backup())
    good = (scene.dir / 'kms.backup').read_bytes()
    second = HEAD + PART + MORE
    changed = {f'octet {at}': good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
               for at in (0, 16, 24, 39, 40, HEAD, second, len(good) - 1)}
    changed['cut'] = good[:-1]
    changed['cut by a part'] = good[:second]
    changed['longer'] = good + b'\0'
    changed['empty'] = b''
    changed['a head alone'] = good[:HEAD]
    changed['parts exchanged'] = (good[:HEAD] + good[second:second + PART + MORE] + good[HEAD:second] +
                                  good[second + PART + MORE:])
    for what, octets in changed.items():
        (scene.dir / 'changed').write_bytes(octets)
        done = scene.verify('changed')
        assert done.returncode == 1, (what, done.stderr)
        assert done.stderr.startswith('mikey-kmsctl: changed: '), (what, done.stderr)
    scene.forget()
    (scene.dir / 'changed').write_bytes(changed['parts exchanged'])
    assert scene.restore('changed').returncode == 1
    assert not list(scene.dir.glob('kms.db*'))


def nothing_is_overwritten(scene):
    ok(scene.backup())
    before = (scene.dir / 'kms.db').read_bytes()
    done = scene.restore()
    assert done.returncode == 4 and 'move it away first' in done.stderr, done.stderr
    assert (scene.dir / 'kms.db').read_bytes() == before
    done = scene.backup()
    assert done.returncode == 1 and 'File exists' in done.stderr, done.stderr


def a_running_daemon_keeps_its_store(scene):
    scene.start()
    ok(scene.backup())
    (scene.dir / 'kms.db').rename(scene.dir / 'elsewhere.db')
    done = scene.restore()
    assert done.returncode == 1 and 'stop it first' in done.stderr, done.stderr


def so_does_one_that_cannot_be_asked(scene):
    scene.configure('control: off\n')
    ok(scene.backup())
    scene.start()
    (scene.dir / 'kms.db').rename(scene.dir / 'elsewhere.db')
    done = scene.restore()
    assert done.returncode == 1 and 'stop it first' in done.stderr, done.stderr
    assert not (scene.dir / 'kms.db').exists()


def what_a_crash_left_of_another_store_does_not_get_into_the_restored_one(scene):
    ok(scene.backup())
    scene.start()
    assert scene.ctl('user', 'add', 'sip:late@example.com', '--no-psk').returncode == 0
    scene.process.kill()
    scene.process.wait()
    (scene.dir / 'kms.db').rename(scene.dir / 'elsewhere.db')
    done = scene.restore()
    assert done.returncode == 4 and 'kms.db-wal' in done.stderr and 'move it away first' in done.stderr, done
    (scene.dir / 'kms.db-wal').rename(scene.dir / 'elsewhere.db-wal')
    ok(scene.restore())
    assert 'sip:late@example.com' not in ok(scene.ctl('user', 'list'))


def the_store_of_a_newer_version_is_refused(scene):
    with sqlite3.connect(scene.dir / 'kms.db') as db:
        db.execute('PRAGMA user_version=999')
    done = scene.backup()  # it is not on record, so it is not made
    assert done.returncode == 4 and 'newer program' in done.stderr, done.stderr
    scene.configure('control: kms.sock\naudit: {file: off}\n')
    ok(scene.backup())
    scene.forget()
    done = scene.restore()
    assert done.returncode == 4, done.stderr
    assert not list(scene.dir.glob('kms.db*'))


def a_secret_is_kept_and_long_enough(scene):
    scene.write('short', 'eleven char\n')
    scene.write('open', 'correct horse battery staple\n', 0o644)
    for secret, wrong in (('short', '12 characters'), ('open', 'chmod 600'), ('gone', 'No such file')):
        done = scene.ctl('backup', '--out', 'b', '--secret', secret)
        assert done.returncode == 1 and wrong in done.stderr, done.stderr
        assert not (scene.dir / 'b').exists()
    assert scene.ctl('backup').returncode == 2


def on_a_full_disk_there_is_no_half_backup(scene):
    scene.grow(2 << 20)
    script = f'ulimit -f 1000; exec {scene.build}/kms/mikey-kmsctl "$@"'
    done = subprocess.run(['bash', '-c', script, 'x', '--config', 'kms.yaml', 'backup', '--out', 'b',
                           '--secret', 'secret'], cwd=scene.dir, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and 'File too large' in done.stderr, done.stderr
    assert not (scene.dir / 'b').exists()


def at_a_terminal(scene, lines, *args):
    """Runs the tool at a terminal and types; returns its exit code and what the terminal shows."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(scene.dir)
        tool = str(scene.build / 'kms/mikey-kmsctl')
        os.execv(tool, [tool, '--config', 'kms.yaml', *args])
    shown = b''
    for prompt, line in lines:
        while prompt not in shown.rsplit(b'\n', 1)[-1]:
            assert select.select([fd], [], [], 20)[0], shown
            shown += os.read(fd, 4096)
        os.write(fd, line + b'\n')
        shown += b'\n'
    try:
        while part := os.read(fd, 4096):
            shown += part
    except OSError:
        pass  # the end of a terminal
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    return code, shown


def the_terminal_asks_and_shows_progress_but_not_the_passphrase(scene):
    words = b'correct horse battery staple'
    code, shown = at_a_terminal(scene, [(b'Passphrase', words), (b'Once more', words)],
                                'backup', '--out', 'kms.backup')
    assert code == 0, shown
    assert words not in shown and b'100 %' in shown and b'sealing' in shown, shown
    ok(scene.verify())
    code, shown = at_a_terminal(scene, [(b'Passphrase', words), (b'Once more', words + b'r')],
                                'backup', '--out', 'b')
    assert code == 1 and b'differ' in shown, shown
    done = scene.run('kms/mikey-kmsctl', '--config', 'kms.yaml', 'verify', 'kms.backup',
                     start_new_session=True)  # without a terminal
    assert done.returncode == 1 and 'give --secret FILE' in done.stderr, done.stderr


def keys_that_are_sealed_anew_show_progress_at_a_terminal_only(scene):
    code, shown = at_a_terminal(scene, [], 'kek', 'rotate')
    assert code == 0 and b'keys' in shown and b'100 %' in shown, shown
    code, shown = at_a_terminal(scene, [], 'kek', 'rotate', '--quiet')
    assert code == 0 and b'sealed 2 keys anew' in shown and b'%' not in shown, shown
    done = scene.ctl('kek', 'rotate')
    assert done.returncode == 0 and '%' not in done.stderr, done.stderr


TESTS = [
    what_was_backed_up_while_it_served_serves_again,
    a_backup_is_one_moment_of_a_store_that_changes,
    verify_restores_nothing,
    no_key_is_in_a_backup,
    a_restored_store_needs_its_kek,
    another_secret_opens_nothing,
    two_backups_of_one_store_differ,
    every_change_is_found,
    nothing_is_overwritten,
    a_running_daemon_keeps_its_store,
    so_does_one_that_cannot_be_asked,
    what_a_crash_left_of_another_store_does_not_get_into_the_restored_one,
    the_store_of_a_newer_version_is_refused,
    a_secret_is_kept_and_long_enough,
    on_a_full_disk_there_is_no_half_backup,
    the_terminal_asks_and_shows_progress_but_not_the_passphrase,
    keys_that_are_sealed_anew_show_progress_at_a_terminal_only,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: Scene(sys.argv[1]), lambda scene: scene.close()))
