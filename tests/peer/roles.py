# SPDX-License-Identifier: Apache-2.0
"""Initiator, Responder and KMS. Each chooses by chance among what RFC 6043 leaves to it: the order of
payloads, which optional ones are there, kinds and lengths of times, random values and keys."""

import time

from mikey import *  # noqa: F403 the names of the RFC, all of them

EPOCH = 2208988800  # 1970 in seconds since 1900


def now(kind, counter=None):
    """(TS type, value) of this moment."""
    seconds = time.time() + EPOCH
    if kind == COUNTER:
        return kind, counter
    if kind == NTP_UTC_32:
        return kind, int(seconds) + 1 & 0xFFFFFFFF  # not before a KMS that has just been started
    return kind, (int(seconds) & 0xFFFFFFFF) << 32 | int(seconds % 1 * (1 << 32))


class Chance:
    """Choices of one run, all from one seed."""

    def __init__(self, random):
        self.random = random

    def octets(self, low, high=None):
        return self.random.randbytes(self.random.randint(low, high or low))

    def maybe(self, *payloads):
        return list(payloads) if self.random.random() < .5 else []

    def order(self, payloads):
        """Any order will do but for V, which is last (ambiguity 40), and those of one kind."""
        kinds = [k for k, _ in payloads]
        self.random.shuffle(kinds)
        left = list(payloads)
        return [left.pop(next(i for i, p in enumerate(left) if p[0] == k)) for k in kinds]

    def unexpected(self):
        """A payload that SHOULD be ignored: a Vendor ID, or a RAND of RFC 3830."""
        return self.random.choice([[], [(GENERAL_EXT, b'\0' + len16(self.octets(0, 9)))],
                                   [(RAND, len8(self.octets(16)))]])


class Party:
    """Who shares a pre-shared key with a KMS."""

    def __init__(self, chance, name, kms, psk, psk_id, suite):
        self.chance, self.name, self.kms = chance, name, kms
        self.psk, self.psk_id, self.suite = psk, psk_id, suite
        self.counter = 0

    def identity(self):
        return self.name.encode()

    def stamp(self):
        self.counter += 1
        return now(self.chance.random.choice([NTP_UTC, NTP, NTP_UTC_32]))

    def ask(self, kind, role, payloads):
        """REQUEST_INIT_PSK or RESOLVE_INIT_PSK; remembers what the answer is checked against."""
        c = self.chance
        rand = c.octets(self.suite.key_len, 64)
        rands = (rand, b'') if role == INITIATOR else (b'', rand)
        csb = c.random.getrandbits(32)
        known = [idr(PSK, self.psk_id, 2)]
        named = c.maybe(idr(role, self.name))
        if not named or c.random.random() < .7:
            named += known
        body = [t_payload(*self.stamp()), randr(role, rand), *named,
                *c.maybe(idr(KMS, self.kms)), *payloads, *c.unexpected()]
        self.rands = tuple(len8(r) for r in rands)
        keys = MessageKeys(self.suite, self.psk, csb, 1, *self.rands)
        self.asked = sealed(kind, c.order(body), keys, self.identity(), self.kms.encode(),
                            expects=True)
        return self.asked

    def answered(self, octets, kind):
        """(message, its keys) of the KMS."""
        m = Message(octets)
        if m.kind == ERROR:
            raise Refused(f'Error {m.one(ERR)[0]}' + (' with V' if m.all(V) else ''))
        need(f'data type {kind}', m.kind == kind)
        keys = MessageKeys(self.suite, self.psk, m.csb, 2, *self.rands)
        need('CSB ID of the request', m.csb == int.from_bytes(self.asked[4:8], 'big'))
        m.verify(keys, self.asked)
        return m, m.keys(keys)


