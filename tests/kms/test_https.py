#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The key-management port over TLS: the client and the daemon with certificates of a test authority,
and everything that must not work. Usage: test_https.py BUILD_DIR. Prints TAP."""

import socket
import ssl
import sys
import warnings

from rig import Authority, Kms, Skip, run_tests, until

TLS = 'tls: {certificate: kms.pem, private_key: kms.key}\nhttp_timeout: 2s\n'
MUTUAL = 'tls: {certificate: kms.pem, private_key: kms.key, client_ca: clients.pem}\n'
SAN = 'IP:127.0.0.1,IP:::1'
UNREACHABLE = 6


class Scene(Kms):
    """A daemon that serves https, and a CA."""

    def __init__(self, build):
        super().__init__(build, TLS, ('https://127.0.0.1:0', 'https://[::1]:0'))
        self.ca = Authority(self.dir, 'ca')
        self.serial = self.ca.issue('kms', SAN)
        self.add_users('alice', 'bob')

    def start_mutual(self):
        self.clients = Authority(self.dir, 'clients')
        self.configure(MUTUAL)
        return self.start()

    def url(self, host='127.0.0.1'):
        return f'https://{host}:{self.port("https://127")}'

    def request(self, *more, url=None, cacert='ca.pem'):
        trust = ['--cacert', cacert] if cacert else []
        return self.ticket('request', '--credentials', 'alice.cred', '--kms', url or self.url(), '--to',
                           'sip:bob@example.com', '--out', 'ticket.mkt', '--quiet', *trust, *more)

    def context(self, **limits):
        context = ssl.create_default_context(cafile=self.dir / 'ca.pem')
        for name, value in limits.items():
            setattr(context, name, value)
        return context

    def connect(self, context):
        plain = socket.create_connection(('127.0.0.1', self.port('https://127')), timeout=10)
        return context.wrap_socket(plain, server_hostname='127.0.0.1')

    def shows(self):
        """The serial number of the certificate that a new connection sees."""
        with self.connect(self.context()) as tls:
            return int(tls.getpeercert()['serialNumber'], 16)


def refused(done, *words):
    assert done.returncode == UNREACHABLE, (done.returncode, done.stderr)
    assert any(w in done.stderr for w in words), done.stderr


def still_serves(scene):
    done = scene.request()
    assert done.returncode == 0, done.stderr


def accepted(scene, context):
    """Whether the daemon ends the handshake well. It must be the daemon that does not: libmicrohttpd
    closes the connection, and an error of our own side has another reason."""
    try:
        scene.connect(context).close()
        return True
    except ConnectionError:
        return False
    except ssl.SSLError as why:
        assert 'EOF' in why.reason or 'ALERT' in why.reason, why
        return False


def ask(tls):
    """A request on a connection that stays: 404 is an answer, too."""
    tls.sendall(b'GET / HTTP/1.1\r\nHost: kms\r\n\r\n')
    head = b''
    while b'\r\n\r\n' not in head:
        part = tls.recv(4096)
        assert part, 'the connection was closed'
        head += part
    return head.split()[1] == b'404'


def the_client_gets_a_ticket_and_resolves_it_over_https(scene):
    scene.start()
    done = scene.request()
    assert done.returncode == 0, done.stderr
    done = scene.ticket('offer', '--credentials', 'alice.cred', '--ticket', 'ticket.mkt', '--to',
                        'sip:bob@example.com', '--out', 'offer', '--state', 'state')
    assert done.returncode == 0, done.stderr
    done = scene.ticket('answer', '--credentials', 'bob.cred', '--kms', scene.url(), '--cacert', 'ca.pem',
                        '--offer', 'offer', '--out', 'answer', '--session', 'session')
    assert done.returncode == 0, done.stderr


def over_ipv6_as_well(scene):
    try:
        socket.create_server(('::1', 0), family=socket.AF_INET6).close()
    except OSError:
        raise Skip('this machine has no IPv6') from None
    scene.start()
    port = scene.port('https://[::1]')
    done = scene.request(url=f'https://[::1]:{port}')
    assert done.returncode == 0, done.stderr


def an_authority_that_the_client_does_not_trust_is_refused(scene):
    scene.start()
    Authority(scene.dir, 'other')
    refused(scene.request(cacert='other.pem'), 'certificate')
    refused(scene.request(cacert=None), 'certificate')


def a_certificate_for_another_name_is_refused(scene):
    scene.start()
    refused(scene.request(url=scene.url('localhost')), 'does not match', 'alternative certificate')


def a_certificate_that_has_run_out_is_refused(scene):
    scene.ca.issue('kms', SAN, days='-1')
    scene.start()
    refused(scene.request(), 'expired')


def only_tls_1_2_and_1_3_are_spoken(scene):
    scene.start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with scene.connect(scene.context(minimum_version=version, maximum_version=version)) as tls:
            assert ask(tls)
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        old = scene.context()
        old.set_ciphers('ALL:@SECLEVEL=0')
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, version
        assert not accepted(scene, old), version


def ciphers_without_authenticated_encryption_are_refused(scene):
    scene.start()
    for ciphers, good in (('ECDHE-ECDSA-AES128-GCM-SHA256', True), ('ECDHE-ECDSA-CHACHA20-POLY1305', True),
                          ('ECDHE-ECDSA-AES128-SHA', False), ('ECDHE-ECDSA-AES256-SHA384', False)):
        context = scene.context(maximum_version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(ciphers + ':@SECLEVEL=0')
        assert accepted(scene, context) == good, ciphers


def plain_http_on_the_port_gets_no_answer(scene):
    scene.start()
    with socket.create_connection(('127.0.0.1', scene.port('https://127')), timeout=10) as plain:
        plain.sendall(b'GET / HTTP/1.1\r\nHost: kms\r\n\r\n')
        try:
            assert b'HTTP' not in plain.recv(4096)
        except ConnectionError:
            pass
    still_serves(scene)


def a_handshake_that_does_not_end_is_cut_off(scene):
    scene.start()
    with socket.create_connection(('127.0.0.1', scene.port('https://127')), timeout=10) as plain:
        plain.sendall(b'\x16\x03\x01')
        try:
            while plain.recv(4096):
                pass
        except ConnectionError:
            pass
    still_serves(scene)


def a_client_with_a_certificate_of_the_right_authority_is_served(scene):
    scene.start_mutual()
    scene.clients.issue('phone', usage='clientAuth')
    done = scene.request('--tls-cert', 'phone.pem', '--tls-key', 'phone.key')
    assert done.returncode == 0, done.stderr


def a_client_without_a_certificate_is_not(scene):
    scene.start_mutual()
    refused(scene.request(), 'cannot reach')
    assert 'request outcome' not in scene.log()


def nor_one_of_another_authority_or_for_another_use(scene):
    scene.start_mutual()
    scene.ca.issue('stranger', usage='clientAuth')
    scene.clients.issue('server', usage='serverAuth')
    scene.clients.issue('late', usage='clientAuth', days='-1')
    for name in ('stranger', 'server', 'late'):
        refused(scene.request('--tls-cert', f'{name}.pem', '--tls-key', f'{name}.key'), 'cannot reach')


def new_certificates_are_served_and_open_connections_stay(scene):
    scene.start()
    with scene.connect(scene.context()) as before:
        assert ask(before)
        assert scene.shows() == scene.serial
        fresh = scene.ca.issue('kms', SAN)
        assert until(lambda: scene.shows() == fresh)
        assert ask(before)
    assert scene.log().count('tls-reloaded') >= 1


def certificates_that_cannot_be_read_change_nothing(scene):
    scene.start()
    scene.write('kms.pem', 'not a certificate\n')
    assert until(lambda: 'tls-unreadable' in scene.log())
    assert scene.shows() == scene.serial
    fresh = scene.ca.issue('kms', SAN)
    assert until(lambda: scene.shows() == fresh)


def an_authority_that_is_taken_away_lets_nobody_new_in(scene):
    scene.start_mutual()
    scene.clients.issue('phone', usage='clientAuth')
    words = ('--tls-cert', 'phone.pem', '--tls-key', 'phone.key')
    assert scene.request(*words).returncode == 0
    Authority(scene.dir, 'clients')  # another key under the same name
    assert until(lambda: 'tls-reloaded' in scene.log())
    refused(scene.request(*words), 'cannot reach')


def the_configuration_is_checked(scene):
    scene.write('kms.key', (scene.dir / 'kms.key').read_text(encoding='utf-8'), 0o644)
    done = scene.run('kms/mikey-kmsd', '--config', 'kms.yaml', '--check')
    assert done.returncode == 3 and 'chmod 600' in done.stderr, done.stderr
    scene.ca.issue('other')
    scene.configure('tls: {certificate: kms.pem, private_key: other.key}\n')
    done = scene.run('kms/mikey-kmsd', '--config', 'kms.yaml', '--check')
    assert done.returncode == 3 and 'other.key' in done.stderr, done.stderr
    for more, word in (('', '"tls.certificate" is missing'), ('tls: {certificate: kms.pem}\n', 'private_key'),
                       ('tls: {client_ca: ca.pem}\n', 'missing')):
        scene.configure(more)
        done = scene.run('kms/mikey-kmsd', '--config', 'kms.yaml', '--check')
        assert done.returncode == 3 and word in done.stderr, done.stderr


TESTS = [
    the_client_gets_a_ticket_and_resolves_it_over_https,
    over_ipv6_as_well,
    an_authority_that_the_client_does_not_trust_is_refused,
    a_certificate_for_another_name_is_refused,
    a_certificate_that_has_run_out_is_refused,
    only_tls_1_2_and_1_3_are_spoken,
    ciphers_without_authenticated_encryption_are_refused,
    plain_http_on_the_port_gets_no_answer,
    a_handshake_that_does_not_end_is_cut_off,
    a_client_with_a_certificate_of_the_right_authority_is_served,
    a_client_without_a_certificate_is_not,
    nor_one_of_another_authority_or_for_another_use,
    new_certificates_are_served_and_open_connections_stay,
    certificates_that_cannot_be_read_change_nothing,
    an_authority_that_is_taken_away_lets_nobody_new_in,
    the_configuration_is_checked,
]

if __name__ == '__main__':
    warnings.simplefilter('ignore', DeprecationWarning)  # old versions of TLS are the point
    sys.exit(run_tests(TESTS, lambda: Scene(sys.argv[1]), lambda scene: scene.close()))
