"""How records are read: as they stand or stood, and when what was just written can be seen.

A record is folded from its own entries, so that who has written it sees it at once; lists, searches and figures follow
what is sealed. A time without a zone is UTC; a day alone means the end of that day.
"""

import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import Parameter

from cli import erased, output, show
from cli.acting import WAIT_S, opened, require_record, sentence_of
from cli.consulting import CONSULTING, Consulting, id_of, opened_entries
from cli.output import Misused, NotFound
from cli.signing import signing
from domain.event import Masked
from domain.flags import Flag, flags
from domain.pseudonym import pseudonym_in
from domain.records import fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token

    from cli.settings import Settings
    from domain.entry import Entry
    from ledger.ledger import Ledger
    from ledger.reader import Reader

AsOf = Annotated[
    str | None,
    Parameter(help="As it stood at a ledger position (1234), day (2024-05-31) or time (2024-05-31T12:00:00Z)."),
]


def _known(_kind: object, tokens: "Sequence[Token]") -> UUID:
    told = tokens[0].value
    try:
        return pseudonym_in(told) or UUID(told)
    except ValueError:
        raise Misused("The value for ID does not fit: it is no id of a record, and no pseudonym.") from None


Known = Annotated[UUID, Parameter(name="ID", converter=_known, help="The id of a record, or a pseudonym.")]
"""A record that is asked for: by its id, or by the pseudonym that stands for it."""

LONGEST_POSITION = 18  # digits; what is longer is no position of any ledger, and PostgreSQL could not hold it


def moment(text: str | None) -> int | datetime | None:
    """A ledger position, or a time; a day alone means its end.

    Raises:
        Misused: it is neither.
    """
    if text is None:
        return None
    if text.isdecimal() and len(text) <= LONGEST_POSITION:
        return int(text)
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC) + timedelta(
                days=1, microseconds=-1
            )
        told = datetime.fromisoformat(text)
    except ValueError:
        raise Misused(
            "--as-of is a ledger position (1234), a day (2024-05-31) or a time (2024-05-31T12:00:00Z)."
        ) from None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def entries_until(ledger: "Ledger", record_id: UUID, kind: str | None, until: int | datetime | None) -> "list[Entry]":
    """The entries of a record, oldest first, up to a position or time.

    Raises:
        NotFound: there is no such record, or it did not exist at that time.
    """
    if until is None:
        return require_record(ledger, record_id, kind)
    if isinstance(until, int):
        _require_reached(until)
    entries = ledger.entries(record_id, until=until)
    if entries and (kind is None or entries[0].kind == kind):
        return entries
    first = require_record(ledger, record_id, kind)[0]
    begun = f"position {first.position}, {show.when(first.recorded_at)}" if first.position else "a moment ago"
    raise NotFound(f"This {first.kind} was not on record then: its first entry is of {begun}.")


def _require_reached(position: int) -> None:
    """Refuse a position that the ledger has not reached: what it will hold cannot be told yet."""
    from cli.settings import load
    from cli.supervisor import database_url
    from ledger.reader import Reader

    with Reader.open(database_url(load()), keys=None) as reader:
        head = reader.head()
    if position > head:
        raise Misused(f"The ledger is sealed to position {head}, not {position} yet.")


def show_record(record_id: UUID, kind: str | None, as_of: str | None, consulting: Consulting = CONSULTING) -> None:
    """Print a record as it stands, or as it stood at a position or time; of who was erased also who answered."""
    from cli.settings import load

    until = moment(as_of)
    if signing.caller is not None:
        record_id, entries = consulted(record_id, kind, consulting, until)
    else:
        with opened() as (ledger, _):
            entries = entries_until(ledger, record_id, kind, until)
    erasures = erased.standing(load(), record_id) if entries[0].kind in erased.KINDS else erased.NONE
    print_record(entries, as_of, erasures)


