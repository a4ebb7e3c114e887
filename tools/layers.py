#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that #include directives only point down the layers of docs/ARCHITECTURE.md.

The layers are one table: what each directory may include, of the library's own headers and of
others. A directory that is not in the table may not hold C files. The public headers of the roles
hold types that exchanges share, so there the symbols are checked as well: no object of a layer may
need a function that a higher one defines. Usage: layers.py [ROOT]; layers.py --objects DIR, with
the object files of the library; layers.py --self-test.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Layers of the library, lowest first: directory -> layers whose headers it may include besides
# its own. Arrows only go down.
SRC = {
    'base': set(),
    'backend': {'base'},
    'payload': {'base'},
    'keys': {'base', 'backend', 'payload'},
    'message': {'base', 'payload'},
    'ticket': {'base', 'backend', 'keys', 'payload', 'message'},
    'exchange': {'base', 'backend', 'keys', 'payload', 'message', 'ticket'},
    'role': {'base', 'backend', 'keys', 'payload', 'message', 'ticket', 'exchange'},
}

# The layer that each public header belongs to.
PUBLIC = {
    'base.h': 'base', 'err.h': 'base', 'env.h': 'base', 'secret.h': 'base', 'alg.h': 'base',
    'key.h': 'base',  # types and handles only; deriving is in src/keys
    'pk.h': 'base',   # likewise, in src/backend
    'payload.h': 'payload',
    'message.h': 'message',
    'policy.h': 'ticket', 'ticket.h': 'ticket', 'io.h': 'ticket',
    # Their types; their functions are the roles', which --objects checks.
    'csb.h': 'exchange', 'initiator.h': 'exchange', 'responder.h': 'exchange', 'kms.h': 'exchange',
}

# What is built on the library: directory -> (sees internal headers of src/, headers of other
# projects it may include). Everything else outside the C library and POSIX is refused.
CRYPTO = ('openssl/',)
OUTSIDE = {
    'src': (True, ()),
    'src/base': (True, ('valgrind/',)),
    'src/backend': (True, CRYPTO),
    'include': (False, ()),
    'include/mikeyticket/media': (False, ('srtp2/',)),
    'common': (False, ()),
    'media': (False, ('srtp2/',)),
    'kms': (False, ('curl/', 'gnutls/', 'jansson.h', 'microhttpd.h', 'p11-kit/', 'seccomp.h',
                    'sqlite3.h', 'yaml.h')),
    'kms/crypto': (False, CRYPTO),  # keys at rest
    'cli': (False, ('curl/', 'yaml.h', 'srtp2/')),
    'cli/crypto': (False, CRYPTO),  # sealed objects
    'demo': (False, ('srtp2/',)),
    'audio': (False, ('alsa/', 'opus/', 'rem_g711.h')),
    'phone': (False, ('re.h', 're_dbg.h', 'srtp2/')),
    'phone/tls.c': (False, ('re.h', *CRYPTO)),  # whom libre's TLS may talk to
    'voicemail': (False, ('re.h', 're_dbg.h', 'microhttpd.h')),
    'tests/phone': (True, ('cmocka.h', 're.h', 'sofia-sip/', 'srtp2/')),
    'tests': (True, ('cmocka.h', 'jansson.h', 'srtp2/', 'sqlite3.h', 'curl/', 'microhttpd.h',
                     'valgrind/', 'gst/', *CRYPTO)),
    'fuzz': (True, ()),
    'bench': (True, ('microhttpd.h', *CRYPTO)),  # the floors it compares with
}
TEST_ONLY = ('tests', 'fuzz', 'bench')
PROGRAMS = ('common', 'kms', 'cli', 'media', 'demo', 'audio', 'phone')  # whose headers tests and benchmarks may use
# Programs that are made of parts of others: directory -> whose headers it may include.
PARTS = {'media': ('common',), 'kms': ('common',), 'cli': ('common',), 'demo': ('audio',),
         'phone': ('audio', 'cli')}
# These are named so that a header of another project is told from one of the system.
FOREIGN = re.compile(
    r'^(openssl|srtp2|curl|valgrind|gst|gnutls|p11-kit|opus|alsa|sofia-sip)/|'
    r'^(microhttpd|seccomp|sqlite3|yaml|cmocka|jansson|rem?|rem?_\w+)\.h$')

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def src_layer(path):
    """The layer of src/LAYER/...; None outside src/."""
    return path.parts[1] if path.parts[0] == 'src' and len(path.parts) > 2 else None


