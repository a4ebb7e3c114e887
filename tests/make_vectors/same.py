#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The published vectors are those that the code makes: same.py MKT-MAKE-VECTORS FOLDER makes them
again and compares the octets. Prints TAP. To renew them: mkt-make-vectors docs/vectors."""
import pathlib
import subprocess
import sys
import tempfile


def main(maker, folder):
    published = {p.name: p.read_bytes() for p in pathlib.Path(folder).glob("*.json")}
    made = [None, None]
    for i in range(2):
        with tempfile.TemporaryDirectory() as tmp:
            subprocess.run([maker, tmp], check=True)
            made[i] = {p.name: p.read_bytes() for p in pathlib.Path(tmp).glob("*.json")}
    differ = sorted(n for n in made[0].keys() | published.keys()
                    if made[0].get(n) != published.get(n))
    tests = [("two runs make the same octets", made[0] == made[1] and len(made[0]) > 0),
             (f"they are the {len(published)} published vectors", not differ)]
    print(f"1..{len(tests)}")
    for n, (name, good) in enumerate(tests, 1):
        print(f"{'ok' if good else 'not ok'} {n} - {name}")
    for name in differ:
        print(f"# {name} differs")
    return 0 if all(good for _, good in tests) else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
