"""How records stand when a command is decided: their entries, state and keys, for one record or many in one query.

A record belongs to the node that made it and is of one kind: its commands are refused elsewhere.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from domain import records
from domain.entry import Entry
from domain.records import Kind
from domain.refused import Refused
from ledger import line
from ledger.sessions import Session
from ledger.vault import HeldKey, Vault, WrappedKey

_QUERY = f"""
    SELECT {line.ENTRY_COLUMNS}, k.subject_tag, k.version, k.epoch, k.wrapped
    FROM ledger.entry e LEFT JOIN ledger.subject_key k ON k.key_id = e.key_id
    WHERE e.record_id = ANY(%s) ORDER BY e.record_id, e.version
""".replace("s.position", "NULL::bigint")  # noqa: S608  # our own columns
_WIDTH = line.ENTRY_COLUMNS.count(",") + 1


class Stand:
    """A record as it stands: its entries, the state of one kind they fold to, and its subjects' keys."""

    __slots__ = ("entries", "keys", "record_id", "state", "version")

    def __init__(self, record_id: UUID) -> None:
        """Begin with a record of which nothing is known."""
        self.record_id = record_id
        self.entries: list[Entry] = []
        self.state: Any = None
        self.version = 0
        self.keys: dict[bytes, HeldKey] = {}

    def made_by(self, command_id: UUID) -> tuple[Entry, ...]:
        """Return the entries that a command made here."""
        return tuple(entry for entry in self.entries if entry.command_id == command_id)

    def require_own(self, node: str, kind: Kind) -> None:
        """Refuse a command on a record that another node keeps, or that is of another kind."""
        if not self.entries:
            return
        first = self.entries[0]
        if first.node != node:
            raise Refused(f"This record belongs to {first.node}, where alone it can be changed.")
        if first.kind != kind.name:
            raise Refused(f"This record is a {first.kind}, not a {kind.name}.")

    def add(self, entry: Entry) -> None:
        """Take up an entry that is about to be recorded, for the next command on the same record."""
        self.entries.append(entry)
        self.state = records.fold((entry,), self.state)
        self.version = entry.version

    def take(self, entries: Iterable[Entry]) -> None:
        """Take up entries on record, in order."""
        self.entries.extend(entries)
        if self.entries:
            self.state = records.fold(self.entries)
            self.version = self.entries[-1].version


def load(session: Session, vault: Vault, record_ids: list[UUID]) -> dict[UUID, Stand]:
    """Return how these records stand; those that do not exist stand with nothing.

    Raises:
        Damaged: the bytes of an entry or key do not fit.
    """
    stands = {record_id: Stand(record_id) for record_id in record_ids}
    rows = session.cursor(binary=True).execute(_QUERY, [record_ids], prepare=True).fetchall()
    held: dict[UUID, HeldKey] = {}
    found: dict[UUID, list[Entry]] = {}
    for row in rows:
        record_id, key_id = row[1], row[line.KEY_ID]
        if key_id is not None and key_id not in held:
            _hold(session, held, vault, stands[record_id], key_id, row[_WIDTH:])
        found.setdefault(record_id, []).append(line.entry(row[:_WIDTH], held))
    for record_id, entries in found.items():
        stands[record_id].take(entries)
    return stands


def _hold(  # noqa: PLR0913, PLR0917  # where from, where to, and which
    session: Session,
    held: dict[UUID, HeldKey],
    vault: Vault,
    stand: Stand,
    key_id: UUID,
    columns: tuple[Any, ...],
) -> None:
    tag, version, epoch, wrapped = columns
    if wrapped is None:
        return  # erased
    key = vault.unwrap(WrappedKey(key_id, stand.record_id, tag, version, epoch, wrapped))
    if key is None:  # destroyed with its epoch, or wrapped anew since we looked
        key = vault.find(session, [key_id]).get(key_id)
    if key is None:
        return
    held[key_id] = key
    if version is None:
        stand.keys[tag] = key