def outside_rule(path):
    """The row of OUTSIDE for a file: the longest directory that holds it."""
    best = max((d for d in OUTSIDE if path.is_relative_to(d)), key=len, default=None)
    return OUTSIDE.get(best)


def check_public(path, name):
    """path includes <mikeyticket/name>."""
    layer = src_layer(path)
    if path.is_relative_to('include/mikeyticket') and not name.startswith('media/'):
        layer = PUBLIC.get(path.name)
    if layer is None:
        return None
    target = PUBLIC.get(name)
    if target is None:
        return f'<mikeyticket/{name}> is in no layer of the library'
    if target != layer and target not in SRC.get(layer, set()):
        return f'{layer} may not include <mikeyticket/{name}>, which is {target}'
    return None


def check_quoted(path, name, root):
    """path includes "name": beside or below it, LAYER/file of src, or a helper of the tests."""
    beside = root / path.parent / name
    if beside.exists() and '..' not in name:
        return None
    top = name.split('/')[0]
    if top not in SRC or not (root / 'src' / name).exists():
        if '..' in name and beside.exists() and path.parts[0] in TEST_ONLY:
            if beside.resolve().relative_to(root.resolve()).parts[0] in (*TEST_ONLY, *PROGRAMS):
                return None
        parts = PROGRAMS if path.parts[0] in TEST_ONLY else PARTS.get(path.parts[0], ())
        if ('..' not in name or path.parts[0] in TEST_ONLY) and any((root / p / name).exists() for p in parts):
            return None
        return f'"{name}" is in no layer'
    layer = src_layer(path)
    if layer is None:
        rule = outside_rule(path)
        return None if rule and rule[0] else f'{path.parts[0]}/ may not include internal "{name}"'
    if top != layer and top not in SRC.get(layer, set()):
        return f'{layer} may not include {top} ("{name}")'
    return None


def check_file(path, text, root):
    rule = outside_rule(path)
    if rule is None:
        return [f'{path}: directory is in no layer (tools/layers.py)']
    layer = src_layer(path)
    found = []
    if path.parts[0] == 'src' and layer not in SRC:
        found.append(f'{path}: src/{layer or ""} is in no layer (tools/layers.py)')
    for m in INCLUDE.finditer(text):
        kind, name = m.groups()
        why = None
        if name.startswith('mikeyticket/'):
            why = check_public(path, name.removeprefix('mikeyticket/'))
        elif kind == '"':
            why = check_quoted(path, name, root)
        elif FOREIGN.search(name) and not any(name.startswith(a) for a in rule[1]):
            why = f'{path.parent} may not include <{name}>'
        if why:
            line = text.count('\n', 0, m.start()) + 1
            found.append(f'{path}:{line}: {why}')
    return found


def check_tree(root):
    found, files = [], 0
    for top in sorted({d.split('/')[0] for d in OUTSIDE} | {'tools'}):
        for path in sorted((root / top).rglob('*.[ch]')):
            files += 1
            found += check_file(path.relative_to(root), path.read_text(encoding='utf-8'), root)
    return found, files


def layer_of_object(path):
    """base_err.c.o -> base"""
    return path.name.split('_')[0]


def check_objects(objects):
    """objects: (layer, name, defined symbols, needed symbols)."""
    home = {s: layer for layer, _, defined, _ in objects for s in defined}
    found = []
    for layer, name, _, needed in objects:
        for s in sorted(needed & home.keys()):
            if home[s] != layer and home[s] not in SRC.get(layer, set()):
                found.append(f'{name}: {layer} may not call {s}, which is in {home[s]}')
    return found


def read_objects(folder):
    objects = []
    for path in sorted(folder.glob('*.o')):
        lines = subprocess.run(['nm', str(path)], check=True, capture_output=True,
                               text=True).stdout.splitlines()
        symbols = [line.split()[-2:] for line in lines]
        objects.append((layer_of_object(path), path.name, {n for k, n in symbols if k in 'TDBRVW'},
                        {n for k, n in symbols if k == 'U'}))
    return objects


