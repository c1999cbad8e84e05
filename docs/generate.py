"""Writes the pages that are made from the code: `python -m docs.generate`.

A generated page is never edited by hand: a test compares it with what the code says now and fails on drift. What a
field may hold is read from its type, and every sentence is the docstring of the thing itself.
"""

import inspect as python
import sys
from collections.abc import Callable, Collection, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
from msgspec import UNSET, inspect

from cli import manual
from domain.event import AnyEvent, PersonalEvent, wire_name
from domain.forms import type_info
from domain.permissions import COMMANDS, SIGHTS, VERBS
from domain.records import KINDS, Kind
from intake import mapping_page

DOCS = Path(__file__).parent

EVENTS_HEAD = """\
# Events

Every event that a ledger of this node can hold, by its wire name. This page is generated from the code by
`python -m docs.generate`; a test fails when it has drifted.

An **open** event names no one: every field is a code, a number, a date or an opaque identifier. A **personal** event
tells something of a person, or holds words typed by hand; it is stored sealed under a key of its subject, and never
reaches the CEN. *The subject* of a personal event is the record whose erasure destroys it: the person or business named
by the field that is given, else the record itself.

A wire name is given once and never reused. A field that is not needed may be absent, and an absent field says nothing.
*Unchanged* is written where absence means that a fact stays as it was. Events are stored as MessagePack maps whose key
`event` holds the wire name; decimals are text, days are ISO 8601, ids are UUIDs.
"""


# ---------------------------------------------------------------- pages


def events_page() -> str:
    """The catalogue of all events, with the shapes and vocabularies that their fields use."""
    page = [EVENTS_HEAD]
    for kind in KINDS.values():
        page += _kind(kind)
    seen = _used()
    page.append("## Shapes\n")
    for cls in sorted(seen.structs, key=lambda one: one.__name__):
        page += _shape(cls)
    page.append("## Vocabularies\n")
    for vocabulary in sorted(seen.enums, key=lambda one: one.__name__):
        values = ", ".join(f"`{member.value}`" for member in vocabulary)
        page.append(f"### {vocabulary.__name__}\n\n{_doc(vocabulary)}\n\n{values}\n")
    return "\n".join(page)


PERMISSIONS_HEAD = """\
# Who may what

The permission matrix of a closed node, from `domain/permissions.py`. This page is made by `python -m docs.generate`;
a test fails when it has drifted. What it does not name is refused.

## How far each role sees into personal data

`own` is what one recorded; `cases` adds the cases that were assigned to one; `office` adds all cases of one's customs
office; `national` is everything at this node. A person or business is seen by who sees a case it has a part in.
Open facts of cases, which name no one, are seen by every role that may call the verb, up to the handling code.
Where persons and businesses are shown as pseudonyms, nothing is shown of what is said of them; `unmask` is the right to
see who it is, for a reason (`--unmask`), and `break-glass` the right to see what is out of scope.

| role | scope | persons and businesses | restricted subjects | tightest handling code |
|---|---|---|---|---|
"""


def permissions_page() -> str:
    """The matrix: how far roles see, and which may call each verb and give each command."""
    rows = [
        f"| {role} | {told.scope} | {'as pseudonyms' if told.masked else 'in the clear'}"
        f" | {'yes' if told.sees_restricted else 'no'} | {told.handling} |"
        for role, told in SIGHTS.items()
        if role != "node"
    ]
    page = [PERMISSIONS_HEAD + "\n".join(rows), "\n## Verbs\n", "| verb | who may call it |", "|---|---|"]
    page += [f"| `{verb}` | {_roles(roles)} |" for verb, roles in sorted(VERBS.items())]
    page += ["\n## Commands\n", "| command | who may give it |", "|---|---|"]
    page += [f"| `{tag}` | {_roles(roles)} |" for tag, roles in sorted(COMMANDS.items())]
    return "\n".join(page) + "\n"


def _roles(roles: Collection[str]) -> str:
    return "whoever runs the machine, without signing in" if "host" in roles else ", ".join(sorted(roles))


PAGES: dict[str, Callable[[], str]] = {
    "reference/cli.md": manual.markdown,
    "reference/events.md": events_page,
    "reference/mappings.md": mapping_page.page,
    "reference/permissions.md": permissions_page,
}
"""What is generated: a page's path under `docs/`, and the function that writes it."""


