"""Who acts, and how an act is carried out: asked of the ledger, waited for, and told.

No command is accepted without an actor, a role, a purpose and a legal basis. The actor is named for each call (`--as`,
`NCEN_USER`) and never guessed; role, purpose and legal basis have defaults, which ncen.toml, the environment and flags
replace in this order. An answer is given when the entry is fsynced; then it waits, for a bounded time, until search
shows it too, and says so when it does not.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec
from cyclopts import Group, Parameter

from cli import output
from cli.consulting import require_sight, version_seen
from cli.output import Misused, NotAllowed, NotFound
from cli.signing import require_command, signing
from domain import forms
from domain.attribution import Attribution, Purpose, Role
from domain.event import Command
from domain.refused import Refused

if TYPE_CHECKING:
    from cli.settings import Settings
    from domain.entry import Entry
    from ledger.ledger import Ledger, Recorded

WHO = Group("Who acts, and why", sort_key=90)
WAIT_S = 1.0


@Parameter(name="*", group=WHO)
@dataclass(frozen=True, kw_only=True, slots=True)
class Acting:
    """In which role, for what purpose and on what legal basis somebody acts; and how the act is made repeatable."""

    role: Annotated[Role | None, Parameter(show_choices=False)] = None
    """The capacity in which you act: officer unless the verb says otherwise (or NCEN_ACTING_ROLE)."""
    purpose: Annotated[Purpose | None, Parameter(show_choices=False)] = None
    """What it is done for: detection unless the verb says otherwise (or NCEN_PURPOSE)."""
    legal_basis: str | None = None
    """The statute it is done on, as a code (or NCEN_LEGAL_BASIS); COUNTRY:CUSTOMS-ACT when nothing is said."""
    command_id: UUID | None = None
    """Makes the call repeatable: a second call with the same id gives the same answer and writes nothing."""
    wait: float = WAIT_S
    """At most so many seconds to wait until `list` and `search` show what was written; 0 waits for nothing."""

    def attribution(self, settings: "Settings", *, role: Role, purpose: Purpose) -> Attribution:
        """Who acts in this call; `role` and `purpose` are the verb's own, where nobody says otherwise.

        Raises:
            Misused: nobody has said who acts, or what was said is no staff identifier or statute.
        """
        if signing.caller is not None:
            return self._of_caller(settings, signing.role(self.role or settings.acting_role, role), purpose)
        user = output.manner.user or settings.user
        if user is None:
            raise Misused("Say who acts: --as USER, or set NCEN_USER. Nothing is recorded without a name to answer it.")
        return self._told(settings, user, self.role or settings.acting_role or role, purpose)

    def _of_caller(self, settings: "Settings", role: Role, purpose: Purpose) -> Attribution:
        assert signing.caller is not None  # noqa: S101  # narrows the type; asked by the caller
        return self._told(settings, signing.caller.user, role, purpose)

    def _told(self, settings: "Settings", user: str, role: Role, purpose: Purpose) -> Attribution:
        told = {
            "actor": user,
            "role": role,
            "purpose": self.purpose or settings.purpose or purpose,
            "legal_basis": self.legal_basis or settings.legal_basis or f"{settings.node[:2]}:CUSTOMS-ACT",
        }
        try:
            return forms.convert(told, Attribution)
        except msgspec.ValidationError as error:
            from cli.asking import sentence

            flags = {"actor": "--as", "legal_basis": "--legal-basis", "role": "--role", "purpose": "--purpose"}
            raise Misused(sentence(str(error), Attribution, flags)) from None


ACTING = Acting()


@contextmanager
def opened() -> Iterator[tuple["Ledger", "Settings"]]:
    """This node's ledger and settings, for one verb."""
    from cli.settings import load
    from cli.supervisor import database_url
    from ledger.ledger import Ledger

    settings = load()
    with Ledger.open(database_url(settings), node=settings.node, keys=settings.keys, connections=1) as ledger:
        yield ledger, settings


