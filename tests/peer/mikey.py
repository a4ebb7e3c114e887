# SPDX-License-Identifier: Apache-2.0
"""MIKEY-TICKET a second time, from the words of RFC 3830 and RFC 6043 and from nothing of the C code.

Messages are lists of payloads, a payload is (type, octets behind its Next Payload). Nothing here is
fast, constant in time or careful with keys: it is a partner for tests.
"""

import ctypes
import ctypes.util
import hashlib
import hmac
import math
import struct

(LAST, KEMAC, PKE, DH, SIGN, T, ID, CERT, CHASH, V, SP, RAND, ERR, TR, IDR, RANDR, TP,
 TICKET) = range(18)
KEY_DATA, GENERAL_EXT = 20, 21
(REQUEST_INIT_PSK, REQUEST_INIT_PK, REQUEST_RESP, TRANSFER_INIT, TRANSFER_RESP, RESOLVE_INIT_PSK,
 RESOLVE_INIT_PK, RESOLVE_RESP) = range(11, 19)
ERROR = 6
INITIATOR, RESPONDER, KMS, PSK, APPLICATION = range(1, 6)  # roles of IDR; the first three of RANDR
START, END, REKEY = 2, 3, 4  # roles of TR
NTP_UTC, NTP, COUNTER, NTP_UTC_32 = range(4)
TGK, TGK_SALT, TEK, TEK_SALT, GTGK, GTGK_SALT, MPK = range(7)
MAP_SRTP, MAP_EMPTY, MAP_GENERIC = range(3)
FLAGS = 'DEFGHIJKLMNO'
URI = 1

# Constants of RFC 3830 4.1.3 and 4.1.4, RFC 6043 5.1.1 and A.2.2
C_TEK, C_SALT_OF_TGK = 0x2AD01C64, 0x39A2C14B
C_ENCR, C_AUTH, C_SALT = 0x150533E1, 0x2D22AC75, 0x29B88916
C_MPKR_FORKED, C_TGK_FORKED = 0x2B288856, 0x1512B54A
C_MPKI, C_MPKR = 0x220E99A2, 0x1F4D675B


class Refused(Exception):
    pass


def need(what, condition):
    if not condition:
        raise Refused(what)


# --- cryptography ---------------------------------------------------------------------------------

_crypto = ctypes.CDLL(ctypes.util.find_library('crypto'))
for _name in ('EVP_CIPHER_CTX_new', 'EVP_aes_128_ctr', 'EVP_aes_256_ctr'):
    getattr(_crypto, _name).restype = ctypes.c_void_p
_crypto.EVP_EncryptInit_ex.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_char_p] * 2
_crypto.EVP_EncryptUpdate.argtypes = [ctypes.c_void_p, ctypes.c_char_p,
                                      ctypes.POINTER(ctypes.c_int), ctypes.c_char_p, ctypes.c_int]
_crypto.EVP_CIPHER_CTX_free.argtypes = [ctypes.c_void_p]


def aes_ctr(key, iv, data):
    cipher = _crypto.EVP_aes_128_ctr() if len(key) == 16 else _crypto.EVP_aes_256_ctr()
    ctx, out, n = _crypto.EVP_CIPHER_CTX_new(), ctypes.create_string_buffer(len(data)), ctypes.c_int()
    ok = (_crypto.EVP_EncryptInit_ex(ctx, cipher, None, key, iv) == 1 and
          _crypto.EVP_EncryptUpdate(ctx, out, ctypes.byref(n), data, len(data)) == 1)
    _crypto.EVP_CIPHER_CTX_free(ctx)
    assert ok
    return out.raw


class Suite:
    """RFC 6043 12.1: everything of 128 bits, or everything of 256."""

    def __init__(self, prf):
        self.prf = prf
        self.hash = (hashlib.sha1, hashlib.sha256)[prf]
        self.key_len, self.mac_len = ((16, 20), (32, 32))[prf]
        self.encr_alg, self.mac_alg = ((1, 1), (3, 2))[prf]

    def mac(self, key, data):
        return hmac.new(key, data, self.hash).digest()

    def derive(self, inkey, label, n):
        """RFC 3830 4.1.2; inkey in blocks of 256 bits."""
        out = bytes(n)
        for at in range(0, len(inkey), 32):
            s, a, stream = inkey[at:at + 32], label, b''
            for _ in range(math.ceil(n / self.mac_len)):
                a = self.mac(s, a)
                stream += self.mac(s, a + label)
            out = bytes(x ^ y for x, y in zip(out, stream))
        return out


SUITES = (Suite(0), Suite(1))


def len8(octets):
    return struct.pack('>B', len(octets)) + octets


def len16(octets):
    return struct.pack('>H', len(octets)) + octets