class Initiator(Party):
    def request(self, flags, responders, wanted=None, validity=3600, applications=()):
        c = self.chance
        at = int(time.time()) + EPOCH
        inner = [*c.maybe(idr(KMS, self.kms)), *c.maybe(idr(INITIATOR, self.name)),
                 *c.maybe(tr(START, at - 60)), tr(END, at + validity), *c.maybe(tr(REKEY, 900)),
                 *[idr(APPLICATION, a, 2) for a in applications], *[idr(RESPONDER, r) for r in responders]]
        if wanted is not None:
            inner.append(kemac(0, key_data(wanted)))
        self.wish = policy(self.suite.prf, flags, c.order(inner))
        return self.ask(REQUEST_INIT_PSK, INITIATOR, [(TP, self.wish)])

    def granted(self, octets):
        m, keys = self.answered(octets, REQUEST_RESP)
        self.have(m.one(TICKET), keys)

    def make(self, flags, responders, tpk, tpk_id, kinds):
        """Modes 3 and 4: a ticket of our own, with session keys of these types."""
        c, n = self.chance, self.suite.key_len
        inner = [idr(KMS, self.kms), idr(INITIATOR, self.name), tr(END, int(time.time()) + EPOCH + 600),
                 *[idr(RESPONDER, r) for r in responders]]
        mpk, rand = c.octets(n), c.octets(max(n, len(tpk)), 64)
        keys = some_keys(c, kinds, n)
        body = base_ticket(policy(self.suite.prf, flags, c.order(inner)), tpk, tpk_id, rand, now(NTP_UTC),
                           [(MPK, mpk, b'', c.octets(4)), *keys])
        pair = mpks(self.suite, mpk, rand)
        self.have(body, [(MPK, k, b'', b'') for k in pair[:1 + ('I' in flags)]] + keys)

    def have(self, body, keys):
        self.ticket = Ticket(body)
        n = 2 if self.ticket.has('I') else 1
        need('the MPKs', [k[0] for k in keys].count(MPK) == n)
        mpk = [k[1] for k in keys if k[0] == MPK]
        self.mpki, self.mpkr = mpk[0], mpk[-1]
        self.session_keys = [k for k in keys if k[0] != MPK]

    def offer(self, to, policies, sessions, supplied=()):
        """TRANSFER_INIT. sessions: [(CS ID, policy numbers, session data, SPI)]; supplied: session keys
        of our own (L)."""
        c, t = self.chance, self.ticket
        self.to = to
        csb = c.random.getrandbits(32)
        self.rand_i = c.octets(self.suite.key_len, 48)
        self.keys = MessageKeys(self.suite, self.mpki, csb, 1, len8(self.rand_i), len8(b''))
        stamp = now(c.random.choice([NTP_UTC, NTP]))
        self.supplied = list(supplied)  # never forked (RFC 6043 5.1.1)
        body = [t_payload(*stamp), randr(INITIATOR, self.rand_i), *c.maybe(idr(INITIATOR, self.name)),
                *c.maybe(idr(RESPONDER, to)), *policies, *c.unexpected(),
                (TICKET, t.body[:t.initiator_data_at]), *secret_payload(self.keys, stamp, supplied)]
        maps = [dict(cs=cs, prot=0, policies=p, data=data, spi=spi) for cs, p, data, spi in sessions]
        self.offered = sealed(TRANSFER_INIT, c.order(body), self.keys, self.identity(), to.encode(),
                              sessions=maps, expects=t.has('F'), initiator_data=self.initiator_data)
        return self.offered

    def initiator_data(self, v):
        """Vi and Vr of RFC 6043 6.10; Vr is made with the unforked MPKr."""
        if not self.ticket.has('I'):
            return b''
        suite = self.ticket.suite
        auth = suite.derive(self.mpkr, label(C_AUTH, 0xFF, 0xFFFFFFFF, 4), suite.mac_len)
        covered = bytes([V, V]) + v + bytes([LAST, suite.mac_alg])
        return covered + suite.mac(auth, covered)

    def complete(self, octets):
        """Checks TRANSFER_RESP; {CS ID: (SPI, TEK, salt)} afterwards."""
        m, t = Message(octets), self.ticket
        if m.kind == ERROR:
            raise Refused(f'Error {m.one(ERR)[0]}')
        need('TRANSFER_RESP', m.kind == TRANSFER_RESP)
        name = m.name(RESPONDER) or self.to.encode()
        inkey, keys = self.mpki, self.session_keys
        if t.has('I'):
            kms = m.rand(KMS)
            inkey = fork(t.suite, C_MPKR_FORKED, self.mpkr, name, kms)
            keys = forked(t.suite, keys, name, kms)
        self.rand_r = m.rand(RESPONDER) if t.has('G') else b''
        mk = MessageKeys(self.suite, inkey, m.csb, 2, len8(self.rand_i), len8(self.rand_r))
        m.verify(mk, self.offered)
        keys = keys + self.supplied
        if m.all(KEMAC):
            need('M', t.has('M'))
            keys = keys + m.keys(mk)
        self.who = name.decode()
        return sessions_of(m, keys, t, self.rand_i, self.rand_r, self.suite, Message(self.offered))


