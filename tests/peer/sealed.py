#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sealed objects a second time, from docs/formats/sealed-object.md and from nothing of the C code.

Run as a program it checks that the example beside that page is what it would make, or makes it anew.
Usage: sealed.py EXAMPLE.YAML; sealed.py --make > EXAMPLE.YAML
"""

import random
import sys
from pathlib import Path

import roles
from mikey import _crypto
from roles import *  # noqa: F403

MAGIC, VERSION, CHUNK, TAG = b'mikey-sealed-obj', 1, 65536, 16
PROTECTION, C_SEAL, C_SEAL_SALT = 245, 0x15798CEF, C_SALT_OF_TGK
POLICY = [(0, b'\1'), (1, b'\x10')]

for _name in ('EVP_aes_128_gcm', 'EVP_aes_256_gcm'):
    getattr(_crypto, _name).restype = ctypes.c_void_p
for _name in ('EVP_CipherInit_ex', 'EVP_CipherUpdate', 'EVP_CIPHER_CTX_ctrl', 'EVP_CipherFinal_ex'):
    getattr(_crypto, _name).argtypes = None


def gcm(key, nonce, name, text, tag=None):
    """(text, tag) sealed; with a tag it is opened, or refused."""
    p, none = ctypes.c_void_p, ctypes.c_void_p(0)
    cipher = p(_crypto.EVP_aes_128_gcm() if len(key) == 16 else _crypto.EVP_aes_256_gcm())
    ctx, out, n = p(_crypto.EVP_CIPHER_CTX_new()), ctypes.create_string_buffer(len(text) + 1), ctypes.c_int()
    found = ctypes.create_string_buffer(tag or bytes(TAG), TAG)
    ok = (_crypto.EVP_CipherInit_ex(ctx, cipher, none, key, nonce, int(tag is None)) == 1 and
          _crypto.EVP_CipherUpdate(ctx, none, ctypes.byref(n), name, len(name)) == 1 and
          _crypto.EVP_CipherUpdate(ctx, out, ctypes.byref(n), text, len(text)) == 1 and
          (tag is None or _crypto.EVP_CIPHER_CTX_ctrl(ctx, 0x11, TAG, found) == 1))
    ok = ok and _crypto.EVP_CipherFinal_ex(ctx, ctypes.create_string_buffer(TAG), ctypes.byref(n)) == 1
    ok = ok and (tag is not None or _crypto.EVP_CIPHER_CTX_ctrl(ctx, 0x10, TAG, found) == 1)
    _crypto.EVP_CIPHER_CTX_free(ctx)
    need('the tag', ok)
    return out.raw[:len(text)], found.raw


def keys_of(suite, key, rand_i, cs=1):
    """Key and salt of an object, from a TGK or GTGK."""
    def of(constant, n):
        return suite.derive(key, label(constant, cs, 0xFFFFFFFF, 3, len8(rand_i), len8(b'')), n)
    return of(C_SEAL, suite.key_len), of(C_SEAL_SALT, 12)


def plaintext(rand, name, content):
    return rand + len(content).to_bytes(8, 'big') + len8(name.encode()) + content


def head_of(message):
    return MAGIC + struct.pack('>II', VERSION, len(message)) + message


def nonce(salt, i, last):
    return bytes(a ^ b for a, b in zip(salt, bytes(3) + i.to_bytes(8, 'big') + bytes([last])))


def seal(message, key, salt, plain):
    head = head_of(message)
    parts = [plain[i:i + CHUNK] for i in range(0, len(plain), CHUNK)]
    out = head
    for i, part in enumerate(parts):
        text, tag = gcm(key, nonce(salt, i, i + 1 == len(parts)), hashlib.sha256(head).digest(), part)
        out += text + tag
    return out


def split(octets):
    """(TRANSFER_INIT, chunks)"""
    n = int.from_bytes(octets[20:24], 'big')
    need('the head of an object', octets[:20] == MAGIC + VERSION.to_bytes(4, 'big') and 0 < n <= len(octets) - 24)
    return octets[24:24 + n], octets[24 + n:]


def unseal(octets, key, salt):
    """(name, content) of an object of which the TRANSFER_INIT was verified."""
    message, body = split(octets)
    m = Message(message)
    need('one session, with one policy', len(m.sessions) == 1 and len(m.sessions[0]['policies']) == 1)
    need('the protocol', m.sessions[0]['prot'] == PROTECTION)
    need('the policy', m.one(SP)[1:] == sp(0, POLICY, PROTECTION)[1][1:])
    parts = [body[i:i + CHUNK + TAG] for i in range(0, len(body), CHUNK + TAG)]
    name = hashlib.sha256(head_of(message)).digest()
    plain = b''.join(gcm(key, nonce(salt, i, i + 1 == len(parts)), name, p[:-TAG], p[-TAG:])[0]
                     for i, p in enumerate(parts))
    need('the digest', hashlib.sha256(plain).digest() == m.sessions[0]['data'])
    r = Reader(plain, 32)
    size, file_name = r.number(8), r.take(r.number(1))
    need('the size', size == r.left())
    return file_name.decode(), r.take(size)


class Sealer(Initiator):
    def seal(self, to, name, content, **odd):
        """odd: what is to be other than the page says: when, prot, params, data, sessions."""
        c = self.chance
        self.random = c.octets(32)
        plain = plaintext(self.random, name, content)
        kind, key, _, spi = self.session_keys[0]
        need('a key to derive from', kind in (TGK, TGK_SALT, GTGK, GTGK_SALT))
        # Which number the policy has, and which the session, is the sealer's to choose.
        number, cs = c.random.randrange(256), c.random.randint(1, 255)
        prot = odd.get('prot', PROTECTION)
        self.maps = [dict(cs=cs, prot=prot, policies=[number], spi=spi,
                          data=odd.get('data', hashlib.sha256(plain).digest()))]
        self.maps += [{**self.maps[0], 'cs': cs % 255 + 1}] * (odd.get('sessions', 1) - 1)
        message = self.transfer(to, sp(number, odd.get('params', POLICY), prot), odd.get('when'))
        return seal(message, *keys_of(self.suite, key, self.rand_i, cs), plain)

    def transfer(self, to, policy_of_ours, when=None):
        c, t = self.chance, self.ticket
        self.rand_i = c.octets(self.suite.key_len, 48)
        keys = MessageKeys(self.suite, self.mpki, c.random.getrandbits(32), 1, len8(self.rand_i), len8(b''))
        body = [t_payload(*(when or roles.now(NTP_UTC))), randr(INITIATOR, self.rand_i), *c.maybe(idr(INITIATOR, self.name)),
                idr(RESPONDER, to), policy_of_ours, *c.unexpected(),
                (TICKET, t.body[:t.initiator_data_at])]
        return sealed(TRANSFER_INIT, c.order(body), keys, self.identity(), to.encode(), sessions=self.maps,
                      expects=t.has('F'), initiator_data=self.initiator_data)


class Opener(Responder):
    def keys(self):
        """Key and salt, once it is resolved."""
        s = self.offer.sessions[0]
        key = next(k for k in self.session_keys if k[3] == s['spi'])
        return keys_of(self.offer.suite, key[1], self.rand_i, s['cs'])


# --- the example ----------------------------------------------------------------------------------

def example():
    roles.now = lambda kind, counter=None: (NTP_UTC, 0xEEAD2AC4BF955DE4)
    lines = ['# Made by tests/peer/sealed.py --make. Content: octet i is i mod 251.',
             'format: sealed-object-example-1', 'objects:']
    for suite, name, size in ((SUITES[0], 'note.txt', 40), (SUITES[1], '', 140000)):
        c = Chance(random.Random(6043 + suite.prf))
        alice = Sealer(c, 'sip:alice@example.com', 'sip:kms@example.com', c.octets(32), b'alice-1', suite)
        roles.time.time = lambda: 1795337284.75
        alice.make('EHILNO', ['sip:bob@example.com'], c.octets(suite.key_len), b'tpk', [GTGK])
        content = bytes(i % 251 for i in range(size))
        octets = alice.seal('sip:bob@example.com', name, content)
        message, _ = split(octets)
        key = alice.session_keys[0][1]
        found = keys_of(suite, key, alice.rand_i, alice.maps[0]['cs'])
        need('it opens', unseal(octets, *found) == (name, content))
        values = {'gtgk': key, 'rand-i': alice.rand_i, 'transfer-init': message, 'key': found[0],
                  'salt': found[1], 'random': alice.random, 'digest': alice.maps[0]['data'],
                  'object': octets if size < 1000 else None, 'object-sha256': hashlib.sha256(octets).digest()}
        lines.append(f'  - name: "{name}"\n    size: {size}')
        lines += [f'    {k}: "{v.hex()}"' for k, v in values.items() if v is not None]
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    if sys.argv[1:] == ['--make']:
        sys.stdout.write(example())
    else:
        good = Path(sys.argv[1]).read_text() == example()
        print(f'1..1\n{"ok" if good else "not ok"} 1 - the example is what the page says')
        sys.exit(not good)
