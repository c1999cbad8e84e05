"""Officers who record: they decide by the real rules, insert by the real statements, and ask again when in doubt."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from domain.attribution import Attribution, Purpose, Role
from domain.codes import OffenceType, Reason, Section
from domain.event import Command
from domain.goods import Goods
from domain.handling import DataCategory
from domain.offence import AttachSeizure, RecordOffence
from domain.party import Party
from domain.place import Place
from domain.premise import RegisterPremise
from domain.quantity import Quantity
from domain.refused import Refused
from domain.seizure import AddGoods, CancelSeizure, RecordSeizure, SubmitSeizure
from ledger import insertion, stand
from ledger.clock import to_us
from ledger.deciding import Asked, Deciding, Recorded
from ledger.insertion import InDoubt, Taken
from ledger.vault import Vault
from tests.simulation.world import World

OFFICER = Attribution(actor="o.one", role=Role.OFFICER, purpose=Purpose.DETECTION, legal_basis="CODE:1")
LAWYER = Attribution(actor="l.law", role=Role.LEGAL_OFFICER, purpose=Purpose.EXCHANGE, legal_basis="CODE:1")
INSTRUMENT = "MAA:XA-XB"
RECONNECT_S = 0.05
_VAULT = Vault(None)
_SECTIONS = tuple(Section)
_GOODS = tuple(
    Goods(section=section, quantity=Quantity(amount=Decimal(amount), written=str(amount), unit="KGM"))
    for section in _SECTIONS[:3]
    for amount in (1, 2)
)
_SEIZURES = tuple(
    RecordSeizure(
        office=f"{node}PORT",
        place=Place(country="XA", subdivision="XA-01"),
        occurred_on=date(2026, 2, 4),
        goods=(goods,),
    )
    for node in ("XA", "XB")
    for goods in _GOODS
)


def premise(**changes: object) -> RegisterPremise:
    """A premise between two nodes, on which open data may go both ways."""
    fields: dict[str, object] = {
        "instrument": INSTRUMENT,
        "parties": ("XA", "XB"),
        "purposes": (Purpose.DETECTION,),
        "categories": (DataCategory.OPEN,),
        "in_force_from": date(2020, 1, 1),
    }
    return RegisterPremise(**(fields | changes))  # type: ignore[arg-type]  # fields by name


def seizure_with(party: Party) -> RecordSeizure:
    """A seizure from somebody."""
    return RecordSeizure(
        office="XAPORT",
        place=Place(country="XA", subdivision="XA-01"),
        occurred_on=date(2026, 2, 4),
        goods=_GOODS[:1],
        parties=(party,),
    )


class Register:
    """What was asked at a node and what was acknowledged, by the officers' own account."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.seizures: list[UUID] = []
        self.offences: list[UUID] = []
        self.asked: set[UUID] = set()
        self.acknowledged: dict[UUID, Recorded] = {}
        self.at_work = 0


def new_id(world: World) -> UUID:
    """An id, drawn from the seed."""
    return UUID(int=world.random.getrandbits(128))


def drawn(world: World, register: Register) -> tuple[UUID, Command]:
    """A command on a new record or on one that others may be changing at this very moment."""
    lot = world.below(10)
    if lot < 4 or not register.seizures:
        record_id = new_id(world)
        register.seizures.append(record_id)
        return record_id, _SEIZURES[world.below(len(_SEIZURES))]
    if lot == 4:
        record_id = new_id(world)
        register.offences.append(record_id)
        seizure = register.seizures[world.below(len(register.seizures))]
        kind = tuple(OffenceType)[world.below(2)]
        return record_id, RecordOffence(
            offence_type=kind, office="XAPORT", occurred_on=date(2026, 2, 4), seizures=(seizure,)
        )
    seizure = register.seizures[world.below(len(register.seizures))]
    if lot == 5 and register.offences:
        return register.offences[world.below(len(register.offences))], AttachSeizure(seizure=seizure)
    if lot == 6:
        return seizure, SubmitSeizure()
    if lot == 7 and world.chance(0.3):
        return seizure, CancelSeizure(reason=Reason.DUPLICATE)
    return seizure, AddGoods(goods=_GOODS[world.below(len(_GOODS))], reason=Reason.ENTRY_ERROR)


class Desk:
    """Where commands are executed: as `ledger.Ledger` does it, with a session of its own."""

    def __init__(self, world: World, node: str, register: Register, now: Callable[[], datetime]) -> None:
        """Sit down at a node."""
        self._world = world
        self._node = node
        self._register = register
        self._now = now
        self.vault = _VAULT
        self.is_synchronous = True

    def execute(self, record_id: UUID, command: Command, by: Attribution = OFFICER) -> Recorded | None:
        """Ask until there is an answer, under one command id; None where a rule says no."""
        asked = Asked(record_id=record_id, command=command, command_id=new_id(self._world))
        try:
            return self.answer(asked, by)
        except Refused:
            return None

    def answer(self, asked: Asked, by: Attribution) -> Recorded:
        """Ask until there is an answer.

        Raises:
            Refused: a rule says no.
        """
        self._register.asked.add(asked.command_id)
        session = self._connect()
        while True:
            try:
                if session.closed:
                    session = self._connect()
                answer = self._once(session, asked, by)
            except Taken:
                continue
            except (InDoubt, psycopg.OperationalError):
                self._world.pause(RECONNECT_S)
                continue
            except Refused:
                session.close()
                raise
            self._register.acknowledged[asked.command_id] = answer
            self._world.note("acknowledged", self._node, asked.command_id.hex, answer.version)
            session.close()
            return answer

    def _connect(self) -> Any:  # noqa: ANN401  # a session in the shape of psycopg's
        session: Any = None
        while session is None:
            try:
                session = insertion.open_session(self._node)
            except psycopg.OperationalError:
                self._world.pause(RECONNECT_S)
        session.is_synchronous = self.is_synchronous
        return session

    def _once(self, session: Any, asked: Asked, by: Attribution) -> Recorded:  # noqa: ANN401  # the same
        stood = stand.load(session, self.vault, [asked.record_id])[asked.record_id]
        plan, answer = Deciding(self._node, self.vault, by, to_us(self._now())).on(stood, asked)
        if plan.drafts:
            insertion.insert(session, [plan])
        return answer

    def work(self, commands: int) -> None:
        """Execute commands drawn by lot, one after the other."""
        self._register.at_work += 1
        for _ in range(commands):
            self.execute(*drawn(self._world, self._register))
            self._world.pause(self._world.random.random() * 0.2)
        self._register.at_work -= 1