def record_id_of(acting: Acting, asked: UUID | None) -> UUID:
    """The id of a record to be made: as asked, or that of the command, so that repeating it finds the same record."""
    from ledger.ledger import Ledger

    return asked or acting.command_id or Ledger.new_id()


def act(  # noqa: PLR0913  # each says one thing about the act
    record_id: UUID,
    command: Command | Callable[["Ledger"], Command],
    acting: Acting,
    *,
    role: Role = Role.OFFICER,
    purpose: Purpose = Purpose.DETECTION,
    prints_id: bool = False,
) -> None:
    """Ask the ledger to carry out a command (or one that is made from what stands on record), and tell the answer.

    Raises:
        Misused: nobody has said who acts.
        NotFound: the record is not there (and the command does not make it).
        Refused: a rule said no.
    """
    with opened() as (ledger, settings):
        by = acting.attribution(settings, role=role, purpose=purpose)
        asked = command if isinstance(command, Command) else command(ledger)
        require_command(by.role, asked)
        if not prints_id:
            require_record(ledger, record_id)
        elif ledger.entries(record_id):
            _require_own(record_id)
        recorded = ledger.execute(record_id, asked, by, command_id=acting.command_id)
        position = _wait(ledger, settings, recorded, acting.wait)
        version = version_seen(recorded.version, lambda: ledger.entries(record_id))
    tell(recorded, version, position, prints_id=prints_id)


def require_record(ledger: "Ledger", record_id: UUID, kind: str | None = None) -> "list[Entry]":
    """The entries of a record that must be there, and of this kind.

    Raises:
        NotFound: it is not.
    """
    entries = ledger.entries(record_id)
    if not entries:
        raise NotFound(f"There is no {kind or 'record'} with the id {record_id}.")
    require_sight(record_id, kind)
    if kind is not None and entries[0].kind != kind:
        raise NotFound(f"There is no {kind} with the id {record_id}: it is the id of a {entries[0].kind}.")
    return entries


def _require_own(record_id: UUID) -> None:
    """Refuse to add to a record that is there already, for a caller who does not see it whole.

    Raises:
        Refused: they do not; no more is said of it than that the id is of no use.
    """
    try:
        require_sight(record_id, None)
    except (NotFound, NotAllowed):
        raise Refused(f"The id {record_id} cannot be used: leave --id out, and a new one is made.") from None


def _wait(ledger: "Ledger", settings: "Settings", recorded: "Recorded", wait_s: float) -> int | None:
    """Wait until what was written is sealed and shown; the position, or None (with a note) when it takes longer."""
    if wait_s <= 0 or not recorded.entries:
        return None
    from cli.reading import shown_in_time

    position = shown_in_time(ledger, settings, recorded.record_id, recorded.version, wait_s)
    if position is None:
        output.say("It is recorded. `list`, `search` and `stats` do not show it yet: `ncen status` tells why.")
    return position


def tell(recorded: "Recorded", version: int, position: int | None, *, prints_id: bool) -> None:
    """Print what was recorded: the id alone for a new record (so that a script can keep it), else what happened.

    `version` is that of the record as the caller sees it, who may not know of all its entries.
    """
    data = {
        "id": str(recorded.record_id),
        "version": version,
        "position": position,
        "events": [entry.name for entry in recorded.entries],
        "repeated": recorded.is_repeated,
    }
    if prints_id:
        output.show(data, str(recorded.record_id))
        return
    happened = [happened_in(entry) for entry in recorded.entries]
    if recorded.is_repeated:
        happened.append("This was recorded before, by the same command; nothing was written again.")
    output.show(data, *(happened or ["Nothing to do: it stands on record like this."]))


def happened_in(entry: "Entry") -> str:
    """What happened, in the sentence of its event."""
    return sentence_of(entry.name)


def sentence_of(name: str) -> str:
    """What an event of this wire name says happened; what follows a semicolon is for who writes the events."""
    from domain.records import EVENTS

    event = EVENTS.get(name)
    told = inspect.getdoc(event) if event is not None else None
    if not told:
        return name
    first = told.partition("\n")[0]
    return f"{first.partition(';')[0].rstrip('.')}."
