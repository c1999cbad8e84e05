"""`ncen person …`: put persons on record, say what is known of them and take it back, merge and unmerge.

Nothing that was said is overwritten; what is taken back stays visible. All of it is personal: it is printed only where
somebody asks for the record, never in an error.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from cyclopts import App, Group, Parameter

from cli import asking, reading, typed
from cli.acting import ACTING, Acting, act, record_id_of
from cli.consulting import CONSULTING, Consulting
from cli.output import Misused
from cli.parties import other_record
from cli.rights import add_rights
from cli.search import add_list
from cli.statements import NOTHING_KNOWN, Addresses, Contacts, HowKnown, Names, kinded, statements
from domain.attribution import Purpose
from domain.codes import Reason
from domain.identity import ContactKind, Sex
from domain.person import (
    AssertAboutPerson,
    MergePerson,
    RegisterPerson,
    RetractAboutPerson,
    UnmergePerson,
)

KIND = "person"
SAID = Group("The person", sort_key=1)
app = App(name="person", help="Put persons on record, and what is said of them.")

Id = Annotated[UUID, Parameter(name="ID", help="The id of the person.")]
ReasonGiven = Annotated[Reason, Parameter(help="Why it is changed.")]


@Parameter(name="*", group=SAID)
@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What is said of a person; each may be left out, most may be repeated."""

    name: Names = None
    alias: list[str] | None = None
    """Another name, as an alias. Repeatable."""
    born: str | None = None
    """A day (1980-05-31) or year (1980) of birth, with its country where known (1980:PT)."""
    nationality: list[str] | None = None
    """A country (PT). Repeatable."""
    sex: Sex | None = None
    """As a document gives it."""
    document: list[str] | None = None
    """KIND:NUMBER or KIND:NUMBER:COUNTRY, as passport:AB123456:PT. Repeatable."""
    address: Addresses = None
    contact: Contacts = None
    description: str | None = None
    """Lasting physical characteristics, in words."""

    def told(self) -> list[dict[str, Any]]:
        """What was told, one by one."""
        return [
            *({"what": "person-name", "full": name} for name in self.name or ()),
            *({"what": "person-name", "full": name, "kind": "alias"} for name in self.alias or ()),
            *([{"what": "birth"} | birth(self.born)] if self.born else []),
            *({"what": "nationality", "country": code} for code in typed.countries(self.nationality or ())),
            *([{"what": "sex", "sex": self.sex}] if self.sex else []),
            *({"what": "identity-document"} | typed.document(text) for text in self.document or ()),
            *({"what": "address", "text": text} for text in self.address or ()),
            *(_contact(text) for text in self.contact or ()),
            *([{"what": "description", "text": self.description}] if self.description else []),
        ]


NOTHING_SAID = Said()


def birth(text: str) -> dict[str, object]:
    """When somebody was born: a day or a year, and the country where it is known."""
    when, _, country = text.partition(":")
    told: dict[str, object] = {"year": int(when)} if when.isdecimal() else {"on": when}
    return told | ({"country": country.upper()} if country else {})


def _contact(text: str) -> dict[str, object]:
    kind, value = kinded(text, "--contact", ContactKind)
    return {"what": "contact", "kind": kind, "value": value}


@app.command
def record(
    *,
    said: Said = NOTHING_SAID,
    known: HowKnown = NOTHING_KNOWN,
    json_file: asking.File = None,
    record_id: Annotated[UUID | None, Parameter(name="--id")] = None,
    acting: Acting = ACTING,
) -> None:
    """Put a person on record, with what is said of them, and print the id.

    Args:
        json_file: The whole command as JSON, in a file or (-) on standard input, instead of the flags above.
        record_id: The id that the person is to have; a new one when nothing is said.
    """
    told = said.told()
    if asking.is_asked_whole(json_file, {"what is said": told}):
        command = asking.from_file(str(json_file), RegisterPerson)
    elif not told:
        raise Misused("Say what is known of the person, such as --name or --born.")
    else:
        command = asking.from_flags({"statements": statements(told, known)}, RegisterPerson)
    act(record_id_of(acting, record_id), command, acting, purpose=Purpose.INVESTIGATION, prints_id=True)


@app.command(name="assert")
def assert_(
    person: Id, /, *, said: Said = NOTHING_SAID, known: HowKnown = NOTHING_KNOWN, acting: Acting = ACTING
) -> None:
    """Say something more of a person; what was said before stays."""
    told = statements(said.told(), known)
    if not told:
        raise Misused("Say what is known of the person, such as --name or --born.")
    command = (
        asking.from_flags({"statement": told[0]}, AssertAboutPerson)
        if len(told) == 1
        else asking.from_flags({"statements": told}, RegisterPerson)
    )
    act(person, command, acting, purpose=Purpose.INVESTIGATION)


@app.command
def retract(person: Id, number: int, /, *, reason: ReasonGiven, acting: Acting = ACTING) -> None:
    """Take back what was said under a number; it stays visible as taken back.

    Args:
        number: The number of the statement, as `person show` gives it.
    """
    command = asking.from_flags({"number": number, "reason": reason}, RetractAboutPerson)
    act(person, command, acting, purpose=Purpose.INVESTIGATION)


@app.command
def merge(person: Id, other: UUID, /, *, basis: str | None = None, acting: Acting = ACTING) -> None:
    """Say that another record speaks of the same person; it can be undone exactly.

    Args:
        other: The id of the other record.
        basis: Why they are one, in words.
    """
    told = {"other": other} | asking.given(basis=basis)
    asking.from_flags(told, MergePerson)
    act(
        person,
        lambda ledger: asking.from_flags(told | {"other": other_record(ledger, other, KIND)}, MergePerson),
        acting,
        purpose=Purpose.INVESTIGATION,
    )


@app.command
def unmerge(person: Id, other: UUID, /, *, reason: ReasonGiven, acting: Acting = ACTING) -> None:
    """Undo a merge: both records stand as if it had never been made.

    Args:
        other: The id of the other record.
    """
    act(person, UnmergePerson(other=other, reason=reason), acting, purpose=Purpose.INVESTIGATION)


@app.command
def show(person: reading.Known, /, *, as_of: reading.AsOf = None, consulting: Consulting = CONSULTING) -> None:
    """Show a person as it stands, or as it stood: every statement with its number and source."""
    reading.show_record(person, KIND, as_of, consulting)


add_list(app, KIND)
add_rights(app, "person")
