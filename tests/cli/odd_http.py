#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP server with the oddities a client meets: busy, chatty, wrong, and a proxy that re-encodes.

Usage: odd_http.py KMS_URL DIR. Prints its own port. The first path segment selects the oddity;
each body received is kept in DIR/N.body. Ends after a minute, or when it is killed.
"""

import base64
import http.server
import signal
import sys
import urllib.request
from pathlib import Path

KMS, KEEP = sys.argv[1], Path(sys.argv[2])
MIKEY = 'application/mikey'


def forward(path, body):
    """The real answer, in base64 and with a status that does not fit."""
    request = urllib.request.Request(KMS + path, body, {'Content-Type': MIKEY})
    with urllib.request.urlopen(request) as answer:
        return 500, MIKEY + '; version=1', base64.b64encode(answer.read())


# First path segment -> (status, type, body), or a function of the rest of the path and the body.
ODD = {
    'busy': (503, 'text/plain', b'later'),
    'html': (200, 'text/html', b'<p>hello'),
    'empty': (200, MIKEY, b''),
    'garbage': (200, MIKEY, b'hello!'),
    'huge': (200, MIKEY, b'\x01' * 200000),
    'reencode': forward,
}


class Handler(http.server.BaseHTTPRequestHandler):
    received = 0

    def do_POST(self):  # noqa: N802 (the name is http.server's)
        body = self.rfile.read(int(self.headers['Content-Length']))
        Handler.received += 1
        (KEEP / f'{Handler.received}.body').write_bytes(body)
        _, oddity, rest = self.path.split('/', 2)
        answer = ODD[oddity]
        status, kind, content = answer('/' + rest, body) if callable(answer) else answer
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


signal.alarm(60)
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
