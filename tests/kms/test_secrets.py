#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No key leaves the daemon but to whom it belongs: every key that was used is looked for in all that
the daemon and its tools write, say and would leave in a core. Usage: test_secrets.py BUILD_DIR.
Prints TAP."""

import base64
import os
import re
import signal
import sqlite3
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'peer'))
from mikey import aes_ctr, parse_key_data  # noqa: E402
from rig import Kms, Skip, run_tests, until  # noqa: E402

EVERYTHING = '''control: kms.sock
admin: http://127.0.0.1:0
log_level: debug
modes: [1, 2, 3]
ticket_types: [base, reference]
'''
LISTS = (('user', 'list'), ('tpk', 'list'), ('ticket', 'list'), ('ticket', 'kept'), ('group', 'list'),
         ('audit', 'list'), ('limits', 'list'), ('realm', 'list'), ('status',), ('reload',))
ENOUGH = 12  # octets: a part of a key that long is none by chance
PAGE = 4096
EMPTY = bytes(PAGE)
CHUNK = 1 << 22


def needles(key):
    """Beginning and end of a key, in the forms in which somebody might write it."""
    for part in (key[:ENOUGH], key[-ENOUGH:]):
        yield part
        yield part[::-1]
        yield part.hex().encode()
        yield part.hex().upper().encode()
        yield ','.join(map(str, part)).encode()
        yield ''.join(f'\\\\x{octet:02x}' for octet in part).encode()
        for shift in range(3):  # where a group of three octets may begin
            whole = part[shift:shift + (ENOUGH - shift) // 3 * 3]
            yield base64.b64encode(whole)


def open_sealed(key, sealed):
    """AES-256-GCM without a look at the tag (docs/formats/sealed-keys.md)."""
    return aes_ctr(key, sealed[:12] + (2).to_bytes(4, 'big'), sealed[12:-16])


class Scene(Kms):
    """A daemon that has served all its modes, over both transports, and refused; and the keys."""

    def __init__(self, build):
        super().__init__(build, EVERYTHING, ('udp://127.0.0.1:0', 'http://127.0.0.1:0'))
        self.keys, self.said = {}, {}
        self.add_users('alice', 'bob')
        self.note(self.ctl('tpk', 'add', 'sip:bob@example.com', '--tpk-out', 'bob.tpk'))
        self.note(self.ctl('group', 'add', 'sip:team@example.com'))
        self.note(self.ctl('group', 'member-add', 'sip:team@example.com', 'sip:bob@example.com'))
        self.start()
        self.calls()
        self.refusals()
        self.listings()

    def note(self, done, code=0):
        assert done.returncode == code, done.stderr
        self.said[' '.join(map(str, done.args[1:]))] = (done.stdout + done.stderr).encode()

    def url(self, scheme):
        return f'{scheme}://127.0.0.1:{self.port(scheme + "://")}'

    def call(self, name, scheme, *more):
        kms = ('--kms', self.url(scheme))
        self.note(self.ticket('request', '--credentials', 'alice.cred', *kms, '--to',
                              'sip:bob@example.com', '--out', f'{name}.ticket', *more))
        self.note(self.ticket('offer', '--credentials', 'alice.cred', '--ticket', f'{name}.ticket', '--to',
                              'sip:bob@example.com', '--out', f'{name}.offer', '--state', f'{name}.state'))
        self.note(self.ticket('answer', '--credentials', 'bob.cred', *kms, '--offer', f'{name}.offer',
                              '--out', f'{name}.answer', '--session', f'{name}.session'))

    def calls(self):
        for scheme in ('udp', 'http'):
            self.call(scheme, scheme)
            self.call(f'{scheme}-kept', scheme, '--ticket-type', 'reference')

    def refusals(self):
        """What is refused is written about most: a wrong key, a stranger, no message at all."""
        right = (self.dir / 'alice.cred').read_text(encoding='utf-8')
        self.write('wrong.cred', re.sub(r'[0-9a-f]{64}', '5a' * 32, right))
        self.write('nobody.cred', right.replace('alice', 'nobody'))
        for who in ('wrong', 'nobody'):
            done = self.ticket('request', '--credentials', f'{who}.cred', '--kms', self.url('http'), '--to',
                               'sip:bob@example.com', '--out', f'{who}.ticket', '--timeout', '2')
            self.note(done, done.returncode)
            assert done.returncode != 0

    def listings(self):
        for words in LISTS:
            self.note(self.ctl(*words, '--json'))
        for path in ('/metrics', '/health', '/ready'):
            with urllib.request.urlopen(self.admin + path, timeout=10) as answer:
                self.said[path] = answer.read()

    # --- the keys ---

    def add(self, name, key):
        if len(key) >= ENOUGH:
            self.keys[name] = key

    def of_the_store(self):
        """What only the daemon knows: the KEK, the store key, and the TPKs of its own."""
        kek = (self.dir / 'kms.kek').read_bytes()
        self.add('kek', kek)
        with sqlite3.connect(self.dir / 'kms.db') as db:
            store_key = open_sealed(kek, db.execute('SELECT sealed FROM kek').fetchone()[0])
            self.add('store key', store_key)
            for name, sealed in db.execute('SELECT id, key FROM tpk WHERE kek = 1'):
                self.add(name, open_sealed(store_key, sealed))
            owned = {name: open_sealed(store_key, sealed) for name, sealed in
                     db.execute('SELECT psk_id, psk FROM credential WHERE kek = 1')}
        return owned

    def collect(self):
        self.of_the_store()
        for path in self.dir.glob('*.cred'):
            if path.stem not in ('wrong', 'nobody'):
                self.add(path.name, bytes.fromhex(re.search(r'psk: "([0-9a-f]+)"', path.read_text())[1]))
        self.add('bob.tpk', bytes.fromhex(re.search(r'tpk: "([0-9a-f]+)"',
                                                    (self.dir / 'bob.tpk').read_text())[1]))
        for path in self.dir.glob('*.ticket'):
            octets = path.read_bytes()
            ticket = int.from_bytes(octets[13:16], 'big')
            for i, (_, key, salt, _) in enumerate(parse_key_data(octets[16 + ticket:])):
                self.add(f'{path.name} key {i}', key)
                self.add(f'{path.name} salt {i}', salt)
        for path in self.dir.glob('*.session'):
            found = re.findall(r'(key|salt): "([0-9a-f]+)"', path.read_text())
            for i, (what, digits) in enumerate(found):
                self.add(f'{path.name} {what} {i}', bytes.fromhex(digits))
        return self.keys

    # --- where to look ---

    def found_in(self, octets):
        return [name for name, key in self.collect().items() if any(n in octets for n in needles(key))]

    def in_file(self, name):
        return self.found_in((self.dir / name).read_bytes())

    def core(self):
        """What a core of the daemon would hold: every mapping that may be dumped."""
        pid = self.process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            return b''.join(self.mappings(pid))
        except PermissionError:
            raise Skip('looking into another process takes root') from None
        finally:
            os.kill(pid, signal.SIGCONT)

    @staticmethod
    def mappings(pid):
        text = Path(f'/proc/{pid}/smaps').read_text(encoding='utf-8')
        with open(f'/proc/{pid}/mem', 'rb', buffering=0) as memory:
            for entry in re.split(r'\n(?=[0-9a-f]+-[0-9a-f]+ )', text):
                begin, end, rights = re.match(r'([0-9a-f]+)-([0-9a-f]+) (\S+)', entry).groups()
                flags = re.search(r'VmFlags:(.*)', entry)[1].split()
                if 'w' not in rights or 'dd' in flags or '[v' in entry.splitlines()[0]:
                    continue
                memory.seek(int(begin, 16))
                left = int(end, 16) - int(begin, 16)
                while left > 0:
                    octets = memory.read(min(left, CHUNK))
                    if not octets:
                        break
                    left -= len(octets)
                    pages = (octets[at:at + PAGE] for at in range(0, len(octets), PAGE))
                    yield b''.join(page for page in pages if page != EMPTY)


def the_search_finds_keys_where_they_belong(scene):
    assert len(scene.collect()) >= 2 + 1 + 4 * 3 + 4 * 4, scene.keys.keys()
    for name in ('alice.cred', 'bob.tpk', 'udp.ticket', 'http.session'):
        assert any(found.startswith(name) for found in scene.in_file(name)), name
    key = scene.keys['alice.cred']
    for form in (key, key.hex().upper().encode(), base64.b64encode(b'x' + key), key[::-1]):
        assert scene.found_in(b'before ' + form + b' behind') == ['alice.cred'], form
    assert not scene.found_in(b'before behind')


def the_keys_of_the_store_are_opened_rightly(scene):
    owned = scene.of_the_store()
    assert len(owned) == 2 and {'tpk-1-128', 'tpk-1-256'} <= scene.keys.keys()
    assert set(owned.values()) == {scene.collect()[name] for name in ('alice.cred', 'bob.cred')}


def the_log_has_none(scene):
    text = (scene.dir / 'log').read_bytes()
    assert b'outcome=answered' in text and b'outcome=refused' in text
    assert not scene.found_in(text)


def the_audit_has_none(scene):
    text = b''.join(path.read_bytes() for path in (scene.dir / 'audit').glob('*.jsonl'))
    assert text.count(b'"event":"issue"') == 4 and text.count(b'"event":"resolve"') == 4
    assert not scene.found_in(text)


def no_listing_metric_or_answer_has_any(scene):
    assert b'sip:alice@example.com' in scene.said['--config kms.yaml user list --json']
    assert b'mikey' in scene.said['/metrics']
    for name, text in scene.said.items():
        assert not scene.found_in(text), name


def a_backup_has_none(scene):
    scene.write('secret', 'correct horse battery staple\n')
    scene.note(scene.ctl('backup', '--out', 'kms.backup', '--secret', 'secret'))
    octets = (scene.dir / 'kms.backup').read_bytes()
    assert len(octets) > 4096
    assert not scene.found_in(octets)
    assert b'alice' not in octets


def the_store_has_none(scene):
    octets = b''.join(path.read_bytes() for path in scene.dir.glob('kms.db*'))
    assert b'sip:alice@example.com' in octets
    assert not scene.found_in(octets)
    assert scene.stop() == 0
    assert not scene.in_file('kms.db')


def a_core_of_the_daemon_has_none(scene):
    octets = scene.core()
    assert b'sip:alice@example.com' in octets and b'sip:kms@example.com' in octets
    assert not scene.found_in(octets)


def nothing_that_was_made_beside_the_keys_is_for_others_to_read(scene):
    for path in scene.dir.iterdir():
        if path.suffix in ('.cred', '.tpk', '.ticket', '.session', '.state', '.db'):
            assert path.stat().st_mode & 0o077 == 0, path.name


def main():
    scene = Scene(sys.argv[1])  # one for all: nothing is changed, and the last test but one ends it
    tests = [the_search_finds_keys_where_they_belong, the_keys_of_the_store_are_opened_rightly,
             the_log_has_none, the_audit_has_none, no_listing_metric_or_answer_has_any,
             a_backup_has_none, a_core_of_the_daemon_has_none, the_store_has_none,
             nothing_that_was_made_beside_the_keys_is_for_others_to_read]
    try:
        return run_tests(tests, lambda: scene, lambda _: None)
    finally:
        scene.close()


if __name__ == '__main__':
    sys.exit(main())
