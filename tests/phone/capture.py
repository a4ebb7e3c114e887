#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an observer of a call has: reads a capture through tshark and says what does not hold.

Usage: capture.py FILE SPEECH.wav...: there is RTP in numbers, and no packet holds 16 octets in a row
of any frame of that speech; silence apart. There is no RTCP that could be read.
"""

import subprocess
import sys

import speech

PIECE = 16


def packets(path):
    out = subprocess.run(['tshark', '-r', path, '-T', 'fields', '-e', 'udp.payload', 'udp'],
                         check=True, capture_output=True, text=True).stdout
    return [bytes.fromhex(line) for line in out.split('\n') if line]


def pieces(path):
    said = speech.octets(path)
    found = (said[i:i + PIECE] for i in range(0, len(said) - PIECE, PIECE))
    return {p for p in found if len(set(p)) > 4}


def is_compound(packet):
    """Lengths that add up (RFC 3550 A.2): what is encrypted, and longer by its tag, has none."""
    at = 0
    while at + 4 <= len(packet) and packet[at] >> 6 == 2 and 200 <= packet[at + 1] <= 204:
        at += 4 * (int.from_bytes(packet[at + 2:at + 4], 'big') + 1)
    return at == len(packet)


def main(path, *files):
    seen = packets(path)
    media = [p for p in seen if len(p) >= 12 + 60 and p[0] == 0x80 and p[1] & 0x7f in (0, 8, 96)]
    reports = [p for p in seen if len(p) >= 8 and p[0] >> 6 == 2 and p[1] in (200, 201)]
    read = [p for p in reports if is_compound(p)]
    known = set().union(*map(pieces, files))
    clear = [p for p in seen if any(p[i:i + PIECE] in known for i in range(len(p) - PIECE + 1))]
    print(f'{len(media)} packets of media, {len(clear)} in the clear, {len(known)} pieces of speech; '
          f'{len(reports)} reports, {len(read)} in the clear')
    return 0 if len(media) >= 100 and not clear and not read and len(known) >= 100 else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
