#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the Python tests of the KMS share: the real daemon in a folder of its own, certificates made
by the openssl program, and TAP. Each test is a function of one argument; its name is the sentence."""

import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


class Kms:
    """A folder with a configuration, and the programs of one build that run in it."""

    kek = 'kek: file:kms.kek\n'
    prepare = None  # called in the process that becomes the daemon

    def __init__(self, build, more='', listen=('udp://127.0.0.1:0',)):
        self.build = Path(build).absolute()
        self.keep = tempfile.TemporaryDirectory(prefix='mikey-kms-')
        self.dir = Path(self.keep.name)
        self.process, self.urls, self.admin, self.api_url = None, [], None, None
        self.listen = listen
        self.configure(more)

    def configure(self, more):
        listen = ''.join(f'  - {url}\n' for url in self.listen)
        self.write('kms.yaml', f'identity: sip:kms@example.com\nlisten:\n{listen}'
                               f'store: sqlite:kms.db\n{self.kek}{more}')

    def write(self, name, text, mode=0o600):
        path = self.dir / name
        path.write_text(text, encoding='utf-8')
        path.chmod(mode)

    def run(self, program, *args, **options):
        return subprocess.run([self.build / program, *args], cwd=self.dir, capture_output=True,
                              text=True, check=False, timeout=60, stdin=subprocess.DEVNULL, **options)

    def ctl(self, *args):
        return self.run('kms/mikey-kmsctl', '--config', 'kms.yaml', *args)

    def ticket(self, *args):
        return self.run('cli/mikey-ticket', *args)

    def add_users(self, *names):
        for name in names:
            done = self.ctl('user', 'add', f'sip:{name}@example.com', '--psk-out', f'{name}.cred')
            assert done.returncode == 0, done.stderr

    def start(self):
        self.urls, self.admin = [], None
        with open(self.dir / 'log', 'w', encoding='utf-8') as log:
            self.process = subprocess.Popen([self.build / 'kms/mikey-kmsd', '--config', 'kms.yaml'],
                                            cwd=self.dir, stdout=subprocess.PIPE, stderr=log, text=True,
                                            preexec_fn=self.prepare)
        for line in self.process.stdout:
            word, _, url = line.strip().partition(' ')
            if word == 'listening':
                self.urls.append(url)
            elif word == 'admin':
                self.admin = url
            elif word == 'api':
                self.api_url = url
            elif word == 'ready':
                return self
        raise AssertionError('the daemon did not start: ' + self.log())

    def port(self, scheme):
        return next(int(u.rsplit(':', 1)[1].split('/')[0]) for u in self.urls if u.startswith(scheme))

    def log(self):
        log = self.dir / 'log'
        return log.read_text(encoding='utf-8') if log.exists() else ''

    def hangup(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        if self.process is None:
            return 0
        self.process.terminate()
        code = self.process.wait(timeout=30)
        self.process.stdout.close()
        self.process = None
        return code

    def close(self):
        try:
            self.stop()
        finally:
            self.keep.cleanup()


def until(condition, seconds=10):
    """Waits for what happens elsewhere; False when it does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


class Authority:
    """A test CA over EC keys, made with the openssl program in a folder."""

    def __init__(self, folder, name):
        self.dir, self.name, self.serial = Path(folder), name, 1000
        self.openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                     '-keyout', f'{name}.key', '-out', f'{name}.pem', '-subj', f'/CN={name}',
                     '-days', '30', '-addext', 'basicConstraints=critical,CA:TRUE')

    def openssl(self, *args):
        try:
            subprocess.run(['openssl', *args], cwd=self.dir, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise Skip('the openssl program is not here') from None

    def issue(self, name, san=None, usage=None, days='30'):
        """Writes NAME.pem and NAME.key."""
        self.serial += 1
        extensions = [f'subjectAltName={san}'] if san else ['basicConstraints=CA:FALSE']
        if usage:
            extensions.append(f'extendedKeyUsage={usage}')
        (self.dir / 'extensions').write_text('\n'.join(extensions) + '\n', encoding='utf-8')
        self.openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout',
                     f'{name}.key.new', '-out', 'request', '-subj', f'/CN={name}')
        self.openssl('x509', '-req', '-in', 'request', '-CA', f'{self.name}.pem', '-CAkey',
                     f'{self.name}.key', '-set_serial', str(self.serial), '-days', days, '-extfile',
                     'extensions', '-out', f'{name}.pem.new')
        for end in ('key', 'pem'):
            (self.dir / f'{name}.{end}.new').chmod(0o600)
            (self.dir / f'{name}.{end}.new').rename(self.dir / f'{name}.{end}')
        return self.serial

    def revoke(self, *serials, times=('-crldays', '30')):
        """Writes NAME.crl, the list of these certificates and no others."""
        (self.dir / 'index').write_text(''.join(f'R\t491231000000Z\t200101000000Z\t{s:04X}\tunknown\t/CN={s}\n'
                                                for s in serials), encoding='utf-8')
        (self.dir / 'ca.conf').write_text('[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\n',
                                          encoding='utf-8')
        self.openssl('ca', '-gencrl', '-config', 'ca.conf', '-cert', f'{self.name}.pem', '-keyfile',
                     f'{self.name}.key', *times, '-out', f'{self.name}.crl.new')
        (self.dir / f'{self.name}.crl.new').rename(self.dir / f'{self.name}.crl')


def run_tests(tests, argument, close):
    """Runs each with a fresh argument(); prints TAP; returns the exit code."""
    failed = 0
    print(f'1..{len(tests)}')
    for n, test in enumerate(tests, 1):
        name = test.__name__.replace('_', ' ')
        scene = None
        try:
            scene = argument()
            test(scene)
            print(f'ok {n} - {name}')
        except Skip as why:
            print(f'ok {n} - {name} # SKIP {why}')
        except Exception:  # pylint: disable=broad-except
            failed = 1
            print(f'not ok {n} - {name}')
            print(''.join(f'# {line}\n' for line in traceback.format_exc(-2).splitlines()), end='')
            if scene is not None:
                print(''.join(f'# log: {line}\n' for line in scene.log().splitlines()), end='')
        finally:
            if scene is not None:
                close(scene)
        sys.stdout.flush()
    return failed
