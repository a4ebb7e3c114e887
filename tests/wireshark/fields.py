# SPDX-License-Identifier: Apache-2.0
"""Which field of the dissector is which key of `mikey-ticket decode --json`, and both sides brought
to one form: a dict of path -> value. Octets are hex, numbers are numbers. A field or key that no
table names raises, so neither decoder can show something the comparison does not look at."""
import datetime
import re

PREFIX = "mikey_ticket."

# A payload of the dissector -> its name in JSON.
PAYLOADS = {
    "kemac": "KEMAC", "pke": "PKE", "dh": "DH", "sign": "SIGN", "t": "T", "id": "ID",
    "cert": "CERT", "chash": "CHASH", "v": "V", "sp": "SP", "rand": "RAND", "err": "ERR",
    "tr": "TR", "idr": "IDR", "randr": "RANDR", "tp": "TP", "ticket": "TICKET",
    "key_data": "Key Data", "ext": "General Ext.", "thdr": "THDR",
}

# Field of the dissector -> (key in JSON, what it is).
NUMBER, NAMED, OCTETS, LENGTH, TEXT, TIME = "number", "named", "octets", "length", "text", "time"
ELEMENT, CHAIN, FIRST, MESSAGE = "element", "chain", "first payload of", "message"
FIELDS = {
    "next": ("next", NAMED),
    "hdr.version": ("version", NUMBER),
    "hdr.data_type": ("data_type", NAMED),
    "hdr.next": ("next", NAMED),
    "hdr.v": ("v", NUMBER),
    "hdr.prf": ("prf", NAMED),
    "hdr.csb_id": ("csb_id", NUMBER),
    "hdr.n_cs": ("n_cs", NUMBER),
    "hdr.map_type": ("map_type", NAMED),
    "hdr.cs.id": ("cs_id", NUMBER),
    "hdr.cs.prot_type": ("prot_type", NAMED),
    "hdr.cs.s": ("s", NUMBER),
    "hdr.cs.n_policies": ("policies", LENGTH),
    "hdr.cs.policy_no": ("policies", ELEMENT),
    "hdr.cs.session_data_len": ("session_data", LENGTH),
    "hdr.cs.session_data": ("session_data", OCTETS),
    "hdr.cs.ssrc": ("ssrc", NUMBER),
    "hdr.cs.roc": ("roc", NUMBER),
    "hdr.cs.seq": ("seq", NUMBER),
    "hdr.cs.spi_len": ("spi", LENGTH),
    "hdr.cs.spi": ("spi", OCTETS),
    "kemac.encr_alg": ("encr_alg", NAMED),
    "kemac.encr_data_len": ("encr_data", LENGTH),
    "kemac.encr_data": ("encr_data", OCTETS),
    "kemac.keys": ("keys", CHAIN),
    "kemac.mac_alg": ("mac_alg", NAMED),
    "kemac.mac": ("mac", OCTETS),
    "pke.c": ("c", NAMED),
    "pke.data_len": ("data", LENGTH),
    "pke.data": ("data", OCTETS),
    "dh.group": ("group", NAMED),
    "dh.value": ("value", OCTETS),
    "dh.reserv": ("reserv", NUMBER),
    "sign.s_type": ("s_type", NAMED),
    "sign.signature_len": ("signature", LENGTH),
    "sign.signature": ("signature", OCTETS),
    "ts.role": ("role", NAMED),
    "ts.type": ("ts_type", NAMED),
    "ts.value": ("value", OCTETS),
    "ts.utc": ("utc", TIME),
    "ts.counter": ("counter", NUMBER),
    "ts.seconds": ("seconds", NUMBER),
    "id.role": ("role", NAMED),
    "id.type": ("id_type", NAMED),
    "id.data_len": ("data", LENGTH),
    "id.data": ("data", OCTETS),
    "id.octets": ("data", OCTETS),
    "cert.type": ("cert_type", NAMED),
    "cert.data_len": ("data", LENGTH),
    "cert.data": ("data", OCTETS),
    "chash.hash_func": ("hash_func", NAMED),
    "chash.hash": ("hash", OCTETS),
    "v.auth_alg": ("auth_alg", NAMED),
    "v.mac": ("mac", OCTETS),
    "sp.policy_no": ("policy_no", NUMBER),
    "sp.prot_type": ("prot_type", NAMED),
    "sp.params_len": ("params", LENGTH),
    "sp.param.type": ("type", NUMBER),
    "sp.param.srtp_type": ("type", NAMED),
    "sp.param.len": ("value", LENGTH),
    "sp.param.value": ("value", NUMBER),
    "sp.param.octets": ("value", OCTETS),
    "rand.role": ("role", NAMED),
    "rand.rand_len": ("rand", LENGTH),
    "rand.rand": ("rand", OCTETS),
    "err.error_no": ("error_no", NAMED),
    "err.reserved": ("reserved", NUMBER),
    "ext.type": ("ext_type", NAMED),
    "ext.data_len": ("data", LENGTH),
    "ext.text": ("data", OCTETS),
    "ext.data": ("data", OCTETS),
    "thdr.data_len": ("data", LENGTH),
    "thdr.data": ("data", OCTETS),
    "key.type": ("type", NAMED),
    "key.key_len": ("key.octets", NUMBER),
    "key.salt_len": ("salt.octets", NUMBER),
    "kv.kv": ("kv", NAMED),
    "kv.spi_len": ("spi", LENGTH),
    "kv.spi": ("spi", OCTETS),
    "kv.from_len": ("from", LENGTH),
    "kv.from": ("from", OCTETS),
    "kv.to_len": ("to", LENGTH),
    "kv.to": ("to", OCTETS),
    "ticket.type": ("ticket_type", NAMED),
    "ticket.subtype": ("subtype", NUMBER),
    "ticket.version": ("version", NUMBER),
    "ticket.prf": ("prf", NAMED),
    "ticket.flags": ("flags", TEXT),
    "ticket.res": ("res", NUMBER),
    "ticket.tp_data_len": ("tp_data", LENGTH),
    "ticket.tp_data": ("tp_data", CHAIN),
    "ticket.ticket_data_len": ("ticket_data", LENGTH),
    "ticket.ticket_data": ("ticket_data", CHAIN),
    "ticket.other_data": ("ticket_data", OCTETS),
    "ticket.message": ("ticket_data", MESSAGE),
    "ticket.initiator_data_len": ("initiator_data", LENGTH),
    "ticket.initiator_data": ("initiator_data", CHAIN),
    "ticket.tp_data_first": ("tp_data", FIRST),
    "ticket.initiator_data_first": ("initiator_data", FIRST),
}
FIELDS.update({f"ticket.flag_{c.lower()}": (f"flag_words.{c}", NUMBER) for c in "DEFGHIJKLMNO"})

