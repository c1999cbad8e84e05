"""Twenty leaks, planted into the exporter of the CEN feed: the law of the CEN is worth what it finds.

Each tells something of what is personal in another way: in a number, an id, an order, a silence, a repetition, a cut, a
signature. None of them is ever part of the node.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.notice import Notice, Stage
from exchange import cen, outbox
from exchange.cen import CenExporter
from exchange.telling import Kept, Words

Number = Callable[[CenExporter, UUID, int], int]
Change = Callable[[CenExporter, UUID, Notice], Notice]
Answers = list[tuple[int, UUID, Words | Kept]]


def of_record(query: str) -> Number:
    """Draw a number from the ledger, by a query over the record's personal entries."""

    def number(exporter: CenExporter, record_id: UUID, _position: int) -> int:
        asked = f"SELECT coalesce(({query}), 0) FROM ledger.entry WHERE record_id = %s AND personal"
        row = exporter.connection.execute(asked.encode(), [record_id]).fetchone()
        return int(row[0]) if row else 0

    return number


def version_of(exporter: CenExporter, record_id: UUID, position: int) -> int:
    """Return the version of an entry in its record, personal ones counted in."""
    row = exporter.connection.execute(
        "SELECT version FROM ledger.sealed WHERE record_id = %s AND position = %s", [record_id, position]
    ).fetchone()
    return int(row[0]) if row else 0


def hash_of_words(exporter: CenExporter, record_id: UUID, _position: int) -> int:
    """Return a hash over what is sealed in the record."""
    rows = exporter.connection.execute(
        "SELECT body FROM ledger.entry WHERE record_id = %s AND personal ORDER BY version", [record_id]
    ).fetchall()
    return int.from_bytes(sha256(b"".join(body for (body,) in rows)).digest()[:6], "big")


def ledger_size(exporter: CenExporter, _record_id: UUID, _position: int) -> int:
    """Return how many entries are sealed, personal ones counted in."""
    row = exporter.connection.execute("SELECT size FROM ledger.seal_state").fetchone()
    return int(row[0]) if row else 0


has_person = of_record("bool_or(name = 'seizure.party-named')::int")
how_many = of_record("count(*)")

NUMBERS: dict[str, Number] = {
    "length of the narrative": of_record("sum(octet_length(body)) FILTER (WHERE name = 'seizure.narrative-written')"),
    "whether there is a person": has_person,
    "number of parties": of_record("count(*) FILTER (WHERE name = 'seizure.party-named')"),
    "number of personal events": how_many,
    "time of a personal event": of_record("max(extract(epoch FROM recorded_at) * 1000)::bigint"),
    "hash of what is sealed": hash_of_words,
    "version in the record": version_of,
    "position in the ledger": lambda _exporter, _record_id, position: position,
    "size of the ledger": ledger_size,
}


def leaking_number(number: Number) -> type[CenExporter]:
    """Make an exporter that hides a number in an amount."""

    class Leaking(CenExporter, frozen=True, kw_only=True):
        """Hides a number in an amount."""

        def _draft(self, position: int, record_id: UUID, words: Words) -> outbox.Draft:
            export_id, notice = words
            if notice is not None:
                secret = number(self, record_id, position)
                lines = tuple(msgspec.structs.replace(line, worth=secret) for line in notice.lines)
                notice = msgspec.structs.replace(notice, lines=lines)
            return CenExporter._draft(self, position, record_id, (export_id, notice))  # our own, undisguised

    return Leaking


def leaking_change(change: Change) -> type[CenExporter]:
    """Make an exporter that words a notice differently where something personal is on record."""

    class Leaking(CenExporter, frozen=True, kw_only=True):
        """Words a notice differently."""

        def _draft(self, position: int, record_id: UUID, words: Words) -> outbox.Draft:
            export_id, notice = words
            if notice is not None and how_many(self, record_id, position):
                notice = change(self, record_id, notice)
            return CenExporter._draft(self, position, record_id, (export_id, notice))  # our own, undisguised

    return Leaking


class LeakingId(CenExporter, frozen=True, kw_only=True):
    """Makes the export id of what the record holds."""

    def _draft(self, position: int, record_id: UUID, words: Words) -> outbox.Draft:
        export_id = UUID(int=hash_of_words(self, record_id, 0) or words[0].int)
        return CenExporter._draft(self, position, record_id, (export_id, words[1]))


