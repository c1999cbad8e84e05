"""The vault: keys of data subjects, and what is sealed under them.

Each subject has a random key in each record that speaks of it, wrapped by the key of an epoch that never enters
PostgreSQL. Each entry is sealed under a key of its own, derived from the subject's key, so that one entry can be
disclosed without another. A ciphertext fits one key and one entry only: it commits to its key, and is bound to the
header of its entry. Formats are told byte by byte in docs/reference/leaf.md.
"""

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from uuid_utils.compat import uuid7

from ledger.errors import Damaged, NotFound
from ledger.keyring import Keyring
from ledger.sessions import Session

FORMAT_VERSION = b"\x01"
KEY_BYTES = 32
SALT_BYTES = 16
COMMITMENT_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

ENTRY_KEY_INFO = b"ncen entry key v1"
SEALING_INFO = b"ncen entry sealing v1"
WRAPPING_LABEL = b"ncen subject key v1"
ZERO_NONCE = bytes(NONCE_BYTES)  # each entry key seals once

_SALT = slice(1, 1 + SALT_BYTES)
_COMMITMENT = slice(_SALT.stop, _SALT.stop + COMMITMENT_BYTES)
_SEALED = _COMMITMENT.stop
_NONCE_END = 1 + NONCE_BYTES
SHORTEST = _SEALED + TAG_BYTES

MOST_CACHED = 10_000
CACHED_FOR_S = 60.0
LOOKS = 2


class HeldKey(msgspec.Struct, frozen=True):
    """An unwrapped key: a subject's in a record, or (`is_of_entry`) that of a single entry a peer disclosed."""

    key_id: UUID
    secret: bytes
    is_of_entry: bool

    def __repr__(self) -> str:
        return f"HeldKey({self.key_id})"


class WrappedKey(msgspec.Struct, frozen=True):
    """A line of ledger.subject_key; `version` is None for a subject's key, else that of the only entry it opens."""

    key_id: UUID
    record_id: UUID
    subject_tag: bytes
    version: int | None
    epoch: int
    wrapped: bytes


class Vault:
    """Makes, wraps, finds and uses keys. Without a keyring it opens nothing."""

    def __init__(self, keyring: Keyring | None) -> None:
        """Use the secrets of a keyring."""
        self._keyring = keyring
        self._held: OrderedDict[UUID, tuple[float, HeldKey]] = OrderedDict()
        self._lock = threading.Lock()

    # -- keys

    def subject_tag(self, subject: UUID) -> bytes:
        """Return the tag under which a subject's keys are found, and which tells nobody who it is."""
        return hmac.digest(self._keys.index_key, subject.bytes, "sha256")

    def new_key(
        self, record_id: UUID, subject: UUID, *, version: int | None = None, entry_key: bytes | None = None
    ) -> tuple[HeldKey, WrappedKey]:
        """Make a subject's key in a record; or take in the key of one entry that a peer handed over."""
        key_id, secret = uuid7(), entry_key or secrets.token_bytes(KEY_BYTES)
        held = HeldKey(key_id, secret, version is not None)
        return held, self._wrap(held, record_id, self.subject_tag(subject), version)

    @property
    def keyring(self) -> Keyring:
        """The keyring.

        Raises:
            NotFound: there is none.
        """
        return self._keys

    @property
    def epoch(self) -> int:
        """The epoch under which new keys are wrapped now."""
        return self._keys.epoch

    def _wrap(self, held: HeldKey, record_id: UUID, tag: bytes, version: int | None) -> WrappedKey:
        epoch = self._keys.epoch
        nonce = secrets.token_bytes(NONCE_BYTES)
        place = _place(held.key_id, record_id, tag, version, epoch)
        sealed = AESGCM(self._keys.epoch_key(epoch)).encrypt(nonce, held.secret, place)
        return WrappedKey(held.key_id, record_id, tag, version, epoch, FORMAT_VERSION + nonce + sealed)

    def unwrap(self, wrapped: WrappedKey) -> HeldKey | None:
        """Unwrap a key; None when its epoch was destroyed or there is no keyring.

        Raises:
            Damaged: the line was changed, or moved from another record, subject or entry.
        """
        if self._keyring is None:
            return None
        try:
            epoch_key = self._keyring.epoch_key(wrapped.epoch)
        except NotFound:
            return None
        place = _place(wrapped.key_id, wrapped.record_id, wrapped.subject_tag, wrapped.version, wrapped.epoch)
        form, nonce, sealed = wrapped.wrapped[:1], wrapped.wrapped[1:_NONCE_END], wrapped.wrapped[_NONCE_END:]
        try:
            secret = AESGCM(epoch_key).decrypt(nonce, sealed, place) if form == FORMAT_VERSION else None
        except (InvalidTag, ValueError):
            secret = None
        if secret is None:
            raise Damaged(f"The key {wrapped.key_id} in the vault was changed.", record_id=wrapped.record_id)
        return HeldKey(wrapped.key_id, secret, wrapped.version is not None)

    @property
    def _keys(self) -> Keyring:
        if self._keyring is None:
            raise NotFound("No keys are at hand, so nothing personal can be recorded.")
        return self._keyring

    # -- finding keys

    def find(self, connection: Session, key_ids: Collection[UUID]) -> dict[UUID, HeldKey]:
        """Return those of the keys that are there and ours, from a cache (for a minute) or the table."""
        if self._keyring is None or not key_ids:
            return {}
        found, missing = self._cached(key_ids)
        for _ in range(LOOKS):  # while we looked, a key may have been wrapped anew and its old epoch been destroyed
            if not missing:
                break
            query = (
                "SELECT key_id, record_id, subject_tag, version, epoch, wrapped"
                " FROM ledger.subject_key WHERE key_id = ANY(%s)"
            )
            rows = connection.cursor(binary=True).execute(query, [missing], prepare=True).fetchall()
            missing = []
            for row in rows:
                held = self.unwrap(WrappedKey(*row))
                if held is None:
                    missing.append(row[0])
                else:
                    found[held.key_id] = held
                    self._hold(held)
        return found

    def of_record(self, connection: Session, record_id: UUID) -> list[WrappedKey]:
        """Return the subjects' keys in a record."""
        query = (
            "SELECT key_id, record_id, subject_tag, version, epoch, wrapped"
            " FROM ledger.subject_key WHERE record_id = %s AND version IS NULL"
        )
        rows = connection.cursor(binary=True).execute(query, [record_id], prepare=True).fetchall()
        return [WrappedKey(*row) for row in rows]

    def entry_key(self, connection: Session, key_id: UUID | None, sealed: bytes) -> bytes | None:
        """Return the key that opens this sealed body and nothing else, to disclose it; None when it was erased."""
        held = None if key_id is None else self.find(connection, [key_id]).get(key_id)
        return None if held is None else entry_key_of(held, sealed)

    def forget(self, key_ids: Iterable[UUID] | None = None) -> None:
        """Drop keys from the cache: these, or all."""
        with self._lock:
            if key_ids is None:
                self._held.clear()
            else:
                for key_id in key_ids:
                    self._held.pop(key_id, None)

    def _cached(self, key_ids: Collection[UUID]) -> tuple[dict[UUID, HeldKey], list[UUID]]:
        now = time.monotonic()
        with self._lock:
            held = {
                key_id: known[1]
                for key_id in key_ids
                if (known := self._held.get(key_id)) is not None and known[0] > now
            }
        return held, [key_id for key_id in key_ids if key_id not in held]

    def _hold(self, held: HeldKey) -> None:
        with self._lock:
            self._held[held.key_id] = (time.monotonic() + CACHED_FOR_S, held)
            self._held.move_to_end(held.key_id)
            while len(self._held) > MOST_CACHED:
                self._held.popitem(last=False)


