"""`ncen premise …`: put the legal premises of exchange on record, and suspend, resume or end them.

A premise is law as data: nothing leaves this node unless one that is in force covers it. What a premise does not
clearly allow, it does not cover.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

from cyclopts import App, Group, Parameter

from cli import asking, output, reading
from cli.acting import ACTING, Acting, act, opened, record_id_of, require_record
from cli.feeds import prepared
from cli.output import Misused
from cli.show import plain as show_values
from domain.attribution import Purpose, Role
from domain.codes import OffenceType, Section
from domain.event import Command
from domain.handling import DataCategory, Handling, Onward, PremiseKind, PremiseReason
from domain.premise import (
    EndPremise,
    Premise,
    RegisterPremise,
    ResumePremise,
    SetConditions,
    SetPeriod,
    SetScope,
    SuspendPremise,
    TitlePremise,
)
from domain.records import fold

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


@Parameter(name="*", group=FACTS)
@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Between whom, for what, of what, and when."""

    instrument: str | None = None
    """The legal instrument, as a code such as TREATY:XA-XB:2024."""
    kind: PremiseKind | None = None
    """On what it rests: a binding instrument when nothing is said."""
    party: list[str] | None = None
    """A node that is a party to it. Repeat it for each: at least two."""
    sender: list[str] | None = None
    """A party that may send: all parties when nothing is said. Repeatable."""
    purposes: Annotated[list[Purpose] | None, Parameter(name="--for")] = None
    """What may be sent for. Repeatable."""
    category: list[DataCategory] | None = None
    """What may be sent: open data (names no one) or nominal data. Repeatable."""
    section: list[Section] | None = None
    """A commodity section it covers: all when nothing is said. Repeatable."""
    offence_type: list[OffenceType] | None = None
    """A type of offence it covers: all when nothing is said. Repeatable."""
    in_force_from: Annotated[date | None, Parameter(name="--from")] = None
    """The first day on which it is in force."""
    until: date | None = None
    """The last day on which it is in force."""

    def told(self) -> dict[str, object]:
        """What was told, as the fields of a command."""
        return asking.given(
            instrument=self.instrument,
            kind=self.kind,
            parties=_nodes(self.party),
            senders=_nodes(self.sender),
            purposes=self.purposes,
            categories=self.category,
            sections=self.section,
            offence_types=self.offence_type,
            in_force_from=self.in_force_from,
            until=self.until,
        )


@Parameter(name="*", group=FACTS)
@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """Under which conditions a receiver holds what is sent, and what the premise is called."""

    handling: Handling | None = None
    """What the receiver may do with it: H0 (law enforcement only) when nothing is said."""
    onward: Onward | None = None
    """Whether the receiver may pass it on: not when nothing is said."""
    retention_days: int | None = None
    """How long the receiver may keep it."""
    shows_attribution: bool = False
    """The receiver is shown who recorded what."""
    title: str | None = None
    """Its title, in words."""

    def told(self) -> dict[str, object]:
        """What was told, as the fields of a command."""
        return asking.given(
            handling=self.handling,
            onward=self.onward,
            retention_days=self.retention_days,
            shows_attribution=self.shows_attribution or None,
            title=self.title,
        )


NO_SCOPE = Scope()
NO_CONDITIONS = Conditions()


@app.command
def add(
    *,
    scope: Scope = NO_SCOPE,
    conditions: Conditions = NO_CONDITIONS,
    json_file: asking.File = None,
    record_id: Annotated[UUID | None, Parameter(name="--id")] = None,
    acting: Acting = ACTING,
) -> None:
    """Put a legal premise on record and print its id.

    Args:
        json_file: The whole command as JSON, in a file or (-) on standard input, instead of the flags above.
        record_id: The id that the premise is to have; a new one when nothing is said.
    """
    told = scope.told() | conditions.told()
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


@app.command(name="scope")
def set_scope(  # noqa: PLR0913  # the flags of one verb
    premise: Id,
    /,
    *,
    sender: list[str] | None = None,
    purposes: Annotated[list[Purpose] | None, Parameter(name="--for")] = None,
    category: list[DataCategory] | None = None,
    section: list[Section] | None = None,
    every_section: bool = False,
    offence_type: list[OffenceType] | None = None,
    every_offence_type: bool = False,
    acting: Acting = ACTING,
) -> None:
    """Lay down anew what a premise covers; what is not told stays as it stands.

    Args:
        sender: A party that may send. Repeat it for each.
        purposes: What may be sent for. Repeatable.
        category: What may be sent: open data or nominal data. Repeatable.
        section: A commodity section it covers. Repeatable.
        every_section: It covers all sections.
        offence_type: A type of offence it covers. Repeatable.
        every_offence_type: It covers all offences.
    """
    told = asking.given(
        senders=_nodes(sender),
        purposes=purposes,
        categories=category,
        sections=section,
        offence_types=offence_type,
    )
    emptied: dict[str, object] = {"sections": ()} if every_section else {}
    emptied |= {"offence_types": ()} if every_offence_type else {}
    _change(premise, SetScope, told | emptied, acting)


