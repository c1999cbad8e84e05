"""Why an entry goes or stays: what was decided about each entry of a record, and what would be decided now.

Nothing is sent: the exporter's own steps are taken in a transaction that is rolled back, so that the answer is the one
that the exporter would give, also for what it has not come to yet.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec

from domain.entry import Entry
from exchange import decisions, outbox, peers, premises
from exchange.decisions import Decision
from exchange.feed import Exporter
from exchange.memory import Memory
from exchange.peers import Identity, Peer, Role
from exchange.release import KnownPremise, Reason, Release, Withheld, release
from ledger.errors import NotFound
from ledger.ledger import Reader
from ledger.sessions import READ_TIMEOUT_MS, Session, connect

MOST_STEPS = 10_000


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """An answer in words: whether the entry goes, on which premise in which version, or why not."""

    goes: bool
    reason: str | None
    sentence: str
    instrument: str | None = None
    premise_id: UUID | None = None
    premise_version: int | None = None
    handling: str | None = None
    shows_attribution: bool = False


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that was taken: when, and what; `number` is that of the feed's line where it was released."""

    decided_at: datetime
    goes: bool
    reason: str | None
    sentence: str
    instrument: str | None
    premise_id: UUID | None
    premise_version: int | None
    number: int | None


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """An entry: what would be decided now, what was decided (oldest first), and whether the peer has signed for it."""

    version: int
    position: int
    name: str
    is_personal: bool
    now: Verdict
    decided: tuple[Decided, ...]
    is_receipted: bool


def explain(database_url: str, *, node: str, keys: Path, record_id: UUID, peer: str) -> list[Explained]:
    """For each sealed entry of a record, oldest first: whether it would go to this nation, on what, or why not.

    Raises:
        NotFound: there is no such peer, or no sealed entry of such a record.
        ValueError: the peer is the CEN, to which no entry goes (see `preview`).
    """
    moment = datetime.now(UTC)
    own = Identity.open(keys, node=node)
    with (
        Reader.open(database_url, keys=keys) as reader,
        connect(database_url, statement_timeout_ms=READ_TIMEOUT_MS) as connection,
    ):
        found = _peer(connection, peer)
        entries = reader.record(record_id)
        if not entries:
            raise NotFound(f"No entry of a record {record_id} is sealed.")
        taken = decisions.all_of(connection, peer, record_id)
        receipted = outbox.receipted(connection, peer)
        with connection.transaction(force_rollback=True):
            premises.refresh(connection, reader)
            exporter = Exporter(connection=connection, reader=reader, own=own, peer=found)
            for _ in range(MOST_STEPS):
                if not exporter.step(moment):
                    break
            known = premises.known(connection)
            verdicts = _verdicts(connection, entries, premises.between(known, node, peer), peer, moment)
        return [
            _explained(entry, verdict, [one for one in taken if one.position == entry.position], known, receipted)
            for entry, verdict in zip(entries, verdicts, strict=True)
        ]


def _peer(connection: Session, node: str) -> Peer:
    found = next((peer for peer in peers.listed(connection) if peer.node == node), None)
    if found is None:
        raise NotFound(f"{node} is not a peer of this node.")
    if found.role is Role.CEN:
        raise ValueError(f"No entry ever goes to {node}: the CEN is told notices. Ask for a preview of the notice.")
    return found


def _verdicts(
    connection: Session, entries: Sequence[Entry], known: Sequence[KnownPremise], peer: str, at: datetime
) -> list[Release | Withheld]:
    memory = Memory(connection, peer)
    return [release(entry, memory.matter(entry.record_id), known, peer, at) for entry in entries]


def _explained(
    entry: Entry, verdict: Release | Withheld, taken: list[Decision], known: list[KnownPremise], receipted: int
) -> Explained:
    instruments = {one.record_id: one.premise.instrument for one in known}
    newest = taken[-1] if taken else None
    return Explained(
        version=entry.version,
        position=entry.position or 0,
        name=entry.name,
        is_personal=entry.is_personal,
        now=_verdict(verdict),
        decided=tuple(_decided(one, instruments) for one in taken),
        is_receipted=newest is not None and newest.number is not None and newest.number <= receipted,
    )


def _verdict(verdict: Release | Withheld) -> Verdict:
    known = verdict.premise
    return Verdict(
        goes=isinstance(verdict, Release),
        reason=None if isinstance(verdict, Release) else str(verdict.reason),
        sentence=_goes(known.premise.instrument if known else None)
        if isinstance(verdict, Release)
        else verdict.reason.sentence,
        instrument=known.premise.instrument if known else None,
        premise_id=known.record_id if known else None,
        premise_version=known.premise.version if known else None,
        handling=str(verdict.handling) if isinstance(verdict, Release) else None,
        shows_attribution=isinstance(verdict, Release) and verdict.shows_attribution,
    )


def _goes(instrument: str | None) -> str:
    return f"It goes on the legal premise {instrument}."


def _decided(taken: Decision, instruments: dict[UUID, str | None]) -> Decided:
    instrument = instruments.get(taken.premise_id) if taken.premise_id else None
    return Decided(
        decided_at=taken.decided_at,
        goes=taken.reason is None,
        reason=taken.reason,
        sentence=_goes(instrument) if taken.reason is None else Reason(taken.reason).sentence,
        instrument=instrument,
        premise_id=taken.premise_id,
        premise_version=taken.premise_version,
        number=taken.number,
    )
