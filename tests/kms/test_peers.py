#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signaling between KMSs (RFC 6043 10) with two real daemons and certificates of two authorities: what
must work, and who must be refused by whom. Usage: test_peers.py BUILD_DIR. Prints TAP."""

import json
import subprocess
import sys

from orgs import KEY, World, roles
from rig import Authority, run_tests, until

REFUSED = 3
RULES = 'policy: policy.yaml\n'


def resolves(world, *args, **options):
    done = world.answer(*args, **options)
    assert done.returncode == 0, done.stderr


def refused(world, why, *args, **options):
    """Our Responder gets an Error message, at once, and no keys."""
    done = world.answer(*args, **options)
    assert done.returncode == REFUSED and why in done.stderr, (done.returncode, done.stderr)
    assert not (world.b.dir / 'session').exists()


def error_of(octets):
    """(Error no, whether it carries V) of an Error message."""
    m = roles.Message(octets)
    assert m.kind == roles.ERROR, m.kind
    return m.one(roles.ERR)[0], bool(m.all(roles.V))


def last(org, event='refuse'):
    return org.audit(event)[-1]


def master_keys(org):
    done = org.ticket('keys', '--session', 'session', '--json', '--show-keys')
    assert done.returncode == 0, done.stderr
    return [s['key'] for s in json.loads(done.stdout)['sessions']]


# --- what works -----------------------------------------------------------------------------------

def users_of_two_kmss_get_the_same_keys(world):  # RFC6043:10-1 RFC6043:10-2 RFC6043:10-5
    world.start()
    for scheme, suite in (('http', '256'), ('udp', '128'), ('http', '128')):
        world.request(None, '--suite', suite)
        resolves(world, scheme=scheme)
        done = world.complete()
        assert done.returncode == 0, done.stderr
        assert master_keys(world.a) == master_keys(world.b) != []


def both_kmss_record_it_and_neither_tells_a_key(world):
    world.start()
    world.request()
    resolves(world)
    ours, theirs = last(world.b, 'resolve'), last(world.a, 'resolve')
    ticket = world.a.ticket_id()
    assert ours['ticket'] == theirs['ticket'] == ticket
    assert ours['who'] == theirs['who'] == 'sip:bob@b.example'
    assert ours['via_peer'] == 'sip:kms@a.example' and 'for_peer' not in ours
    assert theirs['for_peer'] == 'sip:kms@b.example' and 'via_peer' not in theirs
    assert theirs['credential'] == 'a-b' and ours['rule'] == theirs['rule'] == 'everyone'
    assert world.a.peer()['served'] == 1 and world.b.peer()['answered'] == 1
    assert world.b.peer()['state'] == 'up' and world.a.peer()['state'] == 'unknown'
    assert world.b.metric('mikey_kms_peer_requests_total{outcome="answered"}') == 1
    assert world.a.metric('mikey_kms_peer_served_total{outcome="answered"}') == 1
    for org in (world.a, world.b):
        told = org.told()
        assert 'sip:bob@b.example' in told and 'sip:bob@b.example' not in org.metrics()
        for secret in (KEY, *master_keys(world.b)):
            assert secret.lower() not in told.lower()


def a_pattern_stands_for_users_of_the_other_kms(world):
    world.start()
    world.request('sip:*@b.example', '--no-forking', '--key', 'GTGK')
    for who in ('bob', 'carol'):
        resolves(world, who)


def so_does_a_group_and_its_members_are_those_of_now(world):
    for args in (('add', 'sip:crew@a.example'), ('member-add', 'sip:crew@a.example', 'sip:*@b.example')):
        done = world.a.ctl('group', *args)
        assert done.returncode == 0, done.stderr
    world.start()
    world.request('sip:crew@a.example', '--no-forking', '--key', 'GTGK')
    resolves(world, 'carol')
    done = world.a.ctl('group', 'member-remove', 'sip:crew@a.example', 'sip:*@b.example')
    assert done.returncode == 0, done.stderr
    assert until(lambda: world.a.log().count(' reloaded ') >= 1)
    refused(world, 'Invalid ID', 'carol')


def a_reference_ticket_keeps_its_keys_at_home_until_asked(world):
    world.a.configure('ticket_types: [base, reference]\n')
    world.start()
    world.request(None, '--ticket-type', 'reference')
    resolves(world)


def a_responder_that_counts_is_answered_too(world):
    world.start()
    for _ in range(2):
        world.request()
        (world.b.dir / 'session').unlink(missing_ok=True)
        done = world.b.ticket('answer', '--credentials', 'bob.cred', '--kms', world.b.url('udp'), '--offer',
                              world.a.dir / 'offer', '--out', 'answer', '--session', 'session', '--timestamp',
                              'counter', '--quiet')
        assert done.returncode == 0, done.stderr
        (world.b.dir / 'answer').unlink()


def a_responder_that_signs_is_answered_too(world):
    """With RSA the second pass verifies once more; the replay cache knows that it is one request."""
    org = world.b
    org.ca.openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'rsa.key', '-out', 'rsa.pem', '-subj',
                   '/CN=rsa', '-days', '9', '-addext', 'keyUsage=critical,keyCertSign')
    for name, san in (('signer', 'URI:sip:dora@b.example'), ('responder', 'URI:sip:kms@b.example')):
        org.ca.openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', f'{name}.key', '-out', 'request', '-subj',
                       f'/CN={name}')
        org.write('extensions', f'subjectAltName={san}\n')
        org.ca.openssl('x509', '-req', '-in', 'request', '-CA', 'rsa.pem', '-CAkey', 'rsa.key', '-set_serial', '77',
                       '-days', '9', '-extfile', 'extensions', '-out', f'{name}.pem')
        (org.dir / f'{name}.key').chmod(0o600)
    org.write('dora.cred', 'identity: sip:dora@b.example\nkms: sip:kms@b.example\ncertificate: signer.pem\n'
                           'private-key: signer.key\nkms-certificate: responder.pem\nsuite: 256\n')
    org.configure('certificate: responder.pem\nprivate_key: responder.key\ntrust: rsa.pem\n')
    assert org.ctl('user', 'add', 'sip:dora@b.example', '--no-psk').returncode == 0
    world.start()
    world.request('sip:*@b.example', '--no-forking', '--key', 'GTGK')
    for scheme in ('http', 'udp'):
        resolves(world, 'dora', scheme=scheme)
    assert last(org, 'resolve')['message'] == 'RESOLVE_INIT_PK'


def tickets_of_our_own_are_not_asked_about(world):
    world.start()
    world.a.stop()
    done = world.b.ticket('request', '--credentials', 'carol.cred', '--kms', world.b.url(), '--to',
                          world.b.sip('bob'), '--out', world.a.dir / 'ticket', '--quiet')
    assert done.returncode == 0, done.stderr
    done = world.b.ticket('offer', '--credentials', 'carol.cred', '--ticket', world.a.dir / 'ticket', '--to',
                          world.b.sip('bob'), '--out', world.a.dir / 'offer', '--state', 'state', '--quiet')
    assert done.returncode == 0, done.stderr
    resolves(world)
    assert 'via_peer' not in last(world.b, 'resolve')


# --- policy, on both sides ------------------------------------------------------------------------

def our_policy_refuses_before_the_other_kms_hears_of_it(world):
    world.b.write('policy.yaml', 'rules: [{rule: no strangers, from: "sip:*@a.example", decision: refuse}, '
                                 '{rule: others}]\n')
    world.b.configure(RULES)
    world.start()
    world.request()
    refused(world, 'Invalid ID')
    assert last(world.b)['rule'] == 'no strangers' and last(world.b)['via_peer'] == 'sip:kms@a.example'
    assert world.a.audit('resolve') == world.a.audit('refuse') == []


def what_it_says_about_keys_is_asked_when_they_have_come(world):
    world.b.write('policy.yaml', 'rules: [{rule: no groups, when: {keys: GTGK}, decision: refuse}, {rule: rest}]\n')
    world.b.configure(RULES)
    world.start()
    world.request('sip:*@b.example', '--no-forking', '--key', 'GTGK')
    refused(world, 'Invalid TPpar')
    assert last(world.b)['rule'] == 'no groups'
    assert last(world.a, 'resolve')['who'] == 'sip:bob@b.example'
    world.request()
    resolves(world)
    assert last(world.b, 'resolve')['rule'] == 'rest'


def the_policy_of_the_other_kms_refuses_and_both_record_it(world):
    world.start()
    world.request()
    world.a.write('policy.yaml', 'rules: [{rule: not at night, when: {at: resolve}, decision: refuse}]\n')
    world.a.configure(RULES)
    world.a.restart()
    refused(world, 'Invalid')
    assert last(world.a)['rule'] == 'not at night' and last(world.a)['for_peer'] == 'sip:kms@b.example'
    assert last(world.b)['via_peer'] == 'sip:kms@a.example' and last(world.b)['why'] == 'that KMS refused'
    assert world.b.peer()['refused'] == 1 and 'it refused' in world.b.peer()['error']


def who_is_not_named_in_the_ticket_is_refused_by_its_kms(world):
    world.start()
    world.request()
    refused(world, 'Invalid ID', 'carol')
    assert last(world.a)['who'] == 'sip:carol@b.example' and last(world.a)['why'] == 'IDRr'
    assert last(world.b)['reason'] == 'NOT_AUTHORISED'


def a_ticket_that_was_revoked_at_home_is_refused(world):
    world.start()
    world.request()
    assert world.a.ctl('ticket', 'revoke', world.a.ticket_id()).returncode == 0
    assert until(lambda: ' reloaded ' in world.a.log())
    refused(world, 'Invalid TICKET')


def we_may_bar_a_ticket_of_theirs_ourselves(world):
    world.start()
    world.request()
    done = world.b.ctl('ticket', 'revoke', world.a.ticket_id(), '--force')
    assert done.returncode == 0, done.stderr
    assert until(lambda: ' reloaded ' in world.b.log())
    refused(world, 'Invalid TICKET')
    assert world.a.audit('resolve') == world.a.audit('refuse') == []


def they_may_bar_a_user_of_ours(world):
    assert world.a.ctl('user', 'add', 'sip:bob@b.example', '--no-psk').returncode == 0
    assert world.a.ctl('user', 'suspend', 'sip:bob@b.example').returncode == 0
    world.start()
    world.request('sip:*@b.example', '--no-forking', '--key', 'GTGK')
    refused(world, 'Invalid ID', 'bob')
    assert last(world.a)['why'] == 'IDRr is suspended'
    resolves(world, 'carol')


def tickets_of_a_tenant_are_resolved_for_peers_that_may_have_them(world):
    assert world.a.ctl('realm', 'add', 'sales').returncode == 0
    assert world.a.ctl('user', 'remove', 'sip:alice@a.example').returncode == 0
    (world.a.dir / 'alice.cred').unlink()
    done = world.a.ctl('user', 'add', 'sip:alice@a.example', '--realm', 'sales', '--psk-out', 'alice.cred')
    assert done.returncode == 0, done.stderr
    world.start()
    world.request()
    refused(world, 'Invalid ID')
    assert last(world.a)['why'] == 'a ticket of another realm'
    for realms, code in (('[support]', REFUSED), ('[support, sales]', 0)):
        world.a.knows(world.b, 0, url=None, certificate=None, private_key=None, realms=realms)
        assert world.a.ctl('reload').returncode == 0
        assert world.answer().returncode == code, realms


# --- domains --------------------------------------------------------------------------------------

def a_kms_speaks_for_responders_of_its_domains_only(world):
    done = world.b.ctl('user', 'add', 'sip:eve@c.example', '--psk-out', 'eve.cred')
    assert done.returncode == 0, done.stderr
    world.start()
    world.request('sip:*@c.example', '--no-forking', '--key', 'GTGK')
    refused(world, 'Invalid ID', 'eve')
    assert last(world.a)['why'] == 'IDRr is of no domain of that KMS'


def and_for_initiators_of_its_domains_only(world):
    """A makes a ticket in the name of somebody that it does not speak for, here of B itself."""
    done = world.a.ctl('user', 'add', 'sip:boss@b.example', '--psk-out', 'boss.cred')
    assert done.returncode == 0, done.stderr
    world.start()
    done = world.a.ticket('request', '--credentials', 'boss.cred', '--kms', world.a.url(), '--to',
                          world.b.sip('bob'), '--out', 'ticket', '--quiet')
    assert done.returncode == 0, done.stderr
    done = world.a.ticket('offer', '--credentials', 'boss.cred', '--ticket', 'ticket', '--to',
                          world.b.sip('bob'), '--out', 'offer', '--state', 'state', '--quiet')
    assert done.returncode == 0, done.stderr
    refused(world, 'Invalid TICKET')
    assert last(world.b)['why'] == 'IDRi is of no domain of that KMS'
    assert world.a.audit('resolve') == world.a.audit('refuse') == []


def a_kms_that_is_no_peer_is_not_asked(world):
    world.a.knows(world.b, 0, url=None, certificate=None, private_key=None)
    world.a.start()
    world.b.start()
    world.request()
    refused(world, 'Invalid TICKET')
    assert 'via_peer' not in last(world.b)


# --- one hop --------------------------------------------------------------------------------------

def what_comes_from_a_kms_is_not_passed_on(world):
    """B knows A and A knows B, both with a url: a ticket of B that B sends to A would go round."""
    world.start()
    world.a.knows(world.b, world.b.port('https'))
    assert world.a.ctl('reload').returncode == 0
    done = world.b.ticket('request', '--credentials', 'carol.cred', '--kms', world.b.url(), '--to',
                          world.b.sip('bob'), '--out', world.a.dir / 'ticket', '--quiet')
    assert done.returncode == 0, done.stderr
    done = world.b.ticket('offer', '--credentials', 'carol.cred', '--ticket', world.a.dir / 'ticket', '--to',
                          world.b.sip('bob'), '--out', world.a.dir / 'offer', '--state', 'state', '--quiet')
    assert done.returncode == 0, done.stderr
    status, octets = world.post(world.as_peer().asked)
    assert status == 200 and error_of(octets) == (14, True)
    assert last(world.a)['why'] == 'a ticket of a third KMS'
    assert world.b.audit('resolve') == world.b.audit('refuse') == []


# --- who may ask where ----------------------------------------------------------------------------

def a_certificate_of_another_authority_gets_no_further(world):
    world.start()
    world.request()
    other = Authority(world.b.dir, 'other')
    other.issue('stranger', 'IP:127.0.0.1,DNS:kms.b.example', 'clientAuth')
    world.b.ca.issue('elsewhere', 'DNS:www.b.example', 'clientAuth')
    world.b.ca.issue('server', 'DNS:kms.b.example', 'serverAuth')
    world.b.ca.issue('late', 'DNS:kms.b.example', 'clientAuth', days='-1')
    for name in ('stranger', 'elsewhere', 'server', 'late'):
        status, _ = world.post(world.as_peer().asked, name)
        assert status == 403, (name, status)
    assert world.a.audit('resolve') == []
    assert world.a.metric('mikey_kms_requests_total{transport="http",outcome="denied"}') == 4
    assert 'peer-unknown' in world.a.log()
    status, _ = world.post(world.as_peer().asked)
    assert status == 200
    try:
        status, _ = world.post(world.as_peer().asked, None)
    except OSError:
        status = 0  # TLS ends the connection
    assert status == 0


def our_kms_says_so_when_it_is_not_let_in(world):
    world.start()
    world.request()
    world.b.ca.issue('link', 'DNS:www.b.example', 'clientAuth')
    world.b.stop()
    world.b.start()
    refused(world, 'Unspecified')
    assert 'HTTP status 403' in world.b.peer()['error']


def nor_does_it_talk_to_one_with_another_name(world):
    world.start(name='kms.c.example')
    world.request()
    refused(world, 'Unspecified')
    assert world.b.peer()['failed'] == 1 and 'kms.c.example' in world.b.peer()['error']
    assert world.a.audit('resolve') == world.a.audit('refuse') == []


def nor_to_one_of_another_authority(world):
    Authority(world.b.dir, 'other')
    world.start(ca='other.pem')
    world.request()
    refused(world, 'Unspecified')
    assert 'certificate' in world.b.peer()['error'], world.b.peer()


def a_certificate_and_a_key_of_two_kmss_do_not_go_together(world):
    """C is a peer of A, too: with its certificate the key of B is worth nothing."""
    third = Authority(world.b.dir, 'third')
    third.issue('c', 'DNS:kms.c.example', 'clientAuth')
    world.start()
    world.a.peers += ('  - {identity: "sip:kms@c.example", domains: [c.example], name: kms.c.example, '
                      f'ca: {world.b.dir / "third.pem"}}}\n')
    world.a.configure('')
    assert world.a.ctl('reload').returncode == 0
    world.request()
    status, octets = world.post(world.as_peer().asked, 'c')
    assert status == 200 and error_of(octets) == (7, True)
    assert last(world.a)['why'] == 'the certificate is of another KMS'


def a_wrong_key_is_refused_and_not_believed(world):
    world.b.ctl('user', 'remove', 'sip:kms@a.example')
    world.b.shares(world.a, '5a' * 32)
    world.start()
    world.request()
    refused(world, 'Unspecified')
    assert last(world.a)['reason'] == 'AUTH'
    assert last(world.b)['why'] == 'the answer of that KMS does not hold'
    assert 'Auth failure' in world.b.peer()['error'] or 'Error message' in world.b.peer()['error']


def without_a_key_nothing_is_asked(world):
    world.b.ctl('user', 'remove', 'sip:kms@a.example')
    world.start()
    world.request()
    refused(world, 'Unspecified')
    assert last(world.b)['why'] == 'the store has no key for that KMS'


def the_key_of_a_kms_is_good_where_kmss_ask_and_nowhere_else(world):
    world.start()
    world.request()
    kms = world.as_peer('sip:kms@b.example')
    done = subprocess.run(['curl', '-s', '--data-binary', '@-', '-H', 'Content-Type: application/mikey',
                           world.a.url() + '/keymanagement?requesttype=ticketresolve'], input=kms.asked,
                          capture_output=True, check=True)
    assert error_of(done.stdout) == (7, True)
    assert last(world.a)['why'] == 'the key of another KMS, where users ask'


def users_are_not_served_where_kmss_ask(world):
    world.start()
    world.request()
    psk = dict(line.split(': ') for line in (world.a.dir / 'alice.cred').read_text(encoding='utf-8').splitlines()
               if ': ' in line)
    alice = world.as_peer(world.a.sip('alice'), psk['psk'].strip('"'), psk['psk-id'].strip('"'))
    status, octets = world.post(alice.asked)
    assert status == 200 and error_of(octets) == (7, True)
    assert last(world.a)['why'] == 'a user, where other KMSs ask'


def a_kms_may_not_ask_for_tickets(world):
    world.start()
    world.request()
    chance = world.as_peer().chance
    kms = roles.Initiator(chance, world.b.sip('bob'), 'sip:kms@a.example', bytes.fromhex(KEY), b'a-b',
                          roles.SUITES[1])
    wish = kms.request('DEFGHINO', [world.a.sip('alice')])
    status, octets = world.post(wish, kind='ticketrequest')
    assert status == 200 and error_of(octets) == (7, True)
    assert last(world.a)['why'] == 'a KMS asks to resolve tickets only'


def an_independent_kms_gets_the_keys(world):
    """RFC6043:10-6: IDRr and TICKET of the Responder, everything else of the KMS."""
    world.start()
    world.request()
    kms = world.as_peer()
    status, octets = world.post(kms.asked)
    assert status == 200
    kms.resolved(octets)  # checks V, decrypts, and verifies the offer with MPKi
    status, octets = world.post(kms.asked)
    assert status == 200 and error_of(octets) == (1, False)  # a replay


TESTS = [
    users_of_two_kmss_get_the_same_keys,
    both_kmss_record_it_and_neither_tells_a_key,
    a_pattern_stands_for_users_of_the_other_kms,
    so_does_a_group_and_its_members_are_those_of_now,
    a_reference_ticket_keeps_its_keys_at_home_until_asked,
    a_responder_that_counts_is_answered_too,
    a_responder_that_signs_is_answered_too,
    tickets_of_our_own_are_not_asked_about,
    our_policy_refuses_before_the_other_kms_hears_of_it,
    what_it_says_about_keys_is_asked_when_they_have_come,
    the_policy_of_the_other_kms_refuses_and_both_record_it,
    who_is_not_named_in_the_ticket_is_refused_by_its_kms,
    a_ticket_that_was_revoked_at_home_is_refused,
    we_may_bar_a_ticket_of_theirs_ourselves,
    they_may_bar_a_user_of_ours,
    tickets_of_a_tenant_are_resolved_for_peers_that_may_have_them,
    a_kms_speaks_for_responders_of_its_domains_only,
    and_for_initiators_of_its_domains_only,
    a_kms_that_is_no_peer_is_not_asked,
    what_comes_from_a_kms_is_not_passed_on,
    a_certificate_of_another_authority_gets_no_further,
    our_kms_says_so_when_it_is_not_let_in,
    nor_does_it_talk_to_one_with_another_name,
    nor_to_one_of_another_authority,
    a_certificate_and_a_key_of_two_kmss_do_not_go_together,
    a_wrong_key_is_refused_and_not_believed,
    without_a_key_nothing_is_asked,
    the_key_of_a_kms_is_good_where_kmss_ask_and_nowhere_else,
    users_are_not_served_where_kmss_ask,
    a_kms_may_not_ask_for_tickets,
    an_independent_kms_gets_the_keys,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: World(sys.argv[1]), lambda world: world.close()))
