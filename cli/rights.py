"""`ncen person|business erase`, `restrict`, `hold` and `release`: what the law asks for the subjects on record.

Erasing destroys the keys under which a subject is told of, in every record, and prints the certificate. A hold forbids
it; a restriction leaves the subject out of search and exchange. Each is on record for ever, with its grounds and who
did it, and none of them says who it was.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from cyclopts import App, Parameter

from cli import output, show
from cli.acting import ACTING, Acting, act
from cli.signing import require_command
from domain import business, person
from domain.attribution import Purpose, Role
from domain.event import Command
from domain.rights import ErasureGrounds, HoldGrounds, RestrictionGrounds

if TYPE_CHECKING:
    from ledger.certificates import Kind
    from ledger.erasure import Erasure

SHIELD = Role.DATA_PROTECTION_OFFICER
Id = Annotated[UUID, Parameter(name="ID", help="The id of the record.")]
What = Literal["restriction", "hold"]

RESTRICT: dict[str, Callable[..., Command]] = {"person": person.RestrictPerson, "business": business.RestrictBusiness}
HOLD: dict[str, Callable[..., Command]] = {"person": person.HoldPerson, "business": business.HoldBusiness}
ERASE: dict[str, Callable[..., Command]] = {"person": person.ErasePerson, "business": business.EraseBusiness}
RELEASE: dict[tuple[str, What], Callable[..., Command]] = {
    ("person", "restriction"): person.LiftRestrictionOfPerson,
    ("business", "restriction"): business.LiftRestrictionOfBusiness,
    ("person", "hold"): person.ReleaseHoldOfPerson,
    ("business", "hold"): business.ReleaseHoldOfBusiness,
}


def add_rights(app: App, kind: "Kind") -> None:
    """Give a kind of record the verbs `erase`, `restrict`, `hold` and `release`."""

    def restrict(record: Id, /, *, grounds: RestrictionGrounds, acting: Acting = ACTING) -> None:
        """Leave it out of search and exchange, though it is kept (Directive (EU) 2016/680, article 16(3)).

        Args:
            grounds: Why.
        """
        _act(record, RESTRICT[kind](grounds=grounds), acting)

    def hold(record: Id, /, *, grounds: HoldGrounds, acting: Acting = ACTING) -> None:
        """Keep it from being erased, until it is released.

        Args:
            grounds: Why.
        """
        _act(record, HOLD[kind](grounds=grounds), acting)

    def release(record: Id, /, *, what: Annotated[What, Parameter(name="--from")], acting: Acting = ACTING) -> None:
        """End a restriction or a hold.

        Args:
            what: Which of them.
        """
        _act(record, RELEASE[kind, what](), acting)

    def erase(record: Id, /, *, grounds: ErasureGrounds, acting: Acting = ACTING) -> None:
        """Erase it from every record, and print the certificate; refused while it is on hold.

        Args:
            grounds: Why (Directive (EU) 2016/680, article 16).
        """
        _erase(record, kind, grounds, acting)

    for verb in (erase, restrict, hold, release):
        app.command(verb)


def _act(record: UUID, command: Command, acting: Acting) -> None:
    act(record, command, acting, role=SHIELD, purpose=Purpose.ADMINISTRATION)


def _erase(record: UUID, kind: "Kind", grounds: ErasureGrounds, acting: Acting) -> None:
    from cli.settings import load
    from cli.supervisor import database_url
    from domain.refused import Refused
    from ledger import refused_erasures
    from ledger.erasure import Eraser
    from ledger.ledger import Ledger
    from ledger.sessions import connect

    settings = load()
    url = database_url(settings)
    by = acting.attribution(settings, role=SHIELD, purpose=Purpose.ADMINISTRATION)
    require_command(by.role, ERASE[kind](grounds=grounds))
    erasure_id = acting.command_id or Ledger.new_id()
    with Eraser.open(url, node=settings.node, keys=settings.keys) as eraser:
        try:
            done = eraser.erase(record, kind, grounds, by, erasure_id=erasure_id)
        except Refused:
            with connect(url) as session:
                refused_erasures.note(session, erasure_id, record, grounds, by)
            raise
    if not _is_forgotten(url, done, acting.wait):
        output.say("It is erased. `list` and `search` may show it for a moment yet: `ncen status` tells why.")
    output.show(told(done), *lines(done))


def _is_forgotten(url: str, done: "Erasure", wait_s: float) -> bool:
    """Wait until projections have forgotten it too."""
    from projections.forgetting import is_forgotten

    deadline = time.monotonic() + wait_s
    while not (is_done := is_forgotten(url, [done])) and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_done


def told(done: "Erasure") -> dict[str, Any]:
    """An erasure as JSON: the certificate, and its signed form."""
    from ledger import certificates

    certificate = certificates.told(done.certificate) if done.certificate else None
    return {
        "id": str(done.subject),
        "erasure": str(done.erasure_id),
        "certificate": show.plain(certificate),
        "signed": done.certificate,
        "destroyed_at": show.plain(done.destroyed_at),
    }


def lines(done: "Erasure") -> list[str]:
    """An erasure for people: what was done, and the signed certificate."""
    from ledger import certificates

    if done.certificate is None:
        return [f"The erasure of {done.subject} was asked and is not finished."]
    said = certificates.told(done.certificate)
    counted = f"{len(said.keys)} keys in {said.records} records"
    return [
        f"Erased {said.kind} {said.subject} at {show.when(said.erased_at)} ({said.grounds.value}).",
        f"Destroyed were {counted}; {said.entries} entries can no longer be read here.",
        f"By {show.when(said.promised_by)} no copy of these keys opens any more, in a backup or log either.",
        "",
        done.certificate,
    ]
