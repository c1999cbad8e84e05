"""The decision whether an entry may go to a peer: one pure function, and the only place where it is taken.

Nothing goes unless a premise in force clearly covers it; every refusal is one of a closed list of reasons. No clock, no
file, no database: the same arguments give the same answer for ever, so that an auditor can take the decision again.
What takes something back (a cancelled seizure, a retracted statement) follows to whoever was given the record, within
the scope in which it was given. A person or business goes only as a party to a case that was released to that peer.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from domain.attribution import Purpose
from domain.codes import OffenceType, Section
from domain.entry import Entry
from domain.event import Erased, PersonalEvent
from domain.handling import DataCategory, Handling
from domain.premise import Gap, Premise

CASES = frozenset({"seizure", "offence"})
PARTIES = frozenset({"person", "business"})
ERASING = frozenset({"person.erased", "business.erased"})
"""Tell whoever was given something of a subject that it was erased, also when the premise has ended since."""
SHIELDING = frozenset(
    {
        "person.restricted",
        "person.restriction-lifted",
        "business.restricted",
        "business.restriction-lifted",
    }
)
"""Tell whoever was given something of a subject that it may be looked up no more, or again."""
FOLLOWING = ERASING | SHIELDING
"""Follow to every recipient, whatever has become of the premise: they take away, and name a record id alone."""
TAKING_BACK = frozenset(
    {
        "seizure.cancelled",
        "seizure.party-withdrawn",
        "offence.cancelled",
        "offence.party-withdrawn",
        "person.assertion-retracted",
        "business.assertion-retracted",
    }
)


class Reason(StrEnum):
    """Why an entry stays: a closed list."""

    NOT_OURS = "not-ours"
    KIND = "kind"
    UNREADABLE = "unreadable"
    NO_ATTRIBUTION = "no-attribution"
    CANCELLED = "cancelled"
    NOT_TIED = "not-tied"
    RESTRICTED = "restricted"
    TOO_LARGE = "too-large"
    NO_PREMISE = "no-premise"
    NOT_IN_FORCE = "not-in-force"
    ENDED = "ended"
    SUSPENDED = "suspended"
    SENDER = "sender"
    SINGLE_CASES_ONLY = "single-cases-only"
    PURPOSE = "purpose"
    DATA_CATEGORY = "data-category"
    SECTION = "section"
    OFFENCE_TYPE = "offence-type"

    @property
    def sentence(self) -> str:
        """The reason as a whole sentence for the person who asks."""
        return SENTENCES[self]


SENTENCES: dict[Reason, str] = {
    Reason.NOT_OURS: "This entry came from another node and leaves again only with its origin's consent.",
    Reason.KIND: "Records of this kind are not exchanged.",
    Reason.UNREADABLE: "This entry can no longer be read: its subject was erased.",
    Reason.NO_ATTRIBUTION: "It is not on record for what purpose this entry was made, so no premise can cover it.",
    Reason.CANCELLED: "The record was cancelled before anything of it went to this peer.",
    Reason.NOT_TIED: "This person or business is not a party to a case that was released to this peer.",
    Reason.RESTRICTED: "The person or business it tells of is restricted, and is not exchanged while it is.",
    Reason.TOO_LARGE: "The entry is larger than an envelope may be.",
    Reason.NO_PREMISE: "There is no legal premise to which both this node and the peer are parties.",
    Reason.NOT_IN_FORCE: "The legal premise is not in force today.",
    Reason.ENDED: "The legal premise has ended.",
    Reason.SUSPENDED: "The legal premise is suspended.",
    Reason.SENDER: "The legal premise does not let this node send to the peer.",
    Reason.SINGLE_CASES_ONLY: "The legal premise is a derogation: nothing goes on it without a decision of its own.",
    Reason.PURPOSE: "The purpose for which this entry was made is not covered by the legal premise.",
    Reason.DATA_CATEGORY: "The legal premise does not cover this category of data (open or nominal).",
    Reason.SECTION: "A commodity section of the case is not covered by the legal premise.",
    Reason.OFFENCE_TYPE: "The offence type of the case (or having none) is not covered by the legal premise.",
}

NEARNESS: tuple[Gap, ...] = (
    Gap.RECIPIENT,
    Gap.ENDED,
    Gap.NOT_IN_FORCE,
    Gap.SUSPENDED,
    Gap.SENDER,
    Gap.SINGLE_CASES_ONLY,
    Gap.PURPOSE,
    Gap.DATA_CATEGORY,
    Gap.SECTION,
    Gap.OFFENCE_TYPE,
)
"""Gaps of a premise, the furthest from covering first: of several premises the nearest one gives the reason."""

REASON_OF: dict[Gap, Reason] = {
    Gap.RECIPIENT: Reason.NO_PREMISE,
    Gap.ENDED: Reason.ENDED,
    Gap.NOT_IN_FORCE: Reason.NOT_IN_FORCE,
    Gap.SUSPENDED: Reason.SUSPENDED,
    Gap.SENDER: Reason.SENDER,
    Gap.SINGLE_CASES_ONLY: Reason.SINGLE_CASES_ONLY,
    Gap.PURPOSE: Reason.PURPOSE,
    Gap.DATA_CATEGORY: Reason.DATA_CATEGORY,
    Gap.SECTION: Reason.SECTION,
    Gap.OFFENCE_TYPE: Reason.OFFENCE_TYPE,
}


class Scope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a case is about, as a premise asks: the sections and offence types of it and of the cases tied to it."""

    sections: frozenset[Section] = frozenset()
    offence_types: frozenset[OffenceType] = frozenset()


