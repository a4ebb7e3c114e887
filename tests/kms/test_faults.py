#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What breaks under a running daemon: a disk that is full, broken or slow, sinks of the audit that are
gone, a clock that jumps. Real file systems where root may make them (else the test is skipped), and a
preloaded library for what no file system offers. Each test prints its figure.
Usage: test_faults.py BUILD_DIR. Prints TAP."""

import http.server
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from bent import ADMIN, Bent, Wire, is_taken
from rig import Skip, run_tests, until

HELD = 4  # seconds; shorter than a writer waits
NOTHING_CHANGED = 'the audit cannot be written: nothing is changed'


def note(text):
    print(f'# {text}')


def root(*command):
    """A command that only root may run; without root, or in a container that forbids it, no test."""
    if os.geteuid() != 0:
        raise Skip('only root can make such a disk')
    if shutil.which(command[0]) is None:
        raise Skip(f'there is no {command[0]} here')
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skip(f'{command[0]}: {done.stderr.strip() or "failed"}')
    return done.stdout.strip()


class Scene(Bent):
    """A daemon with three users, and what was mounted for it."""

    def __init__(self, build):
        super().__init__(build)
        self.undo = []

    def data_on(self, mount):
        """The store and the audit are in the folder `mount`."""
        self.write('kms.yaml', (self.dir / 'kms.yaml').read_text(encoding='utf-8').replace(
            'sqlite:kms.db', f'sqlite:{mount}/kms.db'))
        return self

    def verify(self):
        done = self.ctl('audit', 'verify')
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def close(self):
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()
        finally:
            for step in reversed(self.undo):
                step()
            self.keep.cleanup()


def comes_back(scene, seconds=10):
    """Seconds until there is a ticket again."""
    began = time.monotonic()
    assert until(scene.request, seconds), 'it does not come back'
    return time.monotonic() - began


# --- disks ------------------------------------------------------------------------------------------


def small_disk(scene, size='4m'):
    mount = scene.dir / 'disk'
    mount.mkdir()
    root('mount', '-t', 'tmpfs', '-o', f'size={size},mode=0700', 'none', str(mount))
    scene.undo.append(lambda: subprocess.run(['umount', '-l', mount], check=False))
    return mount


def a_full_disk_stops_tickets_loses_nothing_and_is_left_behind_at_once(scene):
    mount = small_disk(scene)
    scene.data_on('disk').with_users().start()
    before = [scene.request() for _ in range(4)]
    assert all(before)
    filler = mount / 'filler'
    with open(filler, 'wb', buffering=0) as f:
        try:
            while f.write(b'x' * 4096) == 4096:
                pass
        except OSError as full:
            assert full.errno == 28, full
    taken, refused = 0, 0
    for _ in range(50): # what is left of the last page
        ticket = scene.request(seconds='1')
        if ticket is None:
            refused += 1
            break
        before.append(ticket)
        taken += 1
    assert refused == 1, 'a full disk refuses nobody'
    assert scene.get('/ready') == 503 and scene.get('/health') == 200
    assert scene.request(scene.url('udp'), seconds='1') is None
    assert 'audit-down' in scene.log() and 'No space left' in scene.log(), scene.log()
    done = scene.ctl('user', 'add', 'sip:carol@example.com', '--psk-out', 'carol.cred')
    assert done.returncode == 1 and NOTHING_CHANGED in done.stderr, (done.returncode, done.stderr)
    assert 'carol' not in scene.ctl('user', 'list').stdout
    filler.unlink()
    seconds = comes_back(scene)
    assert scene.get('/ready') == 200
    assert scene.ctl('user', 'add', 'sip:carol@example.com', '--psk-out', 'c2.cred').returncode == 0
    assert all(scene.resolves(t) for t in before[::2])
    scene.kill()
    scene.start()
    assert all(scene.resolves(t) for t in before[1::2])
    scene.verify()
    note(f'disk full: {taken} more tickets fitted, then none; served again {seconds:.2f} s after there '
         f'was room; {len(before)} tickets resolved, the audit whole')


def a_disk_that_turns_read_only_stops_tickets_and_loses_nothing(scene):
    image, mount = scene.dir / 'image', scene.dir / 'disk'
    mount.mkdir()
    with open(image, 'wb') as f:
        f.truncate(32 << 20)
    root('mkfs.ext4', '-q', '-F', str(image))
    loop = root('losetup', '-f', '--show', str(image))
    scene.undo.append(lambda: subprocess.run(['losetup', '-d', loop], check=False))
    root('mount', '-o', 'errors=remount-ro', loop, str(mount))
    scene.undo.append(lambda: subprocess.run(['umount', '-l', mount], check=False))
    trigger = Path(f'/sys/fs/ext4/{Path(loop).name}/trigger_fs_error')
    if not trigger.exists():
        raise Skip('this kernel cannot break an ext4 file system on purpose')
    scene.data_on('disk').with_users().start()
    before = [scene.request() for _ in range(5)]
    assert all(before)
    trigger.write_text('a test\n', encoding='ascii')
    assert until(lambda: scene.request(seconds='1') is None), 'a broken disk refuses nobody'
    assert scene.get('/ready') == 503 and scene.get('/health') == 200
    assert 'audit-down' in scene.log() and 'Read-only file system' in scene.log(), scene.log()
    done = scene.ctl('user', 'add', 'sip:carol@example.com', '--psk-out', 'carol.cred')
    assert done.returncode == 1 and NOTHING_CHANGED in done.stderr, (done.returncode, done.stderr)
    scene.kill()
    assert subprocess.run(['umount', mount], check=False).returncode == 0
    done = subprocess.run(['e2fsck', '-p', '-f', loop], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout
    root('mount', loop, str(mount))
    scene.start()
    assert all(scene.resolves(t) for t in before)
    assert scene.request()
    scene.verify()
    note(f'disk read-only: no ticket while it was; after the repair {len(before)} of {len(before)} '
         'tickets resolved, the audit whole')


def a_slow_disk_slows_tickets_down_and_stops_none(scene):
    scene.with_users().shim().start()
    assert scene.request()
    scene.bend(sync_s=0.25)
    began, got = time.monotonic(), []

    def ask(url):
        got.append(scene.request(url, seconds='5'))

    urls = [scene.url(), scene.url('udp')] * 8
    threads = [threading.Thread(target=ask, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    note(f'slow disk (0.25 s a write): {len(got) - got.count(None)} of {len(got)} tickets in '
         f'{seconds:.2f} s')
    assert None not in got
    assert seconds < 0.25 * len(got), 'each waits for a write of its own'
    assert scene.get('/health') == 200 and scene.get('/ready') == 200


# --- sinks ------------------------------------------------------------------------------------------


class Collector:
    """A collector of records over HTTP that comes and goes on one port."""

    def __init__(self):
        self.lines, self.server, self.port = [], None, 0

    def up(self):
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                collector.lines += body.decode().splitlines()
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def down(self):
        self.server.shutdown()
        self.server.server_close()


def without_its_collector_there_is_no_ticket_and_none_is_missing_afterwards(scene):
    collector = Collector()
    collector.up()
    scene.configure(ADMIN + f'audit: {{file: audit, http: "http://127.0.0.1:{collector.port}/", '
                            'timeout: 2s}\n')
    scene.with_users().start()
    assert scene.request()
    collector.down()
    assert until(lambda: scene.request(seconds='1') is None)
    assert scene.get('/ready') == 503
    assert 'audit-down sink=http' in scene.log(), scene.log()
    collector.up()
    seconds = comes_back(scene)
    assert scene.get('/ready') == 200
    scene.stop()
    collector.down()
    here = [line for f in sorted((scene.dir / 'audit').glob('audit-*'))
            for line in f.read_text(encoding='utf-8').splitlines()]
    assert set(here) <= set(collector.lines), 'the collector has not got every record'
    note(f'collector gone: no ticket; served again {seconds:.2f} s after it was back; '
         f'{len(here)} of {len(here)} records arrived')


def without_syslog_there_is_no_ticket_unless_it_is_optional(scene):
    path = scene.dir / 'syslog'

    def listen():
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(str(path))
        return s

    receiver = listen()
    scene.configure(ADMIN + f'audit: {{file: audit, syslog: "{path}", timeout: 2s}}\n')
    scene.with_users().start()
    assert scene.request()
    receiver.close()
    path.unlink()
    assert until(lambda: scene.request(seconds='1') is None)
    assert scene.get('/ready') == 503
    receiver = listen()
    seconds = comes_back(scene)
    receiver.close()
    path.unlink()
    scene.stop()
    scene.configure(ADMIN + f'audit: {{file: audit, syslog: "{path}", optional: [syslog]}}\n')
    scene.start()
    assert scene.request(), 'an optional sink stops tickets'
    assert until(lambda: 'audit-sink-lost sink=syslog' in scene.log()), scene.log()
    scene.stop()
    scene.verify()
    note(f'syslog gone: no ticket; served again {seconds:.2f} s after it was back')


def without_its_folder_there_is_no_ticket(scene):
    scene.with_users().start()
    assert scene.request()
    (scene.dir / 'audit').rename(scene.dir / 'away')
    assert until(lambda: scene.request(seconds='1') is None)
    assert scene.get('/ready') == 503
    (scene.dir / 'away').rename(scene.dir / 'audit')
    seconds = comes_back(scene)
    scene.stop()
    scene.verify()
    note(f'folder of the audit gone: no ticket; served again {seconds:.2f} s after it was back')


# --- clocks -----------------------------------------------------------------------------------------


def a_clock_that_jumps_takes_no_message_twice_and_serves_when_it_is_right(scene):
    scene.with_users().shim().start()
    wire = Wire(scene)
    assert scene.request(wire.url, clock=scene)
    told = wire.kept[0]
    refused = []
    for ahead in (1000, 0, -1000, 0, 250, -250, 0):
        scene.bend(ahead)
        assert not is_taken(wire.again(told)), f'taken again with the clock {ahead} s ahead'
        if abs(ahead) > 300:
            assert scene.request() is None, 'a client with the right clock is told nothing'
            refused.append(ahead)
        else:
            assert scene.request() is not None, f'refused with the clock {ahead} s ahead'
    assert 'reason=STALE' in scene.log()
    scene.bend(0)
    assert all(scene.request() for _ in range(5))
    scene.verify()
    note(f'clock jumps: nothing is taken twice, refused only while the clock is more than 300 s wrong '
         f'({", ".join(str(n) for n in refused)} s)')


def a_clock_that_was_put_back_while_it_was_down_opens_nothing_again(scene):
    scene.with_users().shim()
    scene.bend(30)
    scene.start()
    wire = Wire(scene)
    assert scene.request(wire.url, clock=scene)
    told = wire.kept[0]
    scene.kill()
    scene.bend(27) # as a machine that lost three seconds
    scene.start()
    assert 'clock-behind seconds=' in scene.log(), scene.log()
    assert not is_taken(wire.again(told)), 'a message of the run before is taken again'
    began = time.monotonic()
    assert until(lambda: scene.request(clock=scene)), 'it does not serve again'
    seconds = time.monotonic() - began
    assert not is_taken(wire.again(told))
    scene.stop()
    scene.bend(-20000) # hopelessly: nobody waits for that
    scene.start()
    assert scene.request(clock=scene)
    assert 'may be taken once more' in scene.log(), scene.log()
    note(f'clock put back 3 s over a crash: nothing is taken twice, served {seconds:.1f} s later')


def who_holds_the_store_holds_up_no_ticket(scene):
    """An operator at work on the file, or another program: the store waits for its turn, nobody else does."""
    scene.with_users().start()
    assert scene.request()
    slowest = 0
    with closing(sqlite3.connect(scene.dir / 'kms.db', isolation_level=None)) as db:
        db.execute('BEGIN IMMEDIATE')
        end = time.monotonic() + HELD
        while time.monotonic() < end:
            began = time.monotonic()
            assert scene.request()
            slowest = max(slowest, time.monotonic() - began)
        db.execute('ROLLBACK')
    note(f'the store held for {HELD} s: the slowest ticket took {slowest:.2f} s')
    assert slowest < HELD / 2, slowest


# --- descriptors ------------------------------------------------------------------------------------


def without_files_to_open_it_warns_and_rests(scene):
    """libmicrohttpd would ask for the next connection again and again."""
    scene.with_users().shim()
    scene.prepare = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (120, 120))
    scene.start()
    assert 'few-open-files limit=120 needed=' in scene.log(), scene.log()
    idle = [socket.create_connection(('127.0.0.1', scene.port('http://'))) for _ in range(200)]
    assert until(lambda: len(os.listdir(f'/proc/{scene.process.pid}/fd')) >= 118)
    idle.append(socket.create_connection(('127.0.0.1', int(scene.admin.rsplit(':', 1)[1]))))  # the first one there
    assert until(lambda: scene.counted()[0] >= 50)
    full, hasty = scene.counted()
    assert hasty == 0, (full, hasty)
    for one in idle:
        one.close()
    assert until(scene.request)
    note(f'no descriptors: {full} connections could not be taken, and no thread asked again without a rest')


TESTS = [
    a_full_disk_stops_tickets_loses_nothing_and_is_left_behind_at_once,
    a_disk_that_turns_read_only_stops_tickets_and_loses_nothing,
    a_slow_disk_slows_tickets_down_and_stops_none,
    who_holds_the_store_holds_up_no_ticket,
    without_its_collector_there_is_no_ticket_and_none_is_missing_afterwards,
    without_syslog_there_is_no_ticket_unless_it_is_optional,
    without_its_folder_there_is_no_ticket,
    a_clock_that_jumps_takes_no_message_twice_and_serves_when_it_is_right,
    a_clock_that_was_put_back_while_it_was_down_opens_nothing_again,
    without_files_to_open_it_warns_and_rests,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: Scene(sys.argv[1]), lambda scene: scene.close()))
