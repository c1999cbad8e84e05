"""Keeping the promise of erasure, unasked: what was begun is finished, epochs are rotated, files are cleared.

A worker does it by the clock: once the first of those who were erased has waited for most of the day that is promised,
all of them are put beyond recall together. While nobody is erased the epoch lasts, and with it every copy of the keys.
Whatever fails is tried again; another worker or an operator may do the same.
"""

import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ledger import epochs, erasure
from ledger.erasure import Eraser
from ledger.errors import Conflict
from ledger.keyring import Keyring
from ledger.sessions import connect
from projections import forgetting

LOOK_S = 30.0
LONGEST_WAIT = timedelta(hours=20)
log = logging.getLogger(__name__)


def run(database_url: str, *, keys: Path, stop: threading.Event) -> None:
    """Keep until told to stop."""
    while not stop.wait(LOOK_S):
        try:
            keep(database_url, keys, datetime.now(UTC))
        except Conflict:
            log.info("somebody else rotates the vault")
        except Exception as error:  # noqa: BLE001  # it never gives up
            log.warning("keeping the vault waits after %s", type(error).__name__)


def keep(database_url: str, keys: Path, now: datetime) -> bool:
    """Finish erasures that were begun, and rotate when it is time; return whether it was.

    Raises:
        Conflict: another rotation is at work.
        psycopg.OperationalError: the server is gone.
    """
    with connect(database_url) as session:
        is_unfinished = bool(erasure.listed(session, "erased_at IS NULL"))
        waiting = erasure.listed(session, "erased_at <= %s AND destroyed_at IS NULL", [now - LONGEST_WAIT])
        row = session.execute("SELECT name FROM ledger.node").fetchone()
    node = row[0] if row else None
    if is_unfinished and node is not None:
        with Eraser.open(database_url, node=node, keys=keys) as eraser:
            eraser.finish()
    if not waiting and len(Keyring.open(keys).epochs()) == 1:  # several: a rotation was begun and not ended
        return False
    done = epochs.rotate(database_url, keys)
    log.info("the vault is in epoch %s: %s keys wrapped anew in %.1f s", done.epoch, done.rewrapped, done.seconds)
    for sentence in forgetting.clear(database_url).left:
        log.warning("%s", sentence)
    return True
