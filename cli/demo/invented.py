"""Invented seizures, people and companies for two nations that do not exist.

Deterministic by seed: the same seed gives the same commands with the same record ids, so that two runs can be compared.
Codes are of real lists (HS 2022, UN/ECE Rec 20, ISO 3166); every name, number and word is made up.
"""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec

from cli.demo.wares import DAYS, FIRST_DAY, WARES, WAYS, Nation, Ware
from domain.assertion import Statement, StatementKind
from domain.business import BusinessSaid, RegisterBusiness
from domain.codes import (
    Coded,
    ConveyanceKind,
    Detection,
    Direction,
    DocumentKind,
    HsCode,
    OffenceType,
    Outcome,
    PartyRole,
    Qualifier,
    Reason,
    SubjectCategory,
)
from domain.event import Command
from domain.goods import Goods
from domain.identity import Birth, BusinessName, Identifier, IdentifierScheme, IdentityDocument, Nationality, PersonName
from domain.offence import RecordOffence
from domain.party import Party
from domain.person import PersonSaid, RegisterPerson
from domain.place import Place
from domain.quantity import Money, Quantity
from domain.seizure import (
    CancelSeizure,
    CorrectGoods,
    Plate,
    RecordSeizure,
    SubmitSeizure,
    ValidateSeizure,
)


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """One command about one record, and who gives it."""

    record_id: uuid.UUID
    command: Command
    actor: str


