"""Soft rules: what is unusual about a record as it stands. They flag and never refuse.

Eight lines in a hundred of real data break one of these rules and are true all the same: a number with two digits
swapped, goods disposed of before the day they were seized. Whoever reads the record is told; nobody is stopped. A flag
names a rule, a field and a line, and never repeats a value.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from enum import StrEnum

import msgspec

from domain.assertion import Subject
from domain.check_digits import (
    has_eori_form,
    is_container_number,
    is_legal_entity_identifier,
    is_machine_readable_zone,
    is_ship_number,
)
from domain.codes import UNKNOWN_COUNTRY, Coded, ConveyanceKind, CountryCode, DocumentKind, HsCode, Section
from domain.goods import Goods, meaning
from domain.identity import Birth, BusinessName, Identifier, IdentifierScheme, IdentityDocument, PersonName
from domain.offence import Offence
from domain.party import Party
from domain.place import Place
from domain.seizure import Seizure

Known = Mapping[str, Collection[str]]
"""Known codes by the name of their list: `COUNTRY`, `SUBDIVISION`, `LOCODE`, `OFFICE`, `PROVISION`, `UNIT`, `CURRENCY`,
`HS-2022` (six digits), or the name of an open list. A list that is missing is not checked."""


class FlagCode(StrEnum):
    """What is unusual."""

    DAYS_OUT_OF_ORDER = "days-out-of-order"
    CONTAINER_NUMBER = "container-number"
    SHIP_NUMBER = "ship-number"
    MACHINE_READABLE_ZONE = "machine-readable-zone"
    LEGAL_ENTITY_IDENTIFIER = "legal-entity-identifier"
    EORI_NUMBER = "eori-number"
    UNUSUAL_UNIT = "unusual-unit"
    UNKNOWN_CODE = "unknown-code"
    DUPLICATE_LINE = "duplicate-line"
    CATEGORY_MISSING = "category-missing"
    UNLIKELY_AGE = "unlikely-age"
    MIXED_SCRIPTS = "mixed-scripts"


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that a field breaks; `line` is the number of the line, assertion or penalty it stands in."""

    code: FlagCode
    field: str
    line: int | None = None


_WEIGHT = frozenset({"KGM", "GRM", "MGM", "TNE", "LBR", "ONZ"})
_VOLUME = frozenset({"LTR", "MLT", "CLT", "DLT", "HLT", "MTQ", "CMQ", "GLL"})
_PIECES = frozenset({"H87", "C62", "NAR", "NMP", "PR", "NPR", "MIL", "DZN", "SET"})

USUAL_UNITS: dict[Section, frozenset[str]] = {
    Section.DRUGS: _WEIGHT | _VOLUME | _PIECES,
    Section.TOBACCO: _WEIGHT | _PIECES,
    Section.ALCOHOL: _VOLUME | _PIECES | {"LPA", "KGM"},
    Section.PRECURSORS: _WEIGHT | _VOLUME,
    Section.INTELLECTUAL_PROPERTY: _PIECES | _WEIGHT | {"MTR", "MTK"},
    Section.MEDICINES: _WEIGHT | _VOLUME | _PIECES,
    Section.WILDLIFE: _WEIGHT | _VOLUME | _PIECES | {"MTR", "MTK", "CMK", "CMT"},
    Section.ENVIRONMENT: _WEIGHT | _VOLUME | _PIECES,
    Section.WEAPONS: _PIECES | _WEIGHT,
    Section.CURRENCY: _PIECES,
    Section.CULTURE: _PIECES | {"KGM"},
}
"""Units in which goods of a section are told (UN/ECE Rec 20); a section that is not named here takes any."""

OLDEST_YEARS = 120


def flags(state: object, known: Known | None = None, *, today: date | None = None) -> tuple[Flag, ...]:
    """What is unusual about a record as it stands, in the order of its fields.

    `known` are the reference codes to check against and `today` is the day to reckon ages to; what is not given is not
    checked. A kind of record without soft rules has no flags.
    """
    codes = known or {}
    match state:
        case Seizure():
            return tuple(_of_seizure(state, codes))
        case Offence():
            return tuple(_of_offence(state, codes))
        case Subject():
            return tuple(_of_subject(state, codes, today))
    return ()


