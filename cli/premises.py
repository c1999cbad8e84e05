"""`ncen premise …`: put the legal premises of exchange on record, and suspend, resume or end them.

A premise is law as data: nothing leaves this node unless one that is in force covers it. What a premise does not
clearly allow, it does not cover.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

from datetime import date
from typing import Annotated
from uuid import UUID

from cyclopts import App, Group, Parameter

from cli import asking, reading
from cli.acting import ACTING, Acting, act, record_id_of
from domain.attribution import Purpose, Role
from domain.codes import OffenceType, Section
from domain.event import Command
from domain.handling import DataCategory, Handling, Onward, PremiseKind, PremiseReason
from domain.premise import EndPremise, RegisterPremise, ResumePremise, SuspendPremise, TitlePremise

KIND = "premise"
FACTS = Group("The premise", sort_key=1)
FLAGS = {
    "parties": "--party",
    "purposes": "--for",
    "categories": "--category",
    "senders": "--sender",
    "offence_types": "--offence-type",
    "sections": "--section",
    "in_force_from": "--from",
    "retention_days": "--retention-days",
} | {name: f"--{name}" for name in ("instrument", "kind", "title", "handling", "onward", "until")}

app = App(name="premise", help="Put on record on what legal premises data may go to other nodes.")

Id = Annotated[UUID, Parameter(name="ID", help="The id of the premise.")]
Because = Annotated[PremiseReason, Parameter(name="--reason", help="Why.")]


@app.command
def add(  # noqa: PLR0913  # one flag for each part of a premise
    *,
    instrument: Annotated[str | None, Parameter(group=FACTS)] = None,
    party: Annotated[list[str] | None, Parameter(group=FACTS)] = None,
    purposes: Annotated[list[Purpose] | None, Parameter(name="--for", group=FACTS)] = None,
    category: Annotated[list[DataCategory] | None, Parameter(group=FACTS)] = None,
    in_force_from: Annotated[date | None, Parameter(name="--from", group=FACTS)] = None,
    until: Annotated[date | None, Parameter(group=FACTS)] = None,
    kind: Annotated[PremiseKind | None, Parameter(group=FACTS)] = None,
    sender: Annotated[list[str] | None, Parameter(group=FACTS)] = None,
    section: Annotated[list[Section] | None, Parameter(group=FACTS)] = None,
    offence_type: Annotated[list[OffenceType] | None, Parameter(group=FACTS)] = None,
    handling: Annotated[Handling | None, Parameter(group=FACTS)] = None,
    onward: Annotated[Onward | None, Parameter(group=FACTS)] = None,
    retention_days: Annotated[int | None, Parameter(group=FACTS)] = None,
    shows_attribution: Annotated[bool, Parameter(group=FACTS)] = False,
    title: Annotated[str | None, Parameter(group=FACTS)] = None,
    json_file: asking.File = None,
    record_id: Annotated[UUID | None, Parameter(name="--id")] = None,
    acting: Acting = ACTING,
) -> None:
    """Put a legal premise on record and print its id.

    Args:
        instrument: The legal instrument, as a code such as TREATY:XA-XB:2024.
        party: A node that is a party to it. Repeat it for each: at least two.
        purposes: What may be sent for. Repeatable.
        category: What may be sent: open data (names no one) or nominal data. Repeatable.
        in_force_from: The first day on which it is in force.
        until: The last day on which it is in force.
        kind: On what it rests: a binding instrument when nothing is said.
        sender: A party that may send: all parties when nothing is said. Repeatable.
        section: A commodity section it covers: all when nothing is said. Repeatable.
        offence_type: A type of offence it covers: all when nothing is said. Repeatable.
        handling: What the receiver may do with it: H0 (law enforcement only) when nothing is said.
        onward: Whether the receiver may pass it on: not when nothing is said.
        retention_days: How long the receiver may keep it.
        shows_attribution: The receiver is shown who recorded what.
        title: Its title, in words.
        json_file: The whole command as JSON, in a file or (-) on standard input, instead of the flags above.
        record_id: The id that the premise is to have; a new one when nothing is said.
    """
    told = asking.given(
        instrument=instrument,
        kind=kind,
        parties=_nodes(party),
        title=title,
        purposes=purposes,
        categories=category,
        senders=_nodes(sender),
        offence_types=offence_type,
        sections=section,
        handling=handling,
        onward=onward,
        retention_days=retention_days,
        shows_attribution=shows_attribution or None,
        in_force_from=in_force_from,
        until=until,
    )
    flags = {FLAGS.get(name, "--shows-attribution"): value for name, value in told.items()}
    if asking.is_asked_whole(json_file, flags):
        command = asking.from_file(str(json_file), RegisterPremise)
    else:
        needed = ("--instrument", "--party", "--for", "--category", "--from")
        asking.require({flag: flags.get(flag) for flag in needed})
        command = asking.from_flags(told, RegisterPremise, FLAGS)
    _act(record_id_of(acting, record_id), command, acting, prints_id=True)


def _nodes(names: list[str] | None) -> list[str] | None:
    return [name.upper() for name in names] if names else None


def _act(premise: UUID, command: Command, acting: Acting, *, prints_id: bool = False) -> None:
    act(premise, command, acting, role=Role.LEGAL_OFFICER, purpose=Purpose.EXCHANGE, prints_id=prints_id)


@app.command
def suspend(premise: Id, /, *, reason: Because, acting: Acting = ACTING) -> None:
    """Suspend a premise: nothing is sent on it until it is resumed."""
    _act(premise, SuspendPremise(reason=reason), acting)


@app.command
def resume(premise: Id, /, *, acting: Acting = ACTING) -> None:
    """Lift the suspension of a premise."""
    _act(premise, ResumePremise(), acting)


@app.command
def end(premise: Id, /, *, reason: Because, acting: Acting = ACTING) -> None:
    """End a premise for good."""
    _act(premise, EndPremise(reason=reason), acting)


@app.command
def title(premise: Id, text: str | None = None, /, *, take_back: bool = False, acting: Acting = ACTING) -> None:
    """Give a premise a title in words.

    Args:
        text: The title.
        take_back: Take the title back instead.
    """
    told = {"title": asking.words(text, None, take_back=take_back)}
    _act(premise, asking.from_flags(told, TitlePremise, FLAGS), acting)


@app.command
def show(premise: Id, /, *, as_of: reading.AsOf = None) -> None:
    """Show a premise as it stands, or as it stood."""
    reading.show_record(premise, KIND, as_of)