# Octets that a length counts under another name: NULL-encrypted Encr data is a chain of keys.
COUNTED_BY = {"keys": "encr_data"}
# What Wireshark and the dissector add to something malformed.
MARKS = ("_ws.expert", "_ws.malformed", "undissected")
# An algorithm with number 0 has no octets.
NULL_OF = {"kemac.mac_alg": "mac", "v.auth_alg": "mac"}
# Keys of JSON that are about the RFC, or words for a bit, and have no counterpart in a capture.
PROSE = re.compile(r"\.ref$|\.flag_words\.[D-O]_name$")
# What JSON says of a number without a name; Wireshark says Unknown.
NO_NAME = {"unassigned": "Unknown", "unknown": "Unknown"}


class Mismatch(Exception):
    """The two decoders differ, or one shows what the tables do not know."""


# --- JSON -------------------------------------------------------------------------------------------


def from_json(value, path, out):
    """Puts the leaves of a decoded message into out: path -> value."""
    if isinstance(value, list):
        out[f"{path}.count"] = len(value)
        for i, item in enumerate(value):
            from_json(item, f"{path}[{i}]", out)
    elif not isinstance(value, dict):
        out[path] = int(value) if isinstance(value, bool) else value
    elif "error" in value and "rest_octets" in value:
        out[f"{path}.refused"] = value["rest_octets"]
    else:
        for key, item in value.items():
            if not PROSE.search(f"{path}.{key}") and f"{key}_octets" not in value:
                member(key, item, path, out)


