"""`ncen loss …`: acknowledge that a part of the history was lost, so that the ledger goes on from what is left.

It is said after a restore to an earlier position, by an administrator and with a reason. Nothing is hidden by it: what
was signed stays beside the ledger, the faults stay on record, and peers cosign again only when they accept it.
"""

import base64
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from cli import output, show
from cli.output import Misused, NotFound, VerificationFailed
from cli.verify import proving

if TYPE_CHECKING:
    from cli.settings import Settings
    from ledger.loss import Acknowledged

MOST_REASON = 400

app = App(name="loss", help="Acknowledge that a part of the history was lost, and list the losses.")


@app.command
def acknowledge(*, reason: Annotated[str, Parameter(help="Why it was lost, in a sentence without names.")]) -> None:
    """Acknowledge that what was signed beyond the last checkpoint that still fits was lost; peers are asked to agree.

    The ledger's key is replaced with it: copy the keys folder again.
    """
    from exchange import feed_epoch
    from ledger import loss
    from ledger.errors import Conflict
    from ledger.errors import NotFound as NothingLost

    said = " ".join(reason.split())
    if not 0 < len(said) <= MOST_REASON:
        raise Misused(f"Say why, in at most {MOST_REASON} characters: it stays on record.")
    with proving() as (connection, prover, settings):
        if prover is None:
            raise NotFound("This node has no keys yet: `ncen up` makes them.")
        try:
            closed = bool(feed_epoch.closed(connection))
            by = _actor(settings)
            loss.acknowledge(connection, prover, settings.keys, reason=said, by=by, is_told_by_peers=closed)
        except NothingLost as error:
            raise NotFound(str(error)) from None
        except Conflict as error:
            raise VerificationFailed(str(error)) from None
    output.say("Copy the keys folder again. Each peer goes on when its administrator says `ncen peer accept-loss`.")
    list_()


@app.command(name="list")
def list_() -> None:
    """List the losses that were acknowledged: what was signed last, what was kept, why, by whom and when."""
    from ledger import loss

    with proving() as (connection, prover, _):
        found = loss.listed(connection, None if prover is None else prover.keys)
    rows = [(one.serial, one.kept_size, one.size, show.when(one.at), one.by, one.reason) for one in found]
    columns = ("statement>", "kept to>", "signed to>", "acknowledged", "by", "reason")
    output.show(
        {"losses": [_data(one) for one in found]}, output.table("", columns, rows) if rows else "No loss is on record."
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


def _actor(settings: "Settings") -> str:
    """Who acknowledges: whoever is signed in, or at an open node whoever is named."""
    from cli.signing import signing

    user = signing.caller.user if signing.caller is not None else output.manner.user or settings.user
    if user is None:
        raise Misused("Say who acts: --as USER, or set NCEN_USER. A loss is not acknowledged without a name.")
    return user
