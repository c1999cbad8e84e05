"""`ncen business …`: put businesses on record, say what is known of them and take it back, merge and unmerge.

A company's name is personal like a person's. Nothing that was said is overwritten; what is taken back stays visible.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from cyclopts import App, Group, Parameter

from cli import asking, reading
from cli.acting import ACTING, Acting, act, record_id_of
from cli.consulting import CONSULTING, Consulting
from cli.output import Misused
from cli.parties import other_record
from cli.rights import add_rights
from cli.search import add_list
from cli.statements import NOTHING_KNOWN, Addresses, Contacts, HowKnown, Names, coloned, kinded, statements
from domain.attribution import Purpose
from domain.business import (
    AssertAboutBusiness,
    MergeBusiness,
    RegisterBusiness,
    RetractAboutBusiness,
    UnmergeBusiness,
)
from domain.codes import Reason
from domain.identity import BusinessRole, ClosureKind, ContactKind

KIND = "business"
SAID = Group("The business", sort_key=1)
app = App(name="business", help="Put businesses on record, and what is said of them.")

Id = Annotated[UUID, Parameter(name="ID", help="The id of the business.")]
ReasonGiven = Annotated[Reason, Parameter(help="Why it is changed.")]


@Parameter(name="*", group=SAID)
@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What is said of a business; each may be left out, most may be repeated."""

    name: Names = None
    identifier: list[str] | None = None
    """SCHEME:NUMBER or SCHEME:NUMBER:COUNTRY, as eori:PT123:PT. Repeatable."""
    address: Addresses = None
    contact: Contacts = None
    trade: list[BusinessRole] | None = None
    """What it does in trade. Repeatable."""
    closed: ClosureKind | None = None
    """How it came to its end."""

    def told(self) -> list[dict[str, Any]]:
        """What was told, one by one."""
        return [
            *({"what": "business-name", "name": name} for name in self.name or ()),
            *({"what": "identifier"} | _identifier(text) for text in self.identifier or ()),
            *({"what": "address", "text": text} for text in self.address or ()),
            *(_contact(text) for text in self.contact or ()),
            *({"what": "role", "role": role} for role in self.trade or ()),
            *([{"what": "closure", "kind": self.closed}] if self.closed else []),
        ]


NOTHING_SAID = Said()


def _identifier(text: str) -> dict[str, object]:
    told = coloned(text, "--identifier", ("scheme", "number", "country"))
    return told | ({"country": told["country"].upper()} if "country" in told else {})


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
    """Put a business on record, with what is said of it, and print the id.

    Args:
        json_file: The whole command as JSON, in a file or (-) on standard input, instead of the flags above.
        record_id: The id that the business is to have; a new one when nothing is said.
    """
    told = said.told()
    if asking.is_asked_whole(json_file, {"what is said": told}):
        command = asking.from_file(str(json_file), RegisterBusiness)
    elif not told:
        raise Misused("Say what is known of the business, such as --name or --identifier.")
    else:
        command = asking.from_flags({"statements": statements(told, known)}, RegisterBusiness)
    act(record_id_of(acting, record_id), command, acting, purpose=Purpose.INVESTIGATION, prints_id=True)


@app.command(name="assert")
def assert_(
    business: Id, /, *, said: Said = NOTHING_SAID, known: HowKnown = NOTHING_KNOWN, acting: Acting = ACTING
) -> None:
    """Say something more of a business; what was said before stays."""
    told = statements(said.told(), known)
    if not told:
        raise Misused("Say what is known of the business, such as --name or --identifier.")
    command = (
        asking.from_flags({"statement": told[0]}, AssertAboutBusiness)
        if len(told) == 1
        else asking.from_flags({"statements": told}, RegisterBusiness)
    )
    act(business, command, acting, purpose=Purpose.INVESTIGATION)


@app.command
def retract(business: Id, number: int, /, *, reason: ReasonGiven, acting: Acting = ACTING) -> None:
    """Take back what was said under a number; it stays visible as taken back.

    Args:
        number: The number of the statement, as `business show` gives it.
    """
    command = asking.from_flags({"number": number, "reason": reason}, RetractAboutBusiness)
    act(business, command, acting, purpose=Purpose.INVESTIGATION)


@app.command
def merge(business: Id, other: UUID, /, *, basis: str | None = None, acting: Acting = ACTING) -> None:
    """Say that another record speaks of the same business; it can be undone exactly.

    Args:
        other: The id of the other record.
        basis: Why they are one, in words.
    """
    told = {"other": other} | asking.given(basis=basis)
    asking.from_flags(told, MergeBusiness)
    act(
        business,
        lambda ledger: asking.from_flags(told | {"other": other_record(ledger, other, KIND)}, MergeBusiness),
        acting,
        purpose=Purpose.INVESTIGATION,
    )


@app.command
def unmerge(business: Id, other: UUID, /, *, reason: ReasonGiven, acting: Acting = ACTING) -> None:
    """Undo a merge: both records stand as if it had never been made.

    Args:
        other: The id of the other record.
    """
    act(business, UnmergeBusiness(other=other, reason=reason), acting, purpose=Purpose.INVESTIGATION)


@app.command
def show(business: reading.Known, /, *, as_of: reading.AsOf = None, consulting: Consulting = CONSULTING) -> None:
    """Show a business as it stands, or as it stood: every statement with its number and source."""
    reading.show_record(business, KIND, as_of, consulting)


add_list(app, KIND)
add_rights(app, "business")