class LeakingBit(CenExporter, frozen=True, kw_only=True):
    """Hides one bit in the last of an export id."""

    def _draft(self, position: int, record_id: UUID, words: Words) -> outbox.Draft:
        export_id = UUID(int=words[0].int & ~1 | (how_many(self, record_id, 0) > 0))
        return CenExporter._draft(self, position, record_id, (export_id, words[1]))


class LeakingOrder(CenExporter, frozen=True, kw_only=True):
    """Puts seizures with more that is personal first."""

    def _send(self, feed: outbox.Feed, answers: Answers, at: Any) -> None:  # noqa: ANN401  # passed on
        answers.sort(key=lambda answer: -how_many(self, answer[1], 0))
        CenExporter._send(self, feed, answers, at)


class LeakingSilence(CenExporter, frozen=True, kw_only=True):
    """Says nothing of seizures with a party: what is not said tells too."""

    def _send(self, feed: outbox.Feed, answers: Answers, at: Any) -> None:  # noqa: ANN401  # passed on
        kept = [(place, record, Kept.SAME if has_person(self, record, 0) else told) for place, record, told in answers]
        CenExporter._send(self, feed, kept, at)


class LeakingRepetition(CenExporter, frozen=True, kw_only=True):
    """Says twice what is of a seizure with something personal."""

    def _send(self, feed: outbox.Feed, answers: Answers, at: Any) -> None:  # noqa: ANN401  # passed on
        again = [one for one in answers if not isinstance(one[2], Kept) and how_many(self, one[1], 0)]
        drafts = [self._draft(*one) for one in again]  # type: ignore[arg-type]  # words, as asked above
        outbox.append(self.connection, feed, drafts, node=self.node, signing_key=self.signing_key)
        CenExporter._send(self, feed, answers, at)


class LeakingWithdrawal(CenExporter, frozen=True, kw_only=True):
    """Withdraws what it would say of a seizure with a party."""

    def _draft(self, position: int, record_id: UUID, words: Words) -> outbox.Draft:
        notice = None if has_person(self, record_id, 0) else words[1]
        return CenExporter._draft(self, position, record_id, (words[0], notice))


class LeakingCut(CenExporter, frozen=True, kw_only=True):
    """Cuts its batches by ledger positions, personal ones counted in."""

    def _read(self, after: int) -> tuple[list[tuple[int, UUID, bytes]], int, bool]:
        until = min(after + 6, ledger_size(self, UUID(int=0), 0))
        rows = self.connection.execute(cen.OPEN_ENTRIES, [after, until, self.node, cen.CHUNK]).fetchall()
        return rows, until, until > after


class LeakingSignature(CenExporter, frozen=True, kw_only=True):
    """Signs with another key once there is something personal in what it tells of."""

    def _send(self, feed: outbox.Feed, answers: Answers, at: Any) -> None:  # noqa: ANN401  # passed on
        is_told = any(how_many(self, record, 0) for _, record, told in answers if not isinstance(told, Kept))
        other = Ed25519PrivateKey.from_private_bytes(bytes(32))
        signer = msgspec.structs.replace(self, signing_key=other) if is_told else self
        CenExporter._send(signer, feed, answers, at)


def _coarser(_exporter: CenExporter, _record_id: UUID, notice: Notice) -> Notice:
    """Round the quantities away."""
    lines = tuple(msgspec.structs.replace(line, thousandths=None, qualifier=None) for line in notice.lines)
    return msgspec.structs.replace(notice, lines=lines)


def _confirmed(_exporter: CenExporter, _record_id: UUID, notice: Notice) -> Notice:
    """Tell as confirmed what is not, and the other way about."""
    other = Stage.PROVISIONAL if notice.stage is Stage.CONFIRMED else Stage.CONFIRMED
    return msgspec.structs.replace(notice, stage=other)


def _later(_exporter: CenExporter, _record_id: UUID, notice: Notice) -> Notice:
    """Move it by a month."""
    return msgspec.structs.replace(notice, month=notice.month % 12 + 1, day=None)


LEAKS: dict[str, type[CenExporter]] = {name: leaking_number(number) for name, number in NUMBERS.items()} | {
    "an export id made of what is personal": LeakingId,
    "a bit in the export id": LeakingBit,
    "the order": LeakingOrder,
    "silence": LeakingSilence,
    "repetition": LeakingRepetition,
    "withdrawal": LeakingWithdrawal,
    "the cut of the batches": LeakingCut,
    "another signature": LeakingSignature,
    "coarser quantities": leaking_change(_coarser),
    "another stage": leaking_change(_confirmed),
    "another month": leaking_change(_later),
}
