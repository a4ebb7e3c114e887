#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A mailbox that is none, or means ill: odd_mailbox.py OBJECT, whose first line says where it is:
the port of SIP (TCP) and that of HTTP. The last line of the file `answer` in the working directory
is what each INVITE is answered with: "STATUS REASON|CONTACT|CONTACT...", where WEB stands for its
own http://HOST:PORT. Every request that comes is printed.

HTTP: /object and /again give the file, /garbage no object, /long more than any message may have, /elsewhere
redirects to /object; who puts to /silence waits for ever; whatever is put or deleted is refused with 500, but at /taken and /again.
"""

import http.server
import random
import re
import socketserver
import sys
import threading
from pathlib import Path

OBJECT = Path(sys.argv[1]).resolve()


def say(text):
    print(text, flush=True)


class Web(http.server.BaseHTTPRequestHandler):
    def reply(self, status, body=b'', **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        say(f'GET {self.path}')
        if self.path == '/elsewhere':
            self.reply(302, Location='/object')
        elif self.path in ('/object', '/again'):
            self.reply(200, OBJECT.read_bytes())
        elif self.path == '/garbage':
            self.reply(200, random.randbytes(4000))
        elif self.path == '/long':
            self.send_response(200)
            self.end_headers()
            for _ in range(65):
                self.wfile.write(bytes(1 << 20))
        else:
            self.reply(404)

    def refuse(self):
        say(f'{self.command} {self.path}')
        if self.path == '/silence':
            threading.Event().wait()
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        self.reply(201 if self.path in ('/taken', '/again') else 500)

    do_PUT = do_DELETE = refuse

    def log_message(self, *_):
        pass


class Sip(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            lines = []
            while (line := self.rfile.readline().decode().rstrip('\r\n')):
                lines.append(line)
            if not lines:
                return
            head = '\n'.join(lines)
            n = re.search(r'^Content-Length: *(\d+)', head, re.M | re.I)
            self.rfile.read(int(n.group(1)) if n else 0)
            method = lines[0].split(' ')[0]
            say(method)
            if method != 'ACK':
                self.answer(head, method)

    def answer(self, head, method):
        status, *contacts = (Path('answer').read_text().strip().split('|') if method == 'INVITE' else ['200 OK'])
        copied = [line for line in head.split('\n') if re.match(r'(Via|From|To|Call-ID|CSeq):', line, re.I)]
        copied = [line + ';tag=odd' if line.lower().startswith('to:') and 'tag=' not in line else line
                  for line in copied]
        url = f'http://127.0.0.1:{web.server_address[1]}'
        out = [f'SIP/2.0 {status}', *copied]
        out += [c if ': ' in c else f'Contact: {c}' for c in (c.replace('WEB', url) for c in contacts)]
        self.wfile.write(('\r\n'.join([*out, 'Content-Length: 0', '', ''])).encode())


class Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True


web = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Web)
sip = Threads(('127.0.0.1', 0), Sip)
threading.Thread(target=web.serve_forever, daemon=True).start()
say(f'{sip.server_address[1]} {web.server_address[1]}')
sip.serve_forever()
