"""Whole nodes for tests: a ledger, its sealer and its side of the exchange, on real PostgreSQL databases."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Self
from uuid import UUID

from domain.attribution import Attribution, Purpose, Role
from domain.codes import PartyRole, Section
from domain.event import Command
from domain.goods import Goods
from domain.handling import DataCategory
from domain.party import Party
from domain.person import RegisterPerson
from domain.place import Place
from domain.premise import RegisterPremise
from domain.quantity import Quantity
from domain.seizure import RecordSeizure
from exchange import inbox, outbox, peers, premises, schema
from exchange.feed import Exporter
from exchange.peers import Identity, Peer
from exchange.recording import EntryRecorder, NoticeRecorder
from exchange.relay import _message
from ledger.ledger import Ledger, Reader, Recorded
from ledger.sessions import connect
from soak.sealing import seal_all

OFFICER = Attribution(actor="o.one", role=Role.OFFICER, purpose=Purpose.DETECTION, legal_basis="CODE:1")
SUPERVISOR = Attribution(actor="s.two", role=Role.SUPERVISOR, purpose=Purpose.DETECTION, legal_basis="CODE:1")
LAWYER = Attribution(actor="l.law", role=Role.LEGAL_OFFICER, purpose=Purpose.EXCHANGE, legal_basis="CODE:1")
INSTRUMENT = "MAA:XA-XB"
SECRET = "the courier hid it under the spare wheel"


def now() -> datetime:
    return datetime.now(UTC)


class Node:
    """A node with its ledger open; `step` does what its sealer and exporter would do."""

    def __init__(self, code: str, database_url: str, keys: Path, role: str = "nation") -> None:
        self.code = code
        self.url = database_url
        self.keys = keys
        self.ledger = Ledger.open(database_url, node=code, keys=keys)
        schema.prepare(database_url, node=code, role=role)
        self.own = Identity.open(keys, node=code, role=role)
        self.reader = Reader.open(database_url, keys=keys)
        self.session = connect(database_url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        self.reader.close()
        self.ledger.close()

    def meet(self, other: "Node", nats_url: str | None = None) -> Peer:
        return peers.add(self.url, self.own, other.own.card(nats_url))

    def do(self, command: Command, by: Attribution = OFFICER, record_id: UUID | None = None) -> Recorded:
        return self.ledger.execute(record_id or Ledger.new_id(), command, by)

    def seal(self) -> int:
        seal_all(self.session)
        return self.reader.head()

    def export(self, peer: Peer, at: datetime | None = None) -> None:
        self.seal()
        premises.refresh(self.session, self.reader)
        exporter = Exporter(connection=self.session, reader=self.reader, own=self.own, peer=peer)
        while exporter.step(at or now()):
            pass

    def messages(self, peer: Peer, after: int = 0) -> list[bytes]:
        feed = self.session.execute("SELECT epoch FROM exchange.feed WHERE peer = %s", [peer.node]).fetchone()
        epoch = feed[0] if feed is not None else 0
        rows = self.session.execute(
            "SELECT number, core, boxed_key, leaf_hash, proof, checkpoint, held FROM exchange.feed_out "
            "WHERE peer = %s AND number > %s ORDER BY number",
            [peer.node, after],
        ).fetchall()
        return [_message(self.own, peer.node, epoch, *row) for row in rows]

    def batches(self, peer: Peer, after: int = 0) -> list[tuple[int, list[bytes]]]:
        """Batches of a feed as the receiver gets them: first number and lines."""
        ends = self.session.execute(
            "SELECT number FROM exchange.feed_out WHERE peer = %s AND number > %s AND checkpoint IS NOT NULL "
            "ORDER BY number",
            [peer.node, after],
        ).fetchall()
        lines, found, start = self.messages(peer, after), [], after
        for (end,) in ends:
            found.append((start + 1, lines[start - after : end - after]))
            start = end
        return found

    def inbox(self, peer: Peer) -> inbox.Inbox:
        recorder = (
            NoticeRecorder(self.ledger)
            if self.own.role is peers.Role.CEN
            else EntryRecorder(self.own.box_keys, self.ledger.vault)
        )
        return inbox.Inbox(self.url, self.own, peer, recorder)

    def decisions(self, peer: Peer) -> list[tuple[int, int, str | None]]:
        return self.session.execute(
            "SELECT position, decision, reason FROM exchange.decision WHERE peer = %s ORDER BY position, decision",
            [peer.node],
        ).fetchall()

    def reasons(self, peer: Peer, record_id: UUID) -> list[str | None]:
        """The newest decision about each entry of a record, by version: None where released."""
        rows = self.session.execute(
            "SELECT DISTINCT ON (position) reason FROM exchange.decision WHERE peer = %s AND record_id = %s "
            "ORDER BY position, decision DESC",
            [peer.node, record_id],
        ).fetchall()
        return [reason for (reason,) in rows]

    def receipted(self, peer: Peer) -> int:
        return outbox.receipted(self.session, peer.node)


def premise(**changes: object) -> RegisterPremise:
    fields: dict[str, object] = {
        "instrument": INSTRUMENT,
        "parties": ("XA", "XB"),
        "purposes": (Purpose.DETECTION, Purpose.INVESTIGATION),
        "categories": (DataCategory.OPEN,),
        "in_force_from": date(2020, 1, 1),
    }
    return RegisterPremise(**(fields | changes))  # type: ignore[arg-type]  # fields by name


def goods(section: Section = Section.DRUGS, amount: str = "3.217") -> Goods:
    return Goods(section=section, quantity=Quantity(amount=Decimal(amount), written=amount, unit="KGM"))


def seizure(*sections: Section, narrative: str | None = SECRET, parties: Iterable[Party] = ()) -> RecordSeizure:
    return RecordSeizure(
        office="XAPORT",
        place=Place(country="XA", subdivision="XA-01"),
        occurred_on=date(2026, 3, 4),
        goods=tuple(goods(section) for section in sections or (Section.DRUGS,)),
        narrative=narrative,
        parties=tuple(parties),
    )


def party(person: UUID, role: PartyRole = PartyRole.COURIER) -> Party:
    return Party(party=person, role=role)


def person(name: str = "Amina Testeron") -> RegisterPerson:
    from domain.assertion import Statement, StatementKind
    from domain.identity import PersonName

    said = Statement(said=PersonName(full=name), kind=StatementKind.FACT, source="INTERVIEW")
    return RegisterPerson(statements=(said,))