class Matter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a record is about as of an entry.

    `released_as` is the scope in which something of it was last released to this peer, None if nothing was; `cases` are
    the scopes of the released, uncancelled cases to which a person or business is a party; `restricted` are those who
    are, of the record and its parties.
    """

    kind: str
    scope: Scope = Scope()
    is_cancelled: bool = False
    released_as: Scope | None = None
    cases: tuple[Scope, ...] = ()
    restricted: frozenset[UUID] = frozenset()


class KnownPremise(msgspec.Struct, frozen=True, kw_only=True):
    """A legal premise on our record, as it stands now (`premise.version` is its version)."""

    record_id: UUID
    premise: Premise


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """The entry may go, on this premise, under this handling code, with or without who made it."""

    premise: KnownPremise
    handling: Handling
    shows_attribution: bool
    scope: Scope


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """The entry stays, for this reason; `premise` is the one that came nearest to covering it, if there is any."""

    reason: Reason
    premise: KnownPremise | None = None


def release(
    entry: Entry, matter: Matter, premises: Sequence[KnownPremise], peer: str, now: datetime
) -> Release | Withheld:
    """Decide whether an entry may go to a peer. `now` is a time with zone; premises count days in UTC."""
    stays = _stays(entry, matter)
    if stays is not None:
        return Withheld(reason=stays)
    scopes = _scopes(entry, matter)
    if not scopes:
        return Withheld(reason=Reason.NOT_TIED)
    if entry.name in FOLLOWING:
        return _follows(entry, scopes, premises, peer)
    judged = list(_judged(entry, scopes, premises, peer, now))
    covering = [(premise, scope) for premise, scope, gap in judged if gap is None]
    if covering:
        return _released(covering)
    failing = [(premise, gap) for premise, _, gap in judged if gap is not None]
    if not failing:
        return Withheld(reason=Reason.NO_PREMISE)
    nearest, gap = max(failing, key=lambda one: (NEARNESS.index(one[1]), one[0].record_id))
    reason = REASON_OF[gap]
    return Withheld(reason=reason, premise=None if reason is Reason.NO_PREMISE else nearest)


def _follows(entry: Entry, scopes: Sequence[Scope], premises: Sequence[KnownPremise], peer: str) -> Release | Withheld:
    """Whoever was given something is told, on any premise there is between us, in force or not."""
    parties = {entry.node, peer}
    usable = [(known, scopes[0]) for known in premises if parties <= set(known.premise.parties)]
    usable = [one for one in usable if one[0].premise.handling is not None]
    return _released(usable) if usable else Withheld(reason=Reason.NO_PREMISE)


def _stays(entry: Entry, matter: Matter) -> Reason | None:
    """Why an entry stays whatever a premise may say."""
    if entry.provenance is not None:
        return Reason.NOT_OURS
    if entry.kind not in CASES | PARTIES or matter.kind != entry.kind:
        return Reason.KIND
    if isinstance(entry.event, Erased):
        return Reason.UNREADABLE
    if entry.by is None:
        return Reason.NO_ATTRIBUTION
    if matter.restricted and _subject_of(entry) in matter.restricted:
        return Reason.RESTRICTED
    return Reason.CANCELLED if matter.is_cancelled and matter.released_as is None else None


def _subject_of(entry: Entry) -> UUID | None:
    """The person or business whose restriction holds an entry back; what shields them or takes something back goes."""
    if entry.name in FOLLOWING | TAKING_BACK or isinstance(entry.event, Erased):
        return None
    return entry.event.subject_of(entry.record_id) if isinstance(entry.event, PersonalEvent) else entry.record_id


def _scopes(entry: Entry, matter: Matter) -> tuple[Scope, ...]:
    """The scopes of which a premise must cover one: none where a person is tied to nothing that was released."""
    if entry.name in TAKING_BACK | FOLLOWING and matter.released_as is not None:
        return (matter.released_as,)
    return matter.cases if entry.kind in PARTIES else (matter.scope,)


def category_of(entry: Entry) -> DataCategory:
    """Whether a premise must cover nominal data for it: whatever is said of a person or business is nominal."""
    return DataCategory.NOMINAL if entry.is_personal or entry.kind in PARTIES else DataCategory.OPEN


def _judged(
    entry: Entry, scopes: Iterable[Scope], premises: Sequence[KnownPremise], peer: str, now: datetime
) -> Iterator[tuple[KnownPremise, Scope, Gap | None]]:
    purpose = entry.by.purpose if entry.by else Purpose.EXCHANGE
    for scope in scopes:
        for known in premises:
            if not {entry.node, peer} <= set(known.premise.parties):
                yield known, scope, Gap.RECIPIENT
                continue
            gap = known.premise.gap(
                sender=entry.node,
                recipient=peer,
                purpose=purpose,
                category=category_of(entry),
                sections=scope.sections,
                offence_types=scope.offence_types,
                day=now.astimezone(UTC).date(),
            )
            yield known, scope, gap


def _released(covering: Sequence[tuple[KnownPremise, Scope]]) -> Release:
    """Release on the premise with the tightest conditions: where two instruments allow it, both are kept."""
    known, scope = min(
        covering, key=lambda one: (-_tightness(one[0]), one[0].premise.shows_attribution, one[0].record_id)
    )
    handling = known.premise.handling
    assert handling is not None, "a premise without conditions covers nothing"  # noqa: S101  # told to the type checker
    return Release(premise=known, handling=handling, shows_attribution=known.premise.shows_attribution, scope=scope)


def _tightness(known: KnownPremise) -> int:
    return list(Handling).index(known.premise.handling) if known.premise.handling else -1
