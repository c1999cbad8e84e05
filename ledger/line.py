"""A line of the ledger: as it is written, as it is stored, and as the entry that it means.

What is written is packed once, into the binary form that PostgreSQL takes. What is read is decoded by closed types; a
personal event whose key is gone reads as `Erased`, and bytes that do not fit raise `Damaged` with the place and never
with a value.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain import records
from domain.entry import Entry, Provenance
from domain.event import AnyEvent, Erased
from ledger import attributed, leaf
from ledger.clock import to_us
from ledger.collecting import no_collection
from ledger.errors import Damaged
from ledger.sessions import Session
from ledger.vault import HeldKey, Vault, open_sealed

provenance_encoder = msgspec.msgpack.Encoder()
_provenance_decoder = msgspec.msgpack.Decoder(Provenance)


class Draft(msgspec.Struct, gc=False):
    """A line about to be written: its columns in their binary form, without its place in the transaction."""

    record_id: bytes
    version: int
    recorded_at_us: int
    node: bytes
    name: bytes
    is_personal: bool
    body: bytes
    attribution: bytes | None
    attribution_salt: bytes | None
    attribution_hash: bytes | None = None
    key_id: bytes | None = None
    provenance: bytes | None = None


class StoredLine(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed line, undecoded, with everything that a proof needs."""

    position: int
    record_id: UUID
    version: int
    recorded_at: datetime
    node: str
    name: str
    is_personal: bool
    body: bytes
    attribution: bytes | None
    attribution_salt: bytes | None
    attribution_hash: bytes
    key_id: UUID | None
    leaf: bytes
    provenance: Provenance | None

    @property
    def header(self) -> bytes:
        """The canonical header: what it is and where it stands."""
        return leaf.header(
            record_id=self.record_id,
            version=self.version,
            recorded_at_us=to_us(self.recorded_at),
            node=self.node,
            name=self.name,
            is_personal=self.is_personal,
        )

    @property
    def leaf_bytes(self) -> bytes:
        """The bytes whose leaf hash is `leaf`, made from what is stored."""
        return leaf.leaf_bytes(self.header, self.body, self.attribution_hash)


STORED_COLUMNS = (
    "s.position, e.record_id, e.version, e.recorded_at, e.node, e.name, e.personal, e.body,"
    " e.attribution, e.attribution_salt, e.attribution_hash, e.key_id, s.leaf, e.provenance"
)


def stored_line(row: tuple[Any, ...]) -> StoredLine:
    """Make a stored line of the columns STORED_COLUMNS."""
    attribution, salt, withheld, provenance = row[8], row[9], row[10], row[13]
    return StoredLine(
        position=row[0],
        record_id=row[1],
        version=row[2],
        recorded_at=row[3],
        node=row[4],
        name=row[5],
        is_personal=row[6],
        body=row[7],
        attribution=attribution,
        attribution_salt=salt,
        attribution_hash=leaf.attribution_hash(salt, attribution) if withheld is None else withheld,
        key_id=row[11],
        leaf=row[12],
        provenance=provenance_of(provenance),
    )


ENTRY_COLUMNS = (
    "s.position, e.record_id, e.version, e.recorded_at, e.node, e.name, e.body, e.attribution, e.key_id,"
    " e.personal, e.provenance"
)
KEY_ID = 8


def entry(row: tuple[Any, ...], keys: Mapping[UUID, HeldKey]) -> Entry:
    """Make the entry that the columns ENTRY_COLUMNS mean.

    Raises:
        Damaged: its bytes do not fit, or no event has its name.
    """
    position, record_id, version, recorded_at, node, name, body, attribution, key_id, personal, provenance = row
    try:
        event: AnyEvent | Erased
        if personal:
            event = opened(record_id, version, recorded_at, node, name, body, keys.get(key_id))
        else:
            event = records.decode(name, body)
        by, command_id = attributed.decode(attribution) if attribution is not None else (None, None)
        return Entry(
            record_id=record_id,
            version=version,
            recorded_at=recorded_at,
            node=node,
            event=event,
            by=by,
            command_id=command_id,
            position=position,
            provenance=provenance_of(provenance),
        )
    except KeyError:
        raise Damaged("its event has a name that this program does not know.", **_place(row)) from None
    except ValueError as error:  # also msgspec's, whose messages may quote values
        what = (
            str(error) if not isinstance(error, msgspec.MsgspecError | UnicodeError) else "its bytes are not an event"
        )
        raise Damaged(f"{what}.", **_place(row)) from None


def provenance_of(stored: bytes | None) -> Provenance | None:
    """Return how an entry came to us, of the column of that name."""
    return None if stored is None else _provenance_decoder.decode(stored)


def rows(session: Session, query: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Ask for columns, in their binary form."""
    return session.cursor(binary=True).execute(query.encode(), parameters, prepare=True).fetchall()


def held_keys(
    session: Session, vault: Vault, found: Iterable[tuple[Any, ...]], *, place: int = KEY_ID
) -> dict[UUID, HeldKey]:
    """Return the keys for rows with a key id at `place`, as far as they are there and ours."""
    key_ids = {row[place] for row in found}
    key_ids.discard(None)
    return vault.find(session, key_ids) if key_ids else {}


def entries(found: Iterable[tuple[Any, ...]], keys: Mapping[UUID, HeldKey]) -> list[Entry]:
    """Return the entries that rows of ENTRY_COLUMNS mean.

    Raises:
        Damaged: an entry does not fit.
    """
    with no_collection():
        return [entry(row, keys) for row in found]


def _place(row: tuple[Any, ...]) -> dict[str, Any]:
    return {"position": row[0], "record_id": row[1], "version": row[2]}


def opened(  # noqa: PLR0913, PLR0917  # the columns of the header
    record_id: UUID, version: int, recorded_at: datetime, node: str, name: str, body: bytes, key: HeldKey | None
) -> AnyEvent | Erased:
    """Return the personal event in a sealed body, `Erased` where its key is gone or was not given.

    Raises:
        ValueError: the body was changed, or moved to another place.
        msgspec.DecodeError: it holds no such event.
    """
    if key is None:
        return Erased(name)
    header = leaf.header(
        record_id=record_id,
        version=version,
        recorded_at_us=to_us(recorded_at),
        node=node,
        name=name,
        is_personal=True,
    )
    return records.decode(name, open_sealed(key, header, body))