def label(constant, cs, csb, phase, *rest):
    return struct.pack('>IBIB', constant, cs, csb, phase) + b''.join(rest)


class MessageKeys:
    """encr_key, auth_key and salt_key of one inkey (RFC 6043 5.1.2, A.2.1)."""

    def __init__(self, suite, inkey, csb, phase, *rest):
        def of(constant, n):
            return suite.derive(inkey, label(constant, 0xFF, csb, phase, *rest), n)
        self.suite, self.csb = suite, csb
        self.encr, self.auth, self.salt = (of(C_ENCR, suite.key_len), of(C_AUTH, suite.mac_len),
                                           of(C_SALT, 14))

    def crypt(self, t64, data):
        """AES-CM with the IV of RFC 3830 4.2.3."""
        mixed = b'\0\0' + struct.pack('>IQ', self.csb, t64)
        iv = bytes(x ^ y for x, y in zip(self.salt, mixed)) + b'\0\0'
        return aes_ctr(self.encr, iv, data)

    def mac(self, data):
        return self.suite.mac(self.auth, data)


# --- payloads -------------------------------------------------------------------------------------

def t_payload(kind, value):
    return T, struct.pack('>BI' if kind >= COUNTER else '>BQ', kind, value)


def t64(kind, value):
    return value << 32 if kind == NTP_UTC_32 else value


def tr(role, seconds):
    return TR, struct.pack('>BBI', role, NTP_UTC_32, seconds & 0xFFFFFFFF)


def idr(role, name, kind=URI):
    return IDR, struct.pack('>BB', role, kind) + len16(name.encode() if isinstance(name, str) else name)


def randr(role, octets):
    return RANDR, bytes([role]) + len8(octets)


def v_payload(suite, mac):
    return V, bytes([suite.mac_alg]) + mac


def kemac(alg, octets):
    return KEMAC, bytes([alg]) + len16(octets) + b'\0'


def sp(number, params, prot=0):
    return SP, bytes([number, prot]) + len16(b''.join(bytes([k]) + len8(v) for k, v in params))


def key_data(keys):
    """keys: [(type, key, salt, spi)]"""
    out = b''
    for i, (kind, key, salt, spi) in enumerate(keys):
        out += bytes([KEY_DATA if i + 1 < len(keys) else LAST, kind << 4 | (spi is not None)])
        out += len16(key) + (len16(salt) if kind in (TGK_SALT, TEK_SALT, GTGK_SALT) else b'')
        out += len8(spi) if spi is not None else b''
    return out


def parse_key_data(octets):
    r, keys, more = Reader(octets), [], bool(octets)
    while more:
        more = r.number(1) == KEY_DATA
        kinds = r.number(1)
        key = r.take(r.number(2))
        salt = r.take(r.number(2)) if kinds >> 4 in (TGK_SALT, TEK_SALT, GTGK_SALT) else b''
        need('an SPI for each key', kinds & 15 == 1)
        keys.append((kinds >> 4, key, salt, r.take(r.number(1))))
    need('nothing behind the keys', r.left() == 0)
    return keys


class Reader:
    def __init__(self, octets, at=0):
        self.octets, self.at = octets, at

    def take(self, n):
        need('octets enough', self.at + n <= len(self.octets))
        self.at += n
        return self.octets[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), 'big')

    def left(self):
        return len(self.octets) - self.at


MACS = {0: 0, 1: 20, 2: 32}
TIMES = {NTP_UTC: 8, NTP: 8, COUNTER: 4, NTP_UTC_32: 4}


def body_len(kind, r):
    """Octets of a payload behind its Next Payload; r stands there and is not kept."""
    start = r.at
    if kind == T:
        r.take(TIMES[r.number(1)])
    elif kind == TR:
        r.take(1)
        r.take(TIMES[r.number(1)])
    elif kind == IDR:
        r.take(2)
        r.take(r.number(2))
    elif kind == RANDR:
        r.take(1)
        r.take(r.number(1))
    elif kind == RAND:
        r.take(r.number(1))
    elif kind == V:
        r.take(MACS[r.number(1)])
    elif kind == KEMAC:
        r.take(1)
        r.take(r.number(2))
        r.take(MACS[r.number(1)])
    elif kind == SP:
        r.take(2)
        r.take(r.number(2))
    elif kind == ERR:
        r.take(3)
    elif kind == GENERAL_EXT:
        r.take(1)
        r.take(r.number(2))
    elif kind in (TP, TICKET):
        r.take(7)
        for _ in range(3 if kind == TICKET else 1):
            r.take(r.number(2))
    else:
        raise Refused(f'payload {kind}')
    return r.at - start


