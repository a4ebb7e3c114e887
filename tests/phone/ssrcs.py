#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The SSRCs that the answers of a capture choose for a crypto session.

Usage: ssrcs.py FILE CS_ID N MIKEY_TICKET: there are exactly N different ones."""

import json
import subprocess
import sys

import messages


def ssrc(message, cs_id, program):
    out = subprocess.run([program, 'decode', '--json', '-'], input=message, check=True, capture_output=True).stdout
    sessions = json.loads(out)['messages'][0]['message']['hdr']['map']
    return next(s['ssrc'] for s in sessions if s['cs_id'] == cs_id)


def main(path, cs_id, n, program):
    found = {ssrc(m, int(cs_id), program) for m in messages.messages(path, 'TRANSFER_RESP')}
    print(f'{len(found)} SSRCs')
    return 0 if len(found) == int(n) else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
