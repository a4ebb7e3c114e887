#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/openapi.yaml of the daemon's table of endpoints, which a small program of the build
prints, and of the schemas of answers below. Usage: openapi.py TABLE (prints it), or openapi.py --check
TABLE FILE: TAP, whether FILE is what would be made, and whether answers name schemas that there are."""

import json
import re
import subprocess
import sys

TEXT, NUMBER, TRUTH, TIME = 'string', 'integer', 'boolean', 'time'

EXPORT = {'number': NUMBER, 'tpk-id': TEXT, 'state': TEXT, 'asked-by': TEXT, 'approved-by?': TEXT,
          'seconds': NUMBER}

# Answers: name -> {member: type}. A list is [{member: type}]; a member with "?" may be missing or null.
SCHEMAS = {
    'Nothing': {},
    'Changed': {'changed': TRUTH},
    'Generation': {'changed': TRUTH, 'generation': NUMBER},
    'Removed': {'changed': TRUTH, 'credentials': NUMBER, 'tpks': NUMBER, 'reference-tickets': NUMBER, 'user': TRUTH},
    'Status': {'version': TEXT, 'identity': TEXT, 'ready': TEXT, 'health': TEXT, 'store': TEXT, 'pid': NUMBER,
               'uptime_s': NUMBER, 'credentials': NUMBER, 'ticket_keys': NUMBER, 'answered': NUMBER,
               'repeated': NUMBER, 'refused': NUMBER, 'malformed': NUMBER, 'limited': NUMBER, 'denied': NUMBER,
               'busy': NUMBER, 'replay_messages': NUMBER, 'replay_capacity': NUMBER,
               'slow_requests_waiting': NUMBER, 'log_lines_lost': NUMBER, 'tls_not_after_s': NUMBER,
               'peers': NUMBER, 'peers_down': NUMBER},
    'Options': {'options': [{'option': TEXT, 'result': TEXT}]},
    'Peers': {'peers': [{'peer': TEXT, 'domains': TEXT, 'state': TEXT, 'waiting': NUMBER, 'answered': NUMBER,
                         'refused': NUMBER, 'failed': NUMBER, 'served': NUMBER, 'denied': NUMBER,
                         'failed_s': NUMBER, 'error': TEXT}]},
    'Limits': {'limits': [{'kind': TEXT, 'name': TEXT, 'state': TEXT, 'refused': NUMBER, 'seconds': NUMBER}]},
    'Users': {'users': [{'identity': TEXT, 'psk-id?': TEXT, 'suite?': NUMBER, 'added?': TIME, 'state?': TEXT,
                         'realm?': TEXT, 'expires?': TIME, 'alias-of?': TEXT}], 'next?': TEXT},
    'User': {'identity': TEXT, 'state': TEXT, 'expires?': TIME, 'realm': TEXT, 'aliases': [TEXT],
             'credentials': [{'psk-id': TEXT, 'suite': NUMBER, 'added?': TIME}],
             'tpks': [{'id': TEXT, 'suite': NUMBER, 'created?': TIME}], 'groups': [TEXT]},
    'Imported': {'entries': NUMBER, 'passed-over': NUMBER, 'users': NUMBER, 'credentials': NUMBER,
                 'aliases': NUMBER, 'groups': NUMBER, 'members': NUMBER, 'users-changed': NUMBER},
    'Groups': {'groups': [{'group': TEXT, 'realm': TEXT, 'added?': TIME}], 'next?': TEXT},
    'Members': {'members': [{'member': TEXT, 'kind': TEXT}], 'next?': TEXT},
    'Realms': {'realms': [{'realm': TEXT, 'added?': TIME}]},
    'Tpks': {'tpks': [{'id': TEXT, 'suite': NUMBER, 'state': TEXT, 'created?': TIME, 'starts?': TIME,
                       'until?': TIME, 'realm?': TEXT, 'owner?': TEXT}],
             'next?': TEXT},
    'Kept': {'tickets': [{'reference': TEXT, 'issued?': TIME, 'until?': TIME, 'initiator': TEXT,
                          'responders': TEXT}], 'next?': TEXT},
    'Exports': {'exports': [EXPORT]},
    'Export': EXPORT,
    'Taken': EXPORT | {'owner?': TEXT, 'sealed': TEXT},
    'Issued': {'tpk-id': TEXT, 'message': TEXT},
    'Policy': {'policy': TEXT, 'files': TEXT, 'why?': TEXT},
    'Decision': {'file': TEXT, 'realm?': TEXT, 'policy': TEXT, 'stranger?': TEXT, 'unknown-realms': [TEXT], 'granted': TRUTH,
                 'rule?': TEXT, 'why?': TEXT, 'error?': NUMBER, 'error-text?': TEXT, 'flags?': TEXT,
                 'changed?': TRUTH, 'validity?': TEXT, 'rekey?': TEXT, 'steps': [{}]},
    'Tickets': {'tickets': [{}], 'next': TEXT, 'more': TRUTH},
    'Records': {'records': [{}], 'next': TEXT, 'more': TRUTH},
    'Problem': {'type': TEXT, 'title': TEXT, 'status': NUMBER, 'detail': TEXT, 'where?': TEXT},
}

HEAD = '''# Made by tools/openapi.py of the table of endpoints in kms/api_table.c. Do not edit.
openapi: 3.1.0
info:
  title: mikey-kmsd
  version: 1.0.0
  summary: Administration of a MIKEY-TICKET Key Management Service
  description: >-
    Served on the control socket, where the kernel tells who asks, and over TLS (api.listen), where a bearer
    token or a client certificate does. Roles are read, operate and security-officer; each includes those
    before it, and each operation says which it needs (x-role). Every change, and every attempt that was not
    permitted, is one record of the audit (x-action). No answer holds a key.
  license:
    name: Apache-2.0
    identifier: Apache-2.0
servers:
  - url: https://kms.example.com:8443
security:
  - token: []
  - certificate: []
'''


def quoted(text):
    return json.dumps(text)


def schema(kind, depth):
    """Lines of a schema."""
    pad = '  ' * depth
    if isinstance(kind, list):
        return [f'{pad}type: array', f'{pad}items:'] + schema(kind[0], depth + 1)
    if isinstance(kind, dict):
        lines = [f'{pad}type: object']
        needed = [name for name in kind if not name.endswith('?')]
        if needed:
            lines.append(f'{pad}required: [{", ".join(needed)}]')
        if kind:
            lines.append(f'{pad}properties:')
        for name, member in kind.items():
            lines.append(f'{pad}  {name.rstrip("?")}:')
            below = schema(member, depth + 2)
            if name.endswith('?'):
                below[0] = re.sub(r'type: (\w+)', r'type: [\1, "null"]', below[0])
            lines += below
        return lines
    if kind == TIME:
        return [f'{pad}type: string', f'{pad}format: date-time']
    return [f'{pad}type: {kind}']


def field_schema(field, depth):
    pad = '  ' * depth
    kind = field['type']
    if kind == 'number':
        return [f'{pad}type: integer', f'{pad}minimum: 1', f'{pad}maximum: {field["max"]}']
    if kind == 'truth':
        return [f'{pad}type: boolean']
    if kind == 'texts':
        return [f'{pad}type: array', f'{pad}maxItems: 64', f'{pad}items:', f'{pad}  type: string',
                f'{pad}  maxLength: {field["max"]}']
    lines = [f'{pad}type: string', f'{pad}minLength: 1', f'{pad}maxLength: {field["max"]}']
    return lines + ([f'{pad}writeOnly: true'] if kind == 'secret' else [])


def in_query(row):
    return row['octets'] > 0 or row['method'] in ('GET', 'DELETE')


def parameters(row):
    lines = []
    for name in re.findall(r'\{([a-z-]+)\}', row['path']):
        lines += [f'        - name: {name}', '          in: path', '          required: true', '          schema:',
                  '            type: string']
    for field in row['fields'] if in_query(row) else []:
        lines += [f'        - name: {field["name"]}', '          in: query',
                  f'          required: {json.dumps(field["required"])}', '          schema:']
        lines += field_schema(field, 6)
    return ['      parameters:'] + lines if lines else []


def body(row):
    if row['octets']:
        return ['      requestBody:', '        required: true', '        content:',
                '          application/octet-stream:', '            schema:', '              type: string',
                '              contentMediaType: text/plain', f'              maxLength: {row["octets"]}']
    if in_query(row) or not row['fields']:
        return []
    needed = [f['name'] for f in row['fields'] if f['required']]
    lines = ['      requestBody:', f'        required: {json.dumps(bool(needed))}', '        content:',
             '          application/json:', '            schema:', '              type: object',
             '              additionalProperties: false']
    if needed:
        lines.append(f'              required: [{", ".join(needed)}]')
    lines.append('              properties:')
    for field in row['fields']:
        lines += [f'                {field["name"]}:'] + field_schema(field, 9)
    return lines


def operation(row):
    words = [w for w in re.split(r'[/{}]', row['path'][4:]) if w]
    lines = [f'    {row["method"].lower()}:', f'      operationId: {"-".join([row["method"].lower()] + words)}',
             f'      summary: {quoted(row["says"])}', f'      x-role: {row["role"]}']
    if row['action']:
        lines.append(f'      x-action: {row["action"]}')
    lines += parameters(row) + body(row)
    lines += ['      responses:', '        "200":', '          description: Done', '          content:',
              '            application/json:', '              schema:',
              f'                $ref: "#/components/schemas/{row["gives"]}"', '        default:',
              '          $ref: "#/components/responses/Problem"']
    return lines


def make(rows):
    lines = ['paths:']
    for path in dict.fromkeys(row['path'] for row in rows):
        lines.append(f'  {path}:')
        for row in rows:
            if row['path'] == path:
                lines += operation(row)
    lines += ['components:', '  securitySchemes:', '    token:', '      type: http', '      scheme: bearer',
              '    certificate:', '      type: mutualTLS', '  responses:', '    Problem:',
              '      description: Refused or failed (RFC 9457)', '      content:', '        application/problem+json:',
              '          schema:', '            $ref: "#/components/schemas/Problem"', '  schemas:']
    for name, kind in SCHEMAS.items():
        lines += [f'    {name}:'] + schema(kind, 3)
    return HEAD + '\n'.join(lines) + '\n'


def check(rows, path):
    with open(path, encoding='utf-8') as file:
        fresh = file.read() == make(rows)
    known = all(row['gives'] in SCHEMAS for row in rows)
    used = {row['gives'] for row in rows} | {'Problem'}
    names = [(row['method'], row['path']) for row in rows]
    results = [('the description is made of the table', fresh), ('every answer has a schema', known),
               ('every schema is used', used == set(SCHEMAS)),
               ('no endpoint stands twice', len(set(names)) == len(names)),
               ('every endpoint says what it does', all(row['says'].endswith('.') for row in rows))]
    print(f'1..{len(results)}')
    for n, (what, good) in enumerate(results, 1):
        print(f'{"ok" if good else "not ok"} {n} - {what}')
    return 0 if all(good for _, good in results) else 1


def main():
    args = sys.argv[1:]
    checking = args[:1] == ['--check']
    done = subprocess.run([args[1 if checking else 0]], check=True, capture_output=True, text=True)
    rows = json.loads(done.stdout)
    if checking:
        return check(rows, args[2])
    print(make(rows), end='')
    return 0


if __name__ == '__main__':
    sys.exit(main())
