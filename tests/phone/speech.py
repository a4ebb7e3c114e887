#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speech as the phones carry it: makes files of G.711 mu-law and compares what was heard.

Usage: speech.py mulaw [--backwards] IN.wav OUT.wav: 16-bit samples to mu-law, by the definition of
G.711 and not by the table of anybody.
same A B: equal octets, but for silence at the end.
begins A B: what B holds is how A begins, at least a second of it.
holds A B: the second second of A is somewhere in B.
all A B: what is no silence in B is what is none in A.
pauses A: a second of silence is in it, with speech before and after.
"""

import re
import struct
import sys
from pathlib import Path

SILENCE = 0xff


def chunks(path):
    data = Path(path).read_bytes()
    at = 12
    while at + 8 <= len(data):
        name, n = data[at:at + 4], struct.unpack_from('<I', data, at + 4)[0]
        yield name, data[at + 8:at + 8 + n]
        at += 8 + n + n % 2


def octets(path):
    return dict(chunks(path))[b'data']


def encode(sample):
    """One 16-bit sample (G.711 table 2)."""
    sign = 0x80 if sample >= 0 else 0
    size = min(abs(sample) + 132, 32767)
    segment = max(size.bit_length() - 8, 0)
    return (sign | (7 - segment) << 4 | (15 - (size >> segment + 3 & 15))) & 0xff


def mulaw(source, target, backwards):
    samples = [s[0] for s in struct.iter_unpack('<h', octets(source))]
    body = bytes(encode(s) for s in (reversed(samples) if backwards else samples))
    body += bytes([SILENCE]) * (-len(body) % 160)
    form = struct.pack('<HHIIHHH', 7, 1, 8000, 8000, 1, 8, 0)
    text = b'WAVEfmt ' + struct.pack('<I', 18) + form + b'fact' + struct.pack('<II', 4, len(body))
    text += b'data' + struct.pack('<I', len(body)) + body
    Path(target).write_bytes(b'RIFF' + struct.pack('<I', len(text)) + text)


def same(a, b):
    return octets(a).rstrip(bytes([SILENCE])) == octets(b).rstrip(bytes([SILENCE]))


def begins(a, b):
    said, heard = octets(a), octets(b)
    n = min(len(said), len(heard))
    return n >= 8000 and said[:n] == heard[:n]


def holds(a, b):
    said = octets(a)[8000:16000]
    return len(said) == 8000 and len(set(said)) > 50 and said in octets(b)


def all_said(a, b):
    said, heard = (bytes(o for o in octets(x) if o != SILENCE) for x in (a, b))
    return len(said) >= 8000 and said == heard


def pauses(a):
    found = re.search(b'[^\xff][\xff]{8000}.*?[^\xff]', octets(a), re.S)
    return found is not None


def main(argv):
    if argv[:1] == ['mulaw']:
        mulaw(argv[-2], argv[-1], '--backwards' in argv)
        return 0
    return 0 if {'same': same, 'begins': begins, 'holds': holds, 'all': all_said, 'pauses': pauses}[argv[0]](*argv[1:]) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
