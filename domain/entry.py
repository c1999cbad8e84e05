"""An entry: an event in its place in the ledger.

It is the stored line and the wire line: record, version within the record, when the ledger learned of it, at which
node, the event, and who made it. What came from a peer keeps its origin's node, record id, version and times for ever,
and carries how it came to us; it is never edited.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from domain.attribution import Attribution, Occasion
from domain.codes import InstrumentCode, NodeCode
from domain.event import AnyEvent, Erased, PersonalEvent, wire_name


class Provenance(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How an entry came to us: from which peer's feed, under which number and premise, and when."""

    peer: NodeCode
    number: int
    instrument: InstrumentCode
    premise_version: int
    handling: str
    received_at: datetime


class Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An event in its place; `position` is None until it is sealed, `by` is None where it was withheld from us."""

    record_id: UUID
    version: int
    recorded_at: datetime
    node: NodeCode
    event: AnyEvent | Erased
    by: Attribution | None
    command_id: UUID | None = None
    position: int | None = None
    provenance: Provenance | None = None

    @property
    def name(self) -> str:
        """The wire name of its event, also where the event can no longer be read."""
        return self.event.name if isinstance(self.event, Erased) else wire_name(self.event)

    @property
    def kind(self) -> str:
        """The kind of record it belongs to, such as `seizure`."""
        return self.name.partition(".")[0]

    @property
    def is_personal(self) -> bool:
        """Whether it tells of a person (or did, before it was erased)."""
        return isinstance(self.event, PersonalEvent | Erased)

    @property
    def occasion(self) -> Occasion:
        """Who made it and when the ledger learned of it, as `evolve` asks."""
        return Occasion(by=self.by, at=self.recorded_at)
