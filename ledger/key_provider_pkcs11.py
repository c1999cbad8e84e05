"""Keys of epochs wrapped by a device, through PKCS#11: AES-256-GCM under a key that never leaves it.

The wrapped key is the id of the device's key (16 random bytes), the nonce (12), and ciphertext with tag (48). A session
is opened for each call, since a process asks seldom and sessions may not be shared between threads.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.exceptions import NoSuchKey, PKCS11Error

from ledger.errors import NotFound, Unsafe
from ledger.key_provider import Pkcs11, secret_in

ID_BYTES = 16
NONCE_BYTES = 12
TAG_BITS = 128


class InDevice:
    """Wraps by a device."""

    def __init__(self, told: Pkcs11) -> None:
        """Use the device of this module and token."""
        self._told = told

    def wrap(self, epoch: int, secret: bytes) -> bytes:
        """Wrap under a new key of the device."""
        key_id, nonce = secrets.token_bytes(ID_BYTES), secrets.token_bytes(NONCE_BYTES)
        with self._session() as session:
            key: Any = session.generate_key(
                KeyType.AES,
                256,
                id=key_id,
                label=f"ncen epoch {epoch}",
                store=True,
                capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
                template={Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: True},
            )
            sealed = key.encrypt(secret, mechanism=Mechanism.AES_GCM, mechanism_param=_how(key_id, nonce))
        return key_id + nonce + bytes(sealed)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return what was wrapped; see `KeyProvider`."""
        key_id, nonce, sealed = _parts(wrapped)
        with self._session() as session:
            try:
                key: Any = session.get_key(object_class=ObjectClass.SECRET_KEY, id=key_id)
            except NoSuchKey:
                raise NotFound(
                    "The device holds no key for this epoch: it was destroyed, or is another device."
                ) from None
            return bytes(key.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=_how(key_id, nonce)))

    def destroy(self, wrapped: bytes) -> None:
        """Destroy the device's key."""
        key_id, _, _ = _parts(wrapped)
        with self._session() as session:
            try:
                session.get_key(object_class=ObjectClass.SECRET_KEY, id=key_id).destroy()
            except NoSuchKey:
                return

    @contextmanager
    def _session(self) -> Iterator[pkcs11.Session]:
        try:
            token = pkcs11.lib(self._told.module).get_token(token_label=self._told.token)
            with token.open(rw=True, user_pin=secret_in(self._told.pin_file)) as session:
                yield session
        except (PKCS11Error, RuntimeError, OSError) as error:
            raise Unsafe(
                f"The token {self._told.token} of {self._told.module} does not answer ({type(error).__name__})."
            ) from None


def _how(key_id: bytes, nonce: bytes) -> GCMParams:
    return GCMParams(nonce, b"ncen epoch key v1" + key_id, TAG_BITS)


def _parts(wrapped: bytes) -> tuple[bytes, bytes, bytes]:
    nonce_end = ID_BYTES + NONCE_BYTES
    return wrapped[:ID_BYTES], wrapped[ID_BYTES:nonce_end], wrapped[nonce_end:]
