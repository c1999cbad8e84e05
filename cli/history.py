"""`ncen history ID`: every entry of a record, oldest first: when, who, why, what happened, and what changed.

Nothing is left out: an entry that can no longer be read, or whose author was withheld, shows as such, and why. What
changed is worked out from the entries themselves, field by field, by meaning and not by spelling.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from cli import output, reading, show
from cli.acting import happened_in, opened, require_record
from cli.consulting import CONSULTING, Consulting
from cli.signing import signing
from domain.difference import Change, differences
from domain.event import Erased, Masked
from domain.records import fold

if TYPE_CHECKING:
    from domain.entry import Entry

# What an event may tell beside the facts of the record, in the order in which it is shown.
ASIDE = ("reason", "text", "basis")
DAYS = ("occurred_on", "on")


def history(
    record: reading.Known,
    /,
    *,
    as_of: reading.AsOf = None,
    consulting: Consulting = CONSULTING,
) -> None:
    """Print every entry of a record, oldest first; with --as-of, print the record as it stood then."""
    if as_of is not None:
        reading.show_record(record, None, as_of, consulting)
        return
    if signing.caller is not None:
        _, entries = reading.consulted(record, None, consulting)
    else:
        with opened() as (ledger, _):
            entries = require_record(ledger, record)
    told = steps(entries)
    data = {
        "id": str(entries[0].record_id),
        "kind": entries[0].kind,
        "not_received": _not_received(entries),
        "entries": [_data(entry, changes) for entry, changes in told],
    }
    lines: list[object] = [
        f"{entries[0].kind.capitalize()} {entries[0].record_id}: {_counted(len(entries))}, oldest first"
    ]
    reached = 0
    for entry, changes in told:
        lines += [
            f"\n{number}. {entry.node} did not send this entry to us." for number in range(reached + 1, entry.version)
        ]
        lines += ["", *_lines(entry, changes)]
        reached = entry.version
    output.show(data, *lines)


def _not_received(entries: "list[Entry]") -> list[int]:
    """The versions of a received record that its origin did not send us."""
    received = {entry.version for entry in entries}
    return [number for number in range(1, entries[-1].version) if number not in received]


def steps(entries: "list[Entry]") -> "list[tuple[Entry, tuple[Change, ...]]]":
    """Each entry with what it changed."""
    state: Any = None
    told = []
    for entry in entries:
        before, state = state, fold((entry,), state)
        told.append((entry, differences(before, state)))
    return told


def _counted(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def occurred(entry: "Entry") -> Any:  # noqa: ANN401  # a day, where the event tells one
    """When it happened in the world, where the event says so."""
    for name in DAYS:
        day = getattr(entry.event, name, None)
        if day is not None and day is not msgspec.UNSET:
            return day
    return None


def unreadable(entry: "Entry") -> str | None:
    """Why the event cannot be read, or None where it can."""
    if not isinstance(entry.event, Erased):
        return None
    if isinstance(entry.event, Masked):
        return "Masked: what was said is not shown; --unmask shows it, for a reason."
    if entry.provenance is not None:
        return f"Withheld by its origin {entry.node}, or erased: what it said did not come to us."
    return "Erased: the key of the person it told of was destroyed; that it was here, and when, stays provable."


def author(entry: "Entry") -> str:
    """Who made it, in which role, what for and on what basis, in one line."""
    if entry.by is None:
        return f"Who acted was withheld by its origin {entry.node}."
    by = entry.by
    return f"{by.actor} as {by.role.value}, for {by.purpose.value}, on {by.legal_basis}"


def _data(entry: "Entry", changes: tuple[Change, ...]) -> dict[str, Any]:
    return {
        "position": entry.position,
        "version": entry.version,
        "recorded_at": show.plain(entry.recorded_at),
        "occurred_on": show.plain(occurred(entry)),
        "node": entry.node,
        "event": entry.name,
        "happened": happened_in(entry),
        "personal": entry.is_personal,
        "unreadable": unreadable(entry),
        "by": show.plain(entry.by),
        "told": {name: show.plain(value) for name, value in _aside(entry)},
        "changes": [
            {"field": change.field, "from": show.plain(change.was), "to": show.plain(change.now)} for change in changes
        ],
        "provenance": show.plain(entry.provenance),
    }


def _aside(entry: "Entry") -> list[tuple[str, Any]]:
    told = ((name, getattr(entry.event, name, None)) for name in ASIDE)
    return [(name, value) for name, value in told if value is not None and value is not msgspec.UNSET]


def _lines(entry: "Entry", changes: tuple[Change, ...]) -> list[object]:
    place = f"position {entry.position}" if entry.position is not None else "not yet sealed"
    day = occurred(entry)
    happened_on = f", happened {show.said(day)}" if day else ""
    lines: list[object] = [
        f"{entry.version}. {show.when(entry.recorded_at)}, {place}, {entry.node}{happened_on}",
        f"   {author(entry)}",
        f"   {happened_in(entry)}",
    ]
    if entry.provenance is not None:
        lines.append(f"   {_came(entry)}")
    if (why := unreadable(entry)) is not None:
        lines.append(f"   {why}")
    said = [(name, show.said(value)) for name, value in _aside(entry) if name == "reason" or not changes]
    said += [(_spoken(change.field), _from_to(change)) for change in changes if change.field not in show.UNTOLD]
    return [*lines, show.laid_out(said, indent=5)] if said else lines


def _came(entry: "Entry") -> str:
    came = entry.provenance
    assert came is not None  # noqa: S101  # narrows the type; asked by the caller
    return (
        f"Received {show.when(came.received_at)} from {came.peer} as number {came.number} of its feed, "
        f"under {came.instrument} version {came.premise_version}, handling {came.handling}."
    )


def _spoken(field: str) -> str:
    return field.replace(".", " ").replace("_", " ")


def _from_to(change: Change) -> str:
    if change.was is None:
        return show.said(change.now)
    return f"{show.said(change.was)} → {show.said(change.now)}"
