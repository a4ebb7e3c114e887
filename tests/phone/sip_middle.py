#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Something between two phones that is no good proxy, over UDP.

Usage: sip_middle.py fork [OPTIONS] TARGET...: sends an INVITE to every ADDR:PORT and each answer
back, and never cancels. --bad SEED: a fifth of the messages is lost and some come late; --reverse: what
comes within a quarter of a second goes on in the reverse order; each that was lost and each that came
after a later one is told on standard error. --lose N: the media of the caller comes this way, too, and
each Nth packet of RTP is lost. --without PATTERN: lines that match are taken out of every description.
sip_middle.py redirect URI: answers every INVITE with 302 and that Contact.
Prints "listening PORT"."""

import argparse
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
            body = re.sub(rf'(?m)^{self.without}\r\n', '', body)
        if self.every and answer:
            body = re.sub(r'(?m)^(m=audio) (\d+)', lambda m: f'{m[1]} {self.relay(int(m[2]))}', body)
        return body


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
    flags = argparse.ArgumentParser()
    flags.add_argument('--bad', type=int)
    flags.add_argument('--reverse', action='store_true')
    flags.add_argument('--lose', type=int, default=0)
    flags.add_argument('--without')
    flags.add_argument('targets', nargs='+')
    args = flags.parse_args(args)
    link = Link(args.bad, args.reverse)
    print('listening', link.sock.getsockname()[1], flush=True)
    if kind == 'redirect':
        redirect(link, args.targets[0])
    fork(link, [(a.rsplit(':', 1)[0], int(a.rsplit(':', 1)[1])) for a in args.targets],
         Descriptions(args.lose, args.without))


main(*sys.argv[1:])
