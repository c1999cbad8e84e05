"""The processing log follows the ledger and the feeds: what was collected, altered, combined, erased and disclosed.

The ledger tells who did it and on what basis, and the decisions of the exchange tell what went to whom; both are told
again in the log exactly once, in their order, since how far it has come is committed with the lines. A worker follows
all the time, one of them for a node; a verb that reads the log follows before it answers. Only what is personal counts.
"""

import threading
import time
from pathlib import Path

import msgspec
import psycopg
import structlog

from access.log_prover import EVERY_S as LOOK_S
from access.log_prover import LogProver
from domain.entry import Entry
from ledger.reader import Reader
from ledger.sessions import Session, connect

AT_ONCE = 50
"""So many entries in a transaction: a consultation waits for its end."""
DISCLOSED_AT_ONCE = 1_000
WAKE_S = 1.0
FULL_EVERY_S = 86_400.0
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
TURN = (0x6E63656E, 0x6C)
"""The lock of the worker that follows: "ncen" and l."""
KINDS = frozenset(("seizure", "offence", "person", "business"))
SUBJECTS = frozenset(("person", "business"))

log = structlog.get_logger("access")


def follow(session: Session, reader: Reader) -> int:
    """Bring the log up to what is sealed and released now; return how many lines it grew by."""
    return _follow_ledger(session, reader) + _follow_feeds(session)


def operation_of(entry: Entry) -> str | None:
    """Which of the six operations an entry is; None where nothing personal was processed."""
    if entry.kind not in KINDS or not (entry.is_personal or entry.kind in SUBJECTS):
        return None
    what = entry.name.partition(".")[2]
    if what in {"merged", "unmerged"}:
        return "combination"
    if what == "erased":
        return "erasure"
    return "collection" if entry.provenance is not None or entry.version == 1 else "alteration"


def _follow_ledger(session: Session, reader: Reader) -> int:
    grown = 0
    while True:
        after = _followed(session, "SELECT followed FROM processing.head")
        entries = reader.read(after, AT_ONCE)  # before the head is held, so that who asks waits for less
        if not entries:
            return grown
        with session.transaction():
            if _followed(session, "SELECT followed FROM processing.head FOR UPDATE") != after:
                continue  # somebody else has told them meanwhile
            for entry in entries:
                if (operation := operation_of(entry)) is not None:
                    _tell(session, operation, entry)
                    grown += 1
            session.execute("UPDATE processing.head SET followed = %s", [entries[-1].position])


def _followed(session: Session, query: str) -> int:
    row = session.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def _tell(session: Session, operation: str, entry: Entry) -> None:
    by = entry.by
    session.execute(
        "SELECT processing.tell(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            operation,
            by.actor if by else None,
            by.role.value if by else None,
            by.purpose.value if by else None,
            by.legal_basis if by else None,
            entry.name,
            [entry.record_id],
            entry.provenance.peer if entry.provenance else None,
            entry.position,
        ],
        prepare=True,
    )


_BEHIND = """
    SELECT f.peer, f.epoch, f.number, coalesce(d.number, 0)
    FROM (SELECT peer, epoch, number FROM exchange.feed
        UNION ALL SELECT peer, epoch, number FROM exchange.feed_before) f
    LEFT JOIN processing.disclosed d ON d.peer = f.peer AND d.epoch = f.epoch
    WHERE f.number > coalesce(d.number, 0) ORDER BY f.peer, f.epoch
"""
_RELEASED = """
    SELECT d.number, d.record_id, d.position FROM exchange.decision d
    JOIN ledger.entry e ON e.record_id = d.record_id AND e.version = d.version
    WHERE d.peer = %s AND d.epoch = %s AND d.number > %s AND d.number <= %s AND e.personal ORDER BY d.number
"""


def _follow_feeds(session: Session) -> int:
    if session.execute("SELECT to_regclass('exchange.feed_before')").fetchone() == (None,):
        return 0
    grown = 0
    while session.execute(_BEHIND).fetchone() is not None:
        with session.transaction():
            session.execute("SELECT FROM processing.head FOR UPDATE")
            for peer, epoch, released, told in session.execute(_BEHIND).fetchall():
                until = min(released, told + DISCLOSED_AT_ONCE)
                for _, record_id, position in session.execute(_RELEASED, [peer, epoch, told, until]).fetchall():
                    session.execute(
                        "SELECT processing.tell('disclosure', NULL, 'node', 'exchange', NULL, 'feed', %s, %s, %s)",
                        [[record_id], peer, position],
                    )
                    grown += 1
                session.execute(
                    "INSERT INTO processing.disclosed (peer, epoch, number) VALUES (%s, %s, %s)"
                    " ON CONFLICT (peer, epoch) DO UPDATE SET number = excluded.number",
                    [peer, epoch, until],
                )
    return grown


class Lag(msgspec.Struct, frozen=True):
    """How far the log has followed: lines, the ledger's position, and what of ledger and feeds is not told yet."""

    lines: int
    followed: int
    behind: int
    undisclosed: int


def lag(session: Session) -> Lag | None:
    """How far the log has followed; None on an open node, which keeps none."""
    if session.execute("SELECT to_regclass('processing.head')").fetchone() == (None,):
        return None
    row = session.execute(
        "SELECT number, followed, (SELECT size FROM ledger.seal_state) FROM processing.head"
    ).fetchone()
    assert row is not None  # noqa: S101  # the table is made with its row
    has_feeds = session.execute("SELECT to_regclass('exchange.feed_before')").fetchone() != (None,)
    behind = session.execute(_BEHIND).fetchall() if has_feeds else []
    undisclosed = sum(released - told for *_, released, told in behind)
    return Lag(row[0], row[1], max(0, (row[2] or 0) - row[1]), undisclosed)


# ---------------------------------------------------------------- the worker


def run(database_url: str, *, node: str, keys: Path, folder: Path, stop: threading.Event) -> None:
    """Follow until told to stop, and sign the log's head each minute; a server that is gone is waited for."""
    pause_s = SHORTEST_PAUSE_S
    while not stop.is_set():
        try:
            with connect(database_url, statement_timeout_ms=0) as session:
                if _takes_turn(session, stop):
                    prover = LogProver.open(keys, node=node, folder=folder)
                    with Reader.open(database_url, keys=None) as reader:
                        _keep_following(session, reader, prover, stop)
        except psycopg.Error as error:
            log.warning("follow.interrupted", error=type(error).__name__)
            stop.wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        else:
            pause_s = SHORTEST_PAUSE_S


def _takes_turn(session: Session, stop: threading.Event) -> bool:
    """Wait until the node is closed and no other worker follows; False when told to stop before."""
    while not stop.is_set():
        row = session.execute("SELECT to_regclass('processing.tree_state')").fetchone()
        if row != (None,) and session.execute("SELECT pg_try_advisory_lock(%s, %s)", TURN).fetchone() == (True,):
            return True
        stop.wait(WAKE_S)
    return False


def _keep_following(session: Session, reader: Reader, prover: LogProver, stop: threading.Event) -> None:
    next_look, next_full = 0.0, 0.0
    while not stop.is_set():
        head = reader.head()
        follow(session, reader)
        if time.monotonic() >= next_look:
            is_full = time.monotonic() >= next_full
            for fault in prover.look(session, everything=is_full):
                log.error("follow.fault", what=fault)
            next_look = time.monotonic() + LOOK_S
            next_full = time.monotonic() + FULL_EVERY_S if is_full else next_full
        reader.wait(head, WAKE_S)
