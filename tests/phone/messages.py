#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The MIKEY messages in the SIP of a capture, read through tshark.

Usage: messages.py FILE PORT TYPE N: there are exactly N different messages of that type to or from
the port; messages.py FILE PORT --write TYPE: the first of them, base64.
"""

import re
import subprocess
import sys

TYPES = {'TRANSFER_INIT': b'AQ4', 'TRANSFER_RESP': b'AQ8'}


def payloads(path, port):
    of_port = f'tcp.port == {port} or udp.port == {port}'
    out = subprocess.run(['tshark', '-r', path, '-Y', of_port, '-T', 'fields', '-e', 'udp.payload', '-e', 'tcp.payload'],
                         check=True, capture_output=True, text=True).stdout
    return [bytes.fromhex(line.strip()) for line in out.split('\n') if line.strip()]


def messages(path, port, kind):
    found = {}
    for p in payloads(path, port):
        for text in re.findall(rb'a=key-mgmt:mikey ([A-Za-z0-9+/=]+)\r\n', p):
            if text.startswith(TYPES[kind]):
                found[text] = None
    return list(found)


def main(path, port, *args):
    if args[0] == '--write':
        print(messages(path, port, args[1])[0].decode())
        return 0
    n = len(messages(path, port, args[0]))
    print(f'{n} messages of type {args[0]}')
    return 0 if n == int(args[1]) else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
