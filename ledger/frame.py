"""A sealed line framed by PostgreSQL as one MessagePack array, so that an entry is decoded in one step.

Column by column, the driver and Python spend longer on a line than on the event within it. Here an open event's bytes
lie in the frame as they are stored, last, so that damaged ones can shift nothing before them. What does not decode is
not explained here: `line` says what is wrong with it, from its columns.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Union
from uuid import UUID

import msgspec

from domain.entry import Entry
from domain.event import Event
from domain.records import EVENTS, OPEN_EVENTS
from ledger import attributed
from ledger.collecting import no_collection
from ledger.line import opened, provenance_of
from ledger.vault import HeldKey

_OpenEvent: Any = Union.__getitem__(OPEN_EVENTS)
_SERVER_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class _Frame(msgspec.Struct, array_like=True, frozen=True, gc=False):
    record_id: UUID
    version: int
    recorded_at: int
    node: str
    name: str
    attribution: bytes | None
    provenance: bytes | None
    event: _OpenEvent | bytes


def _binary(column: str) -> str:
    return rf"'\xc6'::bytea || int4send(octet_length({column})) || {column}"


def _text(column: str) -> str:
    return rf"'\xda'::bytea || int2send(octet_length({column})::int2) || textsend({column})"


COLUMNS = rf"""s.position, e.key_id,
    '\x98c410'::bytea || uuid_send(e.record_id) || '\xd2' || int4send(e.version)
    || '\xd3' || timestamptz_send(e.recorded_at) || {_text("e.node")} || {_text("e.name")}
    || coalesce({_binary("e.attribution")}, '\xc0') || coalesce({_binary("e.provenance")}, '\xc0')
    || CASE WHEN e.personal THEN {_binary("e.body")} ELSE e.body END"""
"""The position, the id of the key that opens it (null where none is needed), and the frame."""
KEY_ID = 1

_decode = msgspec.msgpack.Decoder(_Frame).decode


def entries(rows: Sequence[tuple[int, UUID | None, bytes]], keys: Mapping[UUID, HeldKey]) -> list[Entry]:
    """Return the entries of rows of COLUMNS, up to the first that does not decode."""
    made: list[Entry] = []
    with no_collection():
        try:
            for position, key_id, raw in rows:
                made.append(
                    _entry(position, _decode(raw), None if key_id is None else keys.get(key_id))
                )  # those before a damaged one are kept
        except (ValueError, KeyError):  # msgspec's errors are ValueErrors
            pass
    return made


def _entry(position: int, frame: _Frame, key: HeldKey | None) -> Entry:
    name, event = frame.name, frame.event
    recorded_at = _SERVER_EPOCH + timedelta(0, 0, frame.recorded_at)
    told: Any = event
    if type(event) is bytes:
        if issubclass(EVENTS[name], Event):
            raise ValueError(name)
        told = opened(frame.record_id, frame.version, recorded_at, frame.node, name, event, key)
    elif type(event) is not EVENTS[name]:
        raise ValueError(name)
    by, command_id = (None, None) if frame.attribution is None else attributed.decode(frame.attribution)
    return Entry(
        record_id=frame.record_id,
        version=frame.version,
        recorded_at=recorded_at,
        node=frame.node,
        event=told,
        by=by,
        command_id=command_id,
        position=position,
        provenance=provenance_of(frame.provenance),
    )
