#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No keystream is used twice in a capture: packets of one SSRC and sequence number are one packet, on its
way to several. (What is captured is shorter than a round of sequence numbers.)

Usage: keystream.py FILE: there are streams of two at least."""

import sys

import capture


def main(path):
    seen, twice = {}, 0
    for p in capture.packets(path):
        if len(p) < 12 + 14 or p[0] != 0x80 or p[1] & 0x7f not in (0, 126):
            continue
        twice += seen.setdefault((p[8:12], p[2:4]), p) != p
    streams = {ssrc for ssrc, _ in seen}
    print(f'{len(seen)} packets of {len(streams)} streams, {twice} with the keystream of another')
    return 0 if twice == 0 and len(streams) >= 2 and len(seen) >= 100 else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