# ---------------------------------------------------------------- seizures


def _of_seizure(seizure: Seizure, known: Known) -> Iterator[Flag]:
    if known:  # every seizure that is projected comes by here, mostly with nothing to check codes against
        yield from _of_code(seizure.office, "OFFICE", known, "office")
        yield from _of_place(seizure.place, known)
        for country in seizure.route:
            yield from _of_country(country, known, "route")
    seen: set[object] = set()
    is_one_of_many = len(seizure.goods) > 1
    for line in seizure.goods:
        yield from _of_goods(line.goods, line.line, seizure.occurred_on, known)
        said = meaning(line.goods) if is_one_of_many else None
        if said in seen:
            yield Flag(code=FlagCode.DUPLICATE_LINE, field="goods", line=line.line)
        seen.add(said)
    if seizure.parties:
        yield from _of_parties(seizure.parties)
    if seizure.conveyance is ConveyanceKind.VESSEL:
        yield from (
            Flag(code=FlagCode.SHIP_NUMBER, field="plates", line=place)
            for place, plate in enumerate(seizure.plates, start=1)
            if _looks_like_ship_number(plate.number) and not is_ship_number(plate.number)
        )
    for place, document in enumerate(seizure.documents, start=1):
        if document.kind is DocumentKind.CONTAINER and not is_container_number(document.number):
            yield Flag(code=FlagCode.CONTAINER_NUMBER, field="documents", line=place)


def _looks_like_ship_number(number: str) -> bool:
    bare = number.upper().replace(" ", "")
    return bare.startswith("IMO") or (bare.isdigit() and len(bare) == 7)


def _of_goods(goods: Goods, line: int, occurred_on: date | None, known: Known) -> Iterator[Flag]:
    if known:
        yield from _of_hs(goods.hs, known, line)
        for field, coded in (("goods.substance", goods.substance), ("goods.description", goods.description)):
            yield from _of_coded(coded, known, field, line)
        yield from _of_country(goods.origin, known, "goods.origin", line)
    if goods.quantity is not None:
        usual = USUAL_UNITS.get(goods.section)
        if known:
            yield from _of_code(goods.quantity.unit, "UNIT", known, "goods.quantity", line)
        if usual is not None and goods.quantity.unit not in usual:
            yield Flag(code=FlagCode.UNUSUAL_UNIT, field="goods.quantity", line=line)
    if goods.value is not None and known:
        yield from _of_code(goods.value.currency, "CURRENCY", known, "goods.value", line)
    if goods.outcome_on is not None:
        yield from _of_days(occurred_on, goods.outcome_on, "goods.outcome_on", line)


# ---------------------------------------------------------------- offences, persons, businesses


def _of_offence(offence: Offence, known: Known) -> Iterator[Flag]:
    yield from _of_code(offence.office, "OFFICE", known, "office")
    yield from _of_code(offence.provision, "PROVISION", known, "provision")
    yield from _of_place(offence.place, known)
    yield from _of_days(offence.occurred_on, offence.status_on, "status_on")
    for line in offence.penalties:
        yield from _of_days(offence.occurred_on, line.penalty.imposed_on, "penalties.imposed_on", line.number)
        if line.penalty.amount is not None:
            yield from _of_code(line.penalty.amount.currency, "CURRENCY", known, "penalties.amount", line.number)
    yield from _of_parties(offence.parties)


