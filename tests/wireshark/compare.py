#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two decoders, one result: every message of the test vectors, valid or not, is put into captures,
dissected by tshark with the Lua script, decoded by `mikey-ticket decode --json`, and compared field
by field. Also every prefix of some messages, because a dissector must not fail on any octets.

Usage: compare.py MIKEY-TICKET SCRIPT FILE_OR_FOLDER...  Prints TAP; skips when there is no tshark."""
import base64
import copy
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import capture
import fields

BATCH = 16  # messages that one run of decode takes
LONGEST = 12000  # octets of a message, so that a batch is not too long for it
SHOWN = 10  # mismatches printed of a test


def messages_of(vectors):
    """(name, octets) of everything that is a message in the files, and below the folders."""
    valid, invalid = [], []
    places = [pathlib.Path(place) for place in vectors]
    for path in sorted(p for place in places
                       for p in ([place] if place.is_file() else place.rglob("*.json"))):
        data = json.loads(path.read_text())
        if not isinstance(data, dict) or "kind" not in data:
            continue
        name = f"{path.parent.name}/{path.stem}"
        valid += [(f"{name} {m['name']}", bytes.fromhex(m["hex"])) for m in data.get("messages", [])]
        valid += [(f"{name} {n}", bytes.fromhex(s["hex"])) for n, s in data.get("stages", {}).items()]
        invalid += [(f"{name} {v['stage']} {v['name']}", bytes.fromhex(v["hex"]))
                    for v in data.get("variants", []) if v.get("hex")]
    return valid, [(name, octets) for name, octets in invalid if len(octets) <= LONGEST]


def prefixes(messages):
    """Every shorter prefix of one message for each data type."""
    seen = {}
    for name, octets in messages:
        if len(octets) > 2 and octets[0] == 1 and len(octets) < 1000:
            seen.setdefault(octets[1], (name, octets))
    return [(f"{name} cut at {n}", octets[:n]) for name, octets in seen.values()
            for n in range(1, len(octets))]


def payload_in_payload(depth):
    """A TP whose TP Data holds a TP, and so on; the innermost announces a payload (RAND) that is
    not there."""
    inner = bytes([11])
    for _ in range(depth):
        inner = bytes([16]) + bytes.fromhex("00 0001 01 01 01bfe0") + \
            len(inner).to_bytes(2, "big") + inner
    return f"TP in TP, {depth} deep", bytes.fromhex("010b100000000001 00 01") + inner[1:]


def message_in_message(depth):
    """A message with a compatibility ticket that holds such a message, and so on; the innermost has
    a RAND."""
    message = bytes.fromhex("01000b0000000001 00 01 00 02aabb")
    for _ in range(depth):
        message = bytes.fromhex("0100110000000001 00 01 00 f001 01 01 000900 0001 00") + \
            len(message).to_bytes(2, "big") + message + bytes(2)
    return f"message in message, {depth} deep", message


# Framing that no vector has.
ODD = [payload_in_payload(depth) for depth in range(1, 8)] + \
    [message_in_message(depth) for depth in range(8)] + [
    ("compatibility ticket of another subtype",
     bytes.fromhex("0100110000000001000100f001030100090000010000" "03aabbcc" "0000")),
    ("compatibility ticket without a header",
     bytes.fromhex("0100110000000001000100f001010100090000010000" "03010000" "0000")),
    ("compatibility ticket without anything",
     bytes.fromhex("0100110000000001000100f001010100090000010000" "00" "0000")),
    ("reference ticket without anything",
     bytes.fromhex("0100110000000001000100f000010100090000010000" "00" "0000")),
    ("key in the clear", bytes.fromhex("010001000000000100010000000d003100022b7e0002151602abcd00")),
    ("key with octets behind", bytes.fromhex("010001000000000100010000000900000002aabb01020300")),
    ("unknown Encr alg", bytes.fromhex("0100010000000001000100ff0003aabbcc00")),
    ("ticket of another type", bytes.fromhex("01001100000000010001"
                                             "00ff0001000102000001000002abcd0000")),
    ("SAKKE", bytes.fromhex("011a1a000000000100010001020304")),
    ("32-bit time in 2036", bytes.fromhex("0100050000000001000100037fffffff")),
]


def decode(program, messages):
    """What `mikey-ticket decode --json` says of each message: its JSON, with "message"."""
    found = []
    for at in range(0, len(messages), BATCH):
        lines = [f"a=key-mgmt:mikey {base64.b64encode(m).decode()}"
                 for _, m in messages[at:at + BATCH]]
        run = subprocess.run([program, "decode", "--json", "-"], input="\r\n".join(lines),
                             capture_output=True, text=True, check=False)
        found += json.loads(run.stdout)["messages"]
    return found


def dissect(script, frames, *filters):
    """The mikey_ticket trees of a capture, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "messages.pcap")
        capture.write(path, frames)
        run = subprocess.run(
            ["tshark", "-r", path, "-X", f"lua_script:{script}", "-T", "pdml", "-d",
             f"tcp.port=={capture.HTTP_PORT},http", *filters],
            capture_output=True, check=False, env={**os.environ, "HOME": folder, "TZ": "UTC"})
    if run.returncode != 0 or b"Lua Error" in run.stdout or b"lua:" in run.stderr.lower():
        raise fields.Mismatch(f"tshark: {run.stderr.decode()[-400:]}")
    return [p for p in ElementTree.fromstring(run.stdout).iter("proto")
            if p.get("name") == "mikey_ticket"]