def _place(key_id: UUID, record_id: UUID, tag: bytes, version: int | None, epoch: int) -> bytes:
    numbers = (version or 0).to_bytes(4, "big") + epoch.to_bytes(4, "big")
    return WRAPPING_LABEL + key_id.bytes + record_id.bytes + tag + numbers


# ---------------------------------------------------------------- sealing and opening


def seal(key: HeldKey, header: bytes, body: bytes) -> bytes:
    """Seal the bytes of a personal event under a key of its own, for the entry with this header and no other."""
    salt = secrets.token_bytes(SALT_BYTES)
    sealing_key, commitment = _sealing_key(_entry_key(key, salt))
    return FORMAT_VERSION + salt + commitment + AESGCM(sealing_key).encrypt(ZERO_NONCE, body, header)


def entry_key_of(key: HeldKey, sealed: bytes) -> bytes:
    """Return the key that opens this sealed body and nothing else."""
    return key.secret if key.is_of_entry else _entry_key(key, sealed[_SALT])


def open_with_entry_key(secret: bytes, header: bytes, sealed: bytes) -> bytes:
    """Open a sealed body with the key of its entry.

    Raises:
        ValueError: the bytes are not what was sealed under this key for the entry with this header.
    """
    if len(sealed) < SHORTEST or sealed[:1] != FORMAT_VERSION:
        raise ValueError("the body does not have the form of a sealed one")
    sealing_key, commitment = _sealing_key(secret)
    if not hmac.compare_digest(commitment, sealed[_COMMITMENT]):
        raise ValueError("the body was sealed under another key")
    try:
        return AESGCM(sealing_key).decrypt(ZERO_NONCE, sealed[_SEALED:], header)
    except InvalidTag:
        raise ValueError("the body was changed, or belongs to another entry") from None


def open_sealed(key: HeldKey, header: bytes, sealed: bytes) -> bytes:
    """Open a sealed body with the key that `Vault.find` gave; ValueError as in `open_with_entry_key`."""
    return open_with_entry_key(entry_key_of(key, sealed), header, sealed)


def _entry_key(key: HeldKey, salt: bytes) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt, ENTRY_KEY_INFO).derive(key.secret)


def _sealing_key(secret: bytes) -> tuple[bytes, bytes]:
    expanded = HKDFExpand(hashes.SHA256(), KEY_BYTES + COMMITMENT_BYTES, SEALING_INFO).derive(secret)
    return expanded[:KEY_BYTES], expanded[KEY_BYTES:]
