#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Something between two phones that is no good proxy, over UDP.

Usage: sip_middle.py fork [--bad SEED | --reverse] TARGET...: sends an INVITE to every ADDR:PORT and each answer
back, and never cancels; with --bad a fifth of the messages is lost and some come late, with
--reverse what comes within a quarter of a second goes on in the reverse order. Each that was lost and
each that came after a later one is told on standard error.
sip_middle.py strip TARGET: likewise, but takes every line of key-mgmt out of what it hands on.
sip_middle.py redirect URI: answers every INVITE with 302 and that Contact.
Prints "listening PORT"."""

import random
import re
import secrets
import select
import socket
import sys
import time

BRANCH = 'z9hG4bKmid'
HOLD_S = 0.25


class Link:
    """A socket that loses and delays, as its seed has it."""

    def __init__(self, seed, reverse):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(('127.0.0.1', 0))
        self.random = random.Random(seed) if seed is not None else None
        self.reverse = reverse
        self.later = []
        self.count = 0
        self.newest = {}  # by where it went

    def send(self, octets, to):
        if self.reverse:
            self.count += 1
            until = self.later[0][0] if self.later else time.monotonic() + HOLD_S
            self.later.append((until, self.count, octets, to))
        elif self.random is None:
            self.sock.sendto(octets, to)
        elif self.random.random() > 0.2:
            delay = self.random.choice([0, 0, 0.05, 0.15])
            self.count += 1
            self.later.append((time.monotonic() + delay, self.count, octets, to))
        else:
            print('lost', octets.split(b'\r\n')[0].decode(), file=sys.stderr, flush=True)

    def deliver(self, count, octets, to):
        if count < self.newest.get(to, 0):
            print('overtaken', octets.split(b'\r\n')[0].decode(), file=sys.stderr, flush=True)
        self.newest[to] = max(count, self.newest.get(to, 0))
        self.sock.sendto(octets, to)

    def receive(self):
        while True:
            due = [i for i in self.later if i[0] <= time.monotonic()]
            for item in reversed(due) if self.reverse else due:
                self.later.remove(item)
                self.deliver(*item[1:])
            if select.select([self.sock], [], [], 0.01)[0]:
                return self.sock.recvfrom(65535)


def top_via(text):
    return re.search(r'^Via: *(.*?)\r\n', text, re.M | re.I).group(1)


def stripped(text):
    head, _, body = text.partition('\r\n\r\n')
    body = re.sub(r'^a=key-mgmt:.*\r\n', '', body, flags=re.M)
    head = re.sub(r'^Content-Length: *[0-9]+', f'Content-Length: {len(body)}', head, flags=re.M | re.I)
    return head + '\r\n\r\n' + body


def fork(link, targets, change=str):
    callers = {}  # who has sent what with that Via
    branches = {}  # of an INVITE: one for each target
    while True:
        octets, source = link.receive()
        text = octets.decode(errors='replace')
        if text.startswith('SIP/2.0'):
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
            added = change(text).replace('\r\n', f'\r\nVia: SIP/2.0/UDP {me};branch={branch}\r\n', 1)
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
    seed, reverse = None, args[0] == '--reverse'
    if reverse:
        args = args[1:]
    if args[0] == '--bad':
        seed, args = int(args[1]), args[2:]
    link = Link(seed, reverse)
    print('listening', link.sock.getsockname()[1], flush=True)
    if kind == 'redirect':
        redirect(link, args[0])
    fork(link, [(a.rsplit(':', 1)[0], int(a.rsplit(':', 1)[1])) for a in args],
         stripped if kind == 'strip' else str)


main(*sys.argv[1:])
