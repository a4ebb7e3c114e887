#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Something between two phones that is no good proxy, over UDP.

Usage: sip_middle.py fork [--bad SEED] TARGET...: sends an INVITE to every ADDR:PORT and each answer
back, and never cancels; with --bad a fifth of the messages is lost and some come late; with
--lose N the media of the caller comes this way, too, and each Nth packet of RTP is lost; with
--without LINE that line is taken out of every description.
sip_middle.py redirect URI: answers every INVITE with 302 and that Contact.
Prints "listening PORT"."""

import random
import re
import secrets
import select
import socket
import sys
import threading
import time

def changed(text, change):
    """A message whose body has been through change()."""
    head, found, body = text.partition('\r\n\r\n')
    if not body:
        return text
    body = change(body)
    return re.sub(r'(?mi)^(Content-Length:).*$', rf'\1 {len(body.encode())}\r', head) + found + body


class Lossy(threading.Thread):
    """A port that hands packets on to another, but for each Nth of RTP; RTCP gets through."""

    def __init__(self, every, target):
        super().__init__(daemon=True)
        self.every, self.target = every, target
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(('127.0.0.1', 0))
        self.port = self.sock.getsockname()[1]
        self.start()

    def run(self):
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        n = 0
        while True:
            packet = self.sock.recv(65535)
            n += not 192 <= packet[1] <= 223
            if 192 <= packet[1] <= 223 or n % self.every != 0:
                out.sendto(packet, ('127.0.0.1', self.target))


class Descriptions:
    """What is done to what passes: nothing, or that of --lose and --without."""

    def __init__(self, every, without):
        self.every, self.without = every, without
        self.relays = {}

    def relay(self, port):
        if port not in self.relays:
            self.relays[port] = Lossy(self.every, port)
        return self.relays[port].port

    def change(self, body, answer):
        if self.without:
            body = body.replace(self.without + '\r\n', '')
        if self.every and answer:
            body = re.sub(r'(?m)^(m=audio) (\d+)', lambda m: f'{m[1]} {self.relay(int(m[2]))}', body)
        return body


BRANCH = 'z9hG4bKmid'


class Link:
    """A socket that loses and delays, as its seed has it."""

    def __init__(self, seed):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(('127.0.0.1', 0))
        self.random = random.Random(seed) if seed is not None else None
        self.later = []

    def send(self, octets, to):
        if self.random is None:
            self.sock.sendto(octets, to)
        elif self.random.random() > 0.2:
            delay = self.random.choice([0, 0, 0.05, 0.15])
            self.later.append((time.monotonic() + delay, octets, to))

    def receive(self):
        while True:
            for item in [i for i in self.later if i[0] <= time.monotonic()]:
                self.later.remove(item)
                self.sock.sendto(*item[1:])
            if select.select([self.sock], [], [], 0.01)[0]:
                return self.sock.recvfrom(65535)


def top_via(text):
    return re.search(r'^Via: *(.*?)\r\n', text, re.M | re.I).group(1)


def fork(link, targets, descriptions):
    callers = {}  # who has sent what with that Via
    branches = {}  # of an INVITE: one for each target
    while True:
        octets, source = link.receive()
        text = octets.decode(errors='replace')
        answer = text.startswith('SIP/2.0')
        text = changed(text, lambda body, answer=answer: descriptions.change(body, answer))
        if answer:
            via = top_via(text)
            if BRANCH in via:
                text = text.replace(f'Via: {via}\r\n', '', 1)
                to = callers.get(top_via(text))
                if to is not None:
                    link.send(text.encode(), to)
            continue
        via = top_via(text)
        callers[via] = source
        me = '127.0.0.1:%d' % link.sock.getsockname()[1]
        for i, target in enumerate(targets):
            branch = branches.setdefault((via, i), BRANCH + secrets.token_hex(8))
            added = text.replace('\r\n', f'\r\nVia: SIP/2.0/UDP {me};branch={branch}\r\n', 1)
            link.send(added.encode(), target)


def redirect(link, uri):
    while True:
        octets, source = link.receive()
        text = octets.decode(errors='replace')
        if not text.startswith('INVITE'):
            continue
        keep = re.findall(r'^(?:Via|From|Call-ID|CSeq): .*\r\n', text, re.M | re.I)
        to = re.search(r'^To: (.*)\r\n', text, re.M).group(1)
        link.send(('SIP/2.0 302 Moved Temporarily\r\n' + ''.join(keep) + f'To: {to};tag=moved\r\n'
                   f'Contact: <{uri}>\r\nContent-Length: 0\r\n\r\n').encode(), source)


def main(kind, *args):
    options = {}
    while args[0].startswith('--'):
        options[args[0]], args = args[1], args[2:]
    link = Link(int(options['--bad']) if '--bad' in options else None)
    descriptions = Descriptions(int(options.get('--lose', 0)), options.get('--without'))
    print('listening', link.sock.getsockname()[1], flush=True)
    if kind == 'redirect':
        redirect(link, args[0])
    fork(link, [(a.rsplit(':', 1)[0], int(a.rsplit(':', 1)[1])) for a in args], descriptions)


main(*sys.argv[1:])
