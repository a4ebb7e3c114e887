#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an observer of a call has: reads a capture through tshark and says what does not hold.

Usage: capture.py FILE SPEECH.wav...: there is RTP in numbers, and no packet holds 16 octets in a row
of any frame of that speech; silence apart.
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


def main(path, *files):
    seen = packets(path)
    media = [p for p in seen if len(p) >= 12 + 160 and p[0] == 0x80 and p[1] & 0x7f == 0]
    known = set().union(*map(pieces, files))
    clear = [p for p in seen if any(p[i:i + PIECE] in known for i in range(len(p) - PIECE + 1))]
    print(f'{len(media)} packets of media, {len(clear)} in the clear, {len(known)} pieces of speech')
    return 0 if len(media) >= 100 and not clear and len(known) >= 100 else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
