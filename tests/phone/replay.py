#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Gives the media of a capture to somebody else: replay.py FILE SSRC COMMAND... sends every packet of
that SSRC to the port of 127.0.0.1 that the command prints first, as "... PORT". Prints how many
there were, and what the command says of them."""

import socket
import subprocess
import sys
import time

import capture


def main(path, ssrc, *command):
    wanted = int(ssrc).to_bytes(4, 'big')
    media = [p for p in capture.packets(path) if len(p) > 160 and p[0] == 0x80 and p[8:12] == wanted]
    media = list(dict.fromkeys(media))  # several may have got the same
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        port = int(receiver.stdout.readline().split()[-1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for p in media:
                out.sendto(p, ('127.0.0.1', port))
                time.sleep(0.0005)
        print(len(media), receiver.stdout.read().strip())


main(*sys.argv[1:])
