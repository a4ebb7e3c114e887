#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may do what: every role at every endpoint, over the control socket and over TLS, and everybody
who is nobody. Usage: test_api.py BUILD_DIR. Prints TAP."""

import os
import re
import socket
import ssl
import sys
import time
import urllib.request

from rig import Authority, Skip, run_tests, until
from rig_api import Scene, UnixConnection, exchange, segment, table

BUILD = sys.argv[1]
NONE, READ, OPERATE, OFFICER = range(4)
ROLES = {'read': READ, 'operate': OPERATE, 'security-officer': OFFICER}

# What everybody must be allowed at least; the table of the daemon is held against it.
WANTED = {
    ('GET', '/v1/status'): READ,
    ('POST', '/v1/reload'): OPERATE,
    ('GET', '/v1/peers'): READ,
    ('GET', '/v1/limits'): READ,
    ('DELETE', '/v1/limits/{kind}/{name}'): OPERATE,
    ('GET', '/v1/users'): READ,
    ('POST', '/v1/users'): OPERATE,
    ('GET', '/v1/users/{identity}'): READ,
    ('PATCH', '/v1/users/{identity}'): OPERATE,
    ('DELETE', '/v1/users/{identity}'): OPERATE,
    ('DELETE', '/v1/users/{identity}/credentials/{psk-id}'): OPERATE,
    ('PUT', '/v1/users/{identity}/aliases/{alias}'): OPERATE,
    ('DELETE', '/v1/aliases/{alias}'): OPERATE,
    ('POST', '/v1/import'): OPERATE,
    ('GET', '/v1/groups'): READ,
    ('PUT', '/v1/groups/{group}'): OPERATE,
    ('DELETE', '/v1/groups/{group}'): OPERATE,
    ('PUT', '/v1/groups/{group}/members/{member}'): OPERATE,
    ('DELETE', '/v1/groups/{group}/members/{member}'): OPERATE,
    ('GET', '/v1/groups/{group}/members'): READ,
    ('GET', '/v1/realms'): READ,
    ('PUT', '/v1/realms/{realm}'): OFFICER,
    ('DELETE', '/v1/realms/{realm}'): OFFICER,
    ('GET', '/v1/tpks'): READ,
    ('POST', '/v1/tpks'): OFFICER,
    ('POST', '/v1/tpks/rotate'): OFFICER,
    ('DELETE', '/v1/tpks/{id}'): OFFICER,
    ('GET', '/v1/tickets/kept'): READ,
    ('GET', '/v1/tickets'): READ,
    ('PUT', '/v1/revocations/tickets/{ticket}'): OPERATE,
    ('DELETE', '/v1/revocations/tickets/{ticket}'): OPERATE,
    ('PUT', '/v1/revocations/users/{identity}'): OPERATE,
    ('DELETE', '/v1/revocations/users/{identity}'): OPERATE,
    ('PUT', '/v1/revocations/groups/{group}'): OPERATE,
    ('DELETE', '/v1/revocations/groups/{group}'): OPERATE,
    ('GET', '/v1/exports'): OFFICER,
    ('POST', '/v1/exports'): OFFICER,
    ('POST', '/v1/exports/{number}/approve'): OFFICER,
    ('POST', '/v1/exports/{number}/take'): OFFICER,
    ('DELETE', '/v1/exports/{number}'): OFFICER,
    ('POST', '/v1/tickets'): OFFICER,
    ('GET', '/v1/policy'): READ,
    ('POST', '/v1/policy/test'): READ,
    ('POST', '/v1/notes'): OPERATE,
    ('GET', '/v1/audit'): READ,
}


def concrete(path):
    """A path with something in place of its {names} that is nowhere."""
    return re.sub(r'\{[a-z-]+\}', 'nowhere', path)


def hold(scene, asks):
    """asks: name -> (role, function(method, path)). Every one of them at every endpoint."""
    wrong = []
    for (method, path), needed in WANTED.items():
        for name, (role, ask) in asks.items():
            answer = ask(method, concrete(path))
            if role == NONE:
                good = answer.status == 401
            elif role < needed:
                good = answer.status == 403
            else:
                good = answer.status not in (401, 403, 405) and answer.json is not None
            if not good:
                wrong.append((name, method, path, answer))
    assert not wrong, wrong
    assert scene.process.poll() is None


def the_table_of_the_daemon_is_the_one_that_is_wanted(_scene):
    rows = table(BUILD)
    assert {(r['method'], r['path']): ROLES[r['role']] for r in rows} == WANTED
    for row in rows:  # what changes something is recorded, and no reader changes anything
        assert bool(row['action']) == (row['method'] != 'GET' and not row['path'].endswith('/test')), row
        assert not row['action'] or ROLES[row['role']] >= OPERATE, row


def every_role_at_every_endpoint_over_the_control_socket(scene):
    scene.start()
    assert until(lambda: (scene.dir / 'control').stat().st_mode & 0o777 == 0o666)

    def by(who):
        return lambda method, path: scene.as_uid(who, method, path)
    hold(scene, {'nobody': (NONE, by('nobody')), 'reader': (READ, by('reader')),
                 'member': (READ, by('gamer')), 'operator': (OPERATE, by('operator')),
                 'officer': (OFFICER, by('officer')), 'root': (OFFICER, scene.unix)})


def every_role_at_every_endpoint_by_certificate(scene):
    scene.start()

    def by(who):
        return lambda method, path: scene.as_certificate(who, method, path)
    hold(scene, {'none': (NONE, by(None)), 'nobody': (NONE, by('nobody')), 'reader': (READ, by('reader')),
                 'operator': (OPERATE, by('operator')), 'officer': (OFFICER, by('officer')),
                 'second': (OFFICER, by('second'))})


def every_role_at_every_endpoint_by_token(scene):
    scene.start()

    def by(token):
        return lambda method, path: scene.as_token(token, method, path)
    hold(scene, {'wrong': (NONE, by('mkt-' + '0' * 64)), 'reader': (READ, by('read-token')),
                 'operator': (OPERATE, by('operate-token')), 'officer': (OFFICER, by('security-officer-token'))})


def a_token_that_is_not_one_is_nobody(scene):
    scene.start()
    good = scene.tokens['read-token']
    assert scene.as_token(good, 'GET', '/v1/status').status == 200
    for bad in (good[:-1], good + '0', good.upper(), good[:-1] + ('0' if good[-1] != '0' else '1'), good[4:],
                '', 'mkt-', scene.rows.rsplit('token: ', 1)[1][:64]):
        answer = scene.as_token(bad, 'GET', '/v1/status')
        assert answer.status == 401 and answer.type == 'application/problem+json', (bad, answer)
    for header in (f'Basic {good}', good, f'Bearer  {good}'):
        assert exchange(scene.tls(), 'GET', '/v1/status', headers={'Authorization': header}).status == 401, header


def a_token_that_is_wrong_is_not_saved_by_a_certificate(scene):
    scene.start()
    assert scene.as_token('mkt-' + '1' * 64, 'GET', '/v1/status', certificate='officer').status == 401
    assert scene.as_token('read-token', 'POST', '/v1/reload', certificate='officer').status == 403


def a_token_that_was_taken_out_is_nobody_after_a_reload(scene):
    scene.start()
    connection = scene.tls()
    headers = {'Authorization': f'Bearer {scene.tokens["operate-token"]}'}
    assert exchange(connection, 'GET', '/v1/status', headers=headers).status == 200
    scene.write_config(''.join(line for line in scene.rows.splitlines(True) if 'operate-token' not in line))
    done = scene.ctl('reload')
    assert done.returncode == 0 and 'api.people  changed' in done.stdout, done
    assert exchange(connection, 'GET', '/v1/status', headers=headers).status == 401  # the same connection
    assert scene.as_token('read-token', 'GET', '/v1/status').status == 200


def a_certificate_of_another_authority_or_out_of_its_time_is_nobody(scene):
    scene.start()
    Authority(scene.dir, 'others').issue('forged', 'email:officer@ops.example.com')
    scene.ops.issue('late', 'email:officer@ops.example.com', days='-1')
    scene.ops.issue('server', 'email:officer@ops.example.com', usage='serverAuth')
    scene.ops.issue('alike', 'email:officer@ops.example.com.evil.example')
    for name in ('forged', 'late', 'server', 'alike'):
        try:
            answer = scene.as_certificate(name, 'GET', '/v1/status')
            assert answer.status == 401, (name, answer)
        except (ssl.SSLError, ConnectionError):
            pass  # ended in the handshake
    assert scene.as_certificate('officer', 'GET', '/v1/status').status == 200


def the_api_is_never_served_in_clear(scene):
    scene.start()
    with socket.create_connection(('127.0.0.1', scene.api_port), timeout=10) as plain:
        plain.sendall(b'GET /v1/status HTTP/1.1\r\nHost: kms\r\n\r\n')
        assert b'200' not in plain.recv(4096)
    scene.stop()
    for lines, wanted in (
            ('api: {listen: "http://127.0.0.1:0"}\n', 'begins with https://'),
            ('api: {listen: "udp://127.0.0.1:0"}\n', 'begins with https://'),
            ('api: {listen: "https://127.0.0.1:0"}\n', 'tls.certificate'),
            ('tls: {certificate: kms.pem, private_key: kms.key}\napi: {listen: "https://127.0.0.1:0"}\n',
             'nobody may use'),
            ('api: {people: [{name: a, role: king, user: root}]}\n', 'a role is'),
            ('api: {people: [{name: a, role: read}]}\n', 'a person has a role, and'),
            ('api: {people: [{name: a, role: read, user: root, group: root}]}\n', 'one of user'),
            ('api: {people: [{name: a, role: read, user: nobody-like-that}]}\n', 'no such user'),
            ('api: {people: [{role: read, user: root}]}\n', 'has a name'),
            ('api: {people: [{name: "a b", role: read, user: root}]}\n', 'a name has'),
            ('api: {people: [{name: a, role: read, token: 0123}]}\n', 'SHA-256'),
            ('api: {people: [{name: a, rolle: read, user: root}]}\n', 'did you mean "role"'),
            ('tls: {certificate: kms.pem, private_key: kms.key}\n'
             'api: {listen: "https://127.0.0.1:0", people: [{name: a, role: read, certificate: a@b}]}\n',
             'api.client_ca')):
        scene.configure(lines)
        done = scene.run('kms/mikey-kmsd', '--config', 'kms.yaml', '--check')
        assert done.returncode == 3 and wanted in done.stderr, (lines, done.stderr)


def a_request_that_is_not_well_formed_is_refused_with_its_place(scene):
    scene.start()
    for method, path, status in (('GET', '/', 404), ('GET', '/v1', 404), ('GET', '/v1/status/', 404),
                                 ('GET', '//v1/status', 404), ('GET', '/v1/../v1/status', 404),
                                 ('GET', '/v1/%73tatus', 404), ('PUT', '/v1/status', 405),
                                 ('HEAD', '/v1/status', 405), ('get', '/v1/status', 405),
                                 ('GET', '/v1/status?x=1', 400), ('GET', '/v1/users?limit=10001', 400),
                                 ('GET', '/v1/users?limit=0', 400), ('GET', '/v1/audit?last=0', 400),
                                 ('GET', '/v1/users?limit=-1', 400), ('GET', '/v1/users?limit=1&limit=2', 400),
                                 ('GET', '/v1/users?after=%00', 400), ('GET', '/v1/users?after=%zz', 400),
                                 ('GET', '/v1/users?after=%4', 400), ('GET', '/v1/users?after=', 400),
                                 ('GET', '/v1/users?limit', 400), ('GET', '/v1/users?after=%ff', 400),
                                 ('GET', '/v1/groups/%00/members', 404), ('GET', '/v1/groups//members', 404),
                                 ('GET', '/v1/' + 'a' * 9000, 401), ('POST', '/v1/reload?x=1', 400)):
        answer = scene.unix(method, path)
        assert answer.status == status, (method, path, answer)
        if answer.text:
            assert answer.json['status'] == status and answer.json['detail'], answer
            assert answer.type == 'application/problem+json'
    assert scene.unix('PUT', '/v1/status').allow == 'GET'
    assert scene.unix('PUT', '/v1/users/x').allow == 'GET, PATCH, DELETE'
    assert scene.unix('GET', '/v1/users?limit=0').allow is None
    answer = scene.unix('GET', '/v1/users?limmit=3')
    assert answer.json['where'] == '/limmit', answer


def a_body_is_json_of_its_size_and_type_or_nothing(scene):
    scene.start()
    for body, headers, status in (('{"x": 1}', {'Content-Type': 'application/json'}, 400),
                                  ('[]', {'Content-Type': 'application/json'}, 400),
                                  ('{"a": 1, "a": 2}', {'Content-Type': 'application/json'}, 400),
                                  ('{', {'Content-Type': 'application/json'}, 400),
                                  ('{}', {'Content-Type': 'text/plain'}, 415),
                                  ('{}', {}, 415), ('{}', {'Content-Type': 'application/json'}, 200)):
        answer = exchange(UnixConnection(scene.dir / 'control'), 'POST', '/v1/reload', body, headers)
        assert answer.status == status, (body, answer)
    with socket.socket(socket.AF_UNIX) as s:  # chunks have a type, too
        s.settimeout(20)
        s.connect(str(scene.dir / 'control'))
        s.sendall(b'POST /v1/reload HTTP/1.1\r\nHost: kms\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n')
        assert s.recv(100).startswith(b'HTTP/1.1 415 ')
    with socket.socket(socket.AF_UNIX) as s:  # before any of it was read
        s.settimeout(20)
        s.connect(str(scene.dir / 'control'))
        s.sendall(b'POST /v1/reload HTTP/1.1\r\nHost: kms\r\nContent-Type: application/json\r\n'
                  b'Content-Length: 65537\r\n\r\n')
        assert s.recv(100).startswith(b'HTTP/1.1 413 ')


def chunks_without_an_end_are_cut_off(scene):
    scene.start()
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(scene.dir / 'control'))
        s.sendall(b'POST /v1/reload HTTP/1.1\r\nHost: kms\r\nContent-Type: application/json\r\n'
                  b'Transfer-Encoding: chunked\r\n\r\n')
        try:
            for _ in range(100):
                s.sendall(b'1000\r\n' + b' ' * 4096 + b'\r\n')
            assert s.recv(100) == b''
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert scene.unix('GET', '/v1/status').status == 200


def who_is_slow_or_silent_is_cut_off_and_holds_up_nobody(scene):
    scene.start()
    began = time.monotonic()
    slow = [socket.create_connection(('127.0.0.1', scene.api_port), timeout=20) for _ in range(14)]
    local = socket.socket(socket.AF_UNIX)
    local.settimeout(20)
    local.connect(str(scene.dir / 'control'))
    local.sendall(b'GET /v1/status HTTP/1.1\r\nX: ')
    assert scene.unix('GET', '/v1/status').status == 200
    assert scene.as_token('read-token', 'GET', '/v1/status').status == 200
    try:
        while time.monotonic() - began < 15:  # an octet now and then
            local.sendall(b'x')
            time.sleep(0.2)
        raise AssertionError('still there')
    except (BrokenPipeError, ConnectionResetError):
        pass
    for s in slow:
        try:
            assert s.recv(1) == b''
        except ConnectionResetError:
            pass
        s.close()
    local.close()


def what_is_refused_or_changed_is_on_record_with_who_and_how(scene):
    scene.start()
    assert scene.as_certificate('operator', 'POST', '/v1/reload').status == 200
    assert scene.as_token('read-token', 'POST', '/v1/reload').status == 403
    assert scene.unix('DELETE', '/v1/limits/source/' + segment('192.0.2.1')).status == 404
    assert scene.as_certificate('nobody', 'POST', '/v1/reload').status == 401
    assert scene.as_token('read-token', 'GET', '/v1/users').status == 200  # reading is not
    scene.stop()
    seen = [(r['outcome'], r.get('who'), r.get('badge'), r.get('role'), r['action']) for r in scene.records()]
    assert seen == [
        ('done', 'operator', 'certificate operator@ops.example.com', 'operate', 'reload'),
        ('refused', 'read-token', 'token', 'read', 'reload'),
        ('refused', 'root' if os.geteuid() == 0 else f'uid:{os.geteuid()}', f'uid {os.geteuid()}',
         'security-officer', 'limit-lift'),
        ('refused', None, None, None, 'reload'),
    ], seen
    assert scene.records()[2]['target'] == ['source', '192.0.2.1']
    done = scene.ctl('audit', 'verify')
    assert done.returncode == 0, done


def calls_are_counted_without_names(scene):
    scene.more = 'admin: http://127.0.0.1:0\n'
    scene.write_config(scene.rows)
    scene.start()
    assert scene.as_token('read-token', 'GET', '/v1/status').status == 200
    assert scene.as_token('read-token', 'POST', '/v1/reload').status == 403
    assert scene.as_token('mkt-' + '0' * 64, 'GET', '/v1/status').status == 401
    assert scene.as_token('read-token', 'GET', '/nowhere').status == 404
    with urllib.request.urlopen(f'{scene.admin}/metrics', timeout=10) as page:
        text = page.read().decode()
    for labels in ('needs="read",outcome="done"', 'needs="operate",outcome="forbidden"',
                   'needs="read",outcome="unauthenticated"', 'needs="none",outcome="refused"'):
        assert f'mikey_kms_api_calls_total{{{labels}}} 1\n' in text, (labels, text)
    assert 'read-token' not in text and 'reader' not in text


def strangers_cannot_fill_the_audit(scene):
    scene.start()
    connection = scene.tls()
    for _ in range(60):
        assert exchange(connection, 'GET', '/v1/status').status == 401
    scene.stop()
    assert len(scene.records()) < 30


def without_people_the_socket_is_for_root_and_its_own_user_alone(scene):
    scene.configure('')
    scene.start()
    assert (scene.dir / 'control').stat().st_mode & 0o077 == 0
    if os.geteuid() != 0:
        raise Skip('only root can be another user')
    (scene.dir / 'control').chmod(0o666)  # even then
    assert scene.as_uid('nobody', 'GET', '/v1/status').status == 401
    assert scene.as_uid('officer', 'GET', '/v1/status').status == 401
    assert scene.unix('GET', '/v1/status').status == 200


def a_row_for_root_takes_its_place(scene):
    if os.geteuid() != 0:
        raise Skip('only root can be root')
    scene.configure('api: {people: {name: admin, role: read, user: root}}\n')
    scene.start()
    assert scene.unix('GET', '/v1/status').status == 200
    assert scene.unix('POST', '/v1/reload').status == 403


def the_lists_come_by_the_page(scene):
    rows = 'identity,psk-id,psk,groups\n' + ''.join(
        f'sip:u{i:03}@example.com,id-{i},{i:032x},sip:team@example.com\n' for i in range(250))
    scene.write('users.csv', rows)
    done = scene.ctl('import', 'users.csv')
    assert done.returncode == 0, done.stderr
    done = scene.ctl('user', 'alias-add', 'sip:u100@example.com', 'sip:other@example.com')
    assert done.returncode == 0, done.stderr
    scene.start()
    for path, name, key, n in (('/v1/users?limit=7', 'users', 'identity', 251),
                               (f'/v1/groups/{segment("sip:team@example.com")}/members?limit=50', 'members', 'member',
                                250)):
        found, after = [], ''
        while True:
            page = scene.unix('GET', path + after).json
            found += [row[key] for row in page[name]]
            if 'next' not in page:
                break
            after = '&after=' + segment(page['next'])
        assert len(found) == n and len(set(found)) == n, (path, len(found))
    assert scene.unix('GET', '/v1/tickets/kept?after=nothing').status == 404
    for list_of in (('user', 'list'), ('group', 'list'), ('group', 'show', 'sip:team@example.com'), ('realm', 'list'),
                    ('tpk', 'list'), ('ticket', 'kept')):
        with_daemon = scene.ctl(*list_of).stdout, scene.ctl(*list_of, '--json').stdout
        scene.stop()
        assert with_daemon == (scene.ctl(*list_of).stdout, scene.ctl(*list_of, '--json').stdout), list_of
        scene.start()


TESTS = [
    the_table_of_the_daemon_is_the_one_that_is_wanted,
    every_role_at_every_endpoint_over_the_control_socket,
    every_role_at_every_endpoint_by_certificate,
    every_role_at_every_endpoint_by_token,
    a_token_that_is_not_one_is_nobody,
    a_token_that_is_wrong_is_not_saved_by_a_certificate,
    a_token_that_was_taken_out_is_nobody_after_a_reload,
    a_certificate_of_another_authority_or_out_of_its_time_is_nobody,
    the_api_is_never_served_in_clear,
    a_request_that_is_not_well_formed_is_refused_with_its_place,
    a_body_is_json_of_its_size_and_type_or_nothing,
    chunks_without_an_end_are_cut_off,
    who_is_slow_or_silent_is_cut_off_and_holds_up_nobody,
    what_is_refused_or_changed_is_on_record_with_who_and_how,
    calls_are_counted_without_names,
    strangers_cannot_fill_the_audit,
    without_people_the_socket_is_for_root_and_its_own_user_alone,
    a_row_for_root_takes_its_place,
    the_lists_come_by_the_page,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: Scene(BUILD), lambda scene: scene.close()))