def member(key, item, path, out):
    whole = f"{path}.{key}"
    if key.endswith("_hex"):
        out[whole[:-len("_hex")]] = item
    elif key.endswith("_octets"):  # hidden: only how many
        out[f"{whole[:-len('_octets')]}.octets"] = item
    elif key.endswith("_name"):
        out[f"{whole[:-len('_name')]}.name"] = NO_NAME.get(item, item)
    elif key == "data" and isinstance(item, str):  # octets that can be read
        out[whole] = item.encode("ascii").hex()
    else:
        from_json(item, whole, out)


# --- PDML -------------------------------------------------------------------------------------------


def name_of(node):
    name = node.get("name")
    return name[len(PREFIX):] if name.startswith(PREFIX) else name


def is_marked(node):
    """Has the mark "malformed" itself; marks deeper down belong to nested payloads."""
    return any(e.get("name") == "_ws.expert" and any(name_of(f) == "malformed" for f in e)
               for e in node)


def given_up(node):
    return next(int(f.get("show")) for f in node if name_of(f) == "undissected")


def label_of(node):
    """ "Type: TGK (0)" -> TGK"""
    found = re.search(r": (.*) \(\d+\)$", node.get("showname"))
    if not found:
        raise Mismatch(f"{node.get('name')} has no name: {node.get('showname')}")
    return "Unknown" if found.group(1).startswith("Unknown") else found.group(1)


