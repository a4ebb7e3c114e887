#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control socket and reloads: what changes while the daemon serves, what needs a restart, and
what changes nothing. Usage: test_control.py BUILD_DIR. Prints TAP."""

import json
import os
import socket
import sys

from rig import Authority, Kms, run_tests, until
from rig_api import UnixConnection, exchange

CONTROL = 'control: kms.sock\n'


class Scene(Kms):
    """A daemon with a control socket and two users."""

    def __init__(self, build):
        super().__init__(build, CONTROL)
        self.add_users('alice', 'bob')

    def is_served(self):
        """Whether alice gets a ticket."""
        url = f'udp://127.0.0.1:{self.port("udp")}'
        (self.dir / 'ticket.mkt').unlink(missing_ok=True)
        done = self.ticket('request', '--credentials', 'alice.cred', '--kms', url, '--to',
                           'sip:bob@example.com', '--out', 'ticket.mkt')
        return done.returncode == 0


def reload(scene, more):
    scene.configure(CONTROL + more)
    done = scene.ctl('reload', '--json')
    assert done.returncode == 0, done.stderr
    return {row['option']: row['result'] for row in json.loads(done.stdout)}


def a_reload_says_what_has_changed(scene):
    scene.start()
    assert reload(scene, '') == {}
    assert reload(scene, 'max_validity: 1h\nsuites: [256]\n') == {'max_validity': 'changed', 'suites': 'changed'}
    assert reload(scene, 'max_validity: 1h\nsuites: [256]\n') == {}
    assert 'option-changed option=max_validity' in scene.log()


def what_cannot_change_is_named_until_it_is_as_before(scene):
    scene.start()
    more = 'workers: 7\nclock_window: 60s\nmax_validity: 1h\n'
    wanted = {'workers': 'needs-restart', 'clock_window': 'needs-restart'}
    assert reload(scene, more) == wanted | {'max_validity': 'changed'}
    assert reload(scene, more) == wanted
    scene.listen = ('udp://127.0.0.1:0', 'http://127.0.0.1:0')
    assert reload(scene, '') == {'listen': 'needs-restart', 'max_validity': 'changed'}
    scene.listen = ('udp://127.0.0.1:0',)
    assert reload(scene, '') == {}


def new_values_count_at_once(scene):
    scene.start()
    assert scene.is_served()
    reload(scene, 'suites: [128]\n')
    assert not scene.is_served()  # the keys of the users are for 256
    reload(scene, '')
    assert scene.is_served()
    reload(scene, 'log_format: json\nlog_level: debug\n')
    assert scene.is_served()
    assert json.loads(scene.log().splitlines()[-1])['outcome'] == 'answered'


def a_policy_can_be_named_and_left_out(scene):
    scene.write('none.yaml', 'rules:\n  - rule: nobody\n    decision: refuse\n')
    scene.start()
    assert scene.is_served()
    assert reload(scene, 'policy: none.yaml\n') == {'policy': 'changed'}
    assert not scene.is_served()
    asked = scene.ctl('policy', 'test', '--as', 'sip:alice@example.com', '--to', 'sip:bob@example.com')
    assert asked.returncode == 6 and 'rules of none.yaml' in asked.stdout, asked
    scene.configure(CONTROL + 'policy: gone.yaml\n')
    done = scene.ctl('reload')
    assert done.returncode == 3 and 'gone.yaml' in done.stderr, done
    assert reload(scene, '') == {'policy': 'changed'}
    assert scene.is_served()


def what_is_in_force_is_shown_beside_a_broken_file(scene):
    rules = 'rules:\n  - rule: {}\n    decision: refuse\n'
    show = ('policy', 'show')
    scene.write('all.yaml', 'realms:\n  acme: acme.yaml\n' + rules.format('good'))
    scene.write('acme.yaml', rules.format('of-acme'))
    scene.configure(CONTROL + 'policy: all.yaml\n')
    assert 'good' in scene.ctl(*show).stdout  # no daemon: the file
    scene.start()
    done = scene.ctl(*show)
    assert done.returncode == 0 and 'good' in done.stdout and done.stderr == '', done
    assert json.loads(scene.ctl(*show, '--json').stdout)['files'] == 'same'
    scene.write('acme.yaml', 'rules: [nonsense\n')
    for words, name in ((), 'good'), (('--realm', 'acme'), 'of-acme'):
        done = scene.ctl(*show, *words)
        assert done.returncode == 0 and name in done.stdout, done
        assert 'cannot be used' in done.stderr and 'acme.yaml:' in done.stderr, done
    answer = json.loads(scene.ctl(*show, '--json').stdout)
    assert answer['files'] == 'broken' and 'acme.yaml:' in answer['why'], answer
    asked = scene.ctl('policy', 'test', '--as', 'sip:alice@example.com', '--to', 'sip:bob@example.com')
    assert asked.returncode == 6 and 'by rule "good"' in asked.stdout, asked
    scene.write('acme.yaml', '# a comment\n' + rules.format('of-acme'))  # says the same again
    until(lambda: scene.ctl(*show).stderr == '')
    scene.write('all.yaml', rules.format('other'))
    until(lambda: 'other' in scene.ctl(*show).stdout)
    scene.stop()
    scene.write('all.yaml', 'rules: [nonsense\n')
    assert scene.ctl(*show).returncode == 3


def a_ticket_type_counts_at_once(scene):
    scene.start()
    wish = ('request', '--credentials', 'alice.cred', '--kms', f'udp://127.0.0.1:{scene.port("udp")}', '--to',
            'sip:bob@example.com', '--ticket-type', 'reference', '--out')
    assert scene.ticket(*wish, 'first.mkt').returncode == 3
    assert reload(scene, 'ticket_types: [base, reference]\n') == {'ticket_types': 'changed'}
    done = scene.ticket(*wish, 'second.mkt')
    assert done.returncode == 0, done
    assert reload(scene, '') == {'ticket_types': 'changed'}
    assert scene.ticket(*wish, 'third.mkt').returncode == 3


def a_hangup_does_the_same(scene):
    scene.start()
    scene.configure(CONTROL + 'max_validity: 1h\nworkers: 5\n')
    scene.hangup()
    assert until(lambda: 'configuration-reloaded' in scene.log())
    assert 'option-changed option=max_validity' in scene.log()
    assert 'option-needs-restart option=workers' in scene.log()


def a_file_with_a_mistake_changes_nothing(scene):
    scene.start()
    scene.configure(CONTROL + 'suites: [128]\nmax_validty: 1h\n')
    done = scene.ctl('reload')
    assert done.returncode == 3, done.stderr  # the tool reads it first
    answer = exchange(UnixConnection(scene.dir / 'kms.sock'), 'POST', '/v1/reload')
    assert answer.status == 409 and 'did you mean "max_validity"?' in answer.json['detail'], answer
    assert 'configuration-unusable' in scene.log()
    assert scene.is_served()
    scene.hangup()
    assert until(lambda: scene.log().count('configuration-unusable') == 2)
    assert scene.process.poll() is None


def certificates_are_tried_before_they_count(scene):
    ca = Authority(scene.dir, 'ca')
    ca.issue('kms', 'IP:127.0.0.1')
    ca.issue('new', 'IP:127.0.0.1')
    scene.listen = ('https://127.0.0.1:0',)
    tls = 'tls: {certificate: kms.pem, private_key: kms.key}\n'
    scene.configure(CONTROL + tls)
    scene.start()
    answer = reload(scene, tls.replace('kms', 'new'))
    assert answer == {'tls.certificate': 'changed', 'tls.private_key': 'changed'}, answer
    scene.configure(CONTROL + tls.replace('kms.pem', 'new.pem'))
    done = scene.ctl('reload')
    assert done.returncode == 3 and 'new.pem' in done.stderr, done.stderr
    scene.configure(CONTROL + tls.replace('kms.', 'gone.'))
    done = scene.ctl('reload')
    assert done.returncode == 3 and 'gone.pem' in done.stderr, done.stderr
    assert 'tls-reloaded' in scene.log() and 'tls-unreadable' not in scene.log()


def tls_cannot_begin_without_a_restart(scene):
    Authority(scene.dir, 'ca').issue('kms', 'IP:127.0.0.1')
    scene.start()
    assert reload(scene, 'tls: {certificate: kms.pem, private_key: kms.key}\n') == {
        'tls.certificate': 'needs-restart', 'tls.private_key': 'needs-restart'}


def status_tells_how_it_is(scene):
    scene.start()
    assert scene.is_served()
    done = scene.ctl('status', '--json')
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told['pid'] == scene.process.pid and told['credentials'] == 2 and told['answered'] == 1, told
    assert told['ready'] == 'yes' and told['health'] == 'ok' and told['store'] == 'readable', told
    done = scene.ctl('status')
    assert 'credentials            2' in done.stdout, done.stdout
    assert 'alice' not in done.stdout


def the_socket_goes_with_the_daemon_and_a_dead_one_is_replaced(scene):
    scene.start()
    assert scene.stop() == 0
    assert not (scene.dir / 'kms.sock').exists()
    scene.start()
    scene.process.kill()
    scene.process.wait()
    scene.process.stdout.close()
    assert (scene.dir / 'kms.sock').exists()
    scene.start()
    assert scene.ctl('status').returncode == 0


def a_living_one_is_not(scene):
    scene.start()
    both = (scene.dir / 'kms.yaml').read_text(encoding='utf-8')
    scene.write('other.yaml', both + 'audit: {file: off}\n')
    done = scene.run('kms/mikey-kmsd', '--config', 'other.yaml')
    assert done.returncode == 5 and 'another daemon listens there' in done.stderr, done.stderr
    scene.stop()
    scene.write('kms.sock', 'a file of somebody')
    done = scene.run('kms/mikey-kmsd', '--config', 'kms.yaml')
    assert done.returncode == 5 and 'is not a socket' in done.stderr, done.stderr
    assert (scene.dir / 'kms.sock').read_text(encoding='utf-8') == 'a file of somebody'


def without_a_daemon_or_a_socket_the_tool_says_so(scene):
    done = scene.ctl('status')
    assert done.returncode == 1 and 'no daemon listens' in done.stderr, done.stderr
    scene.configure('control: off\n')
    done = scene.ctl('reload')
    assert done.returncode == 1 and 'has no control socket' in done.stderr, done.stderr


def systemd_is_told_when_it_serves_and_when_it_stops(scene):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(scene.dir / 'notify'))
        notify.settimeout(20)
        os.environ['NOTIFY_SOCKET'] = str(scene.dir / 'notify')
        try:
            scene.start()
        finally:
            del os.environ['NOTIFY_SOCKET']
        assert notify.recv(100) == b'READY=1'
        assert scene.stop() == 0
        assert notify.recv(100) == b'STOPPING=1'


TESTS = [
    a_reload_says_what_has_changed,
    what_cannot_change_is_named_until_it_is_as_before,
    new_values_count_at_once,
    a_policy_can_be_named_and_left_out,
    what_is_in_force_is_shown_beside_a_broken_file,
    a_ticket_type_counts_at_once,
    a_hangup_does_the_same,
    a_file_with_a_mistake_changes_nothing,
    certificates_are_tried_before_they_count,
    tls_cannot_begin_without_a_restart,
    status_tells_how_it_is,
    the_socket_goes_with_the_daemon_and_a_dead_one_is_replaced,
    a_living_one_is_not,
    without_a_daemon_or_a_socket_the_tool_says_so,
    systemd_is_told_when_it_serves_and_when_it_stops,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: Scene(sys.argv[1]), lambda scene: scene.close()))
