"""The reference page of mappings, made of the tables themselves, so that it cannot drift from what is accepted."""

import inspect
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from domain.codes import (
    Concealment,
    ConveyanceKind,
    Detection,
    Direction,
    DocumentKind,
    Outcome,
    Qualifier,
    Section,
    SeizureKind,
)
from intake import cells, mapping, patterns
from intake.mapping_file import models, shipped

HEAD = """\
# Mappings: every key

A mapping is a TOML file that says what the columns of a file mean. This page is generated from the code by
`python -m docs.generate`; a test fails when it has drifted. How to write one for a file of your own is told in
[Import a file of your own](../howto/import-mappings.md).

A key that is not on this page is refused, with the place where it stands. **Needed** keys must be there. Where a table
or a text may stand for a list of one, the list may be left out: `missing = "-"` is `missing = ["-"]`.
"""

CELLS = """\
## Where values stand

Wherever this page says *a code*, *a day* or *a number*, one of the following tables stands, or simply the name of a
column: `origin = "pays"` is short for `origin = { column = "pays" }`. Columns are named as the header names them, with
blanks drawn together; a repeated name is `name#2`, a column without a name `#7` by its place.
"""

TITLES: dict[type[BaseModel], str] = {
    cells.CellFrom: "A cell",
    cells.TextFrom: "A code",
    cells.CircumstanceFrom: "A code of the whole seizure",
    cells.CodedFrom: "A code of an open list",
    cells.HsFrom: "A commodity code",
    cells.DayFrom: "A day",
    cells.NumberFrom: "A number",
    cells.Condition: "A condition",
}
"""Tables that stand in many places, by what they are called; a table without a title here stands in one place."""
PLACES: dict[type[BaseModel], str] = {
    cells.Said: "`[personal]` narrative",
    cells.PlateFrom: "`[personal]` plates",
    cells.DocumentFrom: "`[personal]` documents",
}
REPEATED = {"goods", "leave_out", "flag", "check"}
VOCABULARIES: dict[str, type[StrEnum]] = {
    "kind": SeizureKind,
    "direction": Direction,
    "detection": Detection,
    "concealment": Concealment,
    "conveyance": ConveyanceKind,
    "section": Section,
    "outcome": Outcome,
    "qualifier": Qualifier,
    "documents, kind": DocumentKind,
}


def page() -> str:
    """The whole page."""
    parts = [HEAD, "## The tables of a mapping\n", *_table(mapping.Mapping)]
    for place, table in _places(mapping.Mapping):
        parts += [f"### {place}\n", f"{_about(table)}\n", *_table(table)]
    parts.append(CELLS)
    for table, title in TITLES.items():
        parts += [f"### {title}\n", f"{_about(table)}\n", *_table(table)]
    parts += ["## Words of our own\n", "| field | words |", "|---|---|"]
    for name, vocabulary in VOCABULARIES.items():
        words = ", ".join(f"`{word.value}`" for word in vocabulary)
        parts.append(f"| {name} | {words} |")
    parts += ["", "## Patterns by name\n", "| name | finds |", "|---|---|"]
    parts += [f"| `{name}` | `{pattern}` |" for name, pattern in patterns.NAMED.items()]
    parts += [f"\nThe mappings that ncen ships: {', '.join(f'`{name}`' for name in shipped())}.\n"]
    return "\n".join(parts)


def _places(table: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The tables that stand in one place only, with that place as it is written."""
    for name, field in table.model_fields.items():
        inner = next(models(field.annotation), None)
        if inner is None or inner in TITLES:
            continue
        place = f"{path}.{name}".lstrip(".")
        header = f"[[{place}]]" if place in REPEATED else f"[{place}]"
        yield PLACES.get(inner, f"`{header}`"), inner
        yield from _places(inner, place)


def _about(table: type[BaseModel]) -> str:
    return " ".join(inspect.cleandoc(table.__doc__ or "").split())


def _table(table: type[BaseModel]) -> list[str]:
    """The keys of a table; those of a table that it extends are told there."""
    extended = next((one for one in table.__mro__[1:] if one in TITLES), None)
    rows = [f"It has the keys of {_titled(extended)}, and:\n"] if extended is not None else []
    rows += ["| key | holds | | |", "|---|---|---|---|"]
    for name, field in table.model_fields.items():
        if extended is not None and name not in table.__annotations__:
            continue
        rows.append(f"| `{name}` | {_holds(field.annotation, field)} | {_need(field)} | {_cell(field.description)} |")
    return [*rows, ""]


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _need(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    default = field.get_default(call_default_factory=True)
    if default == '"':
        return 'else `"`'
    if default is None or isinstance(default, BaseModel) or default in ((), {}, ""):
        return ""
    if isinstance(default, bool):
        return f"else `{str(default).lower()}`"
    if isinstance(default, tuple):
        listed = ", ".join(f'"{one}"' for one in default)
        return f"else `[{listed}]`"
    return f"else `{default}`" if isinstance(default, int) else f'else `"{default}"`'


def _holds(annotation: Any, field: FieldInfo | None = None) -> str:  # noqa: ANN401  # an annotation has no type
    """What may stand under a key, in a few words."""
    limits = _limits(field)
    inner = next(models(annotation), None)
    if inner is not None:
        one = _titled(inner)
        return f"list of {one}" if _is_list(annotation) else one
    if _is_list(annotation) and field is not None and bool in get_args(annotation):
        return "true or false, or list of texts"
    if _is_list(annotation):
        return "list of texts"
    parts = [_plain(one) for one in _alternatives(annotation)]
    return " or ".join(dict.fromkeys(part for part in parts if part)) + limits


def _titled(table: type[BaseModel]) -> str:
    title = TITLES.get(table)
    if title is not None:
        words = title[0].lower() + title[1:]
        return f"[{words}](#{words.replace(' ', '-')})"
    return "table"


def _alternatives(annotation: Any) -> list[Any]:  # noqa: ANN401  # as above
    if get_origin(annotation) in {None, dict, tuple, Literal}:
        return [annotation]
    return [inner for one in get_args(annotation) for inner in _alternatives(one)]


def _is_list(annotation: Any) -> bool:  # noqa: ANN401  # as above
    return any(get_origin(one) is tuple for one in _alternatives(annotation))


def _plain(annotation: Any) -> str:  # noqa: ANN401  # as above
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(annotation))
    if get_origin(annotation) is dict:
        return "table of tables of texts" if get_origin(get_args(annotation)[1]) is dict else "table of texts"
    return {str: "text", int: "whole number", bool: "true or false"}.get(annotation, "")


def _limits(field: FieldInfo | None) -> str:
    told = []
    for limit in field.metadata if field is not None else ():
        match limit:
            case Ge(ge=least):
                told.append(f"from {least}")
            case Le(le=most):
                told.append(f"to {most}")
            case MinLen() | MaxLen():
                continue
    return f" {' '.join(told)}" if told else ""
