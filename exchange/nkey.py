"""Keys with which nodes log in to each other's NATS: NATS's "nkeys", made by `cryptography` alone.

A login is proven by signing the server's nonce, so no secret is handed over and none stands in a server's
configuration. Every login of a node is derived from its signing key (HKDF, one per account), so there is nothing
further to keep; the derived keys sign nonces and nothing else.
"""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nats.aio.client import Client

USER_PREFIX = 20 << 3
"""The prefix byte of a user's public key; it makes the text begin with U."""
CRC_POLYNOMIAL = 0x1021


def login_key(signing_key: Ed25519PrivateKey, account: str) -> Ed25519PrivateKey:
    """The key with which a node logs in to an account, always the same for the same signing key and account."""
    info = b"ncen nats login 1 " + account.encode()
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(signing_key.private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_text(key: Ed25519PublicKey) -> str:
    """The public key as NATS writes it: base32 of the prefix byte, the 32 key bytes and a CRC-16 (XMODEM)."""
    raw = bytes([USER_PREFIX]) + key.public_bytes_raw()
    return base64.b32encode(raw + _crc16(raw).to_bytes(2, "little")).decode().rstrip("=")


def _crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ CRC_POLYNOMIAL if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


class KeyedClient(Client):
    """A NATS client that proves who it is by signing the server's nonce with one key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        super().__init__()
        self._key = key
        self._public_nkey = public_text(key.public_key())

    def sign(self, nonce: str) -> bytes:
        """The signature over a nonce, as the client library asks for it (its `signature_cb`)."""
        return base64.b64encode(self._key.sign(nonce.encode()))