class Inventor:
    """Makes the deeds of one nation, in waves: what a later wave does needs what an earlier one recorded."""

    def __init__(self, nation: Nation, seed: int) -> None:
        """Set up the nation's own source of chance, apart from any other."""
        self._nation = nation
        self._chance = random.Random(f"{nation.code}:{seed}")  # noqa: S311  # invented data, not secrets
        self._seizures: list[Deed] = []

    def record_id(self, day: date) -> uuid.UUID:
        """A UUIDv7 of that day whose random part comes from the seed."""
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=self._chance.randrange(86400))
        value = (int(moment.timestamp() * 1000) << 80) | (7 << 76) | (self._chance.getrandbits(12) << 64)
        return uuid.UUID(int=value | (2 << 62) | self._chance.getrandbits(62))

    def officer(self) -> str:
        """One of the nation's officers."""
        return f"officer-{self._chance.randint(1, 6):02d}"

    def full_name(self) -> str:
        """A name nobody is known to bear."""
        return f"{self._chance.choice(self._nation.given)} {self._chance.choice(self._nation.family)}"

    def people(self, count: int) -> Iterator[Deed]:
        """Persons with a name, a birth and often a nationality and a passport, each told by one source."""
        for _ in range(count):
            said: list[PersonSaid] = [
                PersonName(full=self.full_name()),
                Birth(on=date(1950, 1, 1) + timedelta(days=self._chance.randrange(20_000))),
            ]
            if self._chance.random() < 0.7:
                said.append(Nationality(country=self._nation.code))
            if self._chance.random() < 0.5:
                number = f"{self._nation.code}{self._chance.randrange(10**7):07d}"
                said.append(IdentityDocument(kind=DocumentKind.PASSPORT, number=number, country=self._nation.code))
            statements = tuple(Statement(said=one, kind=StatementKind.FACT, source="declaration") for one in said)
            yield Deed(
                record_id=self.record_id(FIRST_DAY), command=RegisterPerson(statements=statements), actor=self.officer()
            )

    def companies(self, count: int) -> Iterator[Deed]:
        """Companies with a name and a registration number."""
        for number in range(count):
            name = f"{self._chance.choice(self._nation.trade)} {self._chance.choice(('Ltd', 'SA', 'LLC'))} {number + 1}"
            registration = f"{self._nation.code}-{self._chance.randrange(10**6):06d}"
            said: tuple[BusinessSaid, ...] = (
                BusinessName(name=name),
                Identifier(scheme=IdentifierScheme.REGISTRATION, number=registration, country=self._nation.code),
            )
            statements = tuple(Statement(said=one, kind=StatementKind.FACT, source="register") for one in said)
            yield Deed(
                record_id=self.record_id(FIRST_DAY),
                command=RegisterBusiness(statements=statements),
                actor=self.officer(),
            )

    def offences(self, share: float) -> Iterator[Deed]:
        """Offences for a share of the seizures, with their parties; and one in ten without any seizure."""
        for deed in self._seizures:
            if self._chance.random() >= share or not isinstance(deed.command, RecordSeizure):
                continue
            day = deed.command.occurred_on
            yield Deed(
                record_id=self.record_id(day),
                command=RecordOffence(
                    offence_type=self._chance.choice((OffenceType.SMUGGLING, OffenceType.NON_DECLARATION)),
                    office=deed.command.office,
                    occurred_on=day,
                    provision=f"{self._nation.code}:CUSTOMS-ACT/{self._chance.randint(40, 60)}",
                    place=deed.command.place,
                    seizures=() if self._chance.random() < 0.1 else (deed.record_id,),
                    parties=deed.command.parties,
                ),
                actor=deed.actor,
            )

    def seizures(self, count: int, people: list[uuid.UUID], companies: list[uuid.UUID]) -> Iterator[Deed]:
        """Seizures of the past thousand days, some with a person or company, an account in words, or a plate."""
        for _ in range(count):
            day = FIRST_DAY + timedelta(days=self._chance.randrange(DAYS))
            deed = Deed(
                record_id=self.record_id(day), command=self._seizure(day, people, companies), actor=self.officer()
            )
            self._seizures.append(deed)
            yield deed

    def amendments(self) -> Iterator[list[Deed]]:
        """Laboratory corrections, then submissions, then validations by a supervisor, then a few cancellations."""
        chance, seizures = self._chance, self._seizures
        corrected = [deed for deed in seizures if chance.random() < 0.15]
        yield [
            Deed(record_id=deed.record_id, command=self._laboratory(deed), actor=deed.actor)
            for deed in corrected
            if isinstance(deed.command, RecordSeizure)
        ]
        submitted = [deed for deed in seizures if chance.random() < 0.8]
        yield [Deed(record_id=deed.record_id, command=SubmitSeizure(), actor=deed.actor) for deed in submitted]
        validated = [deed for deed in submitted if chance.random() < 0.9]
        yield [Deed(record_id=deed.record_id, command=ValidateSeizure(), actor="supervisor-01") for deed in validated]
        void = [deed for deed in seizures if chance.random() < 0.01]
        yield [
            Deed(record_id=deed.record_id, command=CancelSeizure(reason=Reason.DUPLICATE), actor="supervisor-01")
            for deed in void
        ]

    def _seizure(self, day: date, people: list[uuid.UUID], companies: list[uuid.UUID]) -> RecordSeizure:
        chance = self._chance
        office, subdivision = chance.choice(self._nation.offices)
        conveyance = chance.choice(tuple(WAYS))
        wares = chance.choices(WARES, weights=[ware.weight for ware in WARES], k=1 + (chance.random() < 0.12))
        goods = tuple(self._goods(ware) for ware in wares)
        parties = []
        if people and chance.random() < 0.35:
            role = chance.choice((PartyRole.COURIER, PartyRole.DRIVER, PartyRole.CONSIGNEE))
            parties.append(Party(party=chance.choice(people), role=role, category=SubjectCategory.SUSPECT))
        if companies and chance.random() < 0.2:
            parties.append(Party(party=chance.choice(companies), is_business=True, role=PartyRole.CONSIGNOR))
        is_by_road = conveyance is ConveyanceKind.ROAD_VEHICLE
        origin = goods[0].origin or "XX"
        return RecordSeizure(
            office=office,
            place=Place(country=self._nation.code, subdivision=subdivision),
            occurred_on=day,
            goods=goods,
            direction=chance.choice((Direction.IMPORT, Direction.IMPORT, Direction.TRANSIT, Direction.EXPORT)),
            detection=chance.choice(tuple(Detection)),
            concealment=chance.choice(WAYS[conveyance]),
            conveyance=conveyance,
            route=tuple(dict.fromkeys((origin, *chance.sample(("NL", "AE", "ES", "TR"), k=1), self._nation.code))),
            narrative=self._account(wares[0]) if chance.random() < 0.5 else None,
            parties=tuple(parties),
            plates=(Plate(number=self._plate(), country=self._nation.code),) if is_by_road else (),
        )

    def _goods(self, ware: Ware) -> Goods:
        chance = self._chance
        amount = max(Decimal(1).scaleb(-ware.places), self._around(ware.usual, ware.places))
        worth = (amount * Decimal(str(ware.price))).quantize(Decimal(1))
        return Goods(
            section=ware.section,
            hs=HsCode(edition="2022", digits=ware.hs),
            substance=Coded(list="SUBSTANCE", edition="2026", code=ware.substance),
            origin=chance.choice(ware.origins),
            quantity=Quantity(
                amount=amount,
                written=str(amount),
                unit=ware.unit,
                qualifier=Qualifier.COUNTED if ware.places == 0 else Qualifier.MEASURED,
            ),
            value=Money(amount=worth, written=str(worth), currency="EUR") if worth else None,
            outcome=chance.choice(
                (Outcome.SEIZED, Outcome.SEIZED, Outcome.SEIZED, Outcome.DETAINED, Outcome.DESTROYED)
            ),
        )

    def _laboratory(self, deed: Deed) -> CorrectGoods:
        assert isinstance(deed.command, RecordSeizure)  # noqa: S101  # narrows the type; chosen by the caller
        goods = deed.command.goods[0]
        assert goods.quantity is not None  # noqa: S101  # every invented line has one
        is_counted = goods.quantity.qualifier is Qualifier.COUNTED
        place = Decimal(1) if is_counted else Decimal("0.001")
        amount = max(place, (goods.quantity.amount * Decimal(self._chance.randint(90, 104)) / 100).quantize(place))
        found = msgspec.structs.replace(
            goods.quantity,
            amount=amount,
            written=str(amount),
            qualifier=Qualifier.COUNTED if is_counted else Qualifier.LABORATORY,
        )
        reason = Reason.RECOUNT if is_counted else Reason.LABORATORY_RESULT
        return CorrectGoods(line=1, goods=msgspec.structs.replace(goods, quantity=found), reason=reason)

    def _around(self, usual: float, places: int) -> Decimal:
        return Decimal(str(self._chance.lognormvariate(0, 1.1) * usual)).quantize(Decimal(1).scaleb(-places))

    def _plate(self) -> str:
        letters = "".join(self._chance.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=3))
        return f"{self._nation.code} {letters} {self._chance.randint(100, 999)}"

    def _account(self, ware: Ware) -> str:
        where = self._chance.choice(("behind a false wall", "under a tarpaulin", "in a spare wheel", "in tea boxes"))
        who = self.full_name()
        return f"{who} was stopped during a control; {ware.substance} was found {where}. No statement was made."