class Responder(Party):
    def receive(self, octets):
        self.offer = Message(octets)
        self.ticket = Ticket(self.offer.one(TICKET))

    def resolve(self, octets):
        self.receive(octets)
        return self.ask(RESOLVE_INIT_PSK, RESPONDER, [(TICKET, self.ticket.body)])

    def resolved(self, octets):
        m, keys = self.answered(octets, RESOLVE_RESP)
        self.as_name = (m.name(RESPONDER) or self.identity()).decode()
        self.rand_kms = m.rand(KMS) if self.ticket.has('I') else None
        mpk = [k[1] for k in keys if k[0] == MPK]
        need('the MPKs', len(mpk) == (2 if self.ticket.has('I') else 1))
        self.have(mpk[0], mpk[-1], [k for k in keys if k[0] != MPK])

    def open(self, tpk):
        """Modes 2 and 4: without the KMS."""
        rand, keys = self.ticket.open(tpk)
        mpki, _ = mpks(self.ticket.suite, keys[0][1], rand)
        self.as_name, self.rand_kms = self.name, None
        self.have(mpki, mpki, keys[1:])

    def have(self, mpki, mpkr, keys):
        self.mpki, self.mpkr, self.session_keys = mpki, mpkr, keys
        self.rand_i = self.offer.rand(INITIATOR)
        mk = MessageKeys(self.offer.suite, mpki, self.offer.csb, 1, len8(self.rand_i), len8(b''))
        names = self.ticket.names(INITIATOR)
        who = self.offer.name(INITIATOR) or (names[0] if names else b'')
        self.offer.verify(mk, who, self.offer.name(RESPONDER) or self.identity(),
                          without_initiator_data=True)
        if self.offer.all(KEMAC):
            self.session_keys = self.session_keys + self.offer.keys(mk)

    def answer(self, ssrc, supplied=()):
        """TRANSFER_RESP, with `ssrc` for sessions that have none, and session keys of our own (M)."""
        c, t, suite = self.chance, self.ticket, self.offer.suite
        self.rand_r = c.octets(suite.key_len, 40) if t.has('G') else b''
        mk = MessageKeys(suite, self.mpkr, self.offer.csb, 2, len8(self.rand_i), len8(self.rand_r))
        self.session_keys = self.session_keys + list(supplied)
        sessions = []
        for s in self.offer.sessions:
            data = s['data'] or ssrc.to_bytes(4, 'big')
            sessions.append({**s, 'policies': s['policies'][:1], 'data': data,
                             'spi': s['spi'] or self.session_keys[0][3]})
        stamp = now(NTP_UTC)
        body = [t_payload(*stamp), *c.unexpected(), *secret_payload(mk, stamp, supplied)]
        body += [randr(RESPONDER, self.rand_r)] if t.has('G') else []
        body += [randr(KMS, self.rand_kms)] if t.has('I') else []
        body += [idr(RESPONDER, self.as_name)] if t.has('I') else c.maybe(idr(RESPONDER, self.as_name))
        out = sealed(TRANSFER_RESP, c.order(body), mk, self.offer.octets, sessions=sessions)
        self.sessions = sessions_of(Message(out), self.session_keys, t, self.rand_i, self.rand_r, suite,
                                    self.offer)
        return out


def some_keys(c, kinds, n):
    return [(k, c.octets(n), c.octets(14) if k in (TGK_SALT, TEK_SALT, GTGK_SALT) else b'', c.octets(4))
            for k in kinds]


def secret_payload(keys, stamp, supplied):
    return [kemac(keys.suite.encr_alg, keys.crypt(t64(*stamp), key_data(supplied)))] if supplied else []


def sessions_of(m, keys, ticket, rand_i, rand_r, suite, former):
    """{CS ID: (SPI, TEK, salt)} of the map of m."""
    found = {}
    params = {}
    for body in [*former.all(SP), *m.all(SP)]:
        r = Reader(body[4:])
        params[body[0]] = {}
        while r.left():
            kind = r.number(1)
            params[body[0]][kind] = int.from_bytes(r.take(r.number(1)), 'big')
    for s in m.sessions:
        need('one policy', len(s['policies']) == 1)
        p = params[s['policies'][0]]
        key = next((k for k in keys if k[3] == s['spi']), None)
        need('a key of that SPI', key is not None)
        found[s['cs']] = (s['spi'], *session_key(suite, key, s['cs'],
                                                 rand_i if ticket.has('H') else b'',
                                                 rand_r if ticket.has('G') else b'',
                                                 p.get(1, 16), p.get(4, 14)))
    return found


