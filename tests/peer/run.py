#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs against an implementation that shares no line with them (mikey.py, roles.py).

It plays Initiator and Responder against mikey-kmsd in modes 1 to 3, the KMS for mikey-ticket, and
each party against mikey-ticket, over UDP and HTTP, with what RFC 6043 leaves open chosen by chance.
A failure prints the seed, which does it again. Prints TAP.
Usage: run.py MIKEY_TICKET MIKEY_KMSD MIKEY_KMSCTL [--seed N] [--rounds N]
"""

import argparse
import base64
import http.client
import http.server
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

from roles import *  # noqa: F403
from sealed import Opener, Sealer, seal, split, unseal

NAME, CAROL = 'sip:kms@example.com', 'sip:carol@example.com'
USERS = 4  # of each suite
FORKING, PLAIN = 'DEFGHINO', 'DEFGHNO'


def flat(file):
    """The values of a flat YAML mapping."""
    pairs = (line.split(': ', 1) for line in file.read_text().splitlines() if ': ' in line)
    return {k: v.strip('"') for k, v in pairs}


class Programs:
    """The programs under test, and a daemon with its users."""

    def __init__(self, args):
        self.ticket, self.kmsd, self.kmsctl = (str(Path(p).resolve())
                                               for p in (args.ticket, args.kmsd, args.kmsctl))
        self.dir = Path(tempfile.mkdtemp())
        self.config = self.dir / 'kms.yaml'
        self.config.write_text(f'identity: {NAME}\nlisten: ["udp://127.0.0.1:0", "http://127.0.0.1:0"]\n'
                               'store: sqlite:kms.db\nkek: file:kms.kek\nworkers: 1\n')
        self.files, self.pool, self.tpks = {}, {}, {}
        for suite in SUITES:
            self.pool[suite] = [self.made(f'sip:user{i}.{suite.prf}@example.com', suite)
                                for i in range(USERS)]

    def ctl(self, *args):
        subprocess.run([self.kmsctl, '--config', self.config, *args], cwd=self.dir, check=True,
                       stdout=subprocess.DEVNULL)

    def made(self, name, suite):
        """A new user: what Party takes behind its chance."""
        file = self.dir / f'{name[4:].split("@")[0]}.cred'
        self.ctl('user', 'add', name, '--suite', ('128', '256')[suite.prf], '--psk-out', file)
        said = flat(file)
        psk_id = said['psk-id'].encode()
        self.files[psk_id] = file
        shared = file.with_suffix('.tpk')
        self.ctl('tpk', 'add', name, '--suite', ('128', '256')[suite.prf], '--tpk-out', shared)
        self.tpks[name] = (flat(shared)['tpk-id'].encode(), bytes.fromhex(flat(shared)['tpk']))
        return name, NAME, bytes.fromhex(said['psk']), psk_id, suite

    def users(self, c, *suites):
        """Different ones, of these suites."""
        left = {suite: list(pool) for suite, pool in self.pool.items()}
        return [(c, *left[s].pop(c.random.randrange(len(left[s])))) for s in suites]

    def start(self):
        self.log = open(self.dir / 'kms.log', 'w', encoding='utf-8')
        self.daemon = subprocess.Popen([self.kmsd, '--config', self.config], cwd=self.dir,
                                       stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.urls = {}
        for line in self.daemon.stdout:
            if line.startswith('ready'):
                break
            scheme, at = line.split()[1].split('://')
            self.urls[scheme] = (at.rsplit(':', 1)[0], int(at.rsplit(':', 1)[1].rstrip('/')))
        need('the daemon is ready', set(self.urls) == {'udp', 'http'})

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait()
        self.log.close()
        shutil.rmtree(self.dir)

    def ask(self, octets, over):
        if over == 'udp':
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(5)
                s.sendto(octets, self.urls['udp'])
                return s.recv(65535)
        kind = 'ticketrequest' if octets[1] in (REQUEST_INIT_PSK, REQUEST_INIT_PK) else 'ticketresolve'
        text = base64.b64encode(octets) if over == 'base64' else octets
        link = http.client.HTTPConnection(*self.urls['http'], timeout=5)
        link.request('POST', f'/keymanagement?requesttype={kind}', text,
                     {'Content-Type': 'application/mikey'})
        answer = link.getresponse()
        body = answer.read()
        link.close()
        need(f'status 200, not {answer.status}', answer.status == 200)
        return base64.b64decode(body) if over == 'base64' else body

    def url(self, c):
        return '%s://%s:%d' % c.random.choice([(s, *at) for s, at in self.urls.items()])

    def client(self, *args):
        done = subprocess.run([self.ticket, *map(str, args)], cwd=self.dir, capture_output=True,
                              text=True, env={**os.environ, 'no_proxy': '*'})
        if done.returncode != 0:
            raise Refused(f'mikey-ticket {args[0]}: exit {done.returncode}: {done.stderr.strip()}')
        return done.stdout

    def keys(self, session):
        """{CS ID: (SPI, TEK, salt)} of a session file."""
        said = json.loads(self.client('keys', '--session', session, '--show-keys', '--json'))
        return {s['cs_id']: tuple(bytes.fromhex(s[k]) for k in ('mki', 'key', 'salt'))
                for s in said['sessions']}


class Service:
    """A KMS of ours behind real sockets, for the client."""

    def __init__(self, kms):
        self.kms, self.faults = kms, []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(('127.0.0.1', 0))

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(handler):
                body = handler.rfile.read(int(handler.headers['Content-Length']))
                text = body[:1] != b'\1'
                answer = self.answer(base64.b64decode(body) if text else body)
                out = base64.b64encode(answer) if text else answer
                handler.send_response(200)
                handler.send_header('Content-Type', 'application/mikey')
                handler.send_header('Content-Length', str(len(out)))
                handler.end_headers()
                handler.wfile.write(out)

            def log_message(handler, *_):
                pass
        self.http = http.server.HTTPServer(('127.0.0.1', 0), Handler)
        for loop in (self.http.serve_forever, self.datagrams):
            threading.Thread(target=loop, daemon=True).start()

    def answer(self, octets):
        try:
            return self.kms.handle(octets)
        except Exception as why:  # told by the test; the client sees an answer it cannot read
            self.faults.append(f'{type(why).__name__}: {why}')
            return b'\1'

    def datagrams(self):
        while True:
            octets, source = self.udp.recvfrom(65535)
            self.udp.sendto(self.answer(octets), source)

    def url(self, c):
        return c.random.choice([f'udp://127.0.0.1:{self.udp.getsockname()[1]}',
                                f'http://127.0.0.1:{self.http.server_address[1]}'])


# --- what is chosen by chance ---------------------------------------------------------------------

KINDS = ([TGK], [TGK], [TGK_SALT], [GTGK], [TEK_SALT], [TGK, TGK_SALT, GTGK_SALT], [])


def some_kinds(c, flags):
    """Types of session keys; none only when a party may bring its own."""
    return c.random.choice([k for k in KINDS if k or 'L' in flags])


def some_wish(c, suite):
    """(flags, wanted keys, or None for what the KMS gives)"""
    flags = c.random.choice([FORKING, FORKING, PLAIN, 'DEFHGMNO', 'DEFHINO', 'DEFGINO', 'DEFGHILMNO'])
    if c.random.random() < .2:
        return flags, None
    return flags, [(k, bytes(n), bytes(len(salt)), spi)
                   for k, n, salt, spi in ((k, len(key), salt, spi) for k, key, salt, spi in
                                           some_keys(c, some_kinds(c, flags), suite.key_len))]


def some_supplied(c, flag, ticket, suite):
    """Keys that a party brings along, when it may."""
    if not ticket.has(flag) or c.random.random() < .3:
        return []
    return some_keys(c, c.random.choice([[TEK_SALT], [TGK], [GTGK_SALT]]), suite.key_len)


def some_offer(c, initiator):
    """Policies and crypto sessions; what is left out, the Responder fills in."""
    suite = initiator.suite
    first = c.random.randint(0, 200)
    good = [(0, b'\1'), (1, bytes([suite.key_len])), (2, b'\1'), (3, b'\x14'), (4, b'\x0e'), (11, b'\x0a')]
    policies = [sp(first, good), *c.maybe(sp(first + 1, good[:4] + [(4, b'\x0e'), (11, b'\x04')]))]
    numbers = [p[1][0] for p in policies]
    supplied = some_supplied(c, 'L', initiator.ticket, suite)
    if not initiator.session_keys and not supplied:
        supplied = some_keys(c, [TGK], suite.key_len)
    keys = initiator.session_keys + supplied
    spi = keys[0][3]
    sessions = [(cs, numbers, c.octets(4) if cs % 2 or c.random.random() < .3 else b'',
                 c.random.choice([b'', spi])) for cs in range(1, 1 + c.random.choice([1, 2, 2, 4]))]
    if keys[0][0] in (TEK, TEK_SALT):  # a TEK is that of one session
        sessions = sessions[:1]
    return policies, sessions, supplied


# --- the rounds -----------------------------------------------------------------------------------

def granted(p, alice, link, *to):
    flags, wanted = some_wish(alice.chance, alice.suite)
    alice.granted(p.ask(alice.request(flags, to, wanted), link))


def over(c):
    return c.random.choice(['udp', 'http', 'base64'])


def finish(c, alice, bob):
    answer = bob.answer(77, some_supplied(c, 'M', bob.ticket, bob.suite))
    need('both have the same keys', alice.complete(answer) == bob.sessions and bob.sessions)
    need('it is Bob who answered', alice.who == bob.name)


def against_the_kms(p, c):
    """mode 1: Initiator and Responder are ours, the KMS is theirs."""
    suite = c.random.choice(SUITES)
    a, b = p.users(c, suite, suite)
    alice, bob = Initiator(*a), Responder(*b)
    granted(p, alice, over(c), CAROL, bob.name)
    offer = alice.offer(bob.name, *some_offer(c, alice))
    bob.resolved(p.ask(bob.resolve(offer), over(c)))
    finish(c, alice, bob)


def ticket_for_the_responder(p, c):
    """mode 2: the Responder opens the ticket of their KMS."""
    suite = c.random.choice(SUITES)
    a, b = p.users(c, suite, suite)
    alice, bob = Initiator(*a), Responder(*b)
    flags = c.random.choice(['DFGHNO', 'DFHGLMNO', 'DFGNO'])
    wanted = [(k, bytes(len(key)), bytes(len(salt)), spi) for k, key, salt, spi in
              some_keys(c, some_kinds(c, flags), suite.key_len)]
    alice.granted(p.ask(alice.request(flags, [bob.name], wanted), over(c)))
    need('the ticket may be opened', not alice.ticket.has('E'))
    bob.receive(alice.offer(bob.name, *some_offer(c, alice)))
    tpk_id, tpk = p.tpks[bob.name]
    need('under the key of Bob', bob.ticket.tpk_id() == tpk_id)
    bob.open(tpk)
    finish(c, alice, bob)


def ticket_of_the_initiator(p, c):
    """mode 3: their KMS resolves a ticket of the Initiator."""
    suite = c.random.choice(SUITES)
    a, b = p.users(c, suite, suite)
    alice, bob = Initiator(*a), Responder(*b)
    tpk_id, tpk = p.tpks[alice.name]
    flags = c.random.choice(['EFGHILNO', 'EFGHLNO', 'EFGHILMNO'])
    alice.make(flags, [CAROL, bob.name], tpk, tpk_id, some_kinds(c, flags))
    offer = alice.offer(bob.name, *some_offer(c, alice))
    bob.resolved(p.ask(bob.resolve(offer), over(c)))
    finish(c, alice, bob)


def against_the_responder(p, c):
    """The Initiator is ours, mikey-ticket answers."""
    suite = c.random.choice(SUITES)
    a, bob = p.users(c, suite, suite)
    alice = Initiator(*a)
    granted(p, alice, 'udp', bob[1])
    (p.dir / 'offer').write_bytes(alice.offer(bob[1], *some_offer(c, alice)))
    p.client('answer', '--credentials', p.files[bob[4]], '--kms', p.url(c), '--offer', 'offer', '--out',
             'answer', '--session', 'bob.session')
    ours = alice.complete(base64.b64decode((p.dir / 'answer').read_bytes()))
    need('both have the same keys', ours == p.keys('bob.session'))


def against_the_initiator(p, c):
    """mikey-ticket requests, offers and completes; the Responder is ours."""
    suite = c.random.choice(SUITES)
    alice, b = p.users(c, suite, suite)
    bob, file = Responder(*b), p.files[alice[4]]
    wish = c.random.choice([[], ['--no-forking'], ['--key', 'GTGK'], ['--key', 'TGK+SALT', '--key', 'TGK']])
    p.client('request', '--credentials', file, '--kms', p.url(c), '--to', bob.name, '--out', 'a.mkt', *wish)
    p.client('offer', '--credentials', file, '--ticket', 'a.mkt', '--to', bob.name, '--out', 'a.offer',
             '--state', 'a.state')
    offer = base64.b64decode((p.dir / 'a.offer').read_bytes())
    bob.resolved(p.ask(bob.resolve(offer), c.random.choice(['udp', 'http'])))
    (p.dir / 'b.answer').write_bytes(bob.answer(4711))
    p.client('complete', '--credentials', file, '--state', 'a.state', '--answer', 'b.answer', '--session',
             'a.session')
    need('both have the same keys', bob.sessions == p.keys('a.session'))


def against_both_parties(p, c):
    """The KMS is ours, mikey-ticket is Initiator and Responder."""
    suite = c.random.choice(SUITES)
    a, b = p.users(c, suite, suite)
    alice, bob = p.files[a[4]], p.files[b[4]]
    service = Service(Kms(c, NAME, [Party(*a), Party(*b)], [c.octets(16), c.octets(32)]))
    wish = c.random.choice([[], ['--no-forking'], ['--key', 'GTGK+SALT'], ['--key', 'TGK', '--key', 'TGK']])
    try:
        p.client('request', '--credentials', alice, '--kms', service.url(c), '--to', b[1], '--out', 'k.mkt',
                 *wish)
        p.client('offer', '--credentials', alice, '--ticket', 'k.mkt', '--to', b[1], '--out', 'k.offer',
                 '--state', 'k.state')
        p.client('answer', '--credentials', bob, '--kms', service.url(c), '--offer', 'k.offer', '--out',
                 'k.answer', '--session', 'kb.session')
        p.client('complete', '--credentials', alice, '--state', 'k.state', '--answer', 'k.answer',
                 '--session', 'ka.session')
    except Refused as why:
        raise Refused(f'{why}; {service.faults}') from why
    need('both have the same keys', p.keys('ka.session') == p.keys('kb.session'))


def refused(what, act):
    try:
        act()
    except Refused:
        return
    raise AssertionError(f'{what} was accepted')


def damaged(c, octets):
    at = c.random.randrange(len(octets))
    return octets[:at] + bytes([octets[at] ^ 1 << c.random.randrange(8)]) + octets[at + 1:]


def damage_on_the_way(p, c):
    """one bit of each message is changed: nobody takes it, and the call goes on without harm."""
    suite = c.random.choice(SUITES)
    a, b = p.users(c, suite, suite)
    alice, bob = Initiator(*a), Responder(*b)
    request = alice.request(FORKING, [bob.name])
    refused('request', lambda: alice.granted(p.ask(damaged(c, request), 'http')))
    alice.granted(p.ask(request, 'http'))
    policies, sessions, _ = some_offer(c, alice)
    (p.dir / 'd.offer').write_bytes(damaged(c, alice.offer(bob.name, policies, sessions)))
    refused('offer', lambda: p.client('answer', '--credentials', p.files[b[4]], '--kms', p.url(c), '--offer',
                                      'd.offer', '--out', 'd.answer', '--session', 'd.session'))
    resolve = bob.resolve(alice.offered)
    refused('resolve', lambda: bob.resolved(p.ask(damaged(c, resolve), 'http')))
    bob.resolved(p.ask(resolve, 'http'))
    refused('replay', lambda: bob.resolved(p.ask(resolve, 'http')))
    finish(c, alice, bob)


DEFERRED = 'DEHINO'


def some_content(c):
    """Of one part, of exactly one or two, of several, or none."""
    front = 32 + 8 + 1 + len('a.txt')
    return c.random.randbytes(c.random.choice([0, 1, 777, 65536 - front, 65535, 2 * 65536 - front, 200000]))


def sealed_for_the_client(p, c):
    """A sealed object of ours, which mikey-ticket opens."""
    suite = c.random.choice(SUITES)
    a, b = p.users(c, suite, suite)
    alice, content = Sealer(*a), some_content(c)
    alice.granted(p.ask(alice.request(DEFERRED, [b[1]], some_keys(c, [GTGK], suite.key_len)), over(c)))
    (p.dir / 's.sealed').write_bytes(alice.seal(b[1], 'a.txt', content))
    said = json.loads(p.client('open', '--credentials', p.files[b[4]], '--kms', p.url(c), '--out', 's.opened',
                               '--json', 's.sealed'))
    need('the content', (p.dir / 's.opened').read_bytes() == content)
    need('it says who sealed it', said['sealed_by'] == alice.name and said['name'] == 'a.txt')


def sealed_by_the_client(p, c):
    """A sealed object of mikey-ticket, which we open."""
    suite = c.random.choice(SUITES)
    a, b = p.users(c, suite, suite)
    bob, content = Opener(*b), some_content(c)
    (p.dir / 'a.txt').write_bytes(content)
    p.client('seal', '--credentials', p.files[a[4]], '--kms', p.url(c), '--to', bob.name, '--out', 'c.sealed',
             'a.txt')
    octets = (p.dir / 'c.sealed').read_bytes()
    bob.resolved(p.ask(bob.resolve(split(octets)[0]), over(c)))
    need('name and content', unseal(octets, *bob.keys()) == ('a.txt', content))


def sealed_by_an_odd_maker(p, c):
    """Sealed objects of ours that are not as they should be: none is opened."""
    suite = c.random.choice(SUITES)
    a, b, m = p.users(c, suite, suite, suite)
    kind, at = now(NTP_UTC)
    for flags, to, odd in (
            (DEFERRED, [b[1]], {'when': (kind, at + (400 << 32))}),
            (DEFERRED, [b[1]], {'when': (NTP, at)}),
            (DEFERRED, [b[1]], {'prot': 0, 'params': [(1, bytes([suite.key_len]))], 'data': bytes(4)}),
            (DEFERRED, [b[1]], {'prot': 244}),
            (DEFERRED, [b[1]], {'params': [(0, b'\1'), (1, b'\x0f')]}),
            (DEFERRED, [b[1]], {'params': [(0, b'\1')]}),
            (DEFERRED, [b[1]], {'data': bytes(31)}),
            (DEFERRED, [b[1]], {'data': bytes(32)}),
            (DEFERRED, [b[1]], {'sessions': 2}),
            ('DEFHINO', [b[1]], {}),
            ('DEHNO', [b[1], m[1]], {}),
            ('DEHNO', [m[1], b[1]], {}),
    ):
        alice = Sealer(*a)
        alice.granted(p.ask(alice.request(flags, to, some_keys(c, [GTGK], suite.key_len)), 'http'))
        (p.dir / 'o.sealed').write_bytes(alice.seal(b[1], '', b'odd', **odd))
        try:
            p.client('open', '--credentials', p.files[b[4]], '--kms', p.url(c), '--out', 'o.opened', 'o.sealed')
        except Refused as why:
            need(f'{flags} {odd} is refused as it should: {why}', 'exit 5' in str(why))
        need(f'{flags} {odd} is not opened', not (p.dir / 'o.opened').exists())


def exchanged_by_another_of_them(p, c):
    """Who may open an object cannot put another content under its head, nor make one of its ticket."""
    suite = c.random.choice(SUITES)
    a, b, m = p.users(c, suite, suite, suite)
    mallory = Opener(*m)
    (p.dir / 'a.txt').write_bytes(b'to be trusted')
    p.client('seal', '--credentials', p.files[a[4]], '--kms', p.url(c), '--to', b[1], '--to', m[1], '--out',
             'm.sealed', 'a.txt')
    message, _ = split((p.dir / 'm.sealed').read_bytes())
    mallory.resolved(p.ask(mallory.resolve(message), 'http'))
    other = c.octets(32) + (4).to_bytes(8, 'big') + b'\0' + b'lies'
    (p.dir / 'm.sealed').write_bytes(seal(message, *mallory.keys(), other))
    refused('the content of another', lambda: p.client(
        'open', '--credentials', p.files[b[4]], '--kms', p.url(c), '--out', 'm.opened', 'm.sealed'))
    forger = Sealer(*m)
    forger.name, forger.ticket = a[1], mallory.ticket
    forger.mpki, forger.mpkr, forger.session_keys = mallory.mpki, mallory.mpkr, mallory.session_keys
    (p.dir / 'm.sealed').write_bytes(forger.seal(b[1], '', b'lies'))
    refused('a message with the ticket of another', lambda: p.client(
        'open', '--credentials', p.files[b[4]], '--kms', p.url(c), '--out', 'm.opened', 'm.sealed'))
    need('nothing was written', not (p.dir / 'm.opened').exists())


ROUNDS = (against_the_kms, ticket_for_the_responder, ticket_of_the_initiator, against_the_responder,
          against_the_initiator, against_both_parties, damage_on_the_way,
          sealed_for_the_client, sealed_by_the_client, sealed_by_an_odd_maker, exchanged_by_another_of_them)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('ticket')
    parser.add_argument('kmsd')
    parser.add_argument('kmsctl')
    parser.add_argument('--seed', type=int)
    parser.add_argument('--rounds', type=int, default=6, help='of each kind')
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.randrange(1 << 31)
    print(f'1..{len(ROUNDS) * args.rounds}\n# --seed {seed}')
    programs, failed = Programs(args), 0
    programs.start()
    try:
        for n in range(len(ROUNDS) * args.rounds):
            play = ROUNDS[n % len(ROUNDS)]
            try:
                play(programs, Chance(random.Random(seed * 1000 + n)))
                print(f'ok {n + 1} - {play.__doc__.strip()}', flush=True)
            except Exception:
                failed = 1
                print(f'not ok {n + 1} - {play.__doc__.strip()}')
                print('# ' + traceback.format_exc().replace('\n', '\n# '), flush=True)
                print('# ' + (programs.dir / 'kms.log').read_text()[-500:].replace('\n', '\n# '))
    finally:
        programs.stop()
    sys.exit(failed)


if __name__ == '__main__':
    main()
