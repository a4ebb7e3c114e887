#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Certificates of other KMSs that were revoked, with two real daemons: B asks A, so that A looks at what
B shows as a client, and B at what A serves with. Usage: test_peers_crl.py BUILD_DIR. Prints TAP."""

import sys

from orgs import World
from rig import Authority, run_tests, until

REFUSED = 3
SERVER, CLIENT = 1001, 1002  # the certificates that each organisation has
LONG_AGO = ('-crl_lastupdate', '20200101000000Z', '-crl_nextupdate', '20200201000000Z')


def begin(world, **change):
    for org in (world.a, world.b):
        if not (org.dir / 'ca.crl').exists():
            org.ca.revoke()
    world.a.knows(world.b, 0, url=None, certificate=None, private_key=None, crl=world.b.dir / 'ca.crl')
    world.a.start()
    world.b.knows(world.a, world.a.port('https'), crl=world.a.dir / 'ca.crl', **change)
    world.b.start()
    world.request()


def reloaded(org, times=1):
    assert until(lambda: org.log().count(' peers-reloaded ') >= times), org.log()


def who_is_on_no_list_goes_on(world):
    begin(world)
    assert world.answer().returncode == 0
    world.b.ca.revoke(CLIENT + 1)
    world.a.ca.revoke(SERVER + 10)
    for org in (world.a, world.b):
        reloaded(org)
    assert world.answer().returncode == 0


def a_client_that_is_revoked_is_refused_on_an_open_connection_too(world):
    begin(world)
    assert world.answer().returncode == 0
    world.b.ca.revoke(CLIENT)
    reloaded(world.a)
    assert world.answer().returncode == REFUSED
    assert 'peer-unknown' in world.a.log() and 'HTTP status 403' in world.b.peer()['error']
    world.b.ca.issue('link', 'DNS:kms.b.example', 'clientAuth')  # a new one
    reloaded(world.b)
    assert until(lambda: world.answer().returncode == 0)


def a_server_that_is_revoked_is_asked_no_more(world):
    begin(world)
    assert world.answer().returncode == 0
    world.a.ca.revoke(SERVER)
    reloaded(world.b)
    assert until(lambda: world.answer().returncode == REFUSED)  # its connection is open a second more
    assert world.answer().returncode == REFUSED
    assert 'revoked' in world.b.peer()['error'], world.b.peer()
    world.a.ca.revoke()
    reloaded(world.b, 2)
    assert until(lambda: world.answer().returncode == 0)


def a_list_that_is_out_of_date_clears_no_client(world):
    world.b.ca.revoke(times=LONG_AGO)
    begin(world)
    assert world.answer().returncode == REFUSED
    assert 'HTTP status 403' in world.b.peer()['error'], world.b.peer()
    world.b.ca.revoke()
    reloaded(world.a)
    assert until(lambda: world.answer().returncode == 0)


def nor_a_server(world):
    world.a.ca.revoke(times=LONG_AGO)
    begin(world)
    assert world.answer().returncode == REFUSED
    assert 'CRL has expired' in world.b.peer()['error'], world.b.peer()
    world.a.ca.revoke()
    reloaded(world.b)
    assert until(lambda: world.answer().returncode == 0)


def a_forged_list_takes_nothing_back(world):
    begin(world)
    world.b.ca.revoke(CLIENT)
    reloaded(world.a)
    (world.b.dir / 'forger').mkdir()
    forger = Authority(world.b.dir / 'forger', 'ca')  # of the same name
    forger.revoke()
    (world.b.dir / 'forger/ca.crl').rename(world.b.dir / 'ca.crl')
    assert until(lambda: 'peers-unreadable' in world.a.log())
    assert 'a list is not signed by any authority' in world.a.log()
    assert world.answer().returncode == REFUSED


def lists_are_checked_beforehand(world):
    org = world.b
    org.ca.revoke()
    other = Authority(org.dir, 'other')
    other.revoke()
    (org.dir / 'forger').mkdir()
    forger = Authority(org.dir / 'forger', 'ca')  # of the same name
    forger.revoke(times=LONG_AGO)
    (org.dir / 'both.pem').write_text((org.dir / 'ca.pem').read_text() + (org.dir / 'other.pem').read_text())
    (org.dir / 'both.crl').write_text((org.dir / 'ca.crl').read_text() + (org.dir / 'other.crl').read_text())
    for ca, crl, said in (('ca.pem', 'ca.crl', None), ('both.pem', 'both.crl', None),
                          ('ca.pem', 'other.crl', 'a list is not signed by any authority in'),
                          ('ca.pem', 'both.crl', 'a list is not signed by any authority in'),
                          ('ca.pem', 'forger/ca.crl', 'a list is not signed by any authority in'),
                          ('both.pem', 'ca.crl', 'has no list of the authority CN=other in'),
                          ('ca.pem', 'ca.pem', 'holds no revocation list'),
                          ('ca.pem', 'nowhere.crl', 'nowhere.crl')):
        org.knows(world.a, 1, ca=ca, crl=crl)
        done = org.run('kms/mikey-kmsd', '--config', 'kms.yaml', '--check')
        assert done.returncode == (0 if said is None else 3), (ca, crl, done.stderr)
        assert said is None or said in done.stderr, (ca, crl, done.stderr)


def an_authority_that_is_no_longer_trusted_is_asked_no_more(world):
    """Without lists too: what libcurl remembers of authorities and connections does not outlive the file."""
    world.start()
    world.request()
    assert world.answer().returncode == 0
    (world.a.dir / 'ca.pem').rename(world.a.dir / 'former.pem')
    (world.a.dir / 'new').mkdir()
    Authority(world.a.dir / 'new', 'ca')
    (world.a.dir / 'new/ca.pem').rename(world.a.dir / 'ca.pem')
    reloaded(world.b)
    assert until(lambda: world.answer().returncode == REFUSED)


TESTS = [
    who_is_on_no_list_goes_on,
    a_client_that_is_revoked_is_refused_on_an_open_connection_too,
    a_server_that_is_revoked_is_asked_no_more,
    a_list_that_is_out_of_date_clears_no_client,
    nor_a_server,
    a_forged_list_takes_nothing_back,
    lists_are_checked_beforehand,
    an_authority_that_is_no_longer_trusted_is_asked_no_more,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: World(sys.argv[1]), lambda world: world.close()))
