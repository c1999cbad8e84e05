"""`ncen search`, and `list` of each kind of record: what is on record, by filters, words and names.

Every answer says for which ledger position it holds. What is found is told in a line each, with its id, so that the
next verb can be given it; long answers go on where the last one ended (`--after`).
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from cli import output, reading, show
from cli.consulting import CONSULTING, Consulting, search_for
from cli.output import Misused
from cli.signing import signing

if TYPE_CHECKING:
    from projections.search import Found, Hit

FILTERS = Group("Filters: all of them must hold", sort_key=1)
PAGE = Group("How much, and as of when", sort_key=2)
LIMIT = 20
FIELD = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}")  # whatever else is typed may be a name, and no message repeats it

Words = Annotated[str | None, Parameter(name="TEXT", help="Words that were written of it.")]


@Parameter(name="*", group=PAGE)
@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """How many are shown, from where on, and as of when."""

    limit: int = LIMIT
    """At most so many."""
    after: str | None = None
    """The mark of a following page, as the page before gave it."""
    as_of: reading.AsOf = None


@Parameter(name="*", group=FILTERS)
@dataclass(frozen=True, kw_only=True, slots=True)
class CaseFilters:
    """What seizures and offences can be narrowed down by; of several values any will do."""

    name: str | None = None
    """Somebody of this name (a person or business) has a part in it."""
    office: list[str] | None = None
    """Customs office. Repeatable, like most."""
    country: list[str] | None = None
    """Country in which it happened."""
    since: Annotated[date | None, Parameter(name="--from")] = None
    """First day on which it happened."""
    until: Annotated[date | None, Parameter(name="--to")] = None
    """Last day on which it happened."""
    status: list[str] | None = None
    """How far it has come, such as draft or validated."""
    where: list[str] | None = None
    """Any other field, as FIELD=VALUE, such as origin=CO. Repeatable."""

    def told(self) -> dict[str, list[str]]:
        """The filters that were given."""
        named = {
            "office": self.office,
            "country": self.country,
            "since": [self.since.isoformat()] if self.since else None,
            "until": [self.until.isoformat()] if self.until else None,
            "status": self.status,
        }
        return {name: values for name, values in named.items() if values} | where(self.where)


@Parameter(name="*", group=FILTERS)
@dataclass(frozen=True, kw_only=True, slots=True)
class GoodsFilters:
    """What seizures can be narrowed down by: all that is said of goods must hold of one and the same line."""

    section: list[str] | None = None
    """Commodity section, such as drugs or tobacco."""
    substance: list[str] | None = None
    """Substance, as a code."""
    hs: list[str] | None = None
    """The first digits of the commodity code, such as 2402."""
    origin: list[str] | None = None
    """Country of origin."""

    def told(self) -> dict[str, list[str]]:
        """The filters that were given."""
        named = {"section": self.section, "substance": self.substance, "hs": self.hs, "origin": self.origin}
        return {name: values for name, values in named.items() if values}


FIRST_PAGE = Page()
ALL_CASES = CaseFilters()
ALL_GOODS = GoodsFilters()


def where(conditions: list[str] | None) -> dict[str, list[str]]:
    """Conditions typed as FIELD=VALUE or FIELD=VALUE,VALUE.

    Raises:
        Misused: one of them is not.
    """
    told: dict[str, list[str]] = {}
    for condition in conditions or ():
        field, equals, values = condition.partition("=")
        if not equals or not values or not FIELD.fullmatch(field.strip()):
            raise Misused("--where is told as FIELD=VALUE, such as section=drugs.")
        told.setdefault(field.strip().replace("-", "_"), []).extend(value.strip() for value in values.split(","))
    return told


def search(  # noqa: PLR0913  # each a side from which it is asked
    text: Words = None,
    /,
    *,
    kind: Annotated[Literal["seizure", "offence", "person", "business"] | None, Parameter(group=FILTERS)] = None,
    cases: CaseFilters = ALL_CASES,
    goods: GoodsFilters = ALL_GOODS,
    page: Page = FIRST_PAGE,
    consulting: Consulting = CONSULTING,
) -> None:
    """Search what is on record: seizures by words and filters, or whoever bears a --name; --kind asks for another kind.

    Args:
        kind: What is looked for: seizures, or persons and businesses where only a --name is given.
    """
    filters = cases.told() | goods.told()
    if kind is None and cases.name is not None and (filters or text):
        kind = "seizure"  # a name beside filters or words leads to the cases it has a part in
    find(kind, text=text, name=cases.name, filters=filters, page=page, consulting=consulting)


def find(  # noqa: PLR0913  # each a part of the question
    kind: str | None,
    *,
    text: str | None = None,
    name: str | None = None,
    filters: Mapping[str, list[str]] | None = None,
    page: Page = FIRST_PAGE,
    consulting: Consulting = CONSULTING,
) -> None:
    """Ask the tables, and print what was found."""
    import psycopg

    from cli.settings import load
    from cli.supervisor import database_url
    from projections.search import search as search_tables

    settings = load()
    as_of = reading.position_of(page.as_of, settings)
    told: dict[str, Any] = {
        "kind": kind,
        "text": text,
        "name": name,
        "filters": dict(filters or {}),
        "limit": page.limit,
        "after": page.after,
        "as_of": as_of,
    }
    if signing.caller is not None:
        found = search_for(settings, consulting, told)
    else:
        with psycopg.connect(database_url(settings)) as connection:
            found = search_tables(connection, **told)
    data = {"position": found.position, "hits": [_data(hit) for hit in found.hits], "next": found.next}
    output.show(data, *_lines(found, has_words=text is not None))


def _data(hit: "Hit") -> dict[str, Any]:
    told = show.plain(hit)
    return {"id": told.pop("record_id"), **told}


def _lines(found: "Found", *, has_words: bool) -> list[object]:
    lines: list[object] = []
    for hit in found.hits:
        came = f" (from {hit.peer} under {hit.instrument}, handling {hit.handling})" if hit.peer else ""
        day = f"  {hit.occurred_on}" if hit.occurred_on else ""
        lines.append(f"{hit.record_id}{day}  {hit.node}{came}")
        if hit.name:
            fits = f", {hit.score:.0f}% alike" if hit.score is not None else ""
            lines.append(f"    {hit.name}{fits}")
        if hit.one_with:
            lines.append(f"    one with {', '.join(map(str, hit.one_with))}")
        lines.append(f"    {hit.summary}")
    count = "Nothing was found" if not found.hits else f"{len(found.hits)} shown"
    lines.append(f"{count}, as of position {found.position}." + (" There are more:" if found.next else ""))
    if found.next:
        lines.append(f"  --after {found.next}")
    if has_words and not found.hits:
        lines.append("Words are looked for in accounts and remarks; goods are found by --substance or --section.")
    return lines


def add_list(app: App, kind: str) -> None:
    """Give a kind of record its verb `list`."""
    match kind:
        case "seizure":
            app.command(_list_seizures, name="list")
        case "offence":
            app.command(_list_offences, name="list")
        case _:
            app.command(_list_persons if kind == "person" else _list_businesses, name="list")


def _list_seizures(
    *,
    cases: CaseFilters = ALL_CASES,
    goods: GoodsFilters = ALL_GOODS,
    page: Page = FIRST_PAGE,
    consulting: Consulting = CONSULTING,
) -> None:
    """List seizures, newest first, narrowed down by filters."""
    find("seizure", name=cases.name, filters=cases.told() | goods.told(), page=page, consulting=consulting)


def _list_offences(
    *, cases: CaseFilters = ALL_CASES, page: Page = FIRST_PAGE, consulting: Consulting = CONSULTING
) -> None:
    """List offences, newest first, narrowed down by filters."""
    find("offence", name=cases.name, filters=cases.told(), page=page, consulting=consulting)


Name = Annotated[str | None, Parameter(help="A name or number that is like theirs.", group=FILTERS)]


def _list_persons(*, name: Name = None, page: Page = FIRST_PAGE, consulting: Consulting = CONSULTING) -> None:
    """List persons, newest first, or those whose name or number fits best."""
    find("person", name=name, page=page, consulting=consulting)


def _list_businesses(*, name: Name = None, page: Page = FIRST_PAGE, consulting: Consulting = CONSULTING) -> None:
    """List businesses, newest first, or those whose name or number fits best."""
    find("business", name=name, page=page, consulting=consulting)
