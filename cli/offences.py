"""`ncen offence …`: record offences, correct them, follow the proceedings, and impose or lift penalties.

An offence may stand without any seizure. Which way the proceedings may go is the domain's to say; a refusal names the
ways that are open.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

from dataclasses import dataclass
from datetime import date
from typing import Annotated
from uuid import UUID

from cyclopts import App, Group, Parameter

from cli import asking, reading, typed
from cli.acting import ACTING, Acting, act, record_id_of
from cli.consulting import CONSULTING, Consulting
from cli.output import Misused
from cli.parties import PartyText, other_record, part, parties
from cli.search import add_list
from domain.attribution import Purpose
from domain.codes import OffenceType, Reason
from domain.offence import (
    AttachSeizure,
    CancelOffence,
    ChangeStatus,
    CorrectOffence,
    DetachSeizure,
    ImposePenalty,
    LiftPenalty,
    NameParty,
    OffenceStatus,
    PenaltyKind,
    RecordOffence,
    WithdrawParty,
    WriteNarrative,
)

KIND = "offence"
FACTS = Group("The offence", sort_key=1)
FLAGS = {"offence_type": "--type", "occurred_on": "--on", "seizures": "--seizure", "parties": "--party"} | {
    name: f"--{name}" for name in ("office", "place", "provision", "narrative", "source")
}
CLEARABLE = ("provision", "place")

app = App(name="offence", help="Record offences, and follow the proceedings.")
penalty_app = App(name="penalty", help="Impose a penalty, or say that it no longer stands.")
party_app = App(name="party", help="Say who had a part in an offence.")

Id = Annotated[UUID, Parameter(name="ID", help="The id of the offence.")]
SeizureId = Annotated[UUID, Parameter(name="SEIZURE", help="The id of the seizure.")]
Remark = Annotated[str | None, Parameter(help="Words on the change; they are kept as personal.")]
ReasonGiven = Annotated[Reason, Parameter(help="Why it is changed.")]


@Parameter(name="*", group=FACTS)
@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the law calls it, where and when; each may be left out."""

    type: Annotated[OffenceType | None, Parameter(name="--type")] = None
    """What the law calls it."""
    office: str | None = None
    """The customs office, as a code."""
    on: date | None = None
    """The day it happened, as 2024-05-31."""
    provision: str | None = None
    """The provision of the statute, as a code such as FR:CUSTOMS-CODE:414."""
    place: str | None = None
    """A country (CO), UN/LOCODE (COBOG) or subdivision (CO-DC), or several in quotes."""

    def told(self) -> dict[str, object]:
        """What was told, as the fields of a command."""
        return asking.given(
            offence_type=self.type,
            office=self.office and self.office.upper(),
            occurred_on=self.on,
            provision=self.provision,
            place=self.place and typed.place(self.place),
        )


NOTHING_TOLD = Facts()


@app.command
def record(  # noqa: PLR0913  # one flag for each fact
    *,
    facts: Facts = NOTHING_TOLD,
    seizure: Annotated[list[UUID] | None, Parameter(group=FACTS)] = None,
    party: Annotated[list[str] | None, Parameter(group=FACTS)] = None,
    narrative: Annotated[str | None, Parameter(group=FACTS)] = None,
    json_file: asking.File = None,
    record_id: Annotated[UUID | None, Parameter(name="--id")] = None,
    acting: Acting = ACTING,
) -> None:
    """Record an offence and print its id: --type, --office and --on are enough, the rest can follow.

    Args:
        seizure: The id of a seizure that belongs to it. Repeatable.
        party: Who had a part, as ID:ROLE or ID:ROLE:CATEGORY. Repeatable.
        narrative: The account in words; kept as personal.
        json_file: The whole command as JSON, in a file or (-) on standard input, instead of the flags above.
        record_id: The id that the offence is to have; a new one when nothing is said.
    """
    told = facts.told() | asking.given(seizures=seizure, narrative=narrative)
    flags = {FLAGS[name]: value for name, value in (told | asking.given(parties=party)).items()}
    if asking.is_asked_whole(json_file, flags):
        whole = asking.from_file(str(json_file), RecordOffence)
        act(record_id_of(acting, record_id), whole, acting, purpose=Purpose.PROSECUTION, prints_id=True)
        return
    asking.require({f"--{name}": flags.get(f"--{name}") for name in ("type", "office", "on")})
    asking.from_flags(told, RecordOffence, FLAGS)  # before a server is asked for anything
    act(
        record_id_of(acting, record_id),
        lambda ledger: asking.from_flags(
            told
            | {"parties": parties(ledger, party or ())}
            | {"seizures": [other_record(ledger, one, "seizure") for one in seizure or ()]},
            RecordOffence,
            FLAGS,
        ),
        acting,
        purpose=Purpose.PROSECUTION,
        prints_id=True,
    )


