#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two daemons on one store. The clock of one is that of the store, as if both were on one machine; that
of the other is wrong: a preloaded library gives it one of its own (shim.c). What the two must agree on
goes by the clock of the store.
Usage: test_nodes.py BUILD_DIR. Prints TAP."""

import json
import re
import sqlite3
import sys
import urllib.request
from contextlib import closing
from datetime import datetime, timedelta, timezone

from bent import ADMIN, Bent, Wire, is_taken
from rig import run_tests, until

OFF = 90  # seconds; less than clock_window
WAYS = (OFF, -OFF)
ALICE = 'sip:alice@example.com'


class Nodes:
    """`right` has the users' credentials; `wrong` is the node whose clock is wrong."""

    def __init__(self, build):
        self.right = Bent(build).with_users()
        self.wrong = Bent(build).shim()
        self.client = Bent(build).shim()  # for its clock
        self.wrong.kek = f'kek: file:{self.right.dir}/kms.kek\n'
        self.wrong.configure(ADMIN + 'control: kms.sock\naudit: {file: audit}\n')
        text = (self.wrong.dir / 'kms.yaml').read_text(encoding='utf-8')
        self.wrong.write('kms.yaml', text.replace('sqlite:', f'sqlite:{self.right.dir}/'))

    def start(self, ahead_s):
        """Both; then the clock of one jumps so far ahead of that of the store, and it has noticed."""
        self.right.start()
        self.wrong.bend(0).start()
        self.wrong.bend(ahead_s, store_ahead_s=0)
        until(lambda: ahead_s == 0 or 'clock-off' in self.wrong.log(), seconds=1)
        return self

    def request(self, node, clock=None):
        return self.right.request(node.url(), clock)

    def resolves(self, ticket, node):
        return self.right.resolves(ticket, node.url())

    def stop(self):
        for node in self.right, self.wrong:
            node.stop()

    def close(self):
        for each in self.wrong, self.right, self.client:
            each.close()

    def log(self):
        return f'{self.right.log()}--- wrong:\n{self.wrong.log()}'


def done(command):
    assert command.returncode == 0, command.stdout + command.stderr


def instant(seconds):
    """A moment so many seconds from now, by the clock of the store."""
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%SZ')


