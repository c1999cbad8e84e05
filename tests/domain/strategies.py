"""Hypothesis strategies made from the types themselves, so that a new event or field is tried without being named here.

Values keep the shapes of their fields (patterns, ranges, lengths); ids, lines and codes come from small pools, so that
random histories refer to one another.
"""

import functools
import uuid
from datetime import date
from decimal import Decimal
from typing import Any, get_origin

from hypothesis import strategies as st
from msgspec import inspect

from domain.codes import CodeValue, Line, Text
from domain.forms import type_info
from domain.quantity import WrittenNumber

IDS = [uuid.UUID(int=0x018F_0000_0000_7000_8000_0000_0000_0000 + number) for number in range(3)]
DAYS = st.dates(date(2020, 1, 1), date(2026, 2, 28))
AMOUNTS = st.decimals(0, 10**6, places=3, allow_nan=False, allow_infinity=False) | st.sampled_from(
    [Decimal(0), Decimal("2077.902212529746"), Decimal("2077.9022125297456"), Decimal("1E+3")]
)
WORDS = st.sampled_from(["Anna", "Ανθή Παπά", "名前", "O'Neill-Łuk", "words typed by hand, 3 of them", "\U0001f6a2"])


def bare(told: inspect.Type) -> inspect.Type:
    """A type without its description."""
    return told.type if isinstance(told, inspect.Metadata) else told


def pattern_of(alias: Any) -> str:  # noqa: ANN401  # an Annotated alias has no type of its own
    told = bare(type_info(alias))
    assert isinstance(told, inspect.StrType)
    assert told.pattern is not None
    return told.pattern


BY_PATTERN: dict[str, st.SearchStrategy[str]] = {
    pattern_of(Text): WORDS,
    pattern_of(Line): WORDS,
    pattern_of(WrittenNumber): AMOUNTS.map(str),
    pattern_of(CodeValue): st.sampled_from(["coca", "5", "lemis-1", "A/1"]),
}


@functools.cache
def text(pattern: str) -> st.SearchStrategy[str]:
    """Text of a pattern: its own few examples, so that two records meet in them."""
    known = BY_PATTERN.get(pattern)
    if known is not None:
        return known
    return st.from_regex(pattern.removesuffix(r"$(?!\n)").removesuffix("$") + r"\Z", fullmatch=True)


@functools.cache
def of(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401  # a type, a union of types or an Annotated alias
    """Values of a type."""
    return _of(type_info(kind))


def _of(told: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: PLR0911  # an arm for each shape of type
    match told:
        case inspect.Metadata():
            return _of(told.type)
        case inspect.StructType():
            return _struct(told)
        case inspect.UnionType(types=types):
            return st.one_of(*(_of(one) for one in types))
        case inspect.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case inspect.VarTupleType(item_type=item, min_length=least, max_length=most):
            return st.lists(_of(item), min_size=least or 0, max_size=min(most or 3, 3)).map(tuple)
        case inspect.StrType(pattern=str() as pattern):
            return text(pattern)
        case inspect.IntType(ge=least, le=most):
            low = 1 if least is None else least
            return st.integers(low, low + 3 if most is None else min(most, low + 3))
    return _plain(told)


def _plain(told: inspect.Type) -> st.SearchStrategy[Any]:
    match told:
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.UUIDType():
            return st.sampled_from(IDS)
        case inspect.DateType():
            return DAYS
        case inspect.DecimalType():
            return AMOUNTS
    raise AssertionError(f"no strategy is known for {told}: a new shape of field needs one")


def _struct(told: inspect.StructType) -> st.SearchStrategy[Any]:
    """Values of a struct: each optional field is left out half of the time."""
    cls: Any = get_origin(told.cls) or told.cls
    required = {f.name: _of(f.type) for f in told.fields if f.required}
    optional = {f.name: _of(f.type) for f in told.fields if not f.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: cls(**values))
