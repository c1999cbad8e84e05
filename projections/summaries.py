"""One line for a record that was found: its open facts, as a person would say them, as of a ledger position."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import sql

from projections.asking import holding
from projections.projection import Cursor
from projections.statistics import plain

LINES_SHOWN = 3


def of_seizures(cursor: Cursor, record_ids: Sequence[UUID], as_of: int | None) -> dict[UUID, str]:
    """`seizure at BOG01, CO-DC: drugs COCAINE 12.5 KGM, +2 lines (validated)`."""
    lines = _lines(cursor, record_ids, as_of)
    cursor.execute(
        sql.SQL(
            "SELECT record_id, kind, office, coalesce(locode, subdivision, country), status"
            " FROM read.seizure AS record WHERE record_id = ANY(%s) AND {}"
        ).format(holding("record", as_of)),
        [list(record_ids)],
    )
    return {
        record_id: f"{kind or 'seizure'}{_where(office, place)}: {_goods(lines.get(record_id, []))} ({status})"
        for record_id, kind, office, place, status in cursor
    }


def of_offences(cursor: Cursor, record_ids: Sequence[UUID], as_of: int | None) -> dict[UUID, str]:
    """`smuggling at BOG01, CO, under LAW-7: 2 seizures, fine (decided)`."""
    cursor.execute(
        sql.SQL(
            "SELECT record_id, offence_type, office, coalesce(locode, subdivision, country), provision,"
            " cardinality(seizures), penalties, CASE WHEN is_cancelled THEN 'cancelled' ELSE status END"
            " FROM read.offence AS record WHERE record_id = ANY(%s) AND {}"
        ).format(holding("record", as_of)),
        [list(record_ids)],
    )
    summaries = {}
    for record_id, offence_type, office, place, provision, seizures, penalties, status in cursor:
        under = f", under {provision}" if provision else ""
        told = [f"{seizures} seizure{'' if seizures == 1 else 's'}", *penalties]
        summaries[record_id] = (
            f"{offence_type or 'offence'}{_where(office, place)}{under}: {', '.join(told)} ({status})"
        )
    return summaries


def of_subject(kind: str, facts: dict[str, Any]) -> str:
    """`person: 4 statements on record`; what the statements say is personal and not told here."""
    count = facts["statements"]
    return f"{kind}: {count} statement{'' if count == 1 else 's'} on record"


def _where(office: str | None, place: str | None) -> str:
    told = ", ".join(part for part in (office, place) if part)
    return f" at {told}" if told else ""


def _lines(cursor: Cursor, record_ids: Sequence[UUID], as_of: int | None) -> dict[UUID, list[tuple[Any, ...]]]:
    cursor.execute(
        sql.SQL(
            "SELECT record_id, section, coalesce(substance, description, hs), quantity, unit"
            " FROM read.seizure_line AS record WHERE record_id = ANY(%s) AND {} ORDER BY record_id, line"
        ).format(holding("record", as_of)),
        [list(record_ids)],
    )
    lines: dict[UUID, list[tuple[Any, ...]]] = {}
    for record_id, *told in cursor:
        lines.setdefault(record_id, []).append(tuple(told))
    return lines


def _goods(lines: Sequence[tuple[Any, ...]]) -> str:
    told = [
        " ".join(part for part in (section, what, plain(quantity), unit) if part)
        for section, what, quantity, unit in lines[:LINES_SHOWN]
    ]
    more = len(lines) - LINES_SHOWN
    if more > 0:
        told.append(f"+{more} line{'' if more == 1 else 's'}")
    return ", ".join(told) or "no goods"