def time_of(show):
    text = re.sub(r"\.\d+", "", show)
    for form in ("%b %d, %Y %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.datetime.strptime(text, form).strftime("%Y-%m-%dT%H:%M:%SZ")
        except ValueError:
            continue
    raise Mismatch(f"cannot read the time {show}")


class Dissected:
    """One message of the dissector, in the form of from_json. `checks` counts what has no key in
    JSON, lengths and First Payloads: they are compared with what they announce."""

    def __init__(self, proto):
        self.out, self.sizes, self.lengths, self.checks = {}, {}, {}, 0
        self.whole = not is_marked(proto) and not any(is_marked(n) for n in proto)
        self.out[".octets"] = int(proto.get("size"))
        header = next(n for n in proto if name_of(n) == "hdr")
        self.base = int(header.get("pos"))  # the tree itself may stand elsewhere: in text
        if is_marked(header):  # JSON shows nothing of such a message
            self.whole, self.out[".payloads.count"] = False, 0
            return
        self.header(header, "")
        for key in (".data_type", ".data_type.name"):
            self.out[key] = self.out.get(f".hdr{key}")
        self.chain([n for n in proto if name_of(n) in PAYLOADS and not is_marked(n)], ".payloads")
        self.settle()

    def check(self, good, what):
        self.checks += 1
        if not good:
            raise Mismatch(what)

    def settle(self):
        """Each length counts the octets that are shown; octets that are not there are empty."""
        for where, n in self.lengths.items():
            self.check(n == self.sizes.get(where, 0), f"{where}: {n} octets announced, not shown")
            if n == 0 and f"{where}.count" not in self.out:
                self.out[where] = ""

    def header(self, node, where):
        sessions = [n for n in node if name_of(n) == "hdr.cs"]
        self.fields([n for n in node if n not in sessions], f"{where}.hdr")
        if self.out.get(f"{where}.hdr.map_type.name") != "Empty map":
            self.out[f"{where}.hdr.map.count"] = len(sessions)
        for i, session in enumerate(sessions):
            path = f"{where}.hdr.map[{i}]"
            self.out[f"{path}.policies.count"] = 0
            self.fields(session, path)
            for key in ("ssrc", "roc", "seq"):  # Session Data of SRTP is shown as these
                self.size(f"{path}.session_data", self.sizes.get(f"{path}.{key}", 0))

    def chain(self, nodes, path):
        self.out[f"{path}.count"] = len(nodes)
        for i, node in enumerate(nodes):
            self.payload(node, f"{path}[{i}]")

    def payload(self, node, path):
        name = name_of(node)
        if is_marked(node):
            self.out[f"{path}.refused"] = given_up(node)
            return
        if name not in PAYLOADS:
            raise Mismatch(f"{path}: the tables do not know {node.get('name')}")
        self.out[f"{path}.payload"] = PAYLOADS[name]
        self.out[f"{path}.offset"] = int(node.get("pos")) - self.base
        params = [n for n in node if name_of(n) == "sp.param"]
        self.fields([n for n in node if n not in params], path)
        if name == "sp":
            self.out[f"{path}.params.count"] = len(params)
            for i, param in enumerate(params):
                self.fields(param, f"{path}.params[{i}]")
                self.size(f"{path}.params", int(param.get("size")))

    def nested(self, node, path):
        """A chain in a payload. A mark of its own means that it was only counted, or that it
        announces a payload where there is nothing left."""
        nodes = [n for n in node if name_of(n) not in MARKS and name_of(n) != "hdr" and
                 not name_of(n).endswith("_first")]
        if is_marked(node) and given_up(node) > 0:
            self.out[f"{path}.octets"] = given_up(node)
            return
        self.chain(nodes, path)
        if is_marked(node):
            self.out[f"{path}[{len(nodes)}].refused"] = 0
            self.out[f"{path}.count"] += 1
        first = [n for n in node if name_of(n).endswith("_first")]
        if first and nodes and not is_marked(nodes[0]):
            self.check(label_of(first[0]) == PAYLOADS[name_of(nodes[0])], f"{path}: First Payload")

    def message(self, node, path):
        """A whole message in a payload."""
        header = next((n for n in node if name_of(n) == "hdr"), None)
        if header is None:  # too deep: it was only counted
            self.nested(node, path)
        elif is_marked(header):
            self.out[f"{path}.refused"] = given_up(header)
        else:
            self.header(header, path)
            self.nested(node, f"{path}.payloads")

    def size(self, where, n):
        self.sizes[where] = self.sizes.get(where, 0) + n

    def fields(self, nodes, path):
        for node in nodes:
            name = name_of(node)
            if name in MARKS:
                continue
            if name not in FIELDS:
                raise Mismatch(f"{path}: the tables do not know {node.get('name')}")
            key, kind = FIELDS[name]
            if kind != LENGTH:
                self.size(f"{path}.{COUNTED_BY.get(key, key)}", int(node.get("size")))
            self.field(node, kind, f"{path}.{key}")
            if name in NULL_OF and self.out[f"{path}.{key}"] == 0:
                self.out[f"{path}.{NULL_OF[name]}"] = ""

    def field(self, node, kind, where):
        show = node.get("show")
        if kind in (NUMBER, NAMED):
            self.out[where] = int(show, 0)
        if kind == NAMED:
            self.out[f"{where}.name"] = label_of(node)
        elif kind == OCTETS:
            self.out[where] = node.get("value")
        elif kind == TEXT:
            self.out[where] = show
        elif kind == TIME:
            self.out[where] = time_of(show)
        elif kind == LENGTH:
            self.lengths[where] = int(show)
        elif kind == CHAIN:
            self.nested(node, where)
        elif kind == MESSAGE:
            self.message(node, where)
        elif kind == ELEMENT:
            self.out[f"{where}[{self.out[where + '.count']}]"] = int(show)
            self.out[f"{where}.count"] += 1
        elif kind == FIRST:
            raise Mismatch(f"{where}: First Payload outside its chain")


# --- both -------------------------------------------------------------------------------------------


def compare(decoded, dissected):
    """Returns how many fields were compared; raises Mismatch with all that differ."""
    want = {}
    from_json(decoded, "", want)
    have, wrong = dict(dissected.out), []
    for path in [p for p in want if p.endswith(".octets") and p != ".octets"]:
        octets = have.get(path[:-len(".octets")])
        if isinstance(octets, str):  # JSON hides what the capture shows: how much is the same
            have[path] = len(octets) // 2
            del have[path[:-len(".octets")]]
    for path in sorted(want.keys() | have.keys()):
        if want.get(path) != have.get(path) or (path in want) != (path in have):
            wrong.append(f"{path}: JSON {want.get(path, 'absent')}, "
                         f"dissector {have.get(path, 'absent')}")
    if wrong:
        raise Mismatch("; ".join(wrong[:5]) + (" ..." if len(wrong) > 5 else ""))
    return len(want) + dissected.checks