def parse_chain(octets, first):
    """[(type, body, offset of the body)], to the last octet."""
    at, kind, found = 0, first, []
    while kind != LAST:
        r = Reader(octets, at)
        following = r.number(1)
        n = body_len(kind, r)
        found.append((kind, octets[at + 1:at + 1 + n], at + 1))
        at, kind = at + 1 + n, following
    need('nothing behind the last payload', at == len(octets))
    return found


def chain(payloads):
    """(type of the first, octets)"""
    kinds = [k for k, _ in payloads] + [LAST]
    return kinds[0], b''.join(bytes([kinds[i + 1]]) + body for i, (_, body) in enumerate(payloads))


# --- messages -------------------------------------------------------------------------------------

class Message:
    """One that came in."""

    def __init__(self, octets):
        r = Reader(octets)
        need('version 1', r.number(1) == 1)
        self.octets, self.kind, first = octets, r.number(1), r.number(1)
        self.prf, self.csb = r.number(1) & 0x7F, r.number(4)
        n, self.map_type = r.number(1), r.number(1)
        self.sessions = [self.session(r) for _ in range(n)] if self.map_type == MAP_GENERIC else []
        head = r.at
        self.payloads = [(k, b, at + head) for k, b, at in parse_chain(octets[head:], first)]
        self.suite = SUITES[self.prf] if self.prf < len(SUITES) else None  # an Error copies any

    @staticmethod
    def session(r):
        cs, prot, policies = r.number(1), r.number(1), r.number(1)
        return {'cs': cs, 'prot': prot, 'policies': list(r.take(policies & 0x7F)),
                'data': r.take(r.number(2)), 'spi': r.take(r.number(1))}

    def all(self, kind, role=None):
        return [b for k, b, _ in self.payloads if k == kind and (role is None or b[0] == role)]

    def one(self, kind, role=None):
        found = self.all(kind, role)
        need(f'one payload {kind} {role}, not {len(found)}', len(found) == 1)
        return found[0]

    def time(self):
        body = self.one(T)
        return t64(body[0], int.from_bytes(body[1:], 'big'))

    def name(self, role):
        found = self.all(IDR, role)
        return found[0][4:] if found else None

    def rand(self, role):
        return self.one(RANDR, role)[2:]

    def covered(self, without_initiator_data=False):
        """What V covers of this message (RFC 6043 5.5)."""
        kind, body, at = self.payloads[-1]
        need('V is the last payload', kind == V)
        out = self.octets[:at + 1]
        if without_initiator_data:
            ticket, start = next((b, a) for k, b, a in self.payloads if k == TICKET)
            n = Ticket(ticket).initiator_data_at
            out = out[:start + n] + out[start + len(ticket):]
        return out

    def verify(self, keys, *tail, without_initiator_data=False):
        body = self.one(V)
        need('MAC algorithm of the suite', body[0] == keys.suite.mac_alg)
        need('MAC', keys.mac(self.covered(without_initiator_data) + b''.join(tail)) == body[1:])

    def keys(self, keys):
        """What its KEMAC holds."""
        body = self.one(KEMAC)
        r = Reader(body)
        need('encryption of the suite', r.number(1) == keys.suite.encr_alg)
        sealed = r.take(r.number(2))
        need('NULL MAC', r.number(1) == 0)
        return parse_key_data(keys.crypt(self.time(), sealed))


def generic_map(sessions):
    return b''.join(bytes([s['cs'], s['prot'], len(s['policies']), *s['policies']]) + len16(s['data']) +
                    len8(s['spi']) for s in sessions)


def header(kind, first, suite, csb, sessions=None, expects=False):
    maps = (0, MAP_EMPTY, b'') if sessions is None else (len(sessions), MAP_GENERIC,
                                                         generic_map(sessions))
    return (bytes([1, kind, first, expects << 7 | suite.prf]) + struct.pack('>I', csb) +
            bytes(maps[:2]) + maps[2])


def sealed(kind, payloads, keys, *tail, sessions=None, expects=False, initiator_data=None):
    """A message with its V. initiator_data: what follows Ticket Data, as a function of V, when the
    TICKET among payloads ends before the length of it: V does not cover it (RFC 6043 5.5)."""
    n = keys.suite.mac_len

    def whole(parts, mac):
        first, octets = chain([*parts, v_payload(keys.suite, mac)])
        return header(kind, first, keys.suite, keys.csb, sessions, expects) + octets
    mac = keys.mac(whole(payloads, bytes(n))[:-n] + b''.join(tail))
    if initiator_data is not None:
        more = len16(initiator_data(v_payload(keys.suite, mac)[1]))
        payloads = [(k, body + more if k == TICKET else body) for k, body in payloads]
    return whole(payloads, mac)