@app.command
def correct(  # noqa: PLR0913  # one flag for each fact
    offence: Id,
    /,
    *,
    reason: ReasonGiven,
    facts: Facts = NOTHING_TOLD,
    clear: Annotated[list[str] | None, Parameter(group=FACTS)] = None,
    remark: Remark = None,
    acting: Acting = ACTING,
) -> None:
    """Correct what was recorded of an offence: only what is given changes.

    Args:
        clear: What is to be taken back: provision or place. Repeatable.
    """
    told = facts.told()
    for name in clear or ():
        if name not in CLEARABLE:
            raise Misused(f"--clear takes back one of {', '.join(CLEARABLE)}.")
        told[name] = None
    if not told:
        raise Misused("Say what is to be corrected, such as --type or --office.")
    command = asking.from_flags(told | {"reason": reason} | asking.given(remark=remark), CorrectOffence, FLAGS)
    act(offence, command, acting, purpose=Purpose.PROSECUTION)


@app.command
def status(  # noqa: PLR0913  # one flag for each fact
    offence: Id,
    status: OffenceStatus,
    /,
    *,
    on: date | None = None,
    reason: Reason | None = None,
    remark: Remark = None,
    acting: Acting = ACTING,
) -> None:
    """Say how far the proceedings have come.

    Args:
        status: Where they are now.
        on: The day on which they came there.
        reason: Why, where that is known; entry-error goes back to where they were before.
    """
    told = {"status": status} | asking.given(on=on, reason=reason, remark=remark)
    act(offence, asking.from_flags(told, ChangeStatus), acting, purpose=Purpose.PROSECUTION)


@app.command
def attach(offence: Id, seizure: SeizureId, /, *, acting: Acting = ACTING) -> None:
    """Say that a seizure belongs to the offence."""
    act(
        offence,
        lambda ledger: AttachSeizure(seizure=other_record(ledger, seizure, "seizure")),
        acting,
        purpose=Purpose.PROSECUTION,
    )


@app.command
def detach(offence: Id, seizure: SeizureId, /, *, reason: ReasonGiven, acting: Acting = ACTING) -> None:
    """Say that a seizure does not belong to the offence after all."""
    act(offence, DetachSeizure(seizure=seizure, reason=reason), acting, purpose=Purpose.PROSECUTION)


@penalty_app.command
def impose(  # noqa: PLR0913  # one flag for each fact
    offence: Id,
    kind: PenaltyKind,
    /,
    *,
    amount: str | None = None,
    days: int | None = None,
    on: date | None = None,
    acting: Acting = ACTING,
) -> None:
    """Say which penalty was imposed.

    Args:
        kind: What was imposed.
        amount: How much, as "5000 EUR".
        days: How long, in days.
        on: The day on which it was imposed.
    """
    told = asking.given(kind=kind, amount=typed.money(amount, "--amount") if amount else None, days=days, imposed_on=on)
    act(offence, asking.from_flags({"penalty": told}, ImposePenalty), acting, purpose=Purpose.PROSECUTION)


@penalty_app.command
def lift(offence: Id, number: int, /, *, reason: ReasonGiven, acting: Acting = ACTING) -> None:
    """Say that a penalty no longer stands.

    Args:
        number: The number of the penalty, as `offence show` gives it.
    """
    command = asking.from_flags({"number": number, "reason": reason}, LiftPenalty)
    act(offence, command, acting, purpose=Purpose.PROSECUTION)


@party_app.command(name="add")
def add_party(offence: Id, party: PartyText, /, *, acting: Acting = ACTING) -> None:
    """Say that a person or business had a part in an offence."""
    act(
        offence,
        lambda ledger: NameParty(party=parties(ledger, (party,))[0]),
        acting,
        purpose=Purpose.PROSECUTION,
    )


@party_app.command(name="withdraw")
def withdraw_party(offence: Id, party: PartyText, /, *, reason: ReasonGiven, acting: Acting = ACTING) -> None:
    """Take back that a person or business had a part in an offence."""
    told = part(party)
    command = WithdrawParty(party=told.party, role=told.role, reason=reason)
    act(offence, command, acting, purpose=Purpose.PROSECUTION)


@app.command
def narrative(
    offence: Id,
    text: str | None = None,
    /,
    *,
    file: asking.File = None,
    take_back: bool = False,
    acting: Acting = ACTING,
) -> None:
    """Write the account of an offence in words, in place of the one before; it is kept as personal.

    Args:
        text: The account.
        file: A file that holds it, or - for standard input, so that it stays out of the shell's own history.
        take_back: Take the account back instead.
    """
    told = asking.words(text, file, take_back=take_back)
    act(offence, asking.from_flags({"text": told}, WriteNarrative), acting, purpose=Purpose.PROSECUTION)


@app.command
def cancel(offence: Id, /, *, reason: ReasonGiven, remark: Remark = None, acting: Acting = ACTING) -> None:
    """Declare an offence void; it stays on record, with its history."""
    told = {"reason": reason} | asking.given(remark=remark)
    act(offence, asking.from_flags(told, CancelOffence), acting, purpose=Purpose.PROSECUTION)


@app.command
def show(offence: Id, /, *, as_of: reading.AsOf = None, consulting: Consulting = CONSULTING) -> None:
    """Show an offence as it stands, or as it stood."""
    reading.show_record(offence, KIND, as_of, consulting)


add_list(app, KIND)
app.command(party_app)
app.command(penalty_app)
