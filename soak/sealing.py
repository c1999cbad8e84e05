"""Sealing by hand: all that is recorded, also when something else on the server holds numbering back for a moment.

An entry is numbered once no older transaction is left anywhere on the server, autovacuum of another database included:
to seal once is not always to seal all.
"""

from cli.processes import until
from ledger.sealer import seal_once
from ledger.sessions import Session

PATIENCE_S = 10.0
_UNSEALED = """
    SELECT EXISTS (SELECT FROM ledger.entry e WHERE NOT EXISTS
        (SELECT FROM ledger.sealed s WHERE s.record_id = e.record_id AND s.version = e.version))
"""


def seal_all(session: Session, *, wait_s: float = PATIENCE_S) -> bool:
    """Seal until nothing is left; False where something is after so many seconds."""

    def is_sealed() -> bool:
        while seal_once(session):
            pass
        return session.execute(_UNSEALED).fetchone() == (False,)

    return until(is_sealed, wait_s=wait_s)
