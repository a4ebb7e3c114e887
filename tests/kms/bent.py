#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A daemon in a folder of its own whose clock and disk a preloaded library bends (shim.c), its clients
alice and bob, and a wire between them that keeps what they sent."""

import itertools
import os
import re
import socket
import struct
import subprocess
import threading
import urllib.error
import urllib.request

from rig import Kms

ANY = ('udp://127.0.0.1:0', 'http://127.0.0.1:0')
ADMIN = 'admin: http://127.0.0.1:0\n'


class Bent(Kms):
    """Not bent before it is told to (shim)."""

    def __init__(self, build, more=''):
        super().__init__(build, ADMIN + more, ANY)
        self.environment, self.n = {}, itertools.count(1)

    def with_users(self):
        self.add_users('alice', 'bob')
        return self

    def shim(self):
        """From now on the daemon runs with the library that bends clocks and disks."""
        library = self.build / 'tests/kms/libkms-shim.so'
        asan = subprocess.run(['ldd', self.build / 'kms/mikey-kmsd'], capture_output=True, text=True,
                              check=True).stdout
        asan = re.search(r'=> (\S*libasan\S*)', asan)
        self.environment = {'RIG_SHIM': str(self.dir / 'wish'),
                            'LD_PRELOAD': f'{asan[1]} {library}' if asan else str(library)}
        self.bend()
        return self

    def bend(self, ahead_s=0.0, sync_s=0.0, store_ahead_s=None):
        """Clocks against the real one; the store's is that of the daemon unless it is given."""
        octets = struct.pack('qqq', *(int(s * 1e9) for s in (
            ahead_s, sync_s, ahead_s if store_ahead_s is None else store_ahead_s)))
        wish = self.dir / 'wish'
        if not wish.exists():
            wish.write_bytes(octets + bytes(16))
        with open(wish, 'r+b') as f:
            f.write(octets)
        return self

    def counted(self):
        """Connections that could not be taken for want of a descriptor; how often a thread that knew asked
        again without a rest."""
        return struct.unpack('qq', (self.dir / 'wish').read_bytes()[24:])

    def start(self):
        os.environ.update(self.environment)
        try:
            return super().start()
        finally:
            for name in self.environment:
                del os.environ[name]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process = None

    def url(self, scheme='http'):
        return f'{scheme}://127.0.0.1:{self.port(scheme + "://")}'

    def get(self, page):
        try:
            return urllib.request.urlopen(self.admin + page, timeout=10).status
        except urllib.error.HTTPError as answer:
            return answer.code

    def request(self, url=None, clock=None, seconds='2'):
        """Whether alice, with the clock of that bent daemon or the real one, gets a ticket: its file, or
        None."""
        out = self.dir / f'ticket{next(self.n)}'
        environment = {} if clock is None else clock.environment
        done = self.run('cli/mikey-ticket', 'request', '--credentials', 'alice.cred', '--kms',
                        url or self.url(), '--to', 'sip:bob@example.com', '--out', str(out),
                        '--timeout', seconds, env={**os.environ, **environment})
        return out if done.returncode == 0 else None

    def resolves(self, ticket, url=None):
        """Whether bob gets the keys of it."""
        n = next(self.n)
        offer, state = f'offer{n}', f'state{n}'
        done = self.ticket('offer', '--credentials', 'alice.cred', '--ticket', str(ticket), '--to',
                           'sip:bob@example.com', '--out', offer, '--state', state)
        assert done.returncode == 0, done.stderr
        return self.ticket('answer', '--credentials', 'bob.cred', '--kms', url or self.url(), '--offer',
                           offer, '--out', f'answer{n}', '--session', f'session{n}'
                           ).returncode == 0


class Wire:
    """Stands between a client and a daemon, and keeps the client's datagrams."""

    def __init__(self, kms):
        self.kms, self.kept = kms, []
        self.inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inside.bind(('127.0.0.1', 0))
        self.inside.settimeout(5)
        self.url = f'udp://127.0.0.1:{self.inside.getsockname()[1]}'
        threading.Thread(target=self.carry, daemon=True).start()

    def carry(self):
        while True:
            try:
                message, client = self.inside.recvfrom(65536)
            except OSError:
                return
            self.kept.append(message)
            answer = self.again(message)
            if answer:
                self.inside.sendto(answer, client)

    def again(self, message, kms=None):
        """The answer of the daemon, or of another one, to a datagram from an address that is new; or
        nothing."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            s.sendto(message, ('127.0.0.1', (kms or self.kms).port('udp://')))
            try:
                return s.recv(65536)
            except TimeoutError:
                return None


def is_taken(answer):
    """Whether an answer is anything but silence or an Error."""
    return answer is not None and answer[1] != 6
