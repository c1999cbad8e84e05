"""Keeping the promise of erasure, unasked: what was begun is finished, epochs are rotated, files are cleared.

A worker does it by the clock: once the first of those who were erased has waited for most of the day that is promised,
all of them are put beyond recall together. While nobody is erased the epoch lasts, and with it every copy of the keys.
Whatever fails is tried again; another worker or an operator may do the same.
"""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ledger import epochs, erasure
from ledger.erasure import Eraser
from ledger.errors import Conflict
from ledger.keyring import Keyring
from ledger.sessions import connect
from projections import forgetting

LOOK_S = 30.0
CLEAR_AGAIN_S = 300.0
"""How long after tables were in use for too long to be written anew they are tried again."""
LONGEST_WAIT = timedelta(hours=20)
log = logging.getLogger(__name__)


def run(database_url: str, *, keys: Path, stop: threading.Event) -> None:
    """Keep until told to stop."""
    clear_at = 0.0
    while not stop.wait(LOOK_S):
        try:
            keep(database_url, keys, datetime.now(UTC))
            if time.monotonic() >= clear_at:
                clear_at = time.monotonic() + CLEAR_AGAIN_S
                clear_left(database_url)
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
    _clear(database_url)
    return True


def clear_left(database_url: str) -> bool:
    """Clear the files again where that did not succeed with the rotation; return whether anything is still left.

    Raises:
        psycopg.OperationalError: the server is gone.
    """
    with connect(database_url) as session:
        is_left = bool(erasure.listed(session, "destroyed_at IS NOT NULL AND cleared_at IS NULL"))
    return is_left and _clear(database_url)


def _clear(database_url: str) -> bool:
    left = forgetting.clear(database_url).left
    for sentence in left:
        log.warning("%s", sentence)
    return bool(left)
