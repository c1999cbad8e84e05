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
from exchange.release import FOLLOWING
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
        here, parted = _here(connection, accepted), _parted(connection, accepted)
        is_whole = parted.isdisjoint(one.record_id for one in accepted) and self._append(connection, accepted)
        refused = {} if is_whole else self._append_singly(connection, accepted, here, parted)
        outcomes = [_outcome(one, here, refused) for one in judged]
        heard = {(RECORDED, None), (REPEATED, None), (QUARANTINED, str(Fault.DIFFERS))}
        asked = [one for one, what in zip(judged, outcomes, strict=True) if what in heard]
        erasing.take(connection, self._vault, [one for one in asked if isinstance(one, Received)], now)
        return outcomes

    def _append(self, connection: Session, lines: Sequence[Received]) -> bool:
        """Append all of these or none; False where one contradicts what is here."""
        try:
            with connection.transaction():
                append_received(connection, lines, self._vault)
        except (Conflict, Damaged):
            return False
        return True

    def _append_singly(
        self, connection: Session, accepted: Sequence[Received], here: dict[tuple[UUID, int], str], parted: set[UUID]
    ) -> dict[int, Fault]:
        """Append one by one; returns why not, by feed number, for those that contradict what is here.

        What follows an entry that differs from the one we have follows upon another history than ours: it is set aside
        as well, save what takes away or shields, which is heard in any case.
        """
        refused: dict[int, Fault] = {}
        for one in accepted:
            is_other = here.get((one.record_id, one.version)) == one.node
            if one.record_id in parted and one.name not in FOLLOWING and not is_other:
                refused[one.provenance.number] = Fault.DIFFERS
                continue
            if not self._append(connection, [one]):
                refused[one.provenance.number] = Fault.DIFFERS if is_other else Fault.CONFLICT
                parted |= {one.record_id} if is_other else set()
        return refused


def _parted(connection: Session, accepted: Sequence[Received]) -> set[UUID]:
    """The records of which a line was set aside because it differs from what its sender had sent before."""
    if not accepted:
        return set()
    rows = connection.execute(
        "SELECT DISTINCT record_id FROM exchange.inbox WHERE record_id = ANY(%s) AND origin = %s "
        "AND outcome = 'quarantined' AND reason = 'differs'",
        [list({one.record_id for one in accepted}), accepted[0].node],
    )
    return {record_id for (record_id,) in rows}


def _here(connection: Session, accepted: Sequence[Received]) -> dict[tuple[UUID, int], str]:
    """What is on record of these records: by which node."""
    rows = connection.execute(
        "SELECT record_id, version, node FROM ledger.entry WHERE record_id = ANY(%s)",
        [list({one.record_id for one in accepted})],
    )
    return {(record_id, version): node for record_id, version, node in rows}


def _outcome(judged: Received | Fault | None, here: dict[tuple[UUID, int], str], refused: dict[int, Fault]) -> Outcome:
    if judged is None:
        return HELD, None
    if isinstance(judged, Fault):
        return QUARANTINED, judged
    if (fault := refused.get(judged.provenance.number)) is not None:
        return QUARANTINED, str(fault)
    place = (judged.record_id, judged.version)
    if place in here:
        return REPEATED, None
    here[place] = judged.node
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
        command = TakeBackNotice(origin=core.origin, number=core.number, epoch=line.epoch)
    else:
        command = ReceiveNotice(origin=core.origin, number=core.number, notice=core.notice, epoch=line.epoch)
    of = core.origin if not line.epoch else f"{core.origin}/{line.epoch} "  # a node's code has neither
    command_id = UUID(bytes=sha256(b"ncen notice 1 " + of.encode() + line.leaf_hash).digest()[:16])
    return Asked(record_id=core.export_id, command=command, command_id=command_id)
