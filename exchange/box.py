"""The entry key, boxed to a peer: HPKE (RFC 9180, base mode) to the peer's X25519 key.

Base mode says nothing of the sender: the feed's signed checkpoint does, since the core commits to the boxed key. A box
is bound to its recipient and to the header of its entry, so that it opens nowhere else.
"""

from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

_suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
KEY_BYTES = 32


def _info(recipient: str, header: bytes) -> bytes:
    return f"ncen entry key 1 {recipient} ".encode() + header


def box(entry_key: bytes, to: X25519PublicKey, *, recipient: str, header: bytes) -> bytes:
    """The entry key, so that only the holder of the recipient's box key can read it: 32 + 32 + 16 bytes."""
    return _suite.encrypt(entry_key, to, _info(recipient, header))


def unbox(boxed: bytes, key: X25519PrivateKey, *, recipient: str, header: bytes) -> bytes | None:
    """The entry key, or None where the box was not made for us and for the entry with this header."""
    try:
        entry_key = _suite.decrypt(boxed, key, _info(recipient, header))
    except (InvalidTag, ValueError):
        return None
    return entry_key if len(entry_key) == KEY_BYTES else None


def unbox_by_any(boxed: bytes, keys: Sequence[X25519PrivateKey], *, recipient: str, header: bytes) -> bytes | None:
    """The entry key, opened by whichever of our keys it was boxed to; None as `unbox` says."""
    opened = (unbox(boxed, key, recipient=recipient, header=header) for key in keys)
    return next((entry_key for entry_key in opened if entry_key is not None), None)
