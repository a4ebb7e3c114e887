#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What somebody finds who has everything that a mailbox keeps, or all that its network carried.

Opens each sealed object of a folder as its recipient would, with an implementation of its own
(tests/peer), and so has the keys. Then looks for them, and for the speech, in the folder and in
other files: as octets, as hex, as base64. Usage: mailbox.py FOLDER CREDENTIAL KMS-UDP SPEECH [FILE...]
"""

import base64
import random
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'peer'))
from sealed import SUITES, Chance, Opener, split, unseal  # noqa: E402


def ask(url, octets):
    host, port = url.removeprefix('udp://').rstrip('/').rsplit(':', 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(octets, (host, int(port)))
        return s.recv(65535)


def forms(octets):
    """A run of octets in each way that it may stand in a file."""
    yield octets
    yield octets.hex().encode()
    yield octets.hex().upper().encode()
    for shift in range(3):  # the characters that do not depend on what stands beside
        text = base64.b64encode(bytes(shift) + octets)
        yield text[-(-shift * 8 // 6):len(text) // 4 * 4 - 4]


def main():
    folder, credential, kms, speech, *others = sys.argv[1:]
    said = dict(line.split(': ', 1) for line in Path(credential).read_text().splitlines() if ': ' in line)
    said = {k: v.strip('"') for k, v in said.items()}
    speech = Path(speech).read_bytes()
    objects = sorted(Path(folder).rglob('*.kept'))
    secrets = {'the key of Bob': bytes.fromhex(said['psk'])}
    for file in objects:
        bob = Opener(Chance(random.Random(1)), said['identity'], said['kms'], bytes.fromhex(said['psk']),
                     said['psk-id'].encode(), SUITES[said['suite'] == '256'])
        octets = file.read_bytes()
        bob.resolved(ask(kms, bob.resolve(split(octets)[0])))
        assert unseal(octets, *bob.keys())[1] == speech, f'{file.name} is not what was said'
        secrets[f'key of {file.name}'], _ = bob.keys()
        secrets[f'GTGK of {file.name}'] = bob.session_keys[0][1]
        secrets[f'MPKi of {file.name}'] = bob.mpki
    for at in range(100, len(speech) - 32, 4000):
        if len(set(speech[at:at + 24])) > 12:  # not of silence
            secrets[f'speech at {at}'] = speech[at:at + 24]
    looked = [f for f in Path(folder).rglob('*') if f.is_file()] + [Path(o) for o in others]
    assert objects and len(secrets) > 10 and looked
    for file in looked:
        octets = file.read_bytes()
        for what, secret in secrets.items():
            assert not any(form in octets for form in forms(secret)), f'{what} in {file}'
    print(f'{len(objects)} objects, {len(secrets)} secrets, in none of {len(looked)} files')


main()
