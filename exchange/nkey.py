"""Keys with which nodes log in to each other's NATS: NATS's "nkeys", made by `cryptography` alone.

A login is proven by signing the server's nonce, so no secret is handed over and none stands in a server's
configuration. Our own logins are derived from our signing key; a guest's login at a host from the secret that their two
box keys have in common (X25519), so that each side computes it, cards hold no login, and a host that passes a nonce on
to another host gets a signature of no use there. Derived keys sign nonces and nothing else.
"""

import base64
import contextlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nats.aio.client import Client

USER_PREFIX = 20 << 3
"""The prefix byte of a user's public key; it makes the text begin with U."""
CRC_POLYNOMIAL = 0x1021


def login_key(signing_key: Ed25519PrivateKey, account: str) -> Ed25519PrivateKey:
    """The key with which a node logs in to an account of its own server: the same for the same key and account."""
    return _derived(signing_key.private_bytes_raw(), f"ncen nats own login 1 {account}")


def meeting_key(
    ours: X25519PrivateKey, theirs: X25519PublicKey, *, host: str, guest: str, cards: tuple[bytes, bytes] = (b"", b"")
) -> Ed25519PrivateKey:
    """The key with which `guest` logs in at `host`; either of them computes it from its own key and the other's.

    `cards` are the editions of the host's and the guest's card (empty: the first), so that two who do not know each
    other's newest card do not meet, and neither hears the other under keys that it does not know yet.
    """
    info = f"ncen nats guest login 1 {host} {guest}"
    if any(cards):
        info = f"ncen nats guest login 2 {host} {guest} {cards[0].hex() or '-'} {cards[1].hex() or '-'}"
    return _derived(ours.exchange(theirs), info)


def _derived(secret: bytes, info: str) -> Ed25519PrivateKey:
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=info.encode()).derive(secret)
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

    def __init__(self, key: Ed25519PrivateKey, *, must_encrypt: bool = False) -> None:
        super().__init__()
        self._key = key
        self._must_encrypt = must_encrypt
        self._public_nkey = public_text(key.public_key())

    async def abandon(self) -> None:
        """Close what a failed attempt to connect has left open, which the library forgets."""
        with contextlib.suppress(Exception):
            await self.close()
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]  # nats-py leaves it untyped

    def sign(self, nonce: str) -> bytes:
        """The signature over a nonce, as the client library asks for it (its `signature_cb`), before we log in.

        Raises:
            ConnectionError: the link was to be encrypted, and the server has not asked for it.
        """
        if self._must_encrypt and not self._server_info.get("tls_required"):
            raise ConnectionError("the server does not encrypt, although its address says so")
        return base64.b64encode(self._key.sign(nonce.encode()))
