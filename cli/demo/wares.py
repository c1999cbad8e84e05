"""What the invented seizures are made of: two nations that do not exist, their offices and names, and kinds of contraband.

Codes are of real lists (HS 2022, UN/ECE Rec 20, ISO 3166); every name is made up.
"""

from datetime import date

import msgspec

from domain.codes import Concealment, ConveyanceKind, CountryCode, Section


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