def key_of_last_ticket(node):
    """The ticket protection key of the ticket that it issued last: just now, as the store has it."""
    records = [json.loads(line) for name in sorted((node.dir / 'audit').glob('*.jsonl'))
               for line in name.read_text(encoding='utf-8').splitlines()]
    last = [r for r in records if r['event'] == 'issue'][-1]
    assert instant(-OFF // 2) < last['time'] <= instant(1), last
    return last['tpk']


def keys_in_use(nodes):
    assert nodes.request(nodes.right) and nodes.request(nodes.wrong)
    return [key_of_last_ticket(n).rsplit('-', 1)[0] for n in (nodes.right, nodes.wrong)]


def both_change_to_a_new_key_at_once(nodes):
    nodes.start(-OFF)
    assert keys_in_use(nodes) == ['tpk-1', 'tpk-1']
    done(nodes.right.ctl('tpk', 'rotate'))
    assert until(lambda: 'reloaded' in nodes.wrong.log())
    assert keys_in_use(nodes) == ['tpk-2', 'tpk-2']


def none_uses_the_next_key_before_its_time(nodes):
    nodes.right.start()
    nodes.right.stop()
    done(nodes.right.ctl('tpk', 'rotate'))
    with closing(sqlite3.connect(nodes.right.dir / 'kms.db', isolation_level=None)) as db:
        db.execute('UPDATE tpk SET starts = starts + ? WHERE generation = 2', (OFF // 2,))
    nodes.start(OFF)
    assert keys_in_use(nodes) == ['tpk-1', 'tpk-1']


def both_refuse_who_has_expired_and_serve_who_has_not(nodes):
    for ahead, expires, served in ((-OFF, -5, False), (OFF, OFF // 2, True)):
        done(nodes.right.ctl('user', 'expire', ALICE, instant(expires)))
        nodes.start(ahead)
        taken = [nodes.request(n) is not None for n in (nodes.right, nodes.wrong)]
        assert taken == [served, served], (ahead, taken)
        nodes.stop()


def a_ticket_of_one_resolves_at_the_other(nodes):
    for ahead in WAYS:
        nodes.start(ahead)
        for one, other in ((nodes.right, nodes.wrong), (nodes.wrong, nodes.right)):
            assert nodes.resolves(nodes.request(one), other), (ahead, one is nodes.wrong)
        nodes.stop()


def what_was_issued_before_a_revocation_is_void_whoever_issued_it(nodes):
    nodes.start(OFF)
    ticket = nodes.request(nodes.wrong)
    done(nodes.right.ctl('ticket', 'revoke', '--user', ALICE))
    assert not nodes.resolves(ticket, nodes.right)


def what_was_issued_after_a_revocation_is_good_whoever_issued_it(nodes):
    done(nodes.right.ctl('ticket', 'revoke', '--user', ALICE))
    nodes.start(-OFF)
    assert until(lambda: nodes.resolves(nodes.request(nodes.wrong), nodes.right)), 'void for good'


def a_client_is_served_by_both_or_by_none(nodes):
    """Whose clock is ahead by somewhat less than clock_window, 300 s; or by more."""
    for ahead, client, served in ((-OFF, 250, True), (OFF, 350, False)):
        nodes.start(ahead)
        nodes.client.bend(client)
        taken = [nodes.request(n, nodes.client) is not None for n in (nodes.right, nodes.wrong)]
        assert taken == [served, served], (ahead, client, taken)
        nodes.stop()


def a_node_that_takes_over_takes_nothing_a_second_time(nodes):
    """Its clock is behind; and one that is ahead serves at once."""
    nodes.right.start()
    wire = Wire(nodes.right)
    ticket = nodes.right.request(wire.url)
    assert ticket
    nodes.right.kill()
    nodes.wrong.bend(-OFF, store_ahead_s=0).start()
    assert nodes.request(nodes.wrong) and nodes.resolves(ticket, nodes.wrong)
    assert not is_taken(wire.again(wire.kept[0], nodes.wrong)), 'taken twice'
    nodes.wrong.stop()
    nodes.wrong.bend(OFF, store_ahead_s=0).start()
    assert nodes.request(nodes.wrong), 'it does not serve at once'
    assert not is_taken(wire.again(wire.kept[0], nodes.wrong)), 'taken twice'


def ahead_by(node):
    with urllib.request.urlopen(node.admin + '/metrics', timeout=10) as page:
        return float(re.search(r'^mikey_kms_clock_ahead_seconds (\S+)', page.read().decode(), re.M)[1])


def issued(node):
    """By the operator, for a device."""
    return node.ctl('ticket', 'issue', '--as', ALICE, '--to', 'sip:bob@example.com', '--out', f'device{next(node.n)}')


def a_clock_that_is_off_is_said_and_one_that_is_astray_answers_nobody(nodes):
    wrong = nodes.wrong
    nodes.start(0)
    assert ahead_by(nodes.right) == ahead_by(wrong) == 0
    for ahead in WAYS:
        wrong.bend(ahead, store_ahead_s=0)
        assert until(lambda: wrong.log().count('clock-off') == (1 if ahead == OFF else 2)), wrong.log()
        assert abs(ahead_by(wrong) - ahead) < 0.1
        assert nodes.request(wrong) and wrong.get('/ready') == 200
        done(issued(wrong))
        wrong.bend(0)
        assert until(lambda: wrong.log().count('clock-right') == (1 if ahead == OFF else 2))
    for ahead in (301, -301):
        wrong.bend(ahead, store_ahead_s=0)
        assert until(lambda: wrong.get('/ready') == 503)
        assert nodes.request(wrong) is None
        assert 'too far apart' in issued(wrong).stderr
        wrong.bend(0)
        assert until(lambda: nodes.request(wrong))
    assert wrong.log().count(' error clock-astray ') == 2, wrong.log()
    assert 'clock-' not in nodes.right.log()


TESTS = [
    both_change_to_a_new_key_at_once,
    none_uses_the_next_key_before_its_time,
    both_refuse_who_has_expired_and_serve_who_has_not,
    a_ticket_of_one_resolves_at_the_other,
    what_was_issued_before_a_revocation_is_void_whoever_issued_it,
    what_was_issued_after_a_revocation_is_good_whoever_issued_it,
    a_client_is_served_by_both_or_by_none,
    a_node_that_takes_over_takes_nothing_a_second_time,
    a_clock_that_is_off_is_said_and_one_that_is_astray_answers_nobody,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: Nodes(sys.argv[1]), lambda nodes: nodes.close()))
