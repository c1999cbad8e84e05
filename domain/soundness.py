"""Whether a value has the form that its fields ask for, told without encoding it and reading it back.

The types themselves are the rules: for each, a function is written from what msgspec knows of it. It says yes only
where reading back is certain to succeed and every text has its form; anything else is "not certain", and is decided
by reading back. Codes that were found to
fit are remembered, since the same few come again and again; nothing personal is ever remembered.
"""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, get_origin
from uuid import UUID

import msgspec
from msgspec import NODEFAULT, UNSET, inspect

from domain.event import PersonalEvent
from domain.forms import type_info

IsSound = Callable[[Any], bool]

LONGEST_KNOWN = 48
MOST_KNOWN = 4_096
LARGEST_NUMBER = 2**62

PLAIN: dict[type[inspect.Type], type] = {
    inspect.DateType: date,
    inspect.UUIDType: UUID,
    inspect.DecimalType: Decimal,
    inspect.BoolType: bool,
}


def soundness_of(struct: type[msgspec.Struct]) -> IsSound:
    """Return a function that tells whether an instance of this very type is certain to be read back."""
    told = type_info(struct)
    if not isinstance(told, inspect.StructType):
        raise TypeError(f"{struct} is not a struct")
    return _Writer(remembers=not issubclass(struct, PersonalEvent)).function(told)


class _Fits:
    """Whether a text fits its field; short ones that did may be remembered."""

    def __init__(self, text: inspect.StrType, *, remembers: bool) -> None:
        self.known: set[str] = set()
        self._search = re.compile(text.pattern or "").search
        self._least = text.min_length or 0
        self._most = LARGEST_NUMBER if text.max_length is None else text.max_length
        self._longest_known = LONGEST_KNOWN if remembers else -1

    def __call__(self, value: str) -> bool:
        if not self._least <= len(value) <= self._most or self._search(value) is None:
            return False
        if len(value) <= self._longest_known:
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            self.known.add(value)
        return True


class _Writer:
    """Writes the functions of a struct and of the structs within it."""

    def __init__(self, *, remembers: bool) -> None:
        self._remembers = remembers
        self._names: dict[str, Any] = {"UNSET": UNSET}
        self._functions: dict[type, str] = {}

    def function(self, struct: inspect.StructType) -> IsSound:
        """Write the function of a struct."""
        is_sound: IsSound = self._names[self._struct(struct)]
        return is_sound

    def _given(self, value: object) -> str:
        """Return a name by which the written code finds a value."""
        name = f"_{len(self._names)}"
        self._names[name] = value
        return name

    def _struct(self, struct: inspect.StructType) -> str:
        """Write the function of a struct, once; return its name."""
        if struct.cls in self._functions:
            return self._functions[struct.cls]
        name = self._functions[struct.cls] = self._given(None)
        lines = [f"def {name}(x):"]
        for field in struct.fields:
            condition = self._condition(field.type, "v")
            if not field.required and field.default is NODEFAULT and field.default_factory is NODEFAULT:
                condition = f"(v is UNSET or {condition})"
            lines += [f"    v = x.{field.name}", f"    if not {condition}: return False"]
        source = "\n".join([*lines, "    return True"])
        exec(compile(source, f"<soundness of {struct.cls}>", "exec"), self._names)  # noqa: S102  # it was written just above, from our own types
        return name

    def _condition(self, kind: inspect.Type, v: str) -> str:
        """Write the expression that holds where the value `v` is certain to fit."""
        match kind:
            case inspect.Metadata(type=inner):
                return self._condition(inner, v)
            case inspect.NoneType():
                return f"{v} is None"
            case inspect.UnionType(types=types):
                return "(" + " or ".join(self._condition(each, v) for each in types) + ")"
            case inspect.StructType(cls=cls):
                return f"(type({v}) is {self._given(get_origin(cls) or cls)} and {self._struct(kind)}({v}))"
            case inspect.EnumType(cls=cls):
                return f"type({v}) is {self._given(cls)}"
            case inspect.StrType():
                fits = _Fits(kind, remembers=self._remembers)
                return f"(type({v}) is str and ({v} in {self._given(fits.known)} or {self._given(fits)}({v})))"
            case inspect.VarTupleType(item_type=item, min_length=least, max_length=most):
                return f"(type({v}) is tuple and {_within(f'len({v})', least, most)} and {self._items(item, v)})"
            case inspect.IntType(gt=None, lt=None, multiple_of=None, ge=least, le=most):
                return f"(type({v}) is int and {_within(v, least, most)})"
            case inspect.DateType() | inspect.UUIDType() | inspect.DecimalType() | inspect.BoolType():
                return f"type({v}) is {self._given(PLAIN[type(kind)])}"
        return "False"

    def _items(self, item: inspect.Type, v: str) -> str:
        return f"(not {v} or all([{self._condition(item, f'{v}_')} for {v}_ in {v}]))"


def _within(number: str, least: int | None, most: int | None) -> str:
    lowest = -LARGEST_NUMBER if least is None else least
    return f"{lowest} <= {number} <= {LARGEST_NUMBER if most is None else most}"
