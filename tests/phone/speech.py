#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speech as the phones carry it: makes files of G.711 mu-law and compares what was heard.

Usage: speech.py mulaw [--backwards] [--alaw] IN.wav OUT.wav: 16-bit samples to mu-law (A-law), by the definition of
G.711 and not by the table of anybody; same A B: equal octets, but for silence at the end; begins A B: what B holds is how A begins, at least a second of it; like A B: of
any form, the speech of A is in B, though not bit by bit (Opus); raw IN.wav OUT: as a sound card has it; frames A B: what
the card with B has said is how A begins, frame by frame but for silence, at least two seconds of it;
holds B A...: B holds each A whole, in one piece, but for silence at its ends; shares A B: some frame of B is in A;
part A B: the second second of A is somewhere in B; all A B: what is no silence in B is what is none in A;
pauses A: a second of silence is in it, with speech before and after.
"""

import math
import operator
import re
import struct
import sys
from pathlib import Path

SILENCE, SILENCE_ALAW = 0xff, 0xd5
LAG_MAX = 400   # samples that a codec or a sound card may be late
LIKE = 0.9      # of 1: how much of the one has to be in the other; Opus at 24 kbit/s has 0.93


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


def encode_alaw(sample):
    """One 16-bit sample (G.711 table 1)."""
    sign = 0x80 if sample >= 0 else 0
    size = min(abs(sample), 32767) >> 4
    segment = max(size.bit_length() - 4, 0)
    step = size >> max(segment - 1, 0) & 15
    return (sign | segment << 4 | step) ^ 0x55


def decode(code):
    """One sample of mu-law (G.711 table 2)."""
    size = (((2 * (~code & 15) + 33) << (~code >> 4 & 7)) - 33) * 4
    return size if code & 0x80 else -size


def decode_alaw(code):
    """One sample of A-law (G.711 table 1)."""
    segment, step = (code ^ 0x55) >> 4 & 7, (code ^ 0x55) & 15
    size = (2 * step + 1 if segment == 0 else (2 * step + 33) << segment - 1) * 8
    return size if code & 0x80 else -size


def samples(path):
    body = dict(chunks(path))
    form = struct.unpack_from('<H', body[b'fmt '])[0]
    if form == 1:
        return [s[0] for s in struct.iter_unpack('<h', body[b'data'])]
    return [{7: decode, 6: decode_alaw}[form](c) for c in body[b'data']]


def correlation(said, heard, lag):
    part = heard[lag:lag + len(said)]
    both = sum(map(operator.mul, said, part))
    return both / (math.sqrt(sum(s * s for s in said) * sum(s * s for s in part)) or 1)


def like(a, b):
    """The correlation of both, at the lag where the first second has its largest."""
    said, heard = samples(a), samples(b)
    lag = max(range(LAG_MAX), key=lambda n: correlation(said[:8000], heard, n))
    found = correlation(said, heard, lag)
    print(f'likeness {found:.4f} at {lag}', file=sys.stderr)
    return found > LIKE


def raw(source, target):
    Path(target).write_bytes(b''.join(struct.pack('=h', s) for s in samples(source)))


def frames(path):
    """Those of 20 ms in which something is said. The two zeros of mu-law are 2 and -2 to some."""
    said = [s[0] if abs(s[0]) > 2 else 0 for s in struct.iter_unpack('=h', Path(path).read_bytes())]
    return [p for p in (said[i:i + 160] for i in range(0, len(said), 160)) if any(p)]


def same_frames(a, b):
    said, heard = frames(a), frames(b)
    return len(heard) >= 100 and heard == said[:len(heard)]


def mulaw(source, target, backwards, alaw):
    said = [s[0] for s in struct.iter_unpack('<h', octets(source))]
    body = bytes((encode_alaw if alaw else encode)(s) for s in (reversed(said) if backwards else said))
    body += bytes([SILENCE_ALAW if alaw else SILENCE]) * (-len(body) % 160)
    form = struct.pack('<HHIIHHH', 6 if alaw else 7, 1, 8000, 8000, 1, 8, 0)
    text = b'WAVEfmt ' + struct.pack('<I', 18) + form + b'fact' + struct.pack('<II', 4, len(body))
    text += b'data' + struct.pack('<I', len(body)) + body
    Path(target).write_bytes(b'RIFF' + struct.pack('<I', len(text)) + text)


def plain(path):
    body = dict(chunks(path))
    return body[b'fmt '][:2], body[b'data'].rstrip(bytes([SILENCE, SILENCE_ALAW]))


def same(a, b):
    return plain(a) == plain(b)


def begins(a, b):
    said, heard = octets(a), octets(b)
    n = min(len(said), len(heard))
    return n >= 8000 and said[:n] == heard[:n]


def strip(path):
    return octets(path).strip(bytes([SILENCE]))


def holds(b, *parts):
    return all(len(strip(a)) >= 8000 and strip(a) in octets(b) for a in parts)


def shares(a, b):
    """Frames that are more than a tone or silence."""
    said, heard = octets(b), octets(a)
    frames = (said[i:i + 160] for i in range(0, len(said) - 160, 160))
    return any(f in heard for f in frames if len(set(f)) > 4)


def part(a, b):
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
        mulaw(argv[-2], argv[-1], '--backwards' in argv, '--alaw' in argv)
        return 0
    if argv[:1] == ['raw']:
        raw(*argv[1:])
        return 0
    return 0 if {'same': same, 'begins': begins, 'like': like, 'holds': holds, 'shares': shares, 'part': part, 'all': all_said, 'pauses': pauses,
                 'frames': same_frames}[argv[0]](*argv[1:]) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
