"""Invented people and commands for the soak; nothing in them is anybody's."""

from datetime import date
from decimal import Decimal

from domain.assertion import Statement, StatementKind
from domain.attribution import Attribution, Purpose, Role
from domain.codes import Reason, Section
from domain.goods import Goods
from domain.handling import DataCategory
from domain.identity import PersonName
from domain.person import RegisterPerson
from domain.place import Place
from domain.premise import RegisterPremise
from domain.quantity import Quantity
from domain.seizure import AddGoods, RecordSeizure

NODE = "XA"
OFFICER = Attribution(actor="o.one", role=Role.OFFICER, purpose=Purpose.DETECTION, legal_basis="CODE:1")
SUPERVISOR = Attribution(actor="s.two", role=Role.SUPERVISOR, purpose=Purpose.DETECTION, legal_basis="CODE:1")
LAWYER = Attribution(actor="l.law", role=Role.LEGAL_OFFICER, purpose=Purpose.EXCHANGE, legal_basis="CODE:1")


def goods(section: Section = Section.DRUGS, amount: str = "3.217") -> Goods:
    """Return a line of goods."""
    return Goods(section=section, quantity=Quantity(amount=Decimal(amount), written=amount, unit="KGM"))


def seizure(narrative: str | None = None, *, amount: str = "3.217") -> RecordSeizure:
    """Return a command that records a seizure."""
    return RecordSeizure(
        office="XAPORT",
        place=Place(country="XA", subdivision="XA-01"),
        occurred_on=date(2026, 3, 4),
        goods=(goods(amount=amount),),
        narrative=narrative,
    )


def more_goods(*, amount: str = "4") -> AddGoods:
    """Return a command that always adds a line, so that each effect can be counted."""
    return AddGoods(goods=goods(Section.TOBACCO, amount), reason=Reason.NEW_INFORMATION)


def person(name: str) -> RegisterPerson:
    """Return a command that puts an invented person on record."""
    said = Statement(said=PersonName(full=name), kind=StatementKind.FACT, source="INTERVIEW")
    return RegisterPerson(statements=(said,))


def premise(categories: tuple[DataCategory, ...] = (DataCategory.OPEN,)) -> RegisterPremise:
    """Return a command that lets data of these categories go between XA and XB."""
    return RegisterPremise(
        instrument="MAA:XA-XB",
        parties=("XA", "XB"),
        purposes=(Purpose.DETECTION, Purpose.INVESTIGATION),
        categories=categories,
        in_force_from=date(2020, 1, 1),
    )
