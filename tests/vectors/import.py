#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Take test vectors into the project: import.py FOLDER, the folder being one with the layout of
../shared/vectors. Positive vectors are copied whole, without white space. Of the invalid messages
one is taken for each different reason at each step, spread over the files in turn, so that both
suites and both kinds of key exchange keep their share; the few that are very long stay out."""
import json
import pathlib
import shutil
import sys

LONGEST = 4096  # octets of an invalid message
HERE = pathlib.Path(__file__).resolve().parent


def write(path, data):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(data, separators=(",", ":"), ensure_ascii=False) + "\n")


def is_vector(data):
    return isinstance(data, dict) and "kind" in data


def select(files):
    """Keep one variant for each (step, reason); a file gives one only when it is its turn."""
    having = {}
    for name, data in files.items():
        for variant in data["variants"]:
            if len(variant.get("hex", "")) > 2 * LONGEST:
                continue
            having.setdefault((variant["stage"], variant["why"]), []).append((name, variant))
    kept = {name: [] for name in files}
    for turn, choices in enumerate(having.values()):
        names = sorted({name for name, _ in choices})
        name = names[turn % len(names)]
        kept[name].append(next(v for n, v in choices if n == name))
    return kept


def main(source):
    for old in HERE.rglob("*.json"):
        old.unlink()
    negative = {}
    for path in sorted(source.rglob("*.json")):
        data = json.loads(path.read_text())
        if not is_vector(data):
            continue
        if data["kind"] == "negative":
            negative[path.name] = data
        else:
            write(HERE / path.name, data)
    for name, variants in select(negative).items():
        write(HERE / "negative" / name, {**negative[name], "variants": variants})
    if (source / "pki").is_dir():
        shutil.copytree(source / "pki", HERE / "pki", dirs_exist_ok=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
