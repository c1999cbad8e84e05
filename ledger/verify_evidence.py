"""Checks a bundle of evidence from an ncen node, on any machine: python verify_evidence.py BUNDLE [--key KEY].

It needs Python 3.9 or newer and the package `cryptography`, reads one file and writes nothing. Everything in the bundle
is checked and nothing in it is believed: what it says is proven follows from the bytes, from the signatures, and from
the public keys, whose fingerprints are to be compared over another channel or given with --key. It ends with 0 when
all is proven, with 1 when anything is refuted, with 2 when there is nothing to read. The formats are told byte by byte
in the node's documentation: reference/leaf.md and reference/evidence.md.
"""

# ruff: noqa: ANN401  # what a bundle holds may be of any shape until it was looked at

import argparse
import base64
import binascii
import datetime as dt
import hashlib
import json
import re
import struct
import sys
import uuid
from pathlib import Path
from typing import Any  # it runs on Python 3.9

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

FORMAT = "ncen-evidence/1"
MOST_BYTES, MOST_BODY_BYTES = 64 * 1024 * 1024, 5 * 1024 * 1024
MOST_PARTS = 1_000_000  # lists, maps and what stands between their commas
MOST_ENTRIES, MOST_SUCCESSIONS = 10_000, 1_000
MOST_VALUES, MOST_DEPTH = 1_000_000, 100  # in all bodies together
HASH = 32
B64 = "[A-Za-z0-9+/]{43}="
NAME = r"ncen/[A-Z0-9-]{2,12}"
CHECKPOINT = re.compile(rf"({NAME})\n([1-9][0-9]{{0,15}})\n({B64})\n")
SUCCESSION = re.compile(
    rf"({NAME}) key succession\n([1-9][0-9]{{0,5}})\nold ({B64})\nnew ({B64})\nsize (0|[1-9][0-9]{{0,15}})\n"
    rf"at ([0-9]{{1,12}})\nbecause (rotated|revoked|lost\nkept {B64}\nlost [1-9][0-9]{{0,15}} {B64})\n"
)
LINE = re.compile(rf"\u2014 ({NAME}) ([A-Za-z0-9+/=]+)")


class Refuted(Exception):  # noqa: N818  # the answer, not a fault
    """Something in the bundle does not hold."""


def require(is_so: bool, sentence: str) -> None:
    """Refute the bundle with this sentence unless it is so."""
    if not is_so:
        raise Refuted(sentence)


def matched(pattern: "re.Pattern[str]", text: str, sentence: str) -> "re.Match[str]":
    """Refute the bundle with this sentence unless the whole text has this form."""
    found = pattern.fullmatch(text)
    if found is None:
        raise Refuted(sentence)
    return found


# ---------------------------------------------------------------- reading