class Kms:
    """Answers the messages of parties it shares keys with: modes 1 and 3."""

    def __init__(self, chance, name, users, tpks):
        self.chance, self.name = chance, name
        self.users = {u.psk_id: u for u in users}  # parties
        self.tpks = tpks                           # of each suite
        self.last = {}

    def handle(self, octets):
        m = Message(octets)
        request = m.kind == REQUEST_INIT_PSK
        need('a request', request or m.kind == RESOLVE_INIT_PSK)
        role = INITIATOR if request else RESPONDER
        psk_id, name = m.name(PSK), m.name(role)
        user = self.users.get(psk_id) or next(u for u in self.users.values() if u.identity() == name)
        rand = len8(m.rand(role))
        rands = (rand, b'\0') if request else (b'\0', rand)
        m.verify(MessageKeys(m.suite, user.psk, m.csb, 1, *rands), name or user.identity(),
                 m.name(KMS) or self.name.encode())
        keys = MessageKeys(m.suite, user.psk, m.csb, 2, *rands)
        kind, body = (REQUEST_RESP, self.issue(m, user)) if request else (RESOLVE_RESP,
                                                                         self.resolve(m, user))
        stamp = self.stamp(m)
        *payloads, secret = body
        payloads += [t_payload(*stamp), kemac(m.suite.encr_alg, keys.crypt(t64(*stamp),
                                                                          key_data(secret))),
                     *self.chance.unexpected()]
        return sealed(kind, self.chance.order(payloads), keys, m.octets)

    def stamp(self, m):
        kind = m.one(T)[0]
        return now(kind, int.from_bytes(m.one(T)[1:], 'big') if kind == COUNTER else None)

    def issue(self, m, user):
        c, suite = self.chance, m.suite
        wish = Policy(m.one(TP))
        wanted = next((parse_wish(b) for k, b, _ in wish.payloads if k == KEMAC), [(TGK, suite.key_len, 0)])
        self.last['flags'] = wish.flags
        keys = [(k, c.octets(n), c.octets(salt) if salt else b'', c.octets(4)) for k, n, salt in wanted]
        mpk, rand = c.octets(suite.key_len), c.octets(suite.key_len, 50)
        flags = ''.join(f for f in wish.flags if f != 'K')
        granted = policy(suite.prf, flags,
                         [(k, b) for k, b, _ in wish.payloads if k != KEMAC] +
                         ([] if wish.names(INITIATOR) else [idr(INITIATOR, user.name)]))
        ticket = base_ticket(granted, self.tpks[suite.prf], c.random.choice([None, b'tpk']), rand,
                             now(NTP_UTC), [(MPK, mpk, b'', c.octets(4)), *keys])
        mpki, mpkr = mpks(suite, mpk, rand)
        secret = [(MPK, mpki, b'', c.octets(4))]
        secret += [(MPK, mpkr, b'', c.octets(4))] if 'I' in flags else []
        return [(TICKET, ticket), secret + keys]

    def resolve(self, m, user):
        c, ticket = self.chance, Ticket(m.one(TICKET))
        need('the Responder is named', user.identity() in ticket.names(RESPONDER))
        rand, keys = ticket.open(self.tpks[ticket.prf])
        mpki, mpkr = mpks(ticket.suite, keys[0][1], rand)
        secret, keys = [(MPK, mpki, b'', c.octets(4))], keys[1:]
        if not ticket.has('I'):
            return [*c.maybe(idr(RESPONDER, user.name)), secret + keys]
        self.check_initiator_data(ticket, mpkr)
        kms = c.octets(ticket.suite.key_len, 60)
        forked_mpkr = fork(ticket.suite, C_MPKR_FORKED, mpkr, user.identity(), kms)
        secret.append((MPK, forked_mpkr, b'', c.octets(4)))
        return [idr(RESPONDER, user.name), randr(KMS, kms),
                secret + forked(ticket.suite, keys, user.identity(), kms)]

    @staticmethod
    def check_initiator_data(ticket, mpkr):
        suite, data = ticket.suite, ticket.initiator_data
        auth = suite.derive(mpkr, label(C_AUTH, 0xFF, 0xFFFFFFFF, 4), suite.mac_len)
        need('Vr', suite.mac(auth, data[:-suite.mac_len]) == data[-suite.mac_len:])


def parse_wish(body):
    """[(type, octets of the key, of the salt)] of the KEMAC of a TP."""
    r = Reader(body)
    need('NULL encryption', r.number(1) == 0)
    inner, found = Reader(r.take(r.number(2))), []
    more = inner.left() > 0
    while more:
        more = inner.number(1) == KEY_DATA
        kinds = inner.number(1)
        n = inner.number(2)
        inner.take(n)
        salt = inner.number(2) if kinds >> 4 in (TGK_SALT, TEK_SALT, GTGK_SALT) else 0
        inner.take(salt)
        if kinds & 15 == 1:
            inner.take(inner.number(1))
        found.append((kinds >> 4, n, salt))
    return found
