#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A KMS that takes its time: slow_kms.py SECONDS PORT takes connections, and hands each on to
127.0.0.1:PORT so many seconds later. Prints "listening PORT"."""

import contextlib
import socket
import sys
import threading
import time


def copy(source, target):
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            target.sendall(octets)
        target.shutdown(socket.SHUT_WR)


def hand_on(client, seconds, port):
    time.sleep(seconds)
    with client, contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port)) as kms:
        back = threading.Thread(target=copy, args=(kms, client))
        back.start()
        copy(client, kms)
        back.join()


def main(seconds, port):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        print('listening', listener.getsockname()[1], flush=True)
        while True:
            args = listener.accept()[0], float(seconds), int(port)
            threading.Thread(target=hand_on, args=args, daemon=True).start()


main(*sys.argv[1:])
