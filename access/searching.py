"""Search through the gate: the questions that search asks of tables that name someone, put for a ticket.

What the caller may not see is left out by the gate before anything is counted, ranked or cut off, so that nothing of it
shows in an answer. Open facts are asked directly, up to the tightest handling code that the caller's role may see.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from access.gate import Ticket
from domain.attribution import Role
from domain.permissions import SIGHTS
from projections.asking import being_built, tables_of
from projections.filters import Condition
from projections.projection import Cursor
from projections.tables import MOST_CANDIDATES, MOST_SHARING, Found, Ways


class GateTables:
    """The gate in the place of the tables; without a ticket it opens open facts alone."""

    def __init__(self, role: Role, ticket: Ticket | None) -> None:
        """Ask in this role, by this ticket."""
        self.handling: str | None = SIGHTS[role].handling
        self._given = ticket.given if ticket else []
        self.clear: set[UUID] = set()
        """Persons and businesses of whom more than a pseudonym was told."""
        self.meant: frozenset[UUID] | None = None
        """Where a pseudonym is looked for: whose it is, or nobody's; no name and no number is looked for then."""

    def hold(self, cursor: Cursor, names: Sequence[str]) -> tuple[int, int]:
        """Have the gate lock the tables, and tell how far they have come."""
        cursor.execute("SELECT gate.hold(%s)", [["position", *tables_of(names)]])
        cursor.execute("SELECT position, many FROM gate.reached(%s)", [list(names)])
        position, found = cursor.fetchone() or (0, 0)
        if found != len(names):
            raise being_built(cursor.execute("SELECT position, head FROM gate.building()").fetchone())
        return position, found

    def sharing(self, cursor: Cursor, kind: str, ways: Ways) -> Found:
        """As `Tables` says, among those the caller sees."""
        if self.meant is not None:
            return []
        every = sorted({key for way in ways for keys in way for key in keys})
        return _rows(
            cursor,
            "SELECT * FROM gate.sharing(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [*self._given, kind, Jsonb(ways), every, MOST_SHARING, MOST_CANDIDATES],
        )

    def by_number(self, cursor: Cursor, kind: str, number: str) -> Found:
        """As `Tables` says, among those the caller sees."""
        if self.meant is not None:
            return [(one, "") for one in self.meant]
        return _rows(cursor, "SELECT * FROM gate.by_number(%s, %s, %s, %s, %s, %s)", [*self._given, kind, number])

    def described(self, cursor: Cursor, kind: str, record_ids: Sequence[UUID]) -> Mapping[UUID, dict[str, Any]]:
        """As `Tables` says, among those the caller sees."""
        rows = _rows(
            cursor, "SELECT * FROM gate.described(%s, %s, %s, %s, %s, %s)", [*self._given, kind, list(record_ids)]
        )
        told = {UUID(row["record_id"]): row for (row,) in rows}
        self.clear.update(record for record, row in told.items() if "masked" not in row)
        return told

    def merged(self, cursor: Cursor, kind: str, record_ids: Sequence[UUID]) -> list[tuple[UUID, list[UUID]]]:
        """As `Tables` says, where the caller sees both."""
        return _rows(
            cursor, "SELECT * FROM gate.merged(%s, %s, %s, %s, %s, %s)", [*self._given, kind, list(record_ids)]
        )

    def newest(self, cursor: Cursor, kind: str, limit: int, after: UUID | None) -> list[UUID]:
        """As `Tables` says, among those the caller sees."""
        rows = _rows(
            cursor, "SELECT * FROM gate.newest(%s, %s, %s, %s, %s, %s, %s)", [*self._given, kind, limit, after]
        )
        return [row[0] for row in rows]

    def told(self, kind: str, query: str) -> Condition:
        """As `Tables` says, of cases whose words the caller sees."""
        condition = "record.record_id IN (SELECT * FROM gate.told(%s, %s, %s, %s, %s, %s))"
        return sql.SQL(condition), [*self._given, kind, query]

    def cases_of(self, parties: Sequence[UUID]) -> Condition:
        """As `Tables` says, of cases whose parties the caller sees."""
        condition = "record.record_id IN (SELECT * FROM gate.cases_of(%s, %s, %s, %s, %s))"
        return sql.SQL(condition), [*self._given, sorted(parties)]


def _rows(cursor: Cursor, query: str, parameters: list[Any]) -> list[Any]:
    cursor.execute(query.encode(), parameters)
    return cursor.fetchall()