def consulted(
    record_id: UUID, kind: str | None, consulting: Consulting, until: int | datetime | None = None
) -> "tuple[UUID, list[Entry]]":
    """The id and the entries of a record through the gate of a closed node, up to a position or time.

    Raises:
        NotFound: there is no such record that the caller may see, or it did not exist at that time.
    """
    if isinstance(until, int):
        _require_reached(until)
    meant = id_of(record_id, consulting)
    entries = opened_entries(meant, consulting)
    if not entries or (kind is not None and entries[0].kind != kind):
        raise NotFound(f"There is no {kind or 'record'} with the id {record_id}.")
    if until is None:
        return meant, entries
    if isinstance(until, int):
        then = [entry for entry in entries if entry.position is not None and entry.position <= until]
    else:
        then = [entry for entry in entries if entry.recorded_at <= until]
    if not then:
        raise NotFound(f"This {entries[0].kind} was not on record then.")
    return meant, then


def print_record(entries: "list[Entry]", as_of: str | None, erasures: erased.Told = erased.NONE) -> None:
    """Print the record that these entries make, and how its erasures stand."""
    state, last = fold(entries), entries[-1]
    unusual = flags(state, today=last.recorded_at.date())
    data = {
        "id": str(last.record_id),
        "kind": last.kind,
        "node": last.node,
        "version": last.version,
        "position": last.position,
        "as_of": as_of,
        "recorded_at": show.plain(entries[0].recorded_at),
        "changed_at": show.plain(last.recorded_at),
        "provenance": show.plain(last.provenance),
        "record": show.plain(state),
        "flags": show.plain(unusual),
    }
    told = show.facts(state) + [("unusual", _flagged(flag)) for flag in unusual]
    masked = [entry for entry in entries if isinstance(entry.event, Masked)]
    if masked:
        data["masked"] = [entry.name for entry in masked]
        told += [("masked", sentence_of(entry.name)) for entry in masked]
    if erasures != erased.NONE:
        data["erasures"] = erasures[0]
    output.show(data, _title(entries, as_of), show.laid_out(told), *erasures[1])


def _flagged(flag: Flag) -> str:
    line = f" {flag.line}" if flag.line else ""
    return f"{flag.field.replace('_', ' ')}{line}: {flag.code.value.replace('-', ' ')}"


def _title(entries: "list[Entry]", as_of: str | None) -> str:
    first, last = entries[0], entries[-1]
    place = f"position {last.position}" if last.position else "not yet sealed"
    stood = f"as of {as_of}" if as_of else "as it stands"
    came = f", received from {last.provenance.peer} under {last.provenance.instrument}" if last.provenance else ""
    return (
        f"{first.kind.capitalize()} {first.record_id}\n"
        f"{stood}: version {last.version}, {place}, node {last.node}{came}\n"
        f"recorded {show.when(first.recorded_at)}, last changed {show.when(last.recorded_at)}\n"
    )


def shown_in_time(ledger: "Ledger", settings: "Settings", record_id: UUID, version: int, wait_s: float) -> int | None:
    """Wait until a version of a record is sealed and the projections have reached it: its position, or None."""
    deadline = time.monotonic() + wait_s
    try:
        position = ledger.wait_sealed(record_id, version, wait_s)
    except TimeoutError:
        return None
    is_shown = _reached(settings, position, max(0.0, deadline - time.monotonic()))
    return position if is_shown else None


def _reached(settings: "Settings", position: int, wait_s: float) -> bool:
    from cli.supervisor import database_url
    from projections import positions

    return positions.wait_for(database_url(settings), position, wait_s)


def position_of(as_of: str | None, settings: "Settings") -> int | None:
    """The ledger position that is meant by a position or a time: the one that had been reached then.

    Raises:
        Misused: it is neither.
    """
    told = moment(as_of)
    if not isinstance(told, datetime):
        return told
    from cli.supervisor import database_url
    from ledger.reader import Reader

    with Reader.open(database_url(settings), keys=None) as reader:
        position = _reached_at(reader, told)
    _reached(settings, position, WAIT_S)
    return position


def _reached_at(reader: "Reader", told: datetime) -> int:
    """The last position whose entry the ledger had learned of by then; positions follow time but for milliseconds."""
    low, high = 0, reader.head()
    while low < high:
        middle = (low + high + 1) // 2
        entry = reader.read(middle - 1, 1)[0]
        learned_at = entry.provenance.received_at if entry.provenance else entry.recorded_at
        low, high = (middle, high) if learned_at <= told else (low, middle - 1)
    return low
