"""Sealing by hand: all that is recorded, also when something else on the server holds numbering back for a moment."""

import time

from ledger.sealer import seal_once
from ledger.sessions import Session

PATIENCE_S = 10.0
_UNSEALED = "SELECT (SELECT count(*) FROM ledger.entry) - (SELECT size FROM ledger.seal_state)"


def seal_all(session: Session) -> None:
    """Seal until nothing is left, or for some seconds.

    An entry is numbered once no older transaction is left anywhere on the server, autovacuum of another database
    included: to seal once is not always to seal all.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        while seal_once(session):
            pass
        left = session.execute(_UNSEALED).fetchone()
        if left is None or left[0] <= 0 or time.monotonic() > deadline:
            return
        time.sleep(0.01)
