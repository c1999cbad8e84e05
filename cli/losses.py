"""`ncen loss …`: acknowledge that a part of the history was lost, so that the ledger goes on from what is left.

It is said after a restore to an earlier position, by an administrator and with a reason, and holds for the ledger and
for the processing log that came back with it. Nothing is hidden by it: what was signed stays, the faults stay on
record, and peers cosign again only when they accept it.
"""

import base64
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from cli import output, show
from cli.acting import ACTING, Acting, opened
from cli.output import Misused, NotFound, VerificationFailed
from cli.settings import load
from cli.signing import require_command
from cli.verify import proving
from domain.attribution import Attribution, Purpose, Role
from domain.loss import KIND, AcknowledgeLoss, LossCause, record_id_of

if TYPE_CHECKING:
    from access.log_prover import LogProver
    from cli.settings import Settings
    from ledger.loss import Acknowledged
    from ledger.sessions import Session

MOST_REASON = 400

app = App(name="loss", help="Acknowledge that a part of the history was lost, and list the losses.")


@app.command
def acknowledge(
    *,
    reason: Annotated[str, Parameter(help="Why it was lost, in a sentence without names.")],
    cause: Annotated[LossCause, Parameter(help="Why, as a code that stands in the ledger.")] = LossCause.NOT_KNOWN,
    acting: Acting = ACTING,
) -> None:
    """Acknowledge that what was signed beyond the last checkpoint that still fits was lost; peers are asked to agree.

    It is an entry of the ledger, and the ledger's key is replaced with it: copy the keys folder again. To be repeated
    when it was interrupted.
    """
    said = " ".join(reason.split())
    if not 0 < len(said) <= MOST_REASON:
        raise Misused(f"Say why, in at most {MOST_REASON} characters: it stays on record.")
    by = acting.attribution(load(), role=Role.ADMINISTRATOR, purpose=Purpose.ADMINISTRATION)
    require_command(by.role, AcknowledgeLoss(statement=1, kept=0, lost=1, cause=cause))
    problem = _state(said, by)
    if not _put_on_record(cause, by) and problem is not None:
        raise problem
    output.say("Copy the keys folder again. Each peer goes on when its administrator says `ncen peer accept-loss`.")
    list_()


def _state(said: str, by: Attribution) -> NotFound | None:
    """State the loss; what nothing was lost means is told to the caller, who may have been interrupted before."""
    from exchange import feed_epoch
    from ledger import loss
    from ledger.errors import Conflict
    from ledger.errors import NotFound as NothingLost

    with proving() as (connection, prover, settings):
        if prover is None:
            raise NotFound("This node has no keys yet: `ncen up` makes them.")
        problem: NotFound | None = None
        closed = bool(feed_epoch.closed(connection))
        try:
            loss.acknowledge(connection, prover, settings.keys, reason=said, by=by.actor, is_told_by_peers=closed)
        except NothingLost as error:
            problem = NotFound(str(error))
        except Conflict as error:
            raise VerificationFailed(str(error)) from None
        if _acknowledge_of_log(connection, settings, said, by.actor):
            problem = None
    return problem


def _put_on_record(cause: LossCause, by: Attribution) -> int:
    """Record in the ledger what was stated and is not on record there; how many that were."""
    from ledger import loss

    with proving() as (connection, prover, _):
        stated = loss.listed(connection, None if prover is None else prover.keys)
    count = 0
    with opened() as (ledger, settings):
        for one in stated:
            record_id = record_id_of(settings.node, one.serial)
            if not ledger.entries(record_id, kind=KIND):
                command = AcknowledgeLoss(statement=one.serial, kept=one.kept_size, lost=one.size, cause=cause)
                ledger.execute(record_id, command, by)
                count += 1
    return count


def _acknowledge_of_log(connection: "Session", settings: "Settings", reason: str, by: str) -> bool:
    """Acknowledge that lines of the processing log were lost; False where none were, or none is kept."""
    from access import log_losses
    from ledger.errors import Conflict
    from ledger.errors import NotFound as NothingLost

    prover = _log_prover(connection, settings)
    if prover is None:
        return False
    try:
        log_losses.acknowledge(connection, prover, settings.keys, reason=reason, by=by)
    except NothingLost:
        return False
    except Conflict as error:
        raise VerificationFailed(str(error)) from None
    return True


def _log_prover(connection: "Session", settings: "Settings") -> "LogProver | None":
    """What signs the processing log's heads; None on an open node, which keeps no log."""
    from access.log_prover import LogProver

    if connection.execute("SELECT to_regclass('processing.tree_state')").fetchone() == (None,):
        return None
    return LogProver.open(settings.keys, node=settings.node, folder=settings.checkpoints)


@app.command(name="list")
def list_() -> None:
    """List the losses that were acknowledged: what was signed last, what was kept, why, by whom and when."""
    from access import log_losses
    from ledger import loss

    with proving() as (connection, prover, settings):
        found = loss.listed(connection, None if prover is None else prover.keys)
        log_prover = None if prover is None else _log_prover(connection, settings)
        lines = [] if log_prover is None else log_losses.listed(connection, log_prover)
    rows: list[tuple[object, ...]] = [
        ("ledger", one.serial, one.kept_size, one.size, show.when(one.at), one.by, one.reason) for one in found
    ]
    rows += [("log", one.serial, one.kept, one.lost, show.when(one.at), one.by, one.reason) for one in lines]
    columns = ("of", "statement>", "kept to>", "signed to>", "acknowledged", "by", "reason")
    output.show(
        {"losses": [_data(one) for one in found], "processing_log": [show.plain(one) for one in lines]},
        output.table("", columns, rows) if rows else "No loss is on record.",
    )


def _data(one: "Acknowledged") -> dict[str, object]:
    kept, lost = (base64.b64encode(root).decode() for root in (one.kept_root, one.root))
    return {
        "statement": one.serial,
        "kept": {"size": one.kept_size, "root": kept},
        "lost": {"size": one.size, "root": lost},
        "acknowledged_at": show.plain(one.at),
        "by": one.by,
        "reason": one.reason,
    }
