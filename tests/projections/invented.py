"""Commands for tests, with everything that a test does not care about filled in."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from domain import business, person
from domain.assertion import Statement, StatementKind
from domain.codes import Coded, HsCode, PartyRole, Qualifier, Section
from domain.goods import Goods
from domain.identity import BusinessName, PersonName, Said
from domain.party import Party
from domain.place import Place
from domain.quantity import Quantity
from domain.seizure import RecordSeizure


def goods(amount: str | None = "1.5", unit: str = "KGM", section: Section = Section.DRUGS, **told: object) -> Goods:
    quantity = None
    if amount is not None:
        quantity = Quantity(amount=Decimal(amount), written=amount, unit=unit, qualifier=Qualifier.MEASURED)
    return msgspec.structs.replace(Goods(section=section, quantity=quantity), **told)


def seizure(*lines: Goods, **told: object) -> RecordSeizure:
    facts = RecordSeizure(
        office="XA01", place=Place(country="XA"), occurred_on=date(2024, 5, 31), goods=lines or (goods(),)
    )
    return msgspec.structs.replace(facts, **told)


def substance(code: str, of: str = "DRUGS") -> Coded:
    return Coded(list=of, edition="2024", code=code)


def hs(digits: str) -> HsCode:
    return HsCode(edition="2022", digits=digits)


def named(full: str, transliteration: str | None = None) -> person.RegisterPerson:
    return person.RegisterPerson(statements=(fact(PersonName(full=full, transliteration=transliteration)),))


def firm(name: str) -> business.RegisterBusiness:
    return business.RegisterBusiness(statements=(fact(BusinessName(name=name)),))


def fact(said: Said) -> Statement[Any]:
    return Statement(said=said, kind=StatementKind.FACT, source="FORM-1")


def party(record_id: UUID, role: PartyRole = PartyRole.COURIER, *, is_business: bool = False) -> Party:
    return Party(party=record_id, role=role, is_business=is_business)
