"""Invented commands and people for the ledger's tests; nothing in them is anybody's."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.attribution import Attribution, Purpose, Role
from domain.codes import HsCode, Reason, Section
from domain.goods import Goods
from domain.place import Place
from domain.quantity import Quantity
from domain.seizure import AddGoods, RecordSeizure

OFFICER = Attribution(actor="officer.one", role=Role.OFFICER, purpose=Purpose.DETECTION, legal_basis="UCC:46")
SUPERVISOR = Attribution(actor="boss.two", role=Role.SUPERVISOR, purpose=Purpose.DETECTION, legal_basis="UCC:46")

COCAINE = Goods(
    section=Section.DRUGS,
    hs=HsCode(edition="2022", digits="130214"),
    quantity=Quantity(amount=Decimal("12.5"), written="12.5", unit="KGM"),
)
TOBACCO = Goods(section=Section.TOBACCO, quantity=Quantity(amount=Decimal(4000), written="4 000", unit="C62"))


def seizure(**facts: Any) -> RecordSeizure:  # noqa: ANN401  # whichever facts a test is about
    """Return a command that records a seizure of cocaine in Rotterdam, with other facts where given."""
    return RecordSeizure(
        **{
            "office": "NL000854",
            "place": Place(country="NL", locode="NLRTM"),
            "occurred_on": date(2024, 5, 1),
            "goods": (COCAINE,),
            **facts,
        }
    )


def more_goods() -> AddGoods:
    """Return a command that always adds a line, so that each effect can be counted."""
    return AddGoods(goods=TOBACCO, reason=Reason.NEW_INFORMATION)


def ident(number: int) -> UUID:
    """Return a fixed record id."""
    return UUID(int=0x01900000_0000_7000_8000_000000000000 + number)
