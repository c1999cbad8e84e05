"""Signed notes (C2SP signed-note): a text, and below it one line for each signature.

Ed25519 signatures (type 0x01) and timestamped cosignatures (C2SP tlog-cosignature, type 0x04). A line is found by the
name and the id of its key; lines of unknown keys are passed over, a known key's line must be right.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE = b"\x01"
COSIGNATURE = b"\x04"
KEY_ID_BYTES = 4
TIMESTAMP_BYTES = 8
MOST_SIGNATURES = 100

_NAME = re.compile(r"^[^\s+]+$")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_LINE = re.compile(r"^\u2014 (\S+) (\S+)$")


class NotSigned(Exception):  # noqa: N818  # an answer, not a fault
    """The note is not one, or not signed by this key."""


def sign(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """Return the note of a text, signed under a key name.

    Raises:
        ValueError: the text does not end with a newline or holds control characters, or the name holds space or plus.
    """
    _require_form(text, name)
    blob = key_id(name, SIGNATURE, key.public_key()) + key.sign(text.encode())
    return f"{text}\n{_line(name, blob)}"


def verify(note: str, name: str, public_key: Ed25519PublicKey) -> str:
    """Return the text of a note that was signed by this key under this name.

    Raises:
        NotSigned: it was not, or was changed.
    """
    text, signature = _find(note, name, key_id(name, SIGNATURE, public_key))
    _check(public_key, signature, text.encode())
    return text


def cosign(note: str, name: str, key: Ed25519PrivateKey, at_s: int) -> str:
    """Return a note with a further line: we have seen its text, at so many seconds after 1970.

    Raises:
        NotSigned: the note is not one.
        ValueError: the name holds space or plus.
    """
    text, _ = _split(note)
    _require_form(text, name)
    stamped = at_s.to_bytes(TIMESTAMP_BYTES, "big") + key.sign(_cosigned(text, at_s))
    return f"{note}{_line(name, key_id(name, COSIGNATURE, key.public_key()) + stamped)}"


def verify_cosignature(note: str, name: str, public_key: Ed25519PublicKey) -> tuple[str, int]:
    """Return the text of a note that was cosigned by this key under this name, and when (seconds after 1970).

    Raises:
        NotSigned: it was not, or was changed.
    """
    text, stamped = _find(note, name, key_id(name, COSIGNATURE, public_key))
    at_s = int.from_bytes(stamped[:TIMESTAMP_BYTES], "big")
    _check(public_key, stamped[TIMESTAMP_BYTES:], _cosigned(text, at_s))
    return text, at_s


def key_id(name: str, kind: bytes, public_key: Ed25519PublicKey) -> bytes:
    """Return the first four bytes of SHA-256 over name, newline, type and public key."""
    return sha256(name.encode() + b"\n" + kind + public_key.public_bytes_raw()).digest()[:KEY_ID_BYTES]


def _cosigned(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def _line(name: str, blob: bytes) -> str:
    return f"\u2014 {name} {base64.b64encode(blob).decode('ascii')}\n"


def _require_form(text: str, name: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text):
        raise ValueError("the text of a note ends with a newline and holds no control characters")
    if not _NAME.match(name):
        raise ValueError("the name of a key holds no space and no plus")


def _split(note: str) -> tuple[str, list[str]]:
    text, divider, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    is_whole = divider and lines[-1] == "" and len(lines) > 1 and not _CONTROL.search(note)
    if not is_whole or len(lines) - 1 > MOST_SIGNATURES:
        raise NotSigned("This is not a signed note.")
    return text + "\n", lines[:-1]


def _blobs(lines: list[str]) -> Iterator[tuple[str, bytes]]:
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            raise NotSigned("A signature line of the note does not have the form of one.")
        try:
            blob = base64.b64decode(found[2], validate=True)
        except binascii.Error:
            raise NotSigned("A signature of the note is not base64.") from None
        if len(blob) <= KEY_ID_BYTES:
            raise NotSigned("A signature of the note is too short.")
        yield found[1], blob


def _find(note: str, name: str, wanted: bytes) -> tuple[str, bytes]:
    text, lines = _split(note)
    for found, blob in list(_blobs(lines)):
        if (found, blob[:KEY_ID_BYTES]) == (name, wanted):
            return text, blob[KEY_ID_BYTES:]
    raise NotSigned(f"The note is not signed by this key of {name}.")


def _check(public_key: Ed25519PublicKey, signature: bytes, message: bytes) -> None:
    try:
        public_key.verify(signature, message)
    except InvalidSignature:
        raise NotSigned("The signature does not fit the note: one of them was changed.") from None