def _of_subject(subject: Subject, known: Known, today: date | None) -> Iterator[Flag]:
    for asserted in subject.statements:
        if asserted.retracted is not None:
            continue
        said, number = asserted.statement.said, asserted.number
        yield from _of_country(getattr(said, "country", None), known, "statements.said.country", number)
        match said:
            case Birth():
                year = said.on.year if said.on else said.year
                if today is not None and year is not None and today.year - year > OLDEST_YEARS:
                    yield Flag(code=FlagCode.UNLIKELY_AGE, field="statements.said", line=number)
            case IdentityDocument():
                yield from _of_days(said.issued_on, said.expires_on, "statements.said.expires_on", number)
                if said.mrz is not None and not is_machine_readable_zone(said.mrz):
                    yield Flag(code=FlagCode.MACHINE_READABLE_ZONE, field="statements.said.mrz", line=number)
            case Identifier():
                yield from _of_identifier(said, number)
            case PersonName() | BusinessName():
                field, name = ("full", said.full) if isinstance(said, PersonName) else ("name", said.name)
                if mixes_scripts(name):
                    yield Flag(code=FlagCode.MIXED_SCRIPTS, field=f"statements.said.{field}", line=number)


def _of_identifier(identifier: Identifier, number: int) -> Iterator[Flag]:
    scheme = identifier.scheme
    if scheme is IdentifierScheme.LEI and not is_legal_entity_identifier(identifier.number):
        yield Flag(code=FlagCode.LEGAL_ENTITY_IDENTIFIER, field="statements.said.number", line=number)
    if scheme is IdentifierScheme.EORI and not has_eori_form(identifier.number):
        yield Flag(code=FlagCode.EORI_NUMBER, field="statements.said.number", line=number)


_LOOK_ALIKE_SCRIPTS = re.compile(r"^(LATIN|CYRILLIC|GREEK|ARMENIAN|CHEROKEE|FULLWIDTH LATIN|MATHEMATICAL)\b")


def mixes_scripts(name: str) -> bool:
    """Whether one word of a name has letters of two scripts that look alike, such as a Cyrillic A among Latin ones.

    Such a word reads like another and is not found by it. A name told in two scripts side by side mixes nothing.
    """
    if name.isascii():
        return False
    return any(len(set(map(_script, word)) - {None}) > 1 for word in re.split(r"[\W\d_]+", name) if not word.isascii())


def _script(letter: str) -> str | None:
    found = _LOOK_ALIKE_SCRIPTS.match(unicodedata.name(letter, ""))
    return found[1] if found else None


# ---------------------------------------------------------------- what they share


def _of_parties(parties: tuple[Party, ...]) -> Iterator[Flag]:
    """The category of data subject is owed for each person in a case (Directive (EU) 2016/680, article 6)."""
    for place, party in enumerate(parties, start=1):
        if party.category is None and not party.is_business:
            yield Flag(code=FlagCode.CATEGORY_MISSING, field="parties", line=place)


def _of_days(first: date | None, then: date | None, field: str, line: int | None = None) -> Iterator[Flag]:
    if first is not None and then is not None and then < first:
        yield Flag(code=FlagCode.DAYS_OUT_OF_ORDER, field=field, line=line)


def _of_place(place: Place | None, known: Known) -> Iterator[Flag]:
    if place is not None:
        yield from _of_country(place.country, known, "place.country")
        yield from _of_code(place.locode, "LOCODE", known, "place.locode")
        yield from _of_code(place.subdivision, "SUBDIVISION", known, "place.subdivision")
        yield from _of_coded(place.local, known, "place.local")


def _of_country(country: CountryCode | None, known: Known, field: str, line: int | None = None) -> Iterator[Flag]:
    if country != UNKNOWN_COUNTRY:
        yield from _of_code(country, "COUNTRY", known, field, line)


def _of_hs(hs: HsCode | None, known: Known, line: int) -> Iterator[Flag]:
    """National digits after the sixth are not the international list's business."""
    if hs is not None and len(hs.digits) >= 6:
        yield from _of_code(hs.digits[:6], f"HS-{hs.edition}", known, "goods.hs", line)


def _of_coded(coded: Coded | None, known: Known, field: str, line: int | None = None) -> Iterator[Flag]:
    if coded is not None:
        yield from _of_code(coded.code, coded.list, known, field, line)


def _of_code(code: str | None, name: str, known: Known, field: str, line: int | None = None) -> Iterator[Flag]:
    if code is not None and name in known and code not in known[name]:
        yield Flag(code=FlagCode.UNKNOWN_CODE, field=field, line=line)
