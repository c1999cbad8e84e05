"""The processing log follows the ledger and the feeds: what was collected, altered, combined, erased and disclosed.

The ledger tells who did it and on what basis, and the decisions of the exchange tell what went to whom; both are told
again in the log exactly once, in their order, and nothing is lost by being told late. Only what is personal counts.
"""

from domain.entry import Entry
from ledger.reader import Reader
from ledger.sessions import Session

AT_ONCE = 500
KINDS = frozenset(("seizure", "offence", "person", "business"))
SUBJECTS = frozenset(("person", "business"))


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
        with session.transaction():
            row = session.execute("SELECT followed FROM processing.head FOR UPDATE").fetchone()
            after = int(row[0]) if row else 0
            entries = reader.read(after, AT_ONCE)
            if not entries:
                return grown
            for entry in entries:
                if (operation := operation_of(entry)) is not None:
                    _tell(session, operation, entry)
                    grown += 1
            session.execute("UPDATE processing.head SET followed = %s", [entries[-1].position])


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


def _follow_feeds(session: Session) -> int:
    if session.execute("SELECT to_regclass('exchange.decision')").fetchone() == (None,):
        return 0
    with session.transaction():
        session.execute("SELECT FROM processing.head FOR UPDATE")
        rows = session.execute(
            "SELECT d.peer, d.number, d.record_id, d.position FROM exchange.decision d"
            " JOIN ledger.entry e ON e.record_id = d.record_id AND e.version = d.version"
            " LEFT JOIN processing.disclosed f ON f.peer = d.peer"
            " WHERE e.personal AND d.number > coalesce(f.number, 0) ORDER BY d.peer, d.number"
        ).fetchall()
        for peer, number, record_id, position in rows:
            session.execute(
                "SELECT processing.tell('disclosure', NULL, 'node', 'exchange', NULL, 'feed', %s, %s, %s)",
                [[record_id], peer, position],
            )
            session.execute(
                "INSERT INTO processing.disclosed VALUES (%s, %s)"
                " ON CONFLICT (peer) DO UPDATE SET number = excluded.number",
                [peer, number],
            )
    return len(rows)
