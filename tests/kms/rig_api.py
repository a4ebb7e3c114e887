#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tests of the admin API share: a daemon with people of every role, and ways to ask it as each
of them, over the control socket and over TLS."""

import http.client
import json
import os
import socket
import ssl
import subprocess
from urllib.parse import quote

from rig import Authority, Kms, Skip, until

SOCKET_TIMEOUT = 30


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the control socket."""

    def __init__(self, path):
        super().__init__('kms', timeout=SOCKET_TIMEOUT)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SOCKET_TIMEOUT)
        self.sock.connect(self.path)


class Answer:
    """Status and JSON of an answer."""

    def __init__(self, status, body, kind=None, allow=None):
        self.status, self.type, self.allow = status, kind, allow
        self.json = json.loads(body) if body else None
        self.text = body

    def __repr__(self):
        return f'{self.status} {self.text}'


def exchange(connection, method, path, body=None, headers=None):
    headers = dict(headers or {})
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
        headers.setdefault('Content-Type', 'application/json')
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    return Answer(response.status, response.read().decode(), response.getheader('Content-Type'),
                  response.getheader('Allow'))


def as_user(uid, gid, groups, run):
    """Runs in a child that has become somebody else; what it returns is JSON."""
    if os.geteuid() != 0:
        raise Skip('only root can be another user')
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            result = run()
        except Exception as why:  # pylint: disable=broad-except
            result = {'error': repr(why)}
        with os.fdopen(writer, 'w') as out:
            json.dump(result, out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        result = json.load(answer)
    os.waitpid(child, 0)
    assert 'error' not in result, result
    return result


# name, uid and gid on a Debian system, supplementary groups
USERS = {'reader': (1, 1, []), 'operator': (2, 2, []), 'officer': (3, 3, []), 'gamer': (65534, 65534, [60]),
         'nobody': (65534, 65534, [])}
PEOPLE = '''
    - {name: reader, role: read, user: daemon}
    - {name: operator, role: operate, user: bin}
    - {name: officer, role: security-officer, user: sys}
    - {group: games, role: read}
    - {name: reader, role: read, certificate: reader@ops.example.com}
    - {name: operator, role: operate, certificate: operator@ops.example.com}
    - {name: officer, role: security-officer, certificate: officer@ops.example.com}
    - {name: second, role: security-officer, certificate: "https://second.example.com/"}
'''


class Scene(Kms):
    """A daemon with people: by uid, by certificate, by token."""

    def __init__(self, build, more='', tls=True):
        super().__init__(build)
        self.tokens = {}
        self.api = None
        self.dir.chmod(0o755)
        if not tls:
            self.configure(f'api:\n  people:{PEOPLE}{more}')
            return
        Authority(self.dir, 'ca').issue('kms', 'IP:127.0.0.1')
        self.ops = Authority(self.dir, 'ops')
        for name in ('reader', 'operator', 'officer', 'nobody'):
            self.ops.issue(name, f'email:{name}@ops.example.com')
        self.ops.issue('second', 'URI:https://second.example.com/')
        self.more = more
        self.roster()

    def token(self, name, role):
        """Makes one as an operator would; returns its line for the configuration."""
        done = self.ctl('token', 'new', name, '--role', role, '--json')
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        self.tokens[name] = made['token']
        return f'    - {{name: {name}, role: {role}, token: {made["hash"]}}}\n'

    def roster(self, extra=''):
        self.configure('')
        rows = PEOPLE + ''.join(self.token(f'{role}-token', role) for role in
                                ('read', 'operate', 'security-officer')) + extra
        self.write_config(rows)

    def write_config(self, rows):
        self.rows = rows
        self.configure('tls: {certificate: kms.pem, private_key: kms.key}\nhttp_timeout: 2s\n'
                       f'api:\n  listen: https://127.0.0.1:0\n  client_ca: ops.pem\n  people:{rows}{self.more}')

    def start(self):
        super().start()
        return self

    # --- asking

    def unix(self, method, path, body=None, headers=None):
        return exchange(UnixConnection(self.dir / 'control'), method, path, body, headers)

    def as_uid(self, who, method, path, body=None):
        """As one of USERS, over the control socket."""
        def run():
            answer = self.unix(method, path, body)
            return {'status': answer.status, 'text': answer.text}
        result = as_user(*USERS[who], run)
        return Answer(result['status'], result['text'])

    def tls(self, certificate=None, ca='ca.pem'):
        context = ssl.create_default_context(cafile=self.dir / ca)
        if certificate:
            context.load_cert_chain(self.dir / f'{certificate}.pem', self.dir / f'{certificate}.key')
        return http.client.HTTPSConnection('127.0.0.1', self.api_port, context=context,
                                           timeout=SOCKET_TIMEOUT)

    @property
    def api_port(self):
        return int(self.api_url.rsplit(':', 1)[1])

    def as_certificate(self, who, method, path, body=None):
        return exchange(self.tls(who), method, path, body)

    def as_token(self, token, method, path, body=None, certificate=None):
        return exchange(self.tls(certificate), method, path, body,
                        {'Authorization': f'Bearer {self.tokens.get(token, token)}'})

    # --- the audit

    def records(self, event='admin'):
        found = []
        for segment in sorted((self.dir / 'audit').glob('audit-*.jsonl')):
            with open(segment, encoding='ascii') as lines:
                found += [json.loads(line) for line in lines]
        return [r for r in found if r['event'] == event]


def segment(text):
    """A text as one segment of a path."""
    return quote(text, safe='')


def table(build):
    done = subprocess.run([f'{build}/tests/kms/api-table'], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


__all__ = ['Scene', 'Answer', 'UnixConnection', 'exchange', 'as_user', 'USERS', 'segment', 'table', 'until']
