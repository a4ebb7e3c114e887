# SPDX-License-Identifier: Apache-2.0
"""Two organisations, each with a KMS of its own that knows the other one: what the tests of RFC 6043
section 10 share."""

import base64
import http.client
import json
import os
import random
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'peer'))
import roles  # noqa: E402 the protocol a second time, from the RFCs alone

from rig import Authority, Kms  # noqa: E402

NAMES = 'IP:127.0.0.1,DNS:kms.{0}.example'
KEY = os.urandom(32).hex()  # the PSK that the two KMSs share


class Org(Kms):
    """The KMS of NAME.example: users on udp and http, other KMSs on https."""

    def __init__(self, build, name):
        self.name = name
        self.peers, self.more, self.at = '', '', 0
        super().__init__(build)
        self.ca = Authority(self.dir, 'ca')
        self.ca.issue('kms', NAMES.format(name), 'serverAuth')
        self.ca.issue('link', NAMES.format(name), 'clientAuth')

    def configure(self, more):
        self.more = more
        self.write('kms.yaml', f'''identity: sip:kms@{self.name}.example
listen:
  - udp://127.0.0.1:0
  - http://127.0.0.1:0
  - {{url: "https://127.0.0.1:{self.at}", for: peers}}
store: sqlite:kms.db
control: kms.sock
admin: http://127.0.0.1:0
tls: {{certificate: kms.pem, private_key: kms.key}}
{self.peers}{more}''')

    def restart(self):
        """The port that the other organisation knows stays."""
        self.at = self.port('https')
        self.configure(self.more)
        self.stop()
        self.start()

    def knows(self, other, port, **change):
        """Names the other organisation as a peer that listens on port; change: other options."""
        options = {'identity': f'sip:kms@{other.name}.example', 'domains': f'[{other.name}.example]',
                   'url': f'https://127.0.0.1:{port}', 'name': f'kms.{other.name}.example',
                   'ca': other.dir / 'ca.pem', 'certificate': 'link.pem', 'private_key': 'link.key',
                   'timeout': '15s', **change}
        self.peers = 'peers:\n  - {' + ', '.join(f'{k}: {v}' for k, v in options.items()
                                                 if v is not None) + '}\n'
        self.configure(self.more)

    def shares(self, other, key=KEY, psk_id='a-b'):
        done = subprocess.run([self.build / 'kms/mikey-kmsctl', '--config', 'kms.yaml', 'user', 'add',
                               f'sip:kms@{other.name}.example', '--psk-id', psk_id, '--psk-hex', '-'],
                              cwd=self.dir, input=key + '\n', capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def sip(self, user):
        return f'sip:{user}@{self.name}.example'

    def add_users(self, *names):
        for name in names:
            done = self.ctl('user', 'add', self.sip(name), '--psk-out', f'{name}.cred')
            assert done.returncode == 0, done.stderr

    def url(self, scheme='http'):
        return f'{scheme}://127.0.0.1:{self.port(scheme + "://")}'

    def ticket_id(self):
        """Of the only ticket that was issued here."""
        return self.audit('issue')[-1]['ticket']

    def peer(self):
        """What peers list says of the only peer."""
        done = self.ctl('peers', 'list', '--json')
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)[0]

    def audit(self, event):
        """The records of that event."""
        lines = []
        for segment in sorted((self.dir / 'audit').glob('*.jsonl')):
            lines += segment.read_text(encoding='ascii').splitlines()
        return [r for r in map(json.loads, lines) if r['event'] == event]

    def metrics(self):
        return urllib.request.urlopen(self.admin + '/metrics', timeout=10).read().decode()

    def metric(self, name):
        return next(int(line.split()[-1]) for line in self.metrics().splitlines() if line.startswith(name + ' '))

    def told(self):
        """Everything that the daemon tells anybody but its clients."""
        segments = [p.read_text(encoding='ascii') for p in (self.dir / 'audit').glob('*.jsonl')]
        return '\n'.join([self.log(), *segments, self.metrics(), self.ctl('peers', 'list').stdout,
                          self.ctl('status').stdout])