def bundle_of(raw: bytes) -> dict[str, Any]:
    """Read a bundle; a part that is named twice, or is no JSON, refutes it, and so does what takes no bundle's room."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        require(len(dict(pairs)) == len(pairs), "A part of the bundle is named twice.")
        return dict(pairs)

    def number(text: str) -> int:
        require(len(text) < 20, "A number in the bundle has more digits than any position.")
        return int(text)

    many = sum(raw.count(sign) for sign in (b",", b"[", b"{"))
    require(len(raw) <= MOST_BYTES and many <= MOST_PARTS, "The bundle is larger, or has more parts, than any.")
    try:
        told = json.loads(
            raw.decode("utf-8"), object_pairs_hook=once, parse_int=number, parse_float=number, parse_constant=number
        )
    except (ValueError, RecursionError):
        raise Refuted("The bundle is not JSON.") from None
    parts(told, "the bundle", {"format", "checkpoint", "key", "successions", "witnesses", "entries"}, set())
    require(told["format"] == FORMAT, f"The bundle is not of the form {FORMAT}.")
    return dict(told)


def parts(told: Any, what: str, needed: set[str], allowed: set[str]) -> None:
    """Require that a map has these parts and no others."""
    require(isinstance(told, dict), f"{what} is not a map.")
    require(needed <= told.keys() <= needed | allowed, f"{what} has other parts than it should have.")


def listed(told: Any, what: str) -> list[Any]:
    """Require a list."""
    require(isinstance(told, list), f"{what} is not a list.")
    return list(told)


def bytes_of(text: Any, what: str, size: int = 0) -> bytes:
    """Read base64 in its one canonical form."""
    require(isinstance(text, str), f"{what} is not text.")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refuted(f"{what} is not base64.") from None
    require(base64.b64encode(raw).decode() == text, f"{what} is not in its canonical form.")
    require(not size or len(raw) == size, f"{what} does not have {size} bytes.")
    return raw


# ---------------------------------------------------------------- signatures


class Note:
    """A signed note (C2SP): a text, and signature lines, each of which must be accounted for in the end."""

    def __init__(self, signed: Any, what: str) -> None:
        """Take it apart."""
        require(isinstance(signed, str) and len(signed) < 65_536, f"{what} is not a signed note.")
        text, divider, below = signed.partition("\n\n")
        require(bool(divider) and below.endswith("\n"), f"{what} is not a signed note.")
        self.text, self.what = text + "\n", what
        self.lines: dict[tuple[str, bytes], bytes] = {}
        for line in below[:-1].split("\n"):
            found = matched(LINE, line, f"{what} has a signature line that is not one.")
            raw = bytes_of(found[2], f"a signature of {what}")
            require((found[1], raw[:4]) not in self.lines, f"{what} is signed twice by one key.")
            self.lines[found[1], raw[:4]] = raw[4:]

    def signed_by(self, name: str, key: bytes) -> None:
        """Require the signature of a key (Ed25519, type 1)."""
        self._check(key, self._line(name, key, b"\x01", 64), self.text.encode())

    def cosigned_by(self, name: str, key: bytes) -> int:
        """Require the cosignature of a key (tlog-cosignature, type 4); return when it was made, in seconds."""
        line = self._line(name, key, b"\x04", 72)
        at_s = int.from_bytes(line[:8], "big")
        self._check(key, line[8:], f"cosignature/v1\ntime {at_s}\n{self.text}".encode())
        return at_s

    def require_nothing_else(self) -> None:
        """Refute lines of keys that the bundle does not name."""
        require(not self.lines, f"{self.what} is signed by a key that the bundle does not name.")

    def _line(self, name: str, key: bytes, kind: bytes, size: int) -> bytes:
        key_id = hashlib.sha256(name.encode() + b"\n" + kind + key).digest()[:4]
        line = self.lines.pop((name, key_id), b"")
        require(len(line) == size, f"{self.what} is not signed by the key of {name}.")
        return line

    def _check(self, key: bytes, signature: bytes, message: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise Refuted(f"A signature of {self.what} does not hold.") from None


def fingerprint(key: bytes) -> str:
    """Return sixteen hex digits that tell a public key."""
    digits = hashlib.sha256(b"ncen key 1 " + key).hexdigest()
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))


def keys_for(told: dict[str, Any], origin: str, size: int) -> list[bytes]:
    """Return the node's keys: first the one that has signed, and counts for, a checkpoint of this size.

    Each succession is signed by both keys, so that whoever knows one of them can believe all.
    """
    key = bytes_of(told["key"], "the node's key", HASH)
    keys, counting, after = [key], [b""][:0], 0
    successions = listed(told["successions"], "the list of successions")
    require(len(successions) <= MOST_SUCCESSIONS, "The bundle names more keys of the node than any.")
    for serial, signed in enumerate(successions, start=1):
        note = Note(signed, f"the succession {serial} of the node's keys")
        found = matched(SUCCESSION, note.text, f"{note.what} does not have the form of one.")
        old, new, until = bytes_of(found[3], "a key", HASH), bytes_of(found[4], "a key", HASH), int(found[5])
        require((found[1], found[2], old) == (origin, str(serial), key), f"{note.what} does not follow upon the last.")
        is_loss = found[7] not in {"rotated", "revoked"}
        require(until >= after or is_loss, f"{note.what} goes back.")
        note.signed_by(origin, old)
        note.signed_by(origin, new)
        note.require_nothing_else()
        counting = ([] if is_loss and size > until else counting) + ([key] if after <= size <= until else [])
        key, after, keys = new, until, [*keys, new]
    counting += [key] if after <= size else []
    lines = Note(told["checkpoint"], "the checkpoint").lines
    signing = [one for one in counting if (origin, key_id(origin, one)) in lines]
    require(bool(signing), "The checkpoint is not signed by the key of the node that counts for its size.")
    return [signing[0], *(one for one in keys if one != signing[0])]


def key_id(name: str, key: bytes) -> bytes:
    """Return the id of a signing key under a name."""
    return hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]


# ---------------------------------------------------------------- entries


def root_of(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """Compute the root that an inclusion proof comes to (RFC 9162, section 2.1.3.2)."""
    node, edge = leaf, size - 1
    for sibling in proof:
        require(edge > 0, "A proof is too long.")
        if index & 1 or index == edge:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while index and not index & 1:
                index, edge = index >> 1, edge >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        index, edge = index >> 1, edge >> 1
    require(edge == 0, "A proof is too short.")
    return node


class Entry:
    """An entry as the bundle shows it; reading it computes its leaf hash."""

    def __init__(self, told: Any) -> None:
        """Read its parts."""
        shown = {"attribution", "attribution_salt", "attribution_hash", "body", "body_hash", "entry_key"}
        parts(told, "an entry", {"position", "header", "proof"}, shown)
        require(type(told["position"]) is int and told["position"] > 0, "A position is not a number from 1 on.")
        self.position: int = told["position"]
        self.header = bytes_of(told["header"], "a header")
        self.read_header()
        self.body = bytes_of(told["body"], "a body") if "body" in told else None
        require(("body" in told) != ("body_hash" in told), "An entry shows its body or the hash of it, not both.")
        require(len(self.body or b"") <= MOST_BODY_BYTES, "A body is larger than any.")
        body = bytes_of(told["body_hash"], "a body's hash", HASH) if self.body is None else sha256(self.body)
        self.by = None
        if "attribution" in told:
            salt = bytes_of(told.get("attribution_salt"), "a salt", 16)
            self.by = bytes_of(told["attribution"], "an attribution")
            require("attribution_hash" not in told, "An entry shows its attribution or the hash of it, not both.")
            attribution = sha256(salt + self.by)
        else:
            require("attribution_salt" not in told, "A salt is shown without its attribution.")
            attribution = bytes_of(told.get("attribution_hash"), "an attribution's hash", HASH)
        self.leaf = sha256(b"\x00" + self.header + body + attribution)
        self.proof = [bytes_of(one, "a hash of a proof", HASH) for one in listed(told["proof"], "a proof")]
        self.opened = self.open(told["entry_key"]) if "entry_key" in told else None

    def read_header(self) -> None:
        """Read what the entry is and where it stands."""
        try:
            form, flags, at_us = struct.unpack_from("!BBq", self.header)
            self.record = uuid.UUID(bytes=self.header[10:26])
            (self.version,) = struct.unpack_from("!I", self.header, 26)
            names, at = [], 30
            for _ in range(2):
                length = self.header[at]
                names.append(self.header[at + 1 : at + 1 + length].decode("ascii"))
                at += 1 + length
            self.at = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=at_us)  # noqa: DTZ001  # UTC
        except (struct.error, IndexError, ValueError, OverflowError):
            raise Refuted("A header does not have the form of one.") from None
        require(form == 1 and flags in {0, 1} and at == len(self.header), "A header does not have the form of one.")
        self.is_personal = bool(flags)
        self.node, self.name = names

    def open(self, told: Any) -> bytes:
        """Open a sealed body with the key of its entry, and require that it is the only key that opens it."""
        secret = bytes_of(told, "the key of an entry", HASH)
        require(self.is_personal and self.body is not None, "A key is shown for a body that is not sealed.")
        body = self.body or b""
        require(len(body) > 65 and body[:1] == b"\x01", "A sealed body does not have the form of one.")
        keys = HKDFExpand(hashes.SHA256(), 64, b"ncen entry sealing v1").derive(secret)
        require(keys[32:] == body[17:49], "The key shown for a body is not the one that it was sealed under.")
        try:
            return AESGCM(keys[:32]).decrypt(bytes(12), body[49:], self.header)
        except InvalidTag:
            raise Refuted("A sealed body was changed, or belongs to another entry.") from None

    def lines(self, values: "Values") -> list[str]:
        """Tell in words what the entry says, as far as it is shown."""
        event = self.opened if self.is_personal else self.body
        said = "sealed; it names somebody, and the key that opens it is not shown" if self.body else "not shown"
        by = "not shown"
        if event is not None:
            content = values.unpacked(event)
            require(isinstance(content, dict) and content.get("event") == self.name, "A body is of another event.")
            said = json.dumps(content, ensure_ascii=True, sort_keys=True)
        if self.by is not None:
            require(self.by[:1] == b"\x01" and len(self.by) > 17, "An attribution does not have the form of one.")
            by = json.dumps(values.unpacked(self.by[17:]), ensure_ascii=True)
        return [
            f"  position {self.position}: {self.name}, version {self.version} of the record {self.record},",
            f"    recorded {self.at.isoformat()}Z by node {self.node}",
            f"    event: {said}",
            f"    by: {by}",
        ]


def sha256(raw: bytes) -> bytes:
    """Hash."""
    return hashlib.sha256(raw).digest()


SIZED = dict(zip([*range(0xC4, 0xC7), *range(0xD9, 0xE0)], ">B >H >I >B >H >I >H >I >H >I".split()))  # noqa: B905, SIM905  # Python 3.9; a table
NUMBERS = dict(zip(range(0xCA, 0xD4), ">f >d >B >H >I >Q >b >h >i >q".split()))  # noqa: B905, SIM905  # as above
NO_EVENT = "A body is not what an event is stored as."


class Values:
    """Reads MessagePack: maps, lists, texts, numbers, truth values and nothing; no more of them than bundles hold."""

    read = 0

    def unpacked(self, raw: bytes) -> Any:
        """Read one value, which is all that the bytes hold."""
        try:
            value, at = self._unpack(raw, 0, 0)
        except (IndexError, struct.error, ValueError, TypeError, RecursionError):
            raise Refuted(NO_EVENT) from None
        require(at == len(raw), "Something follows upon an event in its body.")
        return value

    def _unpack(self, raw: bytes, at: int, depth: int) -> "tuple[Any, int]":
        self.read += 1
        require(self.read <= MOST_VALUES and depth <= MOST_DEPTH, "The bodies hold more values than any.")
        kind, at = raw[at], at + 1
        if kind <= 0x7F or kind >= 0xE0:
            return (kind if kind <= 0x7F else kind - 256), at
        if kind in {0xC0, 0xC2, 0xC3}:
            return {0xC0: None, 0xC2: False, 0xC3: True}[kind], at
        if kind in NUMBERS:
            return struct.unpack_from(NUMBERS[kind], raw, at)[0], at + struct.calcsize(NUMBERS[kind])
        if kind in SIZED:
            (size,) = struct.unpack_from(SIZED[kind], raw, at)
            return self._sized(raw, at + struct.calcsize(SIZED[kind]), kind, size, depth)
        require(kind < 0xC0, NO_EVENT)
        first, mask = (0x80, 0x0F) if kind < 0x90 else (0x90, 0x0F) if kind < 0xA0 else (0xA0, 0x1F)
        return self._sized(raw, at, {0x80: 0xDE, 0x90: 0xDC, 0xA0: 0xD9}[first], kind & mask, depth)

    def _sized(self, raw: bytes, at: int, kind: int, size: int, depth: int) -> "tuple[Any, int]":  # where it stands
        require(size <= len(raw), NO_EVENT)
        if kind in {0xC4, 0xC5, 0xC6, 0xD9, 0xDA, 0xDB}:
            part = raw[at : at + size]
            require(len(part) == size, NO_EVENT)
            return (part.hex() if kind <= 0xC6 else part.decode("utf-8")), at + size
        values = []
        for _ in range(size * 2 if kind in {0xDE, 0xDF} else size):
            value, at = self._unpack(raw, at, depth + 1)
            values.append(value)
        return (dict(zip(values[::2], values[1::2])) if kind in {0xDE, 0xDF} else values), at  # noqa: B905  # Python 3.9


# ---------------------------------------------------------------- the whole


def check(raw: bytes, pinned: dict[str, str]) -> list[str]:
    """Check a bundle; return what is proven, in words. `pinned` are fingerprints or keys known otherwise, by name."""
    told = bundle_of(raw)
    note = Note(told["checkpoint"], "the checkpoint")
    found = matched(CHECKPOINT, note.text, "The checkpoint does not have the form of one.")
    origin, size, root = found[1], int(found[2]), bytes_of(found[3], "the root", HASH)
    names = {origin: keys_for(told, origin, size)}
    note.signed_by(origin, names[origin][0])
    seen: list[tuple[int, str]] = []
    require(isinstance(told["witnesses"], dict), "The list of witnesses is not a map.")
    for name, text in told["witnesses"].items():
        require(re.fullmatch(NAME, name) is not None and name != origin, "A witness has no name of one.")
        names[name] = [bytes_of(text, f"the key of {name}", HASH)]
        seen.append((note.cosigned_by(name, names[name][0]), name))
    note.require_nothing_else()
    for name, wanted in pinned.items():
        require(name in names, f"The bundle has no key of {name}.")
        known = {fingerprint(key).replace(" ", "") for key in names[name]}
        known |= {base64.b64encode(key).decode() for key in names[name]}
        require(wanted.replace(" ", "") in known, f"The key of {name} is not the one that you know: do not believe it.")
    shown = listed(told["entries"], "the list of entries")
    require(bool(shown), "The bundle shows no entry.")
    require(len(shown) <= MOST_ENTRIES, "The bundle shows more entries than any.")
    entries = [Entry(one) for one in shown]
    places = [entry.position for entry in entries]
    require(places == sorted(set(places)), "The entries do not stand in order, each once.")
    for entry in entries:
        require(entry.position <= size, f"The entry at position {entry.position} lies behind the checkpoint.")
        proven = root_of(entry.leaf, entry.position - 1, size, entry.proof)
        require(proven == root, f"The entry at position {entry.position} is not what the ledger holds there.")
    return _words(origin, size, entries, names, seen, pinned)


def _words(  # noqa: PLR0913, PLR0917  # all that was checked
    origin: str,
    size: int,
    entries: list[Entry],
    names: dict[str, list[bytes]],
    seen: list[tuple[int, str]],
    pinned: dict[str, str],
) -> list[str]:
    lines = [f"PROVEN: these entries stand, word for word, in the ledger {origin}, among its first {size} entries:"]
    values = Values()
    for entry in entries:
        lines += entry.lines(values)
    lines.append(f"{origin} has signed for these {size} entries.")
    for at_s, name in sorted(seen):
        day = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=at_s)  # noqa: DTZ001  # UTC
        lines.append(f"{name} has witnessed them at {day.isoformat()}Z: from then on they could not be changed unseen.")
    if not seen:
        lines.append("No witness has cosigned: that nothing was changed before this rests on the node's word alone.")
    for name, keys in names.items():
        told = "it is the one that you gave" if name in pinned else "compare it with what that node tells you"
        lines.append(f"The key of {name} has the fingerprint {fingerprint(keys[0])}: {told}.")
    lines.append("Not proven: that the records have no other entries, and that what was recorded is true.")
    return lines


def read(path: Path) -> bytes:
    """Return what a file holds, as far as a bundle may be large and one byte further; wait for no pipe or device."""
    if path.exists() and not path.is_file():
        raise OSError
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def main(arguments: list[str]) -> int:
    """Check the bundle that is named on the line."""
    parser = argparse.ArgumentParser(description="Check a bundle of evidence from an ncen node.")
    parser.add_argument("bundle", help="the file, or - for standard input")
    parser.add_argument(
        "--key", action="append", default=[], metavar="NAME=KEY", help="a fingerprint or public key known otherwise"
    )
    told = parser.parse_args(arguments)
    pinned = dict(one.partition("=")[::2] for one in told.key)
    try:
        raw = sys.stdin.buffer.read(MOST_BYTES + 1) if told.bundle == "-" else read(Path(told.bundle))
    except OSError as error:
        sys.stderr.write(f"{told.bundle} cannot be read: {error.strerror or 'it is no file'}.\n")
        return 2
    if len(raw) > MOST_BYTES:
        sys.stderr.write(f"{told.bundle} is larger than any bundle: it was not looked at.\n")
        return 2
    try:
        lines = check(raw, pinned)
    except Refuted as refuted:
        sys.stdout.write(f"REFUTED: {refuted}\n")
        return 1
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
