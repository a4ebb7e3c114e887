#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A phone of somebody by hand, over UDP and TCP: it takes what it is told to, whatever is right.

Usage: sip_phone.py [OPTION...] MIKEY-TICKET ARGS...: when an INVITE comes it rings, writes the offer
to --offer FILE, runs the program with these arguments, which writes key-mgmt lines to
--keys FILE, and sends its answer in a 183, and with --answer MS in a 200 so much later.
--register PORT: with the registrar there. --user NAME: whose phone it is (bob).
--edit PATTERN=>TEXT: changes each answer, line by line; \\n in TEXT is a new line.
--deaf: a CANCEL changes nothing: it was too late.
--late: answers so much later than the BYE or CANCEL.
--then FILE: after the ACK, an INVITE of our own with that description; its answer is printed.
Prints "listening: TRANSPORT ADDR:PORT", "registered: yes", the methods that come in, the codes of answers.
"""

import argparse
import re
import secrets
import selectors
import socket
import subprocess
import sys
import threading
import time


def say(key, text):
    print(f'{key}: {text}', flush=True)


def header(text, name):
    found = re.search(rf'^{name}: *(.*?)\r$', text, re.M | re.I)
    return found.group(1) if found else ''


class Phone:
    def __init__(self, o):
        self.o = o
        self.tcp = socket.create_server(('127.0.0.1', 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(('127.0.0.1', self.port))
        self.tag = secrets.token_hex(8)
        self.seen = set()
        self.answer = None
        self.send_200 = None
        self.confirmed = False
        self.lock = threading.Lock()
        say('listening', f'udp 127.0.0.1:{self.port}')
        say('listening', f'tcp 127.0.0.1:{self.port}')

    # --- messages ---------------------------------------------------------------------------------

    def contact(self, transport):
        return f'Contact: <sip:{self.o.user}@127.0.0.1:{self.port};transport={transport}>\r\n'

    def reply(self, request, send, status, body=''):
        keep = re.findall(r'^(?:Via|Record-Route|From|Call-ID|CSeq): .*\r\n', request, re.M | re.I)
        to = header(request, 'To')
        if ';tag=' not in to and not status.startswith('100'):
            to += f';tag={self.tag}'
        more = self.contact('tcp' if send.__name__ == 'on_tcp' else 'udp')
        if body:
            more += 'Content-Type: application/sdp\r\n'
        send(f'SIP/2.0 {status}\r\n{"".join(keep)}To: {to}\r\n{more}'
             f'Content-Length: {len(body)}\r\n\r\n{body}')

    def register(self, port):
        me = f'sip:{self.o.user}@example.com'
        self.udp.sendto((f'REGISTER sip:example.com SIP/2.0\r\n'
                         f'Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{secrets.token_hex(8)}\r\n'
                         f'Max-Forwards: 70\r\nFrom: <{me}>;tag={self.tag}\r\nTo: <{me}>\r\n'
                         f'Call-ID: {secrets.token_hex(8)}\r\nCSeq: 1 REGISTER\r\n{self.contact("tcp")}'
                         f'Expires: 600\r\nContent-Length: 0\r\n\r\n').encode(), ('127.0.0.1', port))

    # --- a call -----------------------------------------------------------------------------------

    def make_answer(self, body):
        with open(self.o.offer, 'w', encoding='ascii', newline='') as file:
            file.write(body)
        keys = ''
        if self.o.program:
            subprocess.run(self.o.program, check=False, stdout=subprocess.DEVNULL, timeout=20)
            with open(self.o.keys, encoding='ascii') as file:
                keys = file.read().strip() + '\n'
        text = ('v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n' + keys +
                f'm=audio {self.port} RTP/SAVP 0\n')
        for edit in self.o.edit:
            pattern, new = edit.split('=>', 1)
            text = re.sub(pattern, new.replace('\\n', '\n'), text, flags=re.M)
        return text.replace('\n', '\r\n')

    def pick_up(self, request, send):
        self.send_200 = lambda: self.reply(request, send, '200 OK', self.answer)
        for _ in range(20):
            self.send_200()
            for _ in range(50):
                time.sleep(0.01)
                if self.confirmed:
                    return

    def invite(self, request, body, send):
        self.reply(request, send, '180 Ringing')
        self.answer = self.make_answer(body)
        self.request, self.send = request, send
        self.reply(request, send, '183 Session Progress', self.answer)
        if self.o.answer is not None and not self.o.late:
            threading.Timer(self.o.answer / 1000, self.pick_up, (request, send)).start()

    def ended(self):
        if self.o.late:
            threading.Timer(self.o.answer / 1000, self.pick_up, (self.request, self.send)).start()

    def call_back(self, ack, send):
        """A later offer of ours."""
        with open(self.o.then, encoding='ascii', newline='') as file:
            body = file.read()
        target = re.search(r'<(.*?)>', header(self.request, 'Contact')).group(1)
        send(f'INVITE {target} SIP/2.0\r\n'
             f'Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{secrets.token_hex(8)}\r\n'
             f'Max-Forwards: 70\r\nFrom: {header(ack, "To")}\r\nTo: {header(ack, "From")}\r\n'
             f'Call-ID: {header(ack, "Call-ID")}\r\nCSeq: 7 INVITE\r\n{self.contact("udp")}'
             f'Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}')

    def acked(self, ack, send):
        first, self.confirmed = not self.confirmed, True
        if first and self.o.then:
            self.call_back(ack, send)

    def response(self, text, send):
        say('answer', text.split(' ', 2)[1])
        for line in re.findall(r'^(?:Warning: |a=|m=).*', text, re.M):
            say('  with', line.strip()[:80])
        if header(text, 'CSeq').endswith('REGISTER'):
            say('registered', 'yes')
        elif header(text, 'CSeq').endswith('INVITE') and text[8:9] >= '2':
            target = re.search(r'<(.*?)>', header(text, 'Contact') or header(text, 'To')).group(1)
            send(f'ACK {target} SIP/2.0\r\n'
                 f'Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{secrets.token_hex(8)}\r\n'
                 f'Max-Forwards: 70\r\nFrom: {header(text, "From")}\r\nTo: {header(text, "To")}\r\n'
                 f'Call-ID: {header(text, "Call-ID")}\r\nCSeq: 7 ACK\r\nContent-Length: 0\r\n\r\n')

    def request_came(self, text, body, send):
        method = text.split(' ', 1)[0]
        again = (method, header(text, 'CSeq'), header(text, 'Via')) in self.seen
        self.seen.add((method, header(text, 'CSeq'), header(text, 'Via')))
        if again and method != 'BYE':
            return
        way = f' by way of {len(re.findall("^Via:", text, re.M)) - 1} proxy' if method == 'INVITE' else ''
        say('got', method + way)
        if method == 'INVITE' and ';tag=' not in header(text, 'To'):
            self.invite(text, body, send)
        elif method == 'ACK':
            self.acked(text, send)
        elif method == 'CANCEL' and not self.o.deaf:
            self.reply(text, send, '200 OK')
            self.reply(self.request, self.send, '487 Request Terminated')
            self.ended()
        else:
            self.reply(text, send, '200 OK')
            if method == 'BYE':
                self.ended()

    # --- sockets ----------------------------------------------------------------------------------

    def came(self, text, send):
        head, _, body = text.partition('\r\n\r\n')
        with self.lock:
            if head.startswith('SIP/2.0'):
                self.response(head + '\r\n' + body, send)
            else:
                self.request_came(head + '\r\n', body, send)

    def connection(self, sock):
        octets = b''

        def on_tcp(text):
            sock.sendall(text.encode())

        while True:
            while (end := octets.find(b'\r\n\r\n')) >= 0:
                n = end + 4 + int(header(octets[:end + 2].decode(), 'Content-Length') or 0)
                if len(octets) < n:
                    break
                self.came(octets[:n].decode(), on_tcp)
                octets = octets[n:]
            more = sock.recv(65536)
            if not more:
                return
            octets = (octets + more).lstrip(b'\r\n')

    def datagram(self):
        octets, source = self.udp.recvfrom(65535)

        def on_udp(text):
            self.udp.sendto(text.encode(), source)

        if octets[:1].isalpha():  # no media
            self.came(octets.decode(), on_udp)

    def run(self):
        pick = selectors.DefaultSelector()
        pick.register(self.tcp, selectors.EVENT_READ)
        pick.register(self.udp, selectors.EVENT_READ)
        while True:
            for key, _ in pick.select():
                if key.fileobj is self.udp:
                    self.datagram()
                else:
                    threading.Thread(target=self.connection, args=(self.tcp.accept()[0],), daemon=True).start()


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--offer', default='offer.got')
    p.add_argument('--keys', default='keys.made')
    p.add_argument('--answer', type=int)
    p.add_argument('--register', type=int)
    p.add_argument('--user', default='bob')
    p.add_argument('--edit', action='append', default=[])
    p.add_argument('--deaf', action='store_true')
    p.add_argument('--late', action='store_true')
    p.add_argument('--then')
    p.add_argument('program', nargs=argparse.REMAINDER)
    phone = Phone(p.parse_args())
    if phone.o.register:
        phone.register(phone.o.register)
    phone.run()


if __name__ == '__main__':
    sys.exit(main())