@app.command(name="conditions")
def set_conditions(  # noqa: PLR0913  # the flags of one verb
    premise: Id,
    /,
    *,
    handling: Handling | None = None,
    onward: Onward | None = None,
    retention_days: int | None = None,
    no_retention_limit: bool = False,
    shows_attribution: Annotated[bool | None, Parameter(negative="--hides-attribution")] = None,
    acting: Acting = ACTING,
) -> None:
    """Lay down anew under which conditions a receiver holds what is sent; what is not told stays as it stands.

    Args:
        handling: What the receiver may do with it.
        onward: Whether the receiver may pass it on.
        retention_days: How long the receiver may keep it.
        no_retention_limit: The receiver may keep it as its own law allows.
        shows_attribution: The receiver is shown who recorded what.
    """
    told = asking.given(
        handling=handling, onward=onward, retention_days=retention_days, shows_attribution=shows_attribution
    )
    _change(premise, SetConditions, told | ({"retention_days": None} if no_retention_limit else {}), acting)


@app.command(name="period")
def set_period(
    premise: Id,
    /,
    *,
    in_force_from: Annotated[date | None, Parameter(name="--from")] = None,
    until: date | None = None,
    open_ended: bool = False,
    acting: Acting = ACTING,
) -> None:
    """Lay down anew when a premise is in force; what is not told stays as it stands.

    Args:
        in_force_from: The first day.
        until: The last day.
        open_ended: It has no last day.
    """
    told = asking.given(in_force_from=in_force_from, until=until)
    _change(premise, SetPeriod, told | ({"until": None} if open_ended else {}), acting)


def _change(
    premise: UUID, kind: type[SetScope | SetConditions | SetPeriod], told: dict[str, object], acting: Acting
) -> None:
    """Lay down one side of a premise anew, from how it stands and what was told."""
    if not told:
        raise Misused("Say what is to change; --help tells what can be laid down.")
    with opened() as (ledger, _):
        stands = fold(require_record(ledger, premise, KIND))
    as_it_stands = {field: value for field in kind.__struct_fields__ if (value := getattr(stands, field)) is not None}
    _act(premise, asking.from_flags(as_it_stands | told, kind, FLAGS), acting)


@app.command
def show(premise: Id, /, *, as_of: reading.AsOf = None) -> None:
    """Show a premise as it stands, or as it stood."""
    reading.show_record(premise, KIND, as_of)


@app.command(name="list")
def list_(*, party: str | None = None, in_force: bool = False) -> None:
    """List the legal premises on our record: between whom, for what, and whether they are in force today.

    Args:
        party: Only those to which this node is a party.
        in_force: Only those on which something may be sent today.
    """
    from exchange import premises
    from ledger.reader import Reader
    from ledger.sessions import connect

    settings, url = prepared()
    with Reader.open(url, keys=None) as reader, connect(url) as connection:
        premises.refresh(connection, reader)
        known = premises.known(connection)
    today = datetime.now(UTC).date()
    wanted = party and party.upper()
    shown = [
        one
        for one in known
        if (wanted is None or wanted in one.premise.parties) and (not in_force or one.premise.is_in_force(today))
    ]
    data = {
        "node": settings.node,
        "premises": [
            {"id": str(one.record_id), **show_values(one.premise), "standing": _standing(one.premise, today)}
            for one in shown
        ],
    }
    lines = [line for one in shown for line in _lines(one.record_id, one.premise, today)]
    output.show(data, *(lines or ["There is no such premise on record."]))


def _standing(premise: Premise, today: date) -> str:
    gap = premise.gap_in_time(today)
    return "in-force" if gap is None else gap.value


def _lines(record_id: UUID, premise: Premise, today: date) -> list[str]:
    until = f" until {premise.until}" if premise.until else ""
    sections = f" of {', '.join(premise.sections)}" if premise.sections else ""
    offences = f", offences of {', '.join(premise.offence_types)}" if premise.offence_types else ""
    standing = _standing(premise, today).replace("-", " ")
    data = f"{' and '.join(premise.categories)} data{sections}{offences}"
    return [
        f"{record_id}  {premise.instrument}",
        f"    {standing}, from {premise.in_force_from}{until}, version {premise.version}",
        f"    {', '.join(premise.parties)}: {data}, for {', '.join(premise.purposes)}",
    ]
