"""What became of what was acknowledged: each entry must be sealed, once, in a gapless order that verifies."""

from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from cli.processes import until
from ledger.sessions import connect
from ledger.verify import verify

Entry = tuple[UUID, int]
SEALED_WITHIN_S = 120.0

_WAITING = "SELECT (SELECT count(*) FROM ledger.entry) - (SELECT count(*) FROM ledger.sealed)"


def acknowledged(notes: Iterable[Path]) -> set[Entry]:
    """Read what was acknowledged; a line that was cut off was not."""
    found: set[Entry] = set()
    for path in notes:
        text = path.read_text(encoding="ascii") if path.exists() else ""
        for line in text[: text.rfind("\n") + 1].splitlines():
            record_id, version, _ = line.split(" ")
            found.add((UUID(record_id), int(version)))
    return found


def wait_sealed(database_url: str, wait_s: float = SEALED_WITHIN_S) -> None:
    """Wait until all that is recorded is sealed."""
    with connect(database_url) as session:
        until(lambda: session.execute(_WAITING).fetchone() == (0,), wait_s=wait_s)


def lost(database_url: str, keys: Path, wanted: set[Entry]) -> tuple[int, list[str]]:
    """Count what was acknowledged and is not sealed; and say what else does not fit (a gap, a double, a leaf)."""
    wait_sealed(database_url)
    with connect(database_url, statement_timeout_ms=0) as session:
        rows = session.execute("SELECT position, record_id, version FROM ledger.sealed ORDER BY position").fetchall()
    sealed = {(record_id, version) for _, record_id, version in rows}
    wrong = []
    if [row[0] for row in rows] != list(range(1, len(rows) + 1)):
        wrong.append("positions have a gap")
    if len(sealed) != len(rows):
        wrong.append("an entry has two positions")
    verdict = verify(database_url, keys=keys)
    wrong += [str(fault) for fault in verdict.faults]
    if verdict.unsealed:
        wrong.append(f"{verdict.unsealed} entries are not sealed")
    return len(wanted - sealed), wrong
