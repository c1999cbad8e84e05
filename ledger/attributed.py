"""The attribution of an entry as it is stored: who, in which role, what for, on what legal basis, by which command.

It is a part of its own beside the event, so that an entry can be proven without it. The command id lies in it, so that
nobody can change unseen by which command an entry was made.
"""

from typing import TypeAlias
from uuid import UUID

import msgspec

from domain import forms
from domain.attribution import Attribution, LegalBasis, Purpose, Role, UserId

FORMAT_VERSION = b"\x01"
NO_COMMAND = bytes(16)
_COMMAND = slice(1, 17)
_REST = 17
_MOST_KNOWN = 4_096

_encoder = msgspec.msgpack.Encoder()
_Parts: TypeAlias = tuple[UserId, Role, Purpose, LegalBasis]
_uuids = msgspec.msgpack.Decoder(UUID)  # makes one in a fifth of the time that its constructor takes
_SIXTEEN_BYTES = b"\xc4\x10"
_known: dict[bytes, Attribution] = {}


def encode_rest(by: Attribution) -> bytes:
    """Return what follows the command id: a MessagePack array of actor, role, purpose and legal basis."""
    return _encoder.encode((by.actor, by.role, by.purpose, by.legal_basis))


def encode(by: Attribution, command_id: UUID | None) -> bytes:
    """Return the stored form of an attribution."""
    return FORMAT_VERSION + (command_id.bytes if command_id else NO_COMMAND) + encode_rest(by)


def decode(stored: bytes) -> tuple[Attribution, UUID | None]:
    """Return who it was, and the command id.

    Raises:
        ValueError: the bytes are not an attribution.
    """
    if len(stored) <= _REST:
        raise ValueError("the attribution is cut short")
    rest = stored[_REST:]
    by = _known.get(rest)
    if by is None or stored[:1] != FORMAT_VERSION:
        if stored[:1] != FORMAT_VERSION:
            raise ValueError("the attribution has no form that is known")
        actor, role, purpose, legal_basis = forms.from_msgpack(rest, _Parts)
        by = Attribution(actor=actor, role=role, purpose=purpose, legal_basis=legal_basis)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[rest] = by
    command = stored[_COMMAND]
    return by, None if command == NO_COMMAND else _uuids.decode(_SIXTEEN_BYTES + command)