# --- policies and tickets -------------------------------------------------------------------------

def policy(prf, flags, payloads, kind=1, subtype=1, version=1):
    """A Ticket Policy from Ticket Type to the end of TP Data."""
    first, octets = chain(payloads)
    head = struct.pack('>HBB', kind, subtype, version)
    # 7 bits PRF, 12 flags, 5 reserved
    word = prf << 17 | sum(1 << (16 - FLAGS.index(f)) for f in flags)
    return head + word.to_bytes(3, 'big') + len16(bytes([first]) + octets)


class Policy:
    def __init__(self, body):
        r = Reader(body)
        self.kind, self.subtype, self.version = r.number(2), r.number(1), r.number(1)
        word = r.number(3)
        self.prf = word >> 17
        self.flags = ''.join(f for i, f in enumerate(FLAGS) if word >> (16 - i) & 1)
        data = r.take(r.number(2))
        self.payloads = parse_chain(data[1:], data[0])
        self.end = r.at
        self.suite = SUITES[self.prf]

    def names(self, role):
        return [b[4:] for k, b, _ in self.payloads if k == IDR and b[0] == role]

    def time(self, role):
        found = [b for k, b, _ in self.payloads if k == TR and b[0] == role]
        return int.from_bytes(found[0][2:6], 'big') if found else None

    def has(self, flag):
        return flag in self.flags


class Ticket(Policy):
    def __init__(self, body):
        super().__init__(body)
        r = Reader(body, self.end)
        self.body, self.data = body, r.take(r.number(2))
        self.initiator_data_at = r.at
        self.initiator_data = r.take(r.number(2))

    def open(self, tpk):
        """(RAND of the ticket, keys in it) of a base ticket (Appendix A)."""
        following, n = self.data[0], int.from_bytes(self.data[1:3], 'big')
        payloads = parse_chain(self.data[3 + n:], following)
        body = {k: b for k, b, _ in payloads}
        rand = body[RAND][1:]
        keys = MessageKeys(self.suite, tpk, 0xFFFFFFFF, 5, len8(rand))
        covered = self.body[:self.end + 2 + len(self.data) - self.suite.mac_len]
        need('MAC of the ticket', keys.mac(covered) == body[V][1:])
        when = t64(body[T][0], int.from_bytes(body[T][1:], 'big'))
        return rand, parse_key_data(keys.crypt(when, body[KEMAC][3:-1]))

    def tpk_id(self):
        following, n = self.data[0], int.from_bytes(self.data[1:3], 'big')
        found = [b for k, b, _ in parse_chain(self.data[3 + n:], following) if k == IDR]
        return found[0][4:] if found else None


def base_ticket(granted, tpk, tpk_id, rand, when, keys):
    """The body of a TICKET without Initiator Data. when: (TS type, value)."""
    suite = SUITES[Policy(granted).prf]
    mk = MessageKeys(suite, tpk, 0xFFFFFFFF, 5, len8(rand))
    inner = [t_payload(*when), (RAND, len8(rand)),
             kemac(suite.encr_alg, mk.crypt(t64(*when), key_data(keys)))]
    if tpk_id is not None:
        inner.append(idr(PSK, tpk_id, 2))
    first, octets = chain([*inner, v_payload(suite, bytes(suite.mac_len))])
    data = bytes([first]) + len16(b'') + octets
    body = granted + len16(data)
    return body[:-suite.mac_len] + mk.mac(body[:-suite.mac_len]) + len16(b'')


def mpks(suite, mpk, rand):
    return tuple(suite.derive(mpk, label(c, 0xFF, 0xFFFFFFFF, 6, len8(rand)), len(mpk))
                 for c in (C_MPKI, C_MPKR))


def fork(suite, constant, key, name, rand_kms):
    """RFC 6043 5.1.1"""
    return suite.derive(key, label(constant, 0xFF, 0xFFFFFFFF, 0, len16(name), len8(rand_kms)), len(key))


def forked(suite, keys, name, rand_kms):
    return [(kind, fork(suite, C_TGK_FORKED, key, name, rand_kms), salt, spi)
            if kind in (TGK, TGK_SALT) else (kind, key, salt, spi) for kind, key, salt, spi in keys]


def session_key(suite, key, cs, rand_i, rand_r, key_len, salt_len):
    """TEK and salt of one crypto session (RFC 6043 5.1.3)."""
    kind, octets, salt, _ = key
    if kind in (TEK, TEK_SALT):
        return octets, salt

    def of(constant, n):
        return suite.derive(octets, label(constant, cs, 0xFFFFFFFF, 3, len8(rand_i), len8(rand_r)), n)
    return of(C_TEK, key_len), salt or of(C_SALT_OF_TGK, salt_len)
