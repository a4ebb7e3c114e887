#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Damages a sealed object in each way that a store, a network or a thief could: a bit in every field
of its head and in every part, cut at and beside every border, parts exchanged, left out, doubled,
added, and taken from another object. Writes the objects into a folder and prints a line for each:
file, exit code that `open` must have (or "any" refusal), what was done.
Usage: seal_damage.py OBJECT OTHER MIKEY_TICKET FOLDER
"""

import re
import subprocess
import sys
from pathlib import Path

FIXED, CHUNK = 24, 65536 + 16


def field_offsets(ticket, message):
    """Where `decode` says that a payload begins, and the header's fields of fixed places."""
    said = subprocess.run([ticket, 'decode', '-'], input=message, capture_output=True, check=True)
    found = {int(n): what for what, n in
             re.findall(r'^\s*([\w ]+) at octet (\d+)', said.stdout.decode(), re.M)}
    fixed = {0: 'version', 1: 'data type', 2: 'first payload', 3: 'V and PRF', 4: 'CSB ID', 8: 'number of sessions',
             9: 'map type', 10: 'CS ID', 11: 'security protocol', 12: 'policies', 14: 'length of session data',
             16: 'digest of the content', 47: 'end of the digest', 48: 'length of the SPI', 49: 'SPI'}
    return {**found, **{n: f'HDR, {what}' for n, what in fixed.items()}}


def main():
    sealed, other = (Path(p).read_bytes() for p in sys.argv[1:3])
    ticket, folder = sys.argv[3], Path(sys.argv[4])
    count = 0

    def put(octets, code, what):
        nonlocal count
        count += 1
        (folder / str(count)).write_bytes(octets)
        print(count, code, what)

    def flipped(at, code, what):
        put(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1:], code, what)

    n = int.from_bytes(sealed[20:24], 'big')
    head, body = sealed[:FIXED + n], sealed[FIXED + n:]
    parts = [body[i:i + CHUNK] for i in range(0, len(body), CHUNK)]
    assert len(parts) == 4
    for at, what in ((0, 'magic'), (19, 'version'), (20, 'length, first octet'), (23, 'length, last octet')):
        flipped(at, 4 if at != 23 else 'any', f'a bit of the {what}')
    for at, what in sorted(field_offsets(ticket, head[FIXED:]).items()):
        flipped(FIXED + at, 'any', f'a bit of {what} at octet {at} of the message')
        if at > 0 and at + 3 < n:
            flipped(FIXED + at + 3, 'any', f'a bit behind the beginning of {what}')
    flipped(FIXED + n - 1, 'any', 'a bit of the MAC of the message')
    begin = FIXED + n
    for i, part in enumerate(parts):
        for at, what in ((0, 'first octet'), (len(part) - 17, 'last octet'), (len(part) - 1, 'tag')):
            flipped(begin + at, 5, f'a bit of part {i + 1}, {what}')
        begin += len(part)
    whole = len(sealed)
    for at in (0, 1, 15, 16, 23, FIXED, FIXED + 1, FIXED + n - 1):
        put(sealed[:at], 4, f'cut to {at} octets')
    for i in range(4):
        at = FIXED + n + i * CHUNK
        for less in (0, -1, 1, 15, 16, 17):
            if less >= 0 or i > 0:
                put(sealed[:at + less], 5, f'cut at part {i + 1}, {less:+d} octets')
    put(sealed[:whole - 1], 5, 'cut by one octet')
    for what, order in (('first two parts exchanged', (1, 0, 2, 3)), ('second and third part exchanged', (0, 2, 1, 3)),
                        ('second part left out', (0, 2, 3)), ('first part left out', (1, 2, 3)),
                        ('last part left out', (0, 1, 2)), ('second part doubled', (0, 1, 1, 2, 3)),
                        ('last part doubled', (0, 1, 2, 3, 3)), ('last part first', (3, 0, 1, 2))):
        put(head + b''.join(parts[i] for i in order), 5, what)
    put(sealed + b'\0', 5, 'one octet added')
    put(sealed + bytes(CHUNK), 5, 'a part of zeros added')
    put(sealed + sealed, 5, 'the object twice')
    m = int.from_bytes(other[20:24], 'big')
    put(head + other[FIXED + m:], 5, 'the content of another object')
    put(other[:FIXED + m] + body, 5, 'the head of another object')
    put(head + parts[0] + parts[1] + parts[2] + other[FIXED + m:], 5, 'the end of another object')


main()
