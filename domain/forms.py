"""The form of a text field, stated on its type and checked at every door, once.

msgspec would check a pattern each time it decodes, also of bytes that were checked before they were stored, and that
is most of what decoding costs. So the pattern stands beside the type, where msgspec lets it pass, and a door (a file, a
flag, a peer) reads through the functions here, which check it once. What is stored was checked by `records.encode`.
"""

import re
from functools import cache
from typing import Any, TypeVar, get_origin

import msgspec
from msgspec import UNSET, Meta, inspect

Read = TypeVar("Read")

TOO_DEEP = "It is nested too deeply"
"""What is said of a document whose unknown parts lie one in the other until no reader could follow."""


def form(pattern: str, description: str, *, least: int | None = None, most: int | None = None) -> Meta:
    """The form of a text: a pattern that is searched for, what the text is, its least and most characters."""
    return Meta(extra={"pattern": pattern}, description=description, min_length=least, max_length=most)


@cache
def type_info(kind: Any) -> Any:  # noqa: ANN401  # a type, a union or an annotation; msgspec's descriptions share no useful type
    """What msgspec knows of a type, with the pattern of each text in its place."""
    return _with_patterns(inspect.type_info(kind))


def convert(told: object, kind: type[Read] | Any) -> Read | Any:  # noqa: ANN401  # an annotation has no narrower type
    """Make a value of plain data that came from outside.

    Raises:
        msgspec.ValidationError: it does not have the form of its type.
    """
    return checked(msgspec.convert(told, kind), kind)


def from_json(raw: bytes | str, kind: type[Read] | Any) -> Read | Any:  # noqa: ANN401  # as above
    """Read JSON that came from outside.

    Raises:
        msgspec.DecodeError: it is not JSON; ValidationError, which is one, where it does not have its type's form.
    """
    try:
        return checked(msgspec.json.decode(raw, type=kind), kind)
    except RecursionError:
        raise msgspec.DecodeError(TOO_DEEP) from None


def from_msgpack(raw: bytes, kind: type[Read] | Any) -> Read | Any:  # noqa: ANN401  # as above
    """Read MessagePack that came from outside.

    Raises:
        msgspec.DecodeError: it is not MessagePack; ValidationError, which is one, where it lacks its type's form.
    """
    try:
        return checked(msgspec.msgpack.decode(raw, type=kind), kind)
    except RecursionError:
        raise msgspec.DecodeError(TOO_DEEP) from None


def checked(value: Read, kind: Any) -> Read:  # noqa: ANN401  # as above
    """The value, once each text in it is known to have its form; its types are msgspec's to check.

    Raises:
        msgspec.ValidationError: a text does not have its form; tells where, and never the text.
    """
    misfit = _misfit(value, type_info(kind), "$")
    if misfit is not None:
        raise msgspec.ValidationError(misfit)
    return value


def _with_patterns(told: Any) -> Any:  # noqa: ANN401  # as above
    match told:
        case inspect.Metadata(type=inspect.StrType() as text, extra={"pattern": pattern}):
            return msgspec.structs.replace(told, type=msgspec.structs.replace(text, pattern=pattern))
        case inspect.StructType(fields=fields):
            return msgspec.structs.replace(told, fields=tuple(map(_with_patterns, fields)))
        case inspect.UnionType(types=types):
            return msgspec.structs.replace(told, types=tuple(map(_with_patterns, types)))
        case inspect.Field() | inspect.Metadata():
            return msgspec.structs.replace(told, type=_with_patterns(told.type))
        case inspect.VarTupleType() | inspect.ListType():
            return msgspec.structs.replace(told, item_type=_with_patterns(told.item_type))
        case inspect.TupleType(item_types=types):
            return msgspec.structs.replace(told, item_types=tuple(map(_with_patterns, types)))
        case inspect.DictType():
            return msgspec.structs.replace(
                told, key_type=_with_patterns(told.key_type), value_type=_with_patterns(told.value_type)
            )
    return told


def _misfit(value: Any, told: Any, path: str) -> str | None:  # noqa: ANN401  # as above; an arm for each shape
    """What does not fit and where, in msgspec's words; None where all fits."""
    if value is UNSET:
        return None
    match told:
        case inspect.Metadata(type=inner):
            return _misfit(value, inner, path)
        case inspect.StrType(pattern=str() as pattern):
            if re.search(pattern, value) is None:
                return f"Expected `str` matching regex {pattern!r} - at `{path}`"
        case inspect.StructType(fields=fields):
            return _first(_misfit(getattr(value, one.name), one.type, f"{path}.{one.encode_name}") for one in fields)
        case inspect.UnionType(types=types):
            found = [_misfit(value, one, path) for one in types if _could_be(value, one)]
            return None if None in found else next(iter(found), None)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return _first(_misfit(one, item, f"{path}[{place}]") for place, one in enumerate(value))
        case inspect.TupleType(item_types=types):
            pairs = zip(value, types, strict=True)
            return _first(_misfit(one, item, f"{path}[{place}]") for place, (one, item) in enumerate(pairs))
        case inspect.DictType(key_type=key, value_type=held):
            keys = (_misfit(one, key, f"key in {path}") for one in value)
            return _first(keys) or _first(_misfit(one, held, f"{path}[...]") for one in value.values())
    return None


def _first(found: Any) -> str | None:  # noqa: ANN401  # an iterator of answers
    return next((one for one in found if one is not None), None)


def _could_be(value: Any, told: Any) -> bool:  # noqa: ANN401  # as above
    """Whether a value that msgspec made of a union may be of this member of it."""
    match told:
        case inspect.Metadata(type=inner):
            return _could_be(value, inner)
        case inspect.StructType(cls=cls):
            return type(value) is (get_origin(cls) or cls)
        case inspect.StrType():
            return type(value) is str
        case inspect.VarTupleType() | inspect.TupleType():
            return type(value) is tuple
        case inspect.ListType():
            return type(value) is list
        case inspect.DictType():
            return type(value) is dict
        case inspect.NoneType():
            return value is None
    return type(value) not in {str, tuple, list, dict, type(None)} and not isinstance(value, msgspec.Struct)
