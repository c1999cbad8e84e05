"""The law of the CEN: two histories that differ only in what is personal give byte-identical streams.

They differ in values, in how much there is, and in whether anything personal is there at all. The law is worth what it
finds: leaks planted into the exporter, each of which it must find.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cli.postgres import EmbeddedPostgres
from domain.codes import DocumentKind, PartyRole, Reason, Section
from domain.event import Command
from domain.party import Party
from domain.person import RegisterPerson
from domain.place import Place
from domain.refused import Refused
from domain.seizure import (
    CancelSeizure,
    CorrectGoods,
    CorrectSeizure,
    Document,
    NameParty,
    NoteDocuments,
    NotePlates,
    Plate,
    RecordSeizure,
    ReturnSeizure,
    SubmitSeizure,
    ValidateSeizure,
    WriteNarrative,
)
from exchange import cen, outbox
from exchange.cen import CenExporter
from exchange.relay import _message
from exchange.telling import Kept, Words
from tests.exchange.nodes import OFFICER, SUPERVISOR, Node, goods, now, person

SEIZURES = 3
Told = tuple[Command, bool]
"""A command, and whether the supervisor gives it."""


def seizure_id(of: int, number: int) -> UUID:
    return UUID(int=(of << 32) + number + 1)


class History:
    """A random history of some seizures: `open` is shared, what is personal is drawn from a source of its own."""

    def __init__(self, seed: int, personal_seed: int | None) -> None:
        self._open = random.Random(seed)
        self._personal = random.Random(personal_seed) if personal_seed is not None else None
        self._seed = seed

    def commands(self) -> Iterator[tuple[UUID, Told]]:
        for number in range(SEIZURES):
            yield seizure_id(self._seed, number), (self._record(), False)
            yield from self._something_personal(number)
        for _ in range(self._open.randrange(4, 14)):
            number = self._open.randrange(SEIZURES)
            yield seizure_id(self._seed, number), self._change()
            yield from self._something_personal(number)

    def _record(self) -> RecordSeizure:
        pick = self._open
        lines = tuple(
            goods(pick.choice(list(Section)[:3]), str(pick.randrange(1, 99))) for _ in range(pick.randrange(1, 4))
        )
        return RecordSeizure(
            office=pick.choice(("XAPORT", "XAEAST")),
            place=Place(country="XA", subdivision=pick.choice(("XA-01", "XA-02"))),
            occurred_on=date(2026, 1, 1) + timedelta(days=pick.randrange(100)),
            goods=lines,
            narrative=self._words(),
            parties=self._parties(),
        )

    def _change(self) -> Told:
        pick = self._open
        kind = pick.choice(("submit", "submit", "validate", "correct", "amount", "return", "cancel"))
        day = date(2026, 1, 1) + timedelta(days=pick.randrange(100))
        amount = str(pick.randrange(1, 99))
        changes: dict[str, Told] = {
            "submit": (SubmitSeizure(), False),
            "validate": (ValidateSeizure(), True),
            "return": (ReturnSeizure(reason=Reason.INCOMPLETE), True),
            "cancel": (CancelSeizure(reason=Reason.DUPLICATE, remark=self._words()), False),
            "correct": (CorrectSeizure(reason=Reason.ENTRY_ERROR, occurred_on=day, remark=self._words()), False),
            "amount": (
                CorrectGoods(line=1, goods=goods(amount=amount), reason=Reason.RECOUNT, remark=self._words()),
                False,
            ),
        }
        return changes[kind]

    # -- what is personal, or nothing

    def _words(self) -> str | None:
        if self._personal is None or self._personal.random() < 0.4:
            return None
        return "he said " + "x" * self._personal.randrange(200)

    def _parties(self) -> tuple[Party, ...]:
        if self._personal is None:
            return ()
        roles = self._personal.sample(
            [PartyRole.DRIVER, PartyRole.COURIER, PartyRole.OWNER], self._personal.randrange(3)
        )
        return tuple(Party(party=UUID(int=self._personal.getrandbits(120)), role=role) for role in roles)

    def _something_personal(self, number: int) -> Iterator[tuple[UUID, Told]]:
        """Between what is open: words, parties, plates, documents, persons; more, fewer or none."""
        if self._personal is None:
            return
        record_id = seizure_id(self._seed, number)
        for _ in range(self._personal.randrange(4)):
            text = "z" * self._personal.randrange(1, 99)
            choices: list[tuple[UUID, Command]] = [
                (record_id, WriteNarrative(text=text)),
                (record_id, NotePlates(plates=(Plate(number=text),))),
                (record_id, NoteDocuments(documents=(Document(kind=DocumentKind.PASSPORT, number=text),))),
                (
                    record_id,
                    NameParty(party=Party(party=UUID(int=self._personal.getrandbits(120)), role=PartyRole.WITNESS)),
                ),
                (UUID(int=self._personal.getrandbits(120)), RegisterPerson(statements=person(text).statements)),
            ]
            about, command = self._personal.choice(choices)
            yield about, (command, False)


class Twins:
    """Two nodes that are one and the same to the CEN: same name, keys and export ids; their histories differ."""

    def __init__(self, one: Node, other: Node) -> None:
        self.nodes = (one, other)
        self._peers = 0

    def live(self, seed: int, personal_seeds: tuple[int | None, int | None]) -> None:
        """Live through two histories that are alike in what is open."""
        for node, personal_seed in zip(self.nodes, personal_seeds, strict=True):
            for record_id, (command, by_supervisor) in History(seed, personal_seed).commands():
                with suppress(Refused):
                    node.do(command, SUPERVISOR if by_supervisor else OFFICER, record_id)
            node.seal()

    def streams(self, kind: type[CenExporter] = CenExporter) -> list[list[bytes]]:
        """Tell all of it to a CEN node that has heard nothing yet; the bytes of both streams."""
        self._peers += 1
        return [self._stream(node, f"ZZ-{self._peers}", kind) for node in self.nodes]

    def _stream(self, node: Node, peer: str, kind: type[CenExporter]) -> list[bytes]:
        node.session.execute("INSERT INTO exchange.feed (peer) VALUES (%s)", [peer])
        ids = random.Random(1)
        exporter = kind(
            connection=node.session,
            node="XA",
            signing_key=self.nodes[0].own.signing_key,
            peer=peer,
            new_export_id=lambda: UUID(int=ids.getrandbits(128), version=4),
        )
        while exporter.step(now()):
            pass
        rows = node.session.execute(f"SELECT {LINE} FROM exchange.feed_out WHERE peer = %s ORDER BY number", [peer])
        return [_message(*row) for row in rows]


LINE = "number, core, boxed_key, leaf_hash, proof, checkpoint, held"


@pytest.fixture(scope="module")
def twins(postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """Give the tests of this module one pair of twins that have lived through some histories."""
    folder = tmp_path_factory.mktemp("twins")
    with ExitStack() as stack:
        nodes = []
        for name in ("one", "other"):
            database = f"test_{uuid4().hex}"
            postgres_server.create_database(database)
            nodes.append(stack.enter_context(Node("XA", postgres_server.dsn(database), folder / name)))
        made = Twins(*nodes)
        for seed, pair in enumerate([(None, 1), (2, 3), (4, None), (5, 6), (7, 8), (None, 9)]):
            made.live(seed, pair)
        yield made


personal = st.none() | st.integers(0, 2**32)


@settings(
    max_examples=int(os.environ.get("NCEN_SOAK", "0")) * 200 or 10,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(10, 2**60), one=personal, other=personal)
def test_what_is_personal_does_not_reach_the_cen_in_any_form(
    twins: Twins, seed: int, one: int | None, other: int | None
) -> None:
    twins.live(seed, (one, other))
    with many_batches():
        mine, others = twins.streams()
    assert mine == others
    assert len(mine) > 10, "something was told"


@contextmanager
def many_batches() -> Iterator[None]:
    """Cut chunks small, so that a history spans several batches."""
    before = cen.CHUNK
    cen.CHUNK = 4
    try:
        yield
    finally:
        cen.CHUNK = before


# ---------------------------------------------------------------- planted leaks


def of_record(query: str) -> Callable[[CenExporter, UUID, int], int]:
    """A number that a leak draws from the ledger, by a query over the record's personal entries."""

    def number(exporter: CenExporter, record_id: UUID, _position: int) -> int:
        row = exporter.connection.execute(
            f"SELECT coalesce(({query}), 0) FROM ledger.entry WHERE record_id = %s AND personal", [record_id]
        ).fetchone()
        return int(row[0]) if row else 0

    return number


