"""Recording what came and was verified: entries of a nation in our own ledger, notices at a CEN node in its ledger.

Both say of every line what became of it. Recording is repeatable: what is recorded already is passed over, so that a
batch that is taken twice, after a crash in between, has one effect.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Protocol, TypeAlias
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from domain.attribution import Attribution, Purpose, Role
from domain.notice import ReceiveNotice, TakeBackNotice
from domain.refused import Refused
from exchange import erasing, premises
from exchange.acceptance import Fault, accept
from exchange.envelope import AnyCore, Core, NoticeCore
from exchange.verifying import VerifiedLine
from ledger.errors import Conflict, Damaged
from ledger.ledger import Asked, Ledger
from ledger.received import Received, append_received
from ledger.sessions import Session
from ledger.vault import Vault

RECORDED, REPEATED, HELD, QUARANTINED = "recorded", "repeated", "held", "quarantined"
Outcome: TypeAlias = tuple[str, str | None]
"""What became of a line, and of what is quarantined why."""

BY_EXCHANGE = Attribution(actor="exchange", role=Role.NODE, purpose=Purpose.STATISTICS, legal_basis="CEN:NOTICE")
"""Who records notices at a CEN node: the node itself, for statistics."""


class Recorder(Protocol):
    """Records the lines of one peer's feed."""

    carries: type[AnyCore]

    def record(self, connection: Session, lines: Sequence[VerifiedLine], now: datetime) -> list[Outcome]:
        """Record verified lines within the caller's transaction; what became of each, in order."""
        ...


class EntryRecorder:
    """Appends a nation's entries to our own ledger, as far as our premises let them in."""

    carries: type[AnyCore] = Core

    def __init__(self, box_keys: Sequence[X25519PrivateKey], vault: Vault) -> None:
        """Open what is boxed for us, to any of our keys, and keep entry keys in our own vault."""
        self._box_keys = box_keys
        self._vault = vault

    def record(self, connection: Session, lines: Sequence[VerifiedLine], now: datetime) -> list[Outcome]:
        """Record what can be accepted; the rest is quarantined."""
        known = premises.known(connection)
        judged: list[Received | Fault | None] = [
            accept(line.core, line.boxed_key, self._box_keys, known, now) if isinstance(line.core, Core) else None
            for line in lines
        ]
        accepted = [one for one in judged if isinstance(one, Received)]
        here = _here(connection, accepted)
        try:
            with connection.transaction():
                append_received(connection, accepted, self._vault)
            refused: set[int] = set()
        except (Conflict, Damaged):
            refused = self._append_singly(connection, accepted)
        outcomes = [_outcome(one, here, refused) for one in judged]
        fresh = [one for one, what in zip(judged, outcomes, strict=True) if what == (RECORDED, None)]
        erasing.take(connection, self._vault, [one for one in fresh if isinstance(one, Received)], now)
        return outcomes

    def _append_singly(self, connection: Session, accepted: Sequence[Received]) -> set[int]:
        """Append one by one; returns the feed numbers of those that contradict what is here."""
        refused = set()
        for one in accepted:
            try:
                with connection.transaction():
                    append_received(connection, [one], self._vault)
            except (Conflict, Damaged):
                refused.add(one.provenance.number)
        return refused


def _here(connection: Session, accepted: Sequence[Received]) -> set[tuple[UUID, int]]:
    rows = connection.execute(
        "SELECT record_id, version FROM ledger.entry WHERE record_id = ANY(%s)",
        [list({one.record_id for one in accepted})],
    )
    return {(record_id, version) for record_id, version in rows}


def _outcome(judged: Received | Fault | None, here: set[tuple[UUID, int]], refused: set[int]) -> Outcome:
    if judged is None:
        return HELD, None
    if isinstance(judged, Fault):
        return QUARANTINED, judged
    if judged.provenance.number in refused:
        return QUARANTINED, Fault.CONFLICT
    place = (judged.record_id, judged.version)
    if place in here:
        return REPEATED, None
    here.add(place)
    return RECORDED, None


class NoticeRecorder:
    """Records notices at a CEN node by commands whose ids follow from the feed, so that none is taken twice."""

    carries: type[AnyCore] = NoticeCore

    def __init__(self, ledger: Ledger) -> None:
        """Record in the CEN node's own ledger."""
        self._ledger = ledger

    def record(self, _connection: Session, lines: Sequence[VerifiedLine], _now: datetime) -> list[Outcome]:
        """Record what the notices say."""
        notices = [(line, line.core) for line in lines if isinstance(line.core, NoticeCore)]
        answers = self._ledger.execute_all([_asked(line, core) for line, core in notices], BY_EXCHANGE)
        became = {
            line.number: (QUARANTINED, str(Fault.NOTICE)) if isinstance(answer, Refused) else (RECORDED, None)
            for (line, _), answer in zip(notices, answers, strict=True)
        }
        return [became.get(line.number, (HELD, None)) for line in lines]


def _asked(line: VerifiedLine, core: NoticeCore) -> Asked:
    command: ReceiveNotice | TakeBackNotice
    if core.notice is None:
        command = TakeBackNotice(origin=core.origin, number=core.number)
    else:
        command = ReceiveNotice(origin=core.origin, number=core.number, notice=core.notice)
    command_id = UUID(bytes=sha256(b"ncen notice 1 " + core.origin.encode() + line.leaf_hash).digest()[:16])
    return Asked(record_id=core.export_id, command=command, command_id=command_id)