def main() -> int:
    """Write every generated page and say which."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        sys.stdout.write(f"wrote docs/{name}\n")
    return 0


# ---------------------------------------------------------------- events


def _kind(kind: Kind) -> list[str]:
    page = [f"## Events: {kind.name}\n", f"{_doc(kind.state)}\n", "| event | | what happened |", "|---|---|---|"]
    page += [f"| [`{wire_name(e)}`](#{_anchor(wire_name(e))}) | {_openness(e)} | {_sentence(e)} |" for e in kind.events]
    page.append("")
    for event in kind.events:
        page += [f"### {wire_name(event)}\n", f"{_doc(event)}\n", f"{_subject(event)}\n", *_fields(event), ""]
    return page


def _openness(event: type[AnyEvent]) -> str:
    return "personal" if issubclass(event, PersonalEvent) else "open"


def _subject(event: type[AnyEvent]) -> str:
    if not issubclass(event, PersonalEvent):
        return "Open."
    return f"Personal; its subject is `{event.subject_field}`." if event.subject_field else "Personal."


def _doc(cls: type) -> str:
    """The whole docstring of a class, each paragraph on one line."""
    text = python.cleandoc(cls.__doc__ or "")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _sentence(event: type[AnyEvent]) -> str:
    return _doc(event).split("\n")[0]


def _anchor(heading: str) -> str:
    """The anchor that a heading gets: lower case, without dots."""
    return heading.lower().replace(".", "").replace(" ", "-")


def _fields(cls: Any) -> list[str]:  # noqa: ANN401  # a struct class, or a generic one of a parameter
    told = type_info(cls)
    if not isinstance(told, inspect.StructType) or not told.fields:
        return ["It has no fields."]
    defaults = {field.name: field.default for field in msgspec.structs.fields(cls)}
    rows = ["| field | holds | |", "|---|---|---|"]
    for field in told.fields:
        need = "needed" if field.required else ("else unchanged" if defaults[field.name] is UNSET else "")
        rows.append(f"| `{field.name}` | {_holds(field.type)} | {need} |")
    return rows


def _shape(cls: Any) -> list[str]:  # noqa: ANN401  # a struct class
    told = type_info(cls)
    tag = (
        f"Stored with `{told.tag_field}`: `{told.tag}`.\n" if isinstance(told, inspect.StructType) and told.tag else ""
    )
    is_one_of_many = tag and cls.__subclasses__()
    return [
        f"### {cls.__name__}\n",
        f"{_doc(cls)}\n",
        *([tag] if tag and not is_one_of_many else []),
        *_fields(cls),
        "",
    ]


# ---------------------------------------------------------------- what a field holds


def _holds(told: inspect.Type, description: str = "") -> str:  # noqa: PLR0911  # an arm for each shape of type
    """What a value of this type is, in a few words, with links to the shapes and vocabularies it uses."""
    match told:
        case inspect.Metadata(type=inner, extra_json_schema=schema):
            return _holds(inner, (schema or {}).get("description", ""))
        case inspect.StructType(cls=cls):
            origin, arguments = get_origin(cls) or cls, get_args(cls)
            of = f" of {' or '.join(map(_link, arguments))}" if arguments else ""
            return f"{_link(origin)}{of}"
        case inspect.EnumType(cls=cls):
            return _link(cls)
        case inspect.UnionType(types=types):
            return " or ".join("none" if isinstance(one, inspect.NoneType) else _holds(one) for one in types)
        case inspect.VarTupleType(item_type=item, min_length=least, max_length=most):
            limits = [*([f"at least {least}"] if least else []), *([f"at most {most:,}"] if most else [])]
            return f"list of {_holds(item)}" + (f" ({', '.join(limits)})" if limits else "")
        case inspect.StrType(pattern=pattern):
            return _text(pattern, description)
        case inspect.IntType(ge=least, le=most):
            return _number(least, most, description)
    return _plain(told)


def _link(cls: type) -> str:
    return f"[{cls.__name__}](#{_anchor(cls.__name__)})"


def _text(pattern: str | None, description: str) -> str:
    """Codes show their pattern; words typed by hand have one too long to read."""
    is_code = pattern is not None and pattern.isascii() and pattern.isprintable()
    shown = f" `{str(pattern).removesuffix('(?!' + chr(92) + 'n)').replace('|', chr(92) + '|')}`" if is_code else ""
    return f"{description or 'text'}{shown}"


def _number(least: int | None, most: int | None, description: str) -> str:
    if least is None:
        limits = "" if most is None else f" up to {most}"
    else:
        limits = f" from {least}" + ("" if most is None else f" to {most}")
    return f"whole number{limits}" + (f": {description}" if description else "")


def _plain(told: inspect.Type) -> str:
    match told:
        case inspect.BoolType():
            return "yes or no"
        case inspect.UUIDType():
            return "record id"
        case inspect.DateType():
            return "day"
        case inspect.DecimalType():
            return "exact decimal"
    raise TypeError(f"no words are known for {told}: a new shape of field needs some")


# ---------------------------------------------------------------- what the events use


class _Used:
    """The structs and enumerations that some event can hold."""

    def __init__(self) -> None:
        self.structs: set[Any] = set()
        self.enums: set[type[Enum]] = set()

    def add(self, told: inspect.Type) -> None:
        """Take in what a type names; a generic shape is shown with all that it can hold."""
        match told:
            case inspect.EnumType(cls=cls):
                self.enums.add(cls)
            case inspect.StructType(cls=cls) if (origin := get_origin(cls)) is not None:
                for one in _inner(type_info(origin)):
                    self.add(one)
            case inspect.StructType(cls=cls):
                self.structs.add(cls)


def _used() -> _Used:
    seen = _Used()
    for kind in KINDS.values():
        for event in kind.events:
            told = type_info(event)
            assert isinstance(told, inspect.StructType)  # noqa: S101  # events are structs; it tells the type checker
            for field in told.fields:
                for one in _inner(field.type):
                    seen.add(one)
    return seen


def _inner(told: inspect.Type) -> Iterator[inspect.Type]:
    """A type and all types within it."""
    yield told
    match told:
        case inspect.Metadata(type=inner) | inspect.VarTupleType(item_type=inner):
            yield from _inner(inner)
        case inspect.UnionType(types=types):
            for one in types:
                yield from _inner(one)
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from _inner(field.type)


if __name__ == "__main__":
    sys.exit(main())
