#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the configuration says about other KMSs: mistakes and their places, and changes while the daemon
runs. Usage: test_peers_config.py BUILD_DIR. Prints TAP."""

import json
import sys

from orgs import World
from rig import Authority, run_tests, until

REFUSED = 3
GOOD = ('identity: sip:kms@c.example', 'domains: [c.example]', 'url: https://kms.c.example', 'ca: ca.pem',
        'certificate: link.pem', 'private_key: link.key')


def check(org):
    return org.run('kms/mikey-kmsd', '--config', 'kms.yaml', '--check')


def wrong(org, entries, *words):
    """--check refuses this list of peers, with these words."""
    org.peers = 'peers:\n' + ''.join(f'  - {{{e}}}\n' for e in entries)
    org.configure('')
    done = check(org)
    assert done.returncode == 3, (entries, done.stderr)
    for word in words:
        assert word in done.stderr, (entries, done.stderr)


def peer(*change, without=None):
    """A good entry, but for what is changed or left out."""
    keys = [c.split(':')[0] for c in change]
    return ', '.join([*(g for g in GOOD if g.split(':')[0] not in keys and g.split(':')[0] != without), *change])


def what_a_peer_needs_is_said(world):
    org = world.b
    wrong(org, [peer(without='identity')], 'kms.yaml:11:5: a peer needs "identity"')
    wrong(org, [peer(without='domains')], 'a peer needs "domains"')
    wrong(org, [peer(without='ca')], 'a peer needs "ca"')
    wrong(org, [peer(without='certificate')], 'a peer needs "certificate"')
    wrong(org, [peer(without='private_key')], 'a peer needs "private_key"')
    wrong(org, [peer(without='url')], 'a peer needs "name"')
    org.peers = f'peers: [{{{peer()}}}]\n'
    org.configure('')
    done = check(org)
    assert done.returncode == 0, done.stderr


def mistakes_in_an_entry_have_a_place(world):
    org = world.b
    for change, *words in (
            ('identity: kms', '11:', 'identity: not an identity'),
            ('domains: []', 'is an empty list'),
            ('domains: [a b]', 'domains: a name has letters'),
            ('domains: [1, 2, 3, 4, 5, 6, 7, 8, 9]', 'too many (8 at most)'),
            ('url: http://kms.c.example', 'over https:// only'),
            ('url: https://', 'not https://HOST'),
            ('url: "https://kms.c.example:x"', 'not https://HOST'),
            ('url: "https://kms.c.example/?q"', 'not https://HOST'),
            ('url: "https://me@kms.c.example"', 'not https://HOST'),
            ('url: "https://[::1"', 'url'),
            ('name: "*"', 'name: a name has letters'),
            ('realms: [1, 2, 3, 4, 5, 6, 7, 8, 9]', 'realms: too many'),
            ('realms: [""]', 'realms: empty'),
            ('timeout: 0', 'timeout: must be from 1 to 20 seconds'),
            ('timeout: 1h', 'must be from 1 to 20 seconds'),
            ('waiting: 2000', 'waiting: must be from 1 to 1024'),
            ('tmieout: 3s', 'unknown option of a peer', 'timeout'),
            ('ca: [a.pem, b.pem]', '"ca"')):
        wrong(org, [peer(change)], *words)
    wrong(org, [peer('ca: ca.pem', 'ca: ca.pem')], '"ca" is given twice')


def the_list_as_a_whole_is_checked(world):
    org = world.b
    other = peer('identity: sip:kms@d.example', 'domains: [d.example, C.example.]')
    wrong(org, [peer(), other], 'two of them speak for c.example')
    wrong(org, [peer(), peer('domains: [d.example]')], 'sip:kms@c.example is given twice')
    wrong(org, [peer('identity: sip:kms@b.example')], 'this KMS itself')
    wrong(org, [peer('domains: [c.example, B.example]')], 'b.example is the domain of this KMS')
    wrong(org, [peer(f'identity: sip:kms@{i}.example', f'domains: [{i}.example]') for i in range(17)],
          'too many peers (16 at most)')
    org.peers = f'peers: [{{{peer("timeout: 5s")}}}]\n'
    org.configure('http_timeout: 5s\n')
    assert 'shorter than http_timeout' in check(org).stderr


def files_are_read_beforehand(world):
    org = world.b
    wrong(org, [peer('ca: nowhere.pem')], 'nowhere.pem')
    wrong(org, [peer('ca: link.key')], 'link.key')
    wrong(org, [peer('private_key: ca.key')], 'ca.key')
    (org.dir / 'link.key').chmod(0o644)
    wrong(org, [peer()], 'chmod 600')


def an_address_for_peers_is_an_https_address(world):
    org = world.b
    text = (org.dir / 'kms.yaml').read_text(encoding='utf-8')
    for line, word in (('{url: "http://127.0.0.1:1", for: peers}', 'an address for peers is https://'),
                       ('{url: "https://127.0.0.1:0", for: friends}', 'clients or peers'),
                       ('{url: "https://127.0.0.1:0", for: peers, for: peers}', 'once each')):
        org.write('kms.yaml', text.replace('{url: "https://127.0.0.1:0", for: peers}', line))
        done = check(org)
        assert done.returncode == 3 and 'kms.yaml:5:' in done.stderr and word in done.stderr, done.stderr


def peers_come_and_go_with_a_reload(world):
    world.start()
    world.request()
    entries, world.b.peers = world.b.peers, ''
    for peers, code in (('', REFUSED), (entries, 0), ('', REFUSED), (entries, 0)):
        world.b.peers = peers
        world.b.configure('')
        done = world.b.ctl('reload')
        assert done.returncode == 0 and 'peers' in done.stdout, (done.stdout, done.stderr)
        assert world.b.metric('mikey_kms_peers') == (1 if peers else 0)
        done = world.answer()
        assert done.returncode == code, (peers, done.stderr)
    done = json.loads(world.b.ctl('status', '--json').stdout)
    assert int(done['peers']) == 1 and int(done['peers_down']) == 0, done
    assert world.b.metric('mikey_kms_peer_requests_total{outcome="answered"}') == 2


def the_first_peer_needs_a_restart(world):
    world.b.peers = ''
    world.b.configure('')
    world.b.start()
    world.b.knows(world.a, 1)
    done = world.b.ctl('reload')
    assert done.returncode == 0 and 'peers' in done.stdout and 'restart' in done.stdout, done.stdout
    assert world.b.metric('mikey_kms_peers') == 0


def one_with_a_mistake_changes_nothing(world):
    world.start()
    world.request()
    good = world.b.peers
    world.b.peers = good.replace('link.pem', 'nowhere.pem')
    world.b.configure('')
    assert world.b.ctl('reload').returncode != 0
    assert world.answer().returncode == 0


def a_certificate_that_changes_on_disk_is_used(world):
    """Both ways: B shows a new one, and A takes another authority for good."""
    world.start()
    world.request()
    Authority(world.b.dir, 'ca')
    assert until(lambda: 'peers-reloaded' in world.a.log())
    assert world.answer().returncode == REFUSED  # also on the connection that is open already
    world.b.ca.issue('link', 'DNS:kms.b.example', 'clientAuth')
    world.b.restart()
    done = world.answer()
    assert done.returncode == 0, done.stderr


TESTS = [
    what_a_peer_needs_is_said,
    mistakes_in_an_entry_have_a_place,
    the_list_as_a_whole_is_checked,
    files_are_read_beforehand,
    an_address_for_peers_is_an_https_address,
    peers_come_and_go_with_a_reload,
    the_first_peer_needs_a_restart,
    one_with_a_mistake_changes_nothing,
    a_certificate_that_changes_on_disk_is_used,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: World(sys.argv[1]), lambda world: world.close()))
