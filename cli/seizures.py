"""`ncen seizure …`: record, complete, correct, submit, validate, return, cancel, show and list seizures.

Each verb makes one command and asks the ledger; what the rules refuse is told in their own words. The five facts of a
seizure are flags that can be typed in a minute; whatever a person can type, a JSON file can hold.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import App, Group, Parameter

from cli import asking, reading, typed
from cli.acting import ACTING, Acting, act, record_id_of
from cli.consulting import CONSULTING, Consulting
from cli.output import Misused
from cli.parties import PartyText, part, parties
from cli.search import add_list
from domain.attribution import Role
from domain.codes import Concealment, ConveyanceKind, Detection, Direction, Reason, SeizureKind
from domain.event import Command
from domain.goods import Goods
from domain.seizure import (
    AddGoods,
    CancelSeizure,
    CorrectGoods,
    CorrectSeizure,
    Document,
    NameParty,
    NoteDocuments,
    NotePlates,
    Plate,
    RecordSeizure,
    ReturnSeizure,
    SubmitSeizure,
    ValidateSeizure,
    WithdrawGoods,
    WithdrawParty,
    WriteNarrative,
)

if TYPE_CHECKING:
    from ledger.ledger import Ledger

KIND = "seizure"
FACTS = Group("The seizure", sort_key=1)
FLAGS = {"occurred_on": "--on", "plates": "--plate", "documents": "--document", "parties": "--party"} | {
    name: f"--{name}"
    for name in ("kind", "office", "place", "goods", "direction", "detection", "concealment", "conveyance", "route")
}
CLEARABLE = ("direction", "detection", "concealment", "conveyance", "route")

app = App(name="seizure", help="Record seizures, correct them, and carry them to validation.")
goods_app = App(name="goods", help="Add, correct or withdraw a line of goods.")
party_app = App(name="party", help="Say who had a part in a seizure.")

Id = Annotated[UUID, Parameter(name="ID", help="The id of the seizure.")]
Remark = Annotated[str | None, Parameter(help="Words on the change; they are kept as personal.")]
ReasonGiven = Annotated[Reason, Parameter(help="Why it is changed.")]


@Parameter(name="*", group=FACTS)
@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """Where, when and how; each may be left out."""

    kind: SeizureKind | None = None
    """What became of the goods: a seizure when nothing is said."""
    office: str | None = None
    """The customs office, as a code."""
    place: str | None = None
    """A country (CO), UN/LOCODE (COBOG) or subdivision (CO-DC), or several in quotes."""
    on: date | None = None
    """The day it happened, as 2024-05-31."""
    direction: Direction | None = None
    """The way the goods moved."""
    detection: Detection | None = None
    """How they were found."""
    concealment: Concealment | None = None
    """Where they were hidden."""
    conveyance: ConveyanceKind | None = None
    """The means of transport."""
    route: list[str] | None = None
    """Countries in order, as CO,PA,NL."""

    def told(self) -> dict[str, object]:
        """What was told, as the fields of a command."""
        return asking.given(
            kind=self.kind,
            office=self.office and self.office.upper(),
            place=self.place and typed.place(self.place),
            occurred_on=self.on,
            direction=self.direction,
            detection=self.detection,
            concealment=self.concealment,
            conveyance=self.conveyance,
            route=typed.countries(self.route) if self.route else None,
        )


NOTHING_TOLD = Circumstances()


@app.command
def record(  # noqa: PLR0913  # one flag for each fact
    *,
    goods: Annotated[list[str] | None, Parameter(group=FACTS)] = None,
    circumstances: Circumstances = NOTHING_TOLD,
    narrative: Annotated[str | None, Parameter(group=FACTS)] = None,
    party: Annotated[list[str] | None, Parameter(group=FACTS)] = None,
    plate: Annotated[list[str] | None, Parameter(group=FACTS)] = None,
    document: Annotated[list[str] | None, Parameter(group=FACTS)] = None,
    json_file: asking.File = None,
    record_id: Annotated[UUID | None, Parameter(name="--id")] = None,
    acting: Acting = ACTING,
) -> None:
    """Record a seizure and print its id: --office, --place, --on and --goods are enough, the rest can follow.

    Args:
        goods: A line of goods, as "section=drugs,substance=cocaine,quantity=2.5 kg,origin=CO". Repeatable.
            Parts: section, hs, substance, description, origin, quantity, value, outcome.
        narrative: The account in words; kept as personal.
        party: Who had a part, as ID:ROLE or ID:ROLE:CATEGORY. Repeatable.
        plate: A registration number, as NUMBER or NUMBER:COUNTRY. Repeatable.
        document: A document, as KIND:NUMBER or KIND:NUMBER:COUNTRY. Repeatable.
        json_file: The whole command as JSON, in a file or (-) on standard input, instead of the flags above.
        record_id: The id that the seizure is to have; a new one when nothing is said.
    """
    facts = circumstances.told()
    lists = {"goods": goods, "parties": party, "plates": plate, "documents": document}
    flags = {FLAGS.get(name, f"--{name}"): value for name, value in (facts | lists | {"narrative": narrative}).items()}
    if asking.is_asked_whole(json_file, flags):
        whole = asking.from_file(str(json_file), RecordSeizure)
        act(record_id_of(acting, record_id), whole, acting, prints_id=True)
        return
    asking.require({f"--{name}": flags.get(f"--{name}") for name in ("office", "place", "on", "goods")})
    told = facts | asking.given(
        goods=[typed.goods(text) for text in goods or ()],
        narrative=narrative,
        plates=[typed.plate(text) for text in plate or ()],
        documents=[typed.document(text) for text in document or ()],
    )
    asking.from_flags(told, RecordSeizure, FLAGS)  # before a server is asked for anything
    act(
        record_id_of(acting, record_id),
        lambda ledger: asking.from_flags(told | {"parties": parties(ledger, party or ())}, RecordSeizure, FLAGS),
        acting,
        prints_id=True,
    )


@app.command
def correct(  # noqa: PLR0913  # one flag for each fact
    seizure: Id,
    /,
    *,
    reason: ReasonGiven,
    circumstances: Circumstances = NOTHING_TOLD,
    clear: Annotated[list[str] | None, Parameter(group=FACTS)] = None,
    remark: Remark = None,
    acting: Acting = ACTING,
) -> None:
    """Correct the circumstances of a seizure: only what is given changes. For goods: `seizure goods correct`.

    Args:
        clear: What is to be taken back: direction, detection, concealment, conveyance or route. Repeatable.
    """
    told = circumstances.told()
    for name in clear or ():
        if name not in CLEARABLE:
            raise Misused(f"--clear takes back one of {', '.join(CLEARABLE)}.")
        told[name] = () if name == "route" else None
    if not told:
        raise Misused("Say what is to be corrected, such as --office or --place.")
    command = asking.from_flags(told | {"reason": reason} | asking.given(remark=remark), CorrectSeizure, FLAGS)
    act(seizure, command, acting)


@app.command
def submit(seizure: Id, /, *, acting: Acting = ACTING) -> None:
    """Put a seizure forward for validation."""
    act(seizure, SubmitSeizure(), acting)


@app.command
def validate(seizure: Id, /, *, acting: Acting = ACTING) -> None:
    """Declare a submitted seizure correct; somebody else than those who recorded it does so."""
    act(seizure, ValidateSeizure(), acting, role=Role.SUPERVISOR)


@app.command(name="return")
def return_(seizure: Id, /, *, reason: ReasonGiven, acting: Acting = ACTING) -> None:
    """Hand a submitted seizure back for completion."""
    act(seizure, ReturnSeizure(reason=reason), acting, role=Role.SUPERVISOR)


@app.command
def cancel(seizure: Id, /, *, reason: ReasonGiven, remark: Remark = None, acting: Acting = ACTING) -> None:
    """Declare a seizure void; it stays on record, with its history."""
    told = {"reason": reason} | asking.given(remark=remark)
    act(seizure, asking.from_flags(told, CancelSeizure), acting)


@app.command
def show(seizure: Id, /, *, as_of: reading.AsOf = None, consulting: Consulting = CONSULTING) -> None:
    """Show a seizure as it stands, or as it stood."""
    reading.show_record(seizure, KIND, as_of, consulting)


@goods_app.command(name="add")
def add_goods(
    seizure: Id,
    goods: str,
    /,
    *,
    reason: ReasonGiven = Reason.INCOMPLETE,
    acting: Acting = ACTING,
) -> None:
    """Add a line of goods to a seizure.

    Args:
        goods: The line, as "section=tobacco,quantity=200 cigarettes".
    """
    told = {"goods": typed.goods(goods), "reason": reason}
    act(seizure, asking.from_flags(told, AddGoods), acting)


@goods_app.command(name="correct")
def correct_goods(  # noqa: PLR0913  # one flag for each fact
    seizure: Id,
    line: int,
    goods: str,
    /,
    *,
    reason: ReasonGiven,
    remark: Remark = None,
    acting: Acting = ACTING,
) -> None:
    """Correct a line of goods: only the parts that are given change, and an empty part ("origin=") is taken back.

    Args:
        line: The number of the line, as `seizure show` gives it.
        goods: What it turned out to be, as "quantity=2.4 kg laboratory".
    """
    changes = typed.goods(goods)

    def command(ledger: "Ledger") -> Command:
        state = ledger.state(seizure, KIND)
        stood = state.line(line) if state is not None else None
        if stood is None:  # the rules say what is wrong
            stood = Goods(section=asking.from_flags({"section": "other"} | changes, Goods).section)
        kept = {name: getattr(stood, name) for name in Goods.__struct_fields__} | changes
        told = {"line": line, "goods": kept, "reason": reason} | asking.given(remark=remark)
        return asking.from_flags(told, CorrectGoods)

    act(seizure, command, acting)


@goods_app.command(name="withdraw")
def withdraw_goods(seizure: Id, line: int, /, *, reason: ReasonGiven, acting: Acting = ACTING) -> None:
    """Take a line of goods off a seizure.

    Args:
        line: The number of the line, as `seizure show` gives it.
    """
    act(seizure, WithdrawGoods(line=line, reason=reason), acting)


@app.command
def narrative(
    seizure: Id,
    text: str | None = None,
    /,
    *,
    file: asking.File = None,
    take_back: bool = False,
    acting: Acting = ACTING,
) -> None:
    """Write the account of a seizure in words, in place of the one before; it is kept as personal.

    Args:
        text: The account.
        file: A file that holds it, or - for standard input, so that it stays out of the shell's own history.
        take_back: Take the account back instead.
    """
    told = asking.words(text, file, take_back=take_back)
    act(seizure, asking.from_flags({"text": told}, WriteNarrative), acting)


@party_app.command(name="add")
def add_party(seizure: Id, party: PartyText, /, *, acting: Acting = ACTING) -> None:
    """Say that a person or business had a part in a seizure."""
    act(seizure, lambda ledger: NameParty(party=parties(ledger, (party,))[0]), acting)


@party_app.command(name="withdraw")
def withdraw_party(seizure: Id, party: PartyText, /, *, reason: ReasonGiven, acting: Acting = ACTING) -> None:
    """Take back that a person or business had a part in a seizure."""
    told = part(party)
    act(seizure, WithdrawParty(party=told.party, role=told.role, reason=reason), acting)


@app.command
def plate(seizure: Id, plates: list[str] | None = None, /, *, replace: bool = False, acting: Acting = ACTING) -> None:
    """Note registration numbers, as NUMBER or NUMBER:COUNTRY, with those noted before.

    Args:
        plates: The numbers, as they were read.
        replace: In place of those noted before; without any number: take them all back.
    """
    told = [asking.from_flags(typed.plate(text), Plate, {"number": "PLATES"}) for text in plates or ()]
    _require_some(told, replace=replace)

    def command(ledger: "Ledger") -> Command:
        state = None if replace else ledger.state(seizure, KIND)
        return NotePlates(plates=tuple(dict.fromkeys((*(state.plates if state else ()), *told))))

    act(seizure, command, acting)


@app.command
def document(
    seizure: Id, documents: list[str] | None = None, /, *, replace: bool = False, acting: Acting = ACTING
) -> None:
    """Note documents, as KIND:NUMBER or KIND:NUMBER:COUNTRY, with those noted before.

    Args:
        documents: The documents, as they were read, such as passport:AB123456:PT.
        replace: In place of those noted before; without any document: take them all back.
    """
    told = [asking.from_flags(typed.document(text), Document, {"kind": "KIND"}) for text in documents or ()]
    _require_some(told, replace=replace)

    def command(ledger: "Ledger") -> Command:
        state = None if replace else ledger.state(seizure, KIND)
        return NoteDocuments(documents=tuple(dict.fromkeys((*(state.documents if state else ()), *told))))

    act(seizure, command, acting)


def _require_some(told: list[Plate] | list[Document], *, replace: bool) -> None:
    if not told and not replace:
        raise Misused("Say what is to be noted; --replace without anything takes back what was noted before.")


add_list(app, KIND)
app.command(goods_app)
app.command(party_app)