def version_of(exporter: CenExporter, record_id: UUID, position: int) -> int:
    row = exporter.connection.execute(
        "SELECT version FROM ledger.sealed WHERE record_id = %s AND position = %s", [record_id, position]
    ).fetchone()
    return int(row[0]) if row else 0


def hash_of_words(exporter: CenExporter, record_id: UUID, _position: int) -> int:
    rows = exporter.connection.execute(
        "SELECT body FROM ledger.entry WHERE record_id = %s AND personal ORDER BY version", [record_id]
    ).fetchall()
    return int.from_bytes(sha256(b"".join(body for (body,) in rows)).digest()[:6], "big")


def ledger_size(exporter: CenExporter, _record_id: UUID, _position: int) -> int:
    row = exporter.connection.execute("SELECT size FROM ledger.seal_state").fetchone()
    return int(row[0]) if row else 0


NUMBERS: dict[str, Callable[[CenExporter, UUID, int], int]] = {
    "length of the narrative": of_record("sum(octet_length(body)) FILTER (WHERE name = 'seizure.narrative-written')"),
    "whether there is a person": of_record("bool_or(name = 'seizure.party-named')::int"),
    "number of parties": of_record("count(*) FILTER (WHERE name = 'seizure.party-named')"),
    "number of personal events": of_record("count(*)"),
    "time of a personal event": of_record("max(extract(epoch FROM recorded_at) * 1000)::bigint"),
    "hash of what is sealed": hash_of_words,
    "version in the record": version_of,
    "position in the ledger": lambda _exporter, _record_id, position: position,
    "size of the ledger": ledger_size,
}