def agree(decoded, proto):
    """Number of fields that are the same; raises Mismatch."""
    shown = fields.Dissected(proto)
    message = decoded["message"]
    if message is None:
        if shown.whole or shown.out[".payloads.count"] > 0:
            raise fields.Mismatch("JSON shows nothing; the dissector finds no fault in it")
        return 1
    chain = [message["hdr"], *message["payloads"]]
    ended = chain[-1].get("next", 0) == 0
    whole = ended and (decoded["error"] is None or decoded["read_octets"] == message["octets"])
    if whole != shown.whole:
        raise fields.Mismatch(f"JSON: {decoded['error']}; the dissector finds it "
                              f"{'whole' if shown.whole else 'malformed'}")
    return fields.compare(message, shown) + 1


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def result(self, name, problems):
        self.n += 1
        self.failed += bool(problems)
        print(f"{'not ok' if problems else 'ok'} {self.n} - {name}")
        for line in problems[:SHOWN]:
            print(f"# {line}")

    def compare(self, name, script, messages, decoded, carry):
        """One test: all messages in one capture, each carried by carry(octets, its own port)."""
        frames = [f for i, (_, octets) in enumerate(messages)
                  for f in carry(octets, 10000 + i % 50000)]
        problems, count = [], 0
        try:
            protos = dissect(script, frames)
            if len(protos) != len(messages):
                problems.append(f"{len(protos)} of {len(messages)} messages were dissected")
        except fields.Mismatch as e:
            protos, problems = [], [str(e)]
        for (which, _), want, proto in zip(messages, decoded, protos):
            try:
                count += agree(want, proto)
            except fields.Mismatch as e:
                problems.append(f"{which}: {e}")
        self.result(f"{name}: {len(messages)} messages, {count} fields", problems)


def noticed(decoded, proto, change):
    """True if a change of either side is a mismatch."""
    decoded, proto = copy.deepcopy(decoded), copy.deepcopy(proto)
    change(decoded["message"]["payloads"][0], proto)
    try:
        agree(decoded, proto)
    except fields.Mismatch:
        return True
    return False


def set_field(proto, name, attribute, value):
    """Of the first field of that name; value None: takes the field away."""
    for parent in proto.iter():
        for node in parent:
            if node.get("name") == fields.PREFIX + name:
                return parent.remove(node) if value is None else node.set(attribute, value)
    raise KeyError(name)


# What the comparison must notice: name -> change(first payload of JSON, which is T; PDML)
CHANGES = {
    "a number": lambda pl, _: pl.update(ts_type=1),
    "a name": lambda pl, _: pl.update(ts_type_name="NTP"),
    "octets": lambda pl, _: pl.update(value_hex="00"),
    "a time": lambda pl, _: pl.update(utc="2011-03-08T01:08:18Z"),
    "a key that is missing in JSON": lambda pl, _: pl.pop("utc"),
    "a key that is new in JSON": lambda pl, _: pl.update(leap=0),
    "a field that is missing in the capture": lambda _, p: set_field(p, "ts.utc", "", None),
    "a payload that is missing in the capture": lambda _, p: set_field(p, "t", "", None),
    "a field that the tables do not know": lambda _, p: set_field(p, "ts.value", "name", "x"),
    "a wrong length": lambda _, p: set_field(p, "rand.rand_len", "show", "15"),
    "a wrong First Payload": lambda _, p: set_field(p, "ticket.tp_data_first", "showname",
                                                    "First Payload: T (5)"),
    "a wrong flag": lambda _, p: set_field(p, "ticket.flag_i", "show", "0"),
}


def self_test(tap, script, decoded, message):
    """With one message that has a ticket: nothing may slip through."""
    proto = dissect(script, capture.over_udp(message, 10000))[0]
    tap.result("the message of the self-test is the same for both",
               [] if agree(decoded, proto) > 1 else ["no field"])
    for name, change in CHANGES.items():
        tap.result(f"notices {name}", [] if noticed(decoded, proto, change) else ["it did not"])


def main(program, script, vectors):
    if shutil.which("tshark") is None:
        print("1..0 # SKIP tshark is not installed")
        return 0
    tap = Tap()
    valid, invalid = messages_of(vectors)
    cut = prefixes(valid)
    decoded = decode(program, valid)
    tap.result("there are vectors", [] if valid and invalid else ["none found"])
    ticket = next(i for i, (name, _) in enumerate(valid) if name.endswith(" TRANSFER_INIT"))
    self_test(tap, script, decoded[ticket], valid[ticket][1])
    tap.compare("UDP port 2269", script, valid, decoded, capture.over_udp)
    tap.compare("TCP port 2269", script, valid, decoded, capture.over_tcp)
    tap.compare("HTTP, octets", script, valid, decoded,
                lambda m, port: capture.over_http(m, port, False))
    tap.compare("HTTP, base64", script, valid, decoded,
                lambda m, port: capture.over_http(m, port, True))
    tap.compare("SDP in SIP", script, valid, decoded, capture.over_sip)
    tap.compare("invalid messages", script, invalid, decode(program, invalid), capture.over_udp)
    tap.compare("odd framing", script, ODD, decode(program, ODD), capture.over_udp)
    tap.compare("messages cut at every octet", script, cut, decode(program, cut), capture.over_udp)
    print(f"1..{tap.n}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
