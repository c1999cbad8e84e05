"""Amounts: the number, the text it came from, its unit, and how it is known.

An amount is an exact decimal, never a float. Two amounts are the same when they differ by no more than half a unit in
the last place to which their source is true; the written text is kept as it stood and never compared.
"""

from decimal import Decimal
from typing import Annotated

import msgspec

from domain.codes import CurrencyCode, Qualifier, UnitCode
from domain.forms import form
from domain.refused import Refused

WrittenNumber = Annotated[str, form(r"^[0-9.,' \u00a0\u202f+\-eE]{1,48}$(?!\n)", "a number as it was written")]

LARGEST = Decimal(10) ** 18
MOST_PLACES = 24


class Quantity(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How much: amount, the text it was read from, unit (UN/ECE Rec 20) and qualifier."""

    amount: Decimal
    written: WrittenNumber
    unit: UnitCode
    qualifier: Qualifier = Qualifier.NOT_STATED


class Money(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How much it is worth, as stated: never computed from quantity and price."""

    amount: Decimal
    written: WrittenNumber
    currency: CurrencyCode


def require_sound(amount: Decimal, what: str) -> None:
    """Refuse an amount that no scale or count can give: not a number, negative, or of absurd size or fineness."""
    if not amount.is_finite():
        raise Refused(f"The {what} is not a number.")
    if amount < 0:
        raise Refused(f"The {what} is negative.")
    exponent = amount.as_tuple().exponent
    if amount > LARGEST or (isinstance(exponent, int) and -exponent > MOST_PLACES):
        raise Refused(f"The {what} has more digits than any scale gives: at most 10^18, with 24 decimal places.")


def is_same_amount(one: Decimal, other: Decimal, true_to_places: int | None) -> bool:
    """Whether two statements of an amount mean the same, where the source is true to so many decimal places."""
    if true_to_places is None:
        return one == other
    return abs(one - other) * 2 <= Decimal(1).scaleb(-true_to_places)


def is_same_quantity(one: Quantity, other: Quantity, true_to_places: int | None) -> bool:
    """Whether two quantities mean the same: unit, qualifier and amount; how they were written does not count."""
    return (one.unit, one.qualifier) == (other.unit, other.qualifier) and is_same_amount(
        one.amount, other.amount, true_to_places
    )
