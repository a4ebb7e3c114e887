#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An INVITE by hand: sip_offer.py ADDR:PORT [--twice | --wait | --then FILE...] < SDP

Prints the final answer: "488 Not Acceptable Here", and under it each Warning. --twice: the same
INVITE again on another branch, as a proxy that forks to one phone on two ways does, and the answer
to that one first. What the environment has as FROM, TYPE and TRANSPORT is who calls, the type of what
it sends, and udp or tcp. The call is given up when it would ring, but with --wait. --then:
once the call stands (and after TALK seconds), each FILE is the SDP of a later offer, whose answer is printed likewise; then BYE.
"""

import os
import re
import secrets
import socket
import sys
import time

FROM = os.environ.get('FROM', 'sip:alice@example.com')
TYPE = os.environ.get('TYPE', 'application/sdp')
TRANSPORT = os.environ.get('TRANSPORT', 'udp')

KIND = {'udp': socket.SOCK_DGRAM, 'tcp': socket.SOCK_STREAM}


def message(method, to, me, branch, ids, body=b'', tag='', number=1):
    head = (f'{method} sip:bob@{to} SIP/2.0\r\nVia: SIP/2.0/{TRANSPORT.upper()} {me};branch=z9hG4bK{branch};rport\r\n'
            f'Max-Forwards: 70\r\nFrom: <{FROM}>;tag={ids[0]}\r\n'
            f'To: <sip:bob@example.com>{tag}\r\nCall-ID: {ids[1]}\r\nCSeq: {number} {method}\r\n'
            f'Contact: <sip:alice@{me};transport={TRANSPORT}>\r\n')
    if body:
        head += f'Content-Type: {TYPE}\r\n'
    return (head + f'Content-Length: {len(body)}\r\n\r\n').encode() + body


def received(sock):
    """One message: a datagram, or what a stream has until its end."""
    text = sock.recv(65535).decode()
    while TRANSPORT == 'tcp' and not text.endswith('\r\n\r\n') and 'Content-Length: 0' in text:
        text += sock.recv(65535).decode()
    return text


def final(sock, branch, wait=False):
    """The first final answer on a branch; None when it rings and nobody waits."""
    while True:
        text = received(sock)
        code = int(text.split(' ', 2)[1])
        if f'z9hG4bK{branch}' not in text or code == 100:
            continue
        if code >= 200:
            return text
        if not wait:
            return None


def show(text):
    print('rings' if text is None else text.split('\r\n')[0].split(' ', 1)[1])
    for line in re.findall(r'^(?:Warning: |Accept: |a=key-mgmt:mikey).*', text or '', re.M):
        print(line.strip()[:80])


def later(sock, to, me, ids, text, files):
    """The call stands: what comes of further offers."""
    tag = re.search(r'^To: .*(;tag=[^\r;]+)', text, re.M).group(1)
    for number, path in enumerate((None, *files), 1):
        if path is not None:
            branch = secrets.token_hex(8)
            with open(path, 'rb') as body:
                sock.send(message('INVITE', to, me, branch, ids, body.read(), tag, number))
            show(final(sock, branch, True))
        sock.send(message('ACK', to, me, secrets.token_hex(8), ids, b'', tag, number))
    time.sleep(float(os.environ.get('TALK', 0)))
    sock.send(message('BYE', to, me, secrets.token_hex(8), ids, b'', tag, len(files) + 2))


def keep(text):
    """The answer itself, where the environment says."""
    if 'ANSWER' in os.environ and text is not None:
        with open(os.environ['ANSWER'], 'w', encoding='ascii', newline='') as file:
            file.write(text.partition('\r\n\r\n')[2])


def main(to, *options):
    host, port = to.rsplit(':', 1)
    body = sys.stdin.buffer.read()
    with socket.socket(socket.AF_INET, KIND[TRANSPORT]) as sock:
        sock.settimeout(10)
        sock.connect((host, int(port)))
        me = '%s:%d' % sock.getsockname()
        ids = secrets.token_hex(8), secrets.token_hex(8)
        branch = secrets.token_hex(8)
        sock.sendall(message('INVITE', to, me, branch, ids, body))
        text = final(sock, branch, '--wait' in options or '--then' in options)
        if '--twice' in options:
            again = secrets.token_hex(8)
            sock.send(message('INVITE', to, me, again, ids, body))
            text = final(sock, again)
        if text is None or '--twice' in options:
            sock.send(message('CANCEL', to, me, branch, ids))
        show(text)
        keep(text)
        if '--then' in options:
            later(sock, to, me, ids, text, options[options.index('--then') + 1:])


main(*sys.argv[1:])
