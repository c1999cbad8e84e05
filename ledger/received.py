"""What a peer disclosed to us, appended to our own ledger as it is.

It keeps its origin's node, record id, version, times, body and leaf for ever, so that search, history, verify and
rebuild see one stream. The caller has verified it and brings the transaction. A peer can tell of its own records only:
what would speak for this node, or for the record of another, is refused, and so is a second version of what is here.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import tuple_row

from domain import records
from domain.entry import Provenance
from domain.event import PersonalEvent
from ledger import insertion, leaf, vault
from ledger.clock import to_us
from ledger.errors import Conflict, Damaged
from ledger.line import Draft, provenance_encoder
from ledger.vault import Vault, WrappedKey


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as a peer disclosed it: whole, without its attribution, or (`entry_key` None) without its content.

    Either `attribution` and `attribution_salt` are given, or `attribution_hash` alone.
    """

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
    entry_key: bytes | None
    provenance: Provenance

    @property
    def header(self) -> bytes:
        """The canonical header of the entry at its origin."""
        return leaf.header(
            record_id=self.record_id,
            version=self.version,
            recorded_at_us=to_us(self.recorded_at),
            node=self.node,
            name=self.name,
            is_personal=self.is_personal,
        )

    @property
    def leaf(self) -> bytes:
        """The leaf hash that these bytes give: the origin's, if nothing was changed."""
        return leaf.leaf_hash(leaf.leaf_bytes(self.header, self.body, self.attribution_hash))


def append_received(connection: Connection[Any], lines: Sequence[Received], vault: Vault) -> int:
    """Append a peer's entries within the caller's transaction; return how many were new.

    What is here already, byte for byte, is passed over.

    Raises:
        Conflict: the entry speaks for another node's record, or differs from what is here.
        Damaged: a part does not fit another: attribution and its hash, body and key, or body and name.
    """
    fresh = _fresh(connection, lines)
    made = [_draft(line, vault) for line in fresh]
    drafts, keys = [draft for draft, _ in made], [key for _, key in made if key is not None]
    with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        count = cursor.execute("SELECT count(*) FROM ledger.entry WHERE xid = pg_current_xact_id()").fetchone()
        insertion.send(cursor, [insertion.Plan(drafts, keys)], first_ordinal=count[0] if count else 0)
    return len(fresh)


def _fresh(connection: Connection[Any], lines: Sequence[Received]) -> list[Received]:
    """Return those that are not here yet; refuse those that contradict what is here."""
    own, owners, here = _known(connection, {line.record_id for line in lines})
    fresh: list[Received] = []
    for line in lines:
        owner = owners.setdefault(line.record_id, line.node)
        if line.node == own or owner != line.node:
            raise Conflict(f"{line.provenance.peer} speaks for the record {line.record_id} of {owner}.")
        known = here.get((line.record_id, line.version))
        if known is None:
            here[line.record_id, line.version] = line.leaf
            fresh.append(line)
        elif known != line.leaf:
            raise Conflict(f"Entry {line.version} of record {line.record_id} differs from the one that is here.")
    return fresh


_KNOWN = """
    SELECT record_id, version, recorded_at, node, name, personal, body, attribution, attribution_salt, attribution_hash
    FROM ledger.entry WHERE record_id = ANY(%s)
"""


def _known(
    connection: Connection[Any], record_ids: Collection[UUID]
) -> tuple[str | None, dict[UUID, str], dict[tuple[UUID, int], bytes]]:
    with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        node = cursor.execute("SELECT name FROM ledger.node").fetchone()
        rows = cursor.execute(_KNOWN, [list(record_ids)]).fetchall()
    owners: dict[UUID, str] = {}
    here: dict[tuple[UUID, int], bytes] = {}
    for record_id, version, recorded_at, origin, name, personal, body, attribution, salt, withheld in rows:
        owners[record_id] = origin
        header = leaf.header(
            record_id=record_id,
            version=version,
            recorded_at_us=to_us(recorded_at),
            node=origin,
            name=name,
            is_personal=personal,
        )
        part = leaf.attribution_hash(salt, attribution) if withheld is None else withheld
        here[record_id, version] = leaf.leaf_hash(leaf.leaf_bytes(header, body, part))
    return node[0] if node else None, owners, here


def _draft(line: Received, vault: Vault) -> tuple[Draft, WrappedKey | None]:
    is_shown = line.attribution is not None and line.attribution_salt is not None
    if line.attribution is not None and line.attribution_salt is not None:  # noqa: SIM102  # read one by one
        if leaf.attribution_hash(line.attribution_salt, line.attribution) != line.attribution_hash:
            raise _damaged(line, "its attribution does not fit the hash.")
    key = _key(line, vault)
    draft = Draft(
        line.record_id.bytes,
        line.version,
        to_us(line.recorded_at),
        line.node.encode("ascii"),
        line.name.encode("ascii"),
        line.is_personal,
        line.body,
        line.attribution if is_shown else None,
        line.attribution_salt if is_shown else None,
        None if is_shown else line.attribution_hash,
        key.key_id.bytes if key is not None else None,
        provenance_encoder.encode(line.provenance),
    )
    return draft, key


def _key(line: Received, own_vault: Vault) -> WrappedKey | None:
    """Take the key of an entry into our vault, under the tag of the subject that its event names."""
    if line.entry_key is None and line.is_personal:
        return None
    try:
        body = vault.open_with_entry_key(line.entry_key, line.header, line.body) if line.entry_key else line.body
        event = records.read(line.name, body)
    except (ValueError, KeyError):
        raise _damaged(line, "its body cannot be read.") from None
    if isinstance(event, PersonalEvent) != line.is_personal:
        raise _damaged(line, "it is not what it says of being personal.")
    if not isinstance(event, PersonalEvent) or line.entry_key is None:
        return None
    subject = event.subject_of(line.record_id)
    return own_vault.new_key(line.record_id, subject, version=line.version, entry_key=line.entry_key)[1]


def _damaged(line: Received, what: str) -> Damaged:
    return Damaged(what, record_id=line.record_id, version=line.version)
