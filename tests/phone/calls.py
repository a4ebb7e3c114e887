#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many calls through one KMS: pairs of real phones over SIP on TCP, each calling again as soon as the
call before is over, callers asking the daemon over HTTP and callees over UDP. Not one may fail, no phone
may lose an octet of memory, and once a run has lasted for a minute they take no more of it.

Usage: calls.py BUILD_DIR [--calls N] [--pairs N] [--valgrind] [--least RATE]. Prints TAP."""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'kms'))
from rig import Kms, Skip, run_tests, until  # pylint: disable=wrong-import-position,import-error

VALGRIND = ('valgrind', '--quiet', '--leak-check=full', '--show-leak-kinds=definite,indirect,possible',
            '--errors-for-leak-kinds=definite,indirect,possible', '--error-exitcode=99', '--num-callers=30')
PATIENCE = 60  # seconds without a single call
SETTLED = 40   # seconds until memory has its size: SIP remembers each transaction for 32 (RFC 3261 17)
LASTS = 20     # seconds more that memory is looked at
GROWTH = 512   # kB that a phone may then have more: how much SIP remembers depends on the rate


class Phone:
    """One phone in a process of its own, with what it says in a file."""

    def __init__(self, kms, name, url, *options, under=()):
        self.said, self.erred = kms.dir / f'{name}.said', kms.dir / f'{name}.error'
        with open(self.said, 'w', encoding='utf-8') as said, open(self.erred, 'w', encoding='utf-8') as erred:
            self.process = subprocess.Popen(
                [*under, kms.build / 'phone/mikey-phone', '--credentials', f'{name}.cred', '--kms', url,
                 '--listen', '127.0.0.1:0', *options], cwd=kms.dir, stdin=subprocess.DEVNULL, stdout=said,
                stderr=erred)
        self.pid = self.process.pid

    def lines(self, begin):
        return [line for line in self.said.read_text(encoding='utf-8').splitlines() if line.startswith(begin)]

    def calls(self):
        return len(self.lines('answered: '))

    def memory(self):
        """Resident kilobytes of its own."""
        try:
            return int(re.search(r'RssAnon:\s+(\d+)', Path(f'/proc/{self.pid}/status').read_text('ascii'))[1])
        except (OSError, TypeError):
            return 0  # it has ended

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout=300)


class Load(Kms):
    """A daemon, and pairs of phones."""

    def __init__(self, args):
        super().__init__(args.build, listen=('udp://127.0.0.1:0', 'http://127.0.0.1:0'))
        self.args, self.phones = args, []
        names = [f'{role}{k}' for k in range(args.pairs) for role in ('caller', 'callee')]
        self.add_users(*names)
        self.start()

    def phone(self, name, scheme, *options):
        url = f'{scheme}://127.0.0.1:{self.port(scheme)}'
        phone = Phone(self, name, url, *options, under=VALGRIND if self.args.valgrind else ())
        self.phones.append(phone)
        return phone

    def pairs(self):
        """Callees that wait, and callers that begin as soon as they are there."""
        callees = [self.phone(f'callee{k}', 'udp', '--answer', '0') for k in range(self.args.pairs)]
        assert until(lambda: all(c.lines('listening: tcp') for c in callees), 60), 'a phone does not listen'
        callers = []
        for k, callee in enumerate(callees):
            at = callee.lines('listening: tcp')[0].split()[-1]
            callers.append(self.phone(f'caller{k}', 'http', '--hang-up', '0', '--repeat', str(self.args.calls),
                                      '--proxy', f'sip:{at};transport=tcp', f'sip:callee{k}@example.com'))
        return callers, callees

    def daemon_us(self):
        """CPU time of the daemon."""
        fields = Path(f'/proc/{self.process.pid}/stat').read_text('ascii').rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf('SC_CLK_TCK')

    def close(self):
        for phone in self.phones:
            phone.stop()
        super().close()


def ended_ms():
    """CPU time of all processes of ours that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1000


def follow(load, callers, callees):
    """Until the last caller has ended. Returns how long it took from the first call on, and of each phone
    the memory when settled and at the end, if it took long enough for that."""
    start = first = last = time.monotonic()
    calls, settled, memory = 0, None, {}
    while any(c.process.poll() is None for c in callers):
        time.sleep(0.05 if load.args.pairs * load.args.calls < 1000 else 0.3)
        now = sum(c.calls() for c in callees)
        if now != calls:
            first = time.monotonic() if calls == 0 else first
            calls, last = now, time.monotonic()
        if calls < load.args.pairs * load.args.calls - len(callers):  # none of them ends meanwhile
            memory = {c: c.memory() or memory[c] for c in (*callers, *callees)}
        if settled is None and time.monotonic() - start > SETTLED:
            settled = memory
        assert time.monotonic() - last < PATIENCE, f'after {calls} calls there are no more'
    return last - first, {c: (settled[c], memory[c]) for c in memory if last - start > SETTLED + LASTS}


def no_call_fails_and_no_octet_is_lost(load):
    args = load.args
    whole = args.calls * args.pairs
    before, started = load.daemon_us(), ended_ms()
    callers, callees = load.pairs()
    seconds, memory = follow(load, callers, callees)
    cpu = (load.daemon_us() - before) / whole
    rate = whole / seconds
    print(f'# {whole} calls by {args.pairs} pairs in {seconds:.1f} s: {rate:.0f} a second; {cpu:.0f} us of CPU each '
          f'in the daemon; load {os.getloadavg()[0]:.1f}')
    for phone, (settled, end) in list(memory.items())[::load.args.pairs]:
        print(f'# memory of {phone.said.stem} after {SETTLED} s and at the end: {settled} kB, {end} kB')
    for phone in [*callers, *callees]:
        code, error = phone.stop(), phone.erred.read_text(encoding='utf-8')
        assert code == 0, f'{phone.said.name}: status {code}\n{phone.lines("ended: ")[-1:]}\n{error[-3000:]}'
        assert error == '', error[-3000:]
    print(f'# {(ended_ms() - started) / whole:.1f} ms of CPU a call in the phones, their starts included')
    for phone in callers:
        assert phone.calls() == args.calls, f'{phone.calls()} calls'
        assert len(phone.lines('peer: sip:callee')) == args.calls
    for phone in callees:
        assert phone.calls() == args.calls, f'{phone.calls()} calls were taken'
        assert len(phone.lines('ended: by the other party')) == args.calls
    for settled, end in memory.values():
        assert args.shadowed or end <= settled + GROWTH, f'a phone has {end - settled} kB more'
    assert rate >= args.least, f'{rate:.1f} calls a second, {args.least} are the bar'


def main():
    args = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    args.add_argument('build')
    args.add_argument('--calls', type=int, default=20, help='of each pair, one after the other')
    args.add_argument('--pairs', type=int, default=2, help='of phones, at the same time')
    args.add_argument('--least', type=float, default=0, help='calls a second, else it has failed')
    args.add_argument('--valgrind', action='store_true', help='run the phones in valgrind')
    args = args.parse_args()
    phone = Path(args.build) / 'phone/mikey-phone'
    # Such tools keep what is freed: the memory of the process is not the phone's.
    args.shadowed = args.valgrind or b'__asan_init' in phone.read_bytes()
    if args.valgrind and shutil.which('valgrind') is None:
        raise Skip('there is no valgrind here')
    return run_tests([no_call_fails_and_no_octet_is_lost], lambda: Load(args), Load.close)


if __name__ == '__main__':
    sys.exit(main())