class Sure(random.Random):
    """Every chance comes true."""

    def random(self):
        return 0.0


class Talkative(roles.Chance):
    """Leaves nothing out and keeps the order of the figures."""

    def maybe(self, *payloads):
        return list(payloads)

    def order(self, payloads):
        return payloads

    def unexpected(self):
        return []


class World:
    """A and B. Alice is a user of A, Bob of B. Tickets of A go to B to be resolved."""

    def __init__(self, build):
        self.a, self.b = Org(build, 'a'), Org(build, 'b')
        self.a.shares(self.b)
        self.b.shares(self.a)
        self.a.add_users('alice')
        self.b.add_users('bob', 'carol')

    def start(self, **change):
        """A asks nobody: it has no url of B."""
        self.a.knows(self.b, 0, url=None, certificate=None, private_key=None)
        self.a.start()
        self.b.knows(self.a, self.a.port('https'), **change)
        self.b.start()
        return self

    def request(self, to=None, *more):
        done = self.a.ticket('request', '--credentials', 'alice.cred', '--kms', self.a.url(), '--to',
                             to or self.b.sip('bob'), '--out', 'ticket', '--quiet', *more)
        assert done.returncode == 0, done.stderr
        self.offer(to)

    def offer(self, to=None):
        done = self.a.ticket('offer', '--credentials', 'alice.cred', '--ticket', 'ticket', '--to',
                             to or self.b.sip('bob'), '--out', 'offer', '--state', 'state', '--quiet')
        assert done.returncode == 0, done.stderr

    def answer(self, who='bob', scheme='http', org=None):
        org = org or self.b
        for name in ('answer', 'session'):
            (org.dir / name).unlink(missing_ok=True)
        return org.ticket('answer', '--credentials', f'{who}.cred', '--kms', org.url(scheme), '--offer',
                          self.a.dir / 'offer', '--out', 'answer', '--session', 'session', '--timeout', '25',
                          '--quiet')

    def complete(self):
        return self.a.ticket('complete', '--credentials', 'alice.cred', '--state', 'state', '--answer',
                             self.b.dir / 'answer', '--session', 'session', '--quiet')

    def as_peer(self, name=None, psk=KEY, psk_id='a-b', offer='offer'):
        """A KMS of B that is none of ours: the Responder with the key of the two KMSs."""
        chance = Talkative(Sure(os.urandom(8)))
        kms = roles.Responder(chance, name or self.b.sip('bob'), 'sip:kms@a.example', bytes.fromhex(psk),
                              psk_id.encode(), roles.SUITES[1])
        kms.receive(base64.b64decode((self.a.dir / offer).read_text(encoding='ascii')))
        kms.asked = kms.resolve(kms.offer.octets)
        return kms

    def post(self, octets, cert='link', kind='ticketresolve', to=None, folder=None):
        """(status, body) of a message to the address of A for other KMSs."""
        context = ssl.create_default_context(cafile=self.a.dir / 'ca.pem')
        if cert is not None:
            folder = folder or self.b.dir
            context.load_cert_chain(folder / f'{cert}.pem', folder / f'{cert}.key')
        link = http.client.HTTPSConnection('127.0.0.1', to or self.a.port('https'), timeout=10, context=context)
        link.request('POST', f'/keymanagement?requesttype={kind}', octets, {'Content-Type': 'application/mikey'})
        answer = link.getresponse()
        body = answer.read()
        link.close()
        return answer.status, body

    def log(self):
        return 'A\n' + self.a.log() + 'B\n' + self.b.log()

    def close(self):
        codes = [org.stop() for org in (self.a, self.b)]
        self.a.close()
        self.b.close()
        assert codes == [0, 0], codes  # a sanitizer has its own
