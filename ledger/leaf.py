"""The leaf of an entry: the bytes that the Merkle tree commits to, and their two parts.

The format is final and told byte by byte in docs/reference/leaf.md; a change is a new format version. Personal values
are never hashed plainly: the body of a personal event is its ciphertext, and the attribution is hashed with a random
salt. What is hashed is what is stored, never a re-encoding of it.
"""

from hashlib import sha256
from struct import Struct
from uuid import UUID

FORMAT_VERSION = 1
PERSONAL = 1
SALT_BYTES = 16
HASH_BYTES = 32

_FIXED = Struct("!BBq16sI")
_LEAF_PREFIX = b"\x00"  # RFC 6962, section 2.1


def header(  # noqa: PLR0913  # the header has as many fields
    *, record_id: UUID, version: int, recorded_at_us: int, node: str, name: str, is_personal: bool
) -> bytes:
    """Say what an entry is and where it stands, in the canonical form (`recorded_at_us`: µs since 1970, UTC)."""
    return pack_header(record_id.bytes, version, recorded_at_us, is_personal, pack_names(node, name))


def pack_header(record_id: bytes, version: int, recorded_at_us: int, is_personal: bool, names: bytes) -> bytes:
    """Pack the header from parts that are packed already; for those who do it a million times."""
    return _FIXED.pack(FORMAT_VERSION, PERSONAL if is_personal else 0, recorded_at_us, record_id, version) + names


def pack_names(node: str, name: str) -> bytes:
    """Pack node and wire name, each with its length in one byte."""
    node_bytes, name_bytes = node.encode("ascii"), name.encode("ascii")
    return bytes((len(node_bytes),)) + node_bytes + bytes((len(name_bytes),)) + name_bytes


def attribution_hash(salt: bytes, attribution: bytes) -> bytes:
    """Hash an attribution so that it can be withheld: SHA-256 over the 16 bytes of salt and the attribution."""
    return sha256(salt + attribution).digest()


def leaf_bytes(header: bytes, body: bytes, attribution_hash: bytes) -> bytes:
    """Return the leaf: the header, the hash of the body as stored, and the hash of the salted attribution."""
    return header + sha256(body).digest() + attribution_hash


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash under which a leaf stands in a tree of RFC 6962."""
    return sha256(_LEAF_PREFIX + leaf).digest()
