#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signaling between KMSs (RFC 6043 10) with two real daemons and certificates of two authorities.
Usage: test_peers.py BUILD_DIR. Prints TAP."""

import sys

from orgs import World
from rig import run_tests


def a_ticket_of_another_kms_is_resolved_through_ours(world):
    world.start()
    world.request()
    done = world.answer()
    assert done.returncode == 0, done.stderr
    done = world.complete()
    assert done.returncode == 0, done.stderr


TESTS = [
    a_ticket_of_another_kms_is_resolved_through_ours,
]

if __name__ == '__main__':
    sys.exit(run_tests(TESTS, lambda: World(sys.argv[1]), lambda world: world.close()))
