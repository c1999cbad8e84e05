"""What the CEN would be told of a seizure, beside what stays; nothing is sent.

It reads without keys, as the exporter does: of a personal entry it sees that it is there, and nothing of it.
"""

from uuid import UUID

import msgspec

from domain.entry import Entry
from domain.event import Event
from domain.notice import Notice, OpenSeizureEvent, learn, notice_of
from exchange import peers
from exchange.cen import Telling
from exchange.peers import Role
from exchange.telling import Kept, Told, is_small_cell
from ledger.errors import NotFound
from ledger.ledger import Reader
from ledger.sessions import Session, connect

NEVER_TOLD = (
    "the customs office",
    "UN/LOCODE and local place codes",
    "the source it was imported from",
    "line numbers, and amounts finer than a thousandth",
    "national digits of HS codes",
    "who recorded, changed or validated it",
    "record id, versions, positions and times in this ledger",
)
"""What open entries hold and no notice says."""


class Stays(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that stays, and why."""

    version: int
    name: str
    sentence: str


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The notice as it would be sent now (None: why not), what the CEN was told last, and what stays."""

    notice: Notice | None
    sentence: str
    is_coarse: bool
    export_id: UUID | None
    told: Notice | None
    is_withdrawn: bool
    stays: tuple[Stays, ...]
    never_told: tuple[str, ...] = NEVER_TOLD


def preview(database_url: str, *, record_id: UUID, peer: str | None = None) -> Preview:
    """What the CEN (`peer`, or the only CEN node we know, or any) would be told of a seizure.

    Raises:
        NotFound: no sealed entry of such a seizure of our own is there.
    """
    with Reader.open(database_url, keys=None) as reader, connect(database_url) as connection:
        own = [entry for entry in reader.record(record_id) if entry.provenance is None]
        entries = [entry for entry in own if entry.kind == "seizure"]
        if not entries:
            raise NotFound(f"No entry of a seizure {record_id} of our own is sealed.")
        telling = Telling(connection, peer or _cen(connection) or "")
        telling.fetch([record_id])
        return _preview(entries, telling, telling.of(record_id))


def _cen(connection: Session) -> str | None:
    return next((peer.node for peer in peers.listed(connection) if peer.role is Role.CEN), None)


def _preview(entries: list[Entry], telling: Telling, told: Told) -> Preview:
    facts = None
    for entry in entries:
        if isinstance(entry.event, Event):
            facts = learn(facts, _open(entry.event))
    known = Told() if facts is None else msgspec.structs.replace(told, facts=facts)
    is_coarse = is_small_cell(known, telling.count, told.counted)
    notice = notice_of(known.facts, is_small_cell=is_coarse)
    return Preview(
        notice=notice,
        sentence=_sentence(known, notice),
        is_coarse=is_coarse,
        export_id=told.export_id,
        told=told.notice,
        is_withdrawn=told.is_withdrawn,
        stays=tuple(kept_back(entry) for entry in entries if entry.is_personal),
    )


def _open(event: Event) -> OpenSeizureEvent:
    """An open event of a seizure, by type; a registry test holds that there are no others."""
    if not isinstance(event, OpenSeizureEvent):
        raise TypeError(f"{type(event).__name__} is not an open event of a seizure")
    return event


def _sentence(known: Told, notice: Notice | None) -> str:
    if known.facts.is_cancelled:
        return (
            "The notice would be withdrawn." if known.export_id and not known.is_withdrawn else Kept.CANCELLED.sentence
        )
    if notice is None:
        return Kept.NOT_PUT_FORWARD.sentence
    if notice == known.notice:
        return Kept.SAME.sentence
    return "The notice would be sent as it stands here." if known.notice is None else "The notice would be amended."


def kept_back(entry: Entry) -> Stays:
    """What is said of a personal entry, which stays."""
    return Stays(
        version=entry.version,
        name=entry.name,
        sentence="It tells of a person or was written in words: it has no form in which it could go to the CEN.",
    )
