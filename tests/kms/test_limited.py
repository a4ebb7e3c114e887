#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Limits, lock-outs and networks at the real daemon, and the operator who lists and lifts them.
Usage: test_limited.py BUILD_DIR. Prints TAP."""

import json
import re
import sys
import urllib.error
import urllib.request

from rig import Kms, run_tests, until

CONTROL = 'control: kms.sock\nadmin: http://127.0.0.1:0\n'
ANY = ('udp://127.0.0.1:0', 'http://127.0.0.1:0')


class Scene(Kms):
    """A daemon with two users, and a credential of alice with a wrong key."""

    def __init__(self, build):
        super().__init__(build, CONTROL, ANY)
        self.add_users('alice', 'bob')
        right = (self.dir / 'alice.cred').read_text(encoding='utf-8')
        wrong, n = re.subn(r'[0-9a-f]{64}', '5a' * 32, right)
        assert n == 1
        self.write('wrong.cred', wrong)

    def begin(self, limits):
        self.configure(CONTROL + limits)
        return self.start()

    def request(self, who='alice', scheme='http'):
        url = f'{scheme}://127.0.0.1:{self.port(scheme + "://")}'
        (self.dir / 'ticket').unlink(missing_ok=True)
        return self.ticket('request', '--credentials', f'{who}.cred', '--kms', url, '--to',
                           'sip:bob@example.com', '--out', 'ticket', '--timeout', '1').returncode == 0

    def post(self):
        """The HTTP status of a body that is no message: limits come before everything else."""
        url = f'http://127.0.0.1:{self.port("http://")}/keymanagement?requesttype=ticketrequest'
        ask = urllib.request.Request(url, b'x', {'Content-Type': 'application/mikey'})
        try:
            return urllib.request.urlopen(ask, timeout=10).status
        except urllib.error.HTTPError as answer:
            return answer.code
        except (urllib.error.URLError, ConnectionError):
            return 0

    def limits(self):
        done = self.ctl('limits', 'list', '--json')
        assert done.returncode == 0, done.stderr
        return {(row['kind'], row['name']): row for row in json.loads(done.stdout)}

    def lift(self, kind, name):
        return self.ctl('limits', 'lift', kind, name)

    def metric(self, line):
        text = urllib.request.urlopen(self.admin + '/metrics', timeout=10).read().decode()
        return next(int(row.split()[-1]) for row in text.splitlines() if row.startswith(line + ' '))


def a_source_has_so_many_requests_a_minute_and_the_operator_can_lift_it(scene):
    scene.begin('limits: {source_minute: 5}\n')
    assert [scene.post() for _ in range(7)] == [400] * 5 + [429] * 2
    row = scene.limits()['source', '127.0.0.1']
    assert row['state'] == 'limited' and row['refused'] == 2, row
    done = scene.lift('source', '127.0.0.1')
    assert done.returncode == 0, done.stderr
    assert scene.limits() == {}
    assert scene.post() == 400
    assert 'limit-lifted kind=source name=127.0.0.1' in scene.log()


def so_has_an_identity(scene):
    scene.begin('limits: {identity_hour: 2}\n')
    assert [scene.request() for _ in range(3)] == [True, True, False]
    assert scene.request('bob')
    assert scene.limits()['identity', 'sip:alice@example.com']['state'] == 'limited'
    assert scene.lift('identity', 'sip:alice@example.com').returncode == 0
    assert scene.request()


def a_source_that_fails_too_often_is_locked_out(scene):
    scene.begin('limits: {lockout_failures: 3, lockout_time: 1h}\n')
    for _ in range(2):
        assert not scene.request('wrong')
    assert scene.request()
    assert not scene.request('wrong')
    assert scene.post() == 429
    assert not scene.request() and not scene.request(scheme='udp')
    row = scene.limits()['source', '127.0.0.1']
    assert row['state'] == 'locked-out' and 3500 < row['seconds'] <= 3600, row
    assert 'locked-out source=127.0.0.1' in scene.log()
    assert scene.lift('source', '127.0.0.1').returncode == 0
    assert scene.request()


def nobody_is_locked_out_by_datagrams_that_anybody_could_have_sent(scene):
    scene.begin('limits: {lockout_failures: 2}\n')
    for _ in range(5):
        assert not scene.request('wrong', 'udp')
    assert scene.request() and scene.limits() == {}


def unless_the_operator_wants_it(scene):
    scene.begin('limits: {lockout_failures: 2, lockout_udp: true}\n')
    for _ in range(2):
        assert not scene.request('wrong', 'udp')
    assert not scene.request()


def limits_change_with_a_reload(scene):
    scene.begin('')
    assert [scene.post() for _ in range(20)] == [400] * 20
    scene.configure(CONTROL + 'limits: {source_hour: 3}\n')
    assert scene.ctl('reload').returncode == 0
    assert [scene.post() for _ in range(5)] == [400] * 3 + [429] * 2
    scene.configure(CONTROL)
    assert scene.ctl('reload').returncode == 0
    assert scene.post() == 400


def a_network_that_is_denied_gets_nothing(scene):
    scene.listen = ('{url: "http://127.0.0.1:0", deny: 127.0.0.0/8}',
                    '{url: "udp://127.0.0.1:0", deny: [10.0.0.0/8, 127.0.0.1]}')
    scene.begin('')
    assert scene.post() == 0
    assert not scene.request(scheme='udp')
    assert scene.metric('mikey_kms_requests_total{transport="http",outcome="denied"}') >= 1
    assert scene.metric('mikey_kms_requests_total{transport="udp",outcome="denied"}') >= 1


def with_allow_only_what_it_names(scene):
    scene.listen = ('{url: "http://127.0.0.1:0", allow: [192.0.2.0/24, 127.0.0.1/32]}',
                    '{url: "udp://127.0.0.1:0", allow: 192.0.2.0/24}')
    scene.begin('')
    assert scene.post() == 400
    assert not scene.request(scheme='udp')


def mistakes_in_networks_have_a_place(scene):
    for entry, wrong in (('{url: "udp://127.0.0.1:0", allow: 10.0.0.1/8}', '3:39: the address has bits'),
                         ('{url: "udp://127.0.0.1:0", alow: "::/0"}', 'has url, for, allow and deny'),
                         ('{allow: "::/0"}', 'url is missing'),
                         ('{url: "udp://127.0.0.1:0", deny: []}', 'an empty list'),
                         ('{url: "udp://127.0.0.1:0", url: "udp://127.0.0.1:0"}', 'once each')):
        scene.listen = (entry,)
        scene.configure('')
        done = scene.run('kms/mikey-kmsd', '--config', 'kms.yaml', '--check')
        assert done.returncode == 3 and wrong in done.stderr, (entry, done.stderr)


def what_cannot_be_lifted_is_said(scene):
    scene.begin('limits: {source_minute: 5}\n')
    for kind, name, code, wrong in (('source', '192.0.2.1', 4, 'nobody of that name'),
                                    ('source', 'example.com', 2, 'is an IP address'),
                                    ('identity', 'sip:carol@example.com', 4, 'nobody of that name'),
                                    ('user', 'sip:carol@example.com', 2, 'of a source or of an identity')):
        done = scene.lift(kind, name)
        assert done.returncode == code and wrong in done.stderr, done.stderr
    assert scene.ctl('limits', 'lift', 'source').returncode == 2
    assert until(lambda: scene.post() == 429)


TESTS = [
    a_source_has_so_many_requests_a_minute_and_the_operator_can_lift_it,
    so_has_an_identity,
    a_source_that_fails_too_often_is_locked_out,
    nobody_is_locked_out_by_datagrams_that_anybody_could_have_sent,
    unless_the_operator_wants_it,
    limits_change_with_a_reload,
    a_network_that_is_denied_gets_nothing,
    with_allow_only_what_it_names,
    mistakes_in_networks_have_a_place,
    what_cannot_be_lifted_is_said,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: Scene(sys.argv[1]), lambda scene: scene.close()))
