"""What a record is about, as far as a premise asks: folded while the exporter walks the sealed entries.

Sections and offence types only ever grow: a premise must cover all that a record was ever said to be about, because
the earlier entries still say so. Ties (case to case, party to case) come and go, and are kept on both sides.
"""

from collections.abc import Callable, Iterable
from typing import Self
from uuid import UUID

import msgspec
from msgspec import UNSET

from domain import business, offence, person, seizure
from domain.codes import OffenceType, Section
from domain.entry import Entry
from exchange.release import CASES, PARTIES, Matter, Scope


class Tie(msgspec.Struct, frozen=True, kw_only=True, array_like=True, order=True):
    """That a record is tied to another: as `seizure` and `offence`, or in a party's role."""

    other: UUID
    tied_as: str


class Remembered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the exporter remembers of a record for one peer; `kind` is empty until its first entry is met."""

    kind: str = ""
    own: Scope = Scope()
    is_cancelled: bool = False
    is_restricted: bool = False
    released_as: Scope | None = None
    ties: frozenset[Tie] = frozenset()

    @classmethod
    def of(cls, state: bytes) -> Self:
        """Read what `state` gave."""
        return msgspec.msgpack.decode(state, type=cls)

    @property
    def state(self) -> bytes:
        """As bytes, the same for the same content."""
        return msgspec.msgpack.encode(self, order="deterministic")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A tie that an event made, or unmade."""

    tie: Tie
    other_tied_as: str
    other_kind: str
    is_made: bool


def learn(known: Remembered, entry: Entry) -> Remembered:  # noqa: PLR0911  # an arm for each event that matters
    """Fold an entry of the record itself; ties are folded by `tied`."""
    change = msgspec.structs.replace
    known = change(known, kind=entry.kind)
    match entry.event:
        case seizure.SeizureRecorded(goods=lines):
            return _with_sections(known, (line.goods.section for line in lines))
        case seizure.GoodsAdded(goods=goods) | seizure.GoodsCorrected(goods=goods):
            return _with_sections(known, (goods.section,))
        case offence.OffenceRecorded(offence_type=offence_type):
            return _with_type(known, offence_type)
        case offence.OffenceCorrected(offence_type=offence_type) if offence_type is not UNSET:
            return _with_type(known, offence_type)
        case person.PersonRestricted() | business.BusinessRestricted():
            return change(known, is_restricted=True)
        case person.PersonRestrictionLifted() | business.BusinessRestrictionLifted():
            return change(known, is_restricted=False)
        case seizure.SeizureCancelled() | offence.OffenceCancelled():
            return change(known, is_cancelled=True)
        case _:
            return known


def _with_sections(known: Remembered, sections: Iterable[Section]) -> Remembered:
    own = msgspec.structs.replace(known.own, sections=known.own.sections | set(sections))
    return msgspec.structs.replace(known, own=own)


def _with_type(known: Remembered, offence_type: OffenceType) -> Remembered:
    own = msgspec.structs.replace(known.own, offence_types=known.own.offence_types | {offence_type})
    return msgspec.structs.replace(known, own=own)


def changes_of(entry: Entry) -> tuple[Change, ...]:
    """The ties that an entry makes or unmakes."""
    match entry.event:
        case offence.OffenceRecorded(seizures=seizures):
            return tuple(_case_tie(one, is_made=True) for one in seizures)
        case offence.SeizureAttached(seizure=one):
            return (_case_tie(one, is_made=True),)
        case offence.SeizureDetached(seizure=one):
            return (_case_tie(one, is_made=False),)
        case seizure.PartyNamed() | offence.PartyNamed():
            kind = "business" if entry.event.is_business else "person"
            return (_party_tie(entry.event.party, entry.event.role, kind, is_made=True),)
        case seizure.PartyWithdrawn() | offence.PartyWithdrawn():
            return (_party_tie(entry.event.party, entry.event.role, "", is_made=False),)
        case _:
            return ()


def _case_tie(seizure_id: UUID, *, is_made: bool) -> Change:
    tie = Tie(other=seizure_id, tied_as="seizure")
    return Change(tie=tie, other_tied_as="offence", other_kind="seizure", is_made=is_made)


def _party_tie(party: UUID, role: str, kind: str, *, is_made: bool) -> Change:
    return Change(tie=Tie(other=party, tied_as=role), other_tied_as=role, other_kind=kind, is_made=is_made)


def tied(known: Remembered, tie: Tie, *, is_made: bool, kind: str = "") -> Remembered:
    """Fold a tie into one of its two sides; `kind` says what that side is, where nothing of it was met before."""
    ties = known.ties | {tie} if is_made else known.ties - {tie}
    return msgspec.structs.replace(known, ties=ties, kind=known.kind or kind)


def scope_of(known: Remembered, recall: Callable[[UUID], Remembered]) -> Scope:
    """The scope of a case: its own and that of the cases tied to it."""
    sections, offence_types = set(known.own.sections), set(known.own.offence_types)
    for other in {tie.other for tie in known.ties}:
        case = recall(other)
        if case.kind in CASES:
            sections |= case.own.sections
            offence_types |= case.own.offence_types
    return Scope(sections=frozenset(sections), offence_types=frozenset(offence_types))


def matter_of(record_id: UUID, known: Remembered, recall: Callable[[UUID], Remembered]) -> Matter:
    """What `release` is told of a record; `recall` gives what is remembered of another record."""
    if known.kind not in PARTIES:
        parties = (tie.other for tie in known.ties if recall(tie.other).is_restricted)
        return Matter(
            kind=known.kind,
            scope=scope_of(known, recall),
            is_cancelled=known.is_cancelled,
            released_as=known.released_as,
            restricted=frozenset(parties),
        )
    cases = (recall(other) for other in sorted({tie.other for tie in known.ties}))
    released = (case for case in cases if case.kind in CASES and case.released_as is not None and not case.is_cancelled)
    return Matter(
        kind=known.kind,
        cases=tuple(dict.fromkeys(scope_of(case, recall) for case in released)),
        released_as=known.released_as,
        restricted=frozenset({record_id}) if known.is_restricted else frozenset(),
    )
