#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Gives the media of a capture to somebody else: replay.py FILE SSRC PORT sends every packet of
that SSRC to 127.0.0.1:PORT, once, and prints how many there were."""

import socket
import sys
import time

import capture


def main(path, ssrc, port):
    wanted = int(ssrc).to_bytes(4, 'big')
    media = [p for p in capture.packets(path) if len(p) > 160 and p[0] == 0x80 and p[8:12] == wanted]
    media = list(dict.fromkeys(media))  # several may have got the same
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for p in media:
            out.sendto(p, ('127.0.0.1', int(port)))
            time.sleep(0.0005)
    print(len(media))


main(*sys.argv[1:])
