"""Bugs that we planted in erasing among nodes, as `mutants` does in the rest."""

from collections.abc import Sequence
from datetime import datetime

from exchange import erasing, relay
from exchange.relay import Relay
from ledger import erasure
from ledger.erasure import Eraser
from ledger.received import Received
from ledger.sessions import Session
from ledger.vault import Vault
from tests.simulation import exchanging, telling_erased
from tests.simulation.mutant import Mutant, changed
from tests.simulation.seams import Exchanged, exchanged

_take = erasing.take


def confirm_first(connection: Session, vault: Vault, received: Sequence[Received], now: datetime) -> None:
    """Sign for it in the transaction that records the notice, and leave the erasing to later."""
    with exchanged(Exchanged(erasure, "destroy", lambda *_: [])):
        _take(connection, vault, received, now)


def hand_in_once(connection: Session, origin: str) -> tuple[str, ...]:
    """Hand confirmations in, and take them for stored."""
    notes = _confirmations(connection, origin)
    if notes:
        erasing.stored(connection, origin, notes, datetime.fromisoformat("2026-03-01T08:00:00+00:00"))
    return notes


_confirmations = erasing.confirmations

MUTANTS = (
    Mutant(
        name="confirmed before it is erased",
        run=telling_erased.run,
        changes=(Exchanged(erasing, "take", confirm_first),),
        within=20,
    ),
    Mutant(
        name="a confirmation is not repeated after it was lost",
        run=telling_erased.run,
        changes=(Exchanged(erasing, "confirmations", hand_in_once),),
        within=50,
    ),
    Mutant(
        name="a restored recipient is not told again",
        run=telling_erased.run,
        changes=(
            changed(
                Relay, "_take", ("told.wants_again:", "told.wants_again and self._plan().receipted <= told.number:")
            ),
        ),
        within=50,
        first=80,
    ),
    Mutant(
        name="lines of the erased keep their keys",
        run=telling_erased.run,
        changes=(changed(erasing, "withdraw", ("in lines:", "in []:")),),
        within=50,
    ),
    Mutant(
        name="whom only a case names is erased without a notice",
        run=telling_erased.run,
        changes=(Exchanged(Eraser, "_named_only", lambda *_: set()),),
        within=100,
    ),
    Mutant(
        name="who was told of a case that was cancelled since is not told",
        run=telling_erased.run,
        changes=(Exchanged(erasing, "was_told", lambda *_: False),),
        within=200,
    ),
    Mutant(
        name="a notice that was lost with the stream is not sent again",
        run=telling_erased.run,
        changes=(changed(Relay, "_step", ("after=delivered, generation", "after=plan.number, generation")),),
        within=50,
    ),
    Mutant(
        name="a line that is held back is sent whole, before its premise is in force again",
        run=exchanging.run,
        changes=(changed(relay, "_message", ("held is not None", "False")),),
        within=100,
    ),
    Mutant(
        name="lines in quarantine keep their keys",
        run=telling_erased.run,
        changes=(Exchanged(erasing, "drop_quarantined", lambda *_: None),),
        within=20,
        first=3_140,
    ),
)