def leaking_number(number: Callable[[CenExporter, UUID, int], int]) -> type[CenExporter]:
    class Leaking(CenExporter, frozen=True, kw_only=True):
        """Hides a number in an amount."""

        def _draft(self, position: int, record_id: UUID, words: Words) -> outbox.Draft:
            export_id, notice = words
            if notice is not None:
                secret = number(self, record_id, position)
                lines = tuple(msgspec.structs.replace(line, worth=secret) for line in notice.lines)
                notice = msgspec.structs.replace(notice, lines=lines)
            return CenExporter._draft(self, position, record_id, (export_id, notice))

    return Leaking


class LeakingId(CenExporter, frozen=True, kw_only=True):
    """Makes the export id of what the record holds."""

    def _draft(self, position: int, record_id: UUID, words: Words) -> outbox.Draft:
        export_id = UUID(int=export_id_of(self, record_id) or words[0].int)
        return CenExporter._draft(self, position, record_id, (export_id, words[1]))


def export_id_of(exporter: CenExporter, record_id: UUID) -> int:
    return hash_of_words(exporter, record_id, 0)


class LeakingOrder(CenExporter, frozen=True, kw_only=True):
    """Puts seizures with more persons first."""

    def _send(self, feed: outbox.Feed, answers: list[tuple[int, UUID, Words | Kept]], at: Any) -> None:  # noqa: ANN401  # passed on
        count = NUMBERS["number of personal events"]
        answers.sort(key=lambda answer: -count(self, answer[1], 0))
        CenExporter._send(self, feed, answers, at)


class LeakingSilence(CenExporter, frozen=True, kw_only=True):
    """Says nothing of seizures with a party: what is not said tells too."""

    def _send(self, feed: outbox.Feed, answers: list[tuple[int, UUID, Words | Kept]], at: Any) -> None:  # noqa: ANN401  # passed on
        has = NUMBERS["whether there is a person"]
        kept = [(at_, record, Kept.SAME if has(self, record, 0) else answer) for at_, record, answer in answers]
        CenExporter._send(self, feed, kept, at)


class LeakingCut(CenExporter, frozen=True, kw_only=True):
    """Cuts its batches by ledger positions, personal ones counted in."""

    def _read(self, after: int) -> tuple[list[tuple[int, UUID, bytes]], int, bool]:
        until = min(after + 6, ledger_size(self, UUID(int=0), 0))
        rows = self.connection.execute(cen.OPEN_ENTRIES, [after, until, self.node, cen.CHUNK]).fetchall()
        return rows, until, until > after


LEAKS: dict[str, type[CenExporter]] = {name: leaking_number(number) for name, number in NUMBERS.items()} | {
    "an export id made of what is personal": LeakingId,
    "the order": LeakingOrder,
    "silence": LeakingSilence,
    "the cut of the batches": LeakingCut,
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found(twins: Twins, leak: str) -> None:
    one, other = twins.streams(LEAKS[leak])
    assert one != other
