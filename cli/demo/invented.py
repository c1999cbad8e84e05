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

from domain.codes import (
    Coded,
    Concealment,
    ConveyanceKind,
    CountryCode,
    Detection,
    Direction,
    HsCode,
    Outcome,
    PartyRole,
    Qualifier,
    Reason,
    Section,
    SubjectCategory,
)
from domain.event import Command
from domain.goods import Goods
from domain.quantity import Money, Quantity
from domain.seizure import (
    CancelSeizure,
    CorrectGoods,
    Party,
    Place,
    Plate,
    RecordSeizure,
    SubmitSeizure,
    ValidateSeizure,
)


class Nation(msgspec.Struct, frozen=True, kw_only=True):
    """An invented administration: its node code, name, offices and subdivisions."""

    code: str
    name: str
    offices: tuple[tuple[str, str], ...]
    given: tuple[str, ...]
    family: tuple[str, ...]
    trade: tuple[str, ...]


AURIA = Nation(
    code="XA",
    name="Auria",
    offices=(("XAPORT", "XA-01"), ("XAAIR1", "XA-01"), ("XAEAST", "XA-02"), ("XARAIL", "XA-03"), ("XAPOST", "XA-01")),
    given=("Adama", "Bilal", "Chidi", "Dalia", "Emeka", "Farah", "Gamal", "Hawa", "Imani", "Jelani", "Kamau", "Leila"),
    family=("Okonrau", "Benaliou", "Traorin", "Mensahri", "Diallotte", "Haddadin", "Nwosuke", "Sallohmi", "Abebari"),
    trade=("Meridian Freight", "Savanna Timber", "Two Rivers Trading", "Harbour Cold Store", "Kestrel Forwarding"),
)
BOREA = Nation(
    code="XB",
    name="Borea",
    offices=(("XBSEA1", "XB-AA"), ("XBAIR1", "XB-BB"), ("XBROAD", "XB-CC"), ("XBPOST", "XB-BB")),
    given=("Aino", "Bogdan", "Clara", "Dmitri", "Elin", "Fyodor", "Greta", "Henrik", "Irina", "Jonas", "Katya", "Lars"),
    family=("Lindqvara", "Petrovnik", "Novakson", "Virtalainen", "Kowalchik", "Johanssen", "Morozhin", "Bergholt"),
    trade=("Northgate Logistics", "Amber Coast Imports", "Tundra Parcel", "Polar Tobacco", "Baltmar Shipping"),
)


class Ware(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of contraband: its codes, its unit and how much of it is usually found (mean of a heavy-tailed spread)."""

    section: Section
    substance: str
    hs: str
    unit: str
    usual: float
    places: int
    price: float
    origins: tuple[CountryCode, ...]
    weight: int


WARES = (
    Ware(
        section=Section.DRUGS,
        substance="cocaine",
        hs="293972",
        unit="KGM",
        usual=12,
        places=3,
        price=38000,
        origins=("CO", "PE", "EC", "BO"),
        weight=20,
    ),
    Ware(
        section=Section.DRUGS,
        substance="heroin",
        hs="293919",
        unit="KGM",
        usual=3,
        places=3,
        price=26000,
        origins=("AF", "IR", "TR"),
        weight=8,
    ),
    Ware(
        section=Section.DRUGS,
        substance="cannabis-herb",
        hs="121190",
        unit="KGM",
        usual=30,
        places=2,
        price=2100,
        origins=("MA", "AL", "GH"),
        weight=22,
    ),
    Ware(
        section=Section.DRUGS,
        substance="methamphetamine",
        hs="293943",
        unit="KGM",
        usual=6,
        places=3,
        price=15000,
        origins=("MX", "MM", "AF"),
        weight=8,
    ),
    Ware(
        section=Section.TOBACCO,
        substance="cigarettes",
        hs="240220",
        unit="MIL",
        usual=240,
        places=1,
        price=210,
        origins=("AE", "BY", "CN", "UA"),
        weight=24,
    ),
    Ware(
        section=Section.MEDICINES,
        substance="tramadol",
        hs="300490",
        unit="NMP",
        usual=1800,
        places=0,
        price=2,
        origins=("IN", "CN"),
        weight=9,
    ),
    Ware(
        section=Section.WILDLIFE,
        substance="ivory",
        hs="050710",
        unit="KGM",
        usual=18,
        places=2,
        price=700,
        origins=("KE", "TZ", "MZ", "CD"),
        weight=5,
    ),
    Ware(
        section=Section.WILDLIFE,
        substance="pangolin-scales",
        hs="050790",
        unit="KGM",
        usual=90,
        places=1,
        price=300,
        origins=("CM", "NG", "CD"),
        weight=3,
    ),
    Ware(
        section=Section.CURRENCY,
        substance="banknotes",
        hs="490700",
        unit="H87",
        usual=400,
        places=0,
        price=100,
        origins=("XX",),
        weight=7,
    ),
    Ware(
        section=Section.INTELLECTUAL_PROPERTY,
        substance="footwear",
        hs="640399",
        unit="PR",
        usual=300,
        places=0,
        price=60,
        origins=("CN", "TR", "VN"),
        weight=12,
    ),
    Ware(
        section=Section.WEAPONS,
        substance="pistol",
        hs="930200",
        unit="H87",
        usual=3,
        places=0,
        price=450,
        origins=("TR", "SK", "US"),
        weight=4,
    ),
    Ware(
        section=Section.CULTURE,
        substance="coins",
        hs="970531",
        unit="H87",
        usual=40,
        places=0,
        price=35,
        origins=("SY", "IQ", "LY"),
        weight=3,
    ),
)

FIRST_DAY = date(2024, 1, 1)
DAYS = 1000

WAYS = {
    ConveyanceKind.VESSEL: (Concealment.CONTAINER_STRUCTURE, Concealment.AMONG_GOODS, Concealment.HULL),
    ConveyanceKind.AIRCRAFT: (Concealment.BAGGAGE, Concealment.ON_BODY, Concealment.SWALLOWED),
    ConveyanceKind.ROAD_VEHICLE: (Concealment.FALSE_COMPARTMENT, Concealment.TANK, Concealment.TYRES),
    ConveyanceKind.MAIL: (Concealment.MAIL, Concealment.PACKAGING),
    ConveyanceKind.EXPRESS: (Concealment.PACKAGING, Concealment.INSIDE_GOODS),
}


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
        amount = max(
            Decimal(1).scaleb(-3),
            (goods.quantity.amount * Decimal(self._chance.randint(90, 104)) / 100).quantize(Decimal("0.001")),
        )
        found = msgspec.structs.replace(
            goods.quantity, amount=amount, written=str(amount), qualifier=Qualifier.LABORATORY
        )
        return CorrectGoods(
            line=1, goods=msgspec.structs.replace(goods, quantity=found), reason=Reason.LABORATORY_RESULT
        )

    def _around(self, usual: float, places: int) -> Decimal:
        return Decimal(str(self._chance.lognormvariate(0, 1.1) * usual)).quantize(Decimal(1).scaleb(-places))

    def _plate(self) -> str:
        letters = "".join(self._chance.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=3))
        return f"{self._nation.code} {letters} {self._chance.randint(100, 999)}"

    def _account(self, ware: Ware) -> str:
        where = self._chance.choice(("behind a false wall", "under a tarpaulin", "in a spare wheel", "in tea boxes"))
        who = self.full_name()
        return f"{who} was stopped during a control; {ware.substance} was found {where}. No statement was made."