OBJECTS_TEST = [
    ('allows a role to call an exchange', [('role', 'a.o', {'r'}, {'x'}),
                                           ('exchange', 'b.o', {'x'}, set())], False),
    ('refuses an exchange that calls a role', [('role', 'a.o', {'r'}, set()),
                                               ('exchange', 'b.o', {'x'}, {'r'})], True),
    ('allows functions of other libraries', [('keys', 'a.o', {'k'}, {'memcpy'})], False),
]

# Each row: a file, its text, and whether it must be refused.
SELF_TEST = [
    ('src/exchange/request.c', '#include "role/role.h"\n', True),
    ('src/role/kms.c', '#include "exchange/exchange.h"\n', False),
    ('src/payload/hdr.c', '#include "keys/keys.h"\n', True),
    ('src/payload/hdr.c', '#include <mikeyticket/message.h>\n', True),
    ('src/payload/hdr.c', '#include "base/reader.h"\n#include <mikeyticket/payload.h>\n', False),
    ('src/keys/prf.c', '#include <openssl/evp.h>\n', True),
    ('src/backend/libcrypto.c', '#include <openssl/evp.h>\n', False),
    ('src/keys/prf.c', '#include <stdint.h>\n#include <string.h>\n', False),
    ('src/shiny/new.c', '#include <stdint.h>\n', True),
    ('kms/main.c', '#include "keys/keys.h"\n', True),
    ('kms/main.c', '#include <mikeyticket/kms.h>\n#include <sqlite3.h>\n', False),
    ('kms/main.c', '#include <openssl/evp.h>\n', True),
    ('cli/main.c', '#include "../src/keys/keys.h"\n', True),
    ('tests/test_keys.c', '#include "keys/keys.h"\n#include <cmocka.h>\n', False),
    ('include/mikeyticket/payload.h', '#include <mikeyticket/kms.h>\n', True),
    ('fuzz/corpus.c', '#include "../tests/hex.h"\n', False),
    ('cli/main.c', '#include "../tests/hex.h"\n', True),
    ('include/mikeyticket/csb.h', '#include <srtp2/srtp.h>\n', True),
    ('include/mikeyticket/media/srtp.h', '#include <srtp2/srtp.h>\n', False),
    ('tools/main.c', '#include <stdio.h>\n', True),
    ('phone/offer.c', '#include "wish.h"\n#include <re.h>\n', False),
    ('phone/offer.c', '#include "pipeline.h"\n', True),
    ('cli/main.c', '#include "wav.h"\n', True),
    ('media/sdp.c', '#include <re.h>\n', True),
    ('media/sdp.c', '#include "base64.h"\n', False),
    ('common/base64.c', '#include "wish.h"\n', True),
]


HEADERS = ('src/role/role.h', 'src/exchange/exchange.h', 'src/keys/keys.h', 'src/base/reader.h',
           'tests/hex.h', 'cli/wish.h', 'common/base64.h', 'audio/wav.h', 'kms/pipeline.h')


def self_test():
    """Writes each row into a tree of its own; prints TAP."""
    failed = 0
    print(f'1..{len(SELF_TEST) + len(OBJECTS_TEST)}')
    for n, (name, text, refused) in enumerate(SELF_TEST, 1):
        with tempfile.TemporaryDirectory() as tmp:
            root = Path(tmp)
            for header in HEADERS:
                (root / header).parent.mkdir(parents=True, exist_ok=True)
                (root / header).write_text('')
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
            found, _ = check_tree(root)
        good = bool(found) == refused
        failed += not good
        what = 'refuses' if refused else 'allows'
        print(f'{"ok" if good else "not ok"} {n} - {what} {text.splitlines()[0]} in {name}')
    for n, (what, objects, refused) in enumerate(OBJECTS_TEST, len(SELF_TEST) + 1):
        good = bool(check_objects(objects)) == refused
        failed += not good
        print(f'{"ok" if good else "not ok"} {n} - {what}')
    return 1 if failed else 0


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    if len(sys.argv) == 3 and sys.argv[1] == '--objects':
        objects = read_objects(Path(sys.argv[2]))
        found = check_objects(objects)
        print('\n'.join(found) if found else f'layers: {len(objects)} objects call downwards')
        return 1 if found or not objects else 0
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent)
    found, files = check_tree(root)
    print('\n'.join(found) if found else f'layers: {files} files, every #include points down')
    return 1 if found or files == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
